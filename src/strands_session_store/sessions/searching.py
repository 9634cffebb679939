"""What is looked for in texts, and what texts a message has. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..messages import Message


def sought(text: str, ignore_case: bool) -> Callable[[str], bool]:
    """Whether a text has this one in it."""
    if not ignore_case:
        return lambda told: text in told
    folded = text.casefold()
    return lambda told: folded in told.casefold()


def texts(message: Message) -> Iterator[str]:
    """What can be searched of a message."""
    for block in message["content"]:
        if "text" in block:
            yield block["text"]
        if "toolUse" in block:
            yield from _strings(block["toolUse"]["input"])
        if "toolResult" in block:
            for part in block["toolResult"]["content"]:
                yield from _strings([part[kind] for kind in ("text", "json") if kind in part])


def _strings(value: Any) -> Iterator[str]:
    """Keys and values, as texts; as deep as it goes, without recursion."""
    todo = [value]
    while todo:
        value = todo.pop()
        if isinstance(value, Mapping):
            todo += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | set | frozenset):
            todo += value
        elif isinstance(value, str):
            yield value
        elif isinstance(value, int | float):
            yield str(value)
