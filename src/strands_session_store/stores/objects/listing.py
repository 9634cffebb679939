"""A page of the index. By ``created``: from rows, whose names tell the time. By ``updated``: from the heads themselves.

No row is touched by a commit that does not create or move; when a head was put is told by listing the owner's heads.
That is at most a minute behind ``updated``, which the head tells: so heads are fetched in the order of that time, and a
row is given out when no head that is still to come can precede it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from ... import ids
from ..base import Order, Page, Query, Row
from ..paging import UPDATED_WITHIN, read_cursor, write_cursor
from . import names, windows
from .blobs import Blobs
from .head import Head, parse

_AT_ONCE: Final = 64
"""Heads fetched at once."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A space that may be listed.

    Attributes:
        first, last: Between which its time is.
        life: Which one, and its `Head.moved`; None: the present one, whichever it is.
    """

    owner: str
    id: str
    first: float
    last: float
    life: tuple[str, int] | None = None


def listing(blobs: Blobs, query: Query) -> Page:
    """One page.

    Raises:
        ValueError: A cursor that is none.
        Corrupt: A head that can not be read; names its key.
    """
    behind = read_cursor(query)
    owners: Iterable[str] = [ids.NO_OWNER if query.owner is None else ids.escape(query.owner)]
    if query.everyone:
        owners = blobs.folders(f"{query.kind}s/")
    parts = [_candidates(blobs, query, owner, behind) for owner in owners]
    # each is in the order in which its heads are to be fetched
    candidates = heapq.merge(
        *parts, key=lambda found: found.last if query.descending else found.first, reverse=query.descending
    )
    found: list[tuple[tuple[float, str, str], Row]] = []
    for key, row in _rows(blobs, query, candidates):
        if (
            (query.since is None or key[0] >= query.since)
            and (query.until is None or key[0] < query.until)
            and (behind is None or (key < behind if query.descending else key > behind))
        ):
            found.append((key, row))
            if len(found) > query.limit:
                break
    rows = [row for _, row in found[: query.limit]]
    return Page(rows, write_cursor(query.order, *found[query.limit - 1][0]) if len(found) > query.limit else None)


def _candidates(blobs: Blobs, query: Query, owner: str, behind: tuple[float, str, str] | None) -> Iterator[_Candidate]:
    """Those of one owner, in order; listed as they are asked for."""
    if query.order is Order.CREATED:
        prefix, low, high = names.rows(query.kind, owner, query.parent), query.since, query.until
        if behind is not None and query.descending:
            high = behind[0] if high is None else min(high, behind[0])
        elif behind is not None:
            low = behind[0] if low is None else max(low, behind[0])
        if query.descending:
            rows = windows.descending(blobs, prefix, low, high, query.limit + 1)
        else:
            rows = windows.ascending(blobs, prefix, low, high)
        yield from (_Candidate(owner, row.id, row.time, row.time, (row.life, row.moved)) for row in rows)
        return
    found = [one for one in _by_head(blobs, query, owner) if _within(one, query, behind)]
    found.sort(key=lambda one: one.last if query.descending else one.first, reverse=query.descending)
    yield from found


def _by_head(blobs: Blobs, query: Query, owner: str) -> Iterator[_Candidate]:
    children: set[str] | None = None
    if query.parent is not None:
        listed = blobs.list(names.rows(query.kind, owner, query.parent))
        children = {row.id for found in listed if (row := names.read_row(found.key))}
        if not children:
            return
    prefix = names.heads(query.kind, owner)
    for head in blobs.list(prefix):
        id = head.key[len(prefix) : -len(names.HEAD)]
        if head.key.endswith(names.HEAD) and (children is None or id in children):
            yield _Candidate(owner, id, head.modified - UPDATED_WITHIN, head.modified)


def _within(found: _Candidate, query: Query, behind: tuple[float, str, str] | None) -> bool:
    """Whether the candidate can be on the page, as far as its times tell."""
    if query.since is not None and found.last < query.since:
        return False
    if query.until is not None and found.first >= query.until:
        return False
    if behind is None:
        return True
    return found.first <= behind[0] if query.descending else found.last >= behind[0]


def _rows(blobs: Blobs, query: Query, candidates: Iterator[_Candidate]) -> Iterator[tuple[tuple[float, str, str], Row]]:
    """Rows of the spaces that are there, each with its place in the order; in order."""
    waiting: list[tuple[tuple[float, str, str], Row]] = []
    coming, count = next(candidates, None), min(query.limit + 1, _AT_ONCE)
    while coming is not None or waiting:
        if coming is not None:
            waiting += _fetch(blobs, query, [coming, *islice(candidates, count - 1)])
            waiting.sort(key=lambda item: item[0], reverse=query.descending)
            coming, count = next(candidates, None), _AT_ONCE
        if coming is None:
            ready = waiting
        elif query.descending:
            ready = [item for item in waiting if item[0][0] > coming.last]
        else:
            ready = [item for item in waiting if item[0][0] < coming.first]
        yield from ready
        waiting = waiting[len(ready) :]


def _fetch(
    blobs: Blobs, query: Query, candidates: Sequence[_Candidate]
) -> Iterator[tuple[tuple[float, str, str], Row]]:
    # rows of several lives of a space have one head
    keys = [f"{names.heads(query.kind, found.owner)}{found.id}{names.HEAD}" for found in candidates]
    found = blobs.get(list(dict.fromkeys(keys)))
    states = {key: parse(key, blob.data) for key, blob in found.items()}
    now = blobs.now()
    for key, candidate in zip(keys, candidates):
        state = states.get(key)
        if not isinstance(state, Head) or not state.alive(now):
            continue
        if query.parent is not None and state.parent != query.parent:
            continue
        if candidate.life not in (None, (state.incarnation, 0 if query.parent is None else state.moved)):
            continue  # the row is of an earlier one, or of an earlier stay below this parent
        if query.order is Order.CREATED:
            time, updated = state.created, state.updated
        else:
            # what the head says, but not so that the order of fetching would be wrong
            time = updated = min(max(state.updated, candidate.first), candidate.last)
        space = names.space(query.kind, candidate.owner, candidate.id)
        counters = {name: state.counters.get(name, 0) for name in query.counters}
        row = Row(space, state.created, updated, state.parent, state.summary, counters)
        yield (time, candidate.owner, candidate.id), row
