"""Who waits for a session's lease: for how long, behind whom, and what they are told."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import time
from typing import Any

import pytest
from strands.hooks import (
    BeforeModelCallEvent,
)

from strands_session_store import (
    SessionBusyError,
    layout,
)
from strands_session_store.plugin.taking import queue_of
from strands_session_store.stores.base import Doc
from strands_session_store.testing.faults import FaultyStore

from .children import build, wait_for
from .leasing import SESSION, SPACE, another_of, in_another_context, is_free, leased


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
