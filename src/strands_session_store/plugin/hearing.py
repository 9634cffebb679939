"""Agents that are called, as a tool by another agent or as the node of a Graph or Swarm: who called, what is heard.

Rule 1. An agent is heard only while it is called by who has a session. What an application says to it is nobody's.
Rule 2. An agent may be shared by many callers, one after the other and in many sessions. So its hooks are put on it
        once, know no session, and ask at the beginning of each invocation who has called.
Rule 3. Strands hands a tool's failure to the model. That something could not be stored is none: the caller raises it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from strands import Agent
from strands.hooks import (
    AfterInvocationEvent,
    AfterModelCallEvent,
    AfterToolCallEvent,
    BeforeInvocationEvent,
    BeforeModelCallEvent,
    BeforeToolCallEvent,
    HookOrder,
    HookRegistry,
    MessageAddedEvent,
    MessageUpdatedEvent,
)

from .. import records
from ..errors import StoreError

if TYPE_CHECKING:
    from .sub_sessions import Recorded

NODES = "strands_session_store_nodes"
"""Key in an invocation's state of the agents at the nodes of the orchestrator that was invoked with it."""
EAR = "_strands_session_store_ear"
"""Attribute of an agent's hooks: its `Ear`."""


class Caller(Protocol):
    """A tracked agent or orchestrator."""

    run: records.Run | None
    failure: StoreError | None


def surface(caller: Caller) -> None:
    """Raise what could not be stored of an agent that was called."""
    if (failure := caller.failure) is not None:
        caller.failure = None
        raise failure


@dataclass(slots=True, eq=False)
class AgentCall:
    """One call of an agent."""

    agent: Agent
    caller: Caller
    recorded: Recorded
    """Where it is kept."""
    run_id: str | None = None
    """Of the run there that it has become; None: the agent was not invoked."""

    @property
    def reference(self) -> dict[str, str] | None:
        """What the caller's event tells of it."""
        return None if self.run_id is None else {"session_id": self.recorded.session_id, "run_id": self.run_id}

    @contextlib.contextmanager
    def surfacing(self) -> Iterator[None]:
        try:
            yield
        except StoreError as error:
            self.caller.failure = error
            raise


called: ContextVar[AgentCall | None] = ContextVar("strands_session_store_called", default=None)
"""The call of the agent that is to be invoked as a tool: from the tool call to the end of the invocation."""


def at_nodes(state: dict[str, Any], calls: dict[Agent, AgentCall]) -> None:
    """Have the agents at an orchestrator's nodes known by the state that it hands them."""
    state.setdefault(NODES, {}).update(calls)


def call_of(event: BeforeInvocationEvent) -> AgentCall | None:
    """The call by which an agent is invoked; None: it is invoked by the application."""
    if (found := called.get()) is not None and found.agent is event.agent:
        return found
    call: AgentCall | None = event.invocation_state.get(NODES, {}).get(event.agent)
    return call if call is not None and call.caller.run is not None else None


def in_background(agent: Any, calls: Callable[[], Mapping[str, AgentCall]]) -> None:
    """Where Strands runs tools of the agent in the background, it may do so later, and in another task than the one
    that decided on it (`called`): have a call known there.

    Args:
        agent: Whose tools.
        calls: Tells its calls: tool use id -> call.
    """
    if getattr(agent, "_background_tasks", None) is None:
        return
    try:
        from strands.middleware import ExecuteToolStage
    except ImportError:  # not public yet in 1.58
        from strands._middleware import ExecuteToolStage  # type: ignore[import-not-found, no-redef]

    def know(context: Any) -> Any:
        if (call := calls().get(context.tool_use["toolUseId"])) is not None:
            called.set(call)
        return context

    agent._middleware_registry.add_middleware(ExecuteToolStage.Input, know)


def hear(agent: Agent) -> None:
    """Have the agent heard from now on, whoever calls it."""
    ear = Ear()
    if vars(agent.hooks).setdefault(EAR, ear) is ear:  # atomic: of two threads, one puts its hooks there
        ear.register(agent.hooks)
        in_background(agent, ear.calls)


class Ear:
    """The hooks of one agent that is called. Holds neither the agent nor, between its invocations, anything else."""

    def __init__(self) -> None:
        self._call: AgentCall | None = None
        """By which it is invoked now."""
        self._again: AgentCall | None = None
        """By which it is invoked once more at once (`AfterInvocationEvent.resume`)."""

    def register(self, hooks: HookRegistry) -> None:
        hooks.add_callback(BeforeInvocationEvent, self._begin, order=HookOrder.SDK_FIRST)
        hooks.add_callback([MessageAddedEvent, MessageUpdatedEvent], self._hear)
        hooks.add_callback([BeforeModelCallEvent, BeforeToolCallEvent], self._hear, order=HookOrder.SDK_LAST)
        hooks.add_callback(AfterModelCallEvent, self._hear, order=HookOrder.SDK_FIRST)
        hooks.add_callback([AfterToolCallEvent, AfterInvocationEvent], self._hear, order=HookOrder.SDK_LAST)

    def calls(self) -> Mapping[str, AgentCall]:
        """What it has called itself."""
        return {} if self._call is None else self._call.recorded.calls(self._call.agent)

    async def _begin(self, event: BeforeInvocationEvent) -> None:
        call, self._call, self._again = self._again or call_of(event), None, None
        if call is not None:
            with call.surfacing():
                call.run_id = await call.recorded.begin(event.agent)
            self._call = call

    async def _hear(self, event: Any) -> None:
        if (call := self._call) is None:
            return
        if isinstance(event, AfterInvocationEvent):
            self._call, self._again = None, call if event.resume is not None else None
        with call.surfacing():
            await call.recorded.hear(event)
