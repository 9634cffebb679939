"""The Redis face: options reach the store, a session survives, a given client stays open."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time

import pytest
import redis
from strands import Agent
from tests.stores.servers import Servers, free_port

from strands_session_store import RedisSessionManager, StoreError
from strands_session_store.testing.models import ScriptedModel


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
    for url in ("http://u:secret@nowhere", "u:secret@nowhere:6379"):
        with pytest.raises(StoreError, match="begins with one of redis://") as info:
            RedisSessionManager("s", url)
        assert "secret" not in str(info.value)
    with pytest.raises(ValueError, match="wait_timeout"):
        RedisSessionManager("s", wait_replicas=1, wait_timeout=60, timeout=5)


def test_what_trying_again_can_not_mend_is_not_tried_again(standalone: Servers) -> None:
    server = standalone.servers[0]
    for url, says in (
        (f"redis://127.0.0.1:{server.port}/999", "index is out of range"),
        (f"redis+sentinel://127.0.0.1:{server.port}/main/0", "unknown command"),
    ):
        begun = time.monotonic()
        with pytest.raises(StoreError, match=says):
            agent_of(RedisSessionManager("s", url, timeout=60))
        assert time.monotonic() - begun < 30


def test_sentinels_that_are_not_there_are_given_up_in_time_and_told_in_one_line() -> None:
    begun = time.monotonic()
    with pytest.raises(StoreError, match=r"^No master found for 'main': no Sentinel can be reached"):
        agent_of(RedisSessionManager("s", f"redis+sentinel://127.0.0.1:{free_port()}/main/0", timeout=0.5))
    assert time.monotonic() - begun < 5
