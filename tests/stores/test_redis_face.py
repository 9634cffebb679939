"""The Redis face: options reach the store, a session survives, a given client stays open."""

from __future__ import annotations

import secrets

import pytest
import redis
from strands import Agent
from tests.stores.servers import Servers

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


def test_wrong_options_are_refused_before_anything_is_connected() -> None:
    with pytest.raises(StoreError, match="http"):
        RedisSessionManager("s", "http://u:secret@nowhere")
    with pytest.raises(ValueError, match="wait_timeout"):
        RedisSessionManager("s", wait_replicas=1, wait_timeout=60, timeout=5)
