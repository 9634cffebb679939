"""Schedule: one call at a time, in the seed's order; and it says so when that comes to no end."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from strands_session_store.errors import ConflictError, InDoubt, StoreError, Unavailable
from strands_session_store.stores.base import ABSENT, Append, Log, PutDoc, Query, Space, Store, new_commit_id
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.testing import FaultyStore, Schedule, Stopped, StoreContract
from strands_session_store.testing.schedule import MOST, Stuck

SPACE = Space("session", None, "a")


def append(store: Store, *texts: str) -> list[int]:
    """Index by index."""
    return [
        store.commit(SPACE, Append("log", [text.encode()]), commit_id=new_commit_id()).indices["log"] for text in texts
    ]


def log(engine: Store) -> list[str]:
    view = engine.read(SPACE, Log("log", [(0, None)])).logs.get("log")
    return [entry.decode() for entry in view.entries.values()] if view is not None else []


def writers(seed: int, engine: Store, **options: Any) -> Schedule:
    """Three that append five times each, and end with what they were told."""
    schedule = Schedule(seed, engine, **options)
    for name in "abc":
        schedule.actor(name, lambda store, name=name: append(store, *(f"{name}{number}" for number in range(5))))
    return schedule


class TestOneActorAlone(StoreContract):
    """Its store keeps the contract; each call is let through by the scheduler."""

    @pytest.fixture
    def url(self) -> Iterator[str]:
        self._ends: list[Callable[[], None]] = []
        yield "memory://"
        for end in self._ends:
            end()

    def open(self, url: str) -> Store:
        engine, given, over = super().open(url), list[Store](), threading.Event()
        ready = threading.Event()

        def work(store: Store) -> None:
            given.append(store)
            ready.set()
            assert over.wait(60)

        schedule = Schedule(0, engine, patience=60)
        schedule.actor("only", work)
        thread = threading.Thread(target=schedule.run, daemon=True)
        thread.start()
        assert ready.wait(20)

        def end() -> None:
            over.set()
            thread.join(20)
            assert not thread.is_alive() and not schedule.stopped
            engine.close()

        self._ends.append(end)
        return given[0]


def test_an_actor_has_the_engines_answers_and_the_run_returns_what_it_returned() -> None:
    with MemoryStore() as engine:
        told = writers(1, engine).run()
        stored = log(engine)
        assert told == {name: [stored.index(f"{name}{number}") for number in range(5)] for name in "abc"}
        assert len(stored) == 15


def test_a_seed_is_an_order() -> None:
    def order(seed: int) -> tuple[list[str], list[Any]]:
        with MemoryStore() as engine:
            schedule = writers(seed, engine)
            schedule.run()
            return log(engine), schedule.trace

    seen = [order(seed) for seed in range(20)]
    assert seen == [order(seed) for seed in range(20)]
    assert len({"".join(stored) for stored, _ in seen}) > 15
    for stored, trace in seen:
        assert [text[0] for text in stored] == [step.actor for step in trace]


def test_every_order_of_two_calls_each_comes_about() -> None:
    seen = set()
    for seed in range(100):
        with MemoryStore() as engine:
            schedule = Schedule(seed, engine)
            for name in "ab":
                schedule.actor(name, lambda store, name=name: append(store, name, name))
            schedule.run()
            seen.add("".join(log(engine)))
    assert seen == {"aabb", "abab", "abba", "baab", "baba", "bbaa"}


def test_no_two_calls_are_under_way_at_once() -> None:
    class Crowded(FaultyStore):
        def _ask(self, *args: Any) -> Any:
            assert lock.acquire(blocking=False), "two at once"
            try:
                return super()._ask(*args)
            finally:
                lock.release()

    lock = threading.Lock()
    with Crowded(MemoryStore(), latency=0.0002) as engine:
        writers(3, engine).run()


def test_calls_of_an_actors_own_threads_are_its() -> None:
    """As of a session manager, whose writer runs on the store's pool."""

    def work(store: Store) -> list[int]:
        return [store.offload.submit(append, store, f"{number}").result(20)[0] for number in range(5)]

    with MemoryStore() as engine:
        schedule = Schedule(1, engine)
        schedule.actor("a", work), schedule.actor("b", work)
        told = schedule.run()
        assert sorted(told["a"] + told["b"]) == list(range(10))
        assert {step.actor for step in schedule.trace} == {"a", "b"}
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("actor")]


def test_who_calls_the_store_of_another_is_waiting_too() -> None:
    """A session manager stores what one of another actor has left, on its own thread."""
    given: list[Store] = []

    def lends(store: Store) -> None:
        given.append(store)
        append(store, "lends")

    def borrows(store: Store) -> None:
        store.read(SPACE)
        if given:
            append(given[0], "borrows")

    lent = 0
    for seed in range(10):
        with MemoryStore() as engine:
            schedule = Schedule(seed, engine, patience=10)
            schedule.actor("lends", lends), schedule.actor("borrows", borrows)
            schedule.run()
            lent += "borrows" in log(engine)
            given.clear()
    assert lent


def test_the_trace_tells_who_did_what_and_how_it_ended() -> None:
    def takes(store: Store) -> None:
        store.commit(SPACE, PutDoc("a", b"", ABSENT), Append("log", [b"1", b"2"]), commit_id=new_commit_id())

    def lists(store: Store) -> None:
        store.list(Query("session"))

    with MemoryStore() as engine:
        takes(engine)
        schedule = Schedule(0, engine)
        schedule.actor("takes", takes), schedule.actor("lists", lists)
        with pytest.raises(ConflictError) as caught:
            schedule.run()
        lines = {"takes commit a log+2 ConflictError", "lists list ok"}
        assert set(str(schedule).splitlines()) == lines
        if sys.version_info >= (3, 11):
            assert all(line in caught.value.__notes__[0] for line in lines)


def test_faults_come_again_by_the_seed_too() -> None:
    def outcome(seed: int) -> tuple[list[Any], set[str], list[str]]:
        def work(store: Store, name: str) -> None:
            for number in range(5):
                id = new_commit_id()
                for _ in range(50):
                    try:
                        store.commit(SPACE, Append("log", [f"{name}{number}".encode()]), commit_id=id)
                        break
                    except Unavailable:
                        continue

        with MemoryStore() as engine:
            schedule = Schedule(seed, engine, fail=0.2, cut=0.2, stop=0.05)
            for name in "ab":
                schedule.actor(name, lambda store, name=name: work(store, name))
            schedule.run()
            return schedule.trace, schedule.stopped, log(engine)

    seen = [outcome(seed) for seed in range(40)]
    assert seen == [outcome(seed) for seed in range(40)]
    assert {step.ended for trace, _, _ in seen for step in trace} == {"ok", "Unavailable", "InDoubt", "Stopped"}
    for trace, stopped, stored in seen:
        assert {step.actor for step in trace if step.ended == "Stopped"} == stopped
        for name in "ab":
            mine = [text for text in stored if text[0] == name]
            assert mine == [f"{name}{number}" for number in range(len(mine))]  # once, in order
            assert len(mine) == 5 or name in stopped
    assert 5 < sum(bool(stopped) for _, stopped, _ in seen) < 40


@pytest.mark.parametrize(("chances", "error", "applied"), [("fail", Unavailable, {0}), ("cut", InDoubt, {0, 1})])
def test_what_a_fault_does_to_a_call(chances: str, error: type[Exception], applied: set[int]) -> None:
    seen = set()
    for seed in range(20):
        with MemoryStore() as engine:
            schedule = Schedule(seed, engine, **{chances: 1.0})
            schedule.actor("a", lambda store: append(store, "x"))
            with pytest.raises(error) as caught:
                schedule.run()
            assert type(caught.value) is error
            seen.add(len(log(engine)))
    assert seen == applied


def test_what_only_reads_is_never_in_doubt() -> None:
    with MemoryStore() as engine:
        schedule = Schedule(0, engine, cut=1.0)
        schedule.actor("a", lambda store: store.read(SPACE))
        with pytest.raises(Unavailable) as caught:
            schedule.run()
        assert type(caught.value) is Unavailable


def test_of_a_stopped_actor_nothing_counts_any_more() -> None:
    def goes_on(store: Store) -> None:
        for number in range(5):
            with pytest.raises(Stopped):
                append(store, f"{number}")
        raise AssertionError("nobody hears of this")

    seen = set()
    for seed in range(20):
        with MemoryStore() as engine:
            schedule = Schedule(seed, engine, stop=1.0)
            schedule.actor("a", goes_on)
            assert schedule.run() == {}
            assert schedule.stopped == {"a"} and len(schedule.trace) == 1
            seen.add(tuple(log(engine)))
    assert seen == {(), ("0",)}


def test_a_call_that_waits_when_its_actor_is_stopped_does_not_reach_the_engine() -> None:
    def two_at_once(store: Store) -> None:
        for future in [store.offload.submit(append, store, text) for text in "xy"]:
            assert isinstance(future.exception(20), Stopped)

    for seed in range(10):
        with MemoryStore() as engine:
            schedule = Schedule(seed, engine, stop=1.0)
            schedule.actor("a", two_at_once)
            schedule.run()
            assert len(schedule.trace) == 1 and len(log(engine)) <= 1


def test_the_others_go_on_when_one_is_stopped_or_fails() -> None:
    def fails(store: Store) -> None:
        append(store, "once")
        raise LookupError("its own")

    with MemoryStore() as engine:
        schedule = Schedule(0, engine)
        schedule.actor("fails", fails), schedule.actor("goes on", lambda store: append(store, *"12345"))
        with pytest.raises(LookupError, match="its own"):
            schedule.run()
        assert sorted(log(engine)) == [*"12345", "once"]


def test_what_an_actor_leaves_behind_does_not_reach_the_engine_when_all_is_over() -> None:
    given: list[Store] = []
    with MemoryStore() as engine:
        schedule = Schedule(0, engine)
        schedule.actor("a", given.append)
        schedule.run()
        with pytest.raises(Stopped, match="schedule 0 is over"):
            append(given[0], "late")
        assert log(engine) == []


def test_an_actor_that_waits_for_another_without_the_store_is_named() -> None:
    never = threading.Event()

    def waits(store: Store) -> None:
        append(store, "x")
        never.wait(20)

    def calls(store: Store) -> None:
        append(store, *"12345")

    with MemoryStore() as engine:
        schedule = Schedule(0, engine, patience=0.2)
        schedule.actor("ann", calls), schedule.actor("bob", waits)
        with pytest.raises(Stuck, match=r"schedule 0: bob neither called the store nor ended within 0\.2 s") as caught:
            schedule.run()
        assert "bob commit a log+1 ok" in str(caught.value)
    never.set()


def test_an_engine_that_does_not_answer_is_named() -> None:
    with FaultyStore(MemoryStore()) as engine:
        held = engine.plan("commit", hang="before")
        schedule = Schedule(0, engine, patience=0.2)
        schedule.actor("ann", lambda store: append(store, "x"))
        with pytest.raises(Stuck, match=r"did not answer ann \(commit\) within 0\.2 s"):
            schedule.run()
        held.release()


def test_actors_that_go_on_for_ever_are_named() -> None:
    def for_ever(store: Store) -> None:
        while True:
            store.read(SPACE)

    with MemoryStore() as engine:
        schedule = Schedule(0, engine)
        schedule.actor("ann", for_ever)
        with pytest.raises(Stuck, match=f"{MOST} calls, and no end; the last: ann read a ok"):
            schedule.run()


def test_the_store_of_an_actor_can_be_closed_and_the_engine_stays_open() -> None:
    def closes(store: Store) -> None:
        with store:
            append(store, "x")
        with pytest.raises(StoreError, match="the store of 'a' was closed"):
            append(store, "y")

    with MemoryStore() as engine:
        schedule = Schedule(0, engine)
        schedule.actor("a", closes), schedule.actor("b", lambda store: append(store, *"123"))
        schedule.run()
        assert len(log(engine)) == 4


def test_wrong_use_is_refused() -> None:
    with MemoryStore() as engine:
        for wrong in ({"fail": -0.1}, {"cut": 0.6, "stop": 0.6}):
            with pytest.raises(ValueError, match="fail, cut and stop must be chances, together at most 1; got"):
                Schedule(0, engine, **wrong)
        with pytest.raises(ValueError, match="patience must be a number of seconds above 0; got 0"):
            Schedule(0, engine, patience=0)
        schedule = Schedule(0, engine)
        schedule.actor("a", append)
        with pytest.raises(ValueError, match="name must be another one for each actor; got 'a' again"):
            schedule.actor("a", append)
        schedule.run()
        with pytest.raises(RuntimeError, match="has begun"):
            schedule.actor("b", append)
        with pytest.raises(RuntimeError, match="runs once"):
            schedule.run()
