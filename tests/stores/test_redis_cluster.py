"""RedisStore in a Cluster whose slots move and whose nodes die: nothing is lost, nothing is done twice."""

# ruff: noqa: E402 - what needs redis is imported once it is known to be there
from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

redis = pytest.importorskip("redis")

from redis.crc import key_slot
from tests.stores import servers
from tests.stores.conversation import SPACE, key_of, prefix_of, say, told
from tests.stores.servers import Server, Servers, until

from strands_session_store.errors import InDoubt, Unavailable
from strands_session_store.stores import open_store
from strands_session_store.stores.base import ABSENT, Query, Space, Store, Summary


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
        prefix = prefix_of(url) + ":"
        slot = key_slot(key_of(url).encode())
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
    prefix = prefix_of(url)
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


def in_slot(slot: int) -> Iterator[Space]:
    """Spaces whose keys are all in this slot."""
    for at in itertools.count():
        if key_slot(b"session:ann:%d" % at) == slot:
            yield Space("session", "ann", f"{at}")


def test_a_session_can_be_made_at_every_step_of_the_move_of_its_own_slot(cluster: Servers) -> None:
    url, slot = cluster.url, 4711
    spaces = in_slot(slot)
    with open_store(url) as store:
        made: list[Space] = []

        def create(step: int) -> None:
            made.append(next(spaces))
            say(store, 0, made[-1], on=ABSENT)
            for space in made:
                told(store, 1, space)

        for _ in range(2):
            move_slot(cluster, slot, f"{prefix_of(url)}:", create)
        assert len(made) > 12
        assert {row.space for row in store.list(Query("session", "ann", limit=1000)).rows} == set(made)


def test_threads_go_on_while_their_slot_moves_to_and_fro(cluster: Servers) -> None:
    url, slot = cluster.url, 1147
    spaces = list(itertools.islice(in_slot(slot), 4))
    moving = threading.Event()
    moving.set()

    def talk(store: Store, space: Space) -> int:
        said = 0
        while moving.is_set():
            say(store, said, space)
            said += 1
        return said

    with open_store(url) as store, ThreadPoolExecutor(len(spaces)) as pool:
        talks = [pool.submit(talk, store, space) for space in spaces]
        try:
            for _ in range(6):
                move_slot(cluster, slot, f"{prefix_of(url)}:", lambda step: None)
        finally:
            moving.clear()
        for space, said in zip(spaces, talks):
            assert said.result() > 20
            told(store, said.result(), space)


HASTY = "--cluster-node-timeout", "500"


def test_a_cluster_that_is_down_refuses_and_what_it_had_is_there_when_its_node_is_back(tmp_path: Path) -> None:
    with (
        servers.ended(servers.cluster(tmp_path, *HASTY, "--appendonly", "yes", "--appendfsync", "always")) as made,
        contextlib.closing(made.servers[0].client(decode_responses=True)) as admin,
        open_store(made.url) as store,
        open_store(made.url, timeout=0.5) as hasty,
    ):
        here, there = next(in_slot(0)), next(in_slot(16383))  # of the first node, of the last
        for at in range(10):
            say(store, at, here)
            say(store, at, there)
        made.servers[2].stop()
        until(lambda: not servers.whole(admin))
        for space in (here, there):
            for act in (lambda space=space: say(hasty, 10, space), lambda space=space: hasty.read(space)):
                with pytest.raises(Unavailable, match=r"cluster is down|reached") as info:
                    act()
                assert not isinstance(info.value, InDoubt)
        made.servers[2].start(ready=False)  # the store waits until the Cluster is whole
        for at in range(10, 20):
            say(store, at, here)
            say(store, at, there)
        told(store, 20, here)
        told(store, 20, there)


def test_a_replica_that_takes_over_has_all_that_was_waited_for(tmp_path: Path) -> None:
    with servers.ended(servers.cluster(tmp_path / "three", *HASTY, *servers.AT_ONCE)) as made:
        first = made.servers[0]
        replica = Server(tmp_path / "replica", "--cluster-enabled", "yes", *HASTY).start()
        made.servers.append(replica)
        with (
            contextlib.closing(first.client(decode_responses=True)) as admin,
            contextlib.closing(replica.client(decode_responses=True)) as other,
        ):
            other.execute_command("CLUSTER", "MEET", "127.0.0.1", first.port)
            until(lambda: other.execute_command("CLUSTER", "REPLICATE", admin.execute_command("CLUSTER", "MYID")))
            until(lambda: other.info("replication")["master_link_status"] == "up")
        for server in made.servers:  # all of which have a vote
            with contextlib.closing(server.client(decode_responses=True)) as client:
                until(lambda client=client: servers.whole(client, known=4))
        space = next(in_slot(0))
        with open_store(made._url + "?wait_replicas=1&wait_timeout=5", timeout=30.0) as careful:
            for at in range(20):
                say(careful, at, space)
        with open_store(made._url, timeout=30.0) as store:
            told(store, 20, space)
            first.stop()
            for at in range(20, 40):
                say(store, at, space)
            told(store, 40, space)
