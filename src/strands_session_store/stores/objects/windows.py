"""Rows of the index from the latest on, although a place lists by ascending key only.

A window is all rows of a span of time, as long as they fit into a few requests. The first guess of its length comes
from how dense the oldest rows are; one that holds too many is cut, and after one that held few the next is longer. So
it is the rows that are read that cost, not those that are there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import Final

from . import names
from .blobs import Blobs

BATCH: Final = 1000
"""Keys that one request of a listing returns: S3 gives no more."""
_GROWTH: Final = 4
"""How many times longer the window behind an empty one is; and how much faster that grows each time."""
_CUT: Final = 8
"""Which part of what is left the window behind one with too many rows is."""
_LATEST: Final = 9e10
"""Seconds of Unix time; past it a stamp would be longer."""


def ascending(blobs: Blobs, prefix: str, low: float | None, high: float | None) -> Iterator[names.Row]:
    """The rows below ``prefix`` with low <= time <= high, in order of time; listed as they are asked for."""
    for _, row in _listed(blobs, prefix, _ticks(low), None if high is None else _ticks(high) + 1):
        yield row


def descending(blobs: Blobs, prefix: str, low: float | None, high: float | None, count: int) -> Iterator[names.Row]:
    """The same backwards. Rows of one time are in no particular order.

    Args:
        blobs, prefix, low, high: As above.
        count: How many rows will probably be asked for.
    """
    most = BATCH * (1 + 2 * count // BATCH)
    start = _ticks(low)
    end = None if high is None else _ticks(high) + 1
    rows = list(islice(_listed(blobs, prefix, start, end), most))
    if len(rows) < most:
        yield from (row for _, row in reversed(rows))
        return
    # from here on: rows of [start, end) are to come, and those of [dense, end) are too many for one window
    start = dense = rows[0][0]
    span = rows[-1][0] - start
    top = max(_ticks(blobs.now()), rows[-1][0]) + 1 if end is None else end
    length, growth = max(1, span // 2), _GROWTH
    while start < top:
        begin = max(top - length, dense)
        # what is of one instant can't be cut
        fits = None if begin + 1 >= top and end is not None else most
        rows = list(islice(_listed(blobs, prefix, begin, end), fits))
        if len(rows) == fits:
            span, dense = rows[-1][0] - rows[0][0], max(rows[-1][0], begin + 1)
            top = max(top, dense + 1)
            length = max(1, (top - dense) // _CUT)
            continue
        yield from (row for _, row in reversed(rows))
        end = top = begin
        if begin <= dense:
            dense = start
        if rows:
            # as long as would have been enough, with as much again
            length *= -(-2 * count // len(rows)) if len(rows) < count else 1
        elif dense > start:
            # a gap, and then very many: they begin not far from where they are known to be
            far = top - dense
            length = max(1, far // 2, far - math.isqrt(span * far))
        else:
            length, growth = length * growth, growth * _GROWTH


def _listed(blobs: Blobs, prefix: str, start: int, end: int | None) -> Iterator[tuple[int, names.Row]]:
    """Rows of the ticks [start, end), ascending; each with its own."""
    after = prefix + _stamp(start) if start > 0 else ""
    for found in blobs.list(prefix, after=after):
        row = names.read_row(found.key)
        if row is not None:
            # of the text: it is that by which the place lists
            tick = int(found.key[len(prefix) :].partition("~")[0].replace(".", ""))
            if end is not None and tick >= end:
                return
            yield tick, row


def _ticks(time: float | None) -> int:
    """A time as its stamp says it, in units of its last digit."""
    return 0 if time is None or math.isnan(time) else int(names.stamp(min(time, _LATEST)).replace(".", ""))


def _stamp(ticks: int) -> str:
    text = f"{ticks:018d}"
    return f"{text[:-7]}.{text[-7:]}"
