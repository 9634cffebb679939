"""What is too large for one entry, or for one commit."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from strands import Agent
from strands.agent.conversation_manager import NullConversationManager
from strands.types.exceptions import EventLoopException

from strands_session_store import StoreSessionManager, Unavailable, open_store
from strands_session_store.errors import InDoubt, TooLarge
from strands_session_store.plugin.jobs import SOFT_CHANGES
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import MAX_ENTRY
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import ScriptedModel

from .children import build


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FaultyStore]:
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/large.db"
    with FaultyStore(open_store(url)) as faulty:
        yield faulty
        faulty.heal()


def test_a_message_past_the_limit_is_kept_as_a_placeholder_and_reported_once(store: FaultyStore) -> None:
    agent, manager = build(store, "s", lambda messages: "fine")
    agent("hello")
    with pytest.raises(TooLarge, match=rf"agents/default/messages.* bytes, the limit is {MAX_ENTRY:,}"):
        agent("x" * MAX_ENTRY)
    agent("go on")
    agent("and on")
    assert manager.pending == 0
    history = [e.message for e in Sessions(store).messages.page("s").entries.values()]
    assert [m["tracking_id"] for m in history] == [m["tracking_id"] for m in agent.messages]
    assert history[2]["role"] == "user" and "not stored: 16,7" in history[2]["content"][0]["text"]
    resumed, _ = build(store, "s")
    assert resumed.messages[:2] + resumed.messages[3:] == agent.messages[:2] + agent.messages[3:]
    assert agent.messages[2]["content"] == [{"text": "x" * MAX_ENTRY}]  # the live list is not ours to change


def test_an_answer_past_the_limit_is_an_event_loop_exception(store: FaultyStore) -> None:
    agent, _ = build(store, "s", ["y" * MAX_ENTRY, "fine"])
    with pytest.raises(EventLoopException) as caught:
        agent("say much")
    assert isinstance(caught.value.__cause__, TooLarge)
    agent("go on")
    assert len(Sessions(store).messages.page("s").entries) == len(agent.messages)


@pytest.mark.parametrize("fault", ["none", "unavailable", "in doubt"])
def test_a_long_conversation_is_imported_in_several_commits(store: FaultyStore, fault: str) -> None:
    count = 12_000
    messages: list[Any] = [
        {"role": ("user", "assistant")[n % 2], "content": [{"text": f"message {n}"}]} for n in range(count)
    ]
    manager = StoreSessionManager("s", store)
    agent = Agent(
        model=ScriptedModel(lambda messages: "fine"),
        messages=messages,
        session_manager=manager,
        conversation_manager=NullConversationManager(),
        callback_handler=None,
    )
    if fault != "none":
        if fault == "unavailable":
            store.plan("commit", at=3, before=Unavailable("down"))
        else:
            store.plan("commit", at=3, after=InDoubt("no answer"))
        with pytest.raises(Unavailable):
            agent("go")
    agent("go on")
    assert store.count("commit") >= count // SOFT_CHANGES
    assert manager.pending == 0
    sessions = Sessions(store)
    found = [sessions.messages.page("s", start=at, limit=1000).entries[at].message for at in range(0, count, 999)]
    assert found == [agent.messages[at] for at in range(0, count, 999)]
    resumed, _ = build(store, "s")
    assert resumed.messages == agent.messages
    assert sessions.get("s").counters["messages"] == len(agent.messages)


def test_a_state_past_the_limit_is_refused_before_anything_is_written(store: FaultyStore) -> None:
    agent, manager = build(store, "s", lambda messages: "fine")
    agent("hello")
    stored = [e.message for e in Sessions(store).messages.page("s").entries.values()]
    agent.state.set("too much", "x" * MAX_ENTRY)
    with pytest.raises(TooLarge, match=rf"state of agent 'default' .* the limit is {MAX_ENTRY:,}; nothing was written"):
        agent("go on")
    with pytest.raises(TooLarge):
        manager.flush()
    assert [e.message for e in Sessions(store).messages.page("s").entries.values()] == stored
    agent.state.delete("too much")
    agent("go on")
    resumed, _ = build(store, "s")
    assert resumed.messages == agent.messages and resumed.state.get() == {}


def test_many_large_messages_of_one_turn_are_split_over_commits(store: FaultyStore) -> None:
    agent, manager = build(store, "s", lambda messages: "fine", durability="turn")
    prompts: list[Any] = [{"role": "user", "content": [{"text": str(n) * 5_000_000}]} for n in range(8)]
    agent(prompts)
    assert manager.pending == 0 and store.count("commit") > 1
    resumed, _ = build(store, "s")
    assert resumed.messages == agent.messages and len(agent.messages) == 9


def test_what_can_not_be_encoded_is_kept_as_a_placeholder_and_logged_once(
    store: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    agent, _ = build(store, "s", lambda messages: "fine")
    with caplog.at_level(logging.WARNING, "strands_session_store"):
        for _ in range(3):
            agent([{"role": "user", "content": [{"text": "look", "odd": object()}]}])  # type: ignore[list-item]
    assert sum("a object can not be stored" in record.getMessage() for record in caplog.records) == 1
    resumed, _ = build(store, "s")
    assert resumed.messages[0]["content"][0] == {"text": "look", "odd": "<not stored: object>"}  # type: ignore[comparison-overlap]
