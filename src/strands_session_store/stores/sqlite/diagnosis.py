"""How a SQLite file is: what a commit survives, who may read it, how much room there is, whether it is sound."""

from __future__ import annotations

import os
import sqlite3
import time
from typing import Final

from ..diagnosing import Finding, file_system, rights, room
from .connections import Connections

CHECK_SECONDS: Final = 10.0
"""How long the check of a large file goes on, at most."""
_SYNCHRONOUS: Final = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}
_WAL: Final = 256 * 2**20
"""Bytes; ours is cut back to 64 MiB with each checkpoint, so a larger one has a reader that does not end."""
_RESTORE: Final = (
    "stop what writes to it, and put a backup in its place, or what `sqlite3 FILE .recover` can save of it"
)


def diagnose(connections: Connections) -> list[Finding]:
    """See `Diagnosing.diagnose`."""
    path = connections.path
    out = [Finding("driver", "ok", f"SQLite {sqlite3.sqlite_version}")]
    folder = os.path.dirname(path)
    if not os.path.exists(path):
        out.append(Finding("file", "note", f"there is no {path!r} yet; the first commit makes it"))
        return [*out, *rights(folder, folder=True), *file_system(folder), room(folder)]
    out.append(Finding("file", "ok", f"{path!r}, {os.path.getsize(path) / 10**6:,.1f} MB"))
    out += [*rights(path), *file_system(path), room(folder)]
    wal = f"{path}-wal"
    if os.path.exists(wal) and (size := os.path.getsize(wal)) > _WAL:
        found = f"the file beside it with the latest commits (-wal) has {size / 10**6:,.0f} MB"
        out.append(Finding("wal", "note", found, "end a process that reads the database without an end"))
    with connections.reading() as db:
        if db is None:
            out.append(Finding("database", "note", "nothing was written to the file yet"))
            return out
        out += [_journal(db), _synchronous(db), check(db, CHECK_SECONDS)]
    return out


def check(db: sqlite3.Connection, seconds: float) -> Finding:
    """Whether the file is sound, as far as that can be looked at in so many seconds."""
    until = time.monotonic() + seconds
    db.set_progress_handler(lambda: time.monotonic() > until, 10_000)
    try:
        told = [str(line) for (line,) in db.execute("PRAGMA quick_check(3)")]
    except sqlite3.OperationalError as error:
        if "interrupted" not in str(error):
            raise
        found = f"not all of it was looked at: the file is too large for {seconds:g} s"
        return Finding("integrity", "note", found, "at a quiet time: sqlite3 FILE 'PRAGMA quick_check'")
    except sqlite3.DatabaseError as error:
        return Finding("integrity", "problem", f"it is damaged: {error}", _RESTORE)
    finally:
        db.set_progress_handler(None, 0)
    if told == ["ok"]:
        return Finding("integrity", "ok", "quick_check finds nothing wrong")
    return Finding("integrity", "problem", f"it is damaged: {'; '.join(told)[:300]}", _RESTORE)


def _journal(db: sqlite3.Connection) -> Finding:
    (mode,) = db.execute("PRAGMA journal_mode").fetchone()
    # a file that may not be written is read as it lies there, and then SQLite tells no other mode
    if mode in ("wal", "off"):
        return Finding("journal", "ok", "readers and the writer do not wait for each other (WAL)")
    return Finding(
        "journal",
        "problem",
        f"its journal mode was changed to {mode}, so readers and writers wait for each other",
        "find out who changed it; the next process that opens it to write sets it back",
    )


def _synchronous(db: sqlite3.Connection) -> Finding:
    (mode,) = db.execute("PRAGMA synchronous").fetchone()
    name = _SYNCHRONOUS.get(mode, str(mode))
    if mode >= 2:
        return Finding("durability", "ok", f"a commit is on the disk when it returns (synchronous={name})")
    return Finding("durability", "problem", f"a loss of power may lose commits (synchronous={name})", "use FULL")
