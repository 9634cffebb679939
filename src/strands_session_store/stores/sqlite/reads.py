"""What a read asks of the tables, within a transaction that another made: one state, no more rows than are returned."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from ... import ids
from ..base import Counters, Doc, Docs, Document, Log, LogView, Look, Query, Want
from ..paging import Bound, read_cursor, spans
from .plan import Cell, read_cells
from .schema import COUNTER, DOC, LOG, key_of


def listing(query: Query, now: float) -> tuple[str, list[object]]:
    """The statement for one page and one row more. What is put into its text are names of columns, never values."""
    by = query.order.value
    where, values = _scope(query, now)
    # of one owner the index has no column for the owner behind the time; SQLite seeks only along an index's columns
    columns = [by, "owner", "id"] if query.everyone else [by, "id"]
    if (behind := read_cursor(query)) is not None:
        where.append(f"({', '.join(columns)}) {'<' if query.descending else '>'} ({', '.join('?' for _ in columns)})")
        values += behind if query.everyone else (behind[0], behind[2])
    direction = "DESC" if query.descending else "ASC"
    order = ", ".join(f"{column} {direction}" for column in columns)
    sql = (
        f"SELECT {by}, owner, id, created, updated, parent, summary, space FROM spaces "
        f"WHERE {' AND '.join(where)} ORDER BY {order} LIMIT ?"
    )
    return sql, [*values, query.limit + 1]


def counting(query: Query, now: float) -> tuple[str, list[object]]:
    """The statement for the number of all rows."""
    where, values = _scope(query, now)
    return f"SELECT count(*) FROM spaces WHERE {' AND '.join(where)}", values


def _scope(query: Query, now: float) -> tuple[list[str], list[object]]:
    """What the rows of a listing have in common: conditions, and the values in them."""
    by = query.order.value
    scope: dict[str, object] = {"kind": query.kind}
    if not query.everyone:
        scope["owner"] = ids.NO_OWNER if query.owner is None else ids.escape(query.owner)
    if query.parent is not None:
        scope["parent"] = query.parent
    where, values = [f"{column} = ?" for column in scope], list(scope.values())
    if query.since is not None:
        where.append(f"{by} >= ?")
        values.append(query.since)
    if query.until is not None:
        where.append(f"{by} < ?")
        values.append(query.until)
    return [*where, "(expires IS NULL OR expires > ?)"], [*values, now]


def look(
    db: sqlite3.Connection,
    wants: Sequence[Want],
    space: int,
    incarnation: str,
    revision: int,
    expires: float | None,
) -> Look:
    bound = Bound()
    docs: dict[str, Document] = {}
    logs: dict[str, LogView] = {}
    counters: dict[str, int] = {}
    more: list[Want] = []
    cells = read_cells(db, space, _numbers(wants))
    for want in wants:
        match want:
            case Counters(names):
                counters |= {name: _counter(cells, name) for name in names}
            case Doc(path):
                sql = "SELECT a, data FROM cells WHERE space = ? AND name = ?"
                row = db.execute(sql, (space, DOC + path)).fetchone()
                if row and path not in docs:
                    if bound.take(len(row[1])):
                        docs[path] = Document(row[1], f"{incarnation}.{row[0]}")
                    else:
                        more.append(want)
            case Docs(prefix, after):
                sql = "SELECT name, a, data FROM cells WHERE space = ? AND name >= ? ORDER BY name"
                for name, put, data in db.execute(sql, (space, DOC + max(prefix, after or ""))):
                    path = name[len(DOC) :]
                    if not name.startswith(DOC + prefix):
                        break
                    if path != after and path not in docs:
                        if not bound.take(len(data)):
                            more.append(Docs(prefix, after))
                            break
                        docs[path] = Document(data, f"{incarnation}.{put}")
                        after = path
            case Log(log):
                start, length, number = cells.get(LOG + log, (None, None, None))
                start, length, number = start or 0, length or 0, number or 0
                asked = spans(want, start, length, _counter(cells, want.since) if want.since is not None else 0)
                entries = dict(logs[log].entries) if log in logs else {}
                while asked and not bound.full:
                    low, high = asked.pop()
                    # newest first and row by row: what the bound leaves out is not fetched
                    sql = "SELECT key, data FROM entries WHERE key >= ? AND key < ? ORDER BY key DESC"
                    for key, data in db.execute(sql, (key_of(number, low), key_of(number, high))):
                        index = key - key_of(number, 0)
                        if index not in entries:
                            if not bound.take(len(data)):
                                asked.append((low, index + 1))
                                break
                            entries[index] = data
                if asked:
                    more.append(Log(log, tuple(asked)))
                logs[log] = LogView(start, length, dict(sorted(entries.items())))
    return Look(incarnation, revision, docs, logs, counters, tuple(more), expires)


def counters_of(db: sqlite3.Connection, space: int, names: Sequence[str]) -> dict[str, int]:
    """The counters of a space that a listing tells."""
    cells = read_cells(db, space, {COUNTER + name for name in names})
    return {name: _counter(cells, name) for name in names}


def _numbers(wants: Sequence[Want]) -> set[str]:
    """Names of the cells whose numbers the wants need: heads of logs and counters."""
    names: set[str] = set()
    for want in wants:
        match want:
            case Log(log):
                names |= {LOG + log} if want.since is None else {LOG + log, COUNTER + want.since}
            case Counters(counters):
                names |= {COUNTER + name for name in counters}
            case _:
                pass
    return names


def _counter(cells: dict[str, Cell], name: str) -> int:
    return cells.get(COUNTER + name, (0, None, None))[0] or 0
