"""The lease of a session: whatever an invocation comes to, the next one gets it, and no invocation waits for itself."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import logging
import os
import signal
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import BaseModel
from strands import Agent, tool
from strands.bidi import BidiAgent
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
from strands.multiagent import Swarm
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
from strands_session_store.plugin.taking import lease_of, queue_of
from strands_session_store.stores.base import Doc, Store
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import Reply, ScriptedModel, ToolCall

from .children import Parent, add, ask, build, echo, unpaired, wait_for, with_tools
from .test_bidi import END, Talking, spoken
from .test_multi_agent import graph, node

SPACE = layout.session_space("s", None)
SESSION = "s"
LONG = 600.0
"""Seconds of an expiry that no test waits for."""


@pytest.fixture
def store() -> Iterator[FaultyStore]:
    with FaultyStore(open_store("memory://")) as opened:
        yield opened
        opened.heal()


def fine(messages: Any) -> str:
    return "fine"


def leased(store: Store, script: Any = fine, **options: Any) -> tuple[Agent, StoreSessionManager]:
    return build(store, SESSION, script, exclusive=True, **{"lease_expiry": LONG, "lease_timeout": 5.0, **options})


def is_free(store: Store, **options: Any) -> bool:
    """Another gets the lease at once; it raises SessionBusyError if not."""
    agent, manager = leased(store, on_busy="raise", agent_id="another", **options)
    agent("hello")
    manager.close()
    return True


def ends(store: Store, error: type[BaseException] | None, agent: Any, prompt: Any = "go") -> None:
    """A turn that ends by this error; the next turn of another begins at once, and then this one's works."""
    with contextlib.nullcontext() if error is None else pytest.raises(error):
        agent(prompt)
    assert is_free(store)


# ------------------------------------------------------------------------------------------------- how a turn ends


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
        # its last commit may be under way
        wait_for(lambda: lease_of(store.store.read(SPACE, Doc(layout.LEASE)).docs[layout.LEASE]).holder is None)
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


# ------------------------------------------------------------------------------------------------------ who waits


def test_who_waits_in_vain_is_told_who_has_it(store: FaultyStore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "strands_session_store")

    def inside(messages: Any) -> str:
        agent, _ = in_another_context(leased, store, lease_timeout=0.2, agent_id="another")
        with pytest.raises(SessionBusyError, match=rf"pid {os.getpid()} .* after 0.2 s of waiting \(lease_timeout\)"):
            in_another_context(agent, "hello")
        assert agent.messages == []
        return "fine"

    agent, _ = leased(store, inside)
    agent("go")
    (waited,) = (record for record in caplog.records if "waiting" in record.getMessage())
    assert waited.levelno == logging.INFO and f"pid {os.getpid()} " in waited.getMessage()
    assert len(agent.messages) == 2 and agent.messages == build(store, SESSION)[0].messages


def in_another_context(call: Any, *args: Any, **kwargs: Any) -> Any:
    """On a thread of its own, which nobody's invocation has called."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(contextvars.Context().run, call, *args, **kwargs).result()


def test_agents_of_one_manager_wait_together(store: FaultyStore) -> None:
    """Each for its own time: not one after the other."""
    holder, _ = leased(store, agent_id="holder")
    first, manager = leased(store, agent_id="waiter 0", lease_timeout=0.5)
    waiters = [first, *(another_of(manager, f"waiter {n}") for n in range(1, 8))]

    async def inside(event: Any) -> None:
        tasks = [contextvars.Context().run(asyncio.create_task, w.invoke_async("go")) for w in waiters]
        began = time.monotonic()
        assert [type(e) for e in await asyncio.gather(*tasks, return_exceptions=True)] == [SessionBusyError] * 8
        assert time.monotonic() - began < 2.5

    holder.hooks.add_callback(BeforeModelCallEvent, inside)
    holder("go")
    for waiter in waiters:
        waiter("go")
    assert is_free(store)


def waiting(store: FaultyStore) -> Any:
    return queue_of(store.store.read(SPACE, Doc(layout.LEASE_WANTED)).docs.get(layout.LEASE_WANTED))


def test_a_waiter_that_is_cancelled_holds_up_nobody(store: FaultyStore) -> None:
    async def run() -> None:
        going = asyncio.Event()
        first, _ = leased(store)
        second, _ = leased(store, lease_timeout=60, agent_id="second")
        third, _ = leased(store, lease_timeout=60, agent_id="third")

        async def hold(event: Any) -> None:
            await going.wait()

        first.hooks.add_callback(BeforeModelCallEvent, hold)
        tasks = [asyncio.create_task(agent.invoke_async("go")) for agent in (first, second, third)]
        await asyncio.to_thread(wait_for, lambda: len(waiting(store)) == 2)
        tasks[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[1]
        await asyncio.to_thread(wait_for, lambda: len(waiting(store)) == 1)
        going.set()
        await tasks[0]
        await tasks[2]

    asyncio.run(run())
    assert is_free(store)


# ------------------------------------------------------------------------------------------------ one in the other


def another_of(manager: StoreSessionManager, agent_id: str, script: Any = fine, tools: Any = ()) -> Agent:
    return Agent(
        model=ScriptedModel(script), tools=[*tools], agent_id=agent_id, session_manager=manager, callback_handler=None
    )


@pytest.mark.parametrize("own", [False, True], ids=["the same manager", "a manager of its own"])
@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("durability", ["message", "turn"])
def test_an_agent_that_is_called_inside_a_tool_of_another(
    store: FaultyStore, kind: str, own: bool, durability: Any
) -> None:
    inner: list[Agent] = []

    @tool(name="delegate")
    def sync() -> str:
        """Has another do it."""
        return str(inner[0]("do it"))

    @tool(name="delegate")
    async def awaited() -> str:
        """Has another do it."""
        return str(await inner[0].invoke_async("do it"))

    def script(messages: Any) -> Any:
        answers = any("toolResult" in block for block in messages[-1]["content"])
        return "it is done" if answers else ToolCall("delegate")

    delegate = sync if kind == "sync" else awaited
    outer, manager = leased(store, script, tools=[delegate], durability=durability)
    if own:
        inner.append(leased(store, agent_id="inner", durability=durability)[0])
    else:
        inner.append(another_of(manager, "inner"))
    for turn in range(1, 4):
        outer("go")
        results = [b["toolResult"] for m in outer.messages for b in m["content"] if "toolResult" in b]
        assert [r["content"] for r in results] == [[{"text": "fine\n"}]] * turn
        assert is_free(store)
    assert outer.messages == build(store, SESSION)[0].messages
    assert inner[0].messages == build(store, SESSION, agent_id="inner")[0].messages and len(inner[0].messages) == 6


def test_two_agents_of_one_manager_at_the_same_time(store: FaultyStore) -> None:
    one, manager = leased(store, with_tools, agent_id="one")
    two = another_of(manager, "two", with_tools, [add, echo])

    async def both() -> None:
        await asyncio.gather(one.invoke_async("go"), two.invoke_async("go"))

    for _ in range(3):
        asyncio.run(both())
        assert is_free(store)
    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            list(pool.map(lambda agent: agent("go"), (one, two)))
            assert is_free(store)
    for agent in (one, two):
        assert len(agent.messages) == 24
        assert agent.messages == build(store, SESSION, agent_id=agent.agent_id)[0].messages


def test_structured_output(store: FaultyStore) -> None:
    agent, _ = leased(store, lambda messages: Answer())
    for _ in range(2):
        assert agent("go", structured_output_model=Answer).structured_output == Answer()
        assert is_free(store)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            assert agent.structured_output(Answer, "go") == Answer()
        assert is_free(store)
    assert agent.messages == build(store, SESSION)[0].messages


class Answer(BaseModel):
    text: str = "fine"


def test_a_turn_that_resumes_itself(store: FaultyStore) -> None:
    agent, _ = leased(store, with_tools)
    times = [2]

    def again(event: AfterInvocationEvent) -> None:
        if times[0]:
            times[0] -= 1
            event.resume = "go on"

    agent.hooks.add_callback(AfterInvocationEvent, again)
    ends(store, None, agent)
    assert len(agent.messages) == 12 and agent.messages == build(store, SESSION)[0].messages


def test_an_interrupt_and_its_answer(store: FaultyStore) -> None:
    agent, _ = leased(store, [ToolCall("ask"), "done"], tools=[ask])
    result = agent("go")
    assert is_free(store)
    response = {"interruptId": result.interrupts[0].id, "response": "yes"}
    ends(store, None, agent, [{"interruptResponse": response}])
    assert agent.messages == build(store, SESSION, tools=[ask])[0].messages


@pytest.mark.parametrize("kind", ["graph", "swarm", "graph in graph", "swarm in graph"])
def test_orchestrators(store: FaultyStore, kind: str) -> None:
    manager = StoreSessionManager(SESSION, store, exclusive=True, lease_expiry=LONG, lease_timeout=5.0)

    def inner(name: str) -> Any:
        if kind == "graph in graph":
            return graph(None, "xy", id=f"inner {name}")
        return Swarm([node("x"), node("y")], id=f"inner {name}") if kind == "swarm in graph" else node(name)

    made = Swarm([node("a"), node("b")], session_manager=manager) if kind == "swarm" else graph(manager, make=inner)
    for _ in range(3):
        assert made("go").status.value == "completed"
        assert is_free(store)
    manager.close()


def test_an_agent_of_the_manager_inside_a_graph_of_the_manager(store: FaultyStore) -> None:
    manager = StoreSessionManager(SESSION, store, exclusive=True, lease_expiry=LONG, lease_timeout=5.0)
    helper = another_of(manager, "helper")

    @tool
    def help() -> str:
        """Has the helper do it."""
        return str(helper("do it"))

    def script(messages: Any) -> Any:
        answers = any("toolResult" in block for block in messages[-1]["content"])
        return "it is done" if answers else ToolCall("help")

    made = graph(manager, make=lambda name: node(name, script, [help]))
    for turn in range(1, 3):
        assert made("go").status.value == "completed"
        assert is_free(store)
        assert len(helper.messages) == 6 * turn
    assert helper.messages == build(store, SESSION, agent_id="helper")[0].messages


@pytest.mark.parametrize("how", ["node", "hook"])
def test_orchestrators_that_fail(store: FaultyStore, how: str) -> None:
    manager = StoreSessionManager(SESSION, store, exclusive=True, lease_expiry=LONG, lease_timeout=5.0)
    made = graph(manager, make=lambda name: node(name, [Refused()] if how == "node" else None))
    if how == "hook":
        made.hooks.add_callback(BeforeNodeCallEvent, raising)
    with pytest.raises(Refused):
        made("go")
    assert is_free(store)


def test_a_conversation_by_voice(store: FaultyStore) -> None:
    manager = StoreSessionManager(SESSION, store, exclusive=True, lease_expiry=LONG, lease_timeout=5.0)
    agent = BidiAgent(
        model=Talking([*spoken("user", "hi", "1"), *spoken("assistant", "hello", "2"), END]), session_manager=manager
    )

    async def run() -> None:
        await agent.start()
        async for event in agent.receive():
            if event.get("type") == "bidi_response_stop":
                break
        with pytest.raises(SessionBusyError):  # from its first message on
            await asyncio.to_thread(in_another_context, is_free, store)
        await agent.stop()

    asyncio.run(run())
    assert is_free(store)


# ------------------------------------------------------------------------------------------ messages outside of turns


@pytest.mark.parametrize("stale", [False, True], ids=["resumed", "kept"])
@pytest.mark.parametrize("stored", range(1, 6))
def test_who_died_after_any_commit_of_a_turn_is_succeeded(store: FaultyStore, stored: int, stale: bool) -> None:
    """Agent answers tool uses that were left without results before it is invoked: that takes the lease too."""
    inner = store.store
    if stale:
        successor, _ = leased(inner, with_tools)
        successor("before")
    died, _ = leased(store, with_tools, lease_expiry=0.2)
    store.plan("commit", at=1 + stored, before=Unavailable("killed"), times=None)
    with pytest.raises(Exception, match="killed"):
        died("one")
    if not stale:
        successor, _ = leased(inner, with_tools)
    successor("two")
    assert successor.messages[-1]["content"][0]["text"] == "That is done." and unpaired(successor.messages) == []
    assert build(inner, SESSION)[0].messages == successor.messages
    assert is_free(inner)


def test_a_tool_that_is_called_directly_takes_the_lease(store: FaultyStore) -> None:
    first, _ = leased(store, with_tools)
    first.tool.add(a=1, b=2)
    second, _ = leased(store, with_tools)
    second.tool.add(a=1, b=2)
    assert len(second.messages) == 8
    with pytest.raises(ConflictError):  # the tool was called for an agent that was another's past
        first.tool.add(a=1, b=2)
    first.tool.add(a=1, b=2)
    assert len(first.messages) == 12 and first.messages == build(store, SESSION)[0].messages
    second("and now")
    assert second.messages[:12] == first.messages
    assert is_free(store)
