"""Values that are hard to keep, as they turn up in messages and state, and what is to come back of each."""

from __future__ import annotations

import enum
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from strands_session_store.messages import Message


class Colour(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Shade(enum.Enum):
    """A plain enum equals no value that JSON knows: a placeholder is kept."""

    DARK = "dark"


class Opaque:
    """Has no encoding: a placeholder is kept."""


WITHOUT_ENCODING = (Opaque, Shade)

LEAVES: list[Any] = [
    None,
    True,
    0,
    2**53 + 1,
    2**64 + 1,
    -(10**5000),
    0.1,
    float("nan"),
    float("inf"),
    -0.0,
    b"\x00\xff",
    b"",
    bytearray(b"mutable"),
    "",
    "nul \x00 here",
    "lone \ud800 half",
    "pair of lone \ud83d\ude00 halves",
    "\u2028",
    Colour.RED,
    Level.HIGH,
    Shade.DARK,
    Opaque(),
    datetime(2024, 2, 29, 12, 0, 0, 5, timezone(timedelta(hours=5, minutes=30))),
    datetime(2024, 2, 29, fold=1),
    date(2024, 2, 29),
    timedelta(days=-1, microseconds=1),
    Decimal("NaN"),
    Decimal("1.10"),
    UUID(int=5),
    (),
    (1, (b"x",)),
    {"$": "tuple", "v": [1]},
    {"$": "no such tag"},
    {"__bytes_encoded__": True, "data": "aGk="},
    {"__bytes_encoded__": "not ours"},
    {1: "int key", "1": "str key", None: "none key", (1, 2): "tuple key", 1.5: b"float key"},
    {"\ud800": "lone key"},
    {1, "a set"},
    frozenset({2}),
]


def payloads() -> st.SearchStrategy[Any]:
    """A leaf, or leaves nested in containers."""
    leaves = st.sampled_from(LEAVES)
    return st.one_of(
        leaves,
        st.lists(leaves, max_size=3),
        st.dictionaries(st.sampled_from(["a", "b", "$", "__bytes_encoded__", "v", "data"]), leaves, max_size=3),
    )


def kept(value: Any) -> Any:
    """What is to come back of a value: itself, with placeholders for what has no encoding."""
    if isinstance(value, WITHOUT_ENCODING):
        return f"<not stored: {type(value).__qualname__}>"
    if isinstance(value, dict):
        return {key: kept(x) for key, x in value.items()}
    if isinstance(value, list):
        return [kept(x) for x in value]
    if isinstance(value, tuple):
        return tuple(kept(x) for x in value)
    return value


def alike(a: Any, b: Any) -> bool:
    """Equal, where NaN is equal to NaN, and the order of a dict's keys counts too."""
    if isinstance(a, dict) and isinstance(b, dict):
        return len(a) == len(b) and all(alike(k, j) and alike(x, y) for (k, x), (j, y) in zip(a.items(), b.items()))
    if (isinstance(a, list) and isinstance(b, list)) or (isinstance(a, tuple) and isinstance(b, tuple)):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, bool) != isinstance(b, bool):
        return False
    return bool(a == b) or (a != a and b != b)


def copied(message: Message) -> Message:
    """A copy of a message that keeps its leaves, so that an `Opaque` stays equal to itself."""

    def copy(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: copy(x) for key, x in value.items()}
        if isinstance(value, list):
            return [copy(x) for x in value]
        return bytes(value) if isinstance(value, bytearray) else value

    return dict(copy(message))
