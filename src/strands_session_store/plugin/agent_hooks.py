"""What the hooks of an Agent or BidiAgent store, and when.

hook                              what it does                                            waits in mode
AgentInitialized                  restore the agent: one read, or none after `open`
BeforeInvocation (first of all)   have the lease; see that the agent is what is stored    all
                                  store what was edited between turns; open a run         message
MessageAdded, MessageUpdated      store the message                                       message; all outside a run
BeforeToolCall                    with `sub_sessions`: know an agent that is called       none
AfterToolCall                     note the tool call, for the next commit                 none
AfterInvocation (last of all)     store state and context as they are; end the run        all
BidiAgentStop, BidiBeforeConnectionRestart   store                                        all
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from strands import Agent
from strands.bidi.hooks import BidiAgentStopEvent, BidiBeforeConnectionRestartEvent
from strands.hooks import (
    AfterInvocationEvent,
    AfterToolCallEvent,
    AgentInitializedEvent,
    BeforeInvocationEvent,
    BeforeToolCallEvent,
    HookOrder,
    HookRegistry,
    MessageAddedEvent,
    MessageUpdatedEvent,
)

from ..errors import ConflictError, StoreError
from . import recorder
from .hearing import called, surface
from .holding import holding, letting_go
from .holds import Hold, token_in
from .jobs import Job
from .live import LiveSession
from .live_agents import LiveAgents
from .moving import put_behind
from .rebase import Turn
from .repair import answered
from .tracked import TrackedAgent

if TYPE_CHECKING:
    from strands.types.agent import LocalAgent

    from .segmenting import Segmenting
    from .sub_sessions import SubSessions

logger = logging.getLogger(__name__)


class AgentHooks(LiveAgents):
    """The agents of one session."""

    def __init__(
        self,
        session: LiveSession,
        *,
        rebase: bool,
        below: SubSessions | None = None,
        segmenting: Segmenting | None = None,
    ) -> None:
        """
        Args:
            session: Theirs.
            rebase: Whether a turn that meets a conflict is put behind the other's.
            below: Where agents that they call have sessions of their own.
            segmenting: Ends their segments.
        """
        super().__init__(session, below)
        self._rebase, self._segmenting = rebase, segmenting
        self.expected: set[str] = set()
        """Tracking ids of prompts that are known to be new."""
        session.whole_turns = rebase

    def register(self, registry: HookRegistry) -> None:
        # coroutine functions, since the registry awaits nothing else
        registry.add_callback(AgentInitializedEvent, lambda event: self.initialize(event.agent))
        # first of all, so that the application's own hooks see the agent as it will go on
        registry.add_callback(BeforeInvocationEvent, self._before_invocation, order=HookOrder.SDK_FIRST)
        registry.add_callback(MessageAddedEvent, self._message_added)
        registry.add_callback(MessageUpdatedEvent, self._message_added)
        if self._below is not None:  # last of all, when it is settled which tool it is
            registry.add_callback(BeforeToolCallEvent, self._before_tool_call, order=HookOrder.SDK_LAST)
        registry.add_callback(AfterToolCallEvent, self._after_tool_call, order=HookOrder.SDK_LAST)
        # last of all, so that what the application's own hooks set in the state is stored too
        registry.add_callback(AfterInvocationEvent, self._after_invocation, order=HookOrder.SDK_LAST)
        registry.add_callback(BidiAgentStopEvent, self._stop, order=HookOrder.SDK_LAST)
        registry.add_callback(BidiBeforeConnectionRestartEvent, self._pause)

    def changed(self, agent: LocalAgent, announced: Any = None) -> None:
        """Enqueue what has changed of the agent."""
        with self.session.lock:
            tracked = self._tracked(agent)
            self.session.put(tracked.sync(announced))
        self.session.start(tracked.fence)

    def redact(self, agent: LocalAgent, message: Any) -> None:
        """Enqueue the redaction of a message."""
        with self.session.lock:
            tracked = self._tracked(agent)
            self.session.put(tracked.redact(message))
        self.session.start(tracked.fence)

    def enqueue_all(self) -> None:
        """Enqueue what has changed of each agent; the caller holds the lock."""
        for tracked in self._agents.values():
            if not tracked.untouched:
                self.session.put(tracked.sync())

    def recall_all(self) -> None:
        """What has to come before `enqueue_all`. Blocks where there is something to read, which is rare."""
        for tracked in list(self._agents.values()):  # another thread may be building an agent
            if tracked.unsure():
                self.session.recall_here(tracked)

    async def arecall_all(self) -> None:
        """As `recall_all`, off the event loop."""
        for tracked in list(self._agents.values()):
            if tracked.unsure():
                await self.session.recall(tracked)

    async def _before_invocation(self, event: BeforeInvocationEvent) -> None:
        agent: Any = event.agent
        prompt, tracked = event.messages or (), self._tracked(agent)
        # the state that `structured_output` tells of is gone with the event, and it has no messages
        task = asyncio.current_task() if event.messages is None else None
        async with holding(self.session, tracked, Hold(agent, task or token_in(event.invocation_state))) as hold:
            tracked = await self._current(agent, tracked, hold)
            await self.session.afford()
            if prompt and (message := answered(agent.messages)) is not None:
                agent.messages.append(message)  # Agent does it too, but did so before the agent was reloaded
            await self.session.room(tracked.fence)
            if self._segmenting is not None and not tracked.edited():
                await self._segmenting.make_room(self, agent, tracked, prompt)
                tracked = self._tracked(agent)
            known_new = self.expected
            sure = await self._sure(agent, prompt=[one for one in prompt if one.get("tracking_id") not in known_new])
            with self.session.lock:
                # alone: nothing else is to be stored with it. A stateful model has heard another conversation
                alone = not self.session.waits(tracked.fence) and not getattr(agent.model, "stateful", False)
                commits = self.session.commits(tracked.fence)
                tracked.turn = Turn(tracked.stored_state, commits) if self._rebase and alone else None
                # a new agent is stored with its first message
                if sure and not tracked.untouched:
                    self.session.put(tracked.sync())
                edited = self.session.waits(tracked.fence)
                job = Job(tracked.fence)
                recorder.begun(job, tracked, agent_id=tracked.agent_id)
                self.session.put(job)  # travels with the first message
            if self._below is not None:
                self._below.begin()
            if edited:
                await self.session.during(tracked.fence)

    async def _message_added(self, event: MessageAddedEvent[LocalAgent] | MessageUpdatedEvent[LocalAgent]) -> None:
        agent, message = event.agent, event.message
        tracked = self._tracked(agent)
        if tracked.run is None and isinstance(agent, Agent):
            await self._outside(agent, tracked, message)
            surface(self._tracked(agent))
            return
        if tracked.run is None and (tracked.hold is None or tracked.hold.lease is None):
            # a BidiAgent's, whose model has heard the restored messages: another past is a conflict
            async with holding(self.session, tracked, Hold(agent, agent)) as hold:
                await self.session.have_lease(tracked.fence, hold)
        await self._added(agent, tracked, message)
        surface(tracked)

    async def _outside(self, agent: Agent, tracked: TrackedAgent, message: Any) -> None:
        """A message outside an invocation, which has the lease by itself: a tool was called directly, or Agent answers
        tool uses that were left without results, which it does before it is invoked."""
        session, fence = self.session, tracked.fence
        async with holding(session, tracked, Hold(agent, agent)) as hold:
            # without leases a conflict is met when it comes: there is no look before each message
            current = await session.begin(fence, hold) if session.exclusive else not session.conflicted(fence)
            if not current:
                if (conflict := session.stale(fence)) is not None:
                    raise conflict
                tracked = await self.reload(agent)
                uses = {b["toolUse"]["toolUseId"] for m in agent.messages[-1:] for b in m["content"] if "toolUse" in b}
                results = {b["toolResult"]["toolUseId"] for b in message["content"] if "toolResult" in b}
                current = results <= uses  # else it answers what is not there any more
                if current:
                    agent.messages.append(message)
        async with letting_go(session, tracked) as its:
            if current:
                await self._added(agent, tracked, message, its)
                await session.let_go()

    async def _added(self, agent: Any, tracked: TrackedAgent, message: Any, hold: Hold | None = None) -> None:
        """Store a message; ``hold``: of what ends with it."""
        sure = await self._sure(agent, announced=message)
        with self.session.lock:
            if sure:
                self.session.put(tracked.sync(message))
        self.session.leave(tracked.fence, hold)
        await self.session.during(tracked.fence, outside=tracked.run is None)

    def _before_tool_call(self, event: BeforeToolCallEvent[LocalAgent]) -> None:
        assert self._below is not None
        self._below.calling(self.session.session_id, self._tracked(event.agent), event)

    def _after_tool_call(self, event: AfterToolCallEvent[LocalAgent]) -> None:
        with self.session.lock:
            tracked = self._tracked(event.agent)
            call = recorder.tool_call(event, tracked, tracked.agent_id)
            if (made := tracked.calls.pop(event.tool_use["toolUseId"], None)) is not None:
                call = call.model_copy(update={"data": made.reference})
            self.session.put(recorder.happened(Job(tracked.fence), call))
            if tracked.turn is not None:
                tracked.turn.events.append(call)

    async def _after_invocation(self, event: AfterInvocationEvent) -> None:
        ending, cancelled = recorder.ending(event), recorder.being_cancelled()
        tracked = self._tracked(event.agent)
        called.set(None)  # this call of it is over, and so is the last of its own, which may have been interrupted
        async with letting_go(self.session, tracked) as hold:
            sure = await self._sure(event.agent, wait=not cancelled)
            with self.session.lock:
                job = tracked.sync() if sure else Job(tracked.fence)
                turn, run = tracked.turn, tracked.run
                tracked.turn = tracked.run = None
                if run is not None:
                    recorder.closed(job, run, tracked.tally, **ending)
                self.session.put(job)
            due: bool | None = False
            segments = self._segmenting if not cancelled and ending["status"] == "completed" else None
            if segments is not None:
                due = await segments.due(tracked)
            try:
                # the lease is kept for what comes then
                its = hold if due is False else None
                await self.session.at_end(tracked.fence, hold=its, cancelled=cancelled, moves=turn is not None)
            except ConflictError as conflict:
                if turn is None or run is None:
                    raise
                await put_behind(self, event.agent, turn, run, ending, conflict)
            else:
                if segments is not None:
                    await segments.turn_over(self, event.agent, tracked, due)
        if not cancelled:
            surface(tracked)

    async def _pause(self, event: BidiBeforeConnectionRestartEvent) -> None:
        await self._stored(self._tracked(event.agent))

    async def _stop(self, event: BidiAgentStopEvent) -> None:
        tracked = self._tracked(event.agent)
        async with letting_go(self.session, tracked) as hold:
            await self._stored(tracked, hold)

    async def _stored(self, tracked: TrackedAgent, hold: Hold | None = None) -> None:
        if await self._sure(tracked.agent):
            with self.session.lock:
                self.session.put(tracked.sync())
        await self.session.at_end(tracked.fence, hold=hold)

    async def _sure(self, agent: Any, *, prompt: Any = (), announced: Any = None, wait: bool = True) -> bool:
        """Whether it can be told what is new of an agent; what it takes is read. If not, a later hook stores it."""
        if not (tracked := self._tracked(agent)).unsure(prompt, announced):
            return True
        if not wait:
            return False
        try:
            await self.session.recall(tracked)
        except StoreError as error:
            if self.session.durability == "message":
                raise
            logger.warning(
                "agent_id=<%s>, session_id=<%s> | the rest of the history can not be read, so what is new is stored by "
                "a later hook: %s",
                tracked.agent_id,
                self.session.session_id,
                str(error),
            )
            return False
        return True
