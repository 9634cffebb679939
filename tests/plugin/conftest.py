from __future__ import annotations

import gc
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.stores.s3_server import ENVIRONMENT

from strands_session_store.plugin import process
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.testing.faults import FaultyStore

from .children import Parent


@pytest.fixture(scope="session", autouse=True)
def _quiet_end() -> Iterator[None]:
    """Tests leave writes pending on purpose; the end of the interpreter would try them again, and report each."""
    yield
    gc.collect()
    process._left.clear()
    process._tried.clear()


@pytest.fixture
def store() -> Iterator[FaultyStore]:
    """A store that fails when it is told to."""
    with FaultyStore(MemoryStore()) as opened:
        yield opened
        opened.heal()


@pytest.fixture(scope="session")
def _parent() -> Iterator[Parent]:
    parent = Parent()
    yield parent
    parent.close()


@pytest.fixture
def processes(_parent: Parent) -> Iterator[Parent]:
    """Starts real processes; those that a test leaves behind end with it."""
    yield _parent
    _parent.rest()


@pytest.fixture
def url_of(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """The URL of a place in an engine (sqlite, directory, redis, s3) that several processes can use."""

    def url(engine: str) -> str:
        match engine:
            case "sqlite":
                return f"sqlite:///{tmp_path}/shared.db"
            case "directory":
                return f"file://{tmp_path}/shared"
            case "redis":
                pytest.importorskip("redis")
                return str(request.getfixturevalue("standalone").url)
        if not all(map(importlib.util.find_spec, ("boto3", "moto"))):
            pytest.skip("needs boto3 and moto")
        for name, value in ENVIRONMENT.items():  # what children have anyway
            monkeypatch.setenv(name, value)
        return str(request.getfixturevalue("s3").place())

    return url
