"""Sessions below a session (`sub_sessions=True`): what agents say that are called by its agents and orchestrators.

Law: it is a record. An agent that is called is given nothing back, also where it keeps its context between calls: what
it has is what Strands and the application gave it.

Rule 1. One session for each caller and name, of the same owner; its id is derived from these, so that the next process
        goes on in it. It is made by its first message.
Rule 2. Each is a space of its own: what is stored of a call and of the turn that made it are different commits.
Rule 3. It has no lease: who calls has one (`exclusive`). A record that another process went on with, that was deleted
        or has expired is gone on with at its end; one that another process writes during the call is a conflict.
Rule 4. Messages that an agent has when it is called, and that were not said in this session, are in the context only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from strands import Agent
from strands.hooks import (
    AfterInvocationEvent,
    AfterModelCallEvent,
    AfterToolCallEvent,
    BeforeModelCallEvent,
    BeforeToolCallEvent,
    MessageAddedEvent,
    MessageUpdatedEvent,
)

from .. import ids, records
from ..errors import ConflictError
from ..messages import Message, same, snapshot
from ..sessions.checks import MAX_TITLE
from . import recorder
from .agent_hooks import AgentHooks
from .hearing import AgentCall, at_nodes, called, hear
from .holds import Hold
from .jobs import Job
from .live import LiveSession
from .orchestrators import TrackedMultiAgent, agents_in
from .session import FINAL
from .tracked import TrackedAgent

if TYPE_CHECKING:
    from strands.multiagent.base import MultiAgentBase
    from strands.types.agent import LocalAgent


class SubSessions:
    """All below one session, by whatever depth."""

    def __init__(self, session: LiveSession, make: Callable[[records.Session], LiveSession]) -> None:
        self._session, self._make = session, make
        self._made: dict[str, Recorded] = {}

    def begin(self) -> None:
        """An invocation begins: what could not be stored before is tried again, for nobody who waits."""
        for session in list(self._session.below):
            for writer in session.writers:
                if not writer.idle:
                    writer.start()

    def calling(self, above: str, caller: TrackedAgent, event: BeforeToolCallEvent[LocalAgent]) -> None:
        """An agent of session ``above`` is about to call a tool, which may be an agent."""
        tool: Any = event.selected_tool
        called.set(None)
        if event.cancel_tool or getattr(tool, "tool_type", None) != "agent":
            return
        agent = getattr(tool, "agent", None)
        if not isinstance(agent, Agent) or agent._session_manager is not None:  # it keeps its own session
            return
        recorded = self._recorded("sub_agent", above, caller.agent_id, tool.tool_name, agent=agent)
        caller.calls[event.tool_use["toolUseId"]] = call = AgentCall(agent, caller, recorded)
        hear(agent)
        called.set(call)

    def nodes(self, caller: TrackedMultiAgent, source: MultiAgentBase, state: dict[str, Any]) -> None:
        """An orchestrator of the session is about to be invoked with the state."""
        calls = {}
        for path, agent in agents_in(source):
            above = self._session.session_id
            recorded = self._recorded("node", above, caller.multi_agent_id, *path, agent=agent)
            calls[agent] = AgentCall(agent, caller, recorded)
            hear(agent)
        at_nodes(state, calls)

    def _recorded(self, kind: str, above: str, *names: str, agent: Agent) -> Recorded:
        id = ids.below(above, kind, *names)
        with self._session.lock:
            if (found := self._made.get(id)) is None:
                name = str(agent.name)[:MAX_TITLE]
                live = self._make(
                    records.Session(
                        session_id=id,
                        user_id=self._session.user_id,
                        parent_id=above,
                        kind=kind,
                        title=name,
                        agent_name=name,
                    )
                )
                self._session.below.append(live)
                found = self._made[id] = Recorded(live, self)
        return found


class Recorded(AgentHooks):
    """An agent that is called, in the session that it has for that."""

    def __init__(self, session: LiveSession, below: SubSessions) -> None:
        super().__init__(session, rebase=False, below=below)
        self._asked: Message | None = None
        """A copy of the last message, while the model is being asked."""

    @property
    def session_id(self) -> str:
        return self.session.session_id

    async def begin(self, agent: LocalAgent) -> str:
        """An invocation begins. Costs one read.

        Returns:
            The id of its run.
        """
        tracked = await self._gone_on(agent)
        await self.session.room(tracked.fence)
        with self.session.lock:
            tracked.heard_elsewhere()
            job = Job(tracked.fence)
            run = recorder.begun(job, tracked, agent_id=tracked.agent_id)
            self.session.put(job)  # travels with the first message
        return run.run_id

    async def hear(self, event: Any) -> None:
        """Something happens in an invocation."""
        match event:
            case MessageAddedEvent() | MessageUpdatedEvent():
                await self._message_added(event)
            case BeforeToolCallEvent():
                self._before_tool_call(event)
            case AfterToolCallEvent():
                self._after_tool_call(event)
            case AfterInvocationEvent():
                await self._after_invocation(event)
            case BeforeModelCallEvent():
                self._asked = snapshot(event.agent.messages[-1]) if event.agent.messages else None
            case AfterModelCallEvent():
                self._answered(event.agent)

    async def _sure(self, agent: Any, *, prompt: Any = (), announced: Any = None, wait: bool = True) -> bool:
        """Always: what is new in a call is heard (rule 4), so that the rest of a history is never read."""
        return True

    def _answered(self, agent: Any) -> None:
        """The model may have had the last message redacted: in place, without an event, and there is no manager that
        could be told."""
        before, last = self._asked, agent.messages[-1] if agent.messages else None
        self._asked = None
        if before is None or last is None or same(before, last):
            return
        if before.get("tracking_id") == last.get("tracking_id"):
            self.redact(agent, last)

    async def _gone_on(self, agent: LocalAgent) -> TrackedAgent:
        """The agent, with the record as it is stored."""
        session, tracked = self.session, self._agents.get(agent.agent_id)
        if tracked is not None and tracked.agent is agent:
            with contextlib.suppress(ConflictError):  # it was deleted, or has expired
                if await session.begin(tracked.fence, Hold(agent, agent)):
                    return tracked
        elif tracked is not None:  # another agent has its place now, and goes on behind it
            with contextlib.suppress(*FINAL):
                await session.settled()
        loaded = (await session.reread([agent.agent_id])).agents[agent.agent_id]
        with session.lock:
            self._agents[agent.agent_id] = tracked = TrackedAgent(session.session_id, agent, loaded)
            session.adopt(loaded.base)
        return tracked
