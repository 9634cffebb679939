"""Threads, processes and forks at one file: they wait for each other, for so long, and nothing is lost."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from strands_session_store.errors import Unavailable
from strands_session_store.stores.sqlite import SQLiteStore
from strands_session_store.testing.promises.processes import child, hear, say

from .sqlite_file import add, python, raw, value


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


def test_many_processes_may_be_the_first_at_once(path: Path) -> None:
    url = f"sqlite:///{path}"
    with ExitStack() as stack:
        processes = [stack.enter_context(child("append", url, number, 3)) for number in range(4)]
        assert [hear(process) for process in processes] == ["ready"] * 4
        for process in processes:
            say(process, "go")
        assert [hear(process) for process in processes] == ["done"] * 4
    with SQLiteStore(path) as store:
        assert value(store) == 12


def test_many_threads_and_stores_may_be_the_first_at_once(tmp_path: Path) -> None:
    for attempt in range(15):
        path = tmp_path / f"{attempt}.db"
        stores = [SQLiteStore(path) for _ in range(4)]
        start = threading.Barrier(8)

        def first(number: int, stores: list[SQLiteStore] = stores, start: threading.Barrier = start) -> int:
            start.wait()
            return add(stores[number % 4])

        with ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(first, range(8))) == list(range(1, 9))
        for store in stores:
            store.close()


def test_while_another_process_writes_reads_go_on_and_commits_wait_for_so_long(path: Path) -> None:
    with SQLiteStore(path, timeout=0.3) as store:
        add(store)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert value(store) == 1
        began = time.monotonic()
        with pytest.raises(Unavailable, match=r"locked for 0\.3 s; nothing was written"):
            add(store)
        assert 0.3 <= time.monotonic() - began < 5
        other.execute("ROLLBACK")
        assert add(store) == 2
        other.close()


def test_a_commit_waits_for_another_process_to_end_its_own(path: Path) -> None:
    with SQLiteStore(path) as store:
        add(store)
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(add, store)
            assert value(store) == 1
            assert not waiting.done()
            other.execute("COMMIT")
            assert waiting.result(20) == 2
        other.close()


def test_threads_that_wait_for_each_other_are_unavailable_after_the_timeout(path: Path) -> None:
    with SQLiteStore(path, timeout=0.2) as store, ThreadPoolExecutor(1) as pool:
        add(store)
        with store._connections.writing(), pytest.raises(Unavailable, match="other threads"):
            pool.submit(add, store).result(20)
        assert add(store) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_and_its_parent_go_on(path: Path) -> None:
    # in a process of its own: a fork of one that has threads is a warning, and here it is the point
    said = python(
        """
        import os, sys, threading, traceback
        from strands_session_store.stores.base import Add, Append, Counters, Log, Space, new_commit_id
        from strands_session_store.stores.sqlite import SQLiteStore
        space = Space("session", "ann", "one")
        def work(count):
            for _ in range(count):
                store.commit(space, Add("n", 1), Append("log", [b"x" * 3000]), commit_id=new_commit_id())
                store.read(space, Log("log", last=1))
        with SQLiteStore(sys.argv[1], timeout=20) as store:
            work(1)
            threads = [threading.Thread(target=work, args=(200,)) for _ in range(3)]
            for thread in threads:
                thread.start()
            children = []
            for _ in range(6):
                work(5)
                if (child := os.fork()) == 0:
                    try:
                        work(30)
                        inner = [threading.Thread(target=work, args=(10,)) for _ in range(2)]
                        [thread.start() for thread in inner]
                        [thread.join() for thread in inner]
                        store.close()
                        sys.exit(0)
                    except SystemExit:
                        os._exit(0)
                    except BaseException:
                        traceback.print_exc()
                        os._exit(1)
                children.append(child)
            for thread in threads:
                thread.join()
            print([os.waitpid(child, 0)[1] for child in children])
            look = store.read(space, Counters(["n"]), Log("log"))
            print(look.counters["n"], look.logs["log"].length, look.revision)
        """,
        path,
    )
    count = 1 + 3 * 200 + 6 * 5 + 6 * 50
    assert said.splitlines() == [str([0] * 6), f"{count} {count} {count}"]
    assert raw(path, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_that_ends_without_using_the_store_does_no_harm(path: Path) -> None:
    said = python(
        """
        import os, sys
        from strands_session_store.stores.base import Add, Counters, Space, new_commit_id
        from strands_session_store.stores.sqlite import SQLiteStore
        space = Space("session", "ann", "one")
        store = SQLiteStore(sys.argv[1])
        for _ in range(6):
            store.commit(space, Add("n", 1), commit_id=new_commit_id())
            if (child := os.fork()) == 0:
                if os.path.isdir("/proc/self/fd"):
                    # a child must not even close a connection that it inherits, so it inherits none
                    links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
                    opened = [os.readlink(link) for link in links if os.path.exists(link)]
                    print([name for name in opened if name.startswith(sys.argv[1])], flush=True)
                sys.exit(0)  # as a worker does that ends; objects are finalized
            store.commit(space, Add("n", 1), commit_id=new_commit_id())
            os.waitpid(child, 0)
        print(store.read(space, Counters(["n"])).counters["n"])
        store.close()
        """,
        path,
    )
    assert said.split()[-1] == "12"
    assert set(said.split()[:-1]) <= {"[]"}
    assert raw(path, "PRAGMA integrity_check") == [("ok",)]
