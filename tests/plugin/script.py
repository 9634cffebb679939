"""What the model does, call by call, as planned; and then it says "ok"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from strands.types.exceptions import ContextWindowOverflowException

from strands_session_store.testing.models import Reply, ToolCall

from .agents import Answer, Refused, texts
from .conversations import Act
from .payloads import LEAVES

USAGE = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}
REUSED = "the same again"


class Script:
    """The replies of one conversation's models."""

    def __init__(self, fire: Callable[[str], None]) -> None:
        self.lines: list[Act] = []
        self.structured = False
        """Whether a structured answer is asked for."""
        self._fire = fire
        self._uses = 0

    def reply(self, messages: Any) -> Any:
        if not self.lines:
            return Reply(structured=Answer()) if self.structured else Reply("ok", usage=USAGE)
        line = self.lines.pop(0)
        self._fire(f"model: {line[0]}")
        match line:
            case "text", text:
                return Reply(text, usage=USAGE)
            case "tools", calls:
                if len(calls) > 1:
                    self._fire("parallel tools")
                for name, _ in calls:
                    self._fire(f"tool {name}")
                return Reply("let me see", tools=[self._call(*call) for call in calls], usage=USAGE)
            case ("overflow",):
                return ContextWindowOverflowException("too long")
            case ("error",):
                return Refused("model")
            case "max tokens", with_tool:
                tools = [self._call("long", None)] if with_tool else []
                return Reply("and then", tools=tools, stop_reason="max_tokens", usage=USAGE)
            case ("redact user",):
                if messages and any("toolResult" in block for block in messages[-1]["content"]):
                    self._fire("redacted: tool result")
                elif texts(messages[-1:]) == [REUSED]:
                    self._fire("redacted: repeated prompt")
                else:
                    self._fire("redacted: user text")
                return Reply("no", redact_user="[REDACTED]", stop_reason="guardrail_intervened", usage=USAGE)
            case ("redact assistant",):
                return Reply("bad", redact_assistant="[REDACTED]", stop_reason="guardrail_intervened", usage=USAGE)
            case "context tool", (name, arguments):
                self._fire(f"tool {name}")
                return Reply(tools=[ToolCall(name, arguments, self.use())], usage=USAGE)
        raise AssertionError(line)

    def _call(self, name: str, payload: Any) -> ToolCall:
        # a model's input is JSON; what is odd is looked up in the table of odd values
        n = next((i for i, leaf in enumerate(LEAVES) if leaf is payload), 0)
        return ToolCall(name, {"n": n} if name in ("echo", "note") else {}, self.use())

    def use(self) -> str:
        """An id that was not used yet."""
        self._uses += 1
        return f"use-{self._uses}"
