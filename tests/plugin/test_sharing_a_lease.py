"""Invocations of one session inside each other, or at the same time: none waits for itself."""

from __future__ import annotations

import asyncio
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import BaseModel
from strands import Agent, tool
from strands.bidi import BidiAgent
from strands.hooks import (
    AfterInvocationEvent,
)
from strands.multiagent import Swarm

from strands_session_store import (
    ConflictError,
    SessionBusyError,
    StoreSessionManager,
    Unavailable,
)
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import ToolCall

from .children import add, ask, build, echo, unpaired, with_tools
from .leasing import LONG, SESSION, another_of, ends, in_another_context, is_free, leased
from .test_bidi import END, Talking, spoken
from .test_multi_agent import graph, node


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
