"""What is large or full leaves the head for objects that never change: pages of logs, documents, old commit ids.

Rule 1. What is sealed is written first, under a name never used before; then the head that names it. When that head is
        refused, its objects are never named again: the next attempt seals anew.
Rule 2. When the tails of all logs together are past `Sealing.tail`, they become pages.
Rule 3. When the pages of a level are many enough, they become one of the next level, in the same step. Small pages
        share an object. So a step puts one object; another one only for what is large itself.
Rule 4. A page of which an entry is replaced or erased is written anew: what was erased is nowhere.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from ...errors import Corrupt, Unavailable
from . import cells, names
from .blobs import Sealing
from .head import Head, LogState, Page, Stored
from .repeats import Block, Done, pack, to_seal

_WORTH: Final = 1024
"""Bytes of a tail or document, below which naming its object takes about as much of the head as the thing itself."""
_SMALL: Final = 32 * 1024
"""Bytes of a page that shares an object with others of the same step."""

Lines: TypeAlias = Sequence[bytes]
Load: TypeAlias = Callable[[Collection[str]], Mapping[str, Lines]]
"""The lines of objects, by key; raises Vanished for one that is not there."""
Put: TypeAlias = Callable[[str, bytes], None]
"""Stores an object under a name relative to the space's folder."""


class Vanished(Exception):
    """A sealed object is not there: the head that names it is out of date, or somebody removed it by hand."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(key)


@dataclass(eq=False, slots=True)
class _Piece:
    """Entries that are to be written as a page: those of pages that are there, then others. Cells come when loaded."""

    log: str
    level: int
    sources: Sequence[Page]
    rest: Sequence[bytes] = ()
    start: int = 0
    cells: Sequence[bytes] = ()

    @property
    def weight(self) -> int:
        return sum(map(len, self.cells))


Replaced: TypeAlias = Mapping[str, Mapping[int, bytes]]
"""Log -> index -> cell of entries in its pages that are to be others."""
_Parts: TypeAlias = dict[str, list[Page | _Piece]]
"""Log -> its pages as they will be: those that stay, and those to be written."""


def split(data: bytes, key: str) -> Lines:
    """The lines of a page's object.

    Raises:
        Corrupt: Its end is missing.
    """
    *lines, rest = data.split(b"\n")
    if rest:
        raise Corrupt(key, "its last line has no end: the object is cut off")
    return lines


def cut(lines: Lines, page: Page, key: str) -> Lines:
    """The cells of a page, of its object's lines.

    Raises:
        Corrupt: They are not what the head says.
    """
    found = lines[page.line : page.line + page.end - page.start]
    try:
        size = sum(map(cells.size, found))
    except (ValueError, KeyError, TypeError) as error:
        raise Corrupt(key, f"a line of it is no entry ({error})") from error
    if len(found) != page.end - page.start or size != page.size:
        told = f"{page.end - page.start} entries of {page.size:,} bytes"
        raise Corrupt(key, f"{told} should begin in line {page.line + 1}; there are {len(found)} of {size:,} bytes")
    return found


def seal(head: Head, replaced: Replaced, limits: Sealing, folder: str, load: Load, put: Put) -> tuple[Head, bool]:
    """The head with what is too much for it sealed, and whether its tails were.

    Args:
        head: What a commit made of it.
        replaced: What it replaced in pages.
        limits: What is too much.
        folder: Of the space; the beginning of the keys of all it has sealed.
        load: As it is called: once at most, twice when it fails.
        put: Once for each object.

    Raises:
        Vanished, Corrupt: An object that has to be written anew is not there, or can not be read.
        StoreError: As load and put.
    """
    full = _full(head.logs, limits.tail)
    stale = _stale(head, replaced)
    if full or stale:
        parts = {name: _plan(name, log, name in full, stale, limits) for name, log in head.logs.items()}
        try:
            _fill(parts, head, replaced, folder, load)
        except (Vanished, Unavailable, Corrupt):
            if stale:
                raise
            # merging can wait: a page that is lost must not end the session
            parts = {name: [*head.logs[name].pages, _Piece(name, 0, (), head.logs[name].tail)] for name in full}
            _fill(parts, head, replaced, folder, load)
        head = replace(head, logs={**head.logs, **dict(_write(head.logs, parts, full, limits.page, put))})
    if docs := _documents(head.docs, limits, put):
        head = replace(head, docs={**head.docs, **docs})
    if blocks := to_seal(head.blocks):
        head = replace(head, blocks=(*(block for block in head.blocks if block.text is None), _block(blocks, put)))
    return head, bool(full)


def _full(logs: Mapping[str, LogState], limit: int) -> set[str]:
    """The logs whose tails are to be sealed now."""
    weights = {name: log.weight for name, log in logs.items() if log.tail}
    total = sum(weights.values())
    if total <= limit:
        return set()
    worth = {name for name, weight in weights.items() if weight >= _WORTH}
    # very many small ones are too much as well
    return worth if total - sum(weights[name] for name in worth) <= limit // 2 else set(weights)


def _stale(head: Head, replaced: Replaced) -> set[str]:
    """The objects that hold what was replaced, or was erased while other entries of its page are left."""
    return {
        page.object(log.folder)
        for name, log in head.logs.items()
        for page in log.pages
        if page.start < log.start or any(page.start <= index < page.end for index in replaced.get(name, ()))
    }


def _plan(name: str, log: LogState, full: bool, stale: set[str], limits: Sealing) -> list[Page | _Piece]:
    kept, level = len(log.pages), 0
    if full:
        size = log.weight
        while level < len(limits.merge):
            first, merged = kept, size
            while first and log.pages[first - 1].level <= level and merged + log.pages[first - 1].size <= limits.page:
                first -= 1
                merged += log.pages[first].size
            # what is as large as a merged page counts as one
            large = merged >= limits.tail * math.prod(limits.merge[: level + 1])
            if kept - first + 1 < limits.merge[level] and not large:
                break
            kept, size = first, merged
            level += 1
    parts = [
        _Piece(name, page.level, (page,)) if page.object(log.folder) in stale else page for page in log.pages[:kept]
    ]
    return [*parts, _Piece(name, level, log.pages[kept:], log.tail)] if full else parts


def _pieces(parts: _Parts) -> list[_Piece]:
    return [part for found in parts.values() for part in found if isinstance(part, _Piece)]


def _fill(parts: _Parts, head: Head, replaced: Replaced, folder: str, load: Load) -> None:
    """Give the pieces their cells: what was replaced as it is now, and nothing that was erased."""
    pieces = _pieces(parts)
    lines = load({folder + page.object(head.logs[piece.log].folder) for piece in pieces for page in piece.sources})
    for piece in pieces:
        log, other = head.logs[piece.log], replaced.get(piece.log, {})
        found: list[bytes] = []
        for page in piece.sources:
            key = folder + page.object(log.folder)
            cells_of = enumerate(cut(lines[key], page, key), page.start)
            found += (other.get(index, cell) for index, cell in cells_of if index >= log.start)
        piece.start = max(piece.sources[0].start, log.start) if piece.sources else log.sealed
        piece.cells = [*found, *piece.rest]


def _write(
    logs: Mapping[str, LogState], parts: _Parts, full: set[str], limit: int, put: Put
) -> Iterator[tuple[str, LogState]]:
    """Put the pieces into objects; the logs as they are then."""
    halves = {id(piece): list(_halves(piece, limit)) for piece in _pieces(parts)}
    pages: dict[int, Page] = {}
    for group in _groups([half for some in halves.values() for half in some]):
        folder = logs[group[0].log].folder or names.spell(group[0].log)
        unique, first = names.unique(), group[0]
        name = names.page(folder, first.start, first.start + len(first.cells), unique)
        put(name, b"".join(cell + b"\n" for half in group for cell in half.cells))
        line = 0
        for half in group:
            size = sum(map(cells.size, half.cells))
            end = half.start + len(half.cells)
            pages[id(half)] = Page(half.start, end, line, size, half.level, unique if half is first else name)
            line += len(half.cells)
    for log, found in parts.items():
        made = [
            page
            for part in found
            for page in ([pages[id(half)] for half in halves[id(part)]] if isinstance(part, _Piece) else [part])
        ]
        state = logs[log]
        folder = state.folder or (names.spell(log) if made else "")
        yield log, state._replace(pages=tuple(made), tail=() if log in full else state.tail, folder=folder)


def _halves(piece: _Piece, limit: int) -> Iterator[_Piece]:
    """The piece, in parts where it is larger than a page may be."""
    start = at = size = 0
    for at, cell in enumerate(piece.cells):
        if at > start and size + len(cell) > limit:
            yield replace(piece, start=piece.start + start, cells=piece.cells[start:at])
            start, size = at, 0
        size += len(cell)
    yield replace(piece, start=piece.start + start, cells=piece.cells[start:])


def _groups(pieces: list[_Piece]) -> list[list[_Piece]]:
    """What goes into one object: a large piece has its own, and the small ones go along with the last of these."""
    groups: list[list[_Piece]] = []
    for piece in sorted(pieces, key=lambda piece: -piece.weight):
        if not groups or piece.weight >= _SMALL:
            groups.append([piece])
        else:
            groups[-1].append(piece)
    return groups


def _documents(docs: Mapping[str, Stored], limits: Sealing, put: Put) -> dict[str, Stored]:
    """Those that leave the head: large ones, and, when all together are too many, those that were put longest ago."""
    inline = {path: doc for path, doc in docs.items() if doc.cell is not None}
    out = {path: doc for path, doc in inline.items() if doc.size > limits.document}
    left = sum(doc.size for doc in inline.values()) - sum(doc.size for doc in out.values())
    if left > limits.documents:
        for path, doc in sorted(inline.items(), key=lambda item: item[1].revision):
            if left > limits.documents // 2 and path not in out and doc.size >= _WORTH:
                out[path] = doc
                left -= doc.size
    sealed = {}
    for path, doc in out.items():
        assert doc.cell is not None
        data = cells.decode(doc.cell)
        name = names.document(path, data is doc.cell)
        put(name, data)
        sealed[path] = doc._replace(cell=None, name=name)
    return sealed


def _block(blocks: Sequence[Block], put: Put) -> Block:
    done: list[Done] = list(itertools.chain.from_iterable(block.open().values() for block in blocks))
    name = names.commits(done[0].revision, done[-1].revision)
    put(name, json.dumps(pack(done), separators=(",", ":")).encode())
    opened = {one.id: one for one in done}
    return Block(done[0].revision, len(done), done[-1].time, None, name, opened)
