"""Messages that others than Strands hand over, checked before anything is written. Pure.

Rule 1. A message is Strands': role, content, and if there are any metadata and tracking_id. A text for content is short
        for one text block.
Rule 2. Of a block only what is relied on here is looked at: kinds that are not known are kept as they are.
Rule 3. None of what was handed over is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from .. import codec, ids
from ..messages import Message, ensure_id, snapshot
from . import checks

_KEYS: Final = ("role", "content", "metadata", "tracking_id")
_TOOLS: Final[Mapping[str, Mapping[str, type]]] = {
    "toolUse": {"toolUseId": str, "name": str, "input": object},
    "toolResult": {"toolUseId": str, "content": list},
}


def checked(messages: object) -> tuple[list[Message], tuple[str, ...]]:
    """The messages as they are to be stored, and the tracking ids that they came with.

    Raises:
        ValueError: They are none; names the place.
        InvalidIdError: A tracking id is none.
        Unserializable: A value in them can not be stored; names its place.
    """
    if isinstance(messages, Mapping):
        named, several = [("message", messages)], False
    elif isinstance(messages, Sequence) and not isinstance(messages, str | bytes):
        named, several = [(f"messages[{i}]", message) for i, message in enumerate(messages)], True
    else:
        raise ValueError(f"messages must be a message or a list of them, not {type(messages).__name__}")
    if several and not named:
        raise ValueError("messages is empty; give at least one")
    given = [str(message["tracking_id"]) for place, message in named if _given(place, message)]
    if len(set(given)) < len(given):
        twice = next(id for id in given if given.count(id) > 1)
        raise ValueError(f"two of the messages have the tracking_id {twice!r}; give each its own, or none")
    return [_message(place, message) for place, message in named], tuple(given)


def _given(place: str, message: Any) -> bool:
    if not isinstance(message, Mapping):
        raise ValueError(f"{place} must be a dict with role and content, not {type(message).__name__}")
    if message.get("tracking_id") is None:
        return False
    ids.check(f"{place}['tracking_id']", message["tracking_id"])
    return True


def _message(place: str, message: Mapping[str, Any]) -> Message:
    if other := [key for key in message if key not in _KEYS]:
        raise ValueError(
            f"{place} has the key {other[0]!r}; a message has {', '.join(_KEYS)}. What is yours belongs into "
            "metadata['custom']"
        )
    if (role := message.get("role")) not in ("user", "assistant"):
        raise ValueError(f"{place}['role'] must be 'user' or 'assistant', got {role!r}")
    out: Message = {"role": role, "content": _content(f"{place}['content']", message.get("content"))}
    if (metadata := message.get("metadata")) is not None:
        custom = metadata.get("custom", {}) if isinstance(metadata, Mapping) else None
        if not isinstance(custom, Mapping):
            raise ValueError(f"{place}['metadata'] must be a dict, and 'custom' in it one too, got {metadata!r:.80}")
        out["metadata"] = snapshot(dict(metadata))
    if message.get("tracking_id") is not None:
        out["tracking_id"] = message["tracking_id"]
    ensure_id(out)
    codec.encode(out, lost=checks.refuse, place=place)
    return out


def _content(place: str, content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"text": content}]
    if not isinstance(content, list | tuple) or not content:
        raise ValueError(f"{place} must be a text, or a list of content blocks that is not empty, got {content!r:.80}")
    for i, block in enumerate(content):
        _check_block(f"{place}[{i}]", block)
    return [snapshot(block) for block in content]


def _check_block(place: str, block: Any) -> None:
    if not isinstance(block, dict) or not block or not all(isinstance(key, str) for key in block):
        raise ValueError(f"{place} must be a content block, as {{'text': '...'}}, got {block!r:.80}")
    if isinstance(kind := block.get("type"), str):  # no block of Strands' has it, all of OpenAI's and Anthropic's do
        raise ValueError(
            f"{place} is a block in a vendor's terms, of type {kind!r:.80}; Strands' are as {{'text': '...'}}. Name "
            "its format, where the call takes one, or convert it (`strands_session_store.formats`)"
        )
    if "text" in block and not isinstance(block["text"], str):
        raise ValueError(f"{place}['text'] must be a text, got {block['text']!r:.80}")
    for kind, fields in _TOOLS.items():
        if kind not in block:
            continue
        for key, wanted in fields.items():
            value = block[kind].get(key) if isinstance(block[kind], dict) else None
            if value is None or not isinstance(value, wanted):
                raise ValueError(f"{place}[{kind!r}] must have {', '.join(fields)}; {key} is {value!r:.80}")
        for part in block[kind].get("content", ()) if kind == "toolResult" else ():
            if not isinstance(part, dict):
                raise ValueError(f"{place}['toolResult']['content'] must be a list of blocks, got {part!r:.80} in it")
