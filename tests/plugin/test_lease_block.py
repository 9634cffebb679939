"""The session to oneself for a block: `StoreSessionManager.lease`."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest
from strands import Agent, tool

from strands_session_store import SessionBusyError, StoreSessionManager
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import ScriptedModel, ToolCall

from .leasing import SESSION, another_of, is_free, leased


def test_nobody_comes_between_the_invocations_of_a_block(store: FaultyStore) -> None:
    mine, manager = leased(store)
    other, _ = leased(store, agent_id="other", on_busy="raise")

    async def elsewhere() -> Any:
        return await contextvars.Context().run(asyncio.create_task, other.invoke_async("hello"))

    async def block() -> None:
        async with manager.lease():
            for _ in range(2):
                await mine.invoke_async("go")
                with pytest.raises(SessionBusyError, match=f"session {SESSION!r} is being run by "):
                    await elsewhere()
        await elsewhere()

    asyncio.run(block())
    assert len(mine.messages) == 4 and len(other.messages) == 2


@pytest.mark.parametrize("first", ["an invocation", "a block", "a reload"])
def test_what_is_invoked_in_a_block_shares_its_lease_whatever_came_before(store: FaultyStore, first: str) -> None:
    mine, manager = leased(store)
    other, _ = leased(store, agent_id="other", lease_timeout=0.5)

    async def block() -> None:
        async with manager.lease():
            if first == "an invocation":
                await mine.invoke_async("go")
            elif first == "a block":
                async with manager.lease():
                    pass
            else:
                await manager.areload(mine)
            await other.invoke_async("go")

    asyncio.run(block())
    assert len(other.messages) == 2 and is_free(store)


def test_a_tool_that_calls_several_agents_of_several_managers_waits_for_none(store: FaultyStore) -> None:
    inner: list[Agent] = []

    @tool
    async def delegate() -> str:
        """Has others do it."""
        return "".join([str(await agent.invoke_async("do it")) for agent in inner])

    def script(messages: Any) -> Any:
        answers = any("toolResult" in block for block in messages[-1]["content"])
        return "it is done" if answers else ToolCall("delegate")

    outer, manager = leased(store, script, tools=[delegate])
    inner += [another_of(manager, "one"), leased(store, agent_id="two", lease_timeout=0.5)[0]]
    outer("go")
    assert [len(agent.messages) for agent in inner] == [2, 2] and is_free(store)


def test_an_agent_that_is_built_in_a_block_is_as_it_is_stored_then(store: FaultyStore) -> None:
    async def block() -> None:
        manager = await StoreSessionManager.open(SESSION, store, exclusive=True)
        await leased(store)[0].invoke_async("said after it was read ahead")
        async with manager.lease():
            agent = Agent(model=ScriptedModel(["fine"]), session_manager=manager, callback_handler=None)
            assert len(agent.messages) == 2

    asyncio.run(block())
    assert is_free(store)


def test_a_block_that_fails_lets_go(store: FaultyStore) -> None:
    _, manager = leased(store)

    async def block() -> None:
        async with manager.lease():
            raise KeyError("of the application")

    with pytest.raises(KeyError):
        asyncio.run(block())
    assert is_free(store)
