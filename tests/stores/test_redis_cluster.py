"""RedisStore in a Cluster whose slots move and whose nodes die: nothing is lost, nothing is done twice."""

# ruff: noqa: E402 - what needs redis is imported once it is known to be there
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

redis = pytest.importorskip("redis")

from redis.crc import key_slot
from tests.stores.conversation import SPACE, key_of, prefix_of, say, told
from tests.stores.servers import Servers, until

from strands_session_store.stores import open_store
from strands_session_store.stores.base import (
    ABSENT,
    Query,
    Space,
    Summary,
)


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
