"""Prompts of stored histories, on every engine: what `build_prompt` makes of the same messages, read from both ends."""

from __future__ import annotations

import asyncio
from typing import Any, get_args

import pytest
from strands import Agent

from strands_session_store import AsyncSessions, SessionNotFoundError, StoreSessionManager, codec, layout, records
from strands_session_store.errors import InvalidIdError, PromptError
from strands_session_store.prompts import Name, build_prompt
from strands_session_store.segments import SegmentAfter
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import PutDoc, Store, Trim, new_commit_id
from strands_session_store.summaries import opening
from strands_session_store.testing.models import ScriptedModel

from ..histories import Message, assert_valid, assistant, result, taken, use, user

NAMES: tuple[Name, ...] = get_args(Name)


def turn(i: int) -> list[Message]:
    status = "error" if i % 5 == 0 else "success"
    said = [user(f"question {i}"), assistant("wait", use("a")), user(result("a", "x" * 20, status)), assistant(f"{i}")]
    return [{**message, "tracking_id": f"{i}-{n}"} for n, message in enumerate(said)]


def filled(sessions: Sessions, turns: int, session_id: str = "s", **options: Any) -> list[Message]:
    sessions.create(session_id, **options)
    messages = [message for i in range(turns) for message in turn(i)]
    sessions.messages.append(session_id, messages)
    return messages


def summarized(
    store: Store, session_id: str, summary: str, agent_id: str = "default", owner: str | None = None
) -> None:
    space, record = layout.session_space(session_id, owner), records.Segments(summary=summary)
    store.commit(space, PutDoc(layout.segments(agent_id), codec.dump_document(record)), commit_id=new_commit_id())


# ------------------------------------------------------------------------------------------------- on every engine


def test_a_prompt_is_what_is_made_of_the_messages(sessions: Sessions) -> None:
    messages = filled(sessions, 60)
    cases = [*({"strategy": name} for name in NAMES), {"max_turns": None}, {"max_turns": 40, "max_tokens": 500}]
    for given in cases:
        prompt = sessions.prompt("s", **given)
        assert prompt == build_prompt(messages, **given)
        assert_valid(prompt)
    assert sessions.prompt("s", max_turns=None) == messages
    # an answer, a result, the first thing that was said, and a lot before it
    for gone in ("59-3", "59-2", "0-0"):
        sessions.messages.remove("s", gone)
        messages = [message for message in messages if message["tracking_id"] != gone]
        for given in cases:
            assert sessions.prompt("s", **given) == build_prompt(messages, **given)
    space = layout.session_space("s", None)
    sessions.store.commit(space, Trim(layout.history("default"), 150), commit_id=new_commit_id())
    for given in cases:
        assert sessions.prompt("s", **given) == build_prompt(messages[149:], **given)


def test_the_summaries_of_those_above_and_its_own_come_first(sessions: Sessions, store: Store) -> None:
    sessions.create("top")
    sessions.create("middle", parent_id="top")
    messages = filled(sessions, 2, parent_id="middle")
    summarized(store, "top", "of the top")
    summarized(store, "s", "of its segments")
    summarized(store, "middle", "of another agent", "other")
    prompt = sessions.prompt("s", strategy="hierarchical")
    openings = [opening(told) for told in ("of the top", "of its segments")]
    assert prompt == [*openings[0], *openings[1], *build_prompt(messages, "minimal")]
    summarized(store, "middle", "of the middle")
    assert [m["content"][0]["text"] for m in sessions.prompt("s", strategy="hierarchical")[1:6:2]] == [
        "of the top",
        "of the middle",
        "of its segments",
    ]
    sessions.delete("top", children="detach")
    assert sessions.prompt("s", strategy="hierarchical")[1] == assistant("of the middle")


# ------------------------------------------------------------------------------------------------------------ memory


def test_it_is_of_one_agent_and_of_its_owner(memory: Sessions) -> None:
    memory.create("s", "ada")
    memory.messages.append("s", user("hi"), "ada", agent_id="clerk")
    assert [m["content"] for m in memory.prompt("s", "ada", agent_id="clerk")] == [[{"text": "hi"}]]
    assert memory.prompt("s", "ada") == []
    for strategy in NAMES:
        with pytest.raises(SessionNotFoundError):
            memory.prompt("s", "bob", strategy=strategy)
    with pytest.raises(InvalidIdError):
        memory.prompt("s", "ada", agent_id="")


def test_a_circle_of_parents_and_one_that_is_gone_end_the_summaries(memory: Sessions) -> None:
    for id, parent in (("a", None), ("b", "a")):
        filled(memory, 1, id, parent_id=parent)
        summarized(memory.store, id, f"of {id}")
    circle = records.Session(session_id="a", parent_id="b")
    memory.store.commit(
        layout.session_space("a", None),
        PutDoc(layout.SESSION, codec.dump_document(circle)),
        commit_id=new_commit_id(),
    )
    prompt = memory.prompt("b", strategy="hierarchical")
    assert [m["content"][0]["text"] for m in prompt[1:4:2]] == ["of a", "of b"]
    memory.store.drop(layout.session_space("a", None))
    prompt = memory.prompt("b", strategy="hierarchical")
    assert [m["content"][0]["text"] for m in prompt[1:4:2]] == ["of b", "0"]


def test_a_strategy_is_shown_no_message_that_was_removed(memory: Sessions) -> None:
    messages = filled(memory, 2)
    for gone in ("0-3", "1-0"):
        memory.messages.remove("s", gone)
    seen: list[list[Message]] = []
    memory.prompt("s", strategy=lambda history: seen.extend([[*history.oldest()], [*history.newest()]]) or [])
    assert seen == [messages[:3] + messages[5:], (messages[:3] + messages[5:])[::-1]]


def test_those_above_are_of_the_same_owner(memory: Sessions) -> None:
    memory.create("top", "ada")
    memory.create("s", "ada", parent_id="top")
    memory.messages.append("s", user("hi"), "ada")
    filled(memory, 1, "top")
    summarized(memory.store, "top", "of nobody's")
    assert [m["content"] for m in memory.prompt("s", "ada", strategy="hierarchical")] == [[{"text": "hi"}]]
    summarized(memory.store, "top", "of ada's", owner="ada")
    assert memory.prompt("s", "ada", strategy="hierarchical")[1] == assistant("of ada's")


def test_the_options_are_those_of_build_prompt(memory: Sessions) -> None:
    messages = filled(memory, 3)
    assert memory.prompt("s", max_turns=1) == messages[-4:]
    assert memory.prompt("s", strategy=lambda history: list(history.oldest())[:2]) == [user("question 0", **ID), WAIT]
    with pytest.raises(PromptError, match="max_tokens=1;"):
        memory.prompt("s", max_tokens=1)
    assert taken(memory.prompt("s", max_tokens=20)) <= 20
    with pytest.raises(ValueError, match="strategy must be one of"):
        memory.prompt("s", strategy="other")  # type: ignore[arg-type]


ID = {"tracking_id": "0-0"}
WAIT = assistant("wait", tracking_id="0-1")


def test_it_is_awaitable(memory: Sessions) -> None:
    messages = filled(memory, 3)
    assert asyncio.run(AsyncSessions(memory.store).prompt("s", strategy="minimal")) == [messages[0], messages[-1]]


def test_what_an_agent_said_is_a_prompt_for_another(memory: Sessions) -> None:
    memory.create("s")
    agent = Agent(
        model=ScriptedModel(lambda messages: f"{len(messages)} heard"),
        session_manager=StoreSessionManager("s", memory.store),
        callback_handler=None,
    )
    for i in range(3):
        agent(f"prompt {i}")
    prompt = memory.prompt("s", strategy="task_focused")
    assert [m["content"][0]["text"] for m in prompt] == ["prompt 0", "5 heard"]
    another = Agent(
        model=ScriptedModel(lambda messages: f"{len(messages)} heard"), messages=prompt, callback_handler=None
    )
    assert str(another("and now?")).strip() == "3 heard"


def test_a_prompt_is_of_all_segments_of_a_conversation(sessions: Sessions) -> None:
    after = SegmentAfter(max_turns=3, max_tokens=None, summarize=lambda to: "what was said")
    agent = Agent(
        model=ScriptedModel(lambda messages: f"{len(messages)} heard"),
        session_manager=StoreSessionManager("s", sessions.store, segment_after=after),
        callback_handler=None,
    )
    for i in range(10):
        agent(f"prompt {i}")
    *ended, _ = sessions.segments.chain("s")
    assert len(ended) > 1
    messages = [one.entry.message for one in sessions.segments.full_history("s").messages]
    assert len(messages) == 20
    for name in NAMES[:-1]:
        assert sessions.prompt("s", strategy=name) == build_prompt(messages, name)
    told = opening("what was said")
    assert sessions.prompt("s", strategy="hierarchical") == [*told, messages[0], messages[-1]]
    # an ended segment knows no summary of what came later
    first = ended[0].session.session_id
    assert sessions.prompt(first, strategy="hierarchical")[0] == messages[0]
