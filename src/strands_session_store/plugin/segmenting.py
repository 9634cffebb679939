"""Segments of a live agent's conversation (`segment_after`): one ends after a turn, when it has grown large.

Law: it ends when all of it is stored, and before the next invocation begins. Then the agent is made what is stored: its
messages are the summary and the turns that are kept, in the list that it has.

Rule 1. Whatever fails, a summary or the store, costs nothing but the attempt: the segment goes on, the log says so, a
        summary's failure is an event, and the next turn tries again.
Rule 2. With ``exclusive`` it ends under the lease of its last invocation.
Rule 3. With a ``ttl``, segments that have ended are kept as long as the conversation, by whoever runs that.
"""

from __future__ import annotations

import logging
import math
import time
import weakref
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from strands import Agent

from .. import calls, records
from ..errors import ConflictError, StoreError
from ..messages import Message
from ..prices import Prices
from ..segments import SegmentAfter, Size
from ..sessions import access
from ..sessions.expiring import keep
from ..sessions.rollover import NO_SUMMARY, Grown, counting, finished, given_up, measured
from ..sessions.segmenting import failed
from ..stores.base import Ttl
from ..summaries import Summarizer, fold_async
from ..summarizers import async_summarizer
from ..turns import ends_turn
from . import recorder
from .jobs import Job
from .live import LiveSession
from .tracked import TrackedAgent

if TYPE_CHECKING:
    from strands.types.agent import LocalAgent

    from .agent_hooks import AgentHooks

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Segmenting:
    """Of one session manager."""

    def __init__(self, session: LiveSession, after: SegmentAfter | None, prices: Prices, ttl: Ttl) -> None:
        """``after``: None where none ends here, and those that have are to be kept."""
        self._session, self._ends, self.after = session, after is not None, after or SegmentAfter()
        self._prices, self._ttl = prices, ttl
        self._summarize = None if self.after.summarize is None else async_summarizer(self.after.summarize)
        self._grown: weakref.WeakKeyDictionary[TrackedAgent, Grown] = weakref.WeakKeyDictionary()
        self._failed: weakref.WeakKeyDictionary[TrackedAgent, int] = weakref.WeakKeyDictionary()
        """The length of a history that no summary could be made of: it is not tried again before more is said."""
        self._kept = -math.inf
        """When what has ended was seen to be kept, by the monotonic clock."""

    async def due(self, tracked: TrackedAgent) -> bool | None:
        """Whether the segment of an agent whose turn is over ends now; None: that takes a look at what is stored, when
        all of it is."""
        if not self._able(tracked):
            return False
        size = await self._counted(lambda: self._grow(tracked))
        return None if size is None else self.after.due(size)

    async def make_room(
        self, hooks: AgentHooks, agent: LocalAgent, tracked: TrackedAgent, prompt: Iterable[Any]
    ) -> None:
        """A turn of the agent is about to begin: end the segment before it, where what the user says would be too much
        for it, and keep those that have ended (rule 3). The agent is as it is stored, but for what is pending."""
        if tracked.segmented:  # the turn may fail, and moves the conversation's expiry all the same
            await self._tried(self._keep(), tracked)
        said, count = list(prompt), self._count(tracked)
        if not said or not self._able(tracked):
            return
        size = await self._counted(lambda: self._grow(tracked))
        coming = await self._counted(lambda: sum(map(count, said)))
        if size is not None and coming is not None and self.after.due(size, coming):
            await self._session.at_end(tracked.fence)
            await self._tried(self._end(hooks, agent, tracked, coming), tracked)

    async def turn_over(self, hooks: AgentHooks, agent: LocalAgent, tracked: TrackedAgent, due: bool | None) -> None:
        """A turn of the agent is stored, and the session is run by this manager alone. ``due``: as `due` said."""
        if due is not False:
            await self._tried(self._end(hooks, agent, tracked), tracked)
        if self._ends or tracked.segmented:
            await self._tried(self._keep(), tracked)

    # ------------------------------------------------------------------------------------------------------- private

    def _able(self, tracked: TrackedAgent) -> bool:
        """Whether the agent stands at the end of a turn."""
        agent = tracked.agent
        if (
            not self._ends
            or not isinstance(agent, Agent)
            or getattr(agent.model, "stateful", False)
            or agent._interrupt_state.activated
        ):
            return False
        return bool(agent.messages) and ends_turn(agent.messages[-1])

    async def _counted(self, count: Callable[[], T]) -> T | None:
        """What is counted, off the event loop; None where no thread was free for it in time."""
        try:
            return await self._session.ask(count)
        except StoreError:
            return None

    async def _tried(self, attempt: Awaitable[None], tracked: TrackedAgent) -> None:
        try:
            await attempt
        except StoreError as error:
            logger.warning(
                "agent_id=<%s>, session_id=<%s> | a segment could not be ended or kept, the next turn tries again: %s",
                *(tracked.agent_id, self._session.session_id, error),
            )

    async def _end(
        self, hooks: AgentHooks, agent: LocalAgent, tracked: TrackedAgent, coming: int | None = None
    ) -> None:
        session, id = self._session, tracked.agent_id
        if session.waits(tracked.fence):  # it could not be stored, and will be: an end would come before it
            return
        measure = partial(measured, coming=coming, own=session.lease_guard())
        look = await session.ask(measure, self._access(), id, self.after, self._count(tracked))
        if look is None or look.grown.upto != tracked.context.history or session.waits(tracked.fence):
            return  # something is pending: what is not stored would be lost to the agent
        self._grown[tracked] = look.grown
        rollover = look.rollover
        if rollover is None or self._failed.get(tracked) == look.grown.upto:
            return
        try:
            made = await fold_async(rollover.asked, self._summarizer(agent), rollover.room)
        except Exception as error:  # a model's, a callable's: whatever it is, the turn is over and stored
            logger.warning(NO_SUMMARY, id, session.session_id, records.described(error))
            self._failed[tracked] = look.grown.upto
            with session.lock:
                session.put(recorder.happened(Job(tracked.fence), failed(id, error)))
            await session.at_end(tracked.fence)
            return
        if session.waits(tracked.fence) or tracked.edited():
            self._tell_changed(id)
            return await session.ask(given_up, rollover, made, self._prices)
        try:
            await session.ask(finished, rollover, made, self._prices, own=session.lease_guard(), ttl=self._ttl)
        except ConflictError:
            self._tell_changed(id)
            raise
        except BaseException:  # it may be decided
            session.doubt(tracked.fence)
            raise
        try:
            await hooks.renew(agent, tracked)
        except BaseException:
            session.doubt(tracked.fence)
            raise

    def _tell_changed(self, agent_id: str) -> None:
        logger.info(
            "agent_id=<%s>, session_id=<%s> | it was changed while a segment of it ended, which goes on",
            *(agent_id, self._session.session_id),
        )

    async def _keep(self) -> None:
        """Rule 3."""
        ttl, now = self._ttl, time.monotonic()
        if isinstance(ttl, float | int) and now >= self._kept:
            self._kept = now + await self._session.ask(keep, self._access(), ttl)

    def _access(self) -> access.Access[records.Session]:
        session = self._session
        return access.session(session.store, session.session_id, session.user_id)

    def _summarizer(self, agent: Any) -> Summarizer:
        return self._summarize or async_summarizer(agent.model)

    def _count(self, tracked: TrackedAgent) -> Callable[[Message], int]:
        model, _ = calls.named(getattr(tracked.agent, "model", None))
        return counting(model if isinstance(model, str) else None)

    def _grow(self, tracked: TrackedAgent) -> Size | None:
        """The size by now, from what is known of the agent here; None: that does not suffice. Takes a while."""
        count, context = self._count(tracked), tracked.context
        with self._session.lock:
            grown, upto = self._grown.get(tracked), context.history
            said = context.since(0 if grown is None else grown.upto)
            ahead = context.ahead()
        if said is None:
            return None
        before = Size(sum(map(count, ahead)), ()) if grown is None else grown.size
        size = before.with_turns((message, count(message)) for message in said)
        self._grown[tracked] = Grown(size, upto)
        return size
