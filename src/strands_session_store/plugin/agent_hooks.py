"""What the hooks of an Agent or BidiAgent store, and when.

hook                              what it does                                            waits in mode
AgentInitialized                  restore the agent: one read, or none after `open`
BeforeInvocation                  store what was edited between turns; open a run         message
MessageAdded, MessageUpdated      store the message                                       message; all outside a run
AfterToolCall                     note the tool call, for the next commit                 none
AfterInvocation (last of all)     store state and context as they are; end the run        all
BidiAgentStop, BidiBeforeConnectionRestart   store                                        all
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from strands.bidi.hooks import BidiAgentStopEvent, BidiBeforeConnectionRestartEvent
from strands.hooks import (
    AfterInvocationEvent,
    AfterToolCallEvent,
    AgentInitializedEvent,
    BeforeInvocationEvent,
    HookOrder,
    HookRegistry,
    MessageAddedEvent,
    MessageUpdatedEvent,
)

from .. import ids
from ..errors import StoreError
from . import recorder
from .jobs import Job
from .loading import originals
from .session import LiveSession
from .stash import lost_stash, refill
from .tracked import TrackedAgent

if TYPE_CHECKING:
    from strands.types.agent import LocalAgent

logger = logging.getLogger(__name__)


class AgentHooks:
    """The agents of one session."""

    def __init__(self, session: LiveSession) -> None:
        self._session = session
        self._agents: dict[str, TrackedAgent] = {}

    def register(self, registry: HookRegistry) -> None:
        # coroutine functions, since the registry awaits nothing else
        registry.add_callback(AgentInitializedEvent, lambda event: self.initialize(event.agent))
        registry.add_callback(BeforeInvocationEvent, self._before_invocation)
        registry.add_callback(MessageAddedEvent, self._message_added)
        registry.add_callback(MessageUpdatedEvent, self._message_added)
        registry.add_callback(AfterToolCallEvent, self._after_tool_call, order=HookOrder.SDK_LAST)
        # last of all, so that what the application's own hooks set in the state is stored too
        registry.add_callback(AfterInvocationEvent, self._after_invocation, order=HookOrder.SDK_LAST)
        registry.add_callback(BidiAgentStopEvent, self._pause, order=HookOrder.SDK_LAST)
        registry.add_callback(BidiBeforeConnectionRestartEvent, self._pause)

    def initialize(self, agent: LocalAgent) -> None:
        """Restore the agent if the session has it; else it is new, and will be stored with its first message."""
        session = self._session
        ids.check("agent_id", agent.agent_id)
        with session.lock:
            if agent.agent_id in self._agents:
                raise StoreError(
                    f"agent_id {agent.agent_id!r} must be unique in session {session.session_id!r}: an agent with it "
                    "was built with this session manager before; give each agent its own agent_id, or a new manager"
                )
            loaded = session.take_agent(agent.agent_id)
            tracked = TrackedAgent(session.session_id, agent, loaded)
            if loaded.agent is not None:
                tracked.restore(agent, loaded)
                stash = lost_stash(agent)
                if stash is not None and (lost := originals(session.store, session.space, loaded)):
                    refill(stash, lost)
            session.adopt(loaded.base)
            self._agents[agent.agent_id] = tracked

    def changed(self, agent: LocalAgent, announced: Any = None) -> None:
        """Enqueue what has changed of the agent."""
        with self._session.lock:
            tracked = self._tracked(agent)
            self._session.put(tracked.sync(announced))
        self._session.start(tracked.fence)

    def redact(self, agent: LocalAgent, message: Any) -> None:
        """Enqueue the redaction of a message."""
        with self._session.lock:
            tracked = self._tracked(agent)
            self._session.put(tracked.redact(message))
        self._session.start(tracked.fence)

    def enqueue_all(self) -> None:
        """Enqueue what has changed of each agent; the caller holds the lock."""
        for tracked in self._agents.values():
            if not tracked.untouched:
                self._session.put(tracked.sync())

    def recall_all(self) -> None:
        """What has to come before `enqueue_all`. Blocks where there is something to read, which is rare."""
        for tracked in list(self._agents.values()):  # another thread may be building an agent
            if tracked.unsure():
                self._session.recall_here(tracked)

    async def arecall_all(self) -> None:
        """As `recall_all`, off the event loop."""
        for tracked in list(self._agents.values()):
            if tracked.unsure():
                await self._session.recall(tracked)

    async def _before_invocation(self, event: BeforeInvocationEvent) -> None:
        await self._session.room(self._tracked(event.agent).fence)
        sure = await self._sure(event.agent, prompt=event.messages or ())
        with self._session.lock:
            tracked = self._tracked(event.agent)
            # a new agent is stored with its first message
            if sure and not tracked.untouched:
                self._session.put(tracked.sync())
            edited = self._session.waits(tracked.fence)
            job = Job(tracked.fence)
            recorder.abandoned(job, tracked)
            tracked.run = recorder.opened(job, agent_id=tracked.agent_id)
            tracked.attempts.clear()
            self._session.put(job)  # travels with the first message
        if edited:
            await self._session.during(tracked.fence)

    async def _message_added(self, event: MessageAddedEvent[LocalAgent] | MessageUpdatedEvent[LocalAgent]) -> None:
        sure = await self._sure(event.agent, announced=event.message)
        with self._session.lock:
            tracked = self._tracked(event.agent)
            if sure:
                self._session.put(tracked.sync(event.message))  # type: ignore[arg-type]
            outside = tracked.run is None
        await self._session.during(tracked.fence, outside=outside)

    def _after_tool_call(self, event: AfterToolCallEvent[LocalAgent]) -> None:
        with self._session.lock:
            tracked = self._tracked(event.agent)
            self._session.put(recorder.tool_call(event, tracked, tracked.agent_id))

    async def _after_invocation(self, event: AfterInvocationEvent) -> None:
        ending, cancelled = recorder.ending(event), recorder.being_cancelled()
        sure = await self._sure(event.agent, wait=not cancelled)
        with self._session.lock:
            tracked = self._tracked(event.agent)
            job = tracked.sync() if sure else Job(tracked.fence)
            if tracked.run is not None:
                recorder.closed(job, tracked.run, **ending)
                tracked.run = None
            self._session.put(job)
        await self._session.at_end(tracked.fence, cancelled=cancelled)

    async def _pause(self, event: BidiAgentStopEvent | BidiBeforeConnectionRestartEvent) -> None:
        if await self._sure(event.agent):
            with self._session.lock:
                self._session.put(self._tracked(event.agent).sync())
        await self._session.at_end(self._tracked(event.agent).fence)

    async def _sure(self, agent: Any, *, prompt: Any = (), announced: Any = None, wait: bool = True) -> bool:
        """Whether it can be told what is new of an agent; what it takes is read. If not, a later hook stores it."""
        if not (tracked := self._tracked(agent)).unsure(prompt, announced):
            return True
        if not wait:
            return False
        try:
            await self._session.recall(tracked)
        except StoreError as error:
            if self._session.durability == "message":
                raise
            logger.warning(
                "agent_id=<%s>, session_id=<%s> | the rest of the history can not be read, so what is new is stored by "
                "a later hook: %s",
                tracked.agent_id,
                self._session.session_id,
                str(error),
            )
            return False
        return True

    def _tracked(self, agent: Any) -> TrackedAgent:
        tracked = self._agents.get(agent.agent_id)
        if tracked is None or tracked.agent is not agent:
            raise StoreError(
                f"agent {agent.agent_id!r} was not built with the session manager of session "
                f"{self._session.session_id!r}; pass it as Agent(session_manager=...)"
            )
        return tracked
