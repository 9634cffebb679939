"""One SQLite transaction a verb. What a commit changes is decided first (`plan`), then written in a few statements."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from ... import ids
from ..base import (
    ANY,
    KEEP,
    REPEAT_COMMITS,
    REPEAT_SECONDS,
    Capability,
    Change,
    Committed,
    Dropped,
    Expected,
    Look,
    Page,
    Query,
    Row,
    Space,
    Store,
    Summary,
    Ttl,
    Want,
    new_incarnation,
)
from ..checks import check_commit, check_query, check_space
from ..counting import Counting
from ..diagnosing import Diagnosing, Finding
from ..paging import UPDATED_WITHIN, write_cursor
from .connections import Connections
from .diagnosis import diagnose
from .erasing import bury, erase, sweep
from .plan import Plan
from .reads import counters_of, counting, listing, look
from .schema import COMMIT, LOG, REVISION, key_of

_FORGET_EVERY: Final = 16
"""Commits of a space between two looks for commit ids to forget."""

_FIND: Final = """
    SELECT s.space, s.incarnation, r.a, s.updated, s.expires, s.summary, s.parent, x.a, x.data
    FROM spaces s LEFT JOIN cells r ON r.space = s.space AND r.name = ''
        LEFT JOIN cells x ON x.space = s.space AND x.name = ?
    WHERE s.kind = ? AND s.owner = ? AND s.id = ?"""
_FIND_LIVE: Final = """
    SELECT s.space, s.incarnation, r.a, s.expires
    FROM spaces s JOIN cells r ON r.space = s.space AND r.name = ''
    WHERE s.kind = ? AND s.owner = ? AND s.id = ? AND (s.expires IS NULL OR s.expires > ?)"""
_PUT: Final = "REPLACE INTO cells VALUES (?, ?, ?, ?, ?, ?)"
_FORGET: Final = "DELETE FROM cells WHERE space = ? AND name >= 'x' AND name < 'y' AND a < ? AND b < ?"


class SQLiteStore(Store, Counting, Diagnosing):
    """Spaces in one SQLite file (WAL mode), which processes of one machine may share.

    Nothing is opened before the first verb. The first commit makes a missing file; a missing directory is an error.
    Reading takes no right to write, neither to the file nor beside it.

    Args:
        path: Of the database. Two more files stand beside it while it is in use: ``-wal`` and ``-shm``.
        timeout: Seconds to wait for other writers before Unavailable.
        clock: Seconds of Unix time; the engine's time. Processes that share the file should have the same.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.PERSISTENT, Capability.SHARED})
    # SQLite takes one writer at a time: a third thread would only wait. The second one lets reads go on meanwhile.
    workers: ClassVar[int] = 2

    def __init__(
        self, path: str | os.PathLike[str], *, timeout: float = 30.0, clock: Callable[[], float] = time.time
    ) -> None:
        name = os.fspath(path)
        if name in ("", ":memory:"):
            raise ValueError("SQLiteStore needs the path of a file; for one in memory use MemoryStore")
        # absolute, so that a change of directory later is no change of database
        self._connections = Connections(os.path.abspath(name), timeout)
        self._clock = clock

    def __repr__(self) -> str:
        return f"SQLiteStore({self._connections.path!r})"

    def read(self, space: Space, *wants: Want) -> Look:
        with self._connections.reading() as db:
            row = db and db.execute(_FIND_LIVE, (*space.key, self._clock())).fetchone()
            return look(db, wants, *row) if db and row else Look(None)

    def commit(
        self,
        space: Space,
        *changes: Change,
        commit_id: str,
        on: Expected = ANY,
        ttl: Ttl = KEEP,
        summary: Summary | None = None,
    ) -> Committed:
        check_commit(changes, commit_id, ttl, summary)
        key = space.key
        with self._connections.writing() as db:
            now = self._clock()
            row = db.execute(_FIND, (COMMIT + commit_id, *key)).fetchone()
            if row and row[4] is not None and row[4] <= now:
                bury(db, row[0])
                row = None
            if row is None:
                check_space(None, on)
                number, incarnation, revision = 0, new_incarnation(), 1
            else:
                number, incarnation, revision, updated, _, data, parent, done, result = row
                if done is not None:
                    return Committed(incarnation, done, **json.loads(result), repeated=True)
                check_space(incarnation, on)
                revision += 1
            plan = Plan(db, number, incarnation, changes)

            expires = None if ttl is None or ttl is KEEP else now + ttl
            if row is None:
                parent, data = (summary.parent, summary.data) if summary else (None, None)
                number = _create(db, *key, incarnation, now, now, expires, parent, data)
            else:
                # only what the index shows or expiry needs: most commits leave the row alone
                sets: dict[str, object] = {} if ttl is KEEP or expires == row[4] else {"expires": expires}
                if summary is not None and summary.data != data:
                    sets["summary"] = summary.data
                if summary is not None and summary.parent != parent:
                    sets["parent"] = summary.parent
                if sets.keys() & {"summary", "parent"} or now - updated >= UPDATED_WITHIN:
                    sets["updated"] = now
                if sets:
                    _update(db, number, sets)
            _write(db, number, revision, plan, commit_id, now)
            if revision % _FORGET_EVERY == 0 and revision > REPEAT_COMMITS:
                db.execute(_FORGET, (number, revision - REPEAT_COMMITS, int(1000 * (now - REPEAT_SECONDS))))
            sweep(db, now)
        return Committed(incarnation, revision, plan.indices, plan.counters)

    def list(self, query: Query) -> Page:
        check_query(query)
        sql, values = listing(query, self._clock())
        with self._connections.reading() as db:
            found = db.execute(sql, values).fetchall() if db else []
            page = [
                Row(
                    Space(query.kind, None if owner == ids.NO_OWNER else ids.unescape(owner), ids.unescape(id)),
                    created,
                    updated,
                    parent,
                    summary,
                    counters_of(db, number, query.counters) if db else {},
                )
                for _, owner, id, created, updated, parent, summary, number in found[: query.limit]
            ]
        more = len(found) > query.limit
        return Page(page, write_cursor(query.order, *found[query.limit - 1][:3]) if more else None)

    def count(self, query: Query, *, most: int | None = None) -> tuple[int, bool]:
        check_query(query)
        sql, values = counting(query, self._clock())
        with self._connections.reading() as db:
            return int(db.execute(sql, values).fetchone()[0]) if db else 0, True

    def drop(self, space: Space, *, on: Expected = ANY) -> Dropped:
        with self._connections.writing() as db:
            row = db.execute(_FIND, (COMMIT, *space.key)).fetchone()
            if row is None:
                return Dropped()
            number, incarnation, _, _, expires, *_ = row
            # who drops wants it erased: what has expired counts as absent, but does not wait for a sweep
            if live := expires is None or expires > self._clock():
                check_space(incarnation, on)
            receipt = erase(db, number)
            db.execute("DELETE FROM spaces WHERE space = ?", (number,))
        return receipt if live else Dropped()

    def diagnose(self) -> Sequence[Finding]:
        return diagnose(self._connections)

    def close(self) -> None:
        self._connections.close()
        super().close()


def _write(db: sqlite3.Connection, space: int, revision: int, plan: Plan, commit_id: str, now: float) -> None:
    numbers: dict[str, int] = {}
    for log, (start, length, number) in plan.heads.items():
        numbers[log] = _next_number(db) if number is None else number
        plan.cells.append((LOG + log, start, length, numbers[log], None))
    for name in plan.drops:
        db.execute("DELETE FROM cells WHERE space = ? AND name = ?", (space, name))
    told = json.dumps({"indices": plan.indices, "counters": plan.counters}, separators=(",", ":"))
    db.executemany(
        _PUT,
        [
            *((space, name, revision if a is None else a, b, c, data) for name, a, b, c, data in plan.cells),
            (space, REVISION, revision, None, None, None),
            (space, COMMIT + commit_id, revision, int(1000 * now), None, told),
        ],
    )
    entries = [(key_of(numbers.get(log) or plan.number(log), index), data) for log, index, data in plan.entries]
    if entries:
        db.executemany("REPLACE INTO entries VALUES (?, ?)", entries)
    # behind the entries: one that is replaced and trimmed by the same commit is gone
    for log, start, before in plan.erase:
        keys = key_of(numbers[log], start), key_of(numbers[log], before)
        db.execute("DELETE FROM entries WHERE key >= ? AND key < ?", keys)


def _next_number(db: sqlite3.Connection) -> int:
    (number,) = db.execute("SELECT next FROM numbers").fetchone()
    db.execute("UPDATE numbers SET next = next + 1")
    return int(number)


def _create(db: sqlite3.Connection, *values: object) -> int:
    columns = "kind, owner, id, incarnation, created, updated, expires, parent, summary"
    made = db.execute(f"INSERT INTO spaces ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    assert made.lastrowid is not None
    return made.lastrowid


def _update(db: sqlite3.Connection, number: int, sets: dict[str, object]) -> None:
    # only what changes: an index whose column is not named costs nothing
    columns = ", ".join(f"{column} = ?" for column in sets)
    db.execute(f"UPDATE spaces SET {columns} WHERE space = ?", (*sets.values(), number))
