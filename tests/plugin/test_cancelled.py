"""An invocation that is cancelled at any step leaves a session that goes on, in this process and in the next."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from strands import Agent, tool
from strands.hooks import AfterInvocationEvent, AfterModelCallEvent, BeforeInvocationEvent, HookOrder, MessageAddedEvent

from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Store
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import Line, Reply, ToolCall

from .children import build, unpaired, wait_for

STEPS = [
    ("before", 1),
    *(("model call", n) for n in (1, 2)),
    *(("model answer", n) for n in (1, 2)),
    *(("tool", n) for n in (1, 2)),
    *(("message", n) for n in (1, 2, 3, 4)),
    ("after", 1),
]
"""Of a turn with two tools: where the task is cancelled. "message": in the hook behind the session manager's."""
COMMITS = {"message": 5, "background": 1, "turn": 1}
"""How many commits such a turn makes at least."""


class Steps:
    """Counts the steps of a turn, and acts once, at the one that is named."""

    def __init__(self) -> None:
        self.left: tuple[str, int] | None = None
        self.act: Callable[[], Any] = lambda: None

    def come(self, what: str) -> None:
        if self.left is not None and self.left[0] == what:
            self.left = (what, self.left[1] - 1)
            if self.left[1] == 0:
                self.act()

    def script(self, messages: Any) -> Line:
        self.come("model call")
        if any("toolResult" in block for block in messages[-1]["content"]):
            return Reply("That is done.", delay=0.001)
        return Reply("let me see", tools=[ToolCall("look"), ToolCall("look")], delay=0.001)

    def tools(self) -> list[Any]:
        @tool
        async def look() -> str:
            """Look."""
            self.come("tool")
            await asyncio.sleep(0.001)
            return "seen"

        return [look]

    def listen(self, agent: Agent) -> None:
        for event, name in (
            (BeforeInvocationEvent, "before"),
            (AfterModelCallEvent, "model answer"),
            (MessageAddedEvent, "message"),
        ):
            agent.hooks.add_callback(event, lambda event, name=name: self.come(name), order=HookOrder.SDK_LAST)
        agent.hooks.add_callback(AfterInvocationEvent, lambda event: self.come("after"))


def said(store: Store) -> list[Any]:
    found = Sessions(store).messages.page("s", limit=1000)
    assert list(found.entries) == list(range(found.length))
    return [entry.message for entry in found.entries.values()]


def ids(messages: list[Any]) -> list[str]:
    return [m["tracking_id"] for m in messages]


def goes_on(store: Store, agent: Agent, before: list[str]) -> None:
    """Two more turns. All that was said is there, once, in order; every tool use has its result."""
    for prompt in ("and again", "and again"):
        agent(prompt)
        assert agent.messages[-1]["content"] == [{"text": "That is done."}]
    assert unpaired(agent.messages) == []
    assert said(store) == agent.messages
    assert ids(said(store))[: len(before)] == before and len(set(ids(said(store)))) == len(said(store))
    statuses = [run.status for run in Sessions(store).runs.list("s").entries.values()]
    assert statuses[-2:] == ["completed"] * 2 and Sessions(store).runs.active("s") == ()
    assert Sessions(store).get("s").counters["messages"] == len(agent.messages)


@pytest.mark.parametrize(
    ("durability", "then"),
    [
        ("message", "here"),
        ("message", "elsewhere"),
        ("background", "here"),
        ("turn", "here"),
        pytest.param("background", "elsewhere", marks=pytest.mark.soak),
        pytest.param("turn", "elsewhere", marks=pytest.mark.soak),
    ],
)
@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step[0]} {step[1]}")
def test_cancelled_at_a_step(store: FaultyStore, step: tuple[str, int], durability: Any, then: str) -> None:
    steps = Steps()
    kept = [build(store, "s", steps.script, durability=durability, tools=steps.tools())]
    agent, manager = kept[0]
    agent("all is well")
    steps.listen(agent)
    before = ids(agent.messages)

    async def run() -> None:
        task = asyncio.ensure_future(agent.invoke_async("go"))
        steps.left, steps.act = step, task.cancel
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert steps.left[1] <= 0, "it never came to this step"

    asyncio.run(run())
    steps.left = None
    if then == "elsewhere":
        gone = weakref.ref(manager._session)
        del agent, manager
        kept.clear()
        steps.act = lambda: None
        wait_for(lambda: gc.collect() >= 0 and gone() is None)
        agent, _ = build(store, "s", steps.script, durability=durability, tools=steps.tools())
        assert ids(agent.messages)[: len(before)] == before
    goes_on(store, agent, before)
    assert build(store, "s")[0].messages == agent.messages


@pytest.mark.parametrize("then", ["here", "elsewhere"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("durability", "at"), [(mode, n + 1) for mode, last in COMMITS.items() for n in range(last)])
def test_cancelled_during_a_commit(
    store: FaultyStore, durability: Any, at: int, when: Any, then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strands_session_store.plugin.session.CANCELLED_SECONDS", 0.02)
    steps = Steps()
    kept = [build(store, "s", steps.script, durability=durability, tools=steps.tools())]
    agent, manager = kept[0]
    agent("all is well")
    before = ids(agent.messages)
    held = store.plan("commit", at=at, hang=when)

    async def run() -> None:
        task = asyncio.ensure_future(agent.invoke_async("go"))
        assert await asyncio.to_thread(held.reached.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    held.release()
    if then == "elsewhere":
        gone = weakref.ref(manager._session)
        del agent, manager
        kept.clear()
        wait_for(lambda: gc.collect() >= 0 and gone() is None)
        agent, _ = build(store, "s", steps.script, durability=durability, tools=steps.tools())
    goes_on(store, agent, before)


@pytest.mark.parametrize("durability", ["message", "background", "turn"])
def test_cancelled_while_the_history_is_read(store: FaultyStore, durability: Any) -> None:
    """The one read of a turn: an old prompt is used again, so the rest of the history is looked through."""
    steps = Steps()
    first, manager = build(store, "s", steps.script, tools=steps.tools())
    for _ in range(3):
        first("all is well")
    old = first.messages[0]
    del first.messages[:8]
    manager.close()
    agent, manager = build(store, "s", steps.script, durability=durability, tools=steps.tools())
    before = ids(said(store))
    held = store.plan("read", hang="before")

    async def run() -> None:
        task = asyncio.ensure_future(agent.invoke_async([old]))
        assert await asyncio.to_thread(held.reached.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    held.release()
    agent("and again")
    manager.flush()
    assert ids(said(store))[: len(before)] == before and unpaired(agent.messages) == []
    assert build(store, "s")[0].messages == agent.messages
