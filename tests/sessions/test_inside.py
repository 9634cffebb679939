"""The service, over real engines and what a real agent stored."""

from __future__ import annotations

import contextvars
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from strands import Agent, tool
from strands.agent.conversation_manager import SlidingWindowConversationManager
from strands.multiagent import GraphBuilder

from strands_session_store import (
    InvalidIdError,
    SessionBusyError,
    SessionNotFoundError,
    StoreSessionManager,
    open_store,
)
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import PutDoc, Space, Store, new_commit_id
from strands_session_store.testing.models import ScriptedModel, ToolCall

from ..plugin.children import wait_for


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with open_store("memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/sessions.db") as opened:
        yield opened


@tool
def clock() -> str:
    """The current time."""
    return "12:00"


def converse(store: Store, session_id: str = "s", user_id: str | None = None, turns: int = 2, **options: Any) -> Agent:
    """An agent that has used a tool in its first turn, and said "ok" in the others."""
    model = ScriptedModel([ToolCall("clock"), *["ok"] * turns])
    manager = StoreSessionManager(session_id, store, user_id=user_id)
    agent = Agent(model=model, tools=[clock], session_manager=manager, callback_handler=None, **options)
    for turn in range(turns):
        agent(f"prompt {turn}")
    manager.close()
    return agent


def test_overview_names_agents_and_counts(store: Store) -> None:
    converse(store, agent_id="a", state={"x": 1})
    converse(store, agent_id="b", turns=1)
    found = Sessions(store).get("s")
    assert (found.session.session_id, found.session.user_id) == ("s", None)
    assert found.agents == ("a", "b")
    assert (found.counters["messages"], found.counters["runs"]) == (10, 3)
    assert found.open_runs == 0


def test_overview_names_who_has_the_lease(store: Store) -> None:
    service, seen = Sessions(store), []

    def look(messages: Any) -> str:
        seen.append(service.get("s").holder)
        if len(seen) == 1:
            with ThreadPoolExecutor(1) as pool:
                waits = pool.submit(
                    contextvars.Context().run, lambda: agent_of(lambda messages: "fine", "b", 0.5)("hi")
                )
                wait_for(lambda: waits.done() or getattr(service.get("s").holder, "waiting", 0), "one that waits")
                seen.append(service.get("s").holder)
                assert isinstance(waits.exception(), SessionBusyError)
            first = seen[0].seen
            wait_for(lambda: getattr(service.get("s").holder, "seen", 0) > first, "a sign of life")
        return "fine"

    def agent_of(script: Any, agent_id: str, timeout: float) -> Agent:
        manager = StoreSessionManager("s", store, exclusive=True, lease_expiry=0.9, lease_timeout=timeout)
        return Agent(model=ScriptedModel(script), agent_id=agent_id, session_manager=manager, callback_handler=None)

    began = round(time.time(), 3)
    agent_of(look, "a", 5)("hello")
    alone, wanted = seen
    assert (alone.host, alone.pid, alone.expiry) == (socket.gethostname(), os.getpid(), 0.9)
    assert (alone.waiting, wanted.waiting) == (0, 1)
    assert began <= alone.since <= alone.seen <= time.time()
    assert service.get("s").holder is None
    converse(store, "without")
    assert service.get("without").holder is None


def test_agents_tell_state_history_and_context(store: Store) -> None:
    agent = converse(store, turns=4, state={"x": 1}, conversation_manager=SlidingWindowConversationManager(4))
    (found,) = Sessions(store).agents("s")
    assert found.agent.state == {"x": 1}
    assert found.history == 10
    assert found.context == len(agent.messages) < 10
    assert found.conversation_manager == agent.conversation_manager.get_state()


def test_history_holds_every_message_and_is_paged(store: Store) -> None:
    converse(store, turns=4, conversation_manager=SlidingWindowConversationManager(4))
    sessions = Sessions(store)
    last = sessions.messages.page("s", limit=3)
    assert (list(last.entries), last.start, last.length) == ([7, 8, 9], 0, 10)
    pages = [sessions.messages.page("s", start=at, limit=4).entries for at in (0, 4, 8)]
    joined = {index: entry for page in pages for index, entry in page.items()}
    assert list(joined) == list(range(10))
    said = [block["text"] for e in joined.values() for block in e.message["content"] if "text" in block]
    assert said == ["prompt 0", "ok", "prompt 1", "ok", "prompt 2", "ok", "prompt 3", "ok"]
    assert not sessions.messages.page("s", start=10).entries


def test_history_of_an_unknown_agent_is_empty(store: Store) -> None:
    converse(store)
    found = Sessions(store).messages.page("s", agent_id="nobody")
    assert (dict(found.entries), found.length) == ({}, 0)


def test_runs_and_events(store: Store) -> None:
    converse(store)
    sessions = Sessions(store)
    runs = sessions.runs.list("s")
    assert [run.status for run in runs.entries.values()] == ["completed", "completed"]
    assert sessions.runs.active("s") == ()
    (event,) = sessions.events.list("s").entries.values()
    assert (event.type, event.name, event.status, event.attempt) == ("tool_call", "clock", "success", 1)


def test_multi_agents_and_the_histories_of_their_nodes(store: Store) -> None:
    builder = GraphBuilder()
    builder.add_node(Agent(name="one", model=ScriptedModel(["first"]), callback_handler=None), "one")
    builder.add_node(Agent(name="two", model=ScriptedModel(["second"]), callback_handler=None), "two")
    builder.add_edge("one", "two")
    builder.set_entry_point("one")
    builder.set_graph_id("g")
    builder.set_max_node_executions(10)
    manager = StoreSessionManager("s", store)
    builder.set_session_manager(manager)
    builder.build()("go")
    manager.close()
    sessions = Sessions(store)
    assert sessions.get("s").multi_agents == ("g",)
    (found,) = sessions.multi_agents("s")
    assert found.state["status"] == "completed"
    logs = {item.path: item.entries for item in sessions.layout_tree("s") if item.kind == "log"}
    assert logs["multi_agents/g/nodes/one/messages"] == 2
    assert logs["multi_agents/g/nodes/two/messages"] == 2


def test_layout_tree_has_documents_logs_and_counters(store: Store) -> None:
    converse(store, agent_id="A b")
    tree = {(item.kind, item.path): item for item in Sessions(store).layout_tree("s")}
    assert tree["log", "agents/!41!20b/messages"].entries == 6
    assert (tree["document", "agents/!41!20b/agent"].bytes or 0) > 10
    assert tree["counter", "messages"].value == 6
    assert ("log", "agents/!41!20b/variants") not in tree


def test_another_users_session_is_not_there(store: Store) -> None:
    converse(store, user_id="ada")
    sessions = Sessions(store)
    assert sessions.get("s", "ada").session.user_id == "ada"
    for user in (None, "bob", "ADA"):
        with pytest.raises(SessionNotFoundError):
            sessions.get("s", user)
        with pytest.raises(SessionNotFoundError):
            sessions.messages.page("s", user)
        assert not sessions.delete("s", user).existed
    assert sessions.get("s", "ada")


def test_lists_are_of_one_user_unless_of_everyone(store: Store) -> None:
    for user in (None, "ada", "bob"):
        for name in ("s1", "s2"):
            converse(store, name, user, turns=1)
    sessions = Sessions(store)
    assert {s.session.session_id for s in sessions.list("ada").sessions} == {"s1", "s2"}
    assert {s.session.user_id for s in sessions.list().sessions} == {None}
    assert len(sessions.list(everyone=True).sessions) == 6
    with pytest.raises(ValueError, match="everyone"):
        sessions.list("ada", everyone=True)


def test_lists_are_paged_and_complete(store: Store) -> None:
    for at in range(7):
        converse(store, f"s{at}", turns=1)
    sessions = Sessions(store)
    seen, cursor = [], None
    while True:
        page = sessions.list(limit=3, cursor=cursor)
        seen += [found.session.session_id for found in page.sessions]
        cursor = page.cursor
        if cursor is None:
            break
    assert sorted(seen) == [f"s{at}" for at in range(7)]


def test_a_space_without_a_session_document_is_none(store: Store) -> None:
    store.commit(Space("session", None, "half"), PutDoc("agents/a/agent", b"{}"), commit_id=new_commit_id())
    sessions = Sessions(store)
    with pytest.raises(SessionNotFoundError, match="half"):
        sessions.get("half")
    assert sessions.list().sessions == ()


def test_delete_gives_a_receipt_and_can_be_repeated(store: Store) -> None:
    converse(store)
    sessions = Sessions(store)
    gone = sessions.delete("s")
    assert gone.existed and gone.entries >= 6 and gone.bytes > 100
    assert not sessions.delete("s").existed
    with pytest.raises(SessionNotFoundError, match="there is no session 's'"):
        sessions.get("s")


@pytest.mark.parametrize("name", ["", "a\x00b", "x" * 200])
def test_ids_that_are_none_are_refused(store: Store, name: str) -> None:
    with pytest.raises(InvalidIdError, match="session_id"):
        Sessions(store).get(name)
    with pytest.raises(InvalidIdError, match="user_id"):
        Sessions(store).list(name)
    with pytest.raises(InvalidIdError, match="agent_id"):
        Sessions(store).messages.page("s", agent_id=name)


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_limits_are_refused_by_name(store: Store, limit: int) -> None:
    with pytest.raises(ValueError, match=r"limit must be 1 to 1,?000"):
        Sessions(store).messages.page("s", agent_id="a", limit=limit)
    with pytest.raises(ValueError, match=r"limit must be 1 to 1,?000"):
        Sessions(store).list(limit=limit)
