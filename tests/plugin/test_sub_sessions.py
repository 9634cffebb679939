"""Agents that are called, as a tool or as a node, are recorded in sessions of their own below the caller's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from strands import Agent, ToolContext, tool
from strands.hooks import AfterInvocationEvent, AfterToolCallEvent, BeforeToolCallEvent, HookOrder
from strands.multiagent import Swarm
from strands.tools.executors import ConcurrentToolExecutor, SequentialToolExecutor
from strands.types.exceptions import EventLoopException

from strands_session_store import ConflictError, StoreError, StoreSessionManager, Unavailable, ids, open_store
from strands_session_store.errors import IllegalMoveError
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Store
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import Reply, ScriptedModel, ToolCall

from .children import wait_for
from .test_multi_agent import graph, killed_before, node, swarm
from .test_multi_agent import said as said_by_node

RESULT = "toolResult"


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FaultyStore]:
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/subs.db"
    with FaultyStore(open_store(url)) as faulty:
        yield faulty
        faulty.heal()


def manager(store: Store, session_id: str = "s", **options: Any) -> StoreSessionManager:
    return StoreSessionManager(session_id, store, sub_sessions=True, **options)


def asks(*names: str) -> Callable[[Any], Any]:
    """A model that calls these tools at once, then answers."""

    def script(messages: Any) -> Any:
        if RESULT in str(messages[-1]):
            return "that is all"
        return [ToolCall(name, {"input": f"for {name}"}, id=f"use-{name}-{len(messages)}") for name in names]

    return script


def worker(name: str = "researcher", script: Any = None, tools: Any = (), **options: Any) -> Agent:
    script = script or (lambda messages: Reply(f"{name} says {len(messages)}", usage=USAGE))
    return Agent(model=ScriptedModel(script), name=name, tools=list(tools), callback_handler=None, **options)


USAGE = {"inputTokens": 100, "outputTokens": 10, "totalTokens": 110}


def boss(session_manager: Any, *called: Any, **options: Any) -> Agent:
    """Calls all of its tools in each turn."""
    tools = [each.as_tool() if isinstance(each, Agent) else each for each in called]
    script = asks(*(each.tool_name for each in tools))
    return Agent(
        model=ScriptedModel(script), tools=tools, session_manager=session_manager, callback_handler=None, **options
    )


def children(store: Store, session_id: str = "s") -> list[Any]:
    return [found.session for found in Sessions(store).children(session_id)]


def said(store: Store, session_id: str, agent_id: str = "default") -> list[str]:
    view = Sessions(store).messages.page(session_id, agent_id=agent_id, limit=1000)
    messages = [entry.message for entry in view.entries.values()]
    assert len({m["tracking_id"] for m in messages}) == len(messages)
    return [" ".join(str(b.get("text", *b)) for b in m["content"]) for m in messages]


CALL = ["for researcher", "researcher says 1"]


@pytest.mark.parametrize("durability", ["message", "background", "turn"])
def test_an_agent_that_is_a_tool_is_recorded_below_its_caller(store: FaultyStore, durability: Any) -> None:
    with manager(store, user_id="ada", durability=durability) as opened:
        boss(opened, worker())("go")
    sessions = Sessions(store)
    (node,) = sessions.children("s", "ada")
    sub = node.session
    assert (sub.parent_id, sub.kind, sub.user_id, sub.title) == ("s", "sub_agent", "ada", "researcher")
    assert sub.session_id == ids.below("s", "sub_agent", "default", "researcher")
    history = sessions.messages.page(sub.session_id, "ada")
    assert [m.message["content"][0]["text"] for m in history.entries.values()] == CALL
    (run,) = sessions.runs.list(sub.session_id, "ada").entries.values()
    assert (run.status, run.messages, run.usage.output_tokens, run.first_message) == ("completed", 2, 10, 0)
    overview = sessions.get(sub.session_id, "ada")
    assert overview.counters["input_tokens"] == 100 and overview.counters["messages"] == 2 and overview.open_runs == 0
    own = sessions.get("s", "ada").counters["input_tokens"]
    tree = sessions.tree("s", "ada")
    assert sum(each.counters["input_tokens"] for each in tree) == own + 100
    (event,) = sessions.events.list("s", "ada").entries.values()
    assert event.data == {"session_id": sub.session_id, "run_id": run.run_id}
    assert sessions.events.list(sub.session_id, "ada").length == 0


@pytest.mark.parametrize("durability", ["message", "background", "turn"])
def test_without_the_option_nothing_is_different(store: FaultyStore, durability: Any) -> None:
    with StoreSessionManager("s", store, durability=durability) as opened:
        boss(opened, worker())("go")
    assert children(store) == [] and [e.data for e in Sessions(store).events.list("s").entries.values()] == [None]


def test_what_a_call_costs(store: FaultyStore) -> None:
    """One read, and the commits that the agent would need by itself; in the parent, nothing."""
    plain, calling = FaultyStore(open_store("memory://")), store
    caller, agents = boss(manager(calling, on_stale="conflict"), worker()), []
    agents = [(plain, boss(StoreSessionManager("s", plain, on_stale="conflict"), worker())), (calling, caller)]
    counts = []
    for turn in range(3):
        for where, agent in agents:
            before = where.count("read"), where.count("commit")
            agent("go")
            counts.append((turn, where.count("read") - before[0], where.count("commit") - before[1]))
    assert counts == [(turn, *cost) for turn in range(3) for cost in ((0, 5), (1, 5 + 3))]


def test_the_next_process_appends_to_the_same_session(store: FaultyStore) -> None:
    for turn in range(3):
        with manager(store) as opened:
            called = worker()
            boss(opened, called)(f"turn {turn}")
        assert len(called.messages) == 2, "it starts afresh each time"
    (sub,) = children(store)
    assert said(store, sub.session_id) == CALL * 3
    assert [r.first_message for r in Sessions(store).runs.list(sub.session_id).entries.values()] == [0, 2, 4]


def test_a_kept_agent_is_called_again_and_again(store: FaultyStore) -> None:
    caller = boss(manager(store), worker())
    for _ in range(3):
        caller("go")
    (sub,) = children(store)
    assert said(store, sub.session_id) == CALL * 3
    assert Sessions(store).get(sub.session_id).counters["messages"] == 6
    # opened by itself, it is as it was at the end of the last call
    resumed = Agent(model=ScriptedModel(["more"]), session_manager=StoreSessionManager(sub.session_id, store))
    assert [m["content"][0]["text"] for m in resumed.messages] == CALL
    resumed("on")
    caller("go")  # another process went on with it: the record goes on behind that
    assert said(store, sub.session_id) == [*CALL * 3, "on", "more", *CALL]


def test_an_agent_that_keeps_its_context_is_recorded_once_and_not_restored(store: FaultyStore) -> None:
    called = worker()
    caller = boss(manager(store), called.as_tool(preserve_context=True))
    caller("one"), caller("two")
    (sub,) = children(store)
    assert said(store, sub.session_id) == [*CALL, "for researcher", "researcher says 3"]
    resumed = Agent(model=ScriptedModel([]), session_manager=StoreSessionManager(sub.session_id, store))
    assert resumed.messages == called.messages and len(resumed.messages) == 4
    # in the next process it has nothing of that: it is a record
    again = worker()
    boss(manager(store), again.as_tool(preserve_context=True))("three")
    assert len(again.messages) == 2
    assert said(store, sub.session_id)[4:] == CALL


def test_what_was_not_said_in_a_call_is_context_and_no_history(store: FaultyStore) -> None:
    example = [{"role": r, "content": [{"text": f"an example by {r}"}]} for r in ("user", "assistant")]
    called = worker(messages=example)
    caller = boss(manager(store), called.as_tool(preserve_context=True))
    caller("one")
    called("by the application itself")
    caller("two")
    (sub,) = children(store)
    expected = ["for researcher", "researcher says 3", "for researcher", "researcher says 7"]
    assert said(store, sub.session_id) == expected
    resumed = Agent(model=ScriptedModel([]), session_manager=StoreSessionManager(sub.session_id, store))
    assert resumed.messages == called.messages and len(resumed.messages) == 8


def test_agents_that_call_agents_that_call_agents(store: FaultyStore) -> None:
    third = worker("third")
    second = worker("second", asks("third"), [third.as_tool()])
    first = worker("first", asks("second"), [second.as_tool()])
    with manager(store) as opened:
        caller = boss(opened, first)
        caller("go"), caller("go")
    tree = Sessions(store).tree("s")
    assert [(n.depth, n.session.title) for n in tree] == [(0, None), (1, "first"), (2, "second"), (3, "third")]
    assert said(store, tree[3].session.session_id) == ["for third", "third says 1"] * 2
    (event, _) = Sessions(store).events.list(tree[1].session.session_id).entries.values()
    assert event.name == "second" and event.data["session_id"] == tree[2].session.session_id


def test_one_agent_called_twice_at_once_is_recorded_once(store: FaultyStore) -> None:
    called = worker(script=lambda messages: Reply("slow", delay=0.05)).as_tool()
    script = lambda m: "done" if RESULT in str(m[-1]) else [ToolCall("researcher", {"input": x}) for x in "ab"]  # noqa: E731
    caller = Agent(model=ScriptedModel(script), tools=[called], session_manager=manager(store), callback_handler=None)
    caller("go")
    assert "already processing" in str(caller.messages)
    (sub,) = children(store)
    assert len(said(store, sub.session_id)) == 2
    events = Sessions(store).events.list("s").entries.values()
    assert sorted(e.status for e in events) == ["error", "success"]
    assert [e.data is None for e in sorted(events, key=lambda e: e.status)] == [True, False]


def test_agents_called_at_once_are_each_recorded_in_their_own(store: FaultyStore) -> None:
    caller = boss(manager(store), *(worker(name) for name in "abc"))
    caller("go"), caller("go")
    assert [(s.title, said(store, s.session_id)) for s in sorted(children(store), key=lambda s: s.title)] == [
        (name, [f"for {name}", f"{name} says 1"] * 2) for name in "abc"
    ]


@pytest.mark.skipif("background_tasks" not in signature(Agent).parameters, reason="this version of Strands has none")
@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("at_once", [1, 4])
def test_agents_called_in_the_background(store: FaultyStore, at_once: int, depth: int) -> None:
    """Those that wait for their turn are started by another task, which called nobody."""
    options = {"background_tasks": {"always": list("abc"), "max_concurrency": at_once}}
    options["tool_executor"] = SequentialToolExecutor()
    called = [worker(name, lambda m: Reply("done", delay=0.01)) for name in "abc"]

    def script(messages: Any) -> Any:
        return [ToolCall(name, {"input": f"for {name}"}) for name in "abc"] if len(messages) == 1 else "that is all"

    caller: Any = {"model": ScriptedModel(script), "tools": [each.as_tool() for each in called], **options}
    if depth == 1:
        top = Agent(session_manager=manager(store), callback_handler=None, **caller)
    else:
        top = boss(manager(store), Agent(name="middle", callback_handler=None, **caller))

    async def main() -> None:
        await top.invoke_async("go")
        for each in called:
            await each.invoke_async("by the application itself")

    asyncio.run(main())
    above = Sessions(store).tree("s")[depth - 1].session.session_id
    below = {s.title: s.session_id for s in children(store, above)}
    assert {name: said(store, id) for name, id in below.items()} == {name: [f"for {name}", "done"] for name in "abc"}
    events = Sessions(store).events.list(above).entries.values()
    assert {e.name: e.data["session_id"] for e in events if e.name in below} == below


def test_one_agent_object_of_several_callers(store: FaultyStore) -> None:
    """In one session and in several, and of a caller that has no session: each has what it asked, and nothing else."""
    shared, one, other = worker(), manager(store), manager(store, "other")
    callers = [boss(one, shared), boss(one, shared, agent_id="second"), boss(other, shared), boss(None, shared)]
    for _ in range(2):
        for caller in callers:
            caller("go")
    shared("by the application itself")
    first, second = children(store)
    (third,) = children(store, "other")
    assert len({first.session_id, second.session_id, third.session_id}) == 3
    for sub in (first, second, third):
        assert said(store, sub.session_id) == CALL * 2


def test_what_the_application_says_to_it_is_recorded_nowhere(store: FaultyStore) -> None:
    """Also where a call has ended without its end being seen, in the application's own task."""

    @tool(context=True)
    def ask(tool_context: ToolContext) -> str:
        """Ask."""
        return str(tool_context.interrupt("question"))

    script = lambda m: ToolCall("ask") if "for researcher" in str(m[-1]) else "fine"  # noqa: E731
    called = worker(script=script, tools=[ask])
    caller = boss(manager(store), called, tool_executor=SequentialToolExecutor())

    async def main() -> None:
        result = await caller.invoke_async("go")
        assert result.stop_reason == "interrupt"
        called._interrupt_state.deactivate()
        called.messages.clear()
        await called.invoke_async("by the application itself")

    asyncio.run(main())
    (sub,) = children(store)
    assert "by the application itself" not in str(said(store, sub.session_id))


def test_who_is_invoked_in_the_place_of_the_tool_is_not_taken_for_it(store: FaultyStore) -> None:
    """Another agent that was called before, and the agent itself after a call that did not come to it."""
    guard, called = worker("guard"), worker()
    caller = boss(manager(store), guard, called, tool_executor=SequentialToolExecutor())
    caller("go")
    first, second = children(store)

    @tool
    def instead(input: str) -> str:
        """Does it."""
        return "done instead"

    async def look(event: BeforeToolCallEvent) -> None:
        if event.tool_use["name"] == "researcher":
            await guard.invoke_async("may it?")
        event.selected_tool = instead

    async def main() -> None:
        caller.hooks.add_callback(BeforeToolCallEvent, look, order=HookOrder.SDK_LAST + 1)
        await caller.invoke_async("go")
        await called.invoke_async("by the application itself")

    asyncio.run(main())
    assert "done instead" in str(caller.messages)
    for sub in (first, second):
        assert len(said(store, sub.session_id)) == 2
    assert [e.data is None for e in Sessions(store).events.list("s").entries.values()] == [False, False, True, True]


def test_a_call_is_one_call(store: FaultyStore) -> None:
    """The caller's own hooks may invoke the agent that was just called."""
    called = worker()
    caller = boss(manager(store), called, tool_executor=SequentialToolExecutor())

    async def invoke(event: AfterToolCallEvent) -> None:
        await called.invoke_async("by the application itself")

    caller.hooks.add_callback(AfterToolCallEvent, invoke)
    caller("go")
    (sub,) = children(store)
    assert said(store, sub.session_id) == CALL


def test_a_call_that_is_two_runs(store: FaultyStore) -> None:
    called, again = worker(), iter(["once more"])

    def resume(event: AfterInvocationEvent) -> None:
        event.resume = next(again, None)

    called.hooks.add_callback(AfterInvocationEvent, resume)
    boss(manager(store), called)("go")
    (sub,) = children(store)
    assert said(store, sub.session_id) == [*CALL, "once more", "researcher says 3"]
    assert Sessions(store).runs.list(sub.session_id).length == 2


@pytest.mark.parametrize("down", [False, True])
def test_another_agent_under_the_same_name_goes_on_in_the_record(store: FaultyStore, down: bool) -> None:
    opened = manager(store, durability="background")
    caller = boss(opened, worker())
    if down:
        store.plan("commit", before=Unavailable("down"), times=None)
    caller("go")
    store.heal()
    if down:  # what is pending is on its way when the other begins
        store.plan("commit", delay=0.1, times=None)
    caller.tool_registry.registry["researcher"] = worker().as_tool()
    caller("go")
    opened.close()
    (sub,) = children(store)
    assert said(store, sub.session_id) == CALL * 2


def test_a_call_never_reads_the_history(store: FaultyStore) -> None:
    boss(manager(store), worker())("go")
    boss(manager(store), worker())("go")
    examples = [{"role": "user", "content": [{"text": "an example"}], "tracking_id": "unknown"}]
    caller = boss(manager(store, on_stale="conflict"), worker(messages=examples).as_tool(preserve_context=True))
    reads = store.count("read")
    caller("go")
    assert store.count("read") == reads + 1


@pytest.mark.parametrize("kept", [True, False])
def test_an_interrupted_agent_goes_on_in_its_record(store: FaultyStore, kept: bool) -> None:
    @tool(context=True)
    def ask(tool_context: ToolContext) -> str:
        """Ask."""
        return f"they said {tool_context.interrupt('question')}"

    def made() -> Agent:
        script = lambda m: "got it" if RESULT in str(m[-1]) else ToolCall("ask", id="use-ask")  # noqa: E731
        return boss(manager(store), worker(script=script, tools=[ask]))

    caller = made()
    result = caller("go")
    (interrupt,) = result.interrupts
    assert Sessions(store).events.list("s").length == 0
    if not kept:
        if "sub_agent_interrupted_turns" not in str(caller._interrupt_state.to_dict()):
            pytest.skip("this version of Strands can not resume it in another process")
        caller = made()
    caller([{"interruptResponse": {"interruptId": interrupt.id, "response": "yes"}}])
    (sub,) = children(store)
    assert said(store, sub.session_id) == ["for researcher", "toolUse", "toolResult", "got it"]
    runs = Sessions(store).runs.list(sub.session_id).entries.values()
    assert [r.status for r in runs] == ["interrupted", "completed"]
    (event,) = Sessions(store).events.list("s").entries.values()
    assert event.data["run_id"] == list(runs)[1].run_id


def test_an_agent_with_a_session_manager_of_its_own_is_left_alone(store: FaultyStore) -> None:
    own = StoreSessionManager("own", store)
    called = worker(session_manager=own).as_tool(preserve_context=True)
    boss(manager(store), called)("go")
    assert children(store) == [] and said(store, "own") == CALL
    assert [e.data for e in Sessions(store).events.list("s").entries.values()] == [None]


def test_a_redaction_reaches_the_record(store: FaultyStore) -> None:
    called = worker(script=[Reply("I can't say", redact_user="<redacted>")])
    boss(manager(store), called)("go")
    (sub,) = children(store)
    assert said(store, sub.session_id) == ["<redacted>", "I can't say"]
    entries = Sessions(store).messages.page(sub.session_id).entries
    assert entries[0].redacted is not None


# ------------------------------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize("at", [3, 4, 5])
@pytest.mark.parametrize("depth", [1, 2])
def test_a_failure_to_store_what_a_called_agent_says_surfaces(store: FaultyStore, at: int, depth: int) -> None:
    """Strands would hand it to the caller's model as the tool's failure."""
    called = worker("inner")
    if depth == 2:
        called = worker("outer", asks("inner"), [called.as_tool()])
    opened = manager(store)
    caller = boss(opened, called)
    store.plan("commit", at=at + (depth == 2) * 2, before=Unavailable("down"))
    with pytest.raises((StoreError, EventLoopException)) as caught:
        caller("go")
    assert isinstance(caught.value, Unavailable) or isinstance(caught.value.__cause__, Unavailable)
    caller("on")
    opened.close()
    inner = Sessions(store).tree("s")[-1].session
    assert inner.title == "inner"
    # what could not be stored was kept, and is there in its place
    assert said(store, inner.session_id)[-2:] == ["for inner", "inner says 1"]
    assert Sessions(store).runs.active(inner.session_id) == ()


def test_what_is_pending_below_is_stored_by_flush(store: FaultyStore) -> None:
    opened = manager(store, durability="turn")
    caller = boss(opened, worker())
    store.plan("commit", before=Unavailable("down"), times=None)
    caller("go")
    assert opened.pending > sum(writer.pending for writer in opened._session.writers)
    with pytest.raises(Unavailable) as caught:
        opened.flush()
    assert len(caught.value.unwritten) == 4 + 2
    store.heal()
    opened.flush()
    assert opened.pending == 0 and len(children(store)) == 1


def test_what_is_pending_below_is_stored_by_the_next_turn(store: FaultyStore) -> None:
    opened = manager(store, durability="background")
    script = lambda m: ToolCall("researcher", {"input": "x"}) if "ask" in str(m[-1]) else "fine"  # noqa: E731
    tools = [worker().as_tool()]
    caller = Agent(model=ScriptedModel(script), tools=tools, session_manager=opened, callback_handler=None)
    store.plan("commit", before=Unavailable("down"), times=None)
    caller("ask")
    store.heal()
    assert opened.pending
    caller("call nobody")
    wait_for(lambda: opened.pending == 0)
    (sub,) = children(store)
    assert len(said(store, sub.session_id)) == 2


def test_a_record_that_can_not_be_read_surfaces(store: FaultyStore) -> None:
    caller = boss(manager(store, on_stale="conflict"), worker())
    store.plan("read", before=Unavailable("down"))
    with pytest.raises(EventLoopException) as caught:
        caller("go")
    assert isinstance(caught.value.__cause__, Unavailable)


def test_a_tool_that_is_called_directly(store: FaultyStore) -> None:
    caller = boss(manager(store), worker())
    caller.tool.researcher(input="for researcher")
    (sub,) = children(store)
    assert said(store, sub.session_id) == CALL
    store.plan("commit", before=Unavailable("down"), times=2)
    with pytest.raises((StoreError, EventLoopException)):
        caller.tool.researcher(input="for researcher")


def test_a_record_that_was_deleted_is_begun_anew(store: FaultyStore) -> None:
    caller = boss(manager(store), worker())
    caller("go")
    (sub,) = children(store)
    Sessions(store).delete(sub.session_id)
    caller("go")
    assert said(store, sub.session_id) == CALL and len(children(store)) == 1


def test_two_processes_in_one_call_conflict_and_the_caller_is_told(store: FaultyStore) -> None:
    def meanwhile(messages: Any) -> Any:
        other = Agent(
            model=ScriptedModel(["x"]), session_manager=StoreSessionManager(sub_id, store), callback_handler=None
        )
        other("meanwhile")
        return "late"

    sub_id = ids.below("s", "sub_agent", "default", "researcher")
    called = worker(script=meanwhile)
    caller = boss(manager(store), called)
    with pytest.raises(EventLoopException) as caught:
        caller("go")
    assert isinstance(caught.value.__cause__, ConflictError)
    assert said(store, sub_id) == ["for researcher", "meanwhile", "x"]


def test_a_cancelled_call_is_recorded_as_cancelled(store: FaultyStore) -> None:
    called = worker(script=lambda messages: Reply("never", delay=60))
    caller = boss(manager(store), called)

    async def main() -> None:
        task = asyncio.create_task(caller.invoke_async("go"))
        while not called.model.calls:  # type: ignore[attr-defined]
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    (sub,) = children(store)
    (run,) = Sessions(store).runs.list(sub.session_id).entries.values()
    assert run.status == "cancelled" and said(store, sub.session_id) == ["for researcher"]


def test_a_called_agent_that_fails_is_recorded_as_failed_and_the_caller_goes_on(store: FaultyStore) -> None:
    caller = boss(manager(store), worker(script=[ValueError("no model")], retry_strategy=None))
    assert caller("go").stop_reason == "end_turn"
    (sub,) = children(store)
    (run,) = Sessions(store).runs.list(sub.session_id).entries.values()
    assert run.status == "failed" and "no model" in str(run.error)
    (event,) = Sessions(store).events.list("s").entries.values()
    assert (event.status, event.data["run_id"]) == ("error", run.run_id)


def test_a_run_whose_end_was_not_seen_is_closed_by_the_next_call(store: FaultyStore) -> None:
    called = worker()

    def killed(event: AfterInvocationEvent) -> None:
        store.plan("commit", before=Unavailable("this process was killed"), times=None)

    called.hooks.add_callback(AfterInvocationEvent, killed)
    with pytest.raises((StoreError, EventLoopException)):
        boss(manager(store), called)("go")
    store.heal()
    (sub,) = children(store)
    assert len(Sessions(store).runs.active(sub.session_id)) == 1
    boss(manager(store, on_stale="conflict"), worker())("go")
    statuses = [r.status for r in Sessions(store).runs.list(sub.session_id).entries.values()]
    assert statuses == ["abandoned", "completed"]


# --------------------------------------------------------------------------------------------------------------- leases


@pytest.mark.parametrize("durability", ["message", "turn"])
def test_with_a_lease_nothing_waits_for_itself(store: FaultyStore, durability: Any) -> None:
    options = {"exclusive": True, "on_busy": "raise", "durability": durability}
    second = worker("second")
    caller = boss(manager(store, **options), worker("first", asks("second"), [second.as_tool()]), worker("third"))
    caller("go"), caller("go")
    assert Sessions(store).get("s").holder is None
    again = boss(manager(store, **options), worker("first", asks("second"), [second.as_tool()]), worker("third"))
    again("go")
    caller("go")  # it was stale
    below = Sessions(store).tree("s")[1:]
    lengths = {n.session.title: len(said(store, n.session.session_id)) for n in below}
    assert lengths == {"first": 16, "second": 8, "third": 8}


# ------------------------------------------------------------------------------------------------------ Graph and Swarm


def sub_of(store: Store, *path: str, id: str = "g") -> str:
    return ids.below("s", "node", id, *path)


@pytest.mark.parametrize("durability", ["message", "background", "turn"])
def test_nodes_are_recorded_below_and_progress_in_the_session(store: FaultyStore, durability: Any) -> None:
    with manager(store, durability=durability) as opened:
        graph(opened)("the task")
    found = {s.title: s for s in children(store)}
    assert {name: (s.kind, s.session_id) for name, s in found.items()} == {
        name: ("node", sub_of(store, name)) for name in "abc"
    }
    assert said(store, sub_of(store, "a")) == ["the task", "a has done it"]
    assert said_by_node(store, "a") == [], "not twice"
    overview = Sessions(store).get("s")
    assert overview.multi_agents == ("g",) and overview.counters["runs"] == 1 and overview.counters["messages"] == 0
    assert [r.status for r in Sessions(store).runs.list(sub_of(store, "b")).entries.values()] == ["completed"]
    with manager(store) as opened:
        graph(opened)("again")
    assert said(store, sub_of(store, "a")) == ["the task", "a has done it", "again", "a has done it"]


def test_a_killed_graph_goes_on_and_its_records_too(store: FaultyStore) -> None:
    first = graph(manager(store))
    killed_before(first, "c", store)
    second = graph(manager(store))
    assert [n.node_id for n in second("something else").execution_order] == list("abc")
    assert len(said(store, sub_of(store, "a"))) == 2 and "the task" in said(store, sub_of(store, "c"))[0]


def test_an_interrupted_node_goes_on_in_its_record(store: FaultyStore) -> None:
    @tool(context=True)
    def ask(tool_context: ToolContext) -> str:
        """Ask."""
        return f"they said {tool_context.interrupt('question')}"

    def make(name: str) -> Agent:
        if name != "b":
            return node(name)
        return node("b", lambda m: "b got it" if RESULT in str(m[-1]) else ToolCall("ask"), [ask])

    (interrupt,) = graph(manager(store), make=make)("the task").interrupts
    result = graph(manager(store), make=make)([{"interruptResponse": {"interruptId": interrupt.id, "response": "yes"}}])
    assert result.status.value == "completed"
    b = sub_of(store, "b")
    assert len(said(store, b)) == 4 and said(store, b)[-1] == "b got it"
    assert [r.status for r in Sessions(store).runs.list(b).entries.values()] == ["interrupted", "completed"]
    (event,) = Sessions(store).events.list(b).entries.values()
    assert event.name == "ask" and Sessions(store).events.list("s").length == 0


def test_a_swarm_and_a_graph_in_a_graph_and_agents_called_by_nodes(store: FaultyStore) -> None:
    def make(name: str) -> Any:
        if name == "b":
            return swarm(None)
        if name == "c":
            return graph(None, "xy", id="inner")
        return node(name, asks("researcher"), [worker().as_tool()])

    assert graph(manager(store), make=make)("the task").status.value == "completed"
    tree = [(n.depth, n.session.title) for n in Sessions(store).tree("s")[1:]]
    assert sorted(tree) == [(1, "a"), (1, "ann"), (1, "bob"), (1, "cid"), (1, "x"), (1, "y"), (2, "researcher")]
    assert said(store, sub_of(store, "b", "cid"))[-1] == "cid is done"
    assert said(store, sub_of(store, "c", "y"))[-1] == "y has done it"


@pytest.mark.parametrize("executor", [SequentialToolExecutor, ConcurrentToolExecutor])
def test_a_swarm_with_a_time_limit_takes_each_step_in_another_task(store: FaultyStore, executor: Any) -> None:
    first = node("first", asks("researcher"), [worker().as_tool()])
    first.tool_executor = executor()
    Swarm([first], id="w", session_manager=manager(store), node_timeout=60, execution_timeout=60)("the task")
    tree = Sessions(store).tree("s")
    assert [n.session.title for n in tree[1:]] == ["first", "researcher"]
    assert said(store, tree[2].session.session_id) == CALL
    (event,) = Sessions(store).events.list(tree[1].session.session_id).entries.values()
    assert event.data["session_id"] == tree[2].session.session_id


def test_one_node_agent_in_graphs_of_two_sessions(store: FaultyStore) -> None:
    shared = node("a")
    one = graph(manager(store), "a", make=lambda name: shared)
    other = graph(manager(store, "other"), "a", make=lambda name: shared)
    state: dict[str, Any] = {}
    one("first", state), other("second")
    shared("by the application itself"), shared("with the same state", invocation_state=state)
    assert said(store, sub_of(store, "a"))[0] == "first" and len(said(store, sub_of(store, "a"))) == 2
    (sub,) = children(store, "other")
    assert said(store, sub.session_id)[0] == "second" and len(said(store, sub.session_id)) == 2
    assert [r.status for r in Sessions(store).runs.list(sub.session_id).entries.values()] == ["completed"]


@pytest.mark.parametrize("orchestrator", [graph, swarm])
def test_a_failure_to_store_what_a_node_says_surfaces(store: FaultyStore, orchestrator: Any) -> None:
    """A Swarm only notes that its node has failed."""
    opened = manager(store)
    running = orchestrator(opened)
    store.plan("commit", at=2, before=Unavailable("down"))
    with pytest.raises((StoreError, EventLoopException)) as caught:
        running("the task")
    assert isinstance(caught.value, Unavailable) or isinstance(caught.value.__cause__, Unavailable)
    opened.close()


# ---------------------------------------------------------------------------------------------------- parents and names


def test_a_session_is_made_below_its_parent(store: FaultyStore) -> None:
    Sessions(store).create("above", "ada")
    options = {"user_id": "ada", "parent_id": "above", "kind": "branch", "title": "A branch"}
    agent = Agent(
        model=ScriptedModel(["hi"]), session_manager=StoreSessionManager("s", store, **options), callback_handler=None
    )
    reads = store.count("read")
    agent("hello")
    (found,) = Sessions(store).children("above", "ada")
    assert (found.session.session_id, found.session.kind, found.session.title) == ("s", "branch", "A branch")
    # one that is there stays as it is, and the parent is not looked for again
    reads = store.count("read")
    Agent(model=ScriptedModel([]), session_manager=StoreSessionManager("s", store, user_id="ada", parent_id="gone"))
    assert store.count("read") == reads + 1
    assert Sessions(store).get("s", "ada").session.parent_id == "above"


@pytest.mark.parametrize("user_id", ["ada", None])
def test_a_parent_that_is_not_there_is_refused_before_anything_is_written(
    store: FaultyStore, user_id: str | None
) -> None:
    Sessions(store).create("above", "someone else")
    with pytest.raises(IllegalMoveError, match="'s' can not be made below 'above': there is no session 'above'"):
        Agent(session_manager=StoreSessionManager("s", store, user_id=user_id, parent_id="above"))
    assert store.count("commit") == 1


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"parent_id": "s"}, "can not be its own parent"),
        ({"parent_id": ""}, "parent_id is empty"),
        ({"kind": ""}, "kind must be a word"),
        ({"title": "x" * 256}, "title has 256 characters"),
        ({"sub_sessions": "false"}, "sub_sessions must be True or False"),
        ({"sub_sessions": True, "on_conflict": "rebase", "durability": "turn"}, "leave one out"),
    ],
)
def test_options_that_can_not_be_meant(options: Any, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        StoreSessionManager("s", "memory://", **options)


def test_ids_of_sub_sessions_are_legal_and_their_own() -> None:
    long, odd = "x" * 180, "\u4f60" * 20
    names = ["a", "b", long, odd, "a\x00b", "a\ud800", "..", "-", "A", "", "y" * 1000]
    made = [ids.below(parent, "node", *path) for parent in ("s", long, odd) for path in ((n,) for n in names)]
    made += [ids.below("s", "node", "a", "b"), ids.below("s", "node", "ab"), ids.below("s.a", "node", "b")]
    made.append(ids.below("s", "sub_agent", "a"))
    assert len(set(made)) == len(made)
    assert [ids.check("session_id", id) for id in made] == made
    assert ids.below("s", "node", "g", "a").startswith("s.a.")
    deep = "s"
    for _ in range(50):
        deep = ids.check("session_id", ids.below(deep, "sub_agent", "default", "researcher"))


def test_on_redis(url_of: Callable[[str], str]) -> None:
    with open_store(url_of("redis")) as store, manager(store) as opened:
        third = worker("third")
        caller = boss(opened, worker("second", asks("third"), [third.as_tool()]))
        caller("go"), caller("go")
        graph(opened)("the task")
        tree = Sessions(store).tree("s")
        assert [(n.depth, n.session.title) for n in tree][:3] == [(0, None), (1, "second"), (2, "third")]
        assert said(store, tree[2].session.session_id) == ["for third", "third says 1"] * 2
        assert [n.session.title for n in tree[3:]] == list("abc")
