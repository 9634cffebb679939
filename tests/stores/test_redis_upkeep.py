"""What RedisStore takes away with time, and never too early: commit ids, and entries that were erased."""

# ruff: noqa: E402 - what needs redis is imported once it is known to be there
from __future__ import annotations

import contextlib

import pytest

redis = pytest.importorskip("redis")

from tests.stores.clock import Clocked
from tests.stores.conversation import SPACE, key_of
from tests.stores.servers import Servers

from strands_session_store.stores import open_store
from strands_session_store.stores.base import Add, Append, Trim, new_commit_id


def test_a_large_trim_is_deleted_to_the_end(standalone: Servers) -> None:
    url = standalone.url
    key = key_of(url)
    with open_store(url) as store, contextlib.closing(standalone.servers[0].client()) as admin:
        for _ in range(2):
            store.commit(SPACE, Append("log", [b"12345"] * 2500), commit_id=new_commit_id())
        before = admin.hlen(key)
        store.commit(SPACE, Trim("log", 4990), commit_id=new_commit_id())
        assert admin.hlen(key) == before - 4990
        dropped = store.drop(SPACE)
        assert (dropped.entries, dropped.bytes) == (10, 50)


def test_every_commit_of_two_minutes_is_known_by_its_id(standalone: Servers) -> None:
    with open_store(standalone.url) as store:
        made = [store.commit(SPACE, Add("n", 1), Append("log", [b"x"]), commit_id=f"{at}") for at in range(400)]
        for at, first in enumerate(made):
            again = store.commit(SPACE, commit_id=f"{at}")
            assert again.repeated and (again.revision, again.indices, again.counters) == (
                first.revision,
                first.indices,
                first.counters,
            )


def test_older_ids_are_forgotten_but_for_the_last_64(clocked_standalone: Clocked) -> None:
    with (
        clocked_standalone.stopped() as clock,
        open_store(url := clock.url) as store,
        contextlib.closing(clocked_standalone.servers.servers[0].client()) as admin,
    ):
        for at in range(700):
            clock.now += 1
            store.commit(SPACE, Add("n", 1), commit_id=f"{at}")
        assert admin.hlen(key_of(url)) < 15
        assert not store.commit(SPACE, commit_id="0").repeated
        clock.now += 10**6
        for at in range(700, 828):
            store.commit(SPACE, Add("n", 1), commit_id=f"{at}")
        assert admin.hlen(key_of(url)) < 10
        assert store.commit(SPACE, commit_id="764").repeated
