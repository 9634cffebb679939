"""Strands' messages, taken apart and put together: what every dialect does alike. Pure.

Rule 1. Where a dialect has no citations, or nothing to guard a text with, the text is said.
Rule 2. Strands has no refusals: one is a text, and ``metadata.custom["refusal"]`` of its message is True, which is a
        mark on what is said. A message whose texts are not all refusals can not say which are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, TypeAlias

from ..errors import FormatError
from ..messages import Message, snapshot
from .conversion import Losses, System, several
from .fields import Fields, listed, mapping, text

Block: TypeAlias = dict[str, Any]
Blocks: TypeAlias = list[tuple[str, Any]]
"""Blocks of content, each with its place."""
NOTHING: Final = "there is nothing for it"
_MARK: Final = "that it is a refusal; its text is said"


def is_mark(name: str, value: object) -> bool:
    """Whether something in ``metadata.custom`` is a mark on what is said, and no words."""
    return name == "refusal" and value is True


def spoken(
    messages: object, losses: Losses, holds: Callable[[str, str], bool] = lambda role, name: False
) -> Iterator[tuple[str, Blocks, dict[str, Any]]]:
    """Role and content of Strands' messages, and what the dialect ``holds`` of ``metadata.custom``."""
    for i, message in enumerate(several(messages)):
        with Fields(message, f"messages[{i}]", losses) as fields:
            fields.ignore("tracking_id")
            role = fields.take("role", str)
            if role not in ("user", "assistant"):
                raise FormatError(f"messages[{i}].role must be 'user' or 'assistant', not {role!r}")
            content = listed(fields.any("content"), f"messages[{i}].content")
            custom: dict[str, Any] = {}
            if "metadata" in fields:
                with fields.inner("metadata") as metadata:
                    metadata.ignore("usage", "metrics")
                    if "custom" in metadata:
                        with metadata.inner("custom") as said:
                            custom = {name: said.any(name) for name in said if holds(role, name)}
                            _not_held(said)
            yield role, content, custom


def _not_held(custom: Fields) -> None:
    for name in custom:
        if is_mark(name, custom.any(name)):
            custom.lose(name, _MARK, kept=True)
        else:
            custom.lose(name, NOTHING)


def kind_of(block: object, place: str, losses: Losses) -> str | None:
    """What a block is: its only key. None: it has none or several, and so is lost.

    Raises:
        FormatError: It is no dict.
    """
    block = mapping(block, place)
    kinds = [k for k, v in block.items() if v is not None or len(block) == 1]  # {"json": None} says null
    if len(kinds) == 1:
        return str(kinds[0])
    losses.add(place, f"it must have one key, which says what it is, not {len(kinds)} ({', '.join(map(str, kinds))})")
    return None


def blocks(content: Blocks, losses: Losses) -> Iterator[tuple[str, str, Any]]:
    """Place, kind and value of each block."""
    for place, block in content:
        if (kind := kind_of(block, place, losses)) is not None:
            yield f"{place}.{kind}", kind, block[kind]


def prompt(system: System, place: str = "system") -> Blocks:
    """The blocks of a system prompt, whichever way it is written; an empty text is none.

    Raises:
        ValueError: It is neither a text nor a list.
    """
    if system is None or system == "":
        return []
    return [(place, {"text": system})] if isinstance(system, str) else listed(system, place)


# --------------------------------------------------------------------------------------------------------------- texts


def generated(fields: Fields) -> str:
    """The text that is cited for, of a ``citationsContent``: one, of however many parts."""
    texts = []
    for place, part in fields.items("content"):
        with Fields(part, place, fields.losses) as said:
            texts.append(said.take("text", str, ""))
    if len(texts) != 1:
        fields.lose("content", f"it has {len(texts)} parts, which are one text there", kept=True)
    return "".join(texts)


def text_of(kind: str, value: object, place: str, losses: Losses) -> str | None:
    """The text of a block; what it cites is lost, and that it is to be guarded. None: no text."""
    if kind == "text":
        return text(value, place)
    if kind == "citationsContent":
        with Fields(value, place, losses) as fields:
            cited = fields.items("citations")
            fields.lose("citations", "there are none there; the text is said", kept=not cited)
            return generated(fields)
    if kind == "guardContent":
        losses.add(place, "that it is to be guarded; its text is said", kept=True)
        with Fields(value, place, losses) as fields, fields.inner("text") as guarded:
            guarded.ignore("qualifiers")
            return guarded.take("text", str)
    return None


# ------------------------------------------------------------------------------------------------------------- joining


_TEXTS: Final = {"text", "citationsContent"}


class Joined:
    """Strands' messages in the making. What one role says in several messages becomes one: roles alternate there."""

    def __init__(self, losses: Losses) -> None:
        self.messages: list[Message] = []
        self._losses = losses
        self._told = False
        """Whether the last message has a part of which something could have been said."""
        self._plain = False
        """Whether it has a text that is no refusal."""
        self._refusals: list[str] = []
        """Places of the texts that are one."""

    def add(
        self,
        role: str,
        content: list[Block],
        place: str,
        custom: Mapping[str, Any] | None = None,
        *,
        silent: bool = False,
        refusals: Collection[str] = (),
    ) -> None:
        """
        Args:
            role: user or assistant.
            content: Strands' content blocks.
            place: Of the message.
            custom: What is said of it.
            silent: Nothing can be said of it (a tool's result), which leaves that to what it is joined with.
            refusals: Places of those texts of it that are refusals.
        """
        if not self.messages or self.messages[-1]["role"] != role:
            self.done()
            self.messages.append({"role": role, "content": []})
            self._told = False
        last = self.messages[-1]
        last["content"] += content
        self._plain = self._plain or sum(len(block.keys() & _TEXTS) for block in content) > len(refusals)
        self._refusals += refusals
        if silent:
            return
        custom = custom or {}
        if not self._told and custom:
            last["metadata"] = {"custom": snapshot(dict(custom))}
        elif self._told:
            known = last.get("metadata", {}).get("custom", {})
            for name, value in custom.items():
                if name not in known or known[name] != value:
                    why = "it is joined with the message before, of which this was not said"
                    self._losses.add(f"{place}.{name}", why, kept=is_mark(name, value))
        self._told = True

    def done(self) -> list[Message]:
        """The messages; the last one is whole."""
        if self._refusals and self._plain:
            for place in self._refusals:
                self._losses.add(place, "that it is a refusal: its message has other text as well", kept=True)
        elif self._refusals:
            self.messages[-1].setdefault("metadata", {}).setdefault("custom", {})["refusal"] = True
        self._refusals, self._plain = [], False
        return self.messages
