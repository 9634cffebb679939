"""What sessions, subtrees and users took: tokens, calls, cost. Sums over counters; no message is read.

Rule 1. Totals are exact as of the moment each session is read: a session's are counters of its own, changed by the very
        commits that store its messages, and sums are made over absolute values. So nothing is doubled by a retry, and
        what was deleted counts no more.
Rule 2. A session costs one read; a subtree what `Tree.tree` costs; a user one listing for each 1,000 sessions. By day,
        model or source it is two reads for each session that may have something to say.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from typing import Literal, TypeAlias

from .. import layout, records
from ..errors import SessionNotFoundError
from ..stores.base import Counters, Docs, Order, Query
from ..usage import Totals
from . import checks, cursors
from .access import Part, load, told
from .shapes import MAX_PAGE
from .tree import Tree

By: TypeAlias = Literal["day", "model", "source"]


class Usages(Part):
    """Usage of models."""

    def session(self, session_id: str, user_id: str | None = None) -> Totals:
        """Of one session; one read."""
        look = self._session(session_id, user_id).look(Counters(layout.USAGE_COUNTERS))
        return Totals.of(look.counters)

    def subtree(self, session_id: str, user_id: str | None = None) -> Totals:
        """Of a session and all below it."""
        return sum((Totals.of(node.counters) for node in Tree(self.store).tree(session_id, user_id)), Totals())

    def user(self, user_id: str | None) -> Totals:
        """Of all sessions of a user, of whom there need be no record; None: of the sessions without an owner."""
        return sum((totals for _, totals, _ in self._of_user(user_id)), Totals())

    def session_by(self, session_id: str, by: By, user_id: str | None = None) -> dict[str, Totals]:
        """Of one session, apart for each day (UTC, ``2026-11-20``), model or source (``user``, ``llm``, ``system``), in
        their order; two reads."""
        _check(by)
        return _grouped(by, self._kept(session_id, user_id))

    def subtree_by(self, session_id: str, by: By, user_id: str | None = None) -> dict[str, Totals]:
        """As `session_by`, of a session and all below it."""
        _check(by)
        found = [node.session.session_id for node in Tree(self.store).tree(session_id, user_id)]
        return _grouped(by, (one for id in found for one in self._if_there(id, user_id)))

    def user_by(
        self, user_id: str | None, by: By, *, since: str | None = None, until: str | None = None
    ) -> dict[str, Totals]:
        """As `session_by`, of all sessions of a user.

        Args:
            user_id: Whose; None: of the sessions without an owner.
            by: What to tell apart.
            since: The first day (UTC, ``2026-11-01``); sessions without a commit since are not looked into.
            until: The last day.
        """
        _check(by)
        start = 0.0 if since is None else _day("since", since)
        if until is not None:
            _day("until", until)
        # an index row may be a minute late
        found = (id for id, totals, updated in self._of_user(user_id) if totals.calls and updated >= start - 60)
        days = (
            (key, totals)
            for id in found
            for key, totals in self._if_there(id, user_id)
            if (since or "") <= key.day and (until is None or key.day <= until)
        )
        return _grouped(by, days)

    # ------------------------------------------------------------------------------------------------------- private

    def _of_user(self, user_id: str | None) -> Iterator[tuple[str, Totals, float]]:
        query = Query(
            "session", checks.owner(user_id), order=Order.CREATED, limit=MAX_PAGE, counters=layout.USAGE_COUNTERS
        )
        for row in cursors.every(self.store, query):
            totals = Totals.of(row.counters)
            # what is on its way into the store, as an import, was not spent there
            if row.summary or (totals.calls and told(self.store, records.Session, row) is not None):
                yield row.space.id, totals, row.updated

    def _kept(self, session_id: str, user_id: str | None) -> Iterator[tuple[records.UsageKey, Totals]]:
        """What a session keeps apart."""
        found = self._session(session_id, user_id)
        look = found.look(Docs(layout.USAGE))
        paths = [path for path in look.docs if path.startswith(layout.USAGE)]
        counters = found.look(Counters([name for path in paths for name in layout.usage_counters(path)])).counters
        for path in paths:
            yield load(look, path, records.UsageKey), Totals.of(counters, path)

    def _if_there(self, session_id: str, user_id: str | None) -> Iterator[tuple[records.UsageKey, Totals]]:
        """The same; nothing of one that is gone since it was listed."""
        with contextlib.suppress(SessionNotFoundError):
            yield from self._kept(session_id, user_id)


def _grouped(by: By, found: Iterable[tuple[records.UsageKey, Totals]]) -> dict[str, Totals]:
    sums: dict[str, Totals] = {}
    for key, totals in found:
        name = getattr(key, by)
        sums[name] = sums.get(name, Totals()) + totals
    return dict(sorted(sums.items()))


def _check(by: str) -> None:
    if by not in ("day", "model", "source"):
        raise ValueError(f'by must be "day", "model" or "source", got {by!r}')


def _day(argument: str, day: str) -> float:
    try:
        return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=timezone.utc).timestamp()
    except (ValueError, TypeError):
        raise ValueError(f"{argument} must be a day like 2026-11-20, got {day!r}") from None
