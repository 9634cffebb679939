"""Sessions with all that can be in them, for the tests that take them elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from strands import Agent, tool
from strands.agent.conversation_manager import SlidingWindowConversationManager
from strands.multiagent import GraphBuilder

from strands_session_store import StoreSessionManager, layout
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Append, PutDoc, Trim, new_commit_id
from strands_session_store.testing.models import ScriptedModel, ToolCall

ODD = [
    b"",
    b"\xff\x00",
    b"NaN",
    b'{"a": 1}',
    b'{"$text":1}',
    b"[1e400]",
    b"\\",
    '"é\u2028"'.encode(),
    b"[" * 500 + b"]" * 500,
]
"""Entries that are not as this package writes them."""


@tool
def clock() -> str:
    """The current time."""
    return "12:00"


@contextmanager
def talking(sessions: Sessions, session_id: str, user_id: str | None, script: Any, **options: Any) -> Iterator[Agent]:
    with StoreSessionManager(session_id, sessions.store, user_id=user_id) as manager:
        yield Agent(
            model=ScriptedModel(script),
            tools=[clock],
            session_manager=manager,
            callback_handler=None,
            conversation_manager=SlidingWindowConversationManager(window_size=6),
            **options,
        )


def fill(sessions: Sessions) -> Agent:
    """Three sessions of ada's, one of nobody's, one of bob's; the agent of ada's ``s``."""
    sessions.users.create("ada", username="ada", metadata={"plan": "free"})
    sessions.create("s", "ada", title="Träume", metadata={"a": 1}, state={"b": b"\xff"}, agent_instructions="Be kind.")
    script = [ToolCall("clock"), *["ok"] * 6]
    with talking(sessions, "s", "ada", script, state={"x": [1.5, None]}) as agent:
        for turn in range(6):
            agent(f"prompt {turn}")
    sessions.create("child", "ada", kind="fork", parent_id="s", expires_in=3600)
    odd = layout.session_space("child", "ada")
    log = layout.EVENTS
    sessions.store.commit(odd, Append(log, ODD), Append(layout.RUNS, [b"{}"] * 3), commit_id=new_commit_id())
    sessions.store.commit(odd, Trim(log, 2), Trim(layout.RUNS, 3), commit_id=new_commit_id())
    sessions.store.commit(odd, PutDoc(layout.managed("x"), b"\x80 no text"), commit_id=new_commit_id())
    graph = GraphBuilder()
    for name in ("one", "two"):
        graph.add_node(Agent(model=ScriptedModel(["ok"]), callback_handler=None, name=name), name)
    graph.add_edge("one", "two")
    graph.set_entry_point("one").set_max_node_executions(5)
    with StoreSessionManager("graph", sessions.store, user_id="ada") as manager:
        graph.set_session_manager(manager)
        graph.build()("begin")
    sessions.create("s", title="nobody's")
    sessions.create("s", "bob", title="bob's")
    return agent


OWNED = [("child", "ada"), ("graph", "ada"), ("s", "ada"), ("s", "bob"), ("s", None)]


def shape(sessions: Sessions) -> dict[Any, Any]:
    """What is there, as the service tells it."""
    return {(id, owner): (sessions.get(id, owner).session, sessions.layout_tree(id, owner)) for id, owner in OWNED} | {
        "users": sessions.users.list().users
    }
