"""The messages of a conversation as a list: by the page, or by how many come before; all of them, or some.

Rule 1. What was removed or erased is in no page, and counts nowhere.
Rule 2. How many come before is told by counters, as long as all are wanted: an index is calculated. Only a segment in
        which some were removed is walked, from its nearer end.
Rule 3. Where some are wanted, a call looks at `LOOKED_AT` messages at most, in reads of up to 1,000.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, TypeAlias

from .. import layout, records
from ..errors import InvalidCursorError
from . import checks
from .access import Access
from .across import Where, cursor_at, pieces, place_of
from .chain import parts
from .shapes import MAX_PAGE, MessagePage, Placed

LOOKED_AT: Final = 10_000
"""Messages that one call looks at, at most, to fill a page or to count."""

Matching: TypeAlias = Callable[[records.Message], bool]


@dataclass(frozen=True, slots=True)
class History:
    """What an agent has said in a conversation, and which way it is listed."""

    access: Access[records.Session]
    agent_id: str
    back: bool
    """Newest first."""

    def listed(self, matching: Matching | None, limit: int, offset: int | None, cursor: str | None) -> MessagePage:
        """See `Messages.list`."""
        if matching is not None and not callable(matching):
            raise ValueError(f"matching must be a function that is given a message, or None; got {matching!r:.80}")
        checks.limit(limit)
        checks.index("offset", offset)
        if offset is not None and cursor is not None:
            raise ValueError("offset and cursor both say where the page begins; give one of them")
        if offset is None:
            return self.page(matching, limit, cursor)
        return self.behind(offset, limit) if matching is None else self.counted(matching, offset, limit)

    def page(self, matching: Matching | None, limit: int, cursor: str | None) -> MessagePage:
        """From one of its ends, or from a cursor on.

        Raises:
            InvalidCursorError: The cursor is none of this list.
        """
        if cursor is None:
            return self._from(None if self.back else 0, None, matching, limit)
        back, at, where = place_of(layout.history(self.agent_id), cursor)
        if back != self.back:
            raise InvalidCursorError(f"cursor {cursor[:80]!r} goes the other way; hand it on with descending={back}")
        return self._from(at, where, matching, limit)

    def behind(self, offset: int, limit: int) -> MessagePage:
        """Behind the first so many, of all there are."""
        place, total = self._place(offset)
        if place is None:
            return MessagePage((), None, total)
        page = self._from(*place, None, limit)
        return replace(page, total=total, cursor=page.cursor if offset + len(page.messages) < total else None)

    def counted(self, matching: Matching, offset: int, limit: int) -> MessagePage:
        """Behind the first so many of those wanted.

        Raises:
            ValueError: These are not all among those that a call looks at.
        """
        found: list[Placed] = []
        matched, cursor = 0, None
        for looked, met in enumerate(self._met(None if self.back else 0, None, MAX_PAGE), 1):
            if met.one.entry.removed is None and matching(met.one.entry):
                if offset <= matched < offset + limit:
                    found.append(met.one)
                    cursor = self._cursor(met)
                matched += 1
            if looked == LOOKED_AT and not met.last:
                if matched < offset:
                    raise ValueError(
                        f"offset={offset:,} is further than the {LOOKED_AT:,} messages that a call with a filter "
                        "looks at; go on from page to page by the cursor"
                    )
                return MessagePage(tuple(found), cursor if len(found) == limit else self._cursor(met), matched, False)
        return MessagePage(tuple(found), cursor if matched > offset + limit else None, matched)

    # ------------------------------------------------------------------------------------------------------- private

    def _from(self, at: int | None, where: Where | None, matching: Matching | None, limit: int) -> MessagePage:
        found: list[Placed] = []
        size = limit if matching is None else min(MAX_PAGE, max(200, 4 * limit))
        for looked, met in enumerate(self._met(at, where, size), 1):
            if met.one.entry.removed is None and (matching is None or matching(met.one.entry)):
                found.append(met.one)
            if len(found) == limit or looked == LOOKED_AT:
                return MessagePage(tuple(found), None if met.last else self._cursor(met))
        return MessagePage(tuple(found), None)

    def _place(self, offset: int) -> tuple[tuple[int, Where | None] | None, int]:
        """Where to go on behind the first so many, None if there are no more; and how many there are in all."""
        chain, on = parts(self.access, self.agent_id)
        total = sum(part.messages for part in chain)
        for part in reversed(chain) if self.back else chain:
            if offset < part.messages:
                break
            offset -= part.messages
        else:
            return None, total
        low, high = part.start, on.length if part.end is None else part.end
        where = None if part.end is None else Where(part.number, low, high)
        if high - low == part.messages:
            return (high - offset if self.back else low + offset, where), total
        # some were removed; from the other end the one to go on with is the last to be passed
        passed, back = offset, self.back
        if 2 * offset > part.messages:
            passed, back = part.messages - offset, not back
        at = high if back else low
        if passed:
            way = replace(self, back=back)._met(at, where, min(MAX_PAGE, passed + high - low - part.messages))
            there = (met for met in way if met.one.entry.removed is None)
            for met in islice(there, passed - 1, passed):
                at, where = met.one.index + (not back), met.where
        return (at, where), total

    def _met(self, at: int | None, where: Where | None, size: int) -> Iterator[_Met]:
        """The messages from a place on, those removed among them."""
        for piece in pieces(self.access, self.agent_id, at, where, back=self.back, size=size):
            for left, (index, entry) in enumerate(sorted(piece.entries.items(), reverse=self.back), 1):
                last = piece.last and left == len(piece.entries)
                yield _Met(Placed(index, piece.session_id, entry), piece.where, last)

    def _cursor(self, met: _Met) -> str:
        """Goes on behind it."""
        return cursor_at(layout.history(self.agent_id), met.one.index + (not self.back), met.where, back=self.back)


@dataclass(frozen=True, slots=True)
class _Met:
    one: Placed
    where: Where | None
    last: bool
    """Nothing comes behind it."""
