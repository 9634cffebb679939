"""The lease is kept for as long as an invocation uses it: neither beats nor the ends of others let go of it."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import BaseModel
from strands import Agent, ToolContext, tool
from strands.hooks import AfterInvocationEvent, BeforeModelCallEvent, HookOrder
from strands.types.exceptions import EventLoopException

from strands_session_store import ConflictError, SessionBusyError, StoreError, StoreSessionManager, layout, open_store
from strands_session_store.errors import InDoubt, Unavailable
from strands_session_store.plugin import leases
from strands_session_store.plugin.taking import lease_of
from strands_session_store.stores.base import Doc
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import ScriptedModel, ToolCall

from .children import build, wait_for

SPACE = layout.session_space("s", None)
LONG = 600.0
"""Seconds of an expiry that no test waits for."""


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


@pytest.mark.parametrize("answer", ["late", "lost"])
def test_a_flush_beside_the_commit_that_lets_go_of_it(
    store: FaultyStore, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """What another agent has to store expects the lease as it was."""
    monkeypatch.setattr(leases, "BEATS", 3)
    other, manager = leased(store, agent_id="other", durability="turn")
    ends = another_of(manager, "ends")
    other("hello")
    ends("hello")
    other.state.set("n", 1)
    if answer == "lost":
        store.plan("commit", at=2, after=InDoubt("no answer"))
        ends("go")
        monkeypatch.setattr(leases, "BOOKING_SECONDS", 0.01)
        with pytest.raises(Unavailable, match="whether its lease was let go of"):
            manager.flush()
        manager.flush()
    else:
        held = store.plan("commit", at=2, hang="after")
        refused = store.plan("commit", at=3)
        with ThreadPoolExecutor(2) as pool:
            ending = pool.submit(ends, "go")
            assert held.reached.wait(10)
            flushing = pool.submit(manager.flush)
            assert refused.reached.wait(10)
            held.release()
            flushing.result(10), ending.result(10)
    assert build(store, "s", agent_id="other")[0].state.get("n") == 1
    assert holder(store) is None


def test_another_agents_conflict_is_not_told_to_who_waits_for_an_answer_that_was_lost(
    store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "BEATS", 3)
    ends, manager = leased(store, agent_id="ends", durability="turn")
    begins, lost = another_of(manager, "begins"), another_of(manager, "lost")
    for agent in (ends, begins, lost):
        agent("hello")
    build(store, "s", fine, agent_id="lost")[0]("theirs")
    lost.messages.append({"role": "user", "content": [{"text": "by hand"}]})
    with pytest.raises(ConflictError):
        manager.flush()
    store.plan("commit", at=2, after=InDoubt("no answer"))
    ends("go")
    begins("go")
    assert len(begins.messages) == 4 and holder(store) is None
    lost("go on")
    assert len(lost.messages) == 6


def test_a_beat_before_the_loop_knows_that_it_was_taken_lets_go_of_it(store: FaultyStore) -> None:
    """The loop is blocked, by whatever else it runs."""
    agent, _ = leased(store)

    async def run() -> None:
        held = store.plan("commit", hang="before")
        going = asyncio.create_task(agent.invoke_async("go"))
        assert await asyncio.to_thread(held.reached.wait, 10)
        held.release()
        wait_for(lambda: holder(store))
        wait_for(lambda: holder(store) is None)
        await going

    asyncio.run(run())
    assert len(agent.messages) == 2 and holder(store) is None


def test_beats_end_some_time_after_the_store_was_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "BEATS", 3)
    store = open_store("memory://")
    agent, manager = leased(store, lease_expiry=0.3, lease_timeout=0.2)
    agent.hooks.add_callback(BeforeModelCallEvent, lambda event: store.close())
    with pytest.raises((StoreError, EventLoopException)):
        agent("go")
    assert manager._session._lease is not None
    wait_for(lambda: manager._session._lease._tick is None)  # type: ignore[union-attr]


def test_that_the_session_was_deleted_is_not_told_as_if_another_had_it(
    store: FaultyStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(leases, "BEATS", 3)
    agent, manager = leased(store)
    deletes = [manager.delete_session]
    agent.hooks.add_callback(BeforeModelCallEvent, lambda event: deletes and deletes.pop()())
    with pytest.raises((StoreError, EventLoopException)):
        agent("go")
    assert any("the session was deleted" in record.getMessage() for record in caplog.records)
    agent("go on")
    assert len(agent.messages) == 2


def test_who_begins_while_it_is_let_go_of_takes_it_anew(store: FaultyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next invocation of the manager comes when the commit that lets go of it is made, and not yet answered."""
    monkeypatch.setattr(leases, "BEATS", 3)
    held_by: list[str | None] = []
    agent, manager = leased(store, lambda messages: held_by.append(holder(store)) or "fine")
    agent("one")

    async def both() -> None:
        entered, leave = asyncio.Event(), asyncio.Event()

        async def block() -> None:
            async with manager.lease():
                entered.set()
                await leave.wait()

        first = asyncio.create_task(block())
        await entered.wait()
        held = store.plan("commit", hang="after")
        leave.set()
        assert await asyncio.to_thread(held.reached.wait, 10)
        second = asyncio.create_task(agent.invoke_async("two"))
        for _ in range(100):  # it comes to the lease without waiting for anything
            await asyncio.sleep(0)
        held.release()
        await asyncio.gather(first, second)

    asyncio.run(both())
    assert held_by[0] == held_by[1] is not None and holder(store) is None


def test_an_invocation_whose_end_was_not_seen_holds_nothing_once_its_agent_is_invoked_again(
    store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the state that it was called with is still there."""
    monkeypatch.setattr(leases, "BEATS", 3)
    agent, _ = leased(store)
    state: dict[str, Any] = {}
    agent.hooks.add_callback(AfterInvocationEvent, fails_once(), order=HookOrder.SDK_FIRST)
    with pytest.raises(LookupError):
        agent("go", invocation_state=state)
    assert holder(store) is not None
    agent("go on", invocation_state=state)
    assert holder(store) is None


def fails_once() -> Any:
    """A hook; those behind it are not called then."""
    errors = [LookupError]

    def fail(event: Any) -> None:
        if errors:
            raise errors.pop()

    return fail


def test_an_invocation_that_does_not_begin_lets_go_of_it(store: FaultyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "BEATS", 3)
    agent, manager = leased(store, on_stale="raise")
    agent("one")
    leased(store)[0]("two")
    with pytest.raises(ConflictError, match="reload"):
        agent("three")
    assert holder(store) is None
    manager.reload(agent)
    store.plan("commit", at=2, before=Unavailable("down"))
    agent.state.set("n", 1)
    with pytest.raises(Unavailable):
        agent("three")
    agent("three")
    assert holder(store) is None


def test_an_invocation_whose_end_can_not_be_stored_lets_go_of_it(
    store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "BEATS", 3)

    def script(messages: Any) -> str:
        agent.state._data["odd"] = object()
        return "fine"

    agent, _ = leased(store, script)
    with pytest.raises((StoreError, EventLoopException)):
        agent("one")
    assert holder(store) is None
