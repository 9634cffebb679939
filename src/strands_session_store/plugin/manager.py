"""The session manager that an Agent, Graph, Swarm or BidiAgent is handed: its options, its life, and its two kinds of
hooks (`agent_hooks`, `multi_agent_hooks`), composed. What they store goes through one `LiveSession`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from strands.hooks import HookRegistry
from strands.session import SessionManager

from .. import ids
from ..prices import Ask, Dollars, Own, Prices, to_pico
from ..segments import SegmentAfter
from ..sessions.ended import segments_of
from ..sessions.erasing import erase_session
from ..stores import DEFAULT, open_store
from ..stores.base import KEEP, Dropped, Store
from ..stores.read_only import ReadOnlyStore
from . import options
from .agent_hooks import AgentHooks
from .budgets import Budget, Scope
from .encoding import BeforeStore
from .live import LiveSession, OnConflict, OnStale
from .multi_agent_hooks import MultiAgentHooks
from .restoring import RestoredAgents, RestoredMultiAgents
from .segmenting import Segmenting
from .session import FINAL, Durability
from .sub_sessions import SubSessions
from .taking import OnBusy, Terms

if TYPE_CHECKING:
    from strands.multiagent.base import MultiAgentBase
    from strands.types.agent import LocalAgent
    from strands.types.content import Message

Self = TypeVar("Self", bound="StoreSessionManager")


class StoreSessionManager(SessionManager["LocalAgent"]):
    """Keeps a session in a store: its agents with their messages and state, its orchestrators' progress, runs, events.

    Nothing is read before an agent (or orchestrator) is built with it, nothing is written before something is said.
    Serves any number of agents with different ids, and may be used by many threads. When two managers write the same
    agent of the same session, the later one gets a ConflictError, and its agent's next invocation goes on from what is
    stored; with ``exclusive``, one waits for the other.
    """

    def __init__(
        self,
        session_id: str,
        store: Store | str | None = None,
        *,
        user_id: str | None = None,
        auto_create: bool = True,
        durability: Durability = "message",
        ttl: float | None = None,
        timeout: float | None = None,
        before_store: BeforeStore | None = None,
        prices: Prices | Own | Ask | None = None,
        max_tokens: int | None = None,
        max_cost: Dollars | None = None,
        budget_scope: Scope = "session",
        exclusive: bool = False,
        on_busy: OnBusy = "wait",
        lease_timeout: float = 60.0,
        lease_expiry: float = 15.0,
        on_stale: OnStale = "reload",
        on_conflict: OnConflict = "raise",
        read_only: bool = False,
        sub_sessions: bool = False,
        segment_after: SegmentAfter | int | None = None,
        parent_id: str | None = None,
        kind: str = "session",
        title: str | None = None,
    ) -> None:
        """Name a session. No I/O.

        Args:
            session_id: Which. The same id resumes the same conversation. See `ids` for what is legal.
            store: A Store (shared, left open by `close`), a URL for `open_store`, or None: the environment's
                STRANDS_SESSION_STORE, else SQLite in ./strands-sessions.db.
            user_id: The owner; ids are unique per owner. None: a session without one.
            auto_create: False: an agent can only be built for a session that exists, else SessionNotFoundError.
            durability: What a hook waits for; see `Durability`.
            ttl: Seconds after the last commit when the whole session expires; None: as it is (a new one: never).
            timeout: Seconds to wait for the store before a hook raises InDoubt; None: the environment's
                STRANDS_SESSION_TIMEOUT, else 30.
            before_store: Given a copy of each message before it is stored; returns what is to be kept. When it raises,
                that surfaces as a StoreError, and the message stays pending: nothing unscrubbed is ever stored.
            prices: What model calls cost: dollars a million tokens by model id, which come before the published prices
                (extra ``prices``); or a callable that is asked instead of them; or `Prices`.
            max_tokens: Once the session has spent so many, input and output, an invocation is refused with a
                BudgetExceededError, before anything is written. One that has begun is not stopped. Costs a read each.
            max_cost: The same in dollars, as a text, a Decimal or an int. Calls of unknown price count as nothing.
            budget_scope: Whose spending these two limit; see `budgets.Scope`.
            exclusive: An invocation has the session to itself, among all processes: it takes the session's lease
                before it begins, and lets go of it with its last commit. Invocations of one manager, and what is called
                by them, share it.
            on_busy: Another has the lease: wait for it, or raise SessionBusyError.
            lease_timeout: Seconds to wait for it before a SessionBusyError.
            lease_expiry: Seconds without a sign of life after which another may take the lease of this process. A
                third of it is how often a sign is given.
            on_stale: What happens when another process went on with an agent that is kept here; see `OnStale`.
            on_conflict: What happens when another process went on with an agent while it was invoked here; see
                `OnConflict`.
            read_only: True: agents are restored and go on in memory; what they say then is kept nowhere. A session
                that is not there is a SessionNotFoundError, whatever auto_create says: there would be nothing to read.
                Options about writing have no effect; `store` is a `ReadOnlyStore` then. One as an argument implies it.
            sub_sessions: True: what is said by agents that are called here, as a tool or as the node of a Graph or
                Swarm, is recorded in sessions of their own below this one; see `plugin.sub_sessions`.
            segment_after: When an agent goes on with a summary of what was said, which itself moves to a session below
                this one: after the turn with which it takes so many tokens, or as `SegmentAfter` says. None: never.
            parent_id: The session of the same owner to make this one below, like the two that follow only where this
                manager makes the session; when it is there already, it stays as it is. One read more then.
            kind: A word to tell sessions apart by.
            title: At most 255 characters.

        Raises:
            InvalidIdError: session_id or user_id is no legal id.
            ValueError: An option is out of its range.
            StoreError: The URL names no known engine.
        """
        self.session_id = ids.check("session_id", session_id)
        self.user_id = None if user_id is None else ids.check("user_id", user_id)
        document = options.document(session_id, user_id, parent_id, kind, title)
        read_only = read_only or isinstance(store, ReadOnlyStore)
        options.check(
            durability=durability,
            ttl=ttl,
            exclusive=exclusive,
            on_busy=on_busy,
            lease_timeout=lease_timeout,
            lease_expiry=lease_expiry,
            on_stale=on_stale,
            on_conflict=on_conflict,
            read_only=read_only,
            sub_sessions=sub_sessions,
            max_tokens=max_tokens,
            budget_scope=budget_scope,
            user_id=user_id,
        )
        most = None if max_cost is None else to_pico("max_cost", max_cost)
        timeout = options.seconds(timeout)
        prices = prices if isinstance(prices, Prices) else Prices(prices)
        self._owns_store = not isinstance(store, Store)
        if not isinstance(store, Store):
            store = open_store(store or os.environ.get("STRANDS_SESSION_STORE") or DEFAULT, timeout=timeout)
        if read_only and not isinstance(store, ReadOnlyStore):
            store = ReadOnlyStore(store)
        self.store, self._exclusive = store, exclusive
        budget = None
        if max_tokens is not None or most is not None:
            budget = Budget.of(budget_scope, store, session_id, user_id, max_tokens, most)
        make = partial(
            LiveSession,
            store,
            durability=durability,
            ttl=KEEP if ttl is None else ttl,
            timeout=timeout,
            before_store=before_store,
            prices=prices,
        )
        self._session = make(
            document,
            auto_create=auto_create,
            parent_first=True,
            budget=budget,
            on_stale=on_stale,
            lease=Terms(lease_timeout, lease_expiry, on_busy) if exclusive else None,
        )
        if read_only:
            self._agents: AgentHooks = RestoredAgents(self._session, rebase=False)
            self._multi_agents: MultiAgentHooks = RestoredMultiAgents(self._session)
        else:
            below = None
            if sub_sessions:
                # made before their parent is stored, in some modes; stale ones are a matter of course
                made = partial(make, auto_create=True, parent_first=False, on_stale="reload", lease=None)
                below = SubSessions(self._session, made)
            segmenting = None
            if segment_after is not None or ttl is not None:
                after = None if segment_after is None else SegmentAfter.of(segment_after)
                segmenting = Segmenting(self._session, after, prices, make.keywords["ttl"])
            rebase = on_conflict == "rebase"
            self._agents = AgentHooks(self._session, rebase=rebase, below=below, segmenting=segmenting)
            self._multi_agents = MultiAgentHooks(self._session, below)

    # --------------------------------------------------------------------------------------------- for the application

    @classmethod
    async def open(
        cls: type[Self],
        session_id: str,
        *args: Any,
        agent_ids: Sequence[str] = ("default",),
        multi_agent_ids: Sequence[str] = (),
        **options: Any,
    ) -> Self:
        """A session manager that has read already what its agents need, so that building them inside a running event
        loop does no I/O (Strands restores an agent in its constructor, synchronously).

        Args:
            session_id: As for the constructor, like all further arguments.
            agent_ids: Ids of the agents that will be built with it.
            multi_agent_ids: Ids of the Graphs and Swarms that will be.

        Raises:
            As the constructor; SessionNotFoundError; and what the store says.
        """
        manager = cls(session_id, *args, **options)
        try:
            await manager._session.read_ahead(agent_ids, multi_agent_ids)
        except BaseException:
            manager._release()
            raise
        return manager

    def flush(self) -> None:
        """Store what has changed and what is pending, and wait for it. Blocks; from async code use `aflush`.

        Raises:
            StoreError: It could not be stored. It stays pending, in its order; `flush` again.
        """
        self._agents.recall_all()
        self._enqueue_all()
        self._session.drain()

    async def aflush(self) -> None:
        """As `flush`, without blocking the event loop."""
        await self._agents.arecall_all()
        self._enqueue_all()
        await self._session.settled()

    def reload(self, agent: LocalAgent) -> None:
        """Make an agent of this manager what is stored, in place. Blocks; from async code use `areload`.

        What of it could not be stored is given up: a ConflictError has told of it. Not while it is invoked.

        Raises:
            StoreError: As the engine says; nothing was changed.
        """
        self._agents.reload_here(agent)

    async def areload(self, agent: LocalAgent) -> None:
        """As `reload`, without blocking the event loop."""
        await self._agents.reload(agent)

    def expect(self, *tracking_ids: str) -> None:
        """Take prompts with these ids for new. Else the rest of the history is read, once a manager, to see whether a
        prompt that has an id was said before. For who has drawn the ids, or has looked: one that is in the history all
        the same is said again."""
        self._agents.expected.update(tracking_ids)

    def lease(self) -> AbstractAsyncContextManager[None]:
        """Have the session to oneself for a block, ``async with manager.lease():``, where one invocation is not all
        there is: to look at the agent first, or to invoke it several times. Agents that are built in the block are as
        they are stored then, also when they were read ahead; for others, see ``on_stale``. What is invoked in the block
        shares the lease.

        Raises:
            ValueError: The manager has no ``exclusive=True``.
            SessionBusyError: Another process runs the session.
            StoreError: As the engine says.
        """
        if not self._exclusive:
            raise ValueError("lease() needs a session manager with exclusive=True")
        return self._session.lease(self)

    def close(self) -> None:
        """`flush`, then release the store if this manager opened it. Repeatable.

        Raises:
            ConflictError, Regressed: What is pending can never be stored. The store was released.
            StoreError: What is pending could not be stored. The store stays open, so that `close` can be repeated.
        """
        try:
            self.flush()
        except FINAL:
            self._session.let_go_here()
            self._release()
            raise
        self._session.let_go_here()
        self._release()

    async def aclose(self) -> None:
        """As `close`, without blocking the event loop."""
        try:
            await self.aflush()
        except FINAL:
            await self._session.ask(self._session.let_go_here)
            self._release()
            raise
        await self._session.ask(self._session.let_go_here)
        self._release()

    def delete_session(self) -> Dropped:
        """Erase the session, whole, with its segments, but for others below it (`Sessions.delete` erases these too).
        The next invocation of an agent that is kept, here or elsewhere, raises a ConflictError; the one after that
        begins anew.

        Returns:
            The receipt; all zero when there was no session.

        Raises:
            StoreError: The session manager has read_only=True; or as the engine says.
        """
        space = self._session.space
        receipt = erase_session(self.store, space, segments_of(self.store, space))
        return Dropped(receipt.existed, receipt.documents, receipt.entries, receipt.bytes)

    @property
    def pending(self) -> int:
        """Writes that the store has not acknowledged yet."""
        return self._session.pending

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # ----------------------------------------------------------------------------------------------------- for Strands

    def register_hooks(self, registry: HookRegistry, **kwargs: Any) -> None:
        """Called by Strands when an agent or orchestrator is built."""
        self._agents.register(registry)
        self._multi_agents.register(registry)

    def initialize(self, agent: LocalAgent, **kwargs: Any) -> None:
        """Restore the agent if the session has it; else it is new, and will be stored with its first message.

        Raises:
            StoreError: An agent with this id was built with this manager before.
            SessionNotFoundError: No such session, and auto_create is False.
            Corrupt: What is stored can not be read; nothing is overwritten.
        """
        self._agents.initialize(agent)

    def append_message(self, message: Message, agent: LocalAgent, **kwargs: Any) -> None:
        """Enqueue a message that was added; the next hook that waits, `flush` or `close` waits for it."""
        self._agents.changed(agent, message)

    def sync_agent(self, agent: LocalAgent, **kwargs: Any) -> None:
        """Enqueue what has changed of the agent; the next hook that waits, `flush` or `close` waits for it."""
        self._agents.changed(agent)

    def redact_latest_message(self, redact_message: Message, agent: LocalAgent, **kwargs: Any) -> None:
        """Enqueue the redaction of a message: its former content is replaced wherever it is kept."""
        self._agents.redact(agent, redact_message)

    def initialize_multi_agent(self, source: MultiAgentBase, **kwargs: Any) -> None:
        """Give a Graph or Swarm its progress back, and record from now on what its nodes say.

        Raises:
            As `initialize`.
        """
        self._multi_agents.initialize(source)

    def sync_multi_agent(self, source: MultiAgentBase, **kwargs: Any) -> None:
        """Enqueue the progress of a Graph or Swarm."""
        self._multi_agents.changed(source)

    # --------------------------------------------------------------------------------------------------------- private

    def _enqueue_all(self) -> None:
        with self._session.lock:
            self._agents.enqueue_all()
            self._multi_agents.enqueue_all()

    def _release(self) -> None:
        if self._owns_store:
            self.store.close()
