"""The suite of the service runs on every engine: `store` is one after the other."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from strands_session_store.sessions import Sessions
from strands_session_store.stores import open_store
from strands_session_store.stores.base import Store
from strands_session_store.stores.memory import MemoryStore

ENGINES = ["memory", "sqlite", "redis", "redis+cluster", "directory", "s3"]


def url_of(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a place of an engine that no other test uses."""
    match engine:
        case "memory":
            return "memory://"
        case "sqlite":
            return f"sqlite:///{tmp_path}/sessions.db"
        case "directory":
            return f"file://{tmp_path}/sessions"
        case "s3":
            if not all(map(importlib.util.find_spec, ("boto3", "moto"))):
                pytest.skip("needs boto3 and moto")
            request.getfixturevalue("aws")
            server = request.getfixturevalue("s3")
            return str(server.place())
        case _:
            pytest.importorskip("redis")
            made = request.getfixturevalue("standalone" if engine == "redis" else "cluster")
            return str(made.url)


@pytest.fixture(params=ENGINES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with open_store(url_of(request.param, request, tmp_path)) as opened:
        yield opened


@pytest.fixture
def sessions(store: Store) -> Sessions:
    return Sessions(store)


@pytest.fixture
def memory() -> Sessions:
    """For what does not touch an engine's nature."""
    return Sessions(MemoryStore())
