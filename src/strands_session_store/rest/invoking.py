"""An agent is made, and answers. What happens in it is told to its turn.

Rule 1. An agent that is not of this turn's session manager, or not of the app's agent id, answers nothing: what it said
        would be stored nowhere, or not be found again.
Rule 2. The first result of a tool that an interrupt's answer leads to has the prompt's id: so that can be sent again.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from strands.hooks import HookOrder, MessageAddedEvent
from strands.types.exceptions import MaxTokensReachedException

from ..errors import StoreError
from ..plugin import StoreSessionManager
from ..sessions.shapes import Overview
from ..turns import ends_turn
from . import shapes, views
from .callers import Caller
from .live import Turn
from .problems import Problem
from .said import Answered

if TYPE_CHECKING:
    from strands import Agent

SHOWN: Final = 10_000
"""Characters of a tool's result that an event tells."""


@dataclass(frozen=True, slots=True)
class AgentRequest:
    """What an agent is asked of an ``agent_factory``."""

    session_manager: StoreSessionManager
    """For the agent: with it, it is restored and stored."""
    session: Overview
    """With the session's name, agent_name and instructions."""
    caller: Caller


AgentFactory: TypeAlias = "Callable[[AgentRequest], Agent | Awaitable[Agent]]"


async def made(factory: AgentFactory, request: AgentRequest, agent_id: str) -> Agent:
    """The agent for a turn. A factory that is no coroutine function is called by a thread: it may block.

    Raises:
        TypeError, ValueError: It is none that can be used (rule 1).
    """
    if inspect.iscoroutinefunction(factory) or inspect.iscoroutinefunction(getattr(factory, "__call__", None)):  # noqa: B004
        found: Any = factory(request)
    else:
        found = await asyncio.to_thread(factory, request)
    agent: Any = await found if inspect.isawaitable(found) else found
    id, manager = getattr(agent, "agent_id", None), getattr(agent, "_session_manager", None)
    if not callable(getattr(agent, "stream_async", None)):
        raise TypeError(f"agent_factory must return an Agent, got {type(agent).__name__}")
    if manager is not request.session_manager:
        raise ValueError(
            "agent_factory must build an agent for each request, with session_manager=request.session_manager"
        )
    if id != agent_id:
        raise ValueError(f"agent_factory made an agent {id!r}; the app's is {agent_id!r}: create_app(agent_id={id!r})")
    return agent  # type: ignore[no-any-return]


def waiting(agent: Agent, answers: Sequence[Mapping[str, Any]], *, again: bool) -> Answered | None:
    """What an agent that waits for an interrupt's answer has to say instead of going on; None: it goes on.

    Args:
        agent: As it was restored.
        answers: To interrupts, that were not given before.
        again: Whether nothing new is said: the agent may have been interrupted in answering it.

    Raises:
        Problem: It waits for an answer and is given none, or the other way round.
    """
    state = agent._interrupt_state
    if not state.activated:
        if answers:
            raise Problem(409, "the agent waits for no answer to an interrupt; send messages")
        return None
    if answers:
        for one in answers:
            if (id := one["interruptResponse"]["interruptId"]) not in state.interrupts:
                raise Problem(409, f"the agent waits for no answer to an interrupt {id!r:.300}")
        return None
    if not again:
        raise Problem(409, "the agent waits for the answer to an interrupt; send it as interrupt_responses")
    open = [one for one in state.interrupts.values() if one.response is None]
    message = agent.messages[-1]
    return Answered(message, "interrupt", views.text(message), _interrupts(open))


async def answer(
    turn: Turn, agent: Agent, messages: Sequence[Mapping[str, Any]], answers: Sequence[Mapping[str, Any]]
) -> Answered:
    """What an agent answers.

    Args:
        turn: Is told what happens.
        agent: Who.
        messages: What is said, with ids or without; none: it goes on from what is stored, and first gives a tool call
            its result that has none.
        answers: To interrupts, instead.

    Raises:
        Problem: It failed.
        StoreError: The store did.
    """
    ids = [turn.prompt_id] if answers else []

    def named(event: MessageAddedEvent[Any]) -> None:
        if ids and any("toolResult" in block for block in event.message["content"]):
            event.message["tracking_id"] = ids.pop()

    agent.hooks.add_callback(MessageAddedEvent, named, order=HookOrder.SDK_FIRST)
    prompt: Any = [dict(one) for one in answers or messages]
    result: Any = None
    try:
        async for event in agent.stream_async(prompt):
            if "result" in event:
                result = event["result"]
            else:
                tell(turn, event)
    except MaxTokensReachedException as error:
        if not ends_turn(last := agent.messages[-1]):
            raise _failed() from error
        return Answered(last, "max_tokens", views.text(last))
    except Exception as error:
        if isinstance(cause(error), StoreError):
            raise
        raise _failed() from error
    structured = getattr(result, "structured_output", None)
    response = views.text(result.message) if structured is None else views.legible(structured.model_dump_json())
    return Answered(result.message, result.stop_reason, response, _interrupts(result.interrupts or ()))


def _failed() -> Problem:
    return Problem(502, "the agent failed; what was said is kept, and can be sent again")


def _interrupts(found: Sequence[Any]) -> tuple[shapes.InterruptTold, ...]:
    return tuple(shapes.InterruptTold(id=one.id, name=one.name, reason=views.plain(one.reason)) for one in found)


def tell(turn: Turn, event: Mapping[str, Any]) -> None:
    """What those who follow are told of an event of the agent."""
    if isinstance(text := event.get("data"), str):
        turn.tell("delta", {"text": views.legible(text)})
    elif isinstance(text := event.get("reasoningText"), str):
        turn.tell("reasoning", {"text": views.legible(text)})
    elif "message" in event:
        for block in event["message"]["content"]:
            if "toolUse" in block:
                use = block["toolUse"]
                told = {"id": use["toolUseId"], "name": use["name"], "input": use["input"]}
                turn.tell("tool_call", views.plain(told))
            elif "toolResult" in block:
                result = block["toolResult"]
                text = views.text({"content": [block]})[:SHOWN]
                told = {"id": result["toolUseId"], "status": result.get("status", "success"), "content": text}
                turn.tell("tool_result", views.plain(told))


def cause(error: BaseException) -> BaseException:
    """The store's error that caused another (Strands wraps them); else the error itself."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, StoreError | Problem):
            return seen
        seen = seen.__cause__
    return error
