"""Agents on a Redis server that cuts connections, or evicts their session."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("redis")

from tests.stores import servers
from tests.stores.proxy import CuttingProxy
from tests.stores.servers import Server

from strands_session_store import ConflictError, open_store
from strands_session_store.plugin import Durability
from strands_session_store.sessions import Sessions

from .children import build
from .regressing import KEY, SPACE, fine, is_whole


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with servers.ended(Server(tmp_path, "--maxmemory-policy", "allkeys-lru").start()) as made:
        yield made


@pytest.mark.parametrize(("durability", "turns"), [("message", 34), ("background", 34), ("turn", 100)])
def test_every_answer_of_a_conversation_is_lost_once_and_nothing_is_doubled(
    server: Server, durability: Durability, turns: int
) -> None:
    with CuttingProxy(server.port) as proxy:
        # each commit is cut when it has been done; its repetition has another answer, and gets through
        proxy.always = True
        proxy.cut.set()
        agent, manager = build(f"redis://127.0.0.1:{proxy.port}/0", "s", fine, durability=durability)
        for turn in range(turns):
            agent.state.set("turn", turn)
            agent(f"turn {turn}")
        manager.close()
        with open_store(server.url) as store:
            assert proxy.cuts == store.read(SPACE).revision >= (100 if durability != "background" else turns)
            assert len(agent.messages) == 2 * turns
            is_whole(store, agent)


@pytest.mark.parametrize("durability", ["message", "background", "turn"])
def test_a_live_agent_notices_that_its_session_was_evicted(server: Server, durability: Durability) -> None:
    with open_store(server.url) as store, contextlib.closing(server.client()) as admin:
        agent, manager = build(store, "s", durability=durability)
        for turn in range(10):
            agent(f"turn {turn}")
        admin.config_set("maxmemory", admin.info("memory")["used_memory"] + 300_000)
        foreign = 0
        while admin.exists(KEY):
            foreign += 1
            assert foreign < 5000
            admin.set(f"foreign{foreign}", b"x" * 5000)
        with pytest.raises(ConflictError, match=r"deleted or has expired.* resume anew") as caught:
            agent("are you there?")
        assert (caught.value.path, caught.value.found) == ("", None)
        manager.close()
        assert not admin.exists(KEY) and Sessions(store).list().sessions == ()
        admin.config_set("maxmemory", 0)  # or it is evicted again
        anew, manager = build(store, "s", durability=durability)
        assert anew.messages == []
        anew("hello again")
        manager.close()
        is_whole(store, anew)
