"""What RedisStore takes away with time: rows of absent spaces, commit ids, erased entries. Never too early."""

# ruff: noqa: E402 - what needs redis is imported once it is known to be there
from __future__ import annotations

import contextlib

import pytest

redis = pytest.importorskip("redis")

from tests.stores.conversation import SPACE, key_of, prefix_of, say
from tests.stores.servers import Servers

from strands_session_store.errors import ConflictError
from strands_session_store.stores import open_store
from strands_session_store.stores.base import (
    ABSENT,
    Add,
    Append,
    Query,
    Summary,
    Trim,
    new_commit_id,
)
from strands_session_store.stores.redis.scripts import COMMIT, Script


def test_a_row_of_a_creation_that_failed_is_not_listed_and_the_space_can_still_be_made(standalone: Servers) -> None:
    with open_store(standalone.url) as store:
        with pytest.raises(ConflictError):
            say(store, 7)
        assert store.list(Query("session", "ann")).rows == []
        said = say(store, 0, summary=Summary(b"s", "p"))
        for query in (Query("session", "ann"), Query("session", everyone=True), Query("session", "ann", parent="p")):
            (row,) = store.list(query).rows
            assert (row.space, row.summary, row.parent) == (SPACE, b"s", "p")
        assert store.drop(SPACE, on=said.incarnation).existed


def test_the_row_of_a_failed_creation_gets_the_time_of_the_one_that_succeeds(standalone: Servers) -> None:
    with open_store(standalone.url) as store, contextlib.closing(standalone.servers[0].client()) as admin:
        with pytest.raises(ConflictError):
            say(store, 7)
        seconds, micros = admin.time()
        say(store, 0)
        (row,) = store.list(Query("session", "ann")).rows
        assert row.created >= seconds + micros / 1e6 and row.updated >= row.created


def test_rows_of_absent_spaces_go_when_they_are_an_hour_old_and_not_before(standalone: Servers) -> None:
    url = standalone.url
    prefix = prefix_of(url)
    with open_store(url) as store, contextlib.closing(standalone.servers[0].client()) as admin:
        say(store, 0)
        admin.delete(f"{prefix}:{{session:ann:one}}")
        groups = {f"{prefix}:{{session:ann}}:index": "one", f"{prefix}:{{session}}:index": "ann one"}
        store.list(Query("session", "ann"))
        assert [admin.zcard(key) for key in groups] == [3, 3]
        for key, name in groups.items():
            admin.zincrby(key, -3601, "c" + name)
            admin.zincrby(key, 3601, "x" + name)
        store.list(Query("session", "ann"))
        store.list(Query("session", everyone=True))
        assert admin.keys(f"{prefix}*") == []


def test_a_drop_leaves_no_key_and_a_claim_that_came_later_keeps_its_row(standalone: Servers) -> None:
    url = standalone.url
    prefix = prefix_of(url)
    with (
        open_store(url) as store,
        open_store(url) as other,
        contextlib.closing(standalone.servers[0].client()) as admin,
    ):
        say(store, 0, summary=Summary(b"", "p"))
        say(other, 1)
        store.drop(SPACE)
        assert admin.keys(f"{prefix}*") == []
        say(store, 0)
        with pytest.raises(ConflictError):  # it claimed the row and made nothing; for all we know it is still at it
            say(other, 5, on=ABSENT)
        store.drop(SPACE)
        assert admin.zcard(f"{prefix}:{{session:ann}}:index") == 3
        assert store.list(Query("session", "ann")).rows == []


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


def test_older_ids_are_forgotten_but_for_the_last_64(standalone: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    # as if two minutes were nothing
    hasty = Script("commit", COMMIT.parts)
    text = COMMIT.text.replace(b"KEEP_SECONDS, KEEP_COMMITS = 121, 64", b"KEEP_SECONDS, KEEP_COMMITS = 0, 64")
    assert text != COMMIT.text
    hasty.__dict__["text"] = text
    monkeypatch.setattr("strands_session_store.stores.redis.store.COMMIT", hasty)
    url = standalone.url
    key = key_of(url)
    with open_store(url) as store, contextlib.closing(standalone.servers[0].client()) as admin:
        for at in range(700):
            store.commit(SPACE, Add("n", 1), commit_id=f"{at}")
            if at >= 64 and at % 7 == 0:
                assert store.commit(SPACE, commit_id=f"{at - 64}").repeated
        assert admin.hlen(key) < 15 and not admin.hexists(key, "i0")
        assert not store.commit(SPACE, commit_id="0").repeated
