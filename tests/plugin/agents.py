"""The agents that random conversations are led with: every kind of context management, made small enough to act."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel
from strands import Agent, ToolContext, tool
from strands._context_manager import context_manager as presets
from strands.agent.conversation_manager import (
    NullConversationManager,
    SlidingWindowConversationManager,
    SummarizingConversationManager,
)
from strands.interventions import Guide, InterventionHandler, Proceed

from strands_session_store import StoreSessionManager
from strands_session_store.testing.models import Reply, ScriptedModel

from .payloads import LEAVES, WITHOUT_ENCODING

SUMMARY_USAGE = {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}


class Answer(BaseModel):
    text: str = "fine"


class Refused(Exception):
    """What the application's own hooks, tools and models raise."""


def small_presets(patch: Callable[[Any, str, Any], None]) -> None:
    """Have the context manager's presets act on what is short."""
    patch(presets, "_AUTO_TRUNCATE_THRESHOLD", 30)
    patch(presets, "_AGENTIC_TRUNCATE_THRESHOLD", 60)
    patch(presets, "_TRUNCATE_PREVIEW_TOKENS", 15)


def conversation_manager(kind: str) -> dict[str, Any]:
    """Arguments for Agent."""
    match kind:
        case "null":
            manager: Any = NullConversationManager()
        case "stateful":  # Strands allows no conversation manager beside such a model
            return {}
        case "window":
            manager = SlidingWindowConversationManager(5)
        case "window per turn":
            manager = SlidingWindowConversationManager(4, per_turn=True)
        case "window pinned":
            manager = SlidingWindowConversationManager(4, pin_first=2, per_turn=2)
        case "window of none":
            manager = SlidingWindowConversationManager(0)
        case "summary":
            manager = SummarizingConversationManager(0.8, 1)
        case "summary pinned":
            manager = SummarizingConversationManager(0.6, 2, pin_first=1)
        case "summary in time":
            manager = SummarizingConversationManager(0.5, 2, proactive_compression={"compression_threshold": 0.2})
        case _:
            return {"context_manager": kind}
    return {"conversation_manager": manager}


# Each agent has the attribute `play`: what leads the conversation that it is in.


@tool(context=True)
def echo(tool_context: ToolContext, n: int = 0) -> dict[str, Any]:
    """Returns one of the odd values."""
    tool_context.agent.play.moments.tick("tool")
    return {"status": "success", "content": [{"json": {"value": LEAVES[n % len(LEAVES)]}}, {"text": "echoed"}]}


@tool(context=True)
def long(tool_context: ToolContext) -> str:
    """Returns much."""
    tool_context.agent.play.moments.tick("tool")
    return "0123456789" * 60


@tool
def picture() -> dict[str, Any]:
    """Returns an image."""
    return {"status": "success", "content": [{"image": {"format": "png", "source": {"bytes": b"\x89" * 900}}}]}


@tool(context=True)
def fails(tool_context: ToolContext) -> str:
    """Fails."""
    tool_context.agent.play.moments.tick("tool")
    raise Refused("tool")


@tool(context=True)
def note(tool_context: ToolContext, n: int = 0) -> str:
    """Sets the state."""
    put(tool_context.agent, "noted", n)
    return "noted"


@tool(context=True)
def ask(tool_context: ToolContext) -> str:
    """Asks a human."""
    return f"they said {tool_context.interrupt('question', reason={'why': b'bytes'})}"


TOOLS = [echo, long, picture, fails, note, ask]


def put(agent: Any, key: str, payload: Any) -> None:
    """Set state past AgentState's own check, which refuses bytes and the like; what can't be stored is left out."""
    agent.state._data[key] = _storable(payload)


def _storable(value: Any) -> Any:
    if isinstance(value, WITHOUT_ENCODING):
        return None
    if isinstance(value, dict):
        return {key: _storable(x) for key, x in value.items()}
    return [_storable(x) for x in value] if isinstance(value, list) else value


class Guiding(InterventionHandler):
    """Guides at one model call."""

    name = "guiding"

    def __init__(self, when: str, nth: int, fired: Callable[[str], None]) -> None:
        self._when, self._left, self._fired = when, nth, fired

    def before_model_call(self, event: Any) -> Any:
        return self._guide("before")

    def after_model_call(self, event: Any) -> Any:
        return self._guide("after")

    def _guide(self, when: str) -> Any:
        self._left -= when == self._when
        if when != self._when or self._left != 0:
            return Proceed()
        self._fired(f"guide {when} model call")
        return Guide(feedback="be kind")


def summarize(messages: Any) -> Any:
    """The model for summaries, which fails now and then."""
    if len(messages) % 7 == 6:
        return Refused("no summary today")
    return Reply(f"summary of {len(messages)}", usage=SUMMARY_USAGE)


def build(
    kind: str,
    model: ScriptedModel,
    manager: StoreSessionManager,
    interventions: list[Any],
) -> Agent:
    return Agent(
        model=model,
        aux_model=ScriptedModel(summarize),
        session_manager=manager,
        tools=TOOLS,
        interventions=interventions,
        callback_handler=None,
        retry_strategy=None,
        **conversation_manager(kind),
    )


async def unlocked(agent: Agent) -> None:
    """Wait until the stream that was dropped has been closed, by the event loop, in its own time."""
    while not agent._concurrency.try_acquire_lock():
        await asyncio.sleep(0)
    agent._concurrency.release_lock()


def append_text(message: Any, text: str) -> None:
    """Change a message in place."""
    for block in message["content"]:
        if "text" in block:
            block["text"] += text
            return
    message["content"].append({"text": text})


def texts(messages: Any) -> list[str]:
    """All texts, those in tool results too."""
    blocks = [block for message in messages for block in message["content"]]
    blocks += [part for block in blocks if "toolResult" in block for part in block["toolResult"]["content"]]
    return [block["text"] for block in blocks if "text" in block]
