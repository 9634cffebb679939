"""The lines of an archive: what is exported to it, and what is found in it. Pure.

    {"archive": "strands-session-store", "version": 1, "created": ..., "by": "0.1.0"}
    {"begin": "session", "owner": "ada", "id": "s", "parent": null, "expires": null, "digest": "..."}
    {"documents": {"agents/default/agent": {...}, ...}}
    {"log": "agents/default/messages", "start": 0, "length": 2, "at": 0, "entries": [[...], [...]]}
    {"counters": {"messages": 2, ...}}
    {"documents": {"session": {...}}}
    {"end": "s", "documents": 5, "entries": 3, "bytes": 812, "digest": "..."}
    {"total": {"sessions": 1, "users": 0, "documents": 5, "entries": 3, "bytes": 812}}

Rule 1. A line is a JSON object in UTF-8. Its last key, ``sum``, is the beginning of the SHA-256 over all lines so far,
        each without its ``sum``; the last line has it whole. So the first line that is not as it was written is known.
        It guards against accidents: whoever changes a file on purpose can sum it up anew.
Rule 2. A payload that is JSON as `payload` itself would write it stands there as that; any other text is
        ``{"$text": ...}``, and what is no text ``{"$base64": ...}``. So the very same bytes come back.
Rule 3. The digest is in front, so that what is there already need not be read on, and behind, where it was computed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from .. import ids
from ..errors import ArchiveError
from ..stores.base import Space
from .pieces import Counts, Documents, Entries, Piece

NAME: Final = "strands-session-store"
VERSION: Final = 1
MAX_LINE: Final = 64 * 2**20
"""Bytes. A page has at most 8 MiB, or one entry of 16, and either a third more in base64."""
_DEEP: Final = 400
"""JSON that is nested deeper stands there as text: where a line is read, less of the stack may be left."""
_SHORT: Final = 16
_SUM: Final = b',"sum":"'


@dataclass(frozen=True, slots=True)
class Header:
    created: float
    by: str
    """Version of this package."""


@dataclass(frozen=True, slots=True)
class Begin:
    """A session or user; its pieces follow."""

    space: Space
    parent: str | None
    expires: float | None
    """Unix time."""
    digest: str


@dataclass(frozen=True, slots=True)
class End:
    """It was whole."""

    id: str
    documents: int
    entries: int
    bytes: int
    digest: str


@dataclass(frozen=True, slots=True)
class Total:
    """The archive is whole."""

    sessions: int
    users: int
    documents: int
    entries: int
    bytes: int


Line: TypeAlias = Begin | Piece | End | Total
"""Behind the header."""


# ----------------------------------------------------------------------------------------------------------- payloads


def payload(data: bytes) -> str:
    """The JSON that stands for these bytes."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return _coded(data)
    try:
        json.loads("[" * _DEEP + text + "]" * _DEEP)
        value = json.loads(text)
        if _dumps(value) == text and _marked(value) is None:
            return text
    except (ValueError, RecursionError):
        pass
    as_text = _dumps({"$text": text})
    return min(as_text, _coded(data), key=len)  # control characters take six each as text


def data_of(value: Any) -> bytes:
    """The bytes that a payload stands for.

    Raises:
        ValueError, TypeError: It stands for none.
    """
    match _marked(value):
        case "$base64":
            return base64.b64decode(value["$base64"], validate=True)
        case "$text":
            return bytes(value["$text"], "utf-8")
    return _dumps(value).encode()


def _marked(value: Any) -> str | None:
    if isinstance(value, dict) and len(value) == 1:
        (key,) = value
        return key if key in ("$text", "$base64") else None
    return None


def _coded(data: bytes) -> str:
    return _dumps({"$base64": base64.b64encode(data).decode("ascii")})


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


# -------------------------------------------------------------------------------------------------------------- lines


def write(line: Header | Line) -> bytes:
    """The line, without its sum and its end."""
    match line:
        case Header(created, by):
            text = _dumps({"archive": NAME, "version": VERSION, "created": created, "by": by})
        case Begin(space, parent, expires, digest):
            told = {"owner": space.owner, "id": space.id, "parent": parent, "expires": expires, "digest": digest}
            text = _dumps({"begin": space.kind, **told})
        case Documents(found):
            text = f'{{"documents":{{{",".join(f"{_dumps(path)}:{payload(data)}" for path, data in found.items())}}}}}'
        case Entries(log, start, length, at, entries):
            head = _dumps({"log": log, "start": start, "length": length, "at": at})
            text = f'{head[:-1]},"entries":[{",".join(map(payload, entries))}]}}'
        case Counts(found):
            text = _dumps({"counters": dict(found)})
        case End(id, documents, count, size, digest):
            text = _dumps({"end": id, "documents": documents, "entries": count, "bytes": size, "digest": digest})
        case Total(sessions, users, documents, count, size):
            numbers = {"sessions": sessions, "users": users, "documents": documents, "entries": count, "bytes": size}
            text = _dumps({"total": numbers})
    return text.encode()


def parse(text: bytes) -> Line:
    """The line that was written.

    Raises:
        ValueError: It is none of ours.
    """
    try:
        return _parse(json.loads(text))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _parse(found: dict[str, Any]) -> Line:
    match next(iter(found)):
        case "begin":
            kind, owner, id, parent = found["begin"], found["owner"], found["id"], found["parent"]
            if kind not in ("session", "user"):
                raise ValueError(f"it begins a {kind!r}")
            for name, value in (("owner", owner), ("id", id), ("parent", parent)):
                if value is not None or name == "id":
                    ids.check(name, value)
            return Begin(Space(kind, owner, id), parent, found["expires"], found["digest"])
        case "documents":
            return Documents({path: data_of(value) for path, value in found["documents"].items()})
        case "log":
            start, length, at = (_number(found[name]) for name in ("start", "length", "at"))
            return Entries(found["log"], start, length, at, [data_of(value) for value in found["entries"]])
        case "counters":
            return Counts({name: int(value) for name, value in found["counters"].items()})
        case "end":
            return End(found["end"], found["documents"], found["entries"], found["bytes"], found["digest"])
        case "total":
            return Total(**found["total"])
        case key:
            raise ValueError(f"{key!r} is no line of version {VERSION}")


def _number(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no index")
    return value


# -------------------------------------------------------------------------------------------------------- whole files


class Sealing:
    """Puts the sums to the lines of an archive."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def line(self, text: bytes, *, last: bool = False) -> bytes:
        self._hash.update(text)
        return text[:-1] + _SUM + self.sum()[: None if last else _SHORT].encode() + b'"}\n'

    def sum(self) -> str:
        """Over all so far."""
        return self._hash.hexdigest()


def unsealed(readline: Callable[[int], bytes]) -> Iterator[tuple[int, bytes]]:
    """Number and text of each line, all of which are as they were written.

    Args:
        readline: Of a file in binary mode.

    Raises:
        ArchiveError: One is not, or the last one is not there.
    """
    sealing, number, last = Sealing(), 0, False
    while raw := readline(MAX_LINE + 1):
        number += 1
        if number == 1:
            _check_header(raw)
        if last:
            raise ArchiveError(number, "is behind the end of it")
        if len(raw) > MAX_LINE:
            raise ArchiveError(number, f"is longer than {MAX_LINE:,} bytes; it was changed")
        if not raw.endswith(b"\n"):
            raise ArchiveError(number, "is cut off: the file was truncated")
        text = raw[: raw.rfind(_SUM)] + b"}"
        last = text.startswith(b'{"total":')
        if sealing.line(text, last=last) != raw:
            raise ArchiveError(number, "is not as it was written, or a line before it is missing")
        yield number, text
    if not last:
        raise ArchiveError(number + 1, "is missing: the file was truncated")


def lines(readline: Callable[[int], bytes]) -> Iterator[tuple[int, Line]]:
    """Number and content of each line behind the header, in an order that is right.

    Raises:
        ArchiveError
    """
    open_id: str | None = None
    for number, text in unsealed(readline):
        if number == 1:
            continue
        try:
            line = parse(text)
            match line:
                case Begin(space):
                    fits, open_id = open_id is None, space.id
                case End(id):
                    fits, open_id = open_id == id, None
                case Total():
                    fits = open_id is None
                case _:
                    fits = open_id is not None
            if not fits:
                raise ValueError("it is not in its place")
        except ValueError as error:
            raise ArchiveError(number, f"can not be read: {error}") from error
        yield number, line


_HEADER: Final = re.compile(rb'\{"archive":"strands-session-store","version":(\d{1,9}),')


def _check_header(raw: bytes) -> None:
    found = _HEADER.match(raw)
    if found is None:
        raise ArchiveError(1, "is no beginning of one; was this file written by an export?")
    if int(found[1]) > VERSION:
        raise ArchiveError(
            1, f"says version {int(found[1])}, this one reads up to {VERSION}; upgrade strands-session-store"
        )
