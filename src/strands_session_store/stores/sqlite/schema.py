"""The tables of a database of format 1, and what is looked at before anything is written to a file.

A file is ours when its ``application_id`` says so; ``user_version`` is the format. Owner and id are kept as they stand
in keys (`Space.key`), so "no owner" is a value like the others and rows sort as the port says.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from ...errors import StoreError

FORMAT: Final = 1
APPLICATION: Final = 0x53537374
""""SSst": set in the file's header, so that another program's database is never taken for ours."""

PAGE_SIZE: Final = 8192
"""Three messages of 2 kB fit into a leaf, with 2.2 kB of file an entry; at 4,096 it is one, with 4.1 kB, and a commit
writes a fifth less. Reading the last 40 takes the same."""

PRAGMAS: Final = (
    "PRAGMA synchronous=FULL",  # a commit is on the disk when it returns: one fsync of the WAL
    "PRAGMA secure_delete=ON",  # what is erased or redacted is overwritten; some builds of SQLite leave it in the file
    "PRAGMA cache_size=-4096",  # KiB a connection
    "PRAGMA journal_size_limit=67108864",  # a WAL that one huge commit made is cut back
)

TABLES: Final = (
    # AUTOINCREMENT: a number is never given again, so what waits to be erased is never seen by a later space
    """CREATE TABLE spaces (
        space INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL, owner TEXT NOT NULL, id TEXT NOT NULL,
        incarnation TEXT NOT NULL,
        created REAL NOT NULL, updated REAL NOT NULL, expires REAL,
        parent TEXT, summary BLOB,
        UNIQUE (kind, owner, id))""",
    "CREATE INDEX spaces_by_updated ON spaces (kind, owner, updated, id)",
    "CREATE INDEX spaces_by_created ON spaces (kind, owner, created, id)",
    "CREATE INDEX children_by_updated ON spaces (kind, owner, parent, updated, id) WHERE parent IS NOT NULL",
    "CREATE INDEX children_by_created ON spaces (kind, owner, parent, created, id) WHERE parent IS NOT NULL",
    "CREATE INDEX all_by_updated ON spaces (kind, updated, owner, id)",
    "CREATE INDEX all_by_created ON spaces (kind, created, owner, id)",
    "CREATE INDEX spaces_by_expires ON spaces (expires) WHERE expires IS NOT NULL",
    # All that is small and of one space stands together, so a commit dirties few pages. By name:
    #   ""              a = the revision of the space
    #   "d" + path      a document:  a = the revision that put it, data
    #   "l" + log       a log:       a = its start, b = its length, c = its number
    #   "n" + counter   a counter:   a = its value
    #   "x" + id        a commit:    a = its revision, b = when (ms of Unix time), data = its result
    """CREATE TABLE cells (
        space INTEGER NOT NULL, name TEXT NOT NULL, a INTEGER, b INTEGER, c INTEGER, data BLOB,
        PRIMARY KEY (space, name)) WITHOUT ROWID""",
    # By `key_of(log's number, index)`: one integer, so that an entry of up to a page stays whole in its leaf
    "CREATE TABLE entries (key INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    # the next log's number; a number is never given again
    "CREATE TABLE numbers (next INTEGER NOT NULL)",
    "INSERT INTO numbers VALUES (1)",
    # spaces that expired: gone from `spaces`, their cells and entries still to be deleted, some a commit
    "CREATE TABLE buried (space INTEGER PRIMARY KEY)",
)

REVISION: Final = ""
DOC: Final = "d"
LOG: Final = "l"
COUNTER: Final = "n"
COMMIT: Final = "x"


def key_of(number: int, index: int) -> int:
    """Where an entry is kept: logs have room for 2**32 entries, and there is room for 2**31 logs."""
    return (number << 32) + index


def prepare(db: sqlite3.Connection, path: str) -> None:
    """Make a fresh connection ready for use; an empty file becomes a database. Nothing is written to any other.

    Raises:
        StoreError: A newer format, another program's database, or a file system that WAL does not work on.
        sqlite3.Error
    """
    if is_empty(db, path):
        db.execute(f"PRAGMA page_size={PAGE_SIZE}")
    (mode,) = db.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise StoreError(f"{path!r}: SQLite can not use its WAL here (it stayed at {mode}); choose a local disk")
    tune(db)
    if is_empty(db, path):
        db.execute("BEGIN IMMEDIATE")
        if is_empty(db, path):  # another process may have been first
            for table in TABLES:
                db.execute(table)
            db.execute(f"PRAGMA application_id={APPLICATION}")
            db.execute(f"PRAGMA user_version={FORMAT}")
        db.execute("COMMIT")


def tune(db: sqlite3.Connection) -> None:
    """What is told to each connection, and kept by none."""
    for pragma in PRAGMAS:
        db.execute(pragma)


def check_format(db: sqlite3.Connection, path: str) -> None:
    """Refuse a database that a newer version of this package has written, also while it was open."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > FORMAT:
        raise StoreError(
            f"{path!r} has database format {version}, and this version of strands-session-store knows format {FORMAT} "
            "at most; upgrade the package (nothing was written)"
        )


def is_empty(db: sqlite3.Connection, path: str) -> bool:
    """Whether no table was made yet. Refuses what is not ours."""
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables == 0:
        return True
    # behind the tables: they, the id and the format are written by one transaction, perhaps of another process just now
    (application,) = db.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION:
        raise StoreError(f"{path!r} is the database of another program; choose another path (nothing was written)")
    check_format(db, path)
    return False
