"""The lease is kept for as long as an invocation uses it: neither beats nor the ends of others let go of it."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from strands import Agent, ToolContext, tool
from strands.hooks import BeforeModelCallEvent

from strands_session_store import SessionBusyError, StoreSessionManager, layout, open_store
from strands_session_store.errors import InDoubt
from strands_session_store.plugin import leases
from strands_session_store.plugin.taking import lease_of
from strands_session_store.stores.base import Doc
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import ScriptedModel, ToolCall

from .children import build, wait_for

SPACE = layout.session_space("s", None)
LONG = 600.0
"""Seconds of an expiry that no test waits for."""


@pytest.fixture
def store() -> Iterator[FaultyStore]:
    with FaultyStore(open_store("memory://")) as opened:
        yield opened
        opened.heal()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beats come each 20 ms, though the expiry is long."""
    monkeypatch.setattr(leases, "BEATS", LONG / 0.02)


def fine(messages: Any) -> str:
    return "fine"


def leased(store: Any, script: Any = fine, **options: Any) -> tuple[Agent, StoreSessionManager]:
    return build(store, "s", script, exclusive=True, **{"lease_expiry": LONG, "lease_timeout": 5.0, **options})


def another_of(manager: StoreSessionManager, agent_id: str, script: Any = fine, tools: Any = ()) -> Agent:
    return Agent(
        model=ScriptedModel(script), tools=[*tools], agent_id=agent_id, session_manager=manager, callback_handler=None
    )


def beats(store: FaultyStore, count: int = 3) -> None:
    """Wait for so many signs of life; AssertionError when the lease is let go of instead."""
    gc.collect()
    for _ in range(count):
        before = store.store.read(SPACE, Doc(layout.LEASE_BEAT)).docs.get(layout.LEASE_BEAT)

        def changed(before: Any = before) -> bool:
            docs = store.store.read(SPACE, Doc(layout.LEASE_BEAT), Doc(layout.LEASE)).docs
            assert lease_of(docs[layout.LEASE]).holder is not None, "it was let go of"
            return docs.get(layout.LEASE_BEAT) != before

        wait_for(changed, "a sign of life")


def holder(store: FaultyStore) -> str | None:
    return lease_of(store.store.read(SPACE, Doc(layout.LEASE)).docs.get(layout.LEASE)).holder


@pytest.mark.parametrize("own", [False, True], ids=["the same manager", "a manager of its own"])
def test_an_agent_in_a_tool_that_is_given_the_invocations_state(store: FaultyStore, own: bool) -> None:
    inner: list[Agent] = []

    @tool(context=True)
    async def delegate(tool_context: ToolContext) -> str:
        """Has another do it, which gets the same state."""
        answer = str(await inner[0].invoke_async("do it", invocation_state=tool_context.invocation_state))
        await asyncio.to_thread(beats, store)
        return answer

    def script(messages: Any) -> Any:
        answers = any("toolResult" in block for block in messages[-1]["content"])
        return "it is done" if answers else ToolCall("delegate")

    outer, manager = leased(store, script, tools=[delegate])
    inner.append(leased(store, agent_id="inner")[0] if own else another_of(manager, "inner"))
    outer("go")
    assert outer.messages[2]["content"][0]["toolResult"]["status"] == "success"  # type: ignore[typeddict-item]
    assert holder(store) is None


def test_two_agents_that_are_given_one_state(store: FaultyStore) -> None:
    one, manager = leased(store, agent_id="one")
    two = another_of(manager, "two")
    state: dict[str, Any] = {}

    async def both() -> None:
        ended = asyncio.Event()

        async def look(event: Any) -> None:
            await ended.wait()
            await asyncio.to_thread(beats, store)

        one.hooks.add_callback(BeforeModelCallEvent, look)
        first = asyncio.create_task(one.invoke_async("go", invocation_state=state))
        await asyncio.to_thread(wait_for, lambda: holder(store))
        await two.invoke_async("go", invocation_state=state)
        ended.set()
        await first

    asyncio.run(both())
    assert holder(store) is None


class Answer(BaseModel):
    text: str = "fine"


def test_structured_output_that_takes_long(store: FaultyStore) -> None:
    def script(messages: Any) -> Any:
        beats(store)
        return Answer()

    agent, _ = leased(store, lease_timeout=0.01)
    agent("go")
    agent.model = ScriptedModel(script)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert agent.structured_output(Answer, "go") == Answer()
    assert holder(store) is None


@pytest.mark.parametrize(("durability", "commits"), [("message", 3), ("turn", 1)])
def test_another_agents_last_commit_that_is_under_way(
    store: FaultyStore, durability: Any, commits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "BEATS", 3)  # of the commits that are counted none is a beat
    one, manager = leased(store, agent_id="one", durability=durability)
    two = another_of(manager, "two")
    one("hello")
    two("hello")

    async def run() -> None:
        goes = asyncio.Event()

        async def wait(event: Any) -> None:
            await goes.wait()

        one.hooks.add_callback(BeforeModelCallEvent, wait)
        first = asyncio.create_task(one.invoke_async("go"))
        await asyncio.to_thread(wait_for, lambda: holder(store) and (durability == "turn" or manager.pending == 0))
        held = store.plan("commit", at=commits, hang="before")
        second = asyncio.create_task(two.invoke_async("go"))
        assert await asyncio.to_thread(held.reached.wait, 10)
        goes.set()
        await first
        held.release()
        await second

    asyncio.run(run())
    assert len(one.messages) == len(two.messages) == 4
    assert holder(store) is None


def test_who_outlives_the_invocation_that_started_it_is_not_called_by_the_next_one(store: FaultyStore) -> None:
    """A task that a tool has started would share the lease with whatever its manager does later."""
    other, _ = leased(store, agent_id="other", on_busy="raise")
    started: list[asyncio.Task[Any]] = []

    async def run() -> None:
        goes = asyncio.Event()

        async def later() -> None:
            await goes.wait()
            await other.invoke_async("go")

        @tool
        async def start() -> str:
            """Starts something that goes on."""
            started.append(asyncio.create_task(later()))
            return "started"

        async def inside(event: Any) -> None:
            goes.set()
            with pytest.raises(SessionBusyError):
                await started[0]

        agent, _ = leased(
            store, lambda ms: "fine" if "toolResult" in ms[-1]["content"][0] else ToolCall("start"), tools=[start]
        )
        await agent.invoke_async("go")
        agent.model = ScriptedModel(fine)
        agent.hooks.add_callback(BeforeModelCallEvent, inside)
        await agent.invoke_async("go on")

    asyncio.run(run())
    assert other.messages == []
    assert holder(store) is None


def test_it_is_not_entered_again_when_it_may_have_been_let_go_of(
    store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to its release was lost, and another has it since."""
    monkeypatch.setattr(leases, "BEATS", 3)
    agent, manager = leased(store, lease_timeout=0.2)
    other, _ = leased(store.store)

    async def run() -> None:
        async with manager.lease():
            await agent.invoke_async("one")
            store.plan("commit", after=InDoubt("no answer"))
        assert holder(store) is None

        async def inside(event: Any) -> None:
            with pytest.raises(SessionBusyError):
                await contextvars.Context().run(asyncio.create_task, agent.invoke_async("two"))

        other.hooks.add_callback(BeforeModelCallEvent, inside)
        await other.invoke_async("theirs")

    asyncio.run(run())
    agent("three")
    assert [message["content"] for message in agent.messages][::2] == [
        [{"text": t}] for t in ("one", "theirs", "three")
    ]
    assert holder(store) is None


def test_it_is_entered_again_when_it_was_not_let_go_of_after_all(
    store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "BEATS", 3)
    agent, manager = leased(store)

    async def run() -> None:
        async with manager.lease():
            await agent.invoke_async("one")
            store.plan("commit", before=InDoubt("no answer"))
        assert holder(store) is not None
        await agent.invoke_async("two")

    asyncio.run(run())
    assert len(agent.messages) == 4 and holder(store) is None
