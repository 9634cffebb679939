"""A process that is ended at any call, sleeps at any call, or is not answered: nothing acknowledged is lost, nothing is
doubled, nothing comes back."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import settings
from tests.stores.places import DAY, HOUR, PATIENCE, SPACE, TINY, Place, Stopped, is_head, named

from strands_session_store.errors import ConflictError
from strands_session_store.stores.base import (
    Add,
    Append,
    Change,
    Committed,
    Counters,
    Docs,
    Log,
    Order,
    PutDoc,
    Query,
    Replace,
    Store,
    Summary,
    Trim,
    new_commit_id,
)
from strands_session_store.stores.objects import ObjectStore
from strands_session_store.testing import StoreMachine
from strands_session_store.testing.promises.binding import SetClock

MINE = Summary(b"summary", "parent")


def opened(place: Place) -> ObjectStore:
    return ObjectStore(place, sealing=TINY)


def put(store: Store, entry: bytes, *changes: Change, **options: Any) -> Committed:
    """An entry, and with it a document and a counter that say how many there are; the entry is also the commit's id."""
    changes = (Append("log", [entry]), Add("n", 1), PutDoc("doc", b"of " + entry), *changes)
    return store.commit(SPACE, *changes, commit_id=entry.decode(), **{"summary": MINE, **options})


def fill(store: Store, name: str, count: int) -> list[bytes]:
    entries = [b"%s %d" % (name.encode(), at) for at in range(count)]
    for entry in entries:
        put(store, entry)
    return entries


def state(place: Place) -> tuple[Any, ...]:
    """What another process sees of the space, without what is drawn at random."""
    store = opened(place.again())
    look = store.read(SPACE, Docs(""), Log("log", [(0, None)]), Counters(["n"]))
    rows = [
        [(row.space, row.parent, row.summary) for row in store.list(Query("session", "ann", order=order, **more)).rows]
        for order in Order
        for more in ({}, {"parent": "parent"})
    ]
    assert rows[0] == rows[1] == rows[2] == rows[3]
    if look.incarnation is None:
        return None, (), {}, 0, rows[0]
    log = look.logs["log"]
    return (
        log.start,
        tuple(log.entries.values()),
        {p: d.data for p, d in look.docs.items()},
        look.counters["n"],
        rows[0],
    )


def litter(place: Place) -> None:
    """What killed processes have left: sealed objects of this life and of another, rows of nothing."""
    lives = {key.split("/")[3] for key in place.sealed()} | {"0123456789abcdef01"}
    for life in lives:
        place.objects[f"sessions/ann/one.d/{life}/log/0-9.aaaaaaaaaaaa.jsonl"] = b"1\n", place.clock()
    place.objects["sessions/ann/gone.d/0123/log/0-9.aaaaaaaaaaaa.jsonl"] = b"1\n", place.clock()
    place.objects["index/sessions/ann/created/01600000000.0000000~one~0123456789abcdef01"] = b"", place.clock()
    place.objects["index/sessions/ann/below/parent/01600000000.0000000~gone~0123"] = b"", place.clock()


@dataclass(frozen=True)
class Act:
    """Something one process does, and what was there before."""

    prepare: Callable[[Store, Place, SetClock], object]
    do: Callable[[Store], object]


def before_expiry(store: Store, place: Place, clock: SetClock) -> None:
    fill(store, "early", 5)
    put(store, b"early last", ttl=10)
    clock.now += 20


def before_sweep(store: Store, place: Place, clock: SetClock) -> None:
    fill(store, "early", 9)
    litter(place)
    clock.now += 2 * DAY


def before_gc(store: Store, place: Place, clock: SetClock) -> None:
    fill(store, "gone", 5)
    store.drop(SPACE)
    other = SPACE._replace(id="expired")
    store.commit(other, Append("log", [b"x" * 100]), commit_id="1", ttl=10)
    third = SPACE._replace(id="dropped")
    store.commit(third, Append("log", [b"x" * 100]), commit_id="1")
    store.drop(third)
    before_sweep(store, place, clock)


def early(count: int) -> Callable[[Store, Place, SetClock], object]:
    return lambda store, place, clock: fill(store, "early", count)


def before_again(store: Store, place: Place, clock: SetClock) -> None:
    fill(store, "early", 5)
    store.drop(SPACE)


LARGE = Append("other", [b"y" * 50] * 20)
ACTS = {
    "a commit": Act(early(2), lambda store: put(store, b"act")),
    "the first commit": Act(early(0), lambda store: put(store, b"act")),
    "a first commit that seals": Act(early(0), lambda store: put(store, b"act", LARGE)),
    "a commit that seals": Act(early(3), lambda store: put(store, b"act", LARGE)),
    "a commit that merges": Act(early(29), lambda store: put(store, b"act")),
    "a replacement in a page": Act(early(12), lambda store: put(store, b"act", Replace("log", 1, b"new"))),
    "a trim": Act(early(12), lambda store: put(store, b"act", Trim("log", 3))),
    "a commit in the place of what expired": Act(before_expiry, lambda store: put(store, b"act", LARGE)),
    "a commit in the place of what was dropped": Act(before_again, lambda store: put(store, b"act", LARGE)),
    "a commit that sweeps": Act(before_sweep, lambda store: put(store, b"act", LARGE)),
    "a drop": Act(early(12), lambda store: store.drop(SPACE)),
    "a collection": Act(before_gc, lambda store: store.gc()),  # type: ignore[attr-defined]
}


def prepared(act: Act) -> tuple[Place, SetClock]:
    clock = SetClock()
    place = Place(clock)
    act.prepare(opened(place), place, clock)
    return place, clock


def check_clean(place: Place, clock: SetClock) -> None:
    """Days later nothing is left of what nothing names; and what is named is there, and was all the time."""
    assert named(place) <= place.sealed()
    seen = state(place)
    for _ in range(2):  # what expired first becomes a tombstone
        clock.now += 2 * DAY
        opened(place).gc()
    assert state(place) == seen
    assert place.sealed() == named(place)
    heads = {key for key in place.objects if is_head(key)}
    rows = {key for key in place.objects if key.startswith("index/")}
    assert len(rows) == 2 * len(heads) and len(heads) == len(seen[-1])
    assert opened(place).gc().objects == 0


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", ACTS)
def test_a_process_that_is_stopped_at_any_call_leaves_all_or_nothing(name: str, when: str) -> None:
    act = ACTS[name]
    place, clock = prepared(act)
    start = state(place)
    undisturbed = place.copy()
    act.do(opened(undisturbed))
    end = state(undisturbed)
    for number in itertools.count():
        there, clock.now = place.copy(), clock.now
        there.stop_at(number, when)
        stopped = False
        try:
            act.do(opened(there))
        except Stopped:
            stopped = True
        there.heal()
        seen = state(there)
        assert seen in (start, end) if stopped else seen == end
        if isinstance(again := act.do(opened(there)), Committed):
            assert again.repeated == (seen == end)
        assert state(there) == end
        now = clock.now
        check_clean(there, clock)
        clock.now = now
        if not stopped:
            break
    assert number > 1


def nothing(store: Store, clock: SetClock) -> list[bytes]:
    return []


def commits(store: Store, clock: SetClock) -> list[bytes]:
    return fill(store, "later", 11)


def commits_and_days(store: Store, clock: SetClock) -> list[bytes]:
    done = fill(store, "later", 3)
    clock.now += 2 * DAY
    store.gc()  # type: ignore[attr-defined]
    return [*done, *fill(store, "latest", 3)]


def days(store: Store, clock: SetClock) -> list[bytes]:
    clock.now += 2 * DAY
    store.gc()  # type: ignore[attr-defined]
    return []


def drop(store: Store, clock: SetClock) -> list[bytes]:
    store.drop(SPACE)
    return []


def drop_and_days(store: Store, clock: SetClock) -> list[bytes]:
    store.drop(SPACE)
    return days(store, clock)


def drop_and_again(store: Store, clock: SetClock) -> list[bytes]:
    store.drop(SPACE)
    return commits_and_days(store, clock)


WORLDS = (nothing, commits, commits_and_days, days, drop, drop_and_days, drop_and_again)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("name", ACTS)
def test_a_process_that_sleeps_at_any_call_loses_and_revives_nothing(
    name: str, world: Callable[[Store, SetClock], list[bytes]]
) -> None:
    act = ACTS[name]
    for number in itertools.count():
        place, clock = prepared(act)
        hold = place.hold_at(number)
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(act.do, opened(place))
            while not hold.reached.wait(0.001) and not future.done():
                pass
            acknowledged = world(opened(place.again()), clock)
            hold.go.set()
            try:
                result = future.result(PATIENCE)
            except ConflictError:
                assert "drop" in world.__name__ and "replacement" in name
                result = None
        store = opened(place.again())
        look = store.read(SPACE, Log("log", [(0, None)]), Counters(["n"]))
        entries = list(look.logs["log"].entries.values()) if look.incarnation else []
        if name == "a drop":
            # in one order or the other: what was made again is there whole, or not at all
            assert [entry for entry in entries if entry in acknowledged] in ([], acknowledged)
        else:
            # a trim or replacement on any life may also be of the later one
            expected = acknowledged[3:] if name in ("a trim", "a replacement in a page") else acknowledged
            assert [entry for entry in entries if entry in expected] == expected
        if isinstance(result, Committed):
            mine = [entry for entry in entries if entry.startswith(b"act")]
            assert len(mine) == (look.incarnation == result.incarnation)
            assert look.counters.get("n", 0) == (len(entries) + look.logs["log"].start if look.incarnation else 0)
        check_clean(place.again(), clock)
        if not hold.reached.is_set():
            break
    assert number > 1


# ------------------------------------------------------------------------------------------------------ lost answers


class LossyMachine(StoreMachine):
    """Every fifth answer to a put of a head is lost; the port shows nothing of it."""

    timed = True
    lost = 0.2

    def __init__(self) -> None:
        super().__init__()
        self.place = Place()

    def open(self, clock: Callable[[], float]) -> Store:
        self.place.clock = clock
        self.place.lose(self.lost, 7)
        return opened(self.place)


TestLossyMachine = LossyMachine.TestCase
TestLossyMachine.settings = settings(deadline=None, max_examples=40, stateful_step_count=30)


@pytest.mark.soak
class TestLossyMachineSoak(LossyMachine.TestCase):
    settings = settings(deadline=None, max_examples=1500, stateful_step_count=60)


@pytest.mark.parametrize("writers", [2, 8])
def test_of_concurrent_writers_whose_answers_are_lost_all_that_is_acknowledged_is_there_once(writers: int) -> None:
    shared = Place()
    start = threading.Barrier(writers)

    def write(number: int) -> tuple[list[bytes], int]:
        place = shared.again()
        place.lose(0.1, number)
        store, done, conflicts = opened(place), [], 0
        while len(done) < 25:
            entry = b"%d %d" % (number, len(done))
            length = store.read(SPACE, Log("log")).logs
            at = length["log"].length if length else 0
            if not (done or conflicts):
                start.wait()  # all believe in the same length, so all but one are refused
            commit_id = new_commit_id()
            try:
                store.commit(SPACE, Append("log", [entry], at), Add("n", 1), commit_id=commit_id)
            except ConflictError as conflict:
                told = conflict.path, conflict.expected, type(conflict.found)
                assert told == ("log", at, int)
                conflicts += 1
            else:
                done.append(entry)
        return done, conflicts

    with ThreadPoolExecutor(writers) as pool:
        told = [future.result() for future in [pool.submit(write, number) for number in range(writers)]]
    look = opened(shared.again()).read(SPACE, Log("log", [(0, None)]), Counters(["n"]))
    entries = list(look.logs["log"].entries.values())
    assert sorted(entries) == sorted(entry for done, _ in told for entry in done)
    for done, _ in told:
        assert [entry for entry in entries if entry in done] == done
    assert look.counters["n"] == look.revision == len(entries) == 25 * writers
    assert sum(conflicts for _, conflicts in told) >= writers - 1
    clock = SetClock()
    clock.now = shared.clock()
    later = shared.again()
    later.clock = clock
    clock.now += HOUR + 1
    opened(later).gc()
    assert later.sealed() == named(later)
