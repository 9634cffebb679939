"""However an invocation ends, the lease of its session is let go of."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
from typing import Any

import pytest
from strands import Agent, tool
from strands.hooks import (
    AfterInvocationEvent,
    AfterModelCallEvent,
    AfterToolCallEvent,
    BeforeInvocationEvent,
    BeforeModelCallEvent,
    BeforeNodeCallEvent,
    BeforeToolCallEvent,
    MessageAddedEvent,
)
from strands.types.exceptions import EventLoopException

from strands_session_store import (
    ConflictError,
    SessionBusyError,
    StoreSessionManager,
    Unavailable,
    layout,
    open_store,
)
from strands_session_store.plugin import leases
from strands_session_store.plugin.taking import lease_of
from strands_session_store.stores.base import Doc, Document, Store
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import Reply, ToolCall

from .children import Parent, build, wait_for, with_tools
from .leasing import LONG, SESSION, SPACE, ends, is_free, leased
from .test_multi_agent import graph, node


class Refused(Exception):
    """What the application raises."""


def raising(event: Any) -> None:
    raise Refused


@tool
def fails() -> str:
    """Fails."""
    raise Refused


@pytest.mark.parametrize("durability", ["message", "background", "turn"])
def test_by_an_answer_or_an_exception_of_model_or_tool(store: FaultyStore, durability: Any) -> None:
    ends(store, None, leased(store, with_tools, durability=durability)[0])
    ends(store, Refused, leased(store, [Refused()], durability=durability)[0])
    uses = [ToolCall("fails"), "it failed"]
    ends(store, None, leased(store, uses, tools=[fails], durability=durability)[0])


@pytest.mark.parametrize("durability", ["message", "turn"])
@pytest.mark.parametrize(
    "event",
    [MessageAddedEvent, BeforeModelCallEvent, AfterModelCallEvent, BeforeToolCallEvent, AfterToolCallEvent],
)
def test_by_a_hook_that_raises(store: FaultyStore, event: Any, durability: Any) -> None:
    agent, _ = leased(store, with_tools, durability=durability)
    agent.hooks.add_callback(event, raising)
    with contextlib.suppress(Refused, EventLoopException):  # of one around a tool call, a result is made
        agent("go")
    assert is_free(store)


def test_by_a_store_that_fails_as_soon_as_it_can_be_reached(store: FaultyStore, monkeypatch: Any) -> None:
    monkeypatch.setattr(leases, "BEATS", LONG / 0.05)
    agent, manager = leased(store, with_tools)
    store.plan("commit", at=3, before=Unavailable("down"), times=None)
    with pytest.raises(Unavailable):
        agent("go")
    with pytest.raises(SessionBusyError):
        is_free(store.store)
    store.heal()
    manager.flush()
    wait_for(lambda: not manager._session._lease._held)  # type: ignore[union-attr]
    assert is_free(store)
    agent("go on")
    assert agent.messages == build(store, SESSION)[0].messages


def is_over(lease: Document) -> bool:
    return lease_of(lease).holder is None


def test_by_cancelling_its_task(store: FaultyStore) -> None:
    for at in range(1, 6):
        agent, _ = leased(store, with_tools, agent_id=f"agent {at}")
        held = store.plan("commit", at=at, hang="before")

        async def cancelled(agent: Agent = agent, held: Any = held) -> None:
            task = asyncio.create_task(agent.invoke_async("go"))
            await asyncio.to_thread(held.reached.wait, 10)
            task.cancel()
            held.release()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(cancelled())
        # what was under way, the taking of the lease itself among it, is done by nobody who waits
        wait_for(lambda: (doc := store.store.read(SPACE, Doc(layout.LEASE)).docs.get(layout.LEASE)) and is_over(doc))
        assert is_free(store)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beats come each 50 ms, though the expiry is long: what is let go of at a beat is let go of at once."""
    monkeypatch.setattr(leases, "BEATS", LONG / 0.05)


def test_by_agent_cancel(store: FaultyStore) -> None:
    agent, _ = leased(store, with_tools)
    agent.hooks.add_callback(BeforeToolCallEvent, lambda event: event.agent.cancel())
    ends(store, None, agent)


@pytest.mark.parametrize("durability", ["message", "turn"])
def test_by_a_stream_that_is_dropped(store: FaultyStore, quick: None, durability: Any) -> None:
    agent, manager = leased(store, lambda messages: Reply("a long answer"), durability=durability)

    async def taste() -> None:
        async for event in agent.stream_async("go"):
            if "data" in event:
                break

    asyncio.run(taste())
    gc.collect()
    manager.flush()
    another, _ = leased(store, agent_id="another", lease_timeout=20)
    another("hello")
    agent("go on")
    assert agent.messages == build(store, SESSION)[0].messages


def test_by_a_hook_that_raises_before_it_began(store: FaultyStore, quick: None) -> None:
    agent, _ = leased(store)
    agent.hooks.add_callback(BeforeInvocationEvent, raising)
    with pytest.raises(Refused):
        agent("go")
    gc.collect()
    another, _ = leased(store, agent_id="another", lease_timeout=20)
    another("hello")


def test_by_a_hook_that_raises_at_its_end(store: FaultyStore, quick: None) -> None:
    agent, manager = leased(store)
    agent.hooks.add_callback(AfterInvocationEvent, raising)
    with pytest.raises(Refused):
        agent("go")
    gc.collect()
    another, _ = leased(store, agent_id="another", lease_timeout=20)
    another("hello")
    manager.flush()
    assert agent.messages == build(store, SESSION)[0].messages


def test_by_a_hook_that_cancels_it(store: FaultyStore) -> None:
    agent, _ = leased(store)
    refusals = [True]

    def refuse(event: BeforeInvocationEvent) -> None:
        event.cancel = bool(refusals) and refusals.pop()

    agent.hooks.add_callback(BeforeInvocationEvent, refuse)
    ends(store, None, agent)
    ends(store, None, agent)
    assert agent.messages == build(store, SESSION)[0].messages


@pytest.mark.parametrize("how", ["node", "hook"])
def test_by_an_orchestrator_that_fails(store: FaultyStore, how: str) -> None:
    manager = StoreSessionManager(SESSION, store, exclusive=True, lease_expiry=LONG, lease_timeout=5.0)
    made = graph(manager, make=lambda name: node(name, [Refused()] if how == "node" else None))
    if how == "hook":
        made.hooks.add_callback(BeforeNodeCallEvent, raising)
    with pytest.raises(Refused):
        made("go")
    assert is_free(store)


def test_by_close_in_the_midst(store: FaultyStore) -> None:
    async def both() -> None:
        agent, manager = leased(store, with_tools)

        async def close(event: Any) -> None:
            await manager.aclose()
            assert await asyncio.to_thread(is_free, store)

        agent.hooks.add_callback(BeforeModelCallEvent, close)
        with pytest.raises((ConflictError, EventLoopException)):  # it has no lease any more
            await agent.invoke_async("go")

    asyncio.run(both())


@pytest.mark.parametrize("durability", ["message", "turn"])
@pytest.mark.parametrize("how", ["return", "exit", "error"])
def test_by_the_end_of_its_process(processes: Parent, url_of: Any, how: str, durability: str) -> None:
    url = url_of("sqlite")
    ended = processes.start(
        "end_in_a_turn", url=url, session=SESSION, how=how, durability=durability, lease_expiry=LONG
    )
    assert ended.hear() == ("there",)
    with open_store(url) as store:
        with pytest.raises(SessionBusyError, match=f"pid {ended.pid} "):
            is_free(store)
        ended.tell("go on")
        ended.ended()
        assert is_free(store)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_who_is_killed_is_succeeded_after_the_expiry(
    processes: Parent, url_of: Any, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    url = url_of("sqlite")
    killed = processes.start("be_stopped", url=url, session=SESSION, where="tool", lease_expiry=0.5)
    assert killed.hear() == ("ready",)
    assert killed.ask("stop") == ("there",)
    with open_store(url) as store:
        with pytest.raises(SessionBusyError, match=f"pid {killed.pid} .*nothing was written"):
            is_free(store)
        os.kill(killed.pid, number)
        assert killed.ended() == -number
        # one that does not wait sees whether the sign of life is old, or watches it: it takes over, or raises once more
        wait_for(lambda: store.read(SPACE, Doc(layout.LEASE)) and _gets_it(store))
    told = [record.getMessage() for record in caplog.records if "taken over" in record.getMessage()]
    assert len(told) == 1 and f"pid {killed.pid} " in told[0] and "no sign of life for 0.5 s" in told[0]


def test_who_lives_is_not_succeeded_however_long_its_turn_is(processes: Parent, url_of: Any) -> None:
    url, options = url_of("sqlite"), {"session": SESSION, "lease_expiry": 0.9}
    living = processes.start("be_stopped", url=url, where="tool", **options)
    waiting = processes.start("be_stopped", url=url, where="tool", **options)
    assert (living.hear(), waiting.hear()) == (("ready",), ("ready",))
    assert living.ask("stop") == ("there",)
    waiting.tell("hello")
    beats = set()
    with open_store(url) as store:

        def many() -> bool:
            beats.add(store.read(SPACE, Doc(layout.LEASE_BEAT)).docs.get(layout.LEASE_BEAT))
            return len(beats) > 7

        wait_for(many, "signs of life for two expiries")
        assert lease_of(store.read(SPACE, Doc(layout.LEASE)).docs[layout.LEASE]).pid == living.pid
    said = living.ask("go on")
    assert len(said) == 4 and waiting.hear()[:4] == said


def _gets_it(store: Store) -> bool:
    try:
        return is_free(store)
    except SessionBusyError:
        return False
