"""Forks and rewinds by the service, on every engine; what they are made of is tested with the plugin."""

from __future__ import annotations

from typing import Any

import pytest
from strands import Agent

from strands_session_store import AlreadyExistsError, SessionNotFoundError, StoreSessionManager
from strands_session_store.errors import HasChildrenError, IllegalMoveError, MessageNotFoundError
from strands_session_store.sessions import Sessions
from strands_session_store.testing.models import ScriptedModel
from strands_session_store.usage import Totals


def agent_of(sessions: Sessions, session_id: str) -> Agent:
    manager = StoreSessionManager(session_id, sessions.store, user_id="ada")
    return Agent(model=ScriptedModel(lambda messages: "ok"), session_manager=manager, callback_handler=None)


@pytest.fixture
def said(sessions: Sessions) -> list[Any]:
    """Three turns in session "s" of ada, with state that changes; its messages."""
    sessions.create("s", "ada", title="talk", metadata={"a": 1})
    agent = agent_of(sessions, "s")
    for turn in range(3):
        agent.state.set("turn", turn)
        agent(f"prompt {turn}")
    return list(agent.messages)


def test_a_fork_goes_on_from_a_message_and_hangs_below_its_source(sessions: Sessions, said: list[Any]) -> None:
    made = sessions.fork("s", "ada", at=said[1]["tracking_id"], new_id="f", title="the other way")
    assert (made.kind, made.parent_id, made.title) == ("fork", "s", "the other way")
    assert made.origin is not None and (made.origin.session_id, made.origin.index) == ("s", 1)
    assert sessions.get("f", "ada").session == made
    assert sessions.list("ada", kind="fork").sessions[0].session == made
    agent = agent_of(sessions, "f")
    assert (agent.messages, agent.state.get("turn")) == (said[:2], 0)
    agent("and now?")
    assert agent_of(sessions, "s").messages == said
    assert sessions.messages.count("f", "ada") == 4
    assert sessions.usage.session("f", "ada").calls == 1  # the source paid for what it has
    with pytest.raises(HasChildrenError):
        sessions.delete("s", "ada")
    assert sessions.delete("s", "ada", children="cascade").sessions == ("f", "s")


def test_a_fork_of_all(sessions: Sessions, said: list[Any]) -> None:
    made = sessions.fork("s", "ada", parent_id=None, expires_in=1000)
    assert (made.parent_id, made.title) == (None, "talk")
    assert sessions.get(made.session_id, "ada").expires is not None
    assert sessions.metadata(made.session_id, "ada").all() == {"a": 1}
    agent = agent_of(sessions, made.session_id)
    assert (agent.messages, agent.state.get("turn")) == (said, 2)
    assert sessions.usage.session(made.session_id, "ada") == Totals()


def test_a_rewind_is_an_event_and_erases_nothing(sessions: Sessions, said: list[Any]) -> None:
    live = agent_of(sessions, "s")
    event = sessions.rewind("s", said[1]["tracking_id"], "ada")
    assert sessions.events.list("s", "ada", type="rewind").entries == {0: event}
    assert agent_of(sessions, "s").messages == said[:2]
    live("another way")  # it is reloaded first
    assert [m["content"][0]["text"] for m in live.messages] == ["prompt 0", "ok", "another way", "ok"]
    assert live.state.get("turn") == 0
    assert sessions.messages.count("s", "ada") == 8
    sessions.rewind("s", said[5]["tracking_id"], "ada")
    assert agent_of(sessions, "s").messages == said


def test_what_is_not_there_is_told(sessions: Sessions, said: list[Any]) -> None:
    id = said[1]["tracking_id"]
    with pytest.raises(MessageNotFoundError, match="nobody's"):
        sessions.fork("s", "ada", at="nobody's")
    with pytest.raises(MessageNotFoundError, match="nobody's"):
        sessions.rewind("s", "nobody's", "ada")
    with pytest.raises(AlreadyExistsError, match="'s'"):
        sessions.fork("s", "ada", new_id="s")
    with pytest.raises(IllegalMoveError, match="nowhere"):
        sessions.fork("s", "ada", parent_id="nowhere")
    for owner in ("bob", None):
        with pytest.raises(SessionNotFoundError):
            sessions.fork("s", owner, at=id)
        with pytest.raises(SessionNotFoundError):
            sessions.rewind("s", id, owner)
    assert len(sessions.list("ada").sessions) == 1
