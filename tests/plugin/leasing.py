"""Agents that take a session's lease, for an expiry that no test waits for."""

from __future__ import annotations

import contextlib
import contextvars
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from strands import Agent

from strands_session_store import (
    StoreSessionManager,
    layout,
)
from strands_session_store.stores.base import Store
from strands_session_store.testing.models import ScriptedModel

from .children import build

SPACE = layout.session_space("s", None)
SESSION = "s"
LONG = 600.0
"""Seconds of an expiry that no test waits for."""


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


def ends(store: Store, error: type[BaseException] | None, agent: Any, prompt: Any = "go") -> None:
    """A turn that ends by this error; the next turn of another begins at once, and then this one's works."""
    with contextlib.nullcontext() if error is None else pytest.raises(error):
        agent(prompt)
    assert is_free(store)


def another_of(manager: StoreSessionManager, agent_id: str, script: Any = fine, tools: Any = ()) -> Agent:
    return Agent(
        model=ScriptedModel(script), tools=[*tools], agent_id=agent_id, session_manager=manager, callback_handler=None
    )


def in_another_context(call: Any, *args: Any, **kwargs: Any) -> Any:
    """On a thread of its own, which nobody's invocation has called."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(contextvars.Context().run, call, *args, **kwargs).result()
