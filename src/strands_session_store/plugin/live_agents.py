"""The live agents of one session, and how each becomes what is stored: when it is built, and when another process, or
what was done here beside it, has gone on with it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from .. import ids, layout
from ..errors import ConflictError, StoreError
from ..messages import Message, snapshot
from .built import set_state
from .hearing import AgentCall, in_background
from .holds import Hold
from .live import LiveSession
from .loading import LoadedAgent, originals
from .rebase import merged
from .stash import lost_stash, refill
from .tracked import TrackedAgent

if TYPE_CHECKING:
    from strands.types.agent import LocalAgent

    from .sub_sessions import SubSessions

logger = logging.getLogger(__name__)


class LiveAgents:
    """By their ids."""

    def __init__(self, session: LiveSession, below: SubSessions | None) -> None:
        self.session, self._below = session, below
        self._agents: dict[str, TrackedAgent] = {}

    def initialize(self, agent: LocalAgent) -> None:
        """Restore the agent if the session has it; else it is new, and will be stored with its first message."""
        session = self.session
        ids.check("agent_id", agent.agent_id)
        with session.lock:
            if agent.agent_id in self._agents:
                raise StoreError(
                    f"agent_id {agent.agent_id!r} must be unique in session {session.session_id!r}: an agent with it "
                    "was built with this session manager before; give each agent its own agent_id, or a new manager"
                )
            loaded = session.take_agent(agent.agent_id)
            tracked = TrackedAgent(session.session_id, agent, loaded)
            tracked.restore(agent, loaded)
            if (stash := lost_stash(agent)) is not None and (lost := originals(session.store, session.space, loaded)):
                refill(stash, lost)
            session.adopt(loaded.base)
            self._agents[agent.agent_id] = tracked
        if self._below is not None:
            in_background(agent, lambda: self.calls(agent))

    async def reload(self, agent: LocalAgent) -> TrackedAgent:
        """Make the agent what is stored, in place. What could not be stored of it is given up."""
        self._tracked(agent)
        return self.reloaded(agent, *await self.session.ask(self.reread, agent))

    async def renew(self, agent: Any, tracked: TrackedAgent) -> TrackedAgent:
        """As `reload`; what the application has set in the state since it was stored holds."""
        loaded = await self.session.ask(self.reread, agent)
        before, after = tracked.stored_state, snapshot(agent.state._data)
        renewed = self.reloaded(agent, *loaded)
        set_state(agent, merged(before, after, agent.state._data))
        return renewed

    def reload_here(self, agent: LocalAgent) -> None:
        """As `reload`, blocking."""
        self._tracked(agent)
        self.reloaded(agent, *self.reread(agent))

    def reread(self, agent: LocalAgent) -> tuple[LoadedAgent, list[Message]]:
        """What is stored of the agent, and the originals that its stash may lack. Blocks."""
        session = self.session
        loaded = session.read([agent.agent_id]).agents[agent.agent_id]
        return loaded, [] if lost_stash(agent) is None else originals(session.store, session.space, loaded)

    def reloaded(self, agent: LocalAgent, loaded: LoadedAgent, lost: list[Message]) -> TrackedAgent:
        """Make the agent what `reread` has found."""
        session, before = self.session, self._tracked(agent)
        with session.lock:
            tracked = TrackedAgent(session.session_id, agent, loaded, before.built)
            tracked.hold = before.hold
            tracked.restore(agent, loaded, again=True)
            if lost:
                refill(lost_stash(agent), lost)
            session.adopt(loaded.base)
            self._agents[agent.agent_id] = tracked
        logger.info(
            "agent_id=<%s>, session_id=<%s>, messages=<%d> | reloaded as it is stored",
            agent.agent_id,
            session.session_id,
            len(agent.messages),
        )
        return tracked

    def calls(self, agent: Any) -> dict[str, AgentCall]:
        """The agents that an agent has called and not heard of yet: tool use id -> call."""
        return self._tracked(agent).calls

    async def _current(self, agent: Any, tracked: TrackedAgent, hold: Hold) -> TrackedAgent:
        """Have the lease, and the agent be what is stored."""
        session, fence = self.session, tracked.fence
        if await session.begin(fence, hold):
            return tracked
        if (conflict := session.stale(fence)) is not None:
            raise conflict
        if not session.conflicted(fence) and (session.waits(fence) or tracked.edited()):
            # messages that were edited belong to another past: it is told before they are given up
            with session.lock:
                session.put(tracked.sync())
            await session.refuse(fence)
        answering = _interrupted(agent)
        tracked = await self.renew(agent, tracked)
        if answering or _interrupted(agent):  # Agent has looked at its interrupts already, and at its last message
            now = "it waits for an interrupt's answer" if _interrupted(agent) else "the interrupt was answered there"
            raise ConflictError(
                layout.agent(tracked.agent_id),
                "what this process knows",
                "another's",
                f"session {session.session_id!r}: another process went on with agent {tracked.agent_id!r}, and {now}; "
                "nothing was written. The agent was reloaded; invoke it again as its messages and interrupts ask for.",
            )
        return tracked

    def _tracked(self, agent: Any) -> TrackedAgent:
        tracked = self._agents.get(agent.agent_id)
        if tracked is None or tracked.agent is not agent:
            raise StoreError(
                f"agent {agent.agent_id!r} was not built with the session manager of session "
                f"{self.session.session_id!r}; pass it as Agent(session_manager=...)"
            )
        return tracked


def _interrupted(agent: Any) -> bool:
    state = getattr(agent, "_interrupt_state", None)
    return state is not None and state.activated
