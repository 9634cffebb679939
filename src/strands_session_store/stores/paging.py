"""A page is cut the same way by every engine: what one read may return, and how a listing goes on. Pure.

A read serves its wants in the order given; a log's newest entries first. From the first item that does not fit, all
else is left out and named in `Look.more`. A listing's cursor is the time, owner and id of the last row.
"""

from __future__ import annotations

import math
from typing import Final

from .base import READ_BYTES, READ_ENTRIES, Log, Order, Query

UPDATED_WITHIN: Final = 60.0
"""Seconds by which a row's ``updated`` may lag behind the last commit (`Order.UPDATED`)."""


class Bound:
    """What one read returned so far. Once something did not fit, nothing does: it is left to the next read."""

    def __init__(self) -> None:
        self._items = self._bytes = 0
        self.full = False

    def take(self, size: int) -> bool:
        """Whether an item of ``size`` bytes may still be returned; if so, it is counted. The first one always fits."""
        late = self._items >= READ_ENTRIES or (self._items > 0 and self._bytes + size > READ_BYTES)
        if self.full or late:
            self.full = True
            return False
        self._items += 1
        self._bytes += size
        return True


def spans(want: Log, start: int, length: int, since: int) -> list[tuple[int, int]]:
    """The entries wanted of a log that holds ``[start, length)``: ascending, disjoint, none of them empty.

    ``since`` is the value of the counter that the want names (0 if it is absent); unused when it names none.
    """
    asked = [(low, length if high is None else min(high, length)) for low, high in want.spans]
    if want.last > 0:
        asked.append((length - want.last, length))
    if want.since is not None:
        asked.append((since, length))
    found: list[tuple[int, int]] = []
    for low, high in sorted((max(low, start), high) for low, high in asked):
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        elif low < high:
            found.append((low, high))
    return found


def write_cursor(order: Order, time: float, owner: str, id: str) -> str:
    """The cursor behind a row, of its escaped owner and id (see `Space.key`)."""
    return f"{order.value}/{time!r}/{owner}/{id}"


def read_cursor(query: Query) -> tuple[float, str, str] | None:
    """Time, escaped owner and escaped id of the row that the page begins behind; None for the first page.

    Raises:
        ValueError: It is no cursor of a listing in this order.
    """
    if query.cursor is None:
        return None
    match query.cursor.split("/"):
        case [order, time, owner, id] if order == query.order.value:
            try:
                at = float(time)
            except ValueError:
                at = math.nan
            if math.isfinite(at):
                return at, owner, id
    raise ValueError(f"cursor {query.cursor[:80]!r} does not belong to a listing by {query.order.value}")
