"""What is pending when a turn is cancelled, a loop is closed, a manager is dropped, or the process ends."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import thread as futures_thread
from pathlib import Path
from typing import Any

import anyio
import pytest
from strands.hooks import MessageAddedEvent

from strands_session_store import StoreError, Unavailable, open_store
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Store
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import Reply

from .children import Parent, build, unpaired, wait_for, with_tools


def said(store: Store, session: str = "s", agent: str = "default") -> list[Any]:
    found = Sessions(store).messages.page(session, agent_id=agent, limit=1000)
    assert list(found.entries) == list(range(found.length))
    return [entry.message for entry in found.entries.values()]


# ------------------------------------------------------------------------------------------------- the process ends


@pytest.mark.parametrize(("how", "status"), [("return", 0), ("exit", 3), ("error", 1)])
@pytest.mark.parametrize("durability", ["background", "turn"])
def test_a_process_that_ends_stores_what_is_pending(
    processes: Parent, tmp_path: Path, how: str, status: int, durability: str
) -> None:
    url = f"sqlite:///{tmp_path}/end.db"
    child = processes.start("end_with_pending", url=url, session="s", how=how, durability=durability)
    assert child.hear() > 0
    assert child.ended() == status
    with open_store(url) as store:
        assert [m["content"][0]["text"] for m in said(store)] == ["remember me", "fine"]
        assert [run.status for run in Sessions(store).runs.list("s").entries.values()] == ["completed"]


@pytest.mark.parametrize("durability", ["background", "turn"])
def test_sigterm_ends_a_process_at_once_and_as_an_exit_it_stores_what_is_pending(
    processes: Parent, tmp_path: Path, durability: str
) -> None:
    """As the README says, and how to have it otherwise."""
    for how, status, kept in (("terminated", -signal.SIGTERM, 0), ("terminated, as an exit", 143, 2)):
        url = f"sqlite:///{tmp_path}/{status}.db"
        child = processes.start("end_with_pending", url=url, session="s", how=how, durability=durability)
        assert child.hear() > 0
        os.kill(child.pid, signal.SIGTERM)
        assert child.ended() == status
        with open_store(url) as store:
            assert len(Sessions(store).list().sessions) == kept / 2
            assert kept == 0 or len(said(store)) == kept


def test_a_process_that_ends_waits_for_the_commit_under_way(processes: Parent, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/end.db"
    child = processes.start("end_while_hanging", url=url, session="s")
    assert child.hear() > 0
    assert child.ended() == 0
    with open_store(url) as store:
        assert len(said(store)) == 2


def collected(gone: weakref.ref[Any]) -> None:
    """Collect what is referenced no more: a thread of the pool may be on its way out with the last reference."""
    wait_for(lambda: gc.collect() >= 0 and gone() is None)


def test_what_a_dropped_manager_left_is_stored_by_the_next_that_stores(store: FaultyStore) -> None:
    agent, manager = build(store, "dropped", ["fine"], durability="background")
    store.plan("commit", before=Unavailable("down"), times=None)
    agent("remember me")
    assert manager.pending > 0
    store.heal()
    gone = weakref.ref(manager._session)
    del agent, manager
    collected(gone)
    other, _ = build(store, "other", ["fine"])
    other("hello")
    wait_for(lambda: Sessions(store).list().sessions[1:])
    wait_for(lambda: len(said(store, "dropped")) == 2)


def test_a_manager_is_not_kept_alive_by_what_it_stored(store: FaultyStore) -> None:
    agent, manager = build(store, "s", ["fine"])
    agent("hello")
    gone = weakref.ref(manager)
    del agent, manager
    collected(gone)


def test_a_manager_may_be_dropped_where_a_lock_is_held(store: FaultyStore) -> None:
    """A finalizer runs wherever the interpreter likes: also inside of a pool, whose lock it would need to store."""
    kept = [build(store, "s", ["fine"], durability="background")]
    store.plan("commit", before=Unavailable("down"), times=None)
    kept[0][0]("hello")
    assert kept[0][1].pending > 0
    a_lock = futures_thread._global_shutdown_lock

    def drop() -> None:
        with a_lock:
            kept.clear()
            gc.collect()

    dropping = threading.Thread(target=drop, daemon=True)
    dropping.start()
    dropping.join(5)
    if dropping.is_alive():
        a_lock.release()
        pytest.fail("the finalizer waits for a lock")


# ---------------------------------------------------------------------------------------------------- cancellation


async def cancel_task(agent: Any, store: FaultyStore, held: Any) -> None:
    task = asyncio.create_task(agent.invoke_async("go"))
    await asyncio.to_thread(held.reached.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def cancel_scope(agent: Any, store: FaultyStore, held: Any) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(agent.invoke_async, "go")
        await asyncio.to_thread(held.reached.wait, 10)
        group.cancel_scope.cancel()


async def run_out_of_time(agent: Any, store: FaultyStore, held: Any) -> None:
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(agent.invoke_async("go"), 0.2)
    assert held.reached.is_set()


@pytest.mark.parametrize("how", [cancel_task, cancel_scope, run_out_of_time])
@pytest.mark.parametrize(("durability", "at"), [*(("message", at) for at in range(1, 6)), ("turn", 1)])
def test_a_turn_cancelled_during_a_slow_commit_is_stored_as_far_as_it_went(
    store: FaultyStore, how: Any, at: int, durability: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strands_session_store.plugin.session.CANCELLED_SECONDS", 0.05)
    agent, manager = build(store, "s", with_tools, durability=durability)
    held = store.plan("commit", at=at, hang="before")
    asyncio.run(how(agent, store, held))
    held.release()
    manager.flush()
    assert said(store) == agent.messages
    agent("and again")
    assert said(store) == agent.messages and unpaired(agent.messages) == []
    assert [r.status for r in Sessions(store).runs.list("s").entries.values()][1:] == ["completed"]
    assert Sessions(store).runs.active("s") == ()
    again, _ = build(store, "s")
    assert again.messages == agent.messages


# -------------------------------------------------------------------------------------------------- loops and threads


@pytest.mark.parametrize("held_at", ["before", "after"])
def test_a_loop_closed_before_the_write_is_done_leaves_no_complaint(
    store: FaultyStore, held_at: Any, caplog: pytest.LogCaptureFixture
) -> None:
    agent, manager = build(store, "s", ["fine"])
    held = store.plan("commit", hang=held_at)

    async def begin() -> None:
        task = asyncio.create_task(agent.invoke_async("go"))
        await asyncio.to_thread(held.reached.wait, 10)
        task.cancel()

    with caplog.at_level(logging.DEBUG):
        asyncio.run(begin())
        held.release()
        manager.flush()
    assert "exception calling callback" not in caplog.text and "Event loop is closed" not in caplog.text
    assert said(store) == agent.messages


def test_every_call_may_run_on_another_loop(store: FaultyStore) -> None:
    agent, _ = build(store, "s")
    for turn in range(3):
        agent(f"on a fresh loop, {turn}")
        asyncio.run(agent.invoke_async(f"on another, {turn}"))
    assert len(agent.messages) == 24 and said(store) == agent.messages


@pytest.mark.parametrize("durability", ["message", "background", "turn"])
@pytest.mark.parametrize("engine", ["memory", "sqlite"])
def test_agents_of_one_manager_in_several_threads(tmp_path: Path, durability: Any, engine: str) -> None:
    url = "memory://" if engine == "memory" else f"sqlite:///{tmp_path}/threads.db"
    with open_store(url) as store:
        first, manager = build(store, "s", agent_id="agent 0", durability=durability)
        agents = [first, *(_another(manager, f"agent {n}") for n in range(1, 5))]
        with ThreadPoolExecutor(5) as pool:
            list(pool.map(lambda agent: [agent(f"turn {turn}") for turn in range(4)], agents))
        manager.close()
        for agent in agents:
            assert said(store, agent=agent.agent_id) == agent.messages
            assert len(agent.messages) == 16
        assert Sessions(store).get("s").counters["messages"] == 80
        assert len(Sessions(store).runs.list("s").entries) == 20


def _another(manager: Any, agent_id: str) -> Any:
    from strands import Agent

    from strands_session_store.testing.models import ScriptedModel

    from .children import add, echo

    return Agent(
        model=ScriptedModel(with_tools),
        tools=[add, echo],
        agent_id=agent_id,
        session_manager=manager,
        callback_handler=None,
    )


def test_many_threads_may_flush_one_manager(store: FaultyStore) -> None:
    agent, manager = build(store, "s", durability="turn")
    store.plan("commit", before=Unavailable("down"), times=3)
    agent("go")
    store.plan("commit", delay=0.02, times=None)
    errors: list[Exception] = []
    start = threading.Barrier(8)

    def flush() -> None:
        start.wait(10)
        for _ in range(5):
            try:
                manager.flush()
                return
            except StoreError as error:
                errors.append(error)

    threads = [threading.Thread(target=flush) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert manager.pending == 0 and said(store) == agent.messages
    assert all(type(error) is Unavailable for error in errors)  # none was told that it took too long


def test_ctrl_c_during_a_flush_leaves_a_manager_that_works(store: FaultyStore) -> None:
    agent, manager = build(store, "s", durability="turn")
    store.plan("commit", before=Unavailable("down"))
    agent("go")
    plan = store.plan("commit")
    vars(plan)["before"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        manager.flush()
    manager.flush()
    assert said(store) == agent.messages


def test_a_stream_that_is_closed_is_stored_as_far_as_it_went(store: FaultyStore) -> None:
    agent, manager = build(store, "s", [Reply("a long answer, word by word"), "fine"])

    async def taste() -> None:
        stream = agent.stream_async("go")
        async for event in stream:
            if "data" in event:
                break
        await stream.aclose()

    asyncio.run(taste())
    manager.flush()
    assert said(store) == agent.messages
    agent("again")
    assert said(store) == agent.messages
    statuses = [run.status for run in Sessions(store).runs.list("s").entries.values()]
    assert statuses[0] in ("cancelled", "abandoned") and statuses[1:] == ["completed"]


def test_a_hook_that_raises_behind_ours_loses_nothing(store: FaultyStore) -> None:
    agent, _ = build(store, "s", lambda messages: "fine")
    raised = []

    def fail(event: MessageAddedEvent) -> None:
        if not raised:
            raised.append(event)
            raise RuntimeError("a hook of the application")

    agent.hooks.add_callback(MessageAddedEvent, fail)
    with pytest.raises(RuntimeError):
        agent("go")
    agent("go on")
    assert said(store) == agent.messages
    assert [r.status for r in Sessions(store).runs.list("s").entries.values()] == ["failed", "completed"]
