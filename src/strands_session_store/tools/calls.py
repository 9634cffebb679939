"""Tool calls as models ask for them, and answers in the shape that was asked in. Pure.

    OpenAI      {"tool_calls": [{"id", "function": {"name", "arguments": "<JSON>"}}]}    a ``tool`` message a call
    Anthropic   {"content": [{"type": "tool_use", "id", "name", "input"}]}               one user message
    Strands     {"content": [{"toolUse": {"toolUseId", "name", "input"}}]}               one user message

Rule 1. Ids are the model's own. Each call has an answer, in the order of the calls.
Rule 2. A result is JSON, text as it is. Dates, Decimals, UUIDs, paths and enums are text, sets and tuples lists, bytes
        base64 (URL-safe), models and dataclasses objects, floats that JSON has not ("nan", "inf") text. Anything else
        is ``{"type": ..., "text": ...}``: its type and its ``str()``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pydantic_core import to_jsonable_python

Shape: TypeAlias = Literal["openai", "anthropic", "strands"]


@dataclass(frozen=True, slots=True)
class Call:
    """One call."""

    id: str
    name: str
    arguments: dict[str, Any] | None
    """None: they are no JSON object."""


@dataclass(frozen=True, slots=True)
class Result:
    """What is answered."""

    ok: bool
    value: Any
    """JSON; where it is not ok, what went wrong, as a text."""


def asked(message: Any) -> tuple[Shape, list[Call]]:
    """The calls in an assistant message, none if it has none.

    Args:
        message: A dict, or an object of a client library (whose ``model_dump()`` gives one).

    Raises:
        ValueError: It is no such message, or two of its calls have one id.
    """
    whole = _dict(message, "message")
    shapes: set[Shape] = set()
    calls: list[Call] = []
    for shape, call in _asked(whole):
        shapes.add(shape)
        calls.append(call)
    if len(shapes) > 1:
        raise ValueError(f"the message has tool calls of several shapes ({', '.join(sorted(shapes))}); give one")
    names = [call.id for call in calls]
    if len(set(names)) < len(names):
        raise ValueError(f"the message has several tool calls with one id; its ids are {names}")
    return shapes.pop() if shapes else "strands", calls


def id_of(message: Any) -> str | None:
    """What the message is known by; None: nothing."""
    whole = _dict(message, "message")
    return whole.get("tracking_id") or whole.get("id")


def answered(shape: Shape, results: Sequence[tuple[Call, Result]]) -> list[dict[str, Any]]:
    """The messages that answer the calls."""
    if not results:
        return []
    if shape == "openai":
        return [{"role": "tool", "tool_call_id": call.id, "content": _openai(result)} for call, result in results]
    block = _anthropic if shape == "anthropic" else _strands
    return [{"role": "user", "content": [block(call, result) for call, result in results]}]


def plain(value: Any) -> Any:
    """A result as JSON (rule 2).

    Raises:
        ValueError: It contains itself.
    """
    return _finite(to_jsonable_python(value, bytes_mode="base64", fallback=_told))


def canonical(arguments: dict[str, Any]) -> str | None:
    """The same text for the same arguments; None where they are no JSON."""
    try:
        return json.dumps(arguments, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None


# ------------------------------------------------------------------------------------------------------------- private


def _asked(message: Mapping[str, Any]) -> Iterator[tuple[Shape, Call]]:
    for each in message.get("tool_calls") or ():
        call = _dict(each, "a tool call")
        if call.get("type", "function") != "function":
            raise ValueError(f"a tool call has the type {call['type']!r}; only functions can be called")
        function = _dict(call.get("function"), "a tool call's function")
        yield "openai", _call(call.get("id"), function.get("name"), _parsed(function.get("arguments")))
    content = message.get("content")
    for each in content if isinstance(content, list | tuple) else ():
        block = _dict(each, "a content block")
        if block.get("type") == "tool_use":
            yield "anthropic", _call(block.get("id"), block.get("name"), block.get("input"))
        elif "toolUse" in block:
            use = _dict(block["toolUse"], "toolUse")
            yield "strands", _call(use.get("toolUseId"), use.get("name"), use.get("input"))


def _call(id: Any, name: Any, arguments: Any) -> Call:
    for what, value in (("id", id), ("name", name)):
        if not isinstance(value, str) or not value:
            raise ValueError(f"a tool call's {what} must be a text that is not empty, got {value!r}")
    return Call(id, name, dict(arguments) if isinstance(arguments, Mapping) else None)


def _parsed(arguments: Any) -> Any:
    if not isinstance(arguments, str):
        return arguments
    try:
        # models leave them empty where a function takes none
        return json.loads(arguments, parse_constant=_refused) if arguments.strip() else {}
    except (ValueError, RecursionError):
        return None


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _dict(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) and hasattr(value, "model_dump"):
        value = value.model_dump()
    if not isinstance(value, Mapping):
        raise ValueError(f"{what} must be a dict or have model_dump(), got {type(value).__name__}")
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _openai(result: Result) -> str:
    # the shape has no place that says so
    return _text(result.value if result.ok else {"error": result.value})


def _anthropic(call: Call, result: Result) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": call.id, "content": _text(result.value)}
    return block if result.ok else {**block, "is_error": True}


def _strands(call: Call, result: Result) -> dict[str, Any]:
    # an object only: providers refuse other JSON there
    content = {"json": result.value} if isinstance(result.value, dict) else {"text": _text(result.value)}
    status = "success" if result.ok else "error"
    return {"toolResult": {"toolUseId": call.id, "status": status, "content": [content]}}


def _told(value: Any) -> dict[str, str]:
    return {"type": type(value).__qualname__, "text": str(value)}


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value
