"""A live message: how it is copied, compared and known. Pure."""

from __future__ import annotations

import uuid
from typing import Any, TypeAlias

Message: TypeAlias = dict[str, Any]

_LEAVES = frozenset({str, int, float, bool, bytes, type(None)})


def snapshot(value: Any) -> Any:
    """A copy whose containers are its own and whose leaves are shared: cheap, and safe from later edits in place."""
    kind = type(value)
    if kind is dict:
        return {k: snapshot(v) for k, v in value.items()}
    if kind is list:
        return [snapshot(v) for v in value]
    if kind is tuple:
        return tuple([snapshot(v) for v in value])
    if kind is bytearray:
        return bytes(value)
    if kind is set:
        return set(value)
    if kind in _LEAVES:
        return value
    # subclasses (an OrderedDict, a named tuple) are edited in place as well, and restored as what they derive from
    if isinstance(value, dict):
        return {k: snapshot(v) for k, v in value.items()}
    if isinstance(value, list):
        return [snapshot(v) for v in value]
    if isinstance(value, tuple):
        return tuple([snapshot(v) for v in value])
    return value


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal. Identity first, as Python compares containers: shared leaves cost nothing."""
    try:
        return a is b or bool(a == b)
    except Exception:  # a leaf that refuses to be compared (an array): taken for changed, which is always safe
        return False


def ensure_id(message: Message) -> str:
    """The message's tracking id; a new one is assigned in place when it has none."""
    found = message.get("tracking_id")
    if not found:
        found = message["tracking_id"] = str(uuid.uuid4())
    return str(found)
