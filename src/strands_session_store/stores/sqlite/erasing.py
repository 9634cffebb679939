"""What is no longer there goes: at once when it was dropped, a little with every commit when it expired."""

from __future__ import annotations

import sqlite3
from typing import Final

from ..base import Dropped
from .schema import key_of

_BURY_SPACES: Final = 4
"""Expired spaces a commit takes out of the index."""
_ERASE_ROWS: Final = 200
"""Rows of an expired space that a commit deletes."""

_LOGS: Final = "SELECT name, a, b, c FROM cells WHERE space = ? AND name >= 'l' AND name < 'm'"
_DUE: Final = "SELECT EXISTS (SELECT 1 FROM spaces WHERE expires <= ?), EXISTS (SELECT 1 FROM buried)"


def erase(db: sqlite3.Connection, space: int) -> Dropped:
    """Delete all that a space holds; its row in the index is the caller's. Returns the receipt."""
    count, size = "SELECT count(*), coalesce(sum(length(data)), 0) FROM", "coalesce(sum(length(data)), 0)"
    sql = f"SELECT count(*), {size} FROM cells WHERE space = ? AND name >= 'd' AND name < 'e'"
    documents, weight = db.execute(sql, (space,)).fetchone()
    entries = 0
    for _, start, length, number in db.execute(_LOGS, (space,)).fetchall():
        keys = key_of(number, start), key_of(number, length)
        many, more = db.execute(f"{count} entries WHERE key >= ? AND key < ?", keys).fetchone()
        db.execute("DELETE FROM entries WHERE key >= ? AND key < ?", keys)
        entries, weight = entries + many, weight + more
    db.execute("DELETE FROM cells WHERE space = ?", (space,))
    return Dropped(True, documents, entries, weight)


def bury(db: sqlite3.Connection, space: int) -> None:
    """Make an expired space one that never was; `sweep` deletes what it held."""
    db.execute("DELETE FROM spaces WHERE space = ?", (space,))
    db.execute("INSERT INTO buried VALUES (?)", (space,))


def sweep(db: sqlite3.Connection, now: float) -> None:
    """Erase a little of what has expired: the same for every commit, however much there is."""
    expired, buried = db.execute(_DUE, (now,)).fetchone()
    if expired:
        for (space,) in db.execute(
            "SELECT space FROM spaces WHERE expires <= ? LIMIT ?", (now, _BURY_SPACES)
        ).fetchall():
            bury(db, space)
    if not buried:
        return
    (space,) = db.execute("SELECT space FROM buried LIMIT 1").fetchone()
    left = _ERASE_ROWS
    for name, start, length, number in db.execute(_LOGS, (space,)).fetchall():
        end = min(length, start + left)
        db.execute("DELETE FROM entries WHERE key >= ? AND key < ?", (key_of(number, start), key_of(number, end)))
        left -= end - start
        # the log's head remembers how far this has come
        db.execute("UPDATE cells SET a = ? WHERE space = ? AND name = ?", (end, space, name))
        if end < length:
            return
        db.execute("DELETE FROM cells WHERE space = ? AND name = ?", (space, name))
    sql = "DELETE FROM cells WHERE (space, name) IN (SELECT space, name FROM cells WHERE space = ? LIMIT ?)"
    if not db.execute(sql, (space, max(1, left))).rowcount:
        db.execute("DELETE FROM buried WHERE space = ?", (space,))
