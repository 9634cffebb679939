"""A log by the page, from either end and both ways.

Rule 1. A page costs what it shows: one read. With a filter it costs what it looks at, at most `LOOKED_AT` entries, in
        reads of 200 to 1,000; it is then shorter than its limit, or empty, and its cursor goes on.
Rule 2. Indices never move, so a cursor neither loses nor doubles an entry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from .. import codec, records
from ..errors import InvalidCursorError
from ..stores.base import Log, LogView
from . import checks
from .access import Access
from .shapes import MAX_PAGE, LogPage

R = TypeVar("R", bound=records.Record)

LOOKED_AT: Final = 10_000
"""Entries that one call looks at, at most, to fill a page that is filtered."""


def page(
    access: Access[records.Session],
    log: str,
    kind: type[R],
    admits: Callable[[R], bool] | None,
    *,
    start: int | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> LogPage[R]:
    """One page.

    Args:
        access: Of the session.
        log: Its path.
        kind: Of its entries.
        admits: Which ones are wanted; None: all.
        start: The index to begin at, upwards; None: the newest ones, unless there is a cursor.
        limit: 1 to 1,000.
        cursor: `LogPage.older` or `LogPage.newer` of another page of this log.

    Raises:
        InvalidCursorError: The cursor is none of this log.
    """
    checks.limit(limit)
    checks.index("start", start)
    if start is not None and cursor is not None:
        raise ValueError("start and cursor both say where the page begins; give one of them")
    up, at = (start is not None, start) if cursor is None else _read(cursor, log)
    size = limit if admits is None else min(MAX_PAGE, max(200, 4 * limit))
    found: dict[int, R] = {}
    first: int | None = None
    looked = 0
    while True:
        view = access.look(_want(log, up, at, size)).logs[log]
        if not up and at is not None and at > view.length:  # a cursor of an earlier life of the session
            at = view.length
            continue
        low, high = _window(view, up, at, size)
        if first is None:
            first = low if up else high
        for index in range(low, high) if up else range(high - 1, low - 1, -1):
            record = codec.load(kind, view.entries[index], f"{log}[{index}]")
            if admits is None or admits(record):
                found[index] = record
            if len(found) == limit:
                low, high = (low, index + 1) if up else (index, high)
                break
        looked += size
        at = high if up else low
        if len(found) == limit or looked >= LOOKED_AT or (at >= view.length if up else at <= view.start):
            break
        size = min(MAX_PAGE, 2 * size)
    low, high = (first, at) if up else (at, first)
    return LogPage(
        dict(sorted(found.items())),
        view.start,
        view.length,
        f"{log}/older/{low}" if low > view.start else None,
        f"{log}/newer/{high}" if high < view.length else None,
    )


def latest(access: Access[records.Session], log: str, kind: type[R], wanted: Callable[[R], bool]) -> R | None:
    """The last entry that is wanted; None: there is none. Costs looking at all behind it."""
    cursor = None
    while True:
        found = page(access, log, kind, wanted, limit=1, cursor=cursor)
        for record in found.entries.values():
            return record
        if (cursor := found.older) is None:
            return None


def _want(log: str, up: bool, at: int | None, size: int) -> Log:
    if at is None:
        return Log(log, last=size)
    return Log(log, spans=[(at, at + size) if up else (max(0, at - size), at)])


def _window(view: LogView, up: bool, at: int | None, size: int) -> tuple[int, int]:
    """The indices that were asked for and are there: from, to."""
    if up:
        low = min(max(at or 0, view.start), view.length)
        return low, max(low, min((at or 0) + size, view.length))
    high = view.length if at is None else max(min(at, view.length), view.start)
    return max(view.start, (high if at is None else at) - size), high


def _read(cursor: str, log: str) -> tuple[bool, int]:
    match str(cursor).rsplit("/", 2):
        case [name, "older" | "newer" as way, digits] if name == log and digits.isdecimal() and len(digits) < 19:
            return way == "newer", int(digits)
    raise InvalidCursorError(f"cursor {str(cursor)[:80]!r} is none of the log {log!r}; hand on what a page of it gave")
