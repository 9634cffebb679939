"""What the hooks of a Graph or Swarm, and of the agents at its nodes, store, and when.

hook                          what it does                                        waits in mode
MultiAgentInitialized         restore progress; follow the nodes from now on
BeforeMultiAgentInvocation    have the lease; see that progress is what is stored   all
                              open a run, for the next commit                     none
AfterNodeCall                 store progress                                      message
AfterMultiAgentInvocation     store progress (all there is of an interrupted node); end the run    all
MessageAdded of a node        store what it said                                  message
model called by a node        store its redaction, with the next commit           none
AfterToolCall of a node       note the tool call, for the next commit             none

With sub-sessions (`sub_sessions`) the last three are done there.
"""

from __future__ import annotations

import logging
import weakref
from typing import TYPE_CHECKING, Any

from strands.hooks import (
    AfterModelCallEvent,
    AfterMultiAgentInvocationEvent,
    AfterNodeCallEvent,
    AfterToolCallEvent,
    BeforeModelCallEvent,
    BeforeMultiAgentInvocationEvent,
    HookOrder,
    HookRegistry,
    MessageAddedEvent,
    MultiAgentInitializedEvent,
)

from .. import ids
from ..errors import StoreError
from . import recorder
from .hearing import surface
from .holding import holding, letting_go
from .holds import Hold, token_in
from .jobs import Job
from .live import LiveSession
from .orchestrators import NodePath, TrackedMultiAgent, agents_in, orchestrators_in

if TYPE_CHECKING:
    from strands.multiagent.base import MultiAgentBase

    from .sub_sessions import SubSessions

logger = logging.getLogger(__name__)


class MultiAgentHooks:
    """The orchestrators of one session."""

    def __init__(self, session: LiveSession, below: SubSessions | None = None) -> None:
        """``below``: where nodes have sessions of their own."""
        self._session, self._below = session, below
        # an orchestrator holds its session manager: weak, or neither goes before the cycle is found
        self._multi_agents: dict[str, tuple[weakref.ref[MultiAgentBase], TrackedMultiAgent]] = {}

    def register(self, registry: HookRegistry) -> None:
        registry.add_callback(MultiAgentInitializedEvent, lambda event: self.initialize(event.source))
        registry.add_callback(BeforeMultiAgentInvocationEvent, self._before_invocation, order=HookOrder.SDK_FIRST)
        registry.add_callback(AfterNodeCallEvent, self._after_node_call, order=HookOrder.SDK_LAST)
        registry.add_callback(AfterMultiAgentInvocationEvent, self._after_invocation, order=HookOrder.SDK_LAST)

    def initialize(self, source: MultiAgentBase) -> None:
        """Give the orchestrator its progress back, and record from now on what its nodes say."""
        session = self._session
        ids.check("id of the Graph or Swarm", source.id)
        with session.lock:
            if source.id in self._multi_agents:
                raise StoreError(
                    f"the id {source.id!r} must be unique in session {session.session_id!r}: a Graph or Swarm with it "
                    "was built with this session manager before; give each its own id, or a new manager"
                )
            loaded = session.take_multi_agent(source.id)
            tracked = TrackedMultiAgent(source, loaded)
            tracked.restore(source, loaded)
            session.adopt(loaded.base)
            self._multi_agents[source.id] = weakref.ref(source), tracked
        for path, agent in agents_in(source) if self._below is None else ():
            self._record_node(tracked, path, agent.hooks)
        for path, inner in orchestrators_in(source):
            hooks = getattr(inner, "hooks", None)
            if path and hooks is not None:
                self._follow(tracked, weakref.ref(source), hooks)

    def changed(self, source: MultiAgentBase) -> None:
        """Enqueue the orchestrator's progress."""
        with self._session.lock:
            tracked = self._tracked(source)
            self._session.put(tracked.sync(source))
        self._session.start(tracked.fence)

    def enqueue_all(self) -> None:
        """Enqueue the progress of each orchestrator that was invoked; the caller holds the lock."""
        for reference, tracked in self._multi_agents.values():
            if (source := reference()) is not None and not tracked.untouched:
                self._session.put(tracked.sync(source))

    async def _before_invocation(self, event: BeforeMultiAgentInvocationEvent) -> None:
        tracked = self._tracked(event.source)
        token = event.source if event.invocation_state is None else token_in(event.invocation_state)
        async with holding(self._session, tracked, Hold(event.source, token)) as hold:
            await self._current(event.source, tracked, hold)
            await self._session.afford()
            await self._session.room(tracked.fence)
            with self._session.lock:
                job = Job(tracked.fence)
                recorder.begun(job, tracked, multi_agent_id=tracked.multi_agent_id)
                tracked.untouched = False
                self._session.put(job)
            if self._below is not None and event.invocation_state is not None:
                self._below.begin()
                self._below.nodes(tracked, event.source, event.invocation_state)

    async def _current(self, source: MultiAgentBase, tracked: TrackedMultiAgent, hold: Hold) -> None:
        """Have the lease, and the orchestrator's progress be what is stored."""
        session, fence = self._session, tracked.fence
        if await session.begin(fence, hold):
            return
        if (conflict := session.stale(fence)) is not None:
            raise conflict
        edited = session.waits(fence) or (not tracked.untouched and tracked.edited(source))
        if edited and not session.conflicted(fence):  # told before it is given up
            with session.lock:
                session.put(tracked.sync(source))
            await session.refuse(fence)
        await self.reload(source)

    async def reload(self, source: MultiAgentBase) -> None:
        """Make the orchestrator's progress what is stored. What could not be stored of it is given up."""
        tracked = self._tracked(source)
        loaded = (await self._session.reread((), [source.id])).multi_agents[source.id]
        with self._session.lock:
            tracked.begin(loaded)
            tracked.restore(source, loaded)
            self._session.adopt(loaded.base)
        logger.info(
            "multi_agent_id=<%s>, session_id=<%s> | another process had written the session: reloaded",
            source.id,
            self._session.session_id,
        )

    async def _after_node_call(self, event: AfterNodeCallEvent) -> None:
        with self._session.lock:
            tracked = self._tracked(event.source)
            self._session.put(tracked.sync(event.source))
        await self._session.during(tracked.fence)

    async def _after_invocation(self, event: AfterMultiAgentInvocationEvent) -> None:
        ending, tracked = recorder.ending_of(event.source), self._tracked(event.source)
        async with letting_go(self._session, tracked) as hold:
            with self._session.lock:
                job = tracked.sync(event.source)
                if tracked.run is not None:
                    recorder.closed(job, tracked.run, tracked.tally, **ending)
                    tracked.run = None
                self._session.put(job)
            cancelled = recorder.being_cancelled()
            await self._session.at_end(tracked.fence, hold=hold, cancelled=cancelled)
            if not cancelled:
                surface(tracked)

    def _record_node(self, tracked: TrackedMultiAgent, path: NodePath, hooks: HookRegistry) -> None:
        async def message_added(event: MessageAddedEvent[Any]) -> None:
            with self._session.lock:
                self._session.put(tracked.said(path, event.message, event.agent.model))  # type: ignore[arg-type]
            await self._session.during(tracked.fence)

        def after_tool_call(event: AfterToolCallEvent[Any]) -> None:
            with self._session.lock:
                call = recorder.tool_call(event, tracked, "/".join(path))
                self._session.put(recorder.happened(Job(tracked.fence), call))

        def before_model_call(event: BeforeModelCallEvent) -> None:
            tracked.asks(path, event.agent.messages)  # type: ignore[arg-type]

        def after_model_call(event: AfterModelCallEvent) -> None:
            with self._session.lock:
                job = tracked.answered(path, event.agent.messages)  # type: ignore[arg-type]
                self._session.put(job)

        hooks.add_callback(MessageAddedEvent, message_added)
        hooks.add_callback(BeforeModelCallEvent, before_model_call, order=HookOrder.SDK_LAST)
        hooks.add_callback(AfterModelCallEvent, after_model_call, order=HookOrder.SDK_FIRST)
        hooks.add_callback(AfterToolCallEvent, after_tool_call, order=HookOrder.SDK_LAST)

    def _follow(self, tracked: TrackedMultiAgent, outermost: weakref.ref[MultiAgentBase], hooks: HookRegistry) -> None:
        """Store the progress of an orchestrator that is a node, as it makes it."""

        async def progressed(event: AfterNodeCallEvent | AfterMultiAgentInvocationEvent) -> None:
            if (source := outermost()) is not None:
                with self._session.lock:
                    self._session.put(tracked.sync(source))
                await self._session.during(tracked.fence)

        hooks.add_callback(AfterNodeCallEvent, progressed, order=HookOrder.SDK_LAST)
        hooks.add_callback(AfterMultiAgentInvocationEvent, progressed, order=HookOrder.SDK_LAST)

    def _tracked(self, source: MultiAgentBase) -> TrackedMultiAgent:
        found = self._multi_agents.get(source.id)
        if found is None:
            raise StoreError(
                f"{source.id!r} was not built with the session manager of session {self._session.session_id!r}"
            )
        return found[1]
