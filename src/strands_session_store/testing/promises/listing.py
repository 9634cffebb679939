"""Of the index: ordered, by page, and nothing in it is lost or doubled."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace

import pytest

from ...stores.base import ABSENT, Add, Order, Query, Row, Space, Store, Summary
from ...stores.counting import Counting
from .binding import SPACE, Binding, SetClock, fresh_id, row_of, rows
from .commits import put
from .hostile import HOSTILE

MINE = Query("session", "ann", limit=3)
BOTH_ORDERS = pytest.mark.parametrize("order", Order)


def make(
    store: Store, count: int, owner: str | None = "ann", name: str = "s", parent: str | None = None
) -> list[Space]:
    spaces = [Space("session", owner, f"{name}{at}") for at in range(count)]
    for space in spaces:
        store.commit(space, commit_id=fresh_id(), on=ABSENT, summary=Summary(space.id.encode(), parent))
    return spaces


def key(order: Order, row: Row) -> tuple[float, str, str]:
    _, owner, id = row.space.key
    return row.created if order is Order.CREATED else row.updated, owner, id


class Listing(Binding):
    @BOTH_ORDERS
    def test_a_listing_is_in_order_and_backwards_when_descending(self, store: Store, order: Order) -> None:
        spaces = make(store, 10)
        for space in spaces[4:7]:
            put(store, Add("n", 1), space=space)
        query = replace(MINE, order=order, descending=False)
        found = rows(store, query)
        assert found == sorted(found, key=lambda row: key(order, row))
        assert rows(store, replace(query, descending=True)) == found[::-1]
        assert {row.space for row in found} == set(spaces) and len(found) == len(spaces)

    def test_created_is_exact(self, store: Store) -> None:
        spaces = make(store, 10)
        created = {row.space: row.created for row in rows(store, MINE)}
        put(store, Add("n", 1), space=spaces[0])
        times = [created[space] for space in spaces]
        assert times == sorted(times)
        assert {row.space: row.created for row in rows(store, MINE)} == created

    @pytest.mark.parametrize("limit", [1, 2, 9, 10, 11, 1000])
    def test_pages_of_any_size_make_up_the_same_listing(self, store: Store, limit: int) -> None:
        make(store, 10)
        for order in Order:
            query = replace(MINE, order=order, limit=limit)
            first = store.list(query)
            assert len(first.rows) == min(limit, 10) and (first.cursor is None) == (limit >= 10)
            assert rows(store, query) == list(store.list(replace(query, limit=1000)).rows)

    def test_an_empty_listing_is_an_empty_page(self, store: Store) -> None:
        for query in (MINE, Query("session"), Query("session", everyone=True), Query("session", "ann", parent="p")):
            page = store.list(query)
            assert list(page.rows) == [] and page.cursor is None

    @BOTH_ORDERS
    @pytest.mark.parametrize("descending", [True, False])
    def test_paging_loses_and_doubles_nothing_while_spaces_come_and_go(
        self, store: Store, order: Order, descending: bool
    ) -> None:
        stay, go = make(store, 12), make(store, 6, name="go")
        query = replace(MINE, order=order, descending=descending)
        page = store.list(query)
        found = [row.space for row in page.rows]
        step = 0
        while page.cursor is not None:
            make(store, 1, name=f"new{step}-")
            if go:
                store.drop(go.pop())
            page = store.list(replace(query, cursor=page.cursor))
            found += [row.space for row in page.rows]
            step += 1
            assert step < 50
        assert len(found) == len(set(found))
        assert set(stay) <= set(found)

    def test_a_cursor_outlives_the_row_it_points_at(self, store: Store) -> None:
        spaces = make(store, 9)
        query = replace(MINE, order=Order.CREATED, descending=False)
        page = store.list(query)
        store.drop(page.rows[-1].space)
        rest = rows(store, replace(query, cursor=page.cursor))
        assert {row.space for row in [*page.rows, *rest]} == set(spaces)

    def test_rows_of_one_time_are_ordered_by_owner_and_id(self, timed: Store) -> None:
        spaces = [
            Space("session", owner, id) for owner in (None, "ann", "Bob", "bob") for id in ("b", "B", "a", "-", "a!")
        ]
        for space in spaces:
            put(timed, space=space)
        for order in Order:
            query = Query("session", everyone=True, order=order, descending=False, limit=3)
            assert [row.space for row in rows(timed, query)] == sorted(spaces, key=lambda space: space.key)
            mine = Query("session", "Bob", order=order, limit=2)
            expected = sorted((space for space in spaces if space.owner == "Bob"), key=lambda space: space.key)
            assert [row.space for row in rows(timed, mine)] == expected[::-1]

    # --------------------------------------------------------------------------------------------------------- scope

    def test_a_listing_is_of_one_owner_or_of_none_or_of_everyone(self, store: Store) -> None:
        ann, bob, nobody = make(store, 4), make(store, 4, "bob"), make(store, 4, None)
        put(store, space=Space("user", "ann", "s0"))
        for query, expected in (
            (MINE, ann),
            (replace(MINE, owner="bob"), bob),
            (replace(MINE, owner=None), nobody),
            (replace(MINE, owner=None, everyone=True), ann + bob + nobody),
            (replace(MINE, kind="user"), [Space("user", "ann", "s0")]),
            (replace(MINE, kind="other"), []),
        ):
            for order in Order:
                found = [row.space for row in rows(store, replace(query, order=order))]
                assert sorted(found, key=repr) == sorted(expected, key=repr)

    def test_children_are_listed_by_parent_and_owner(self, store: Store) -> None:
        children, others = make(store, 5, parent="p"), make(store, 5, name="o", parent="q")
        make(store, 3, name="root")
        make(store, 3, "bob", parent="p")
        make(store, 3, None, parent="p")
        for order in Order:
            for parent, expected in (("p", children), ("q", others), ("none", [])):
                found = rows(store, replace(MINE, parent=parent, order=order))
                assert {row.space for row in found} == set(expected)
                assert all(row.parent == parent for row in found)
        assert len(rows(store, replace(MINE, owner=None, parent="p"))) == 3

    def test_parents_of_hostile_names_are_apart(self, store: Store) -> None:
        for at, parent in enumerate(HOSTILE):
            make(store, 1, name=f"{at}-", parent=parent)
        for parent in HOSTILE:
            assert [row.parent for row in rows(store, replace(MINE, parent=parent))] == [parent]

    @BOTH_ORDERS
    def test_since_is_within_and_until_is_not(self, timed: Store, clock: SetClock, order: Order) -> None:
        for space in (Space("session", "ann", f"{at}") for at in range(10)):
            put(timed, space=space)
            clock.now += 1
        base = replace(MINE, order=order, descending=False)
        times = [key(order, row)[0] for row in rows(timed, base)]
        for descending in (True, False):
            for since in (None, times[0], times[3], times[3] + 0.5, times[9], times[9] + 1):
                for until in (None, times[0], times[3], times[6], times[9], times[9] + 1):
                    query = replace(base, since=since, until=until, descending=descending)
                    found = [key(order, row)[0] for row in rows(timed, query)]
                    expected = [
                        time for time in times if (since is None or time >= since) and (until is None or time < until)
                    ]
                    assert found == (expected[::-1] if descending else expected)

    # ---------------------------------------------------------------------------------------------------------- rows

    def test_a_summary_is_listed_as_it_was_given_last(self, store: Store) -> None:
        put(store)
        seen = []
        for summary in (None, Summary(b""), None, Summary(bytes(range(256)) * 16), None):
            store.commit(SPACE, commit_id=fresh_id(), summary=summary)
            row = row_of(store, SPACE)
            assert row is not None
            seen.append(row.summary)
        large = bytes(range(256)) * 16
        assert seen == [None, b"", b"", large, large]

    def test_a_row_tells_the_counters_that_were_asked_for_and_0_for_an_absent_one(self, store: Store) -> None:
        one, two = make(store, 2)
        put(store, Add("n", 7), Add("a/b \u00e9", -(2**63)), space=one)
        put(store, Add("n", 2**63 - 1), Add("other", 1), space=two)
        for order in Order:
            query = replace(MINE, order=order, descending=False, counters=("n", "a/b \u00e9", "none", "n"))
            assert {row.space: row.counters for row in rows(store, query)} == {
                one: {"n": 7, "a/b \u00e9": -(2**63), "none": 0},
                two: {"n": 2**63 - 1, "a/b \u00e9": 0, "none": 0},
            }
        assert [row.counters for row in rows(store, MINE)] == [{}, {}]

    def test_counters_of_a_row_are_of_the_same_state_as_its_summary(self, store: Store) -> None:
        def commit(at: int) -> None:
            store.commit(SPACE, Add("n", 1), commit_id=fresh_id(), summary=Summary(b"%d" % at))

        commit(1)
        ended = threading.Event()

        def go_on() -> None:
            for at in itertools.count(2):
                if ended.is_set():
                    return
                commit(at)

        thread = threading.Thread(target=go_on)
        thread.start()
        seen: set[bytes] = set()
        try:
            while len(seen) < 10:
                (row,) = store.list(replace(MINE, counters=["n"])).rows
                assert row.summary == b"%d" % row.counters["n"]
                seen.add(row.summary)
        finally:
            ended.set()
            thread.join()

    def test_updated_lags_behind_the_last_commit_by_a_minute_at_most(self, timed: Store, clock: SetClock) -> None:
        put(timed)
        created = clock.now
        for _ in range(100):
            clock.now += 7
            put(timed, Add("n", 1))
            row = row_of(timed, SPACE)
            assert row is not None and clock.now - 60 <= row.updated <= clock.now and row.created == created

    def test_a_new_summary_moves_updated_at_once_and_an_equal_one_does_not(self, timed: Store, clock: SetClock) -> None:
        def updated(summary: bytes) -> float:
            clock.now += 1
            timed.commit(SPACE, commit_id=fresh_id(), summary=Summary(summary))
            row = row_of(timed, SPACE)
            assert row is not None
            return row.updated

        first = updated(b"a")
        assert updated(b"a") == first
        assert updated(b"b") == clock.now
        moved = clock.now
        assert updated(b"b") == moved

    # ------------------------------------------------------------------------------------------------------- counting

    def test_who_can_count_says_how_many_rows_all_pages_have(self, timed: Store, clock: SetClock) -> None:
        if not isinstance(timed, Counting):
            pytest.skip("the engine does not count")
        assert timed.count(MINE) == timed.count(Query("session", everyone=True)) == (0, True)
        for owner in ("ann", "bob", None):
            make(timed, 5, owner, parent="p")
            clock.now += 70
            make(timed, 4, owner, name="root")
        timed.commit(Space("session", "ann", "s0"), commit_id=fresh_id(), ttl=10.0, summary=Summary(b"", "q"))
        timed.drop(Space("session", "bob", "s0"))
        began = clock.now
        for now in (began, began + 10):
            clock.now = now
            for base in (Query("session", "ann"), Query("session"), Query("session", everyone=True), Query("user")):
                for parent in (None,) if base.everyone else (None, "p", "q", "none"):
                    for order in Order:
                        for since, until in ((None, None), (began, None), (None, began), (began - 70, began)):
                            query = replace(base, parent=parent, order=order, since=since, until=until, limit=3)
                            found = rows(timed, query)
                            assert timed.count(query) == (len(found), True)
                            cursor = timed.list(query).cursor
                            other = replace(query, cursor=cursor, limit=1, counters=["n"])
                            assert timed.count(other) == (len(found), True)
                            counted, exact = timed.count(query, most=2)
                            assert counted == len(found) or (2 <= counted < len(found) and not exact)
        with pytest.raises(ValueError, match="limit"):
            timed.count(replace(MINE, limit=0))

    # ------------------------------------------------------------------------------------------------------- refused

    @pytest.mark.parametrize(
        "query",
        [
            replace(MINE, limit=0),
            replace(MINE, limit=1001),
            replace(MINE, everyone=True),
            Query("session", everyone=True, parent="p"),
        ],
        ids=str,
    )
    def test_a_query_that_contradicts_itself_is_refused(self, store: Store, query: Query) -> None:
        with pytest.raises(ValueError, match=r"limit|everyone"):
            store.list(query)

    @pytest.mark.parametrize("cursor", ["", "x", "/", "created/x/y/z", "updated/nan/-/a", "9", "\u00e9", "a/b/c/d/e"])
    def test_a_cursor_that_is_none_is_refused(self, store: Store, cursor: str) -> None:
        make(store, 5)
        with pytest.raises(ValueError, match="cursor"):
            store.list(replace(MINE, cursor=cursor))
