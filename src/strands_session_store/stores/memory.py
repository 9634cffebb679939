"""What the contract means, in the fewest lines: plain dicts and one lock. Nothing outlives the object.

A commit is checked whole before anything is changed, so nothing ever has to be undone. Of the promises one is not kept:
``list`` sorts all spaces. Expired spaces are forgotten when they are met: by any verb of theirs, by any list.
"""

from __future__ import annotations

import builtins
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ..errors import StoreError
from .base import (
    ANY,
    KEEP,
    REPEAT_COMMITS,
    REPEAT_SECONDS,
    Append,
    Change,
    Committed,
    Document,
    DropDoc,
    Dropped,
    Expected,
    Look,
    Order,
    Page,
    PutDoc,
    Query,
    Replace,
    Row,
    Space,
    Store,
    Summary,
    Trim,
    Ttl,
    Want,
    new_incarnation,
)
from .checks import check_changes, check_commit, check_query, check_space
from .counting import Counting
from .paging import UPDATED_WITHIN, read_cursor, write_cursor
from .selecting import select


@dataclass(slots=True)
class _Log:
    start: int = 0
    length: int = 0
    entries: dict[int, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class _Held:
    """One space."""

    incarnation: str
    created: float
    updated: float
    parent: str | None
    revision: int = 0
    expires: float | None = None
    summary: bytes | None = None
    docs: dict[str, Document] = field(default_factory=dict)
    logs: dict[str, _Log] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    done: dict[str, tuple[float, Committed]] = field(default_factory=dict)
    """Commit id -> when, and the result; in the order of the commits."""

    def log(self, name: str) -> _Log:
        return self.logs.get(name) or _Log()

    def version(self, path: str) -> str | None:
        return self.docs[path].version if path in self.docs else None

    def size(self, path: str) -> int:
        return len(self.docs[path].data)

    def document(self, path: str) -> Document:
        return self.docs[path]

    def entry(self, log: str, index: int) -> tuple[bytes, int]:
        entry = self.logs[log].entries[index]
        return entry, len(entry)


class MemoryStore(Store, Counting):
    """Spaces in this process's memory, until `close`.

    Args:
        clock: Seconds of Unix time.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._spaces: dict[Space, _Held] | None = {}

    def read(self, space: Space, *wants: Want) -> Look:
        with self._lock:
            held = self._find(space, self._clock())
            return Look(None) if held is None else select(held, wants)

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
        with self._lock:
            now = self._clock()
            held = self._find(space, now)
            if held is not None and commit_id in held.done:
                return replace(held.done[commit_id][1], repeated=True)
            check_space(held.incarnation if held else None, on)
            if held is None:
                held = _Held(new_incarnation(), now, now, summary.parent if summary else None)
            counters = check_changes(held, changes)
            # nothing below can fail
            result = _apply(held, changes, counters)
            held.done[commit_id] = now, result
            if ttl is not KEEP:
                held.expires = None if ttl is None else now + ttl
            told = held.summary, held.parent
            if summary is not None:
                held.summary, held.parent = summary.data, summary.parent
            if (held.summary, held.parent) != told or now - held.updated >= UPDATED_WITHIN:
                held.updated = now
            _forget(held, now)
            self._all()[space] = held
            return result

    def list(self, query: Query) -> Page:
        check_query(query)
        behind = read_cursor(query)
        rows = [
            row
            for row in sorted(self._rows(query), key=lambda row: _place(query, row), reverse=query.descending)
            if behind is None or (_place(query, row) < behind if query.descending else _place(query, row) > behind)
        ]
        page = rows[: query.limit]
        return Page(page, write_cursor(query.order, *_place(query, page[-1])) if len(rows) > len(page) else None)

    def count(self, query: Query, *, most: int | None = None) -> tuple[int, bool]:
        check_query(query)
        return len(self._rows(query)), True

    def _rows(self, query: Query) -> builtins.list[Row]:
        """All rows of the listing, in no order."""
        with self._lock:
            now = self._clock()
            for space in tuple(self._all()):
                self._find(space, now)
            rows = [
                Row(
                    space,
                    held.created,
                    held.updated,
                    held.parent,
                    held.summary,
                    {name: held.counters.get(name, 0) for name in query.counters},
                )
                for space, held in self._all().items()
                if space.kind == query.kind
                and (query.everyone or space.owner == query.owner)
                and (query.parent is None or held.parent == query.parent)
            ]
        return [
            row
            for row in rows
            if (query.since is None or _place(query, row)[0] >= query.since)
            and (query.until is None or _place(query, row)[0] < query.until)
        ]

    def drop(self, space: Space, *, on: Expected = ANY) -> Dropped:
        with self._lock:
            held = self._find(space, self._clock())
            if held is None:
                return Dropped()
            check_space(held.incarnation, on)
            del self._all()[space]
        blobs = [doc.data for doc in held.docs.values()]
        entries = [entry for log in held.logs.values() for entry in log.entries.values()]
        return Dropped(True, len(blobs), len(entries), sum(map(len, blobs + entries)))

    def close(self) -> None:
        with self._lock:
            self._spaces = None
        super().close()

    def _all(self) -> dict[Space, _Held]:
        if self._spaces is None:
            raise StoreError("this MemoryStore was closed, and what it held is gone; make another")
        return self._spaces

    def _find(self, space: Space, now: float) -> _Held | None:
        held = self._all().get(space)
        if held is not None and held.expires is not None and held.expires <= now:
            del self._all()[space]
            return None
        return held


def _place(query: Query, row: Row) -> tuple[float, str, str]:
    """By what the listing is sorted."""
    _, owner, id = row.space.key
    return row.created if query.order is Order.CREATED else row.updated, owner, id


def _apply(held: _Held, changes: Sequence[Change], counters: dict[str, int]) -> Committed:
    held.revision += 1
    result = Committed(held.incarnation, held.revision, {}, counters)
    held.counters |= counters
    # indices and `Trim.before` are counted before the commit, whatever the order of the changes: so trims come last
    lengths = {name: log.length for name, log in held.logs.items()}
    indices = {}
    for change in changes:
        match change:
            case PutDoc(path, data):
                held.docs[path] = Document(data, result.version)
            case DropDoc(path):
                held.docs.pop(path, None)
            case Replace(name, index, data):
                held.logs[name].entries[index] = data
            case Append(name, entries) if entries:
                log = held.logs.setdefault(name, _Log())
                indices[name] = log.length
                log.entries |= enumerate(entries, log.length)
                log.length += len(entries)
    for change in changes:
        if isinstance(change, Trim) and change.log in lengths:
            log = held.logs[change.log]
            start = max(log.start, min(change.before, lengths[change.log]))
            for index in range(log.start, start):
                del log.entries[index]
            log.start = start
    return replace(result, indices=indices)


def _forget(held: _Held, now: float) -> None:
    """Drop the oldest commit ids that are past both bounds of the contract."""
    while len(held.done) > REPEAT_COMMITS + 1:
        oldest = next(iter(held.done))
        if now - held.done[oldest][0] < REPEAT_SECONDS:
            break
        del held.done[oldest]
