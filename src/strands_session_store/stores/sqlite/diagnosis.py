"""How a SQLite file is: what a commit survives, who may read it, how much room there is, whether it is sound."""

from __future__ import annotations

import os
import sqlite3
from typing import Final

from ..diagnosing import Finding, file_system, rights, room
from .connections import Connections

LARGEST: Final = 10**9
"""Bytes of a file that is checked: no SQLite lets that be cut short, and a disk reads so much in about ten seconds."""
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
        out += [_journal(path), _synchronous(db), check(db, os.path.getsize(path))]
    return out


def check(db: sqlite3.Connection, size: int) -> Finding:
    """Whether the file, of so many bytes, is sound."""
    if size > LARGEST:
        found = f"not looked at: with {size / 10**9:,.1f} GB that takes long"
        return Finding("integrity", "note", found, "at a quiet time: sqlite3 FILE 'PRAGMA quick_check'")
    try:
        told = [str(line) for (line,) in db.execute("PRAGMA quick_check(3)")]
    except sqlite3.DatabaseError as error:
        return Finding("integrity", "problem", f"it is damaged: {error}", _RESTORE)
    if told == ["ok"]:
        return Finding("integrity", "ok", "quick_check finds nothing wrong")
    return Finding("integrity", "problem", f"it is damaged: {'; '.join(told)[:300]}", _RESTORE)


def _journal(path: str) -> Finding:
    # asked of a connection that may not write, SQLite tells another mode
    with open(path, "rb") as file:
        header = file.read(20)
    if header[18:20] == b"\x02\x02":
        return Finding("journal", "ok", "readers and the writer do not wait for each other (WAL)")
    return Finding(
        "journal",
        "problem",
        "its journal mode is no longer WAL, so readers and writers wait for each other",
        "find out who changed it; the next process that opens it to write sets it back",
    )


def _synchronous(db: sqlite3.Connection) -> Finding:
    (mode,) = db.execute("PRAGMA synchronous").fetchone()
    name = _SYNCHRONOUS.get(mode, str(mode))
    if mode >= 2:
        return Finding("durability", "ok", f"a commit is on the disk when it returns (synchronous={name})")
    return Finding("durability", "problem", f"a loss of power may lose commits (synchronous={name})", "use FULL")
