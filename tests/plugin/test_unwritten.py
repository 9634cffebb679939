"""What ends unwritten is named by the ids of its messages: on the error that is raised, and in the log."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
from strands import Agent
from strands.types.exceptions import EventLoopException

from strands_session_store import ConflictError, StoreError, Unavailable, open_store
from strands_session_store.errors import InDoubt, TooLarge
from strands_session_store.sessions import Sessions
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import ScriptedModel

from .children import Parent, build


def ids(agent: Agent) -> tuple[str, ...]:
    return tuple(m["tracking_id"] for m in agent.messages)  # type: ignore[typeddict-item]


def unwritten(error: BaseException) -> tuple[str, ...]:
    told = error.__cause__ if isinstance(error, EventLoopException) else error
    assert isinstance(told, StoreError)
    return told.unwritten


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The ids of the last line that names any."""
    named = re.findall(r"messages=<([^>]+)>", caplog.text)[-1]
    return list(named.split())


def test_an_error_has_no_ids_where_nothing_was_to_be_written() -> None:
    with open_store("memory://") as store, pytest.raises(StoreError) as caught:
        Sessions(store).get("none")
    assert caught.value.unwritten == ()


@pytest.mark.parametrize("durability", ["message", "background", "turn"])
@pytest.mark.parametrize("end", ["flush", "close"])
def test_flush_and_close_name_what_is_still_pending(store: FaultyStore, durability: Any, end: str) -> None:
    agent, manager = build(store, "s", durability=durability)
    agent("stored")
    stored = ids(agent)
    store.plan("commit", before=Unavailable("down"), times=None)
    with contextlib.suppress(StoreError):
        agent("not stored")
    with pytest.raises(StoreError) as caught:
        getattr(manager, end)()
    assert unwritten(caught.value) == ids(agent)[len(stored) :] != ()
    store.heal()
    getattr(manager, end)()


def test_a_turn_that_raises_names_the_message_it_could_not_store(store: FaultyStore) -> None:
    agent, _ = build(store, "s")
    store.plan("commit", at=2, before=Unavailable("down"))
    with pytest.raises(EventLoopException) as caught:
        agent("go")
    assert unwritten(caught.value) == ids(agent)[1:2]


def test_a_flush_names_the_messages_of_every_agent(store: FaultyStore) -> None:
    first, manager = build(store, "s", ["fine"], agent_id="first", durability="background")
    second = Agent(model=ScriptedModel(["fine"]), agent_id="second", session_manager=manager, callback_handler=None)
    store.plan("commit", before=Unavailable("down"), times=None)
    first("one"), second("two")
    with pytest.raises(Unavailable) as caught:
        manager.flush()
    assert caught.value.unwritten == (*ids(first), *ids(second))
    store.heal()
    manager.flush()


@pytest.mark.parametrize("durability", ["message", "background", "turn"])
def test_a_conflict_names_what_is_lost(store: FaultyStore, durability: Any, caplog: pytest.LogCaptureFixture) -> None:
    stale, manager = build(store, "s", durability=durability, on_stale="conflict")
    stale("one")
    build(store, "s")[0]("two")
    with pytest.raises((ConflictError, EventLoopException)) as caught:
        stale("three")
    lost = ids(stale)[4:]
    assert unwritten(caught.value) == lost != ()
    assert logged(caplog) == list(lost) and "not stored, refused" in caplog.text
    with pytest.raises(ConflictError) as closed:
        manager.close()
    assert closed.value.unwritten == lost


def test_a_time_out_names_what_may_be_stored(store: FaultyStore, caplog: pytest.LogCaptureFixture) -> None:
    agent, manager = build(store, "s", timeout=0.05)
    held = store.plan("commit", hang="before")
    with pytest.raises(InDoubt) as caught:
        agent("go")
    assert caught.value.unwritten == ids(agent)
    assert logged(caplog) == list(ids(agent)) and "| may be stored: the store has not answered" in caplog.text
    held.release()
    manager._session.timeout = 30
    manager.flush()


def test_the_log_tells_what_may_be_stored_from_what_is_not(
    store: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    agent, manager = build(store, "s", durability="background")
    held = store.plan("commit", hang="before")
    store.plan("commit", after=InDoubt("no answer"), times=None)
    manager._session.timeout = 0.05
    agent("go")  # the first commit has the prompt, the others queue up behind it
    first = re.findall(r"\| the first (\d) may be stored, the others are not: the store has not", caplog.text)
    assert first and 0 < int(first[-1]) < 4 and logged(caplog) == list(ids(agent))
    caplog.clear()
    held.release()
    manager._session.timeout = 30
    with pytest.raises(InDoubt) as caught:
        manager.flush()
    assert caught.value.unwritten == ids(agent)
    assert f"the first {first[-1]} may be stored, the others are not, kept for the next attempt" in caplog.text
    store.heal()
    manager.flush()
    assert [e.message for e in Sessions(store).messages.page("s").entries.values()] == agent.messages


def test_a_line_of_the_log_names_twenty_and_the_error_all(store: FaultyStore, caplog: pytest.LogCaptureFixture) -> None:
    agent, manager = build(store, "s", lambda messages: "fine", durability="turn")
    agent.messages.extend({"role": "user", "content": [{"text": str(n)}]} for n in range(50))
    store.plan("commit", before=Unavailable("down"), times=None)
    with pytest.raises(Unavailable) as caught:
        manager.flush()
    assert caught.value.unwritten == ids(agent) and len(ids(agent)) == 50
    assert logged(caplog) == [*ids(agent)[:20], "and", "30", "more"]
    store.heal()
    manager.flush()


def test_messages_that_are_too_large_are_all_named(store: FaultyStore, caplog: pytest.LogCaptureFixture) -> None:
    agent, manager = build(store, "s")
    for text in ("x" * 2**24, "small", "y" * 2**24):
        agent.messages.append({"role": "user", "content": [{"text": text}]})
    with pytest.raises(TooLarge) as caught:
        manager.flush()
    first, _, last = ids(agent)
    assert caught.value.unwritten == (first, last) and manager.pending == 0
    assert logged(caplog) == [first, last]


@pytest.mark.parametrize("what", ["redaction", "summary"])
def test_what_is_no_new_message_of_the_history_is_named_too(store: FaultyStore, what: str) -> None:
    agent, manager = build(store, "s", ["fine"], durability="background")
    agent("hello")
    store.plan("commit", before=Unavailable("down"), times=None)
    if what == "redaction":
        agent.messages[0]["content"] = [{"text": "[REDACTED]"}]
        manager.redact_latest_message(agent.messages[0], agent)
        expected = agent.messages[0]
    else:
        expected = {"role": "user", "content": [{"text": "in short"}]}
        manager_state = {**agent.conversation_manager.get_state(), "summary_message": expected}
        expected["tracking_id"] = "a-summary"  # type: ignore[typeddict-unknown-key]
        agent.conversation_manager.get_state = lambda: manager_state  # type: ignore[method-assign]
        agent.messages.insert(0, expected)
    with pytest.raises(Unavailable) as caught:
        manager.flush()
    assert caught.value.unwritten == (expected["tracking_id"],)  # type: ignore[typeddict-item]
    store.heal()
    manager.flush()


@pytest.mark.parametrize("durability", ["message", "background", "turn"])
@pytest.mark.parametrize("fault", ["down for good", "answers lost for good"])
def test_what_a_process_could_not_store_is_named_at_its_end(
    processes: Parent, tmp_path: Path, durability: str, fault: str
) -> None:
    url = f"sqlite:///{tmp_path}/end.db"
    child = processes.start("end_in_faults", url=url, session="s", durability=durability, fault=fault, at=1, turns=1)
    heard = child.hear_all()
    assert child.ended() == 3
    (_, said) = next(one for one in heard if one[0] == "done")
    level, text = heard[-1]
    assert level == "ERROR" and f"messages=<{' '.join(said)}>" in text
    assert ("| not stored, and lost: down" if fault == "down for good" else "may be stored, and lost") in text or (
        "may be stored, the others are not, and lost" in text
    )
