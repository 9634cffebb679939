"""Of parents: a space is under the one that its last summary named, and is listed there and nowhere else."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from ...errors import ConflictError
from ...stores.base import (
    ABSENT,
    Add,
    Capability,
    Change,
    Expect,
    Expected,
    Order,
    Query,
    Space,
    Store,
    Summary,
)
from .binding import SPACE, Binding, SetClock, eventually, fresh_id, need, row_of, rows
from .commits import put
from .hostile import HOSTILE

MINE = Query("session", "ann", limit=3)
PARENTS = "p", "q", "none"


def told(store: Store, data: bytes, parent: str | None, space: Space = SPACE) -> None:
    store.commit(space, commit_id=fresh_id(), summary=Summary(data, parent))


def below(store: Store, space: Space = SPACE) -> list[str]:
    """Under which parents it is listed; the same by either order."""
    found = [
        [
            parent
            for parent in PARENTS
            for row in rows(store, Query(space.kind, space.owner, parent, order=order, limit=2))
            if row.space == space
        ]
        for order in Order
    ]
    assert found[0] == found[1]
    return found[0]


def row(store: Store, space: Space = SPACE) -> tuple[bytes | None, str | None]:
    found = row_of(store, space)
    assert found is not None
    return found.summary, found.parent


class Parents(Binding):
    def test_a_summary_replaces_both_data_and_parent(self, store: Store) -> None:
        for data, parent in ((b"1", "p"), (b"2", "q"), (b"2", "p"), (b"3", None), (b"3", "p"), (b"", "p")):
            told(store, data, parent)
            assert row(store) == (data, parent) and below(store) == ([] if parent is None else [parent])

    def test_a_commit_without_a_summary_leaves_both(self, store: Store) -> None:
        told(store, b"1", "p")
        put(store, Add("n", 1))
        assert row(store) == (b"1", "p") and below(store) == ["p"]
        told(store, b"2", "q")
        for _ in range(3):
            put(store, Add("n", 1))
        assert row(store) == (b"2", "q") and below(store) == ["q"]

    def test_a_space_that_was_made_under_none_can_be_moved(self, store: Store) -> None:
        put(store)
        assert row(store) == (None, None)
        told(store, b"1", "p")
        assert row(store) == (b"1", "p") and below(store) == ["p"]

    def test_a_store_that_knows_nothing_of_a_space_can_move_it(self, store: Store, url: str) -> None:
        told(store, b"1", "p")
        need(store, Capability.SHARED)
        with self.open(url) as other:
            told(other, b"2", "q")
        assert row(store) == (b"2", "q") and below(store) == ["q"]
        told(store, b"3", "p")
        assert row(store) == (b"3", "p") and below(store) == ["p"]

    def test_a_space_may_go_to_and_fro_between_parents(self, store: Store) -> None:
        for at in range(12):
            told(store, b"same", "pq"[at % 2])
            assert below(store) == ["pq"[at % 2]]

    def test_parents_of_hostile_names_take_a_space_one_after_the_other(self, store: Store) -> None:
        put(store)
        before = None
        for parent in HOSTILE[::3]:
            told(store, b"", parent)
            assert [found.parent for found in rows(store, replace(MINE, parent=parent))] == [parent]
            assert before is None or rows(store, replace(MINE, parent=before)) == []
            before = parent

    def test_under_its_new_parent_a_space_stands_where_its_creation_puts_it(
        self, timed: Store, clock: SetClock
    ) -> None:
        spaces = [Space("session", "ann", f"{at}") for at in range(7)]
        for at, space in enumerate(spaces):
            told(timed, b"", "p" if at % 2 else None, space)
            clock.now += 0.25
        clock.now += 1000
        for at in (4, 0, 6, 2):
            told(timed, b"moved", "p", spaces[at])
            clock.now += 1
        query = replace(MINE, parent="p", order=Order.CREATED, descending=False)
        found = rows(timed, query)
        assert [one.space for one in found] == spaces
        assert rows(timed, replace(query, descending=True)) == found[::-1]
        assert rows(timed, replace(query, parent=None)) == found
        some = replace(query, since=found[2].created, until=found[5].created)
        assert [one.space for one in rows(timed, some)] == spaces[2:5]

    def test_a_move_moves_updated_at_once(self, timed: Store, clock: SetClock) -> None:
        told(timed, b"1", "p")
        began = clock.now
        for parent, moves in (("q", True), ("q", False), (None, True), ("p", True), ("p", False)):
            clock.now += 1
            began = clock.now if moves else began
            told(timed, b"1", parent)
            found = row_of(timed, SPACE)
            assert found is not None and found.updated == pytest.approx(began, rel=0, abs=1e-5)
            for one in rows(timed, replace(MINE, parent=parent)):
                assert one.updated == found.updated

    def test_a_commit_that_is_refused_or_repeated_moves_nothing(self, store: Store) -> None:
        made = store.commit(SPACE, commit_id="first", summary=Summary(b"1", "p"))
        refused: list[tuple[Change, Expected]] = [
            (Expect("doc", "other"), made.incarnation),
            (Add("n", 1), ABSENT),
            (Add("n", 1), "other"),
        ]
        for change, on in refused:
            with pytest.raises(ConflictError):
                store.commit(SPACE, change, commit_id=fresh_id(), on=on, summary=Summary(b"2", "q"))
            assert row(store) == (b"1", "p") and below(store) == ["p"]
        assert store.commit(SPACE, commit_id="first", summary=Summary(b"2", "q")).repeated
        assert row(store) == (b"1", "p") and below(store) == ["p"]
        store.commit(SPACE, commit_id="second", on=made.incarnation, summary=Summary(b"2", "q"))
        assert store.commit(SPACE, commit_id="second", summary=Summary(b"1", "p")).repeated
        assert row(store) == (b"2", "q") and below(store) == ["q"]

    def test_a_space_that_is_gone_is_under_no_parent(self, store: Store) -> None:
        for end in (lambda: store.drop(SPACE), lambda: store.commit(SPACE, commit_id=fresh_id(), ttl=0.05)):
            for parent in ("p", "q", "p", "q"):
                told(store, b"", parent)
            assert below(store) == ["q"]
            end()
            eventually(lambda: store.read(SPACE).incarnation is None)
            assert below(store) == []
            put(store)
            assert below(store) == [] and row(store) == (None, None)
            told(store, b"", "p")
            assert below(store) == ["p"]
            store.drop(SPACE)

    def test_a_move_takes_no_other_space_along(self, store: Store) -> None:
        others = [Space("session", "bob", "one"), Space("session", None, "one"), Space("session", "ann", "two")]
        for space in (SPACE, *others):
            told(store, b"", "p", space)
        told(store, b"", "q")
        for space in others:
            assert below(store, space) == ["p"]

    def test_of_several_that_move_a_space_at_once_the_last_one_counts(self, store: Store) -> None:
        put(store)

        def move(first: int) -> None:
            for at in range(first, first + 15):
                told(store, b"", PARENTS[at % 2])

        threads = [threading.Thread(target=move, args=(at,)) for at in range(3)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            assert row_of(store, SPACE) is not None
        parent = row(store)[1]
        assert parent is not None and below(store) == [parent]
        told(store, b"", "none")
        assert below(store) == ["none"]
