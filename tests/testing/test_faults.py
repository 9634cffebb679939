"""FaultyStore: it does what it is told to the calls it is told to meet, and else keeps the contract."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from strands_session_store.errors import InDoubt, Unavailable
from strands_session_store.stores.base import Add, Counters, Doc, Query, Space, Store
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.testing import FaultyStore, StoreContract

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
