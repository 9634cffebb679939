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
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

from strands import Agent

from .. import tokens
from ..errors import StoreError
from ..messages import Message
from ..prices import Prices
from ..segments import MAX_TOKENS, SegmentAfter, Size, begins_turn, ends_turn, size_of
from ..sessions import access
from ..sessions.ending import end
from ..sessions.live_segment import LiveSegment, read_live
from ..sessions.segmenting import ending, failed, slide, to_summarize
from ..stores.base import Ttl
from ..summaries import Summary, fold_async
from ..summarizers import async_summarizer
from . import recorder
from .jobs import Job
from .live import LiveSession
from .tracked import TrackedAgent

if TYPE_CHECKING:
    from strands.types.agent import LocalAgent

    from .agent_hooks import AgentHooks

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Grown:
    """An agent's segment, as far as it is counted."""

    size: Size
    upto: int
    """Index behind the last message of it."""


class Segmenting:
    """Of one session manager."""

    def __init__(self, session: LiveSession, after: SegmentAfter, prices: Prices, ttl: Ttl) -> None:
        self._session, self.after, self._prices, self._ttl = session, after, prices, ttl
        self._summarize = None if after.summarize is None else async_summarizer(after.summarize)
        self._grown: weakref.WeakKeyDictionary[TrackedAgent, _Grown] = weakref.WeakKeyDictionary()
        self._slid: set[str] = set()

    def may_end(self, tracked: TrackedAgent) -> bool:
        """Whether a turn of the agent has just ended, and no more than that."""
        agent = tracked.agent
        if not isinstance(agent, Agent) or getattr(agent.model, "stateful", False) or not agent.messages:
            return False
        return ends_turn(agent.messages[-1]) and not agent._interrupt_state.activated

    async def due(self, tracked: TrackedAgent) -> bool | None:
        """Whether its segment ends now; None: that takes a look at what is stored, when all of it is."""
        grown = await self._session.ask(self._grow, tracked)
        return None if grown is None else self.after.due(grown.size)

    async def end(self, hooks: AgentHooks, agent: LocalAgent, tracked: TrackedAgent) -> None:
        """End the segment, if it is due. All of the agent is stored; the session is run by this manager alone."""
        try:
            await self._end(hooks, agent, tracked)
        except StoreError as error:
            logger.warning(
                "agent_id=<%s>, session_id=<%s> | the segment goes on, as it could not be ended: %s",
                tracked.agent_id,
                self._session.session_id,
                error,
            )

    async def _end(self, hooks: AgentHooks, agent: LocalAgent, tracked: TrackedAgent) -> None:
        session, id = self._session, tracked.agent_id
        at = access.session(session.store, session.session_id, session.user_id)
        if self._ttl_seconds is not None and id not in self._slid:
            ...
        live = await session.ask(read_live, at, id)
        if live is None or not live.whole:
            return
        size = await session.ask(live.size, self._count(agent))
        self._grown[tracked] = _Grown(size, live.length)
        if not self.after.due(size):
            return
        cut, summary = to_summarize(live, self.after, size)
        try:
            made = await fold_async(asked, self._summarizer(agent), self.after.max_tokens or MAX_TOKENS)
        except Exception as error:
            logger.warning(
                "agent_id=<%s>, session_id=<%s>, error=<%s> | no summary could be made: the segment goes on",
                *(id, session.session_id, records.described(error)),
            )
            with session.lock:
                session.put(recorder.happened(Job(tracked.fence), failed(id, error)))
            await session.at_end(tracked.fence)
            return
        ends = ending(live, cut, self.after, made, self._prices, own=session.lease_guard(), ttl=self._ttl)
        await session.ask(end, live, ends)
        await hooks.reload(agent)
        logger.info("agent_id=<%s>, session_id=<%s> | a segment has ended", id, session.session_id)
