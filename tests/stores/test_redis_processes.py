"""One RedisStore, or one client, among threads, event loops and forked processes."""

# ruff: noqa: E402 - what needs redis is imported once it is known to be there
from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

redis = pytest.importorskip("redis")

from tests.stores.conversation import SPACE, prefix_of, say, told
from tests.stores.servers import Servers, until

from strands_session_store.errors import StoreError
from strands_session_store.stores import open_store
from strands_session_store.stores.base import Add, Append, Counters, Doc, Log, PutDoc, Space, Store, new_commit_id
from strands_session_store.stores.redis import RedisStore


@pytest.mark.parametrize("topology", ["standalone", "cluster", "sentinel"])
def test_a_forked_child_has_connections_of_its_own(topology: str, request: pytest.FixtureRequest) -> None:
    with open_store(request.getfixturevalue(topology).url) as store:
        say(store, 0)
        for at in range(1, 4):
            reading, writing = os.pipe()
            child = os.fork()
            if child == 0:
                try:
                    for _ in range(20):
                        store.commit(SPACE, Add("children", 1), commit_id=new_commit_id())
                    os.write(writing, b"done")
                finally:
                    os._exit(0)
            for _ in range(20):
                store.commit(SPACE, Add("parents", 1), commit_id=new_commit_id())
            os.close(writing)
            assert os.read(reading, 10) == b"done"
            os.close(reading)
            os.waitpid(child, 0)
            assert store.read(SPACE, Counters(["children", "parents"])).counters == {
                "children": 20 * at,
                "parents": 20 * at,
            }


@pytest.mark.parametrize("decode", [True, False])
def test_a_ready_client_is_used_whatever_it_decodes_and_left_open(
    standalone: Servers, cluster: Servers, decode: bool
) -> None:
    single = standalone.servers[0].client(decode_responses=decode, encoding="latin-1")
    many = redis.RedisCluster(port=cluster.servers[0].port, host="127.0.0.1", decode_responses=decode)
    for client, made in ((single, standalone), (many, cluster)):
        store = RedisStore(client, prefix=prefix_of(made.url))
        data = bytes(range(256))
        store.commit(SPACE, PutDoc("doc\xe9\0\1", data), Append("log", [data, b""]), commit_id=new_commit_id())
        look = store.read(SPACE, Doc("doc\xe9\0\1"), Log("log", last=5))
        assert look.docs["doc\xe9\0\1"].data == data and list(look.logs["log"].entries.values()) == [data, b""]
        store.close()
        with pytest.raises(StoreError, match="closed"):
            store.read(SPACE)
        assert client.ping()
        client.close()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("topology", ["standalone", "cluster", "sentinel"])
def test_a_child_forked_amid_the_work_of_threads_can_work_too(topology: str, request: pytest.FixtureRequest) -> None:
    working = threading.Event()
    working.set()

    def work(store: Store, number: int) -> int:
        done = 0
        while working.is_set():
            store.commit(SPACE, Add(f"{number}", 1), commit_id=new_commit_id())
            done += 1
        return done

    with open_store(request.getfixturevalue(topology).url) as store, ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(work, store, number) for number in range(4)]
        children = 40
        try:
            for _ in range(children):
                child = os.fork()
                if child == 0:
                    try:
                        store.commit(SPACE, Add("children", 1), commit_id=new_commit_id())
                        store.read(SPACE)
                    finally:
                        os._exit(0)
                try:
                    until(lambda child=child: os.waitpid(child, os.WNOHANG)[0])
                except AssertionError:
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)
                    raise
        finally:
            working.clear()
        expected = {f"{number}": worker.result() for number, worker in enumerate(workers)} | {"children": children}
        assert store.read(SPACE, Counters([*expected])).counters == expected


def test_threads_share_fewer_connections_than_there_are_of_them(standalone: Servers) -> None:
    url = standalone.url
    for pool_of in redis.ConnectionPool, redis.BlockingConnectionPool:
        pool = pool_of(port=standalone.servers[0].port, max_connections=2)
        store = RedisStore(redis.Redis(connection_pool=pool), prefix=prefix_of(url) + pool_of.__name__)

        def talk(number: int, store: RedisStore = store) -> None:
            for at in range(30):
                say(store, at, Space("session", "ann", f"{number}"))

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(talk, range(8)))
        for number in range(8):
            told(store, 30, Space("session", "ann", f"{number}"))
        store.close()
        pool.disconnect()
