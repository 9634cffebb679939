"""The lease of a session: whatever an invocation comes to, the next one gets it, and no invocation waits for itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from strands import Agent

from strands_session_store import ConflictError, StoreSessionManager, Unavailable, open_store
from strands_session_store.stores.base import Store
from strands_session_store.testing.faults import FaultyStore

from .children import build, unpaired, with_tools

SESSION = "s"
LONG = 600.0
"""Seconds of an expiry that no test waits for."""


@pytest.fixture
def store() -> Iterator[FaultyStore]:
    with FaultyStore(open_store("memory://")) as opened:
        yield opened
        opened.heal()


def fine(messages: Any) -> str:
    return "fine"


def leased(store: Store, script: Any = fine, **options: Any) -> tuple[Agent, StoreSessionManager]:
    return build(store, SESSION, script, exclusive=True, **{"lease_expiry": LONG, "lease_timeout": 5.0, **options})


def is_free(store: Store, **options: Any) -> bool:
    """Another gets the lease at once; it raises SessionBusyError if not."""
    agent, manager = leased(store, on_busy="raise", agent_id="another", **options)
    agent("hello")
    manager.close()
    return True


# ------------------------------------------------------------------------------------------ messages outside of turns


@pytest.mark.parametrize("stale", [False, True], ids=["resumed", "kept"])
@pytest.mark.parametrize("stored", range(1, 6))
def test_who_died_after_any_commit_of_a_turn_is_succeeded(store: FaultyStore, stored: int, stale: bool) -> None:
    """Agent answers tool uses that were left without results before it is invoked: that takes the lease too."""
    inner = store.store
    if stale:
        successor, _ = leased(inner, with_tools)
        successor("before")
    died, _ = leased(store, with_tools, lease_expiry=0.2)
    store.plan("commit", at=1 + stored, before=Unavailable("killed"), times=None)
    with pytest.raises(Exception, match="killed"):
        died("one")
    if not stale:
        successor, _ = leased(inner, with_tools)
    successor("two")
    assert successor.messages[-1]["content"][0]["text"] == "That is done." and unpaired(successor.messages) == []
    assert build(inner, SESSION)[0].messages == successor.messages
    assert is_free(inner)


def test_a_tool_that_is_called_directly_takes_the_lease(store: FaultyStore) -> None:
    first, _ = leased(store, with_tools)
    first.tool.add(a=1, b=2)
    second, _ = leased(store, with_tools)
    second.tool.add(a=1, b=2)
    assert len(second.messages) == 8
    with pytest.raises(ConflictError):  # the tool was called for an agent that was another's past
        first.tool.add(a=1, b=2)
    first.tool.add(a=1, b=2)
    assert len(first.messages) == 12 and first.messages == build(store, SESSION)[0].messages
    second("and now")
    assert second.messages[:12] == first.messages
    assert is_free(store)
