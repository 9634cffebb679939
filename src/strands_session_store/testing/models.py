"""Models for tests and demos: no network, and the same conversation always gets the same answer.

    ScriptedModel    plays a list of replies, or asks a function for each; records the calls it got
    OfflineModel     answers from the conversation itself (see `offline`)

Rule 1. A reply is data (`Reply`); what makes stream events of it is one function.
Rule 2. Usage is always reported: characters / 4, unless the reply names its own numbers.
Rule 3. No call changes the messages it was given, and what is recorded of them is a copy.
"""

from __future__ import annotations

import asyncio
import copy
import json
import math
import re
import secrets
from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar, cast

from pydantic import BaseModel
from strands.models.model import Model
from strands.types.content import Message, Messages, SystemContentBlock
from strands.types.event_loop import StopReason
from strands.types.streaming import StreamEvent
from strands.types.tools import ToolChoice, ToolSpec

from .offline import answer

__all__ = ["ModelCall", "OfflineModel", "Reply", "Script", "ScriptEnded", "ScriptedModel", "ToolCall"]

T = TypeVar("T", bound=BaseModel)


class ScriptEnded(Exception):
    """The model was called more often than its script has replies."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One tool use a reply asks for."""

    name: str
    input: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None
    """None: drawn at random, so that it is new in every process."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model says in one call."""

    text: str = ""
    """Streamed word by word. An empty text is left out when there is anything else to say."""
    tools: Sequence[ToolCall] = ()
    """Several are parallel tool calls, of one message."""
    reasoning: str = ""
    """Streamed first, as reasoning content."""
    structured: BaseModel | None = None
    """Structured output: as a call of the tool that Strands makes of the model's class."""
    stop_reason: StopReason | None = None
    """None: ``tool_use`` when there are tools, else ``end_turn``."""
    redact_user: str | None = None
    """A guardrail's verdict on the input: Strands replaces the last user message by this text."""
    redact_assistant: str | None = None
    """The same on the output."""
    usage: Mapping[str, int] | None = None
    """In Strands' terms (inputTokens, cacheReadInputTokens ...), in place of the counted one."""
    delay: float = 0.0
    """Seconds before the first event."""
    error: BaseException | None = None
    """Raised after what else there is was streamed, in place of the end of the message."""


@dataclass(frozen=True, slots=True)
class ModelCall:
    """What the model was asked."""

    messages: Messages
    tool_specs: list[ToolSpec]
    system_prompt: str | None
    tool_choice: ToolChoice | None
    model_state: dict[str, Any] | None


Line: TypeAlias = Reply | str | ToolCall | BaseModel | BaseException | Sequence[ToolCall]
"""One reply in short: a text, tool calls, structured output, or an error to raise."""
Script: TypeAlias = Iterable[Line] | Callable[[Messages], Line]


class _Playing(Model):
    """A model whose replies are data. ``reply_to`` decides, the rest is the same for all."""

    def __init__(self, *, model_id: str, stateful: bool = False, context_window_limit: int | None = 200_000) -> None:
        self._config: dict[str, Any] = {"model_id": model_id, "context_window_limit": context_window_limit}
        self._stateful = stateful

    @abstractmethod
    def reply_to(self, call: ModelCall) -> Reply:
        """The reply to one call."""

    @property
    def stateful(self) -> bool:
        """Whether it acts like a model that keeps the conversation at the provider's."""
        return self._stateful

    def update_config(self, **model_config: Any) -> None:
        self._config.update(model_config)

    def get_config(self) -> dict[str, Any]:
        return self._config

    async def stream(
        self,
        messages: Messages,
        tool_specs: list[ToolSpec] | None = None,
        system_prompt: str | None = None,
        *,
        tool_choice: ToolChoice | None = None,
        system_prompt_content: list[SystemContentBlock] | None = None,
        invocation_state: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> AsyncGenerator[StreamEvent, None]:
        state: dict[str, Any] | None = kwargs.get("model_state")
        asked, known = copy.deepcopy(messages), copy.deepcopy(state)
        call = ModelCall(asked, list(tool_specs or ()), system_prompt, tool_choice, known)
        reply = self.reply_to(call)
        if reply.delay:
            await asyncio.sleep(reply.delay)
        for event in _events(reply, call):
            # other tasks get their turn between two events, as with a network
            await asyncio.sleep(0)
            yield event
        if self._stateful and state is not None:
            state["response_id"] = f"response-{secrets.token_hex(6)}"

    async def structured_output(
        self, output_model: type[T], prompt: Messages, system_prompt: str | None = None, **kwargs: Any
    ) -> AsyncGenerator[dict[str, T | Any], None]:
        """The next reply as ``output_model``: its ``structured``, or else its text as JSON."""
        reply = self.reply_to(ModelCall(copy.deepcopy(prompt), [], system_prompt, None, None))
        if reply.delay:
            await asyncio.sleep(reply.delay)
        if reply.error is not None:
            raise reply.error
        if reply.structured is not None:
            yield {"output": output_model.model_validate(reply.structured.model_dump())}
        else:
            yield {"output": output_model.model_validate_json(reply.text)}


class ScriptedModel(_Playing):
    """Plays replies in order, or those a function makes of the messages.

        ScriptedModel(["Hello.", ToolCall("clock"), "It is noon."])
        ScriptedModel(lambda messages: f"{len(messages)} messages so far")

    Args:
        script: Replies (`Reply`, or in short a text, a `ToolCall` or a list of them, structured output, an exception to
            raise), taken one a call; or a function of the messages that returns one.
        stateful: Acts like a model that keeps the conversation at the provider's: Strands clears the agent's messages
            after each invocation, and a new response id lands in the model state.
        context_window_limit: For conversation managers that look at it.
    """

    def __init__(
        self,
        script: Script,
        *,
        stateful: bool = False,
        context_window_limit: int | None = 200_000,
        model_id: str = "scripted",
    ) -> None:
        super().__init__(model_id=model_id, stateful=stateful, context_window_limit=context_window_limit)
        self._ask = script if callable(script) else None
        self._lines: Iterator[Line] = iter(()) if callable(script) else iter(script)
        self.calls: list[ModelCall] = []
        """Every call so far, oldest first."""

    def reply_to(self, call: ModelCall) -> Reply:
        """
        Raises:
            ScriptEnded: There is no further reply.
        """
        self.calls.append(call)
        if self._ask is not None:
            return _reply(self._ask(call.messages))
        try:
            return _reply(next(self._lines))
        except StopIteration:
            count = len(self.calls)
            raise ScriptEnded(f"call {count} came, and the script has {count - 1} replies") from None


class OfflineModel(_Playing):
    """Answers from what was said in the conversation, and by the tools it is given. Convincing enough for a demo.

    It knows what a user says of themselves ("my name is Ada", "my favourite colour is teal", "remember that ...") as
    long as the messages are there. It has no other memory, so what it knows after a restart was restored.
    """

    def __init__(self, *, model_id: str = "offline") -> None:
        super().__init__(model_id=model_id)

    def reply_to(self, call: ModelCall) -> Reply:
        said = answer(call.messages, call.tool_specs)
        return Reply(said) if isinstance(said, str) else Reply(tools=[ToolCall(use.name, use.input) for use in said])


# --------------------------------------------------------------------------------------------------- replies to events


def _reply(line: Line) -> Reply:
    if isinstance(line, Reply):
        return line
    if isinstance(line, str):
        return Reply(line)
    if isinstance(line, BaseException):
        return Reply(error=line)
    if isinstance(line, BaseModel):
        return Reply(structured=line)
    if isinstance(line, ToolCall):
        return Reply(tools=[line])
    return Reply(tools=line)


def _events(reply: Reply, call: ModelCall) -> Iterator[StreamEvent]:
    """A reply in the events that Strands builds a message from.

    Raises:
        BaseException: the reply's ``error``, at the end.
    """
    tools = list(reply.tools)
    if reply.structured is not None:
        tools.append(ToolCall(type(reply.structured).__name__, reply.structured.model_dump(mode="json")))
    if reply.error is not None and not (reply.text or reply.reasoning or tools):
        raise reply.error
    yield {"messageStart": {"role": "assistant"}}
    if reply.redact_user is not None:
        yield {"redactContent": {"redactUserContentMessage": reply.redact_user}}
    if reply.reasoning:
        yield {"contentBlockStart": {"start": {}}}
        yield {"contentBlockDelta": {"delta": {"reasoningContent": {"text": reply.reasoning}}}}
        yield {"contentBlockStop": {}}
    if reply.text or not (tools or reply.reasoning):
        yield {"contentBlockStart": {"start": {}}}
        for word in re.findall(r"\s*\S+\s*$|\s*\S+|\s+$", reply.text) or [""]:
            yield {"contentBlockDelta": {"delta": {"text": word}}}
        yield {"contentBlockStop": {}}
    for tool in tools:
        use_id = tool.id or f"{tool.name}-{secrets.token_hex(6)}"
        yield {"contentBlockStart": {"start": {"toolUse": {"name": tool.name, "toolUseId": use_id}}}}
        yield {"contentBlockDelta": {"delta": {"toolUse": {"input": json.dumps(dict(tool.input))}}}}
        yield {"contentBlockStop": {}}
    if reply.redact_assistant is not None:
        yield {"redactContent": {"redactAssistantContentMessage": reply.redact_assistant}}
    if reply.error is not None:
        raise reply.error
    yield {"messageStop": {"stopReason": reply.stop_reason or ("tool_use" if tools else "end_turn")}}
    usage = dict(reply.usage) if reply.usage is not None else _count(reply, tools, call)
    yield cast(StreamEvent, {"metadata": {"usage": usage, "metrics": {"latencyMs": int(reply.delay * 1000)}}})


def _count(reply: Reply, tools: Sequence[ToolCall], call: ModelCall) -> dict[str, int]:
    asked = (call.system_prompt or "") + "".join(map(_all_text, call.messages))
    said = reply.reasoning + reply.text + "".join(f"{t.name}{dict(t.input)}" for t in tools)
    tokens = {"inputTokens": math.ceil(len(asked) / 4), "outputTokens": math.ceil(len(said) / 4)}
    return {**tokens, "totalTokens": sum(tokens.values())}


def _all_text(message: Message) -> str:
    """What a provider would count: texts, tool inputs and tool results."""
    out: list[str] = []
    for block in message["content"]:
        if "text" in block:
            out.append(block["text"])
        elif "toolUse" in block:
            out.append(f"{block['toolUse']['name']}{block['toolUse']['input']}")
        elif "toolResult" in block:
            for part in block["toolResult"]["content"]:
                out.append(part["text"] if "text" in part else str(part.get("json", "")))
    return "".join(out)
