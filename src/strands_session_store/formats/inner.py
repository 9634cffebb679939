"""Strands' messages, taken apart and put together: what every dialect of alternating messages does alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from ..errors import FormatError
from ..messages import Message, snapshot
from .conversion import Losses, several
from .fields import Fields, listed

Blocks: TypeAlias = list[tuple[str, Any]]
"""Blocks of content, each with its place."""
System: TypeAlias = str | Sequence[Mapping[str, Any]] | None
"""A system prompt as Strands takes it: a text, or content blocks."""


def spoken(messages: object, losses: Losses, keep: Sequence[str] = ()) -> Iterator[tuple[str, Blocks, dict[str, Any]]]:
    """Role and content of Strands' messages, and what the dialect can ``keep`` of ``metadata.custom``."""
    for i, message in enumerate(several(messages)):
        with Fields(message, f"messages[{i}]", losses) as fields:
            fields.ignore("tracking_id")
            role = fields.take("role", str)
            if role not in ("user", "assistant"):
                raise FormatError(f"messages[{i}].role must be 'user' or 'assistant', not {role!r}")
            content = fields.items("content")
            custom: dict[str, Any] = {}
            if "metadata" in fields:
                with fields.inner("metadata") as metadata:
                    metadata.ignore("usage", "metrics")
                    if "custom" in metadata:
                        with metadata.inner("custom") as said:
                            custom = {name: said.any(name) for name in said if name in keep or "*" in keep}
            yield role, content, custom


def kind_of(block: object, place: str, losses: Losses) -> str | None:
    """What a block is: its only key. None: it has none or several, and so is lost.

    Raises:
        FormatError: It is no dict.
    """
    if not isinstance(block, Mapping):
        raise FormatError(f"{place} must be a dict, not {type(block).__name__}")
    kinds = [k for k, v in block.items() if v is not None or len(block) == 1]  # {"json": None} says null
    if len(kinds) == 1:
        return str(kinds[0])
    losses.add(place, f"it must have one key, which says what it is, not {len(kinds)} ({', '.join(map(str, kinds))})")
    return None


def generated(fields: Fields) -> str:
    """The text that is cited for, of a ``citationsContent``. That it was in several parts is lost."""
    texts = []
    for place, part in fields.items("content"):
        with Fields(part, place, fields.losses) as said:
            texts.append(said.take("text", str, ""))
    if len(texts) != 1:
        fields.lose("content", f"it has {len(texts)} parts, which are one text there")
    return "".join(texts)


def text_of(kind: str, block: Fields) -> str | None:
    """The text of a block; what else is said of it (what it cites, that it is to be guarded) is lost. None: no text."""
    if kind == "text":
        return block.take("text", str)
    if kind == "citationsContent":
        with block.inner(kind) as fields:
            return generated(fields)
    if kind == "guardContent":
        block.lose(kind, "that it is to be guarded; its text is said")
        with block.inner(kind) as fields, fields.inner("text") as guarded:
            guarded.ignore("qualifiers")
            return guarded.take("text", str)
    return None


def prompt(system: System, place: str = "system") -> Blocks:
    """The blocks of a system prompt, whichever way it is written; an empty text is none."""
    if system is None or system == "":
        return []
    return [(place, {"text": system})] if isinstance(system, str) else listed(system, place)


class Together:
    """Strands' messages in the making. What one role says in several messages becomes one: roles alternate there."""

    def __init__(self, losses: Losses) -> None:
        self.messages: list[Message] = []
        self._losses = losses

    def add(self, role: str, content: list[Message], place: str = "", custom: Mapping[str, Any] | None = None) -> None:
        """Adds content; at ``place`` ``custom`` is said of it."""
        custom = custom or {}
        if not self.messages or self.messages[-1]["role"] != role:
            self.messages.append({"role": role, "content": content})
            if custom:
                self.messages[-1]["metadata"] = {"custom": snapshot(dict(custom))}
            return
        last = self.messages[-1]
        last["content"] += content
        known = last.get("metadata", {}).get("custom", {})
        for name, value in custom.items():
            if name not in known or known[name] != value:
                self._losses.add(f"{place}.{name}", "it is joined with the message before, of which this was not said")
