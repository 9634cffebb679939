"""What the suite needs to know of an engine, and how its tests look at a space."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from ...stores import open_store
from ...stores.base import (
    Capability,
    Counters,
    Docs,
    Log,
    LogView,
    Look,
    Query,
    Row,
    Space,
    Store,
    Want,
)

SPACE = Space("session", "ann", "one")
PATIENCE = 20.0
"""Seconds after which something that must come about has not."""
_ids = itertools.count()


def fresh_id() -> str:
    """A commit id that no test used before."""
    return f"commit {next(_ids)}"


class SetClock:
    """Seconds of Unix time that pass when a test says so."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Binding:
    """An engine as the suite sees it. Override ``url``; and `open` or `open_at` where the engine has more to say."""

    @pytest.fixture
    def url(self) -> str:
        """Of data that no other test uses."""
        raise NotImplementedError(f"{type(self).__name__} must give the fixture url")

    def open(self, url: str) -> Store:
        """A new store on what is at ``url``."""
        return open_store(url)

    def open_at(self, url: str, clock: Callable[[], float]) -> Store | None:
        """The same, with ``clock`` as the engine's time; None if the engine takes no clock."""
        return None

    @pytest.fixture
    def store(self, url: str) -> Iterator[Store]:
        with self.open(url) as store:
            yield store

    @pytest.fixture
    def clock(self) -> SetClock:
        return SetClock()

    @pytest.fixture
    def timed(self, url: str, clock: SetClock) -> Iterator[Store]:
        """A store whose time is ``clock``."""
        store = self.open_at(url, clock)
        if store is None:
            pytest.skip("the engine takes no clock")
        with store:
            yield store


def need(store: Store, capability: Capability) -> None:
    """Skip the test if the engine does not say that it can do this."""
    if capability not in store.capabilities:
        pytest.skip(f"the engine does not declare {capability}")


def read_all(store: Store, space: Space, *wants: Want) -> Look:
    """What was asked for without the bound of one read; nobody may write meanwhile."""
    look = step = store.read(space, *wants)
    while step.more:
        before, step = step.more, store.read(space, *step.more)
        assert step.more != before, f"more leads nowhere: {before}"
        logs = dict(look.logs)
        for name, view in step.logs.items():
            known = logs[name].entries if name in logs else {}
            logs[name] = LogView(view.start, view.length, dict(sorted({**known, **view.entries}.items())))
        look = replace(look, docs={**look.docs, **step.docs}, logs=logs)
    return replace(look, more=())


def whole(store: Store, space: Space, logs: Sequence[str] = ("log",), counters: Sequence[str] = ("n",)) -> Look:
    """All documents, and these logs and counters."""
    return read_all(store, space, Docs(""), *(Log(log, [(0, None)]) for log in logs), Counters(counters))


def entries(store: Store, space: Space, log: str = "log") -> list[bytes]:
    return list(read_all(store, space, Log(log, [(0, None)])).logs[log].entries.values())


def rows(store: Store, query: Query) -> list[Row]:
    """All pages of a listing."""
    page = store.list(query)
    found = list(page.rows)
    while page.cursor is not None:
        before, page = page.cursor, store.list(replace(query, cursor=page.cursor))
        assert page.cursor != before, f"a cursor leads to itself: {before}"
        found += page.rows
    return found


def row_of(store: Store, space: Space) -> Row | None:
    """The index row of a space, by a listing of its owner."""
    found = [row for row in rows(store, Query(space.kind, space.owner, limit=1000)) if row.space == space]
    assert len(found) < 2, "a space has two rows"
    return found[0] if found else None


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds; fail if it does not come about."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE:g} s"
        time.sleep(0.005)
