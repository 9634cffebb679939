"""What a commit comes to, given what the space holds: decided whole before the first row is written.

The space's cells that the changes touch are fetched by one statement; checks and arithmetic are then plain Python; and
what is to be written is handed back as rows for a few statements.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from ...errors import ConflictError, TooLarge
from ..base import (
    ANY,
    INT64_MAX,
    Add,
    Append,
    Change,
    DropDoc,
    Expect,
    Expected,
    PutDoc,
    Replace,
    Trim,
)
from ..checks import check_version
from .schema import COUNTER, DOC, LOG

Cell: TypeAlias = tuple[int | None, int | None, int | None]
"""The three numbers of a cell: see `schema.TABLES`."""

_AT_ONCE = 500
"""Names in one SELECT; SQLite takes 32,766 values, older builds 999."""


class Plan:
    """The decision about one commit.

    Attributes:
        cells: Rows (name, a, b, c, data) to be put; a of None: this commit's revision.
        drops: Names of cells to be deleted.
        entries: (log, index, bytes) to be put.
        erase: (log, from, to) of entries to be deleted, after `entries` were put.
        heads: Log -> start, length and number (None: a new log), as they will be.
        indices, counters: As in `Committed`.

    Raises:
        ConflictError, TooLarge
    """

    def __init__(self, db: sqlite3.Connection, space: int, incarnation: str, changes: Sequence[Change]) -> None:
        self.cells: list[tuple[str, int | None, int | None, int | None, bytes | None]] = []
        self.drops: list[str] = []
        self.entries: list[tuple[str, int, bytes]] = []
        self.erase: list[tuple[str, int, int]] = []
        self.indices: dict[str, int] = {}
        self.counters: dict[str, int] = {}
        self.heads: dict[str, tuple[int, int, int | None]] = {}
        self._incarnation = incarnation
        self._found = read_cells(db, space, {name for change in changes if (name := _cell_of(change))}) if space else {}
        for change in changes:
            self._add(change)

    def _add(self, change: Change) -> None:
        match change:
            case PutDoc(path, data, expected):
                self._check_doc(path, expected)
                self.cells.append((DOC + path, None, None, None, data))
            case DropDoc(path, expected):
                self._check_doc(path, expected)
                if DOC + path in self._found:
                    self.drops.append(DOC + path)
            case Expect(path, expected):
                self._check_doc(path, expected)
            case Append(log, entries, at):
                _, length, _ = self._head(log)
                if at is not None and at != length:
                    raise ConflictError(log, at, length)
                if entries:
                    self.indices[log] = length
                    self.entries += ((log, index, data) for index, data in enumerate(entries, length))
                    start, _, number = self.heads.get(log, self._head(log))
                    self.heads[log] = start, length + len(entries), number
            case Replace(log, index, data):
                start, length, _ = self._head(log)
                if not start <= index < length:
                    raise ConflictError(log, index, None)
                self.entries.append((log, index, data))
            case Trim(log, before):
                start, length, _ = self._head(log)
                if (before := min(before, length)) > start:
                    self.erase.append((log, start, before))
                    _, longer, number = self.heads.get(log, self._head(log))
                    self.heads[log] = before, longer, number
            case Add(counter, delta):
                value = (self._found.get(COUNTER + counter, _NOTHING)[0] or 0) + delta
                if not -INT64_MAX - 1 <= value <= INT64_MAX:
                    raise TooLarge(f"counter {counter!r} would be {value}: past int64; nothing was written")
                self.counters[counter] = value
                self.cells.append((COUNTER + counter, value, None, None, None))

    def number(self, log: str) -> int:
        """The number of a log that was there before this commit."""
        number = self._head(log)[2]
        assert number is not None
        return number

    def _check_doc(self, path: str, expected: Expected) -> None:
        if expected is ANY:
            return
        cell = self._found.get(DOC + path)
        check_version(path, f"{self._incarnation}.{cell[0]}" if cell else None, expected)

    def _head(self, log: str) -> tuple[int, int, int | None]:
        """Start, length and number before this commit."""
        start, length, number = self._found.get(LOG + log, _NOTHING)
        return start or 0, length or 0, number


_NOTHING: Cell = (None, None, None)


def read_cells(db: sqlite3.Connection, space: int, names: Iterable[str]) -> dict[str, Cell]:
    """The numbers of the cells with these names, as far as they exist."""
    wanted = list(names)
    found: dict[str, Cell] = {}
    for at in range(0, len(wanted), _AT_ONCE):
        some = wanted[at : at + _AT_ONCE]
        sql = f"SELECT name, a, b, c FROM cells WHERE space = ? AND name IN ({','.join('?' * len(some))})"
        found.update((name, (a, b, c)) for name, a, b, c in db.execute(sql, (space, *some)))
    return found


def _cell_of(change: Change) -> str | None:
    """The cell whose present value decides about the change."""
    match change:
        case PutDoc(path, _, expected):
            return None if expected is ANY else DOC + path
        case DropDoc(path) | Expect(path):
            return DOC + path
        case Append(log) | Replace(log) | Trim(log):
            return LOG + log
        case Add(counter):
            return COUNTER + counter
