"""Sessions by the page. Owner, parent, order and times of the order are told by the index; the rest is sifted here.

Law: what a listing tells of a session is in its row; nothing else is read. What a page costs is said in `indexed`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from .. import ids as _ids
from .. import layout, records
from ..stores.base import Counters, Doc, Order, Query, Row
from . import checks
from .access import Part, told
from .indexed import Rows
from .searching import sought
from .shapes import MAX_PAGE, Overview, SessionPage

OrderBy: TypeAlias = Literal["created", "updated"]


@dataclass(frozen=True, slots=True)
class _Filter:
    active: bool | None
    kind: str | None
    has: Callable[[str], bool] | None
    """Of title or description."""
    parent: str | None
    """Only with ids: the index does not tell it then."""
    created: tuple[float | None, float | None]
    updated: tuple[float | None, float | None]

    @property
    def sifts(self) -> bool:
        return self != _Filter(None, None, None, None, (None, None), (None, None))

    def admits(self, session: records.Session, created: float, updated: float) -> bool:
        if self.active not in (None, session.active) or self.kind not in (None, session.kind):
            return False
        if self.parent not in (None, session.parent_id):
            return False
        if self.has is not None and not any(self.has(said or "") for said in (session.title, session.description)):
            return False
        return _within(created, self.created) and _within(updated, self.updated)


class Listing(Part):
    """Many sessions."""

    def list(
        self,
        user_id: str | None = None,
        *,
        everyone: bool = False,
        parent_id: str | None = None,
        active: bool | None = None,
        kind: str | None = None,
        ids: Collection[str] | None = None,
        text: str | None = None,
        ignore_case: bool = True,
        created_after: float | None = None,
        created_before: float | None = None,
        updated_after: float | None = None,
        updated_before: float | None = None,
        order: OrderBy = "created",
        descending: bool = True,
        limit: int = 50,
        cursor: str | None = None,
        offset: int | None = None,
    ) -> SessionPage:
        """One page of a user's sessions, newest first unless it is told otherwise.

        Args:
            user_id: None: the sessions that have no owner.
            everyone: The sessions of all users; for operators. ``user_id`` and ``parent_id`` must be None with it.
            parent_id: Only those directly below this one; there are none below one that is not there.
            active: Only those that are, or are not.
            kind: Only those of this kind.
            ids: Only these, at most 1,000; costs a read each and no listing.
            text: Only those with it in title or description.
            ignore_case: False: only as it is written.
            created_after: Unix seconds; at this time or later.
            created_before: Before this time.
            updated_after: As above; of the last commit, to within a minute.
            updated_before: As above.
            order: By which time.
            descending: Latest first.
            limit: 1 to 1,000. With a filter a page can be shorter although there is a next one.
            cursor: `SessionPage.cursor` of the page before, with the same arguments.
            offset: How many to skip, instead of a cursor; costs looking at them. The page then has a total. What the
                index can't count by itself is counted up to 10,000, behind the offset where there is no filter;
                `SessionPage.exact` says whether that was all.

        Raises:
            InvalidCursorError: The cursor is none of such a listing.
            ValueError: An argument is out of its range, or two contradict each other; names them.
        """
        owner = checks.owner(user_id)
        checks.limit(limit)
        checks.index("offset", offset)
        checks.flag("ignore_case", ignore_case)
        moments = {"created_after": created_after, "created_before": created_before}
        for name, value in {**moments, "updated_after": updated_after, "updated_before": updated_before}.items():
            checks.moment(name, value)
        if order not in ("created", "updated"):
            raise ValueError(f'order must be "created" or "updated", got {order!r}')
        if offset is not None and cursor is not None:
            raise ValueError("offset and cursor both say where the page begins; give one of them")
        if everyone and (user_id is not None or parent_id is not None):
            raise ValueError("everyone=True lists all users' sessions; user_id and parent_id must be None with it")
        by = Order(order)
        times = {Order.CREATED: (created_after, created_before), Order.UPDATED: (updated_after, updated_before)}
        open_ended = (None, None)
        sieve = _Filter(
            active,
            None if kind is None else checks.kind(kind),
            None if text is None else sought(checks.words("text", text, empty=True), ignore_case),
            None,
            open_ended if by is Order.CREATED else times[Order.CREATED],
            open_ended if by is Order.UPDATED else times[Order.UPDATED],
        )
        if ids is not None:
            if everyone or cursor is not None:
                raise ValueError("ids are looked up one by one, of one owner; leave out everyone and cursor")
            all_times = replace(sieve, parent=parent_id, created=times[Order.CREATED], updated=times[Order.UPDATED])
            return self._by_ids(ids, owner, all_times, by, descending, limit, offset)
        query = Query(
            "session",
            owner,
            None if parent_id is None else _ids.check("parent_id", parent_id),
            everyone,
            by,
            descending,
            *times[by],
            limit=limit,
            cursor=cursor,
            counters=layout.COUNTERS,
        )
        rows = Rows(self.store, query, lambda row: self._shown(row, sieve), sieve.sifts)
        return SessionPage(*(rows.page() if offset is None else rows.behind(offset)))

    def _by_ids(
        self,
        wanted: Collection[str],
        owner: str | None,
        sieve: _Filter,
        by: Order,
        descending: bool,
        limit: int,
        offset: int | None,
    ) -> SessionPage:
        if len(wanted) > MAX_PAGE or isinstance(wanted, str):
            raise ValueError(f"ids must be a collection of at most {MAX_PAGE:,} session ids, got {len(wanted):,}")
        found = []
        for id in dict.fromkeys(wanted):
            own = self._session(id, owner)
            look = self.store.read(own.space, Doc(layout.SESSION), Counters(layout.COUNTERS))
            if (there := look.docs.get(layout.SESSION)) is None:
                continue
            session = own.record(look)
            updated = session.updated or session.created
            if sieve.admits(session, session.created, updated):
                found.append(Overview(session, dict(look.counters), updated, look.expires, revision=there.version))
        key: Callable[[Overview], tuple[float, str]] = lambda one: (  # noqa: E731
            one.session.created if by is Order.CREATED else one.updated,
            one.session.session_id,
        )
        found.sort(key=key, reverse=descending)
        first = offset or 0
        total = None if offset is None else len(found)
        return SessionPage(tuple(found[first : first + limit]), None, total)

    def _shown(self, row: Row, sieve: _Filter) -> Overview | None:
        session = told(self.store, records.Session, row)
        if session is None or not sieve.admits(session, row.created, row.updated):
            return None
        return Overview(session, dict(row.counters), row.updated)


def _within(time: float, bounds: tuple[float | None, float | None]) -> bool:
    after, before = bounds
    return (after is None or time >= after) and (before is None or time < before)
