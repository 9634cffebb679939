"""Sessions by the page: filters, orders, cursors, offsets; and that a page costs what it shows."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import pytest

from strands_session_store import InvalidIdError, layout
from strands_session_store.errors import InvalidCursorError
from strands_session_store.sessions import Sessions, indexed
from strands_session_store.stores.base import Space, new_commit_id
from strands_session_store.testing.wrapping import Call, Wrapped


def ids(page: Any) -> list[str]:
    return [one.session.session_id for one in page.sessions]


def walk(sessions: Sessions, **options: Any) -> list[str]:
    """All pages, joined."""
    found: list[str] = []
    cursor = None
    while True:
        page = sessions.list(cursor=cursor, **options)
        found += ids(page)
        if (cursor := page.cursor) is None:
            return found


@pytest.fixture
def many(sessions: Sessions) -> Sessions:
    for at in range(12):
        sessions.create(f"s{at:02}", "ada", title=f"Title {at}", kind=("chat", "job")[at % 2], description="é" * at)
    sessions.create("other", "bob", title="Title 0")
    sessions.deactivate("s03", "ada")
    sessions.deactivate("s06", "ada")
    return sessions


ALL = [f"s{at:02}" for at in range(12)]


def test_pages_are_newest_first_whole_and_of_one_owner(many: Sessions) -> None:
    assert ids(many.list("ada")) == ALL[::-1]
    for limit in (1, 5, 12):
        assert walk(many, user_id="ada", limit=limit) == ALL[::-1]
    assert walk(many, user_id="ada", descending=False, limit=5) == ALL
    assert ids(many.list("bob")) == ["other"]
    assert ids(many.list()) == []
    assert len(many.list(everyone=True).sessions) == 13


def test_a_row_tells_the_session_whole(many: Sessions) -> None:
    for one in many.list("ada").sessions:
        there = many.get(one.session.session_id, "ada")
        assert (one.session, one.counters) == (there.session, there.counters)


def test_the_order_of_last_use(many: Sessions) -> None:
    assert sorted(walk(many, user_id="ada", order="updated", limit=5)) == ALL  # all of one minute


def test_filters(many: Sessions) -> None:
    for limit in (1, 4, 50):
        assert walk(many, user_id="ada", kind="job", limit=limit) == ALL[1::2][::-1]
        assert walk(many, user_id="ada", active=False, limit=limit) == ["s06", "s03"]
        assert walk(many, user_id="ada", active=True, kind="chat", limit=limit, descending=False) == [
            "s00",
            "s02",
            "s04",
            "s08",
            "s10",
        ]
        assert walk(many, user_id="ada", text="tITLE 1", limit=limit) == ["s11", "s10", "s01"]
        assert walk(many, user_id="ada", text="ÉÉÉÉÉÉÉÉÉÉ", limit=limit) == ["s11", "s10"]
        assert walk(many, user_id="ada", text="nowhere", limit=limit) == []
        assert walk(many, user_id="ada", text="Title 1", ignore_case=False, limit=limit) == ["s11", "s10", "s01"]
        assert walk(many, user_id="ada", text="title 1", ignore_case=False, limit=limit) == []
        assert walk(many, user_id="ada", ignore_case=False, limit=limit) == ALL[::-1]


def test_times(many: Sessions) -> None:
    made = [many.get(id, "ada").session.created for id in ALL]
    rows = {one.session.session_id: one for one in many.list("ada").sessions}
    assert set(rows) == set(ALL)
    assert ids(many.list("ada", created_after=time.time() + 60)) == []
    assert ids(many.list("ada", created_before=made[0] - 60)) == []
    assert ids(many.list("ada", created_after=made[0] - 60, created_before=time.time() + 60)) == ALL[::-1]
    assert ids(many.list("ada", updated_after=time.time() + 60)) == []
    assert sorted(ids(many.list("ada", updated_before=time.time() + 60, order="updated"))) == ALL
    assert ids(many.list("ada", updated_after=made[0] - 60, order="created")) == ALL[::-1]


def test_by_ids(many: Sessions) -> None:
    wanted = ["s05", "s01", "other", "nobody", "s05"]
    assert ids(many.list("ada", ids=wanted)) == ["s05", "s01"]
    assert ids(many.list("ada", ids=wanted, descending=False, limit=1)) == ["s01"]
    assert ids(many.list("ada", ids=wanted, text="title 5")) == ["s05"]
    assert ids(many.list("ada", ids=wanted, text="title 5", ignore_case=False)) == []
    assert ids(many.list("ada", ids=[])) == []
    page = many.list("ada", ids=wanted, offset=1)
    assert (ids(page), page.total) == (["s01"], 2)


def test_offset_skips_and_counts(many: Sessions) -> None:
    page = many.list("ada", offset=0, limit=5)
    assert (ids(page), page.total, page.exact) == (ALL[::-1][:5], 12, True)
    page = many.list("ada", offset=10, limit=5)
    assert (ids(page), page.total, page.cursor) == (["s01", "s00"], 12, None)
    assert (ids(many.list("ada", offset=99)), many.list("ada", offset=99).total) == ([], 12)
    page = many.list("ada", offset=1, limit=2, kind="job")
    assert (ids(page), page.total) == (["s09", "s07"], 6)
    assert ids(many.list("ada", cursor=page.cursor, kind="job")) == ["s05", "s03", "s01"]


def test_counting_ends_at_its_bound_and_says_so(many: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexed, "LOOKED_AT", 7)
    page = many.list("ada", offset=0, limit=2, active=True)
    assert (page.total, page.exact) == (6, False)
    assert ids(page) == ["s11", "s10"]
    # a page that is filtered ends there too, and its cursor goes on
    page = many.list("ada", text="Title 0")
    assert (ids(page), page.cursor is None) == ([], False)
    assert walk(many, user_id="ada", text="title 0") == ["s00"]


def test_a_cursor_neither_loses_nor_doubles_what_did_not_change(many: Sessions) -> None:
    for options in ({}, {"active": True}):
        first = many.list("ada", limit=4, **options)  # type: ignore[arg-type]
        many.create(f"new{len(options)}", "ada")
        many.delete("s11", "ada")
        many.delete("s07", "ada")
        rest = many.list("ada", cursor=first.cursor, **options)  # type: ignore[arg-type]
        kept = [id for id in ALL[::-1] if id not in ("s07", "s11") and (not options or id not in ("s03", "s06"))]
        found = [id for id in ids(first) + ids(rest) if id not in ("s07", "s11") and not id.startswith("new")]
        assert found == kept


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": -1}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"limit": True}, "limit"),
        ({"offset": -1}, "offset"),
        ({"order": "title"}, "order"),
        ({"cursor": "x", "offset": 1}, "offset"),
        ({"everyone": True, "user_id": "ada"}, "everyone"),
        ({"everyone": True, "parent_id": "p"}, "everyone"),
        ({"kind": ""}, "kind"),
        ({"text": 7}, "text"),
        ({"text": "a", "ignore_case": 1}, "ignore_case"),
        ({"created_after": "2026-01-01"}, "created_after"),
        ({"order": "created", "updated_before": datetime(2026, 1, 1)}, "updated_before"),
        ({"updated_after": float("nan")}, "updated_after"),
        ({"ids": "s01"}, "ids"),
        ({"ids": ["s01"], "cursor": "x"}, "ids"),
        ({"ids": [str(at) for at in range(1001)]}, "ids"),
    ],
)
def test_wrong_arguments_are_named(memory: Sessions, options: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        memory.list(**options)


def test_a_cursor_that_is_none_is_told(many: Sessions) -> None:
    other = many.list("ada", limit=1, order="updated").cursor
    for cursor in ("", "x", "created/nan/a/b", "created/1", other):
        with pytest.raises(InvalidCursorError, match="cursor"):
            many.list("ada", cursor=cursor)
        if cursor != other:
            with pytest.raises(InvalidCursorError, match="cursor"):
                many.users.list(cursor=cursor)
    with pytest.raises(InvalidIdError, match="user_id"):
        many.list("")


def test_a_space_without_a_session_is_in_no_list(sessions: Sessions) -> None:
    sessions.store.commit(Space("session", None, "half"), commit_id=new_commit_id())
    sessions.create("whole")
    assert ids(sessions.list()) == ["whole"]


class Counted(Wrapped):
    """Counts what the engine is asked."""

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.calls: list[str] = []

    def _ask(self, call: Call, engine: Any) -> Any:
        self.calls.append(call.verb)
        return engine()


def test_a_page_is_one_listing_and_reads_nothing(memory: Sessions) -> None:
    store = Counted(memory.store)
    sessions = Sessions(store)
    for at in range(300):
        sessions.create(f"s{at}", description="d" * 1000)
    store.calls.clear()
    page = sessions.list(limit=50)
    assert len(page.sessions) == 50
    sessions.list(limit=50, cursor=page.cursor)
    assert store.calls == ["list", "list"]
    store.calls.clear()
    assert len(sessions.list(limit=50, text="ddd").sessions) == 50
    assert store.calls == ["list"]


def test_what_is_too_large_for_its_row_is_read(memory: Sessions) -> None:
    store = Counted(memory.store)
    sessions = Sessions(store)
    made = sessions.create("s", title="x" * 255, description="\U0001f600" * 1000)
    store.calls.clear()
    (found,) = sessions.list(text="\U0001f600").sessions
    assert found.session == made
    assert store.calls == ["list", "read"]


def test_an_offset_past_the_bound_of_counting_is_reached(memory: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the engine does not count."""
    monkeypatch.setattr(indexed, "LOOKED_AT", 5)
    sessions = Sessions(Counted(memory.store))
    for at in range(20):
        sessions.create(f"s{at:02}")
    page = sessions.list(offset=12, limit=3, descending=False)
    assert ids(page) == ["s12", "s13", "s14"]
    assert not page.exact and (page.total or 0) >= 15
    rest = sessions.list(cursor=page.cursor, descending=False)
    assert ids(rest) == ["s15", "s16", "s17", "s18", "s19"]
    # what is filtered is skipped by looking: no empty page stands for what was not looked at
    assert ids(sessions.list(offset=1, limit=9, kind="session", descending=False)) == ["s01", "s02", "s03", "s04"]
    page = sessions.list(offset=1, limit=9, kind="session", descending=False)
    assert ids(sessions.list(cursor=page.cursor, kind="session", limit=2, descending=False)) == ["s05", "s06"]
    with pytest.raises(ValueError, match="offset=12"):
        sessions.list(offset=12, kind="session")
    assert sessions.list(offset=99).sessions == ()


def test_rows_that_are_skipped_or_counted_are_not_asked_what_they_show(memory: Sessions) -> None:
    class Listings(Wrapped):
        def _ask(self, call: Call, engine: Any) -> Any:
            if call.verb == "list":
                (query,) = call.args
                asked.append((query.limit, len(query.counters)))
            return engine()

    asked: list[tuple[int, int]] = []
    sessions = Sessions(Listings(memory.store))
    for at in range(20):
        sessions.create(f"s{at:02}")
    shown = len(layout.COUNTERS)
    page = sessions.list(offset=4, limit=3, descending=False)
    assert (ids(page), page.total, page.exact) == (["s04", "s05", "s06"], 20, True)
    assert asked == [(4, 0), (3, shown), (1000, 0)]
    asked.clear()
    assert sessions.list(offset=0, limit=20).total == 20
    assert asked == [(20, shown)]


def test_a_filter_that_nothing_passes_ends_at_the_bound(memory: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexed, "LOOKED_AT", 1_500)
    for at in range(2_600):
        memory.create(f"s{at}")
    store = Counted(memory.store)
    sessions = Sessions(store)
    page = sessions.list(offset=0, text="nowhere")
    assert (page.sessions, page.total, page.exact) == ((), 0, False)
    assert store.calls == ["list", "list"]
    assert sessions.list(offset=0, text="nowhere", cursor=None, limit=5).cursor is not None
