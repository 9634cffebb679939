"""A log by the page, from either end and both ways. Nothing here writes.

Rule 1. A page costs what it shows: one read. With a filter it costs what it looks at, at most `LOOKED_AT` entries, in
        reads of up to 1,000; it is then shorter than its limit, or empty, and its cursor goes on.
Rule 2. Indices never move, so a cursor neither loses nor doubles an entry. It is of one log: ``<log>/older/<index>``
        asks for what is before the index, ``<log>/newer/<index>`` for what is there from it on.
Rule 3. Nothing says where an id stands: it is looked for from the end, so finding it costs what lies behind it. Pages
        grow, so that what is near costs little and what is far few reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, TypeVar

from .. import codec, records
from ..errors import InvalidCursorError
from ..stores.base import Log, LogView
from . import checks
from .access import Access
from .shapes import MAX_PAGE, LogPage

R = TypeVar("R", bound=records.Record)

FIRST: Final = 100
"""Entries of the first page that is searched for an id."""
LOOKED_AT: Final = 10_000
"""Entries that one call looks at, at most, to fill a page."""


class Place(NamedTuple):
    """Where a page is."""

    at: int | None
    """An index, which is in it going up and behind it going back; None: the end of the log."""
    back: bool
    """Whether it goes towards the beginning."""


def place(log: str, start: int | None = None, cursor: str | None = None) -> Place:
    """The one that the arguments of a listing mean; without any: the newest entries.

    Raises:
        ValueError: Both are given, or the start is negative.
        InvalidCursorError: The cursor is none of this log.
    """
    checks.index("start", start)
    if start is not None and cursor is not None:
        raise ValueError("start and cursor both say where the page begins; give one of them")
    if cursor is None:
        return Place(start, start is None)
    match str(cursor).rsplit("/", 2):
        case [name, "older" | "newer" as way, digits]:
            if name == log and digits.isascii() and digits.isdecimal() and len(digits) < 19:
                return Place(int(digits), way == "older")
    raise InvalidCursorError(f"cursor {str(cursor)[:80]!r} is none of the log {log!r}; hand on what a page of it gave")


def page(
    access: Access[records.Session],
    log: str,
    kind: type[R],
    where: Place,
    admits: Callable[[R], bool] | None = None,
    *,
    limit: int,
    first: int | None = None,
    floor: int = 0,
    ceiling: int | None = None,
) -> LogPage[R]:
    """One page.

    Args:
        access: Of the session.
        log: Its path.
        kind: Of its entries.
        where: Where it is.
        admits: Which ones are wanted; None: all.
        limit: How many at most, up to 1,000.
        first: Entries of the first read; None: as many as are wanted, or with a filter four times that, from 200 on.
        floor: The first index to look at.
        ceiling: The one behind the last; None: the end.
    """
    at, back = where
    if not back:
        at = max(at or 0, floor)
    elif ceiling is not None:
        at = ceiling if at is None else min(at, ceiling)
    if first is None:
        first = limit if admits is None else min(MAX_PAGE, max(200, 4 * limit))
    found: dict[int, R] = {}

    def walked() -> tuple[int, LogView]:
        """The last index that was looked at going back, else the one behind it."""
        looked = 0
        for view in pages(access, log, at, back=back, first=first):
            for index, data in sorted(view.entries.items(), reverse=back):
                if index < floor or (ceiling is not None and index >= ceiling):
                    return (floor if back else index), view
                looked += 1
                record = entry(kind, log, index, data)
                if admits is None or admits(record):
                    found[index] = record
                if len(found) == limit or looked == LOOKED_AT:
                    return (index if back else index + 1), view
        return (view.start if back else view.length), view

    edge, view = walked()
    begun = view.length if at is None else at
    low, high = (edge, begun) if back else (begun, edge)
    bottom, top = max(view.start, floor), view.length if ceiling is None else min(view.length, ceiling)
    low, high = min(low, top), max(high, bottom)
    return LogPage(
        dict(sorted(found.items())),
        view.start,
        view.length,
        f"{log}/older/{low}" if low > bottom else None,
        f"{log}/newer/{high}" if high < top else None,
    )


def pages(
    access: Access[records.Session], log: str, at: int | None = None, *, back: bool = True, first: int = FIRST
) -> Iterator[LogView]:
    """A log by the page, each read when it is asked for. There is always one.

    Args:
        access: Of the session.
        log: Which.
        at: Where to begin: an index that is not in the first page when going back, its first one else. None: the end.
        back: Whether to go towards the beginning.
        first: Entries of the first page.
    """
    size = first
    while True:
        if at is None:
            want = Log(log, last=size)
        else:
            want = Log(log, spans=[(max(at - size, 0), at) if back else (at, at + size)])
        view = access.look(want).logs[log]
        yield view
        # an index past the end may be asked for, or one that was erased
        if back:
            at = min(view.length if at is None else at, view.length + size) - size
        else:
            at = max(view.start, view.length if at is None else min(at, view.length) + size)
        if at <= view.start if back else at >= view.length:
            return
        size = min(size * 2, MAX_PAGE)


def latest(
    access: Access[records.Session], log: str, kind: type[R], id: str, wanted: Callable[[R], bool]
) -> tuple[int, R] | None:
    """The last entry that is wanted, which is one that holds the id, with its index; None: there is none."""
    named = codec.encode(id)
    for view in pages(access, log):
        for index, data in sorted(view.entries.items(), reverse=True):
            if named in data and wanted(record := entry(kind, log, index, data)):
                return index, record
    return None


def entry(kind: type[R], log: str, index: int, data: bytes) -> R:
    """What is stored at the index."""
    return codec.load(kind, data, f"{log}[{index}]")
