"""FaultyStore: it does what it is told to the calls it is told to meet, and else keeps the contract."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from strands_session_store.errors import InDoubt, Unavailable
from strands_session_store.stores.base import Add, Append, Counters, Doc, Log, Query, Space, Store
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.testing import FaultyStore, Stopped, StoreContract
from strands_session_store.testing.promises.binding import eventually

SPACE = Space("session", None, "a")


def add(store: Store, commit_id: str) -> int:
    return store.commit(SPACE, Add("n", 1), commit_id=commit_id).counters["n"]


def value(faulty: FaultyStore) -> int:
    """What the engine inside holds."""
    return faulty.store.read(SPACE, Counters(["n"])).counters.get("n", 0)


@pytest.fixture
def faulty() -> FaultyStore:
    return FaultyStore(MemoryStore())


class TestWithoutAPlan(StoreContract):
    @pytest.fixture
    def url(self) -> str:
        return "memory://"

    def open(self, url: str) -> Store:
        return FaultyStore(super().open(url))


class TestReordered(StoreContract):
    """Overtaking breaks no promise."""

    @pytest.fixture
    def url(self) -> str:
        return "memory://"

    def open(self, url: str) -> Store:
        faulty = FaultyStore(super().open(url))
        faulty.reorder(of=3, within=0.0001)
        return faulty


def test_a_call_that_fails_before_does_not_reach_the_engine(faulty: FaultyStore) -> None:
    plan = faulty.plan("commit", before=Unavailable("no"))
    with pytest.raises(Unavailable, match="no"):
        add(faulty, "1")
    assert value(faulty) == 0
    assert plan.reached.is_set()
    assert add(faulty, "1") == 1


def test_a_call_that_fails_after_was_applied(faulty: FaultyStore) -> None:
    faulty.plan("commit", after=InDoubt("no answer"))
    with pytest.raises(InDoubt):
        add(faulty, "1")
    assert value(faulty) == 1
    assert faulty.commit(SPACE, Add("n", 1), commit_id="1").repeated


def test_a_plan_meets_the_calls_it_counts_to(faulty: FaultyStore) -> None:
    faulty.plan("commit", before=Unavailable("no"), at=3, times=2)
    failed = []
    for number in range(1, 7):
        try:
            add(faulty, f"{number}")
        except Unavailable:
            failed.append(number)
    assert failed == [3, 4]


def test_a_plan_without_end_holds_until_it_is_healed(faulty: FaultyStore) -> None:
    faulty.plan("read", before=Unavailable("down"), times=None)
    for _ in range(5):
        with pytest.raises(Unavailable):
            faulty.read(SPACE)
    add(faulty, "1")
    faulty.heal()
    assert faulty.read(SPACE).revision == 1


def test_every_verb_can_fail(faulty: FaultyStore) -> None:
    faulty.plan("list", before=Unavailable("no"))
    faulty.plan("drop", after=InDoubt("no"))
    add(faulty, "1")
    with pytest.raises(Unavailable):
        faulty.list(Query("session"))
    with pytest.raises(InDoubt):
        faulty.drop(SPACE)
    assert faulty.read(SPACE).incarnation is None


@pytest.mark.parametrize(("when", "applied"), [("before", 0), ("after", 1)])
def test_a_call_hangs_until_it_is_released(faulty: FaultyStore, when: str, applied: int) -> None:
    held = faulty.plan("commit", hang="before" if when == "before" else "after")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(add, faulty, "1")
        assert held.reached.wait(20)
        assert not waiting.done()
        assert value(faulty) == applied
        held.release()
        assert waiting.result(20) == 1


def test_healing_releases_what_hangs(faulty: FaultyStore) -> None:
    held = faulty.plan("commit", hang="before", times=None)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(add, faulty, f"{number}") for number in range(2)]
        assert held.reached.wait(20)
        faulty.heal()
        assert sorted(future.result(20) for future in waiting) == [1, 2]


def test_calls_are_recorded_whether_or_not_they_reach_the_engine(faulty: FaultyStore) -> None:
    faulty.plan("commit", before=Unavailable("no"))
    with pytest.raises(Unavailable):
        add(faulty, "1")
    faulty.read(SPACE, Doc("a"))
    faulty.list(Query("session"))
    assert [(call.verb, call.space, call.args, call.commit_id) for call in faulty.calls] == [
        ("commit", SPACE, (Add("n", 1),), "1"),
        ("read", SPACE, (Doc("a"),), None),
        ("list", None, (Query("session"),), None),
    ]
    assert [faulty.count("commit"), faulty.count("read"), faulty.count("drop")] == [1, 1, 0]


def test_of_many_threads_as_many_calls_fail_as_planned(faulty: FaultyStore) -> None:
    faulty.plan("commit", before=Unavailable("no"), at=10, times=15)
    start = threading.Barrier(8)

    def work(number: int) -> int:
        start.wait()
        failed = 0
        for at in range(20):
            try:
                add(faulty, f"{number} {at}")
            except Unavailable:
                failed += 1
        return failed

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 15
    assert value(faulty) == 8 * 20 - 15
    assert faulty.count("commit") == 8 * 20


def test_a_plan_for_any_verb_counts_them_all(faulty: FaultyStore) -> None:
    faulty.plan("any", before=Unavailable("no"), at=3)
    faulty.read(SPACE)
    add(faulty, "1")
    with pytest.raises(Unavailable):
        faulty.list(Query("session"))
    faulty.drop(SPACE)


def failing(seed: int) -> list[int]:
    """Which of 200 calls fail, with a chance of one in four."""
    faulty = FaultyStore(MemoryStore())
    faulty.plan("commit", before=Unavailable("no"), times=None, chance=0.25, seed=seed)
    failed = []
    for number in range(200):
        try:
            add(faulty, f"{number}")
        except Unavailable:
            failed.append(number)
    return failed


def test_a_plan_by_chance_meets_the_same_calls_again_by_its_seed() -> None:
    assert failing(1) == failing(1) != failing(2)
    assert 20 < len(failing(1)) < 80


def test_calls_that_chance_passes_by_do_not_count(faulty: FaultyStore) -> None:
    faulty.plan("commit", before=Unavailable("no"), times=2, chance=0.25)
    failed = 0
    for number in range(200):
        try:
            add(faulty, f"{number}")
        except Unavailable:
            failed += 1
    assert failed == 2


@pytest.mark.parametrize(("when", "applied"), [("before", 2), ("after", 3)])
def test_from_the_call_it_is_stopped_at_nothing_reaches_the_engine(
    faulty: FaultyStore, when: Any, applied: int
) -> None:
    plan = faulty.plan("commit", stop=when, at=3)
    add(faulty, "1"), add(faulty, "2")
    assert not plan.reached.is_set()
    for number in range(3, 6):
        with pytest.raises(Stopped):
            add(faulty, f"{number}")
    assert plan.reached.is_set() and value(faulty) == applied
    for ask in (lambda: faulty.read(SPACE), lambda: faulty.list(Query("session")), lambda: faulty.drop(SPACE)):
        with pytest.raises(Stopped):
            ask()
    assert value(faulty) == applied and faulty.count("commit") == 5 and faulty.count("drop") == 1


def test_a_process_that_was_only_paused_goes_on_when_it_is_healed(faulty: FaultyStore) -> None:
    faulty.plan("commit", stop="after")
    with pytest.raises(Stopped):
        add(faulty, "1")
    faulty.heal()
    assert faulty.commit(SPACE, Add("n", 1), commit_id="1").repeated
    assert add(faulty, "2") == 2


@pytest.mark.parametrize(("when", "applied"), [("before", 0), ("after", 1)])
def test_a_call_that_is_under_way_when_it_is_stopped_has_no_answer(
    faulty: FaultyStore, when: Any, applied: int
) -> None:
    held = faulty.plan("commit", hang=when)
    faulty.plan("read", stop="before")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(add, faulty, "1")
        assert held.reached.wait(20)
        with pytest.raises(Stopped):
            faulty.read(SPACE)
        held.release()
        with pytest.raises(Stopped):
            waiting.result(20)
    assert value(faulty) == applied


def arrivals(seed: int) -> str:
    """The order in which three calls reach the engine that began as a, b, c; twice."""
    faulty = FaultyStore(MemoryStore())
    faulty.reorder(seed, of=3, within=20)
    with ThreadPoolExecutor(3) as pool:
        for _ in range(2):
            waiting = []
            for name in "abc":
                begun = faulty.count("commit")
                change = Append("log", [name.encode()])
                waiting.append(pool.submit(faulty.commit, SPACE, change, commit_id=f"{name} {begun}"))
                eventually(lambda begun=begun: len(inside(faulty)) == begun % 3 + 1 or begun % 3 == 2)
            for future in waiting:
                future.result(20)
    return b"".join(faulty.store.read(SPACE, Log("log", [(0, None)])).logs["log"].entries.values()).decode()


def inside(faulty: FaultyStore) -> list[object]:
    """The calls that wait for others to change places with."""
    assert faulty._rounds is not None
    return faulty._rounds._next.calls


def test_calls_under_way_at_once_reach_the_engine_in_an_order_that_is_drawn() -> None:
    seen = {seed: arrivals(seed) for seed in range(12)}
    assert seen == {seed: arrivals(seed) for seed in range(12)}
    assert all(sorted(order[:3]) == sorted(order[3:]) == ["a", "b", "c"] for order in seen.values())
    assert len({order[:3] for order in seen.values()}) == 6 or len({order[3:] for order in seen.values()}) == 6


def test_a_call_that_is_alone_goes_on(faulty: FaultyStore) -> None:
    faulty.reorder(within=0.001)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: [add(faulty, f"{number}") for number in range(3)]).result(20) == [1, 2, 3]


def test_a_call_that_fails_does_not_hold_up_those_behind_it(faulty: FaultyStore) -> None:
    faulty.reorder(of=4, within=20)
    faulty.plan("commit", before=Unavailable("no"))
    with pytest.raises(Unavailable):  # before it joined the others
        add(faulty, "0")
    with ThreadPoolExecutor(4) as pool:
        full = pool.submit(faulty.commit, SPACE, commit_id="")  # no legal commit: the engine refuses it
        others = [pool.submit(add, faulty, f"{number}") for number in range(3)]
        assert sorted(future.result(20) for future in others) == [1, 2, 3]
        assert isinstance(full.exception(20), ValueError)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"verb": "write"}, "verb must be one of any, read, commit, list, drop; got 'write'"),
        ({"at": 0}, "at must be 1 or more: calls are counted from 1; got 0"),
        ({"times": 0}, "times must be 1 or more, or None for all calls; got 0"),
        ({"chance": 1.5}, "chance must be from 0 to 1; got 1.5"),
        ({"hang": "never"}, "hang must be 'before', 'after' or None; got 'never'"),
        ({"delay": -1}, "delay must be 0 seconds or more; got -1"),
        ({"stop": True}, "stop must be 'before', 'after' or None; got True"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(faulty: FaultyStore, wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        faulty.plan(**{"verb": "commit", **wrong})
    assert str(caught.value) == named
    add(faulty, "1")
    with pytest.raises(ValueError, match="of must be 2 calls or more; got 1"):
        faulty.reorder(of=1)
    with pytest.raises(ValueError, match="within must be more than 0 seconds; got 0"):
        faulty.reorder(within=0)
