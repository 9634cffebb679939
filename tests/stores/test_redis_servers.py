"""RedisStore and servers that die, forget, load or hand over: nothing acknowledged is lost unnoticed."""

# ruff: noqa: E402 - what needs redis is imported once it is known to be there
from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

redis = pytest.importorskip("redis")

from redis.backoff import NoBackoff
from redis.retry import Retry
from tests.stores import servers
from tests.stores.conversation import SPACE, key_of, say, told
from tests.stores.proxy import CuttingProxy
from tests.stores.servers import Server, Servers, until

from strands_session_store.errors import InDoubt, Regressed, Unavailable
from strands_session_store.stores import open_store
from strands_session_store.stores.base import Add, Counters, Log, Query, new_commit_id


def test_a_server_that_was_killed_and_restarted_with_aof_has_all_that_was_acknowledged(
    alone: Callable[..., Server],
) -> None:
    server = alone("--appendonly", "yes", "--appendfsync", "always")
    with open_store(server.url) as store:
        for at in range(60):
            if at % 20 == 10:
                server.stop()
                server.start(ready=False)  # the store waits for it
            say(store, at)
        told(store, 60)


def test_a_forgotten_script_is_sent_again(standalone: Servers) -> None:
    with open_store(standalone.url) as store, contextlib.closing(standalone.servers[0].client()) as admin:
        for at in range(5):
            admin.script_flush()
            say(store, at)
            admin.script_flush()
            told(store, at + 1)
        admin.script_flush()
        assert [row.space for row in store.list(Query("session", "ann")).rows] == [SPACE]
        admin.script_flush()
        assert store.drop(SPACE).existed


def test_a_server_that_is_loading_is_waited_for(alone: Callable[..., Server]) -> None:
    server = alone()
    with open_store(server.url) as store, contextlib.closing(server.client()) as admin:
        say(store, 0)
        for part in range(4):  # while it loads it looks up every 2 MB
            admin.mset({f"foreign{part}-{at}": os.urandom(8000) for at in range(1000)})
        admin.save()
        server.stop()
        # a second to load
        server.start("--key-load-delay", "300", ready=False)
        until(lambda: _loading(server))
        told(store, 1)
        say(store, 1)
        told(store, 2)


def _loading(server: Server) -> bool:
    with contextlib.closing(server.client(retry=Retry(NoBackoff(), 0))) as client:
        try:
            client.ping()
        except redis.exceptions.BusyLoadingError:
            return True
    raise AssertionError("it had loaded before the test could look")


def test_a_failover_in_mid_conversation_is_survived_and_what_it_lost_is_noticed(tmp_path: Path) -> None:
    with servers.ended(servers.sentinel(tmp_path)) as made:
        primary, replica, watch = made.servers
        # each of them waits for its replica, so nothing acknowledged is lost
        with open_store(f"{made._url}?wait_replicas=1&wait_timeout=5", timeout=30.0) as store:
            for at in range(20):
                say(store, at)
            primary.stop()
            servers.give_up_soon(watch)
            with contextlib.suppress(InDoubt):  # there is no replica left to wait for
                say(store, 20)
        with open_store(made._url, timeout=30.0) as store, contextlib.closing(replica.client()) as admin:
            told(store, 21)
            for at in range(21, 30):
                say(store, at)
            # a replica that stopped listening becomes the primary: as a failover that lost the last commits
            kept = admin.dump(key_of(made._url))
            for at in range(30, 33):
                say(store, at)
            admin.restore(key_of(made._url), 0, kept, replace=True)
            with pytest.raises(Regressed, match="failover"):
                say(store, 33)
            look = store.read(SPACE, Log("log"))
            assert look.logs["log"].length == 30
            for at in range(30, 35):
                say(store, at)
            told(store, 35)


def test_a_planned_failover_in_mid_conversation_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with servers.ended(servers.sentinel(tmp_path)) as made:
        primary, replica, watch = made.servers
        with (
            open_store(f"{made._url}?wait_replicas=1&wait_timeout=0.2", timeout=30.0) as store,
            contextlib.closing(watch.client()) as guard,
            contextlib.closing(primary.client()) as old,
            contextlib.closing(replica.client()) as new,
        ):
            said = 0

            def insist() -> None:
                """One message, repeated until a replica has it: what only the old primary has is lost."""
                nonlocal said
                commit_id = new_commit_id()
                while True:
                    try:
                        say(store, said, commit_id=commit_id)
                    except InDoubt:
                        if new.info("replication")["role"] == "master":
                            # so will the Sentinel, ten seconds later; the connection stays open
                            old.replicaof("127.0.0.1", f"{replica.port}")
                    else:
                        said += 1
                        return

            for _ in range(20):
                insist()
            until(lambda: guard.execute_command("SENTINEL", "FAILOVER", "main"))  # once it knows the replica
            while old.info("replication")["role"] == "master":
                insist()
            for _ in range(20):
                insist()
            told(store, said)


def test_an_address_that_leads_to_another_primary_is_asked_for_it_when_the_old_one_refuses(
    alone: Callable[..., Server],
) -> None:
    primary = alone(*servers.AT_ONCE)
    replica = alone("--replicaof", "127.0.0.1", f"{primary.port}")
    with (
        CuttingProxy(primary.port) as address,
        open_store(f"redis://127.0.0.1:{address.port}/0") as store,
        contextlib.closing(primary.client()) as old,
        contextlib.closing(replica.client()) as new,
    ):
        until(lambda: new.info("replication")["master_link_status"] == "up")
        for at in range(10):
            say(store, at)
        until(lambda: new.hget(key_of(primary.url), "h") == old.hget(key_of(primary.url), "h"))
        new.replicaof("no", "one")
        old.replicaof("127.0.0.1", f"{replica.port}")
        address.target = replica.port  # the connection that is open still leads to the old one
        for at in range(10, 20):
            say(store, at)
        told(store, 20)


def test_a_replica_that_lost_its_primary_refuses_and_nothing_is_in_doubt(alone: Callable[..., Server]) -> None:
    primary = alone(*servers.AT_ONCE)
    replica = alone("--replicaof", "127.0.0.1", f"{primary.port}", "--replica-serve-stale-data", "no")
    with contextlib.closing(replica.client()) as admin:
        until(lambda: admin.info("replication")["master_link_status"] == "up")
        with open_store(primary.url) as store:
            say(store, 0)
            told(store, 1)
        until(lambda: admin.exists("strands:{session:ann:one}"))
        primary.stop()
        until(lambda: admin.info("replication")["master_link_status"] == "down")
        with open_store(replica.url, timeout=0.3) as store:
            for act in (lambda: say(store, 1), lambda: store.read(SPACE), lambda: store.drop(SPACE)):
                with pytest.raises(Unavailable, match=r"replica|MASTER") as info:
                    act()
                assert not isinstance(info.value, InDoubt)

        def refused() -> int:
            return admin.info("errorstats").get("errorstat_MASTERDOWN", {"count": 0})["count"]

        with open_store(replica.url) as store, ThreadPoolExecutor(1) as pool:
            before = refused()
            waiting = pool.submit(say, store, 1)
            until(lambda: refused() > before)
            admin.replicaof("no", "one")
            waiting.result()
            told(store, 2)


def test_a_read_notices_a_failover_too_and_says_so_once(standalone: Servers) -> None:
    url = standalone.url
    key = key_of(url)
    with (
        open_store(url) as store,
        open_store(url) as other,
        contextlib.closing(standalone.servers[0].client()) as admin,
    ):
        say(store, 0)
        kept = admin.dump(key)
        say(store, 1)
        admin.restore(key, 0, kept, replace=True)
        with pytest.raises(Regressed):
            store.read(SPACE)
        told(store, 1)
        told(other, 1)
        admin.delete(key)
        assert store.read(SPACE).incarnation is None


def test_too_few_replicas_are_a_doubt_and_repeating_waits_again(standalone: Servers) -> None:
    with open_store(standalone.url + "&wait_replicas=1&wait_timeout=0.05") as store:
        for _ in range(2):
            with pytest.raises(InDoubt, match="0 of 1 replicas"):
                store.commit(SPACE, Add("n", 1), commit_id="id")
        assert store.read(SPACE, Counters(["n"])).counters == {"n": 1}
