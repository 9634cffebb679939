"""A session in this process: its writers, and who waits how long for them. Hooks enqueue under `lock`, then wait."""

from __future__ import annotations

import asyncio
import logging
import threading
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from typing import Final, Literal, ParamSpec, TypeVar

from .. import layout, records
from ..errors import ConflictError, IllegalMoveError, Regressed, SessionNotFoundError, StoreError, Unavailable
from ..prices import Prices
from ..sessions import access
from ..stores.base import Store, Ttl
from ..stores.read_only import ReadOnlyStore
from . import process
from .budgets import Budget
from .encoding import BeforeStore
from .jobs import Job
from .loading import Base, Loaded, LoadedAgent, LoadedMultiAgent, ids_in, load
from .presence import Presence
from .tracked import TrackedAgent
from .waiting import settle
from .writer import Writer

logger = logging.getLogger(__name__)

Durability = Literal["message", "background", "turn"]
"""``message``: a hook returns when its message is stored. ``background``: stored at once, waited for at the end of the
invocation. ``turn``: one commit at the end of the invocation.

The last two keep what could not be stored and try it again, and no hook raises, until 1,000 writes (some 150 turns) or
16 MiB are pending of an agent. From there on a hook waits until they are stored, and raises if that fails; the first of
an invocation before that adds anything. So the commit of a larger ``turn`` begins before its end."""

FINAL: Final = (ConflictError, Regressed)
"""Errors that will not pass by themselves: what is pending can never be stored."""

P = ParamSpec("P")
T = TypeVar("T")

CANCELLED_SECONDS = 1.0
"""How long a cancelled invocation still waits for its last write: a healthy store needs far less, and one that hangs is
not to hold up a cancellation."""


class BareSession:
    """One session of one session manager, as if nobody else ran it."""

    def __init__(
        self,
        store: Store,
        document: records.Session,
        *,
        auto_create: bool,
        parent_first: bool,
        durability: Durability,
        ttl: Ttl,
        timeout: float,
        before_store: BeforeStore | None,
        prices: Prices,
        budget: Budget | None = None,
    ) -> None:
        """``document``: what the session will be, where this makes it one. ``parent_first``: its parent has to be there
        then. ``budget``: looked at before an invocation."""
        self.store, self.session_id, self.user_id = store, document.session_id, document.user_id
        self.space = layout.session_space(self.session_id, self.user_id)
        self.timeout = timeout
        self._document, self._parent_first = document, parent_first
        self.below: list[BareSession] = []
        """Sub-sessions: who waits for all of this one waits for all of them."""
        self._presence = Presence(self._document, tell=partial(process.spread, store, self.space))
        self._make_writer = partial(
            Writer, store, self.space, self._presence, ttl=ttl, before_store=before_store, prices=prices
        )
        # one for each agent and orchestrator: when one of them is refused, the others go on
        self._writers: dict[str, Writer] = {}
        self._ends: dict[str, weakref.finalize[..., BareSession]] = {}
        # one lock for all of a session: looking and enqueueing are one step, or two hooks could swap places
        self.lock = threading.RLock()
        self.durability = durability
        self._read_only = isinstance(store, ReadOnlyStore)
        self.whole_turns = False
        """Whether nothing of a turn may be stored before its end, however large it is."""
        self._auto_create = auto_create
        self._budget = budget
        self._ahead: Loaded | None = None
        process.live.add(self)

    def forked(self) -> None:
        """In a forked child: another thread may have held the lock."""
        self.lock = threading.RLock()
        for writer in self.writers:
            writer.forked()

    @property
    def writers(self) -> list[Writer]:
        return list(self._writers.values())

    @property
    def pending(self) -> int:
        """Jobs not yet acknowledged, of sub-sessions too."""
        return sum(writer.pending for writer in self._all_writers())

    def _all_writers(self) -> list[Writer]:
        return [*self.writers, *(writer for session in list(self.below) for writer in session.writers)]

    def adopt(self, base: Base) -> None:
        """Have a writer for an agent or orchestrator, from what was found of it; the caller holds the lock. It takes
        the place of an earlier one, and what that one could not store is given up. Of a store that is only read there
        are none."""
        if self._read_only:
            return
        if (end := self._ends.pop(base.fence, None)) is not None:
            end.detach()
        writer = self._writers[base.fence] = self._make_writer(base)
        end = self._ends[base.fence] = weakref.finalize(self, process.dropped, writer)
        end.atexit = False

    def note(self, loss: object) -> None:
        """The engine has lost something of the session; see `Presence.loss`."""
        self._presence.loss = loss

    # ------------------------------------------------------------------------------------------------------- reading

    def read(self, agent_ids: Iterable[str] = (), multi_agent_ids: Iterable[str] = ()) -> Loaded:
        """Read what these agents and orchestrators need. Blocks.

        Raises:
            SessionNotFoundError: No such session, and it is not to be created.
            IllegalMoveError: No such session, and it is to be created below one that is not there.
            IllegalTransitionError: It is a segment that has ended, and not only to be read.
            Regressed: The engine has lost what it had acknowledged, and nobody in this process can write it again.
        """
        process.store_what_is_left_of(self.space, self.timeout)
        loaded = self._look(partial(load, self.store, self.space, agent_ids, multi_agent_ids))
        if loaded.session is None and (self._read_only or not self._auto_create):
            owner = f" of user {self.user_id!r}" if self.user_id is not None else ""
            remedy = "auto_create=True (the default) makes a new one"
            if self._read_only:
                remedy = "with read_only=True none is made; check session_id, user_id and the store"
            raise SessionNotFoundError(f"there is no session {self.session_id!r}{owner}; {remedy}")
        if loaded.session is not None and not self._read_only:
            access.must_go_on(loaded.session)
        if loaded.session is None and self._parent_first and (parent_id := self._document.parent_id) is not None:
            try:
                self._look(access.session(self.store, parent_id, self.user_id).look)
            except SessionNotFoundError as error:
                raise IllegalMoveError(
                    f"session {self.session_id!r} can not be made below {parent_id!r}: {error}; create that one first"
                ) from None
        self._presence.incarnation = loaded.incarnation
        self._presence.session = self._document if loaded.session is None else None
        return loaded

    def _look(self, look: Callable[[], T]) -> T:
        try:
            return look()
        except Regressed:  # it is raised once: the next look is answered
            engine = self.store.engine if isinstance(self.store, ReadOnlyStore) else self.store
            if not process.put_back(engine, self.space, self.timeout):
                raise
        return look()

    async def read_ahead(self, agent_ids: Iterable[str], multi_agent_ids: Iterable[str]) -> None:
        """Read off the event loop what `take_agent` and `take_multi_agent` will be asked for."""
        self._ahead = await self.reread(agent_ids, multi_agent_ids)

    def take_agent(self, agent_id: str) -> LoadedAgent:
        """What is stored of the agent, read ahead or now."""
        found = self._ahead.agents.pop(agent_id, None) if self._ahead is not None else None
        loaded = self._ahead
        if found is None or loaded is None:
            loaded = self.read([agent_id])
            found = loaded.agents[agent_id]
        if found.agent is None and loaded.others:
            logger.warning(
                "agent_id=<%s>, session_id=<%s>, agents=<%s> | the session has no such agent: it starts with an empty "
                "history",
                agent_id,
                self.session_id,
                ", ".join(loaded.others),
            )
        return found

    def take_multi_agent(self, multi_agent_id: str) -> LoadedMultiAgent:
        """What is stored of the Graph or Swarm, read ahead or now."""
        found = self._ahead.multi_agents.pop(multi_agent_id, None) if self._ahead is not None else None
        return found or self.read((), [multi_agent_id]).multi_agents[multi_agent_id]

    async def recall(self, tracked: TrackedAgent) -> None:
        """Have an agent know all that was ever stored of it, off the event loop. Costs what the history costs, once in
        a process; see `Context.unsure` for when it takes that."""
        spans = tracked.context.unread()
        look = partial(ids_in, self.store, self.space, tracked.agent_id, *spans)
        found = await self.ask(self._look, look)
        with self.lock:
            self.put(tracked.remember(*found))

    def recall_here(self, tracked: TrackedAgent) -> None:
        """As `recall`, blocking."""
        with self.lock:
            spans = tracked.context.unread()
            look = partial(ids_in, self.store, self.space, tracked.agent_id, *spans)
            self.put(tracked.remember(*self._look(look)))

    async def afford(self) -> None:
        """Before an invocation: whether there is something left to spend.

        Raises:
            BudgetExceededError: There is not.
            StoreError: As the engine says.
        """
        if self._budget is not None:
            await self.ask(self._budget.check)

    async def reread(self, agent_ids: Iterable[str] = (), multi_agent_ids: Iterable[str] = ()) -> Loaded:
        """As `read`, off the event loop."""
        return await self.ask(self.read, agent_ids, multi_agent_ids)

    async def ask(self, look: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call what blocks off the event loop.

        Raises:
            Unavailable: It takes too long.
        """
        return await self._waiting(self.store.offload.submit(look, *args, **kwargs), 0)

    async def _waiting(self, future: Future[T], longer: float, /) -> T:
        text = f"session {self.session_id!r}: the store has not answered within {self.timeout:g} s"
        return await settle(future, self.timeout + longer, lambda: Unavailable(text))

    # ------------------------------------------------------------------------------------------------------- storing

    def put(self, job: Job) -> None:
        """Enqueue a job, if there is anything in it; the caller holds the lock. It travels with what starts next."""
        if job:
            self._writers[job.fence].put(job)

    def waits(self, fence: str) -> bool:
        """Whether anything of this agent or orchestrator is queued."""
        return not self._writers[fence].idle

    def commits(self, fence: str) -> int:
        """How many commits the writer of this agent or orchestrator has made."""
        return self._writers[fence].commits

    def start(self, fence: str) -> None:
        """Have a queue written, unless it is to wait for the end of the invocation."""
        process.store_what_is_left()
        writer = self._writers[fence]
        if self.durability != "turn" or self._presses(writer):
            writer.start()

    def let_go_here(self) -> None:
        """The manager is closed, or the interpreter is ending."""

    def conflicted(self, fence: str) -> bool:
        """Whether what this process has of an agent or orchestrator can not go on: the next invocation reloads it."""
        return self._writers[fence].conflicted

    async def refuse(self, fence: str) -> None:
        """Have it raised that what is queued meets a conflict."""
        await self._settled(self._writers[fence], self.timeout)

    async def room(self, fence: str) -> None:
        """The beginning of the first hook of an invocation: none begins as long as too much is pending.

        Raises:
            StoreError: It could not be stored. The invocation has added nothing to it.
        """
        if self._writers[fence].full:
            await self._settled(self._writers[fence], self.timeout)

    async def during(self, fence: str, *, outside: bool = False) -> None:
        """The end of a hook in mid-invocation: wait if the durability asks for it, or too much is pending.

        Args:
            fence: Whose hook.
            outside: There is no invocation whose end could be waited for.
        """
        writer = self._writers[fence]
        if self.durability == "message" or outside or self._presses(writer):
            await self._settled(writer, self.timeout)
        else:
            self.start(fence)
            if self._writers[fence].conflicted:  # no use in going on: nothing of this turn will be stored
                await self._settled(self._writers[fence], self.timeout)
            await asyncio.sleep(0)  # when many agents were answered at once, the loop looks after others in between

    async def at_end(self, fence: str, *, cancelled: bool = False, moves: bool = False) -> None:
        """The end of the last hook of an invocation: all is stored, or it raises if the durability asks for that.

        In the modes that do not wait, the application asked not to depend on the store: what is pending is kept, the
        log says so, flush and close will raise. But what will not pass by itself (`FINAL`) is raised, and so is any
        error when too much is pending, of this agent or of dropped managers.

        Args:
            fence: Whose hook.
            cancelled: The task is being cancelled. That comes first: no error of a store takes its place.
            moves: What meets a conflict is put behind what it met; see `rebase`.
        """
        writer = self._writers[fence]
        writer.moves = moves
        try:
            seconds = min(self.timeout, CANCELLED_SECONDS) if cancelled else self.timeout
            await self._settled(writer, seconds)
        except StoreError as error:
            too_much = writer.full or process.much_is_left()
            if not cancelled and (self.durability == "message" or isinstance(error, FINAL) or too_much):
                raise
        finally:
            writer.moves = False

    async def settled(self) -> None:
        """Wait until all that is queued now is stored.

        Raises:
            StoreError: Some of it could not be, though all of it was tried. It stays queued.
        """
        failed = []
        for writer in self._all_writers():
            try:
                await self._settled(writer, self.timeout)
            except StoreError as error:
                failed.append((error, error.unwritten))
        _raise_first(failed)

    def drain(self) -> None:
        """As `settled`, blocking, on the calling thread."""
        process.store_what_is_left()
        failed = []
        for writer in self._all_writers():
            try:
                writer.drain_here(self.timeout)
            except StoreError as error:
                failed.append((error, error.unwritten))
        _raise_first(failed)

    def _presses(self, writer: Writer) -> bool:
        """Whether so much is pending in mid-turn that it has to be stored now."""
        return writer.full and not self.whole_turns

    async def _settled(self, writer: Writer, seconds: float) -> None:
        process.store_what_is_left()
        settled = writer.settled()
        if settled is not None:
            writer.start()
            await settle(settled, seconds, lambda: writer.overdue(seconds))


def _raise_first(failed: list[tuple[StoreError, tuple[str, ...]]]) -> None:
    """Raise the first error, if there is one, with the messages of all; several writers may have met the same one."""
    if failed:
        error = failed[0][0]
        error.unwritten = tuple(name for _, unwritten in failed for name in unwritten)
        raise error
