"""What sessions, subtrees and users took: tokens, calls, cost. Sums over counters; no message is read.

Rule 1. Totals are exact as of the moment each session is read: a session's are counters of its own, changed by the very
        commits that store its messages, and sums are made over absolute values. So nothing is doubled by a retry, and
        what was deleted counts no more.
Rule 2. A session costs one read; a subtree what `Tree.tree` costs; a user one listing for each 1,000 sessions. By day,
        model or source it is two reads for each session that may have something to say, however many tables are made.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from typing import Literal, TypeAlias, get_args

from .. import layout, records
from ..errors import SessionNotFoundError
from ..stores.base import Counters, Docs, Order, Query, Row
from ..usage import Totals
from . import checks, cursors
from .access import Part, load, told
from .shapes import MAX_PAGE, UsageReport
from .tree import Tree

By: TypeAlias = Literal["day", "model", "source"]
Apart: TypeAlias = Literal["day", "model", "source", "user", "session"]
"""What a report can tell apart."""
Looked: TypeAlias = Callable[[int], None]
"""Told how many sessions were looked into so far."""


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
        return sum((totals for _, totals in self._listed(checks.owner(user_id))), Totals())

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
        found = self.report(user_id, by=[by], since=since, until=until).by[by]
        return {key: spent for key, spent in found.items() if key is not None}

    def report(
        self,
        user_id: str | None = None,
        *,
        session_id: str | None = None,
        below: bool = False,
        everyone: bool = False,
        by: Collection[Apart] = ("day", "model", "source"),
        since: str | None = None,
        until: str | None = None,
        progress: Looked | None = None,
    ) -> UsageReport:
        """Several tables of the same usage at once: of a session, a subtree, a user, or all there are.

        Args:
            user_id: Whose; None: of what has no owner.
            session_id: Only this session's; None: of all that are the user's.
            below: With ``session_id``: and of all below it.
            everyone: Of all users; for operators. ``user_id`` and ``session_id`` must be None with it.
            by: What to tell apart, a table each: "day", "model", "source", "user", "session" (its id).
            since: The first day (UTC, ``2026-11-01``); sessions without a commit since are not looked into.
            until: The last day.
            progress: Called after each session that was looked into.

        Raises:
            SessionNotFoundError: There is no such session.
            ValueError: An argument is out of its range, or two contradict each other; names them.
        """
        checks.flag("below", below)
        checks.flag("everyone", everyone)
        if isinstance(by, str) or not set(by) <= set(get_args(Apart)):
            raise ValueError(f"by must be a collection of {', '.join(get_args(Apart))}, got {by!r:.80}")
        if everyone and (user_id is not None or session_id is not None or "session" in by):
            raise ValueError(
                "everyone=True reports on all users, of whom several may have a session of one id; leave out user_id, "
                'session_id and by="session"'
            )
        if below and session_id is None:
            raise ValueError("below=True goes with a session_id; a user's report has all sessions anyway")
        start = 0.0 if since is None else _day("since", since)
        if until is not None:
            _day("until", until)
        owner = checks.owner(user_id)
        places: Iterable[tuple[str | None, str]]
        if session_id is None:
            # an index row may be a minute late
            places = (
                (row.space.owner, row.space.id)
                for row, totals in self._listed(owner, everyone)
                if totals.calls and row.updated >= start - 60
            )
        elif below:
            places = [(owner, node.session.session_id) for node in Tree(self.store).tree(session_id, owner)]
        else:
            self._session(session_id, owner).look()
            places = [(owner, session_id)]
        total, looked = Totals(), 0
        tables: dict[str, dict[str | None, Totals]] = {name: {} for name in by}
        for looked, (whose, id) in enumerate(places, 1):
            for key, spent in self._if_there(id, whose):
                if (since or "") <= key.day and (until is None or key.day <= until):
                    total += spent
                    names = {"day": key.day, "model": key.model, "source": key.source, "user": whose, "session": id}
                    for name, table in tables.items():
                        table[names[name]] = table.get(names[name], Totals()) + spent
            if progress is not None:
                progress(looked)
        return UsageReport(total, {name: _in_order(table) for name, table in tables.items()}, looked)

    # ------------------------------------------------------------------------------------------------------- private

    def _listed(self, owner: str | None, everyone: bool = False) -> Iterator[tuple[Row, Totals]]:
        query = Query("session", owner, everyone=everyone, order=Order.CREATED, limit=MAX_PAGE)
        for row in cursors.every(self.store, replace(query, counters=layout.USAGE_COUNTERS)):
            totals = Totals.of(row.counters)
            # what is on its way into the store, as an import, was not spent there
            if row.summary or (totals.calls and told(self.store, records.Session, row) is not None):
                yield row, totals

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


def _in_order(table: dict[str | None, Totals]) -> dict[str | None, Totals]:
    return dict(sorted(table.items(), key=lambda item: (item[0] is not None, item[0] or "")))


def _check(by: str) -> None:
    if by not in ("day", "model", "source"):
        raise ValueError(f'by must be "day", "model" or "source", got {by!r}')


def _day(argument: str, day: str) -> float:
    try:
        return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=timezone.utc).timestamp()
    except (ValueError, TypeError):
        raise ValueError(f"{argument} must be a day like 2026-11-20, got {day!r}") from None
