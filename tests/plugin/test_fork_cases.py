"""Forks and rewinds: engines, faults, what else is in a session, and what is refused."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from strands import Agent, tool
from strands.agent.conversation_manager import SlidingWindowConversationManager
from strands.hooks import MessageAddedEvent
from strands.multiagent import GraphBuilder

from strands_session_store import SessionBusyError, StoreSessionManager, codec, layout, open_store, records
from strands_session_store.errors import (
    AlreadyExistsError,
    ConflictError,
    InDoubt,
    MessageNotFoundError,
    NotTracedError,
    SessionNotFoundError,
    StoreError,
)
from strands_session_store.plugin.encoding import Encoder
from strands_session_store.plugin.jobs import Job, split
from strands_session_store.plugin.tracing import Tracing
from strands_session_store.prices import Prices
from strands_session_store.sessions import Sessions, building, forks
from strands_session_store.sessions.rewinding import rewind
from strands_session_store.stores.base import Doc, Log, PutDoc, Space, Store, Trim, new_commit_id
from strands_session_store.stores.reading import read_whole
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import Reply, ScriptedModel, ToolCall

from .children import Parent, wait_for


def fork(*args: Any, **options: Any) -> records.Session:
    """As `Sessions.fork` calls it."""
    return forks.fork(*args, named=lambda session: session, **options)


def space(session_id: str, owner: str | None = None) -> Space:
    return layout.session_space(session_id, owner)


@tool(context=True)
def note(tool_context: Any) -> str:
    """Notes how much was said by now."""
    tool_context.agent.state.set("noted", len(tool_context.agent.messages))
    return "noted"


def script(messages: Any) -> Reply:
    usage = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}
    if any("toolResult" in block for block in messages[-1]["content"]):
        return Reply("fine", usage=usage)
    return Reply(tools=[ToolCall("note")], usage=usage)


def build(store: Store | str, session_id: str = "s", agent_id: str = "a", **options: Any) -> Agent:
    return Agent(
        model=ScriptedModel(script),
        tools=[note],
        agent_id=agent_id,
        session_manager=StoreSessionManager(session_id, store, **options),
        conversation_manager=SlidingWindowConversationManager(6),
        callback_handler=None,
    )


def converse(store: Store | str, turns: int = 3, **options: Any) -> tuple[Agent, list[tuple[list[Any], Any]]]:
    """An agent of some turns; and when each message was added, what its messages and state were."""
    agent, seen = build(store, **options), []

    def look(event: MessageAddedEvent) -> None:
        seen.append(([*agent.messages], agent.state.get()))

    agent.hooks.add_callback(MessageAddedEvent, look)
    for turn in range(turns):
        agent.state.set("turn", turn)
        agent(f"prompt {turn}")
    return agent, seen


def history(store: Store, session_id: str = "s", agent_id: str = "a") -> list[Any]:
    return [
        e.message for e in Sessions(store).messages.page(session_id, agent_id=agent_id, limit=1000).entries.values()
    ]


# ------------------------------------------------------------------------------------------------------------- engines


@pytest.mark.parametrize("engine", ["sqlite", "redis", "directory", "s3"])
def test_on_every_engine(engine: str, url_of: Callable[[str], str]) -> None:
    with open_store(url_of(engine)) as store:
        agent, seen = converse(store)
        said = history(store)
        assert len(said) == 12 and seen[7][0] != agent.messages
        made = fork(store, space("s"), space("copy", "their owner"), said[7]["tracking_id"])
        assert made.origin == records.Origin(session_id="s", message_id=said[7]["tracking_id"], agent_id="a", index=7)
        copy = build(store, "copy", user_id="their owner")
        assert (copy.messages, copy.state.get()) == seen[7]
        copy("and on")
        assert build(store, "copy", user_id="their owner").messages == copy.messages
        fork(store, space("s"), space("all"))
        whole = build(store, "all")
        assert (whole.messages, whole.state.get()) == (agent.messages, agent.state.get())
        rewind(store, space("s"), said[7]["tracking_id"])
        back = build(store)
        assert (back.messages, back.state.get()) == seen[7]
        agent("again")  # it is reloaded
        assert not any(message in said[8:] for message in agent.messages) and agent.state.get()["turn"] == 1
        assert history(store) == [*said, *agent.messages[-4:]]
        assert (build(store).messages, build(store).state.get()) == (agent.messages, agent.state.get())


@pytest.mark.parametrize("at", [1, 2, 4, "last"])
def test_a_fork_that_is_killed_leaves_nothing(at: Any, processes: Parent, url_of: Callable[[str], str]) -> None:
    url = url_of("sqlite")
    with open_store(url) as store:
        agent, _ = converse(store)
        if at == "last":
            with (
                mock.patch.object(building, "BATCH_CHANGES", 3),
                mock.patch.object(store, "commit", wraps=store.commit) as made,
            ):
                fork(store, space("s"), space("count"))
            at = made.call_count
        child = processes.start("fork_and_hang", url=url, session="s", at=at, vanishes=1.0 if at == 4 else 600.0)
        assert child.hear() == "hangs"
        child.kill()
        with pytest.raises(SessionNotFoundError):
            Sessions(store).get("copy")
        left = store.read(space("copy"), Doc(layout.MAKING))
        assert (left.incarnation is None) == (at == 1)
        if at == 4:
            wait_for(lambda: store.read(space("copy")).incarnation is None, "its end")
        fork(store, space("s"), space("copy"))
        assert build(store, "copy").messages == agent.messages
        assert layout.MAKING not in store.read(space("copy"), Doc(layout.MAKING)).docs


def test_a_commit_whose_answer_is_lost_is_repeated(store: FaultyStore) -> None:
    agent, _ = converse(store)
    with mock.patch.object(building, "BATCH_CHANGES", 3):
        store.plan("commit", at=2, after=InDoubt("no answer"))
        fork(store, space("s"), space("copy"))
        store.plan("commit", at=3, times=None, before=InDoubt("no answer"))
        with pytest.raises(InDoubt):
            fork(store, space("s"), space("other"))
        store.heal()
        fork(store, space("s"), space("other"))
    assert build(store, "copy").messages == build(store, "other").messages == agent.messages
    assert history(store, "copy") == history(store)


def test_commits_are_bounded(store: FaultyStore) -> None:
    agent = build(store)
    agent.messages.extend({"role": "user", "content": [{"text": "x" * 2000}]} for _ in range(6000))
    agent._session_manager.flush()
    weights = []

    def weigh(target: Any, *changes: Any, **options: Any) -> Any:
        entries = [data for change in changes for data in getattr(change, "entries", ())]
        weights.append((len(changes) + len(entries), sum(map(len, entries))))
        return commit(target, *changes, **options)

    commit = store.commit
    with mock.patch.object(store, "commit", weigh):
        fork(store, space("s"), space("copy"))
    assert max(count for count, _ in weights) <= building.BATCH_CHANGES + 20
    assert max(size for _, size in weights) <= building.BATCH_BYTES and len(weights) > 2
    assert Sessions(store).messages.page("copy", agent_id="a").length == 6000


# --------------------------------------------------------------------------------------------- what else there is in it


def test_other_agents_runs_and_events_are_those_of_that_time(store: FaultyStore) -> None:
    manager = StoreSessionManager("s", store)
    agents = {
        id: Agent(
            model=ScriptedModel(script), tools=[note], agent_id=id, session_manager=manager, callback_handler=None
        )
        for id in ("a", "b", "later")
    }
    clock = itertools.count(time.time())  # a second passes at each look
    with mock.patch("time.time", clock.__next__):
        for id in ("b", "a", "b", "a", "later"):
            agents[id].state.set("turns", agents[id].state.get("turns") or 0)
            agents[id](f"to {id}")
            agents[id].state.set("turns", agents[id].state.get("turns") + 1)
            manager.flush()
    said = history(store)
    assert len(said) == 8
    fork(store, space("s"), space("copy"), said[5]["tracking_id"])  # in the midst of the second turn of "a"
    copied = Sessions(store)
    assert copied.get("copy").agents == ("a", "b")
    assert history(store, "copy", "a") == said[:6] and history(store, "copy", "b") == history(store, "s", "b")
    b = build(store, "copy", "b")
    assert b.state.get() == {"turns": 2, "noted": 6}  # what was set when its turn was over, too
    ended, open_runs = copied.runs.list("copy").entries, copied.runs.active("copy")
    assert [run.agent_id for run in ended.values()] == ["b", "a", "b"]
    assert [run.agent_id for run in open_runs] == ["a"]
    assert [e.agent_id for e in copied.events.list("copy").entries.values()] == ["b", "a", "b"]
    counters = copied.get("copy").counters
    assert {name: value for name, value in counters.items() if value} == {"messages": 14, "runs": 4}
    agent = build(store, "copy", "a")
    agent("go on")
    assert [run.status for run in copied.runs.list("copy").entries.values()][-2:] == ["abandoned", "completed"]
    fork(store, space("s"), space("whole"))
    whole = copied.get("whole")
    assert whole.agents == ("a", "b", "later")
    assert {name: value for name, value in whole.counters.items() if value} == {"messages": 20, "runs": 5}


def test_graphs_are_in_a_fork_of_the_whole_session_only(store: FaultyStore) -> None:
    agent, _ = converse(store, turns=1)
    builder = GraphBuilder()
    builder.add_node(Agent(model=ScriptedModel(["one"]), callback_handler=None), "node")
    builder.set_graph_id("g")
    builder.set_max_node_executions(2)
    builder.set_session_manager(StoreSessionManager("s", store))
    builder.build()("task")
    fork(store, space("s"), space("whole"))
    fork(store, space("s"), space("part"), agent.messages[-1]["tracking_id"])
    tree = [(one.path, one.bytes, one.entries, one.value) for one in Sessions(store).layout_tree("whole")]
    source = [(one.path, one.bytes, one.entries, one.value) for one in Sessions(store).layout_tree("s")]
    beside = ("session", "agents/a/writer", "multi_agents/g/writer", *layout.USAGE_COUNTERS)
    kept = [one for one in source if one[0] not in beside and not one[0].startswith(layout.USAGE)]
    assert [one for one in tree if one[0] != "session"] == kept
    assert any(path.startswith("multi_agents/g/nodes/node") for path, *_ in tree)
    assert Sessions(store).multi_agents("part") == ()


def test_what_was_trimmed_stays_so_and_indices_stay(store: FaultyStore) -> None:
    _, seen = converse(store, turns=4)
    said = history(store)
    store.commit(space("s"), Trim(layout.history("a"), 8), commit_id=new_commit_id())
    fork(store, space("s"), space("copy"), said[11]["tracking_id"])
    found = Sessions(store).messages.page("copy", agent_id="a")
    assert (found.start, found.length) == (8, 12) and [e.message for e in found.entries.values()] == said[8:12]
    assert build(store, "copy").messages == [m for m in seen[11][0] if m in said[8:12]] == said[8:12]
    with pytest.raises(MessageNotFoundError):
        fork(store, space("s"), space("other"), said[5]["tracking_id"])


def test_a_source_in_use_is_forked_in_one_state(store: FaultyStore) -> None:
    agent, _ = converse(store)
    read, looks = store.read, []

    def busy(*args: Any) -> Any:
        found = read(*args)
        looks.append(1)
        if len(looks) == 2:  # between the two looks that tell which logs there are
            build(store, "s", f"new {len(looks)}")("hello")
        return found

    with mock.patch.object(store, "read", busy):
        fork(store, space("s"), space("copy"))
    assert Sessions(store).get("copy").agents == ("a", "new 2")
    assert build(store, "copy", "new 2").messages == build(store, "s", "new 2").messages
    assert build(store, "copy").messages == agent.messages


# ------------------------------------------------------------------------------------------------------------- refusals


def test_wrong_input_is_refused_and_nothing_written(store: FaultyStore) -> None:
    converse(store)
    two = StoreSessionManager("two", store)
    same = {"role": "user", "content": [{"text": "x"}], "tracking_id": "same"}
    agents = [
        Agent(model=ScriptedModel(script), agent_id=id, session_manager=two, messages=[dict(same)]) for id in ("a", "b")
    ]
    two.flush()
    assert len(agents) == 2
    for source, at, agent_id, error in (
        ("none", None, None, SessionNotFoundError),
        ("none", "x", None, SessionNotFoundError),
        ("s", "no such message", None, MessageNotFoundError),
        ("s", history(store)[0]["tracking_id"], "b", MessageNotFoundError),
        ("s", None, "a", ValueError),
        ("two", "same", None, ValueError),
    ):
        with pytest.raises(error):
            fork(store, space(source), space("copy"), at, agent_id)
        if at is not None:
            with pytest.raises(error):
                rewind(store, space(source), at, agent_id)
        assert store.read(space("copy")).incarnation is None
    with pytest.raises(SessionNotFoundError):
        fork(store, space("s", "somebody else"), space("copy"))
    for target in ("s", "two"):
        with pytest.raises(AlreadyExistsError):
            fork(store, space("s"), space(target))
    # a session that an agent has begun, and not stored yet
    store.commit(space("begun"), PutDoc(layout.LEASE, b"{}"), commit_id=new_commit_id())
    with pytest.raises(AlreadyExistsError):
        fork(store, space("s"), space("begun"))


def test_messages_stored_by_an_earlier_version_are_refused_with_a_remedy(store: FaultyStore) -> None:
    with mock.patch.object(Tracing, "note"):
        converse(store)
    agent = build(store)
    agent("and now")
    said = history(store)
    for call in (lambda at: fork(store, space("s"), space("copy"), at), lambda at: rewind(store, space("s"), at)):
        with pytest.raises(NotTracedError, match=r"message 11 .*choose a later message, or fork without at="):
            call(said[11]["tracking_id"])
    fork(store, space("s"), space("copy"), said[12]["tracking_id"])
    assert build(store, "copy").messages[-1] == said[12]
    fork(store, space("s"), space("whole"))
    assert build(store, "whole").messages == agent.messages


def test_state_too_large_to_be_traced_is_told(store: FaultyStore) -> None:
    agent = build(store)
    agent.state.set("large", "x" * 5_000_000)
    agent("one")
    with pytest.raises(NotTracedError):
        fork(store, space("s"), space("copy"), agent.messages[0]["tracking_id"])
    fork(store, space("s"), space("copy"))
    assert build(store, "copy").state.get("large") == "x" * 5_000_000


# ------------------------------------------------------------------------------------------------------------- rewinds


def test_a_rewind_erases_nothing_and_is_an_event(store: FaultyStore) -> None:
    converse(store)
    said = history(store)
    event = rewind(store, space("s"), said[3]["tracking_id"])
    assert history(store) == said
    found = [e for e in Sessions(store).events.list("s").entries.values() if e.type == "rewind"]
    assert found == [event] and (event.parent, event.agent_id) == (said[3]["tracking_id"], "a")
    assert event.data == {"index": 3, "messages": 12}
    assert build(store).messages == said[:4]


def test_a_rewind_waits_for_no_lease(store: FaultyStore) -> None:
    agent = build(store, exclusive=True)
    before = []

    def act(messages: Any) -> Any:
        if not before:
            before.append(1)
            with pytest.raises(SessionBusyError, match=f"pid {os.getpid()}"):
                rewind(store, space("s"), agent.messages[0]["tracking_id"])
        return script(messages)

    agent.model = ScriptedModel(act)
    agent("hello")
    assert before
    rewind(store, space("s"), agent.messages[0]["tracking_id"])
    agent("again")
    assert len(agent.messages) == 5


def test_what_a_live_agent_still_has_to_store_is_a_conflict(store: FaultyStore) -> None:
    agent, _ = converse(store, turns=1, on_stale="conflict")
    rewind(store, space("s"), agent.messages[0]["tracking_id"])
    with pytest.raises((ConflictError, StoreError)):
        agent("in vain")
    assert len(history(store)) == 4
    agent("again")
    assert len(agent.messages) == 5


def test_an_agent_written_meanwhile_is_read_again(store: FaultyStore) -> None:
    converse(store)
    said, commit, others = history(store), store.commit, []

    def late(*args: Any, **options: Any) -> Any:
        if not others:
            others.append(build(store))
            others[0]("meanwhile")
        return commit(*args, **options)

    with mock.patch.object(store, "commit", late):
        rewind(store, space("s"), said[3]["tracking_id"])
    assert len(history(store)) == 16 and build(store).messages == said[:4]


def test_the_trace_holds_no_message_and_turns_without_a_change_none(store: FaultyStore, tmp_path: Path) -> None:
    from strands.agent.conversation_manager import NullConversationManager

    manager = StoreSessionManager("s", store, before_store=lambda message: {**message, "content": [{"text": "-"}]})
    agent = Agent(
        model=ScriptedModel(lambda _: "secret"),
        session_manager=manager,
        conversation_manager=NullConversationManager(),
        callback_handler=None,
    )
    for _ in range(3):
        agent("secret")
    log = layout.trace("default")
    view = read_whole(store, space("s"), Log(log, spans=[(0, None)])).logs[log]
    assert view.length == 1 and b"secret" not in view.entries[0]
    assert codec.load(records.Trace, view.entries[0], log).whole


def test_a_job_in_several_commits_has_its_trace_with_its_documents() -> None:
    """Else a process that ends in between has a trace that is ahead of them."""
    job = Job(layout.writer("a"))
    for at in range(3):
        message = {"role": "user", "content": [{"text": "x" * 3_000_000}], "tracking_id": str(at)}
        job.append(layout.history("a"), records.Message(message=message), at=at)
    job.append(layout.trace("a"), records.Trace(history=0, whole=True), at=0)
    job.docs[layout.agent("a")] = b"{}"
    atoms, _ = Encoder("s", None, Prices(published=False), nullcontext()).atoms(job)
    parts = [
        [getattr(c, "log", None) or getattr(c, "path", None) for atom in part for c in atom] for part in split(atoms)
    ]
    assert len(parts) > 1
    assert [layout.trace("a") in part for part in parts] == [layout.agent("a") in part for part in parts]
    assert {layout.trace("a"), layout.agent("a")} <= set(parts[-1])
