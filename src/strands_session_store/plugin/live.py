"""A session that other processes may run as well: who may run it now, and whether an agent is what is stored.

What is stored, and how, knows nothing of this (`session`): each commit expects what it has to by itself.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Literal

from ..errors import ConflictError, StoreError
from ..stores.base import Change, Ttl
from .holds import Hold
from .leases import Lease
from .loading import Base, Loaded
from .session import FINAL, BareSession
from .taking import Terms
from .writer import Writer

logger = logging.getLogger(__name__)

OnStale = Literal["reload", "raise", "conflict"]
"""When another process went on with an agent that is kept in memory. ``reload``: before an invocation one read tells,
and the agent is made what is stored. ``raise``: one read tells, and a ConflictError is raised until the agent is
reloaded by hand. ``conflict``: nothing is read; the first commit finds out, and its hook raises a ConflictError. An
agent whose commit met a conflict is reloaded by its next invocation in each of them."""

OnConflict = Literal["raise", "rebase"]
"""When another process wrote an agent while it was invoked here. ``raise``: a ConflictError; the next invocation goes
on from what is stored. ``rebase`` (durability "turn"): the turn is stored behind the other's, whole; the agent has then
the other's messages with its own behind them. Where that can't be, as for a Graph or Swarm, a ConflictError too."""


class LiveSession(BareSession):
    """One session of one session manager."""

    def __init__(self, *args: Any, ttl: Ttl, on_stale: OnStale, lease: Terms | None, **options: Any) -> None:
        """As `BareSession`. ``lease``: None where invocations take none."""
        super().__init__(*args, ttl=ttl, **options)
        self._on_stale: OnStale = on_stale
        self._sure: dict[str, object] = {}
        """For each agent and orchestrator, the lease under which it was last seen to be what is stored."""
        self._doubted: set[str] = set()
        """Agents that may be another by what this manager did, whose answer it has not heard."""
        self._lease: Lease | None = None
        if lease is not None:
            self._lease = Lease(self.store, self.space, lease, ttl, partial(_pending, self._writers))
            self._presence.lease = self._lease

    @property
    def exclusive(self) -> bool:
        """Whether invocations take a lease."""
        return self._lease is not None

    def forked(self) -> None:
        super().forked()
        if self._lease is not None:
            self._presence.lease = self._lease
            self._lease.forked()

    def read(self, agent_ids: Iterable[str] = (), multi_agent_ids: Iterable[str] = ()) -> Loaded:
        tenure = self._tenure  # before: what is read ahead of a lease may be old when it is used under one
        loaded = super().read(agent_ids, multi_agent_ids)
        if self._lease is not None:
            self._lease.found(loaded.lease)
        bases = [agent.base for agent in loaded.agents.values()]
        for base in [*bases, *(source.base for source in loaded.multi_agents.values())]:
            self._seen_under_lease(base.fence, tenure)
        return loaded

    async def begin(self, fence: str, hold: Hold) -> bool:
        """Before an invocation: have the lease, and see whether what is stored of its agent or orchestrator is what is
        known of it here.

        Raises:
            SessionBusyError: Another process runs the session.
            ConflictError: The session was deleted, or made anew; or the agent is another, and that is to be raised.
            StoreError: As the engine says.
        """
        writer = self._writers[fence]
        if await self.have_lease(fence, hold):
            self._seen_under_lease(fence, self._tenure)
            return True
        if writer.conflicted:
            return False
        if fence not in self._doubted:
            if self._lease is None:
                if self._on_stale == "conflict":
                    return True
            elif (tenure := self._tenure) is not None and self._sure.get(fence) == tenure:
                return True  # whoever else writes takes the lease first
        if not writer.idle:
            return True  # what is pending finds out by itself
        try:
            current = await self.ask(writer.is_current)
        except StoreError as error:
            doubted = fence in self._doubted  # what it would say now would meet a conflict
            if self.durability == "message" or self._lease is not None or isinstance(error, FINAL) or doubted:
                raise
            logger.warning("session_id=<%s> | it can not be seen whether another wrote it: %s", self.session_id, error)
            return True
        if current:
            self._seen_under_lease(fence, self._tenure)
        return current

    def doubt(self, fence: str) -> None:
        """What this manager did outside of the agent's writer may be stored: its next invocation looks, and goes on
        from what is."""
        self._doubted.add(fence)

    def adopt(self, base: Base) -> None:
        super().adopt(base)
        self._doubted.discard(base.fence)

    @property
    def _tenure(self) -> object:
        lease = self._presence.lease
        return None if lease is None else lease.tenure

    def _seen_under_lease(self, fence: str, tenure: object) -> None:
        if tenure is not None:
            self._sure[fence] = tenure

    async def have_lease(self, fence: str, hold: Hold) -> bool:
        """Have the lease, if invocations take one. Whether that told that the agent is as it is known here.

        Raises:
            SessionBusyError: Another process runs the session.
            ConflictError: The session was deleted, or made anew.
            StoreError: As the engine says.
        """
        if self._lease is None:
            return False
        writer = self._writers[fence]
        # which session it is does not matter any more when the agent will be reloaded
        known, expects = (None, []) if writer.conflicted else (writer.incarnation, writer.expectation())
        try:
            return await self._enter(hold, known, expects) and bool(expects)
        except ConflictError as conflict:
            raise writer.met(conflict) from conflict

    async def _enter(self, hold: Hold, known: str | None, expects: Sequence[Change]) -> bool:
        assert self._lease is not None
        while (releasing := self._lease.releasing) is not None:
            with contextlib.suppress(*FINAL):  # another agent's: it is told when it is invoked
                await self.settled()  # a commit whose fate is unknown is repeated
            await self._waiting(releasing, 0)
        incarnation, verified = await self._lease.enter(hold, known, expects, self._waiting)
        self._presence.incarnation, self._presence.lease = incarnation, hold.lease
        return verified

    @asynccontextmanager
    async def lease(self, owner: object) -> AsyncIterator[None]:
        """Have the lease for a block; what was read ahead is as it is then.

        Raises:
            As `have_lease`.
        """
        hold = Hold(owner, owner)
        try:
            try:
                as_read = await self._enter(hold, self._presence.incarnation, ())
            except ConflictError:  # it was deleted, or made anew: whom that concerns is told when it is invoked
                as_read = await self._enter(hold, None, ())
            if (ahead := self._ahead) is not None and not as_read:
                self._ahead = await self.reread(list(ahead.agents), list(ahead.multi_agents))
            yield
        finally:
            self.leave("", hold)
            await self.let_go()

    def lease_guard(self) -> Change | None:
        """What a commit of this session expects of its lease; None: there is none, as invocations take none."""
        lease = self._presence.lease
        return None if lease is None else lease.guard(last=False)

    def stale(self, fence: str) -> ConflictError | None:
        """What to raise where an agent is not what is stored; None where it is to be reloaded, as the error of a
        conflict has said already that it would be."""
        if self._on_stale != "raise" or self.conflicted(fence) or fence in self._doubted:
            return None
        name = f"session {self.session_id!r}"
        return ConflictError(
            fence,
            "what this process knows",
            "another's",
            f"{name} was written by another process since it was loaded; nothing was written. Call the session "
            "manager's reload(agent) to go on from what is stored, or build it anew.",
        )

    def leave(self, fence: str, hold: Hold | None) -> None:
        """The end of an invocation is queued: the commit that stores it lets go of the lease if nobody else uses it."""
        if hold is not None and hold.lease is not None:
            others = {of: writer for of, writer in self._writers.items() if of != fence}
            hold.lease.leave(hold, ending=not _pending(others))

    async def let_go(self) -> None:
        """Let go of the lease if nobody uses it, and the last commit has not. Nor while another agent's last commit is
        on its way, which would be refused; whoever ends last does it, or the next beat."""
        lease = self._lease
        if lease is not None and lease.unused and lease.releasing is None and not _pending(self._writers):
            try:
                await self.ask(lease.release)
            except StoreError as error:  # what was said is stored: at worst another waits for the expiry
                logger.warning("session_id=<%s> | the lease could not be let go of: %s", self.session_id, error)

    def let_go_here(self) -> None:
        """As `let_go`, blocking, whoever uses it: the manager is closed, or the interpreter is ending."""
        if self._lease is not None:
            with contextlib.suppress(StoreError):
                self._lease.abandon()

    async def at_end(
        self, fence: str, *, cancelled: bool = False, moves: bool = False, hold: Hold | None = None
    ) -> None:
        """As there; ``hold``: the invocation's part in the lease, which ends with it."""
        self.leave(fence, hold)
        try:
            await super().at_end(fence, cancelled=cancelled, moves=moves)
        except FINAL:
            await self.let_go()
            raise
        if not cancelled:  # else the lease's next beat does
            await self.let_go()


def _pending(writers: dict[str, Writer]) -> bool:
    return any(not writer.over for writer in list(writers.values()))
