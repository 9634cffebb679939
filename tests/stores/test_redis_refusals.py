"""What a server refuses, or does not have as it should be: errors say what to do, and nothing is half done."""

# ruff: noqa: E402 - what needs redis is imported once it is known to be there
from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

redis = pytest.importorskip("redis")

from tests.stores.conversation import SPACE, key_of, say, told
from tests.stores.servers import Server, Servers

from strands_session_store.errors import ConflictError, Corrupt, InDoubt, StoreError, Unavailable
from strands_session_store.stores import open_store
from strands_session_store.stores.base import (
    ABSENT,
    Log,
    Query,
)


def test_a_replica_refuses_and_nothing_is_in_doubt(sentinel: Servers) -> None:
    with open_store(sentinel.servers[1].url, timeout=0.3) as store:
        with pytest.raises(Unavailable, match="replica") as info:
            say(store, 0)
        assert not isinstance(info.value, InDoubt)


def test_a_full_server_refuses_writes_names_the_remedy_and_still_reads(alone: Callable[..., Server]) -> None:
    server = alone("--maxmemory-policy", "noeviction")
    with open_store(server.url) as store, contextlib.closing(server.client()) as admin:
        for at in range(3):
            say(store, at)
        admin.config_set("maxmemory", "1")
        for act in (lambda: say(store, 3), lambda: say(store, 0, SPACE._replace(id="two"), on=ABSENT)):
            with pytest.raises(Unavailable, match="out of memory") as info:
                act()
            assert not isinstance(info.value, InDoubt)
        told(store, 3)
        admin.config_set("maxmemory", "0")
        assert store.read(SPACE._replace(id="two")).incarnation is None
        say(store, 3)
        told(store, 4)


def test_refused_credentials_are_no_outage_and_never_shown(alone: Callable[..., Server]) -> None:
    server = alone()
    with contextlib.closing(server.client()) as admin:
        admin.execute_command("ACL", "SETUSER", "ann", "on", ">s3cr3t", "~strands*", "+@all")
        admin.execute_command("ACL", "SETUSER", "bob", "on", ">t0k3n", "~other*", "+@all")
        admin.execute_command("ACL", "SETUSER", "default", "off")
        where = f"127.0.0.1:{server.port}/0"
        with open_store(f"redis://ann:s3cr3t@{where}") as store:
            say(store, 0)
            told(store, 1)
        for user in ("ann:wr0ng", "bob:t0k3n"):
            with open_store(f"redis://{user}@{where}", timeout=5.0) as store:
                for act in (lambda: say(store, 0), lambda: store.read(SPACE)):
                    with pytest.raises(StoreError, match=r"credentials|does not allow") as info:
                        act()
                    assert not isinstance(info.value, Unavailable)
                    assert "t0k3n" not in str(info.value) and "wr0ng" not in str(info.value)
        with open_store(f"redis://{where}") as store, pytest.raises(StoreError, match="credentials"):
            say(store, 0)


def test_a_foreign_value_under_a_key_of_ours_is_corrupt_and_left_alone(standalone: Servers) -> None:
    url = standalone.url
    key = key_of(url)
    with open_store(url) as store, contextlib.closing(standalone.servers[0].client()) as admin:
        for make in (lambda: admin.set(key, "x"), lambda: admin.hset(key, "x", "y")):
            make()
            kept = admin.dump(key)
            for act in (lambda: say(store, 0), lambda: store.read(SPACE), lambda: store.drop(SPACE)):
                with pytest.raises(Corrupt):
                    act()
            assert admin.dump(key) == kept
            admin.delete(key)


def test_a_missing_entry_is_corrupt_and_named(standalone: Servers) -> None:
    url = standalone.url
    key = key_of(url)
    with open_store(url) as store, contextlib.closing(standalone.servers[0].client()) as admin:
        for at in range(3):
            say(store, at)
        admin.hdel(key, "1:1")
        with pytest.raises(Corrupt, match=r"log\[1\]"):
            store.read(SPACE, Log("log", last=3))
        assert list(store.read(SPACE, Log("log", last=1)).logs["log"].entries) == [2]


def test_an_evicted_space_is_gone_whole_and_a_live_writer_notices(alone: Callable[..., Server]) -> None:
    server = alone("--maxmemory-policy", "allkeys-lru")
    with open_store(server.url) as store, contextlib.closing(server.client()) as admin:
        made = say(store, 0)
        for at in range(1, 50):
            say(store, at, on=made.incarnation)
        admin.config_set("maxmemory", admin.info("memory")["used_memory"] + 300_000)
        at = 0
        while admin.exists(key_of(server.url)):
            at += 1
            assert at < 5000
            admin.set(f"foreign{at}", b"x" * 5000)
        with pytest.raises(ConflictError) as info:
            say(store, 50, on=made.incarnation)
        assert (info.value.path, info.value.found) == ("", None)
        assert store.read(SPACE).incarnation is None
        assert store.list(Query("session", "ann")).rows == []
