"""Graphs and Swarms: progress after every node, resumed in the middle; what nodes say is recorded."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from strands import Agent, ToolContext, tool
from strands.agent import _continuation
from strands.hooks import AfterNodeCallEvent, BeforeModelCallEvent, BeforeNodeCallEvent, HookOrder, MessageAddedEvent
from strands.multiagent import GraphBuilder, Swarm
from strands.types.exceptions import EventLoopException

from strands_session_store import ConflictError, StoreError, StoreSessionManager, Unavailable, layout
from strands_session_store.codec import load
from strands_session_store.layout import session_space
from strands_session_store.records import Message as Entry
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Log, Store
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import ScriptedModel, ToolCall


class Killed(Exception):
    """Ends a process, as far as the orchestrator can tell."""


def node(name: str, script: Any = None, tools: Any = ()) -> Agent:
    script = script or (lambda messages: f"{name} has done it")
    return Agent(model=ScriptedModel(script), tools=list(tools), name=name, callback_handler=None)


def graph(manager: Any, names: str = "abc", id: str = "g", make: Callable[[str], Any] = node) -> Any:
    """A chain of nodes."""
    builder = GraphBuilder()
    for name in names:
        builder.add_node(make(name), name)
    for before, after in pairwise(names):
        builder.add_edge(before, after)
    builder.set_entry_point(names[0])
    builder.set_graph_id(id)
    builder.set_max_node_executions(50)
    if manager is not None:
        builder.set_session_manager(manager)
    return builder.build()


def said(store: Store, *path: str, id: str = "g") -> list[str]:
    log = layout.node_history(id, path)
    view = store.read(session_space("s", None), Log(log, spans=[(0, None)])).logs[log]
    entries = [load(Entry, data, log).message for data in view.entries.values()]
    assert len({m["tracking_id"] for m in entries}) == len(entries)
    return [" ".join(b.get("text", "") for b in m["content"]) for m in entries]


def progress(store: Store, *path: str, id: str = "g") -> Any:
    found = [m.state for m in Sessions(store).multi_agents("s") if m.multi_agent_id == id]
    return found[0] if found else None


def killed_before(orchestrator: Any, node_id: str, store: FaultyStore, outer: Any = None) -> None:
    """Run it up to a node. As of a killed process, nothing that it does from then on is stored."""

    def kill(event: BeforeNodeCallEvent) -> None:
        if event.node_id == node_id:
            store.plan("commit", before=Unavailable("this process was killed"), times=None)
            raise Killed

    orchestrator.hooks.add_callback(BeforeNodeCallEvent, kill)
    with contextlib.suppress(Killed, StoreError):  # a Swarm only notes that its node has failed
        (outer or orchestrator)("the task")
    assert store.count("commit")
    store.heal()


@pytest.mark.parametrize("durability", ["message", "background", "turn"])
def test_a_graph_is_recorded_with_all_its_nodes_say(store: FaultyStore, durability: Any) -> None:
    first = graph(StoreSessionManager("s", store, durability=durability))
    first("the task")
    assert progress(store)["completed_nodes"] and set(progress(store)["completed_nodes"]) == set("abc")
    assert said(store, "a") == ["the task", "a has done it"]
    assert len(said(store, "b")) == len(said(store, "c")) == 2
    overview = Sessions(store).get("s")
    assert overview.multi_agents == ("g",) and overview.agents == ()
    assert overview.counters["messages"] == 6 and overview.counters["runs"] == 1
    (run,) = Sessions(store).runs.list("s").entries.values()
    assert (run.multi_agent_id, run.status) == ("g", "completed") and overview.open_runs == 0
    again = graph(StoreSessionManager("s", store))
    assert again("another task").status.value == "completed"  # one that ended begins anew
    assert said(store, "a")[2:] == ["another task", "a has done it"]


def test_progress_is_stored_after_each_node(store: FaultyStore) -> None:
    running = graph(StoreSessionManager("s", store))
    seen: list[list[str]] = []
    running.hooks.add_callback(
        AfterNodeCallEvent,
        lambda event: seen.append(sorted(progress(store)["completed_nodes"])),
        order=HookOrder.SDK_LAST + 1,
    )
    running("the task")
    assert seen == [["a"], ["a", "b"], ["a", "b", "c"]]


@pytest.mark.parametrize("next_node", ["b", "c"])
def test_a_graph_goes_on_at_the_next_node_with_its_task(store: FaultyStore, next_node: str) -> None:
    first = graph(StoreSessionManager("s", store))
    killed_before(first, next_node, store)
    second = graph(StoreSessionManager("s", store))
    result = second("something else")
    done = "abc".index(next_node)
    assert [n.node_id for n in result.execution_order] == list("abc")
    assert said(store, "a") == ["the task", "a has done it"]
    assert "the task" in said(store, "c")[0] and "something else" not in said(store, "c")[0]
    calls = {id: len(second.nodes[id].executor.messages) for id in "abc"}
    assert [calls[id] > 0 for id in "abc"] == [n >= done for n in range(3)]


def test_a_graph_interrupted_in_a_node_goes_on_in_another_manager(store: FaultyStore) -> None:
    @tool(context=True)
    def ask(tool_context: ToolContext) -> str:
        """Ask the user."""
        return f"they said {tool_context.interrupt('approval', reason='may I')}"

    def make(name: str) -> Agent:
        if name != "b":
            return node(name)
        return node("b", lambda m: "b got it" if "toolResult" in str(m[-1]) else ToolCall("ask"), [ask])

    first = graph(StoreSessionManager("s", store), make=make)
    result = first("the task")
    assert result.status.value == "interrupted"
    (interrupt,) = result.interrupts
    assert [r.status for r in Sessions(store).runs.list("s").entries.values()] == ["interrupted"]
    second = graph(StoreSessionManager("s", store), make=make)
    result = second([{"interruptResponse": {"interruptId": interrupt.id, "response": "yes"}}])
    assert result.status.value == "completed"
    assert "they said yes" in str(second.nodes["b"].executor.messages)
    assert said(store, "a") == ["the task", "a has done it"]
    assert said(store, "b")[-1] == "b got it" and len(said(store, "b")) == 4
    assert [r.status for r in Sessions(store).runs.list("s").entries.values()] == ["interrupted", "completed"]


def swarm(manager: Any, id: str = "w") -> Swarm:
    """Each hands off to the next."""
    names = ["ann", "bob", "cid"]

    def make(at: int) -> Agent:
        def script(messages: Any) -> Any:
            if at == 2 or "toolResult" in str(messages[-1]):
                return f"{names[at]} is done"
            return ToolCall("handoff_to_agent", {"agent_name": names[at + 1], "message": "yours"})

        return node(names[at], script)

    return Swarm([make(n) for n in range(3)], id=id, session_manager=manager)


def test_a_swarm_is_recorded_and_goes_on_at_the_next_node(store: FaultyStore) -> None:
    first = swarm(StoreSessionManager("s", store))
    killed_before(first, "cid", store)
    second = swarm(StoreSessionManager("s", store))
    result = second("something else")
    assert result.status.value == "completed"
    assert [n.node_id for n in result.node_history] == ["ann", "bob", "cid"]
    assert said(store, "cid", id="w")[-1] == "cid is done"
    assert "the task" in said(store, "cid", id="w")[0]
    assert len(second.nodes["ann"].executor.messages) == 0
    assert [r.status for r in Sessions(store).runs.list("s").entries.values()][-1] == "completed"


def test_a_graph_in_a_graph_has_its_progress_restored(store: FaultyStore) -> None:
    def make(name: str) -> Any:
        return graph(None, "xyz", id="inner") if name == "b" else node(name)

    first = graph(StoreSessionManager("s", store), make=make)
    killed_before(first.nodes["b"].executor, "z", store, outer=first)
    assert said(store, "b", "y")[-1] == "y has done it" and said(store, "b", "z") == []
    second = graph(StoreSessionManager("s", store), make=make)
    inner = second.nodes["b"].executor
    assert sorted(n.node_id for n in inner.state.completed_nodes) == ["x", "y"]
    result = second("something else")
    assert result.status.value == "completed"
    assert [n.node_id for n in result.execution_order] == list("abc")
    assert [n.node_id for n in inner.state.execution_order] == list("xyz")
    assert len(said(store, "b", "x")) == 2, "x did its work once"
    assert said(store, "b", "z")[-1] == "z has done it"
    tree = [s.path for s in Sessions(store).layout_tree("s")]
    assert "multi_agents/g/nodes/b/state" in tree and "multi_agents/g/nodes/b/z/messages" in tree


def test_a_swarm_in_a_graph_is_recorded(store: FaultyStore) -> None:
    def make(name: str) -> Any:
        return swarm(None) if name == "b" else node(name)

    first = graph(StoreSessionManager("s", store), make=make)
    assert first("the task").status.value == "completed"
    assert said(store, "b", "cid")[-1] == "cid is done"
    second = graph(StoreSessionManager("s", store), make=make)
    assert second("again").status.value == "completed"
    assert said(store, "b", "cid")[-1] == "cid is done" and len(said(store, "b", "cid")) == 4


def test_two_orchestrators_and_an_agent_in_one_session(store: FaultyStore) -> None:
    manager = StoreSessionManager("s", store)
    one, two = graph(manager, id="one"), swarm(manager, id="two")
    solo = Agent(model=ScriptedModel(["hello"]), session_manager=manager, callback_handler=None)
    one("first task"), two("second task"), solo("hi")
    overview = Sessions(store).get("s")
    assert overview.multi_agents == ("one", "two") and overview.agents == ("default",)
    assert overview.counters["runs"] == 3
    assert said(store, "a", id="one")[0] == "first task" and "second task" in said(store, "ann", id="two")[0]
    with pytest.raises(StoreError, match="'one' must be unique"):
        graph(manager, id="one")


def test_two_managers_of_one_graph_conflict(store: FaultyStore) -> None:
    first, second = (graph(StoreSessionManager("s", store, on_stale="conflict")) for _ in range(2))
    first("the task")
    with pytest.raises((ConflictError, EventLoopException)) as caught:
        second("the task")
    assert ConflictError in (type(caught.value), type(caught.value.__cause__))
    assert said(store, "a") == ["the task", "a has done it"]


@pytest.mark.parametrize("queued", [False, True])
def test_a_message_that_strands_announces_again_is_recorded_once(store: FaultyStore, queued: bool) -> None:
    """What a hook adds before the model is asked is merged into the prompt, and the prompt is announced again."""
    running = graph(StoreSessionManager("s", store, durability="background"), "ab")
    held = store.plan("commit", hang="before", times=None)
    if not queued:
        held.release()

    async def add(event: BeforeModelCallEvent) -> None:
        _continuation.add_input(event, _continuation._ContinuationInput("and one thing more"))

    async def look(event: MessageAddedEvent) -> None:
        if event.message["role"] == "assistant":
            held.release()

    running.nodes["a"].executor.hooks.add_callback(BeforeModelCallEvent, add)
    running.nodes["a"].executor.hooks.add_callback(MessageAddedEvent, look)
    running("the task")
    assert said(store, "a") == ["the task and one thing more", "a has done it"]
    assert len(said(store, "b")) == 2
    assert Sessions(store).get("s").counters["messages"] == 4
    running("the task")
    assert said(store, "a") == ["the task and one thing more", "a has done it"] * 2


def test_tool_calls_of_nodes_are_events(store: FaultyStore) -> None:
    @tool
    def look() -> str:
        """Look."""
        return "seen"

    script = lambda m: "done" if "toolResult" in str(m[-1]) else ToolCall("look", id="use-1")  # noqa: E731
    running = graph(StoreSessionManager("s", store), "a", make=lambda name: node(name, script, [look]))
    running("the task")
    (event,) = Sessions(store).events.list("s").entries.values()
    (run,) = Sessions(store).runs.list("s").entries.values()
    assert (event.name, event.tool_use_id, event.agent_id, event.run_id) == ("look", "use-1", "a", run.run_id)


def test_open_reads_ahead_for_orchestrators(store: FaultyStore) -> None:
    first = graph(StoreSessionManager("s", store))
    killed_before(first, "c", store)

    async def resume() -> Any:
        manager = await StoreSessionManager.open("s", store, agent_ids=(), multi_agent_ids=["g"])
        reads = store.count("read")
        running = graph(manager)
        assert store.count("read") == reads
        return await running.invoke_async("x")

    assert [n.node_id for n in asyncio.run(resume()).execution_order] == list("abc")


@pytest.mark.parametrize("durability", ["background", "turn"])
def test_what_is_pending_of_an_orchestrator_is_bounded_too(
    store: FaultyStore, durability: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strands_session_store.plugin.writer.PENDING_JOBS", 10)
    manager = StoreSessionManager("s", store, durability=durability)
    chain = graph(manager)
    store.plan("commit", before=Unavailable("down"), times=None)
    with pytest.raises(Unavailable):
        chain("one")  # three nodes, ten jobs and more
    pending = manager.pending
    assert pending >= 10
    for _ in range(5):
        with pytest.raises(Unavailable):
            chain("none begins")
    assert manager.pending == pending
    store.heal()
    chain("it is back")
    assert manager.pending == 0
    assert len(said(store, "a")) == 4 and Sessions(store).runs.active("s") == ()
