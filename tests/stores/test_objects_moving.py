"""A space that is moved below another parent, by a process that is ended at any call, or sleeps at any call."""

from __future__ import annotations

import itertools
import json

import pytest
from tests.stores.places import HEAD, HOUR, SPACE, TINY, Place, Stopped

from strands_session_store.stores.base import Add, Order, Query, Store, Summary
from strands_session_store.stores.collecting import Collected
from strands_session_store.stores.objects import ObjectStore
from strands_session_store.testing.promises.binding import SetClock


def move(store: Store, parent: str | None, id: str = "move") -> None:
    store.commit(SPACE, Add("n", 1), commit_id=id, summary=Summary(b"", parent))


def below(place: Place) -> list[str]:
    """Under which parents another process finds the space; the same by either order."""
    store = ObjectStore(place.again())
    found = [
        [parent for parent in "pqr" for _ in store.list(Query("session", "ann", parent, order=order)).rows]
        for order in Order
    ]
    assert found[0] == found[1]
    (row,) = store.list(Query("session", "ann", order=Order.CREATED)).rows
    assert found[0] == ([] if row.parent is None else [row.parent])
    return found[0]


def rows(place: Place) -> list[str]:
    return [key for key in place.objects if key.startswith("index/")]


@pytest.fixture
def place() -> Place:
    return Place(SetClock())


def test_a_move_is_two_puts_and_a_delete_and_leaves_one_row_below_a_parent(place: Place) -> None:
    store = ObjectStore(place)
    move(store, "p", "0")
    for at, parent in enumerate("qqpqr", 1):
        moves = below(place) != [parent]
        place.calls.clear()
        move(store, parent, f"{at}")
        assert dict(place.calls) == ({"put": 2, "delete": 1} if moves else {"put": 1})
        assert below(place) == [parent] and len(rows(place)) == 2
    move(store, None, "none")
    assert below(place) == [] and len(rows(place)) == 1
    move(store, "p", "last")
    store.drop(SPACE)
    assert rows(place) == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_that_is_ended_at_any_call_leaves_the_space_under_one_parent(when: str) -> None:
    for number in itertools.count():
        place = Place(SetClock())
        move(ObjectStore(place), "p", "0")
        store = ObjectStore(other := place.again())
        other.stop_at(number, when)
        try:
            move(store, "q")
        except Stopped:
            pass
        else:
            break
        assert len(below(place)) == 1
        assert ObjectStore(place).gc() == Collected()  # what is left may be about to be named
        place.clock.now += HOUR  # type: ignore[attr-defined]
        collected = ObjectStore(place).gc()
        assert collected.restored == 0 and len(rows(place)) == 2 and len(below(place)) == 1
        # the next one goes on, whatever there is
        move(ObjectStore(place), "r", "next")
        assert below(place) == ["r"] and len(rows(place)) == 2
    assert number >= 3


def test_who_sleeps_at_any_call_takes_nothing_of_the_space_that_was_moved_back(place: Place) -> None:
    for number in range(6):
        place = Place(SetClock())
        move(ObjectStore(place), "p", "0")
        sleeper = place.again()
        left = [number]

        def meanwhile(verb: str, key: str, place: Place = place, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == -1:
                awake = ObjectStore(place.again())
                for at, parent in enumerate(("q", "r", "p")):
                    move(awake, parent, f"{at} meanwhile")

        sleeper.before = meanwhile
        move(ObjectStore(sleeper), "q")
        # whoever's head was put last says where it is
        assert len(below(place)) == 1
        place.clock.now += HOUR  # type: ignore[attr-defined]
        ObjectStore(place).gc()
        assert len(below(place)) == 1 and len(rows(place)) == 2


def test_a_row_that_is_missing_below_a_parent_is_put_back(place: Place) -> None:
    store = ObjectStore(place, sealing=TINY)
    move(store, "p", "0")
    move(store, "q")
    (lost,) = [key for key in rows(place) if "/below/q/" in key]
    del place.objects[lost]
    assert store.gc(dry_run=True) == store.gc() == Collected(restored=1)
    assert lost in place.objects and below(place) == ["q"]


def test_a_head_of_before_there_were_moves_is_read_moved_and_dropped(place: Place) -> None:
    move(ObjectStore(place), "p", "0")
    raw = json.loads(place.objects[HEAD][0])
    assert "moved" not in raw  # it says nothing of it as long as it was not
    assert below(place) == ["p"]
    move(ObjectStore(place), "q")
    assert json.loads(place.objects[HEAD][0])["moved"] == 2
    assert below(place) == ["q"] and len(rows(place)) == 2
    ObjectStore(place).drop(SPACE)
    stone = json.loads(place.objects[HEAD][0])
    del stone["moved"]
    place.objects[HEAD] = json.dumps(stone).encode(), place.clock()
    assert ObjectStore(place).drop(SPACE).existed is False and rows(place) == []
    move(ObjectStore(place), "p", "again")
    assert below(place) == ["p"]
