"""RedisStore when something breaks: nothing acknowledged is lost, nothing is done twice, errors say what to do."""

# ruff: noqa: E402 - what needs redis is imported once it is known to be there
from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

redis = pytest.importorskip("redis")

from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.retry import Retry
from tests.stores import servers
from tests.stores.proxy import CuttingProxy
from tests.stores.servers import Server, Servers, until

from strands_session_store.errors import ConflictError, Corrupt, InDoubt, Regressed, StoreError, Unavailable
from strands_session_store.stores import open_store
from strands_session_store.stores.base import (
    ABSENT,
    Add,
    Append,
    Counters,
    Doc,
    Log,
    PutDoc,
    Query,
    Space,
    Store,
    Summary,
    Trim,
    new_commit_id,
)
from strands_session_store.stores.redis import RedisStore
from strands_session_store.stores.redis.scripts import COMMIT, Script

SPACE = Space("session", "ann", "one")
KEY = b"strands:{session:ann:one}"


def say(store: Store, at: int, space: Space = SPACE, **options: Any) -> Any:
    """One message of a conversation, which believes that there are ``at`` before it."""
    return store.commit(
        space,
        Append("log", [b"%d" % at], at),
        PutDoc("doc", b"%d" % at),
        Add("n", 1),
        commit_id=new_commit_id(),
        **options,
    )


def told(store: Store, count: int, space: Space = SPACE) -> None:
    """The conversation is there whole, once."""
    look = store.read(space, Log("log", [(0, None)]), Doc("doc"), Counters(["n"]))
    assert list(look.logs["log"].entries.values()) == [b"%d" % at for at in range(count)]
    assert look.docs["doc"].data == b"%d" % (count - 1) and look.counters == {"n": count} and look.revision == count


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Makes servers that the test has to itself."""
    with contextlib.ExitStack() as stack:
        yield lambda *options: stack.enter_context(
            servers.ended(Server(tmp_path / os.urandom(4).hex(), *options).start())
        )


# --------------------------------------------------------------------------------------------------- cut connections


@pytest.mark.parametrize("ready_client", [False, True], ids=["url", "client"])
def test_every_answer_of_a_conversation_is_lost_once_and_nothing_is_doubled(
    standalone: Servers, ready_client: bool
) -> None:
    with CuttingProxy(standalone.servers[0].port) as proxy:
        url = standalone.url.replace(str(standalone.servers[0].port), str(proxy.port))
        client = redis.Redis(port=proxy.port, decode_responses=True)
        prefix = url.partition("prefix=")[2]
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


# ------------------------------------------------------------------------------------------------- servers that change


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


def move_slot(made: Servers, slot: int, prefix: str, between: Callable[[int], None]) -> None:
    """Move a slot with all its keys to another node; ``between`` is called at each step, and when a key with the prefix
    has been moved (keys of other tests are in the slot too)."""
    nodes = {server.port: server.client() for server in made.servers}
    ids = {port: node.execute_command("CLUSTER", "MYID").decode() for port, node in nodes.items()}
    owner = _owner(nodes, slot)
    target = next(port for port in nodes if port != owner)
    between(0)
    nodes[target].execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[owner])
    between(1)
    nodes[owner].execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
    between(2)
    while keys := nodes[owner].execute_command("CLUSTER", "GETKEYSINSLOT", slot, 10):
        for key in keys:
            nodes[owner].execute_command("MIGRATE", "127.0.0.1", target, key, 0, 5000)
            if key.startswith(prefix.encode()):
                between(3)
    between(4)
    nodes[target].execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[target])
    nodes[owner].execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[target])
    for node in nodes.values():
        until(lambda node=node: _owner({0: node}, slot) == target)
        node.close()
    between(5)


def _owner(nodes: dict[int, Any], slot: int) -> int:
    """Port of the node that has the slot, as the nodes tell."""
    for node in nodes.values():
        for address, about in node.cluster("NODES").items():
            for low, high in ((*part, part[0])[:2] for part in about["slots"]):
                if low.isdigit() and high.isdigit() and int(low) <= slot <= int(high):
                    return int(address.rpartition(":")[2])
    raise AssertionError(f"nobody has slot {slot}")


def test_a_slot_that_moves_in_mid_conversation_loses_and_doubles_nothing(cluster: Servers) -> None:
    url = cluster.url
    with open_store(url) as store:
        prefix = url.partition("prefix=")[2] + ":"
        slot = key_slot(f"{prefix}{{session:ann:one}}".encode())
        said = 0

        def go_on(step: int) -> None:
            nonlocal said
            for _ in range(5):
                say(store, said)
                said += 1
                told(store, said)

        go_on(0)
        for _ in range(2):
            move_slot(cluster, slot, prefix, go_on)
        told(store, said)
        assert store.drop(SPACE).entries == said


@pytest.mark.parametrize("what", ["space", "index"])
def test_a_slot_that_moves_while_sessions_are_made_loses_none(cluster: Servers, what: str) -> None:
    url = cluster.url
    prefix = url.partition("prefix=")[2]
    with open_store(url) as store:
        made: list[Space] = []

        def create(step: int) -> None:
            for _ in range(4):
                space = Space("session", "ann", f"{len(made)}")
                say(store, 0, space, on=ABSENT, summary=Summary(b"s"))
                made.append(space)

        for at in range(1, 4):
            tag = f"{prefix}:{{session:ann:{4 * at + 1}}}" if what == "space" else f"{prefix}:{{session:ann}}:index"
            move_slot(cluster, key_slot(tag.encode()), f"{prefix}:", create)
        for space in made:
            told(store, 1, space)
        assert {row.space for row in store.list(Query("session", "ann", limit=1000)).rows} == set(made)


def test_a_failover_in_mid_conversation_is_survived_and_what_it_lost_is_noticed(tmp_path: Path) -> None:
    with servers.ended(servers.sentinel(tmp_path)) as made:
        primary, replica, _ = made.servers
        # each of them waits for its replica, so nothing acknowledged is lost
        with open_store(f"{made._url}?wait_replicas=1&wait_timeout=5", timeout=30.0) as store:
            for at in range(20):
                say(store, at)
            primary.stop()
            with contextlib.suppress(InDoubt):  # there is no replica left to wait for
                say(store, 20)
        with open_store(made._url, timeout=30.0) as store, contextlib.closing(replica.client()) as admin:
            told(store, 21)
            for at in range(21, 30):
                say(store, at)
            # a replica that stopped listening becomes the primary: as a failover that lost the last commits
            kept = admin.dump(KEY)
            for at in range(30, 33):
                say(store, at)
            admin.restore(KEY, 0, kept, replace=True)
            with pytest.raises(Regressed, match="failover"):
                say(store, 33)
            look = store.read(SPACE, Log("log"))
            assert look.logs["log"].length == 30
            for at in range(30, 35):
                say(store, at)
            told(store, 35)


def test_a_read_notices_a_failover_too_and_says_so_once(standalone: Servers) -> None:
    url = standalone.url
    key = f"{url.partition('prefix=')[2]}:{{session:ann:one}}"
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


# ------------------------------------------------------------------------------------------------------- refusals


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
    key = f"{url.partition('prefix=')[2]}:{{session:ann:one}}"
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
    key = f"{url.partition('prefix=')[2]}:{{session:ann:one}}"
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
        while admin.exists(KEY):
            at += 1
            assert at < 5000
            admin.set(f"foreign{at}", b"x" * 5000)
        with pytest.raises(ConflictError) as info:
            say(store, 50, on=made.incarnation)
        assert (info.value.path, info.value.found) == ("", None)
        assert store.read(SPACE).incarnation is None
        assert store.list(Query("session", "ann")).rows == []


# --------------------------------------------------------------------------------------------- processes and threads


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
        store = RedisStore(client, prefix=made.url.partition("prefix=")[2])
        data = bytes(range(256))
        store.commit(SPACE, PutDoc("doc\xe9\0\1", data), Append("log", [data, b""]), commit_id=new_commit_id())
        look = store.read(SPACE, Doc("doc\xe9\0\1"), Log("log", last=5))
        assert look.docs["doc\xe9\0\1"].data == data and list(look.logs["log"].entries.values()) == [data, b""]
        store.close()
        with pytest.raises(StoreError, match="closed"):
            store.read(SPACE)
        assert client.ping()
        client.close()


# ------------------------------------------------------------------------------------------------------------- index


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
    prefix = url.partition("prefix=")[2]
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
    prefix = url.partition("prefix=")[2]
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
    key = f"{url.partition('prefix=')[2]}:{{session:ann:one}}"
    with open_store(url) as store, contextlib.closing(standalone.servers[0].client()) as admin:
        for _ in range(2):
            store.commit(SPACE, Append("log", [b"12345"] * 2500), commit_id=new_commit_id())
        before = admin.hlen(key)
        store.commit(SPACE, Trim("log", 4990), commit_id=new_commit_id())
        assert admin.hlen(key) == before - 4990
        dropped = store.drop(SPACE)
        assert (dropped.entries, dropped.bytes) == (10, 50)


# --------------------------------------------------------------------------------------------------------- commit ids


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
    key = f"{url.partition('prefix=')[2]}:{{session:ann:one}}"
    with open_store(url) as store, contextlib.closing(standalone.servers[0].client()) as admin:
        for at in range(700):
            store.commit(SPACE, Add("n", 1), commit_id=f"{at}")
            if at >= 64 and at % 7 == 0:
                assert store.commit(SPACE, commit_id=f"{at - 64}").repeated
        assert admin.hlen(key) < 15 and not admin.hexists(key, "i0")
        assert not store.commit(SPACE, commit_id="0").repeated
