"""on_conflict="rebase": a turn that met a conflict is stored behind the other's, whole."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from strands import Agent, tool

from strands_session_store import ConflictError, codec, layout, open_store
from strands_session_store.plugin.jobs import SOFT_BYTES
from strands_session_store.plugin.rebase import TRIES, merged
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Log
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.stores.reading import read_whole
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import Reply, ToolCall

from .children import Parent, ask, build, unpaired, with_tools

REBASE: Any = {"durability": "turn", "on_conflict": "rebase"}


def texts(messages: Any) -> list[str]:
    return [block["text"] for message in messages for block in message["content"] if "text" in block]


def interrupted_by(act: Callable[[], object], script: Any = with_tools) -> Any:
    """A script whose first call is the moment at which something else happens."""
    left = [act]

    def reply(messages: Any) -> Any:
        if left:
            left.pop()()
        return script(messages)

    return reply


def restored_is(store: Any, agent: Agent) -> None:
    resumed, _ = build(store, "s", lambda messages: "fine")
    assert resumed.messages == agent.messages and resumed.state.get() == agent.state.get()
    assert unpaired(agent.messages) == []


def test_a_turn_is_stored_behind_the_others_whole(store: FaultyStore, caplog: pytest.LogCaptureFixture) -> None:
    other, _ = build(store, "s", **REBASE)
    other("zero")
    mine, manager = build(store, "s", interrupted_by(lambda: other("theirs")), **REBASE)
    mine("mine")
    assert texts(mine.messages)[::2] == ["zero", "theirs", "mine"]
    assert [m["role"] for m in mine.messages] == ["user", "assistant"] * 6
    restored_is(store, mine)
    service = Sessions(store)
    counters = service.get("s").counters
    assert (counters["messages"], counters["runs"], service.get("s").open_runs) == (12, 3, 0)
    runs = service.runs.list("s", limit=10).entries.values()
    assert [(run.first_message, run.messages, run.status) for run in runs] == [(at, 4, "completed") for at in (0, 4, 8)]
    assert counters["input_tokens"] == sum(run.usage.input_tokens or 0 for run in runs)
    events = list(service.events.list("s", limit=100).entries.values())
    uses = {b["toolUse"]["toolUseId"] for m in mine.messages for b in m["content"] if "toolUse" in b}
    assert {event.tool_use_id for event in events} == uses and len(events) == 6
    assert {event.run_id for event in events} == {run.run_id for run in runs}
    assert manager.pending == 0
    said = [message["tracking_id"] for message in mine.messages]  # writers that other tests left may log too
    warned = [record for record in caplog.records if record.levelno > logging.INFO]
    assert not [record for record in warned if any(id in record.getMessage() for id in said)]  # it is all there
    mine("more")
    other("and more")
    assert texts(other.messages)[::2] == ["zero", "theirs", "mine", "more", "and more"]
    restored_is(store, other)


def test_of_the_state_what_each_has_changed_holds(store: FaultyStore) -> None:
    other, _ = build(store, "s", **REBASE)
    other.state.set("both", 0)
    other.state.set("gone", 0)
    other("zero")

    def theirs() -> None:
        other.state.set("both", "theirs")
        other.state.set("theirs", 1)
        other("theirs")

    @tool
    def note() -> str:
        """Sets the state."""
        mine.state.set("mine", 1)
        mine.state.delete("gone")
        return "noted"

    script = interrupted_by(theirs, lambda ms: "done" if "toolResult" in ms[-1]["content"][0] else ToolCall("note"))
    mine, _ = build(store, "s", script, tools=[note], **REBASE)
    mine.state.set("before", 1)
    mine("mine")
    assert mine.state.get() == {"both": "theirs", "theirs": 1, "mine": 1, "before": 1}
    restored_is(store, mine)


def test_a_state_is_merged_by_key() -> None:
    before, after = {"a": 1, "b": 1, "c": 1}, {"a": 1, "b": 2, "d": [2]}
    assert merged(before, after, {"a": 3, "c": 3, "e": 3}) == {"a": 3, "b": 2, "d": [2], "e": 3}


def test_it_goes_on_until_nobody_was_faster(store: FaultyStore) -> None:
    other, _ = build(store, "s", **REBASE)
    other("zero")
    mine, _ = build(store, "s", interrupted_by(lambda: other("1")), **REBASE)
    for n in range(2, 5):  # each time it is about to be stored, the other is faster
        held = store.plan("commit", at=2 * n - 2, hang="before")

        def faster(held: Any = held, n: int = n) -> None:
            assert held.reached.wait(60)
            other(str(n))
            held.release()

        threading.Thread(target=faster).start()
    mine("mine")
    assert texts(mine.messages)[::2] == ["zero", "1", "2", "3", "4", "mine"]
    restored_is(store, mine)


def test_it_is_raised_when_others_are_always_faster(store: FaultyStore) -> None:
    mine, manager = build(store, "s", lambda messages: "fine", on_stale="conflict", **REBASE)
    mine("zero")
    conflict = ConflictError("agents/default/writer", "a", "b")
    plan = store.plan("commit", times=None, before=conflict)
    with pytest.raises(ConflictError):
        mine("mine")
    assert plan.reached.is_set() and sum(call.verb == "commit" for call in store.calls) == 1 + 1 + TRIES
    store.heal()
    mine("again")
    assert texts(mine.messages) == ["zero", "fine", "again", "fine"]
    manager.close()


@pytest.mark.parametrize("how", ["waits for an answer", "has not ended", "was deleted", "touches what was before"])
def test_a_turn_that_can_not_be_put_there_is_raised_and_nothing_is_written(
    store: FaultyStore, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    other, others = build(store, "s", lambda messages: "fine")
    other("zero")
    asking, _ = build(store, "s", [ToolCall("ask")], tools=[ask])

    def meanwhile() -> None:
        match how:
            case "waits for an answer":
                asking("theirs")
            case "has not ended":
                store.plan("commit", at=2, times=None, before=ConflictError("x", 1, 2))
                with pytest.raises(ConflictError):
                    other("theirs")
                store.heal()
            case "was deleted":
                others.delete_session()
            case _:
                other("theirs")

    script = interrupted_by(
        meanwhile, lambda messages: Reply("no", redact_user="[REDACTED]") if how.startswith("touches") else "fine"
    )
    mine, manager = build(store, "s", script, **REBASE)
    if how.startswith("touches"):
        first: Any = {k: v for k, v in mine.messages[0].items()}
        prompt: Any = [first]
    else:
        prompt = "mine"
    with pytest.raises(ConflictError) as caught:
        mine(prompt)
    assert ("could not be put behind it" in str(caught.value)) == (how != "was deleted")
    lost = caught.value.unwritten
    assert lost == tuple(m["tracking_id"] for m in mine.messages[-len(lost) :]) != ()  # type: ignore[typeddict-item]
    warned = [r.getMessage() for r in caplog.records if r.levelno > logging.INFO and lost[0] in r.getMessage()]
    assert len(warned) == 1 and "not stored" in warned[0]
    stored, _ = build(store, "s")
    assert "mine" not in texts(stored.messages)
    if how != "waits for an answer":
        mine("again")
        assert unpaired(mine.messages) == []
        restored_is(store, mine)
        manager.close()


def said(store: FaultyStore) -> list[Any]:
    """The whole history."""
    log = layout.history("default")
    look = read_whole(store, layout.session_space("s", None), Log(log, [(0, None)]))
    return [codec.load_message(data, log)[0] for data in look.logs[log].entries.values()]


def test_an_answer_that_was_given_twice_is_kept_once(store: FaultyStore) -> None:
    """The second one's result has no tool use that it could be put behind."""
    result = build(store, "s", [ToolCall("ask")], tools=[ask])[0]("go")
    answer: Any = [{"interruptResponse": {"interruptId": result.interrupts[0].id, "response": "yes"}}]
    other, _ = build(store, "s", ["theirs"], tools=[ask])
    mine, _ = build(store, "s", interrupted_by(lambda: other(answer), lambda ms: "mine"), tools=[ask], **REBASE)
    with pytest.raises(ConflictError, match="it answers what was said before it"):
        mine(answer)
    assert said(store) == other.messages and unpaired(other.messages) == []
    mine("again")
    restored_is(store, mine)


@pytest.mark.parametrize("how", ["flushed", "several commits"])
def test_a_turn_of_which_a_part_is_stored_is_not_stored_twice(store: FaultyStore, how: str) -> None:
    other, _ = build(store, "s", lambda messages: "fine")
    other("zero")
    calls = 1 if how == "flushed" else 4

    @tool
    def act() -> str:
        """Has a part of the turn stored, or says so much that one commit does not hold it."""
        if how == "several commits":
            return "x" * (SOFT_BYTES // 2)
        manager.flush()
        other("theirs")
        return "flushed"

    def script(messages: Any) -> Any:
        done = sum("toolResult" in block for message in messages for block in message["content"])
        return "fine" if done == calls else ToolCall("act")

    mine, manager = build(store, "s", script, tools=[act], **REBASE)
    held = store.plan("commit", at=2, hang="before") if how == "several commits" else None

    def faster() -> None:
        assert held is not None and held.reached.wait(60)
        build(store.store, "s", lambda messages: "fine")[0]("theirs")
        held.release()

    thread = threading.Thread(target=faster)
    if held is not None:
        thread.start()
    with pytest.raises(ConflictError, match="a part of it is stored already"):
        mine("mine")
    if held is not None:
        thread.join()
    assert [text for text in texts(said(store)) if text in ("zero", "mine", "theirs")] == ["zero", "mine", "theirs"]
    mine("again")
    restored_is(store, mine)


@pytest.mark.parametrize("durability", ["message", "background"])
def test_it_needs_turns_that_are_stored_whole(durability: Any) -> None:
    with pytest.raises(ValueError, match=r"on_conflict='rebase' needs durability='turn'"):
        build(MemoryStore(), "s", durability=durability, on_conflict="rebase")


def test_real_processes_that_never_wait_lose_no_turn(processes: Parent, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    children = [processes.start("obey", url=url, session="s", **REBASE) for _ in range(4)]
    for child in children:
        child.hear()
    for turn in range(5):
        for at, child in enumerate(children):
            child.tell(f"{at}.{turn}")
        assert [child.hear() for child in children] == [None] * 4
    with open_store(url) as store:
        agent, _ = build(store, "s")
        said = texts(agent.messages)[::2]
        assert sorted(said) == sorted(f"{at}.{turn}" for at in range(4) for turn in range(5))
        for at in range(4):
            assert [text for text in said if text.startswith(f"{at}.")] == [f"{at}.{turn}" for turn in range(5)]
        assert [m["role"] for m in agent.messages] == ["user", "assistant"] * 40 and unpaired(agent.messages) == []
        counters = Sessions(store).get("s").counters
        assert (counters["messages"], counters["runs"]) == (80, 20)
