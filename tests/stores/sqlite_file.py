"""A database file, and what a test does with it besides the store: shared by the tests of SQLite."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

from strands_session_store.stores.base import Add, Append, Counters, PutDoc, Space
from strands_session_store.stores.sqlite import SQLiteStore
from strands_session_store.testing.promises.binding import fresh_id

SPACE = Space("session", "ann", "one")


def add(store: SQLiteStore, *changes: PutDoc | Append, space: Space = SPACE) -> int:
    return store.commit(space, *changes, Add("n", 1), commit_id=fresh_id()).counters["n"]


def value(store: SQLiteStore) -> int:
    return store.read(SPACE, Counters(["n"])).counters.get("n", 0)


def raw(path: Path, *statements: str) -> list[tuple[object, ...]]:
    """What the last statement returns to a connection that knows nothing of stores."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        return [connection.execute(statement).fetchall() for statement in statements][-1]
    finally:
        connection.close()


def python(script: str, *args: object) -> str:
    """What a process prints that runs the script."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, args)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
