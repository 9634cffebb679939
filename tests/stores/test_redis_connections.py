"""RedisStore and a connection that breaks: nothing acknowledged is lost, nothing is done twice."""

# ruff: noqa: E402 - what needs redis is imported once it is known to be there
from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import replace

import pytest

redis = pytest.importorskip("redis")

from tests.stores import servers
from tests.stores.conversation import SPACE, prefix_of, say, told
from tests.stores.proxy import CuttingProxy
from tests.stores.servers import Server, Servers

from strands_session_store.errors import InDoubt, Unavailable
from strands_session_store.stores import open_store
from strands_session_store.stores.base import Add, Append, Counters, Log, PutDoc, Query, new_commit_id
from strands_session_store.stores.redis import RedisStore


@pytest.mark.parametrize("ready_client", [False, True], ids=["url", "client"])
def test_every_answer_of_a_conversation_is_lost_once_and_nothing_is_doubled(
    standalone: Servers, ready_client: bool
) -> None:
    with CuttingProxy(standalone.servers[0].port) as proxy:
        url = standalone.url.replace(str(standalone.servers[0].port), str(proxy.port))
        client = redis.Redis(port=proxy.port, decode_responses=True)
        prefix = prefix_of(url)
        store = RedisStore(client, prefix=prefix) if ready_client else open_store(url)
        for at in range(100):
            proxy.cut.set()
            made = say(store, at)
            assert made.repeated and made.indices == {"log": at} and made.counters == {"n": at + 1}
        assert proxy.cuts == 100
        told(store, 100)
        store.close()
        client.close()


def test_an_answer_that_never_comes_is_in_doubt_and_the_commit_can_be_repeated(standalone: Servers) -> None:
    url = standalone.url
    server = standalone.servers[0]
    with (
        CuttingProxy(server.port) as proxy,
        open_store(url.replace(str(server.port), str(proxy.port)), timeout=0.4) as store,
        open_store(url) as other,
    ):
        made = say(store, 0)
        proxy.mark, proxy.always = made.incarnation.encode(), True  # done and repeated both name it
        proxy.cut.set()
        with pytest.raises(InDoubt, match="repeat"):
            store.commit(SPACE, Append("log", [b"1"], 1), PutDoc("doc", b"1"), Add("n", 1), commit_id="id")
        assert proxy.cuts > 1
        proxy.cut.clear()
        assert store.commit(SPACE, Append("log", [b"1"], 1), commit_id="id").repeated
        told(other, 2)


def test_a_server_that_is_not_there_is_unavailable_and_never_in_doubt() -> None:
    with open_store(f"redis://127.0.0.1:{servers.free_port()}/0", timeout=0.2) as store:
        for act in (lambda: say(store, 0), lambda: store.read(SPACE), lambda: store.list(Query("session"))):
            with pytest.raises(Unavailable, match="can not be reached") as info:
                act()
            assert not isinstance(info.value, InDoubt)
    with open_store(f"redis+cluster://127.0.0.1:{servers.free_port()}/", timeout=0.2) as store:
        with pytest.raises(Unavailable) as info:
            say(store, 0)
        assert not isinstance(info.value, InDoubt)


def test_a_server_that_hangs_is_given_up_within_the_timeout_also_by_a_client_without_one(
    alone: Callable[..., Server],
) -> None:
    server = alone()
    store = RedisStore(server.client(socket_timeout=None), timeout=0.5)
    say(store, 0)
    with contextlib.closing(server.client()) as admin:
        admin.execute_command("CLIENT", "PAUSE", 60_000, "ALL")
        with pytest.raises(InDoubt, match="in time"):
            say(store, 1)


@pytest.mark.parametrize("entry", [100, 2**20], ids=["many small", "few large"])
def test_a_commit_cut_off_half_way_is_sent_again_and_is_in_doubt_when_it_never_gets_through(
    standalone: Servers, entry: int
) -> None:
    url, server = standalone.url, standalone.servers[0]
    large = Append("log", [bytes(entry)] * min(4000, 8 * 2**20 // entry), 1)
    with (
        CuttingProxy(server.port, mark=None) as proxy,
        open_store(url.replace(str(server.port), str(proxy.port)), timeout=2.0) as store,
        open_store(url) as other,
    ):
        proxy.upward = 2**16
        say(store, 0)
        proxy.cut.set()
        made = store.commit(SPACE, large, Add("large", 1), commit_id="first")
        assert proxy.cuts == 1 and not made.repeated
        proxy.always = True
        proxy.cut.set()
        then = replace(large, at=None)
        # from here it can not be told how far the server got
        with pytest.raises(InDoubt, match="repeat"):
            store.commit(SPACE, then, Add("large", 1), commit_id="second")
        assert proxy.cuts > 2
        look = other.read(SPACE, Log("log"), Counters(["large"]))
        assert (look.revision, look.logs["log"].length, look.counters) == (2, 1 + len(large.entries), {"large": 1})
        proxy.cut.clear()
        assert not store.commit(SPACE, then, Add("large", 1), commit_id="second").repeated
        assert store.commit(SPACE, then, Add("large", 1), commit_id="second").repeated
        look = other.read(SPACE, Log("log"), Counters(["large"]))
        assert (look.revision, look.logs["log"].length, look.counters) == (3, 1 + 2 * len(large.entries), {"large": 2})


def test_an_answer_cut_off_half_way_is_read_again_and_never_in_doubt(standalone: Servers) -> None:
    url, server = standalone.url, standalone.servers[0]
    with (
        CuttingProxy(server.port, mark=None) as proxy,
        open_store(url.replace(str(server.port), str(proxy.port)), timeout=1.0) as store,
    ):
        for at in range(8):
            store.commit(SPACE, Append("log", [os.urandom(2**20)], at), commit_id=new_commit_id())
        whole = store.read(SPACE, Log("log", [(0, None)]))
        for downward in (0, 2**16, 2**20, 5 * 2**20):  # also in a later call of the same read
            proxy.downward = downward
            proxy.cut.set()
            assert store.read(SPACE, Log("log", [(0, None)])) == whole
        assert proxy.cuts == 4
        proxy.always = True
        proxy.cut.set()
        proxy.downward = 0
        with pytest.raises(Unavailable) as info:
            store.read(SPACE, Log("log", [(0, None)]))
        assert not isinstance(info.value, InDoubt)
