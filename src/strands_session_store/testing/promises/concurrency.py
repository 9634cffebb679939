"""Of many threads: each commit takes place whole, behind one and before another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from ...errors import ConflictError
from ...stores.base import ABSENT, Add, Append, Counters, Doc, Expect, Log, PutDoc, Query, Space, Store
from .binding import SPACE, Binding, entries, fresh_id, rows, whole
from .commits import put

THREADS = 6


def at_once(act: Callable[[int], object], threads: int = THREADS) -> list[object]:
    """What ``act`` returned in each of some threads that began together; what one raises is raised."""
    start = threading.Barrier(threads)

    def run(number: int) -> object:
        start.wait()
        return act(number)

    with ThreadPoolExecutor(threads) as pool:
        return [future.result() for future in [pool.submit(run, number) for number in range(threads)]]


def wins(act: Callable[[], object]) -> bool:
    try:
        act()
    except ConflictError:
        return False
    return True


class Concurrency(Binding):
    def test_no_append_of_concurrent_threads_is_lost(self, store: Store) -> None:
        def append(number: int) -> list[int]:
            return [
                put(store, Append("log", [b"%d %d a" % (number, at), b"%d %d b" % (number, at)]), Add("n", 1)).indices[
                    "log"
                ]
                for at in range(30)
            ]

        told = at_once(append)
        found = entries(store, SPACE)
        assert len(found) == THREADS * 60
        for number, firsts in enumerate(told):
            assert isinstance(firsts, list) and firsts == sorted(firsts)
            for at, first in enumerate(firsts):
                assert found[first : first + 2] == [b"%d %d a" % (number, at), b"%d %d b" % (number, at)]
        assert store.read(SPACE, Counters(["n"])).counters == {"n": THREADS * 30}
        assert store.read(SPACE).revision == THREADS * 30

    def test_of_concurrent_creators_one_wins(self, store: Store) -> None:
        for at in range(10):
            space = Space("session", "ann", f"{at}")
            won = at_once(lambda _, space=space: wins(lambda: put(store, Add("n", 1), space=space, on=ABSENT)))  # type: ignore[misc]
            assert won.count(True) == 1
            assert store.read(space, Counters(["n"])).counters == {"n": 1}
        assert len(rows(store, Query("session", "ann"))) == 10

    def test_of_concurrent_writers_with_one_expectation_one_wins(self, store: Store) -> None:
        for _ in range(10):
            docs = store.read(SPACE, Doc("doc")).docs
            expect = docs["doc"].version if docs else ABSENT
            won = at_once(lambda _, expect=expect: wins(lambda: put(store, PutDoc("doc", b"x", expect), Add("n", 1))))  # type: ignore[misc]
            assert won.count(True) == 1
        assert store.read(SPACE, Counters(["n"])).counters == {"n": 10}

    def test_of_concurrent_repetitions_one_does_the_work(self, store: Store) -> None:
        def work(commit_id: str) -> bool:
            return store.commit(SPACE, Append("log", [b"x"]), Add("n", 1), commit_id=commit_id).repeated

        for _ in range(10):
            commit_id = fresh_id()
            again = at_once(lambda _, id=commit_id: work(id))  # type: ignore[misc]
            assert again.count(False) == 1
        assert len(entries(store, SPACE)) == 10 and store.read(SPACE, Counters(["n"])).counters == {"n": 10}

    def test_a_reader_sees_no_half_commit(self, store: Store) -> None:
        done = threading.Event()

        def write(number: int) -> None:
            try:
                for at in range(60):
                    put(
                        store,
                        PutDoc("a", b"%d" % at),
                        PutDoc("b", b"%d" % at),
                        Append("log", [b"%d" % at]),
                        Add("n", 1),
                    )
            finally:
                done.set()

        def read() -> None:
            while not done.is_set():
                look = store.read(SPACE, Doc("a"), Log("log", last=1), Counters(["n"]), Doc("b"))
                if look.incarnation is not None:
                    count = look.counters["n"]
                    assert look.revision == count == look.logs["log"].length
                    assert look.docs["a"] == look.docs["b"]
                    assert look.docs["a"].data == b"%d" % (count - 1) == look.logs["log"].entries[count - 1]

        at_once(lambda number: read() if number else write(number), 3)
        assert whole(store, SPACE).counters == {"n": 60}

    def test_writers_of_many_spaces_do_not_mix(self, store: Store) -> None:
        def write(number: int) -> None:
            space = Space("session", "ann", f"{number}")
            version: str | None = None
            for at in range(20):
                expect = Expect("doc", version or ABSENT)
                made = put(
                    store, expect, PutDoc("doc", b"%d" % number), Append("log", [b"%d" % number], at), space=space
                )
                assert made.revision == at + 1
                version = made.version

        at_once(write)
        for number in range(THREADS):
            look = whole(store, Space("session", "ann", f"{number}"))
            assert set(look.logs["log"].entries.values()) == {b"%d" % number} and look.logs["log"].length == 20
