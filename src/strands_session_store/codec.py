"""Values to bytes and back, exactly: JSON, with a tag for what JSON can't say.

Rule 1. ``decode(encode(x)) == x`` for dict, list, str, int, float, bool, None, bytes, tuple, set, frozenset, datetime,
        date, time, timedelta, Decimal and UUID, nested as they like; dicts may have any of these as keys.
        Subclasses of str, int and float (enums among them) come back as their plain value, which is equal.
Rule 2. Bytes look as in Strands' own session files: ``{"__bytes_encoded__": true, "data": "<base64>"}``.
        All else that JSON can't say is ``{"$": <tag>, "v": ...}``. A dict that looks like either is tagged itself.
Rule 3. What has no encoding is kept as the text ``<not stored: TypeName>`` and named to ``lost``; it never raises.
Rule 4. A record is an object. Only a message of a history is an array (`arrays`).
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, TypeVar
from uuid import UUID

from pydantic import ValidationError

from . import arrays
from .errors import Corrupt
from .records import FORMAT, Counted, Message, Record

R = TypeVar("R", bound=Record)
Lost = Callable[[str, str], None]
"""Called with the place (``state['x'][3]``) and the type's name of each value that can't be kept."""

Kept = tuple[float | None, list[Any]]
"""When an entry was written, and what was counted with it, as it is stored."""

TAG = "$"
BYTES = "__bytes_encoded__"
MAX_DEPTH = 150
"""Deeper containers are not kept: Python's own JSON encoder ends near 1,000, and cyclic ones never do."""
_BIG = 2**256
"""Integers past this are tagged: Python refuses to print very long ones (4,300 digits)."""

_PLAIN = frozenset({str, bool, type(None)})
_TEXT: dict[type, tuple[str, Callable[[Any], str], Callable[[str], Any]]] = {
    datetime: ("datetime", datetime.isoformat, datetime.fromisoformat),
    date: ("date", date.isoformat, date.fromisoformat),
    time: ("time", time.isoformat, time.fromisoformat),
    timedelta: (
        "timedelta",
        lambda d: f"{d.days},{d.seconds},{d.microseconds}",
        lambda s: timedelta(*map(int, s.split(","))),
    ),
    Decimal: ("decimal", str, Decimal),
    UUID: ("uuid", str, UUID),
}
_FROM_TEXT = {tag: parse for tag, _, parse in _TEXT.values()}
_ITEMS: dict[type, str] = {tuple: "tuple", set: "set", frozenset: "frozenset"}
_FROM_ITEMS: dict[str, Callable[[list[Any]], Any]] = {"tuple": tuple, "set": set, "frozenset": frozenset}


# ------------------------------------------------------------------------------------------------------------- values


def encode(value: Any, *, lost: Lost | None = None, place: str = "") -> bytes:
    """``value`` as compact UTF-8 JSON.

    Args:
        value: What to keep.
        lost: Told of each value that can't be kept.
        place: What ``value`` is, for ``lost``.
    """
    try:
        tagged = _tag(value, None, "", 0)
    except _CanNotKeep:  # rare, so places are spelled out only now
        tagged = _tag(value, lost or _unheard, place, 0)
    try:
        return _dumps(tagged)
    except UnicodeEncodeError:  # a lone surrogate somewhere: rare, so strings are searched only now
        return _dumps(_tag_surrogates(tagged))


def decode(data: bytes) -> Any:
    """The value that ``encode`` turned into ``data``.

    Raises:
        ValueError: These bytes are none of ours.
    """
    return (_TAGGED if b'"$"' in data or b'"__bytes_encoded__"' in data else _PLAIN_JSON).decode(data.decode())


class _CanNotKeep(Exception):
    pass


def _unheard(place: str, kind: str) -> None:
    pass


def _dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False).encode()


def _tag(v: Any, lost: Lost | None, place: str, depth: int) -> Any:
    """``v`` in terms of JSON. Without ``lost``, _CanNotKeep at the first value that has no encoding."""
    kind = type(v)
    if kind in _PLAIN:
        return v
    if kind is int:
        return v if -_BIG < v < _BIG else {TAG: "int", "v": hex(v)}
    if kind is float:
        return v if math.isfinite(v) else {TAG: "float", "v": repr(v)}
    if depth > MAX_DEPTH:
        return _placeholder(v, lost, place)
    if kind is dict or isinstance(v, dict):
        if all(type(k) is str for k in v) and TAG not in v and BYTES not in v:
            return {k: _tag(x, lost, f"{place}[{k!r}]" if lost else "", depth + 1) for k, x in v.items()}
        return {
            TAG: "dict",
            "v": [
                [
                    _tag(k, lost, f"{place} (a key of it)" if lost else "", depth + 1),
                    _tag(x, lost, f"{place}[{k!r}]" if lost else "", depth + 1),
                ]
                for k, x in v.items()
            ],
        }
    if kind is list or isinstance(v, list):
        return [_tag(x, lost, f"{place}[{i}]" if lost else "", depth + 1) for i, x in enumerate(v)]
    if kind in (bytes, bytearray):
        return {BYTES: True, "data": base64.b64encode(v).decode("ascii")}
    if kind in _ITEMS:
        return {
            TAG: _ITEMS[kind],
            "v": [_tag(x, lost, f"{place}[{i}]" if lost else "", depth + 1) for i, x in enumerate(v)],
        }
    if kind in _TEXT:
        tag, text, _ = _TEXT[kind]
        return {TAG: tag, "v": text(v)}
    # subclasses, enums among them: the plain value equals them. str.__str__, since an Enum's own str() is its name
    if isinstance(v, str):
        return str.__str__(v)
    if isinstance(v, int):
        return _tag(int.__index__(v), lost, place, depth)
    if isinstance(v, float):
        return _tag(float.__float__(v), lost, place, depth)
    if isinstance(v, tuple):
        return _tag(tuple(v), lost, place, depth)
    return _placeholder(v, lost, place)


def _placeholder(v: Any, lost: Lost | None, place: str) -> str:
    if lost is None:
        raise _CanNotKeep
    name = type(v).__qualname__
    lost(place, name)
    return f"<not stored: {name}>"


def _untag(d: dict[str, Any]) -> Any:
    """json's object_hook: runs from the inside out, so what ``v`` holds is decoded already."""
    if BYTES in d:
        return base64.b64decode(d["data"])
    tag = d.get(TAG)
    if tag is None:
        return d
    v = d["v"]
    if tag in _FROM_ITEMS:
        return _FROM_ITEMS[tag](v)
    if tag in _FROM_TEXT:
        return _FROM_TEXT[tag](v)
    if tag == "dict":
        return {k: x for k, x in v}
    if tag == "float":
        return float(v)
    if tag == "int":
        return int(v, 16)
    if tag == "str":
        return "".join(map(chr, v))
    raise ValueError(f"unknown tag {tag!r}; was this written by a newer version?")


_PLAIN_JSON: Final = json.JSONDecoder()
_TAGGED: Final = json.JSONDecoder(object_hook=_untag)


def _tag_surrogates(v: Any) -> Any:
    if isinstance(v, str):
        try:
            v.encode()
        except UnicodeEncodeError:
            # as code points: two lone halves side by side would come back from \\u escapes as one character
            return {TAG: "str", "v": [ord(c) for c in v]}
        return v
    if isinstance(v, list):
        return [_tag_surrogates(x) for x in v]
    if isinstance(v, dict):
        if all(_tag_surrogates(k) is k for k in v):
            return {k: _tag_surrogates(x) for k, x in v.items()}
        return {TAG: "dict", "v": [[_tag_surrogates(k), _tag_surrogates(x)] for k, x in v.items()]}
    return v


# ------------------------------------------------------------------------------------------------------------ records


def dump(record: Record, *, lost: Lost | None = None) -> bytes:
    """A record as bytes: fields that are None or at their default left out, aliases used."""
    if isinstance(record, Message) and (row := arrays.of_message(record)) is not None:
        return encode(row, lost=lost)
    fields = type(record).model_fields
    # model_dump would copy and convert the payloads; they are opaque, so the fields are taken as they are
    out = {
        (info.alias or name): value
        for name, info in fields.items()
        if (value := getattr(record, name)) is not None and (info.default_factory is not None or value != info.default)
    }
    out = {
        name: value.model_dump(exclude_defaults=True) if isinstance(value, Record) else value
        for name, value in out.items()
    }
    return encode(out, lost=lost)


def dump_document(record: Record, *, lost: Lost | None = None) -> bytes:
    """A record for a document: as `dump`, with the format's version in front. Log entries do without: they are many."""
    return b'{"format":%d,' % FORMAT + dump(record, lost=lost)[1:]


_UNREADABLE: Final = (
    ValueError,
    KeyError,
    TypeError,
    OverflowError,
    ArithmeticError,
    RecursionError,
    ValidationError,
)


def load_message(data: bytes, path: str) -> tuple[Any, Kept | None]:
    """The message in an entry of a history, None if it was removed: what a resume needs of it, in half the time of
    `load`; and what was counted with it, if anything was, for `counted`.

    Raises:
        Corrupt: as `load`.
    """
    try:
        if isinstance(value := decode(data), list):
            found = arrays.fields(*value)
            message = None if found.get("removed") is not None else found["message"]
            return message, None if found["usage"] is None else (found["at"], found["usage"])
    except _UNREADABLE as error:
        raise Corrupt(path, f"{type(error).__name__}: {error}") from error
    entry = load(Message, data, path)
    message = None if entry.removed is not None else entry.message
    return message, None if entry.usage is None else (entry.at, arrays.of_counted(entry.usage))


def counted(kept: Kept, path: str) -> Counted:
    """What was counted with an entry that `load_message` has read.

    Raises:
        Corrupt: as `load`.
    """
    try:
        return arrays.counted(*kept[1])
    except _UNREADABLE as error:
        raise Corrupt(path, f"{type(error).__name__}: {error}") from error


def load(kind: type[R], data: bytes, path: str) -> R:
    """The record that was dumped.

    Raises:
        Corrupt: Bytes that are no such record, or of a newer format; names ``path``.
    """
    try:
        value = decode(data)
        if kind is Message and isinstance(value, list):
            return arrays.message(value)  # type: ignore[return-value]
        if not isinstance(value, dict):
            raise ValueError(f"a JSON object was expected, not {type(value).__name__}")
        if (found := value.get("format", 1)) > FORMAT:
            raise ValueError(f"it has format {found}, this version reads up to {FORMAT}; upgrade strands-session-store")
        return kind.model_validate(value)
    except _UNREADABLE as error:
        raise Corrupt(path, f"{type(error).__name__}: {error}") from error
