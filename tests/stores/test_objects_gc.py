"""Collecting: what is left over goes, what is there stays, and what is young is left alone."""

from __future__ import annotations

import pytest
from tests.stores.places import DAY, HEAD, HOUR, SPACE, TINY, Place, named

from strands_session_store.stores.base import Add, Append, Log, Order, Query, Space, Summary
from strands_session_store.stores.collecting import Collected
from strands_session_store.stores.objects import ObjectStore
from strands_session_store.testing.promises.binding import SetClock

LARGE = Append("log", [b"x" * 50] * 3)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def place(clock: SetClock) -> Place:
    return Place(clock)


@pytest.fixture
def store(place: Place) -> ObjectStore:
    return ObjectStore(place, sealing=TINY)


def make(store: ObjectStore, id: str, owner: str | None = "ann", **options: float) -> Space:
    space = Space("session", owner, id)
    store.commit(space, LARGE, commit_id="1", summary=Summary(b"s", "p"), **options)  # type: ignore[arg-type]
    return space


def orphan(place: Place, space: Space, name: str = "0-9.aaaaaaaaaaaa.jsonl") -> str:
    """What a writer that was killed has left."""
    owner = "-" if space.owner is None else space.owner
    life = next((key.split("/")[3] for key in place.sealed() if f"/{space.id}.d/" in key), "00")
    key = f"sessions/{owner}/{space.id}.d/{life}/log/{name}"
    place.objects[key] = b"1\n", place.clock()
    return key


def test_a_collection_of_nothing_deletes_nothing(store: ObjectStore, place: Place, clock: SetClock) -> None:
    for id in ("a", "b", "a.d", "a.json", "A"):
        make(store, id)
    make(store, "a", None)
    before = dict(place.objects)
    clock.now += 10 * DAY
    assert store.gc() == Collected()
    assert place.objects == before


def test_unnamed_objects_go_when_they_are_an_hour_old(store: ObjectStore, place: Place, clock: SetClock) -> None:
    space = make(store, "one")
    key, lonely = orphan(place, space), orphan(place, Space("session", None, "never"))
    clock.now += HOUR - 1
    assert store.gc() == Collected()
    clock.now += 1
    assert store.gc(dry_run=True) == Collected(objects=2, bytes=4)
    assert {key, lonely} <= set(place.objects)
    told: list[Collected] = []
    assert store.gc(progress=told.append) == Collected(objects=2, bytes=4)
    assert Collected(objects=2, bytes=4) in told
    assert place.sealed() == named(place)
    assert store.gc() == Collected()


def test_expired_spaces_go_and_their_tombstones_a_day_later(store: ObjectStore, place: Place, clock: SetClock) -> None:
    make(store, "one", ttl=100)
    stays = make(store, "stays", ttl=10 * DAY)
    clock.now += 100
    assert store.gc(dry_run=True) == Collected(expired=1)
    assert HEAD in place.objects and place.sealed() == named(place)
    assert store.gc() == Collected(expired=1)
    assert not [key for key in place.objects if "/one" in key and key != HEAD] and b"dropped" in place.objects[HEAD][0]
    clock.now += DAY - 1
    assert store.gc() == Collected()
    clock.now += 1
    assert store.gc() == Collected(tombstones=1)
    assert HEAD not in place.objects
    assert [row.space for row in store.list(Query("session", "ann")).rows] == [stays]


def test_a_space_made_again_while_it_is_collected_stays(store: ObjectStore, place: Place, clock: SetClock) -> None:
    make(store, "one", ttl=100)
    clock.now += 100
    other = place.again()
    collector = ObjectStore(other, sealing=TINY)

    def meanwhile(verb: str, key: str) -> None:
        if verb == "get" and key == HEAD and calls.pop() == "second":
            store.commit(SPACE, Add("n", 1), commit_id="new life")

    # the first get is the collection's own, the second one that of its drop
    calls = ["second", "first"]
    other.before = meanwhile
    collector.gc()
    assert store.read(SPACE).revision == 1


def test_a_space_made_again_while_its_tombstone_is_removed_stays(
    store: ObjectStore, place: Place, clock: SetClock
) -> None:
    store.drop(make(store, "one"))
    clock.now += DAY
    other = place.again()

    def meanwhile(verb: str, key: str) -> None:
        if verb in ("remove", "delete") and key == HEAD:
            make(store, "one")

    other.before = meanwhile
    assert ObjectStore(other, sealing=TINY).gc() == Collected()
    assert store.read(SPACE, Log("log")).logs["log"].length == 3 and place.sealed() == named(place)


def test_rows_of_nothing_go_when_they_are_an_hour_old(store: ObjectStore, place: Place, clock: SetClock) -> None:
    space = make(store, "one")
    stray = [
        "index/sessions/ann/created/01600000000.0000000~one~00",
        "index/sessions/ann/below/p/01600000000.0000000~gone~00",
        "index/sessions/bob/created/01600000000.0000000~gone~00",
    ]
    for key in stray:
        place.objects[key] = b"", clock()
    assert store.gc() == Collected()
    clock.now += HOUR
    assert store.gc() == Collected(rows=3)
    assert not set(stray) & set(place.objects)
    for order in Order:
        for parent in (None, "p"):
            assert [row.space for row in store.list(Query("session", "ann", parent, order=order)).rows] == [space]


def test_rows_that_are_missing_are_put_back(store: ObjectStore, place: Place) -> None:
    space = make(store, "one")
    for key in [key for key in place.objects if key.startswith("index/")]:
        del place.objects[key]
    assert list(store.list(Query("session", "ann", order=Order.CREATED)).rows) == []
    assert store.gc(dry_run=True) == Collected(restored=1)
    assert store.gc() == Collected(restored=1)
    for parent in (None, "p"):
        found = store.list(Query("session", "ann", parent, order=Order.CREATED)).rows
        assert [row.space for row in found] == [space]


def test_what_is_damaged_is_reported_and_left_alone(store: ObjectStore, place: Place, clock: SetClock) -> None:
    make(store, "one")
    make(store, "two")
    place.objects[HEAD] = b"{", 0.0
    orphan(place, Space("session", "ann", "two"))
    before = {key for key in place.objects if "one" in key}
    clock.now += 2 * DAY
    assert store.gc() == Collected(objects=1, bytes=2, corrupt=(HEAD,))
    assert before <= set(place.objects)


def test_a_writer_looks_for_what_is_unnamed_once_a_day(store: ObjectStore, place: Place, clock: SetClock) -> None:
    space = make(store, "one")
    clock.now += 1
    orphan(place, space)
    lists = []
    for number in range(60):
        clock.now += HOUR
        store.commit(space, LARGE, commit_id=f"later {number}")
        lists.append(place.calls["list"])
    assert place.sealed() == named(place)
    assert lists[-1] == 2


@pytest.fixture
def many(store: ObjectStore) -> ObjectStore:
    for number in range(300):
        make(store, f"{number:03}", ttl=100 if number % 3 == 0 else 10 * DAY)
    return store


def test_a_collection_asks_for_each_head_once(many: ObjectStore, place: Place, clock: SetClock) -> None:
    clock.now += 50
    place.calls.clear()
    assert many.gc() == Collected()
    assert place.calls["objects"] == 300 and place.calls["get"] <= 6 and place.calls["list"] <= 7
    clock.now += 50
    assert many.gc().expired == 100
    assert place.sealed() == named(place)
    assert len(many.list(Query("session", "ann", limit=1000)).rows) == 200
