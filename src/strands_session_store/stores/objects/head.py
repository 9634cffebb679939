"""The head of a space: one JSON object that says all that the space holds, or names where it is. Pure.

    {"format": 1, "incarnation": ..., "revision": ..., "created": ..., "updated": ..., "expires": ..., "parent": ...,
     "moved": <revision>, "summary": <cell>, "swept": [<time>, <how often>],
     "documents": {<path>: [<revision>, <cell>] or [<revision>, <bytes>, <name>]},
     "counters": {<name>: <int64>},
     "logs": {<name>: {"start": ..., "length": ..., "folder": ...,
                       "pages": [[<from>, <to>, <line>, <bytes>, <level>, <name>]...], "tail": [<cell>...]}},
     "commits": {"names": ..., "done": ..., "older": [[<commits>, <time>, <packed>, <name>]...]}}

A log's entries are its pages', ascending, then its tail's. A page is some lines of a sealed object, from ``line`` on.
Of an object in the log's own folder, ``name`` is only what makes it unique; else it is the whole name. A head is never
changed: a commit makes another, which shares what did not change.

In the place of a head stands a *tombstone* when the space was dropped: ``{"format": 1, "dropped": <time>, ...}``.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ...errors import Corrupt
from . import cells, names
from .repeats import Block, Done, pack, unpack

FORMAT: Final = 1


class Stored(NamedTuple):
    """A document."""

    revision: int
    """Of the commit that put it."""
    size: int
    cell: bytes | None
    """None: it is sealed."""
    name: str | None = None
    """Of the sealed object, relative to the folder."""


class Page(NamedTuple):
    """Entries [start, end) of a log, in the lines of a sealed object."""

    start: int
    end: int
    line: int
    size: int
    """Bytes of the entries."""
    level: int
    """How often they were merged into a larger page."""
    name: str

    def object(self, folder: str) -> str:
        """The object's name, relative to the space's folder; ``folder`` is the log's."""
        return self.name if "/" in self.name else names.page(folder, self.start, self.end, self.name)


class LogState(NamedTuple):
    start: int = 0
    length: int = 0
    pages: tuple[Page, ...] = ()
    tail: tuple[bytes, ...] = ()
    """Cells of the last entries, which are in no page."""
    folder: str = ""
    """Where its pages are, relative to the space's folder."""

    @property
    def sealed(self) -> int:
        """Index of the tail's first entry."""
        return self.length - len(self.tail)

    @property
    def weight(self) -> int:
        """Bytes of the tail in the head."""
        return sum(map(len, self.tail)) + len(self.tail)


@dataclass(frozen=True, slots=True)
class Head:
    incarnation: str
    revision: int
    created: float
    updated: float
    expires: float | None = None
    parent: str | None = None
    summary: bytes | None = None
    swept: tuple[float, int] = (0.0, 0)
    """When unnamed objects were last looked for, and how often so far: each time makes it another head."""
    docs: Mapping[str, Stored] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    logs: Mapping[str, LogState] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()
    recent: tuple[Done, ...] = ()
    moved: int = 0
    """The revision that put it below its parent; 0: it was made there."""

    def log(self, name: str) -> LogState:
        return self.logs.get(name) or LogState()

    def version(self, path: str) -> str | None:
        return f"{self.incarnation}.{self.docs[path].revision}" if path in self.docs else None

    def alive(self, now: float) -> bool:
        return self.expires is None or self.expires > now

    def objects(self) -> set[str]:
        """Names of all it has sealed, relative to its folder."""
        found = {page.object(log.folder) for log in self.logs.values() for page in log.pages}
        found.update(doc.name for doc in self.docs.values() if doc.name is not None)
        found.update(block.name for block in self.blocks if block.name is not None)
        return found


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What stands in the place of the head of a dropped space; or of one that is about to be made (without a life)."""

    dropped: float
    life: str = ""
    created: float = 0.0
    parent: str | None = None
    unique: str = field(default_factory=lambda: secrets.token_hex(9))
    """No two tombstones are alike, so nobody who expects one ever meets another."""
    moved: int = 0


def dump(state: Head | Tombstone) -> bytes:
    """Its JSON text: an entry and a document a line."""
    if isinstance(state, Tombstone):
        told = {"dropped": state.dropped, "life": state.life, "created": state.created, "parent": state.parent}
        return json.dumps({"format": FORMAT, **told, "unique": state.unique, "moved": state.moved}).encode() + b"\n"
    plain = {
        "format": FORMAT,
        "incarnation": state.incarnation,
        "revision": state.revision,
        "created": state.created,
        "updated": state.updated,
        "expires": state.expires,
        "parent": state.parent,
        **({"moved": state.moved} if state.moved else {}),
        "swept": state.swept,
    }
    parts = [json.dumps(plain, separators=(",", ":")).encode()[:-1]]
    if state.summary is not None:
        parts.append(b',\n"summary":' + cells.encode(state.summary))
    docs = (cells.dump_name(path) + b":" + _doc(doc) for path, doc in state.docs.items())
    parts.append(b',\n"documents":{' + b",".join(b"\n" + doc for doc in docs) + b"}")
    parts.append(b',\n"counters":' + json.dumps(dict(state.counters), separators=(",", ":")).encode())
    logs = (cells.dump_name(name) + b":" + _log(log) for name, log in state.logs.items())
    parts.append(b',\n"logs":{' + b",".join(b"\n" + log for log in logs) + b"}")
    older = [[block.count, block.newest, block.text, block.name] for block in state.blocks]
    commits = {**pack(state.recent), "older": older}
    parts.append(b',\n"commits":' + json.dumps(commits, separators=(",", ":")).encode() + b"}\n")
    return b"".join(parts)


def _doc(doc: Stored) -> bytes:
    what = doc.cell if doc.cell is not None else cells.dump(doc.size) + b"," + cells.dump(doc.name)
    return b"[%d,%b]" % (doc.revision, what)


def _log(log: LogState) -> bytes:
    pages = json.dumps(log.pages, separators=(",", ":")).encode()
    tail = b",".join(b"\n" + cell for cell in log.tail)
    folder = json.dumps(log.folder).encode()
    return b'{"start":%d,"length":%d,"folder":%b,"pages":%b,"tail":[%b]}' % (
        log.start,
        log.length,
        folder,
        pages,
        tail,
    )


def parse(key: str, data: bytes) -> Head | Tombstone:
    """What `dump` wrote.

    Raises:
        Corrupt: Names the key.
    """
    try:
        raw = json.loads(data)
        if raw["format"] != FORMAT:
            raise ValueError(f"its format is {raw['format']!r}, this version knows {FORMAT}")
        if "dropped" in raw:
            return Tombstone(
                raw["dropped"], raw["life"], raw["created"], raw["parent"], raw["unique"], raw.get("moved", 0)
            )
        return _head(raw)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise Corrupt(key, f"it is no head of a space ({type(error).__name__}: {error})") from error


def _head(raw: dict[str, Any]) -> Head:
    revision = int(raw["revision"])
    commits = raw["commits"]
    recent = unpack(commits, revision - len(commits["done"]) + 1)
    summary = raw.get("summary", _NONE)
    swept, times = raw["swept"]
    return Head(
        str(raw["incarnation"]),
        revision,
        float(raw["created"]),
        float(raw["updated"]),
        None if raw["expires"] is None else float(raw["expires"]),
        raw["parent"],
        None if summary is _NONE else cells.decode(cells.dump(summary)),
        (float(swept), int(times)),
        {path: _parse_doc(*doc) for path, doc in raw["documents"].items()},
        {name: int(value) for name, value in raw["counters"].items()},
        {name: _parse_log(log) for name, log in raw["logs"].items()},
        tuple(_parse_blocks(commits["older"], revision - len(recent) + 1)),
        tuple(recent),
        int(raw.get("moved", 0)),
    )


_NONE: Final = object()


def _parse_doc(revision: int, *what: Any) -> Stored:
    if len(what) == 2:
        return Stored(revision, int(what[0]), None, str(what[1]))
    cell = cells.dump(what[0])
    return Stored(revision, cells.size(cell), cell)


def _parse_log(raw: dict[str, Any]) -> LogState:
    pages = tuple(Page(*page) for page in raw["pages"])
    tail = tuple(map(cells.dump, raw["tail"]))
    log = LogState(int(raw["start"]), int(raw["length"]), pages, tail, str(raw["folder"]))
    for cell in tail:
        cells.size(cell)  # raises for what is none
    at = log.start
    for page in pages:
        if page.start != at or page.end <= at:
            raise ValueError(f"its pages have a gap at {at}")
        at = page.end
    if at != log.sealed:
        raise ValueError(f"its pages end at {at}, its tail begins at {log.sealed}")
    return log


def _parse_blocks(raw: list[Any], end: int) -> Iterator[Block]:
    first = end - sum(count for count, *_ in raw)
    for count, newest, text, name in raw:
        yield Block(first, count, newest, text, name)
        first += count
