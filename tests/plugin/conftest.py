from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from strands_session_store.plugin import process

from .children import Parent


@pytest.fixture(scope="session", autouse=True)
def _quiet_end() -> Iterator[None]:
    """Tests leave writes pending on purpose; the end of the interpreter would try them again, and report each."""
    yield
    gc.collect()
    process._left.clear()
    process._tried.clear()


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
