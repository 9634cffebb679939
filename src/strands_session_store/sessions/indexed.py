"""Rows of the index as a list: by the page, or by how many come before; all of them, or sifted.

Rule 1. A page costs what it shows. Sifted it costs what it looks at, at most `LOOKED_AT` rows a call.
Rule 2. A cursor never loses or doubles a space that did not change.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, Generic, TypeAlias, TypeVar

from ..stores.base import Query, Row, Store
from ..stores.counting import Counting
from . import cursors
from .shapes import MAX_PAGE

T = TypeVar("T")

LOOKED_AT: Final = 10_000
"""Rows that one call looks at, at most, to fill a page that is sifted or to count, besides an ``offset``."""


Found: TypeAlias = tuple[tuple[T, ...], str | None, int | None, bool]
"""What is shown, cursor, total and whether that is exact, as the pages of `shapes` have them."""


@dataclass(frozen=True, slots=True)
class Rows(Generic[T]):
    """A listing, and what of it is shown."""

    store: Store
    query: Query
    """With the number that a page shows at most, and the cursor."""
    shown: Callable[[Row], T | None]
    """What a row is shown as; None: it is left out."""
    sifts: bool
    """Whether rows are left out on purpose. Else those of what is no session or user, which are few."""

    def page(self) -> Found[T]:
        found: list[T] = []
        for looked, (row, last) in enumerate(self._rows(self.query), 1):
            if (shown := self.shown(row)) is not None:
                found.append(shown)
            if len(found) == self.query.limit or looked == LOOKED_AT:
                return tuple(found), None if last else cursors.behind(self.query, row), None, True
        return tuple(found), None, None, True

    def behind(self, offset: int) -> Found[T]:
        """Behind the first so many, with the total.

        Raises:
            ValueError: Sifted, these are not all among those that a call looks at.
        """
        return self._sifted_behind(offset) if self.sifts else self._all_behind(offset)

    def _all_behind(self, offset: int) -> Found[T]:
        page = self
        if offset:
            skipped, row, last = self._passed(None, offset)
            if last or row is None:
                return (), None, skipped, True
            page = replace(self, query=replace(self.query, cursor=cursors.behind(self.query, row)))
        found, cursor, _, _ = page.page()
        if cursor is None:
            return found, None, offset + len(found), True
        if isinstance(self.store, Counting):
            return found, cursor, *self.store.count(self.query, most=offset + LOOKED_AT)
        more, _, last = self._passed(cursor, max(1, LOOKED_AT - len(found)))
        return found, cursor, offset + len(found) + more, last

    def _passed(self, cursor: str | None, most: int) -> tuple[int, Row | None, bool]:
        """How many rows come behind the cursor, up to ``most``; the last of these, and whether there is none behind it.
        They are skipped or counted, so what they show is not asked for."""
        query = replace(self.query, cursor=cursor, limit=min(MAX_PAGE, most), counters=())
        counted = deque(enumerate(islice(self._rows(query), most), 1), maxlen=1)
        if not counted:
            return 0, None, True
        passed, (row, last) = counted.pop()
        return passed, row, last

    def _sifted_behind(self, offset: int) -> Found[T]:
        query, limit = self.query, self.query.limit
        found: list[T] = []
        matched, exact, cursor = 0, True, None
        for looked, (row, last) in enumerate(self._rows(replace(query, limit=MAX_PAGE)), 1):
            shown = self.shown(row)
            if offset <= matched < offset + limit and shown is not None:
                found.append(shown)
                if len(found) == limit and not last:
                    cursor = cursors.behind(query, row)
            matched += shown is not None
            # what a filter leaves to be skipped is not known, so it has no part in the bound
            if looked >= LOOKED_AT:
                exact = last
                if not last and len(found) < limit:
                    cursor = cursors.behind(query, row)
                break
        if not exact and matched < offset:
            raise ValueError(
                f"offset={offset:,} is further than the {LOOKED_AT:,} {query.kind}s that a call with a filter looks "
                "at; go on from page to page by the cursor"
            )
        return tuple(found), cursor, matched, exact

    def _rows(self, query: Query) -> Iterator[tuple[Row, bool]]:
        """Rows, and whether each is the last one there is."""
        if self.sifts:  # most will not be shown, so fewer and larger pages
            query = replace(query, limit=min(MAX_PAGE, query.limit * 4))
        while True:
            page = cursors.listed(self.store, query)
            for at, row in enumerate(page.rows, 1):
                yield row, page.cursor is None and at == len(page.rows)
            if page.cursor is None:
                return
            query = replace(query, cursor=page.cursor)
