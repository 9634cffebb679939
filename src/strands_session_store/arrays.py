"""A message of a history as an array, as the names of its fields would be a fifth of a short one. Pure.

    [role, content, tracking_id, at, {further keys of the message}, redacted, counted]

without what is null at the end, and ``counted`` is ``[model, cost, tokens, estimated, day, source]``, the same way.
Content that is one text is that text, and null that of a removed message, which has ``removed`` for ``redacted``.
"""

from __future__ import annotations

from typing import Any

from .records import Counted, Message


def of_message(record: Message) -> list[Any] | None:
    """A message as an array; None if it has another shape than they have."""
    message = record.message
    names = list(message) if isinstance(message, dict) else []
    # in the order in which Strands makes one, since it is read in this order
    if names[:2] != ["role", "content"] or type(content := message["content"]) is not list:
        return None
    only = content[0] if len(content) == 1 else None
    if type(only) is dict and len(only) == 1 and type(text := only.get("text")) is str:
        content = text
    id = message[names.pop()] if names[-1] == "tracking_id" else None
    if id is None and "tracking_id" in message:
        return None
    rest = {name: message[name] for name in names[2:]}
    usage = None if record.usage is None else of_counted(record.usage)
    row = [message["role"], content, id, record.at, rest or None, record.redacted, usage]
    if record.removed is not None:
        row[1], row[5] = None, record.removed
    return _trimmed(row)


def of_counted(usage: Counted) -> list[Any]:
    """What was counted, as an array."""
    source = None if usage.source == "llm" else usage.source
    return _trimmed(
        [usage.model, usage.cost, usage.tokens and [*usage.tokens], usage.estimated or None, usage.day, source]
    )


def _trimmed(row: list[Any]) -> list[Any]:
    while row[-1] is None:
        row.pop()
    return row


def fields(
    role: Any,
    content: Any,
    id: Any = None,
    at: Any = None,
    rest: Any = None,
    redacted: Any = None,
    usage: Any = None,
    *_: Any,
) -> dict[str, Any]:
    """Of the record that `of_message` was given; what was counted is an array still."""
    if isinstance(content, str):
        content = [{"text": content}]
    message = {"role": role, "content": [] if content is None else content, **(rest or {})}
    if id is not None:
        message["tracking_id"] = id
    return {"message": message, "at": at, "removed" if content is None else "redacted": redacted, "usage": usage}


def counted(
    model: Any,
    cost: Any = None,
    tokens: Any = None,
    estimated: Any = None,
    day: Any = None,
    source: Any = None,
    *_: Any,
) -> Counted:
    """What `of_counted` was given."""
    return Counted(model=model, cost=cost, tokens=tokens, estimated=bool(estimated), day=day, source=source or "llm")


def message(row: list[Any]) -> Message:
    """The record that `of_message` was given."""
    found = fields(*row)
    if (kept := found["usage"]) is not None:
        found = {**found, "usage": counted(*kept)}
    return Message.model_validate(found)
