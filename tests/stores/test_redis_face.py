"""The Redis face: options reach the store, a session survives, a given client stays open."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from strands import Agent
from tests.stores.servers import Servers

from strands_session_store import RedisSessionManager, StoreError
from strands_session_store.testing.models import ScriptedModel

EXAMPLE = Path(__file__).parents[2] / "examples" / "redis_agent.py"


def agent_of(manager: RedisSessionManager) -> Agent:
    return Agent(model=ScriptedModel(lambda messages: "fine"), session_manager=manager, callback_handler=None)


def test_a_session_is_resumed_by_url_and_by_client(standalone: Servers) -> None:
    url, prefix = standalone.url.partition("?")[0], secrets.token_hex(8)
    with RedisSessionManager("s", url, prefix=prefix, ttl=600) as manager:
        first = agent_of(manager)
        first("hello")
    for decode in (True, False):
        with redis.Redis.from_url(url, decode_responses=decode) as client:
            with RedisSessionManager("s", client=client, prefix=prefix, ttl=600) as manager:
                assert agent_of(manager).messages == first.messages
            assert client.ping()
            assert 0 < client.ttl(f"{prefix}:{{session:-:s}}") <= 600
    with RedisSessionManager("s", url, prefix=prefix + "other") as manager:
        assert agent_of(manager).messages == []


@pytest.mark.parametrize("topology", ["standalone", "cluster", "sentinel"])
def test_every_turn_may_run_on_a_loop_of_its_own_and_connections_outlive_them(
    topology: str, request: pytest.FixtureRequest
) -> None:
    made: Servers = request.getfixturevalue(topology)
    url = made.url

    def connections() -> int:
        """How many were ever opened."""
        total = 0
        for server in made.servers:
            with contextlib.closing(server.client()) as client:
                total += client.info("stats")["total_connections_received"]
        return total

    with RedisSessionManager("s", url) as manager:
        agent = agent_of(manager)
        agent("on a loop in a thread")
        asyncio.run(agent.invoke_async("on this thread's"))
        before = connections()
        for turn in range(5):
            agent(f"on the next, {turn}")
            asyncio.run(agent.invoke_async(f"and on the next, {turn}"))
        assert connections() - before < 10
    with RedisSessionManager("s", url) as manager:
        assert agent_of(manager).messages == agent.messages and len(agent.messages) == 24


def test_wrong_options_are_refused_before_anything_is_connected() -> None:
    with pytest.raises(StoreError, match="http"):
        RedisSessionManager("s", "http://u:secret@nowhere")
    with pytest.raises(ValueError, match="wait_timeout"):
        RedisSessionManager("s", wait_replicas=1, wait_timeout=60, timeout=5)


def test_the_example_goes_on_where_it_ended(standalone: Servers) -> None:
    command = [sys.executable, str(EXAMPLE), standalone.url]
    first, second = (subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2))
    assert "restored" not in first and "2 messages restored" in second and "Ada" in second
