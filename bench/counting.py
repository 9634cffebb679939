"""Meters: what reaches the port, and what the process hands to the operating system."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from strands_session_store.stores.base import (
    Append,
    Change,
    Committed,
    Dropped,
    Look,
    Page,
    PutDoc,
    Query,
    Replace,
    Space,
    Store,
    Want,
)


class Counted(Store):
    """A store that counts: calls by verb, and the bytes of documents and entries that went in and came out."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.workers = inner.workers  # type: ignore[misc]  # the pool is as large as without counting
        self.calls: Counter[str] = Counter()
        self.up = self.down = 0

    def reset(self) -> None:
        self.calls.clear()
        self.up = self.down = 0

    def read(self, space: Space, *wants: Want) -> Look:
        self.calls["read"] += 1
        look = self.inner.read(space, *wants)
        self.down += sum(len(doc.data) for doc in look.docs.values())
        self.down += sum(len(entry) for view in look.logs.values() for entry in view.entries.values())
        return look

    def commit(self, space: Space, *changes: Change, commit_id: str, **options: Any) -> Committed:
        self.calls["commit"] += 1
        self.up += sum(_bytes(change) for change in changes)
        return self.inner.commit(space, *changes, commit_id=commit_id, **options)

    def list(self, query: Query) -> Page:
        self.calls["list"] += 1
        return self.inner.list(query)

    def drop(self, space: Space, **options: Any) -> Dropped:
        self.calls["drop"] += 1
        return self.inner.drop(space, **options)

    def close(self) -> None:
        self.inner.close()
        super().close()


def _bytes(change: Change) -> int:
    match change:
        case Append(_, entries):
            return sum(map(len, entries))
        case PutDoc(_, data) | Replace(_, _, data):
            return len(data)
        case _:
            return 0


@dataclass
class Spent:
    """What the process spent between two looks."""

    written: int
    """Bytes handed to write calls (all of the process); 0 where the system does not tell (not Linux)."""
    cpu: float
    """Seconds, of all threads."""


class Meter:
    def __init__(self) -> None:
        self._written, self._cpu = _written(), time.process_time()

    def read(self) -> Spent:
        return Spent(_written() - self._written, time.process_time() - self._cpu)


def _written() -> int:
    try:
        with open("/proc/self/io") as file:
            return int(dict(line.split(": ") for line in file.read().splitlines())["wchar"])
    except OSError:
        return 0
