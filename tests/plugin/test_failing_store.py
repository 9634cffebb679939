"""A store that fails, answers ambiguously, or hangs: nothing is burned, doubled or reordered, and it is said."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from strands import Agent
from strands.hooks import AfterInvocationEvent, HookOrder, MessageAddedEvent
from strands.types.exceptions import EventLoopException

from strands_session_store import ConflictError, StoreError, StoreSessionManager, Unavailable, layout, open_store
from strands_session_store.errors import InDoubt
from strands_session_store.layout import session_space
from strands_session_store.plugin.commits import Presence
from strands_session_store.plugin.jobs import Job
from strands_session_store.plugin.loading import Base
from strands_session_store.plugin.writer import Writer
from strands_session_store.sessions import Sessions
from strands_session_store.stores.offload import Offload
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import ScriptedModel

from .children import build, unpaired, wait_for, with_tools

COMMITS = 5
"""Of one turn with a tool: prompt, tool uses, results, answer, and the end of the run."""


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FaultyStore]:
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/faulty.db"
    with FaultyStore(open_store(url)) as faulty:
        yield faulty
        faulty.heal()


def said(store: FaultyStore) -> list[Any]:
    """The history, which has no holes."""
    found = Sessions(store).messages.page("s", limit=1000)
    assert list(found.entries) == list(range(found.length))
    return [entry.message for entry in found.entries.values()]


def is_whole(store: FaultyStore, agent: Agent) -> None:
    """The history is what the live agent has, once and in order; so is what a resume gives; counters agree."""
    assert said(store) == agent.messages
    resumed, _ = build(store, "s")
    assert resumed.messages == agent.messages and resumed.state.get() == agent.state.get()
    assert Sessions(store).get("s").counters["messages"] == len(agent.messages)
    assert unpaired(agent.messages) == []


def caused_by_store(error: BaseException) -> bool:
    return isinstance(error, StoreError) or (
        isinstance(error, EventLoopException) and isinstance(error.__cause__, StoreError)
    )


@pytest.mark.parametrize("how", ["before", "after", "hang"])
@pytest.mark.parametrize("at", range(1, COMMITS + 1))
@pytest.mark.parametrize("earlier", [0, 1])
def test_message_mode_raises_out_of_the_turn_and_the_next_one_works(
    store: FaultyStore, how: str, at: int, earlier: int
) -> None:
    agent, manager = build(store, "s")
    for _ in range(earlier):
        agent("hello")
    match how:
        case "before":
            store.plan("commit", at=at, before=Unavailable("down"))
        case "after":
            store.plan("commit", at=at, after=InDoubt("no answer"))
        case _:
            held = store.plan("commit", at=at, hang="before")
            manager._session.timeout = 0.1
    with pytest.raises((StoreError, EventLoopException)) as caught:
        agent("go")
    assert caused_by_store(caught.value)
    if how == "hang":
        assert "has not answered within 0.1 s" in str(caught.value.__cause__ or caught.value)
        held.release()
        manager._session.timeout = 30
        manager.flush()
    agent("go on")
    assert agent.messages[-1]["content"] == [{"text": "That is done."}]
    assert manager.pending == 0
    is_whole(store, agent)
    runs = Sessions(store).runs.list("s").entries.values()
    assert len({run.run_id for run in runs}) == len(runs) == earlier + 2
    assert Sessions(store).runs.active("s") == ()
    assert [run.status for run in runs][-1] == "completed"


@pytest.mark.parametrize("second", ["unavailable", "in doubt", "conflict-free"])
def test_a_commit_in_doubt_stays_in_doubt_until_it_is_answered(store: FaultyStore, second: str) -> None:
    """It was applied, its answer lost; then the engine is down for its repetition. That does not make it undone."""
    agent, manager = build(store, "s", ["fine", "fine"])
    agent("hello")
    store.plan("commit", after=InDoubt("no answer"))
    if second != "conflict-free":
        store.plan("commit", at=2, before=Unavailable("down") if second == "unavailable" else InDoubt("?"), times=2)
    with pytest.raises(StoreError):
        agent("and now")
    for _ in range(5):
        try:
            manager.flush()
        except Unavailable:
            continue
    assert manager.pending == 0
    assert [m["tracking_id"] for m in said(store)] == [m["tracking_id"] for m in agent.messages]
    agent("once more")
    is_whole(store, agent)


@pytest.mark.parametrize("durability", ["background", "turn"])
@pytest.mark.parametrize("error", ["before", "after", "hang"])
def test_other_modes_go_on_and_keep_what_is_pending_in_order(
    store: FaultyStore, durability: Any, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    agent, manager = build(store, "s", durability=durability)
    agent("all is well")
    stored = len(said(store))
    match error:
        case "before":
            store.plan("commit", before=Unavailable("down"), times=None)
        case "after":
            store.plan("commit", after=InDoubt("no answer"), times=None)
        case _:
            store.plan("commit", hang="before", times=None)
            manager._session.timeout = 0.05
    with caplog.at_level(logging.WARNING, "strands_session_store"):
        agent("one")
        agent("two")
    assert "session_id=<s>, pending=<" in caplog.text
    assert ("not answered" if error == "hang" else "kept for the next attempt") in caplog.text
    assert manager.pending > 0
    for _ in range(2):
        with pytest.raises(Unavailable):
            manager.flush()
        with pytest.raises(Unavailable):
            manager.close()
    if error != "after":
        assert len(said(store)) == stored
    store.heal()
    manager._session.timeout = 30
    manager.flush()
    is_whole(store, agent)
    agent("three")
    manager.close()
    is_whole(store, agent)
    assert [r.status for r in Sessions(store).runs.list("s").entries.values()] == ["completed"] * 4


@pytest.mark.parametrize("durability", ["message", "background", "turn"])
def test_a_conflict_is_raised_in_every_mode(store: FaultyStore, durability: Any) -> None:
    stale, manager = build(store, "s", durability=durability, on_stale="conflict")
    stale("one")
    fresh, _ = build(store, "s")
    fresh("two")
    with pytest.raises((ConflictError, EventLoopException)) as caught:
        stale("three")
    assert isinstance(caught.value, ConflictError) or isinstance(caught.value.__cause__, ConflictError)
    with pytest.raises(ConflictError):
        manager.close()
    assert said(store) == fresh.messages
    stale("four")
    assert [m["content"][0].get("text") for m in stale.messages][-4::3] == ["four", "That is done."]
    assert said(store) == stale.messages and stale.messages[: len(fresh.messages)] == fresh.messages
    manager.close()


def test_a_foreign_exception_of_a_store_is_a_store_error_with_it_as_cause(store: FaultyStore) -> None:
    agent, _ = build(store, "s")
    store.plan("commit", before=ZeroDivisionError("a driver's bug"))
    with pytest.raises(StoreError, match="ZeroDivisionError") as caught:
        agent("go")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    agent("go on")
    is_whole(store, agent)


def test_a_read_that_fails_fails_the_building_of_the_agent_and_overwrites_nothing(store: FaultyStore) -> None:
    agent, _ = build(store, "s")
    agent("one")
    commits = store.count("commit")
    store.plan("read", before=Unavailable("down"))
    with pytest.raises(Unavailable):
        build(store, "s")
    assert store.count("commit") == commits
    is_whole(store, agent)


def test_what_queues_up_behind_a_slow_commit_travels_together(store: FaultyStore) -> None:
    held = store.plan("commit", hang="before")

    def script(messages: Any) -> Any:
        assert held.reached.wait(60)  # or all travels in the first
        return with_tools(messages)

    agent, manager = build(store, "s", script, durability="background")
    agent.hooks.add_callback(AfterInvocationEvent, lambda event: held.release())
    agent("go")
    assert held.reached.is_set() and manager.pending == 0
    assert store.count("commit") == 2
    is_whole(store, agent)


def test_turn_mode_is_one_commit_a_turn(store: FaultyStore) -> None:
    agent, _ = build(store, "s", durability="turn")
    for turn in range(3):
        agent(f"turn {turn}")
        assert store.count("commit") == turn + 1
    is_whole(store, agent)


def test_message_mode_has_stored_each_message_when_its_hook_returns(store: FaultyStore) -> None:
    agent, _ = build(store, "s", with_tools)
    seen: list[bool] = []
    agent.hooks.add_callback(
        MessageAddedEvent, lambda event: seen.append(said(store) == agent.messages), order=HookOrder.SDK_LAST
    )
    agent("go")
    assert seen == [True] * 4 and store.count("commit") == COMMITS


def test_what_may_travel_with_the_next_commit_does_not_make_one_of_its_own(store: FaultyStore) -> None:
    def job() -> Job:
        made = Job(layout.writer("a"))
        made.add("counted", 1)
        return made

    space, base = session_space("s", None), Base(layout.writer("a"))
    writer = Writer(store, space, Presence(None), base, ttl=None, before_store=None)
    held = store.plan("commit", hang="before")
    writer.put(job())
    asked_for = writer.settled()
    writer.start()
    assert held.reached.wait(10)
    writer.put(job())  # while the first is under way: its end must not take this one along
    held.release()
    assert asked_for is not None and asked_for.result(10) is None
    wait_for(lambda: not writer._draining)
    assert (writer.pending, store.count("commit")) == (1, 1)
    writer.put(job())
    writer.drain_here(10)
    assert (writer.pending, store.count("commit")) == (0, 2)


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("durability", ["message", "background", "turn"])
def test_what_a_dropped_manager_left_is_stored_before_the_session_is_read_again(
    store: FaultyStore, durability: Any, ahead: bool
) -> None:
    """A server has a manager a request. One that met an outage is gone by the next request, and that one resumes: what
    the first left was written behind its back, and refused it (or was refused, and lost)."""
    agent, manager = build(store, "s", lambda messages: "fine", durability=durability)
    agent("hello")
    store.plan("commit", before=Unavailable("down"), times=None)
    with contextlib.suppress(Unavailable):
        agent("in the outage")
    store.heal()
    gone = weakref.ref(manager._session)
    del agent, manager
    # a thread of the pool may be on its way out with the last reference
    wait_for(lambda: gc.collect() >= 0 and gone() is None)

    if ahead:
        manager = asyncio.run(StoreSessionManager.open("s", store, durability=durability))
        agent = Agent(model=ScriptedModel(lambda messages: "fine"), session_manager=manager, callback_handler=None)
    else:
        agent, manager = build(store, "s", lambda messages: "fine", durability=durability)
    assert "in the outage" in str(agent.messages)
    agent("after it")
    manager.flush()
    assert said(store) == agent.messages


def test_an_interrupt_behind_a_commit_does_not_take_what_comes_next(store: FaultyStore) -> None:
    """Ctrl-C in flush(), when the commit was booked: its repetition took the next message out, unwritten."""
    agent, manager = build(store, "s", lambda messages: "fine")
    agent("hello")

    def interrupt(record: logging.LogRecord) -> bool:
        raise KeyboardInterrupt

    log = logging.getLogger("strands_session_store.plugin.writer")
    log.addFilter(interrupt)  # it has to say that a message was too large
    try:
        agent.messages.append({"role": "user", "content": [{"text": "x" * 2**24}]})
        with pytest.raises(KeyboardInterrupt):
            manager.flush()
    finally:
        log.removeFilter(interrupt)
    agent.messages.append({"role": "assistant", "content": [{"text": "next"}]})
    manager.flush()
    agent("go on")
    assert [m["tracking_id"] for m in said(store)] == [m["tracking_id"] for m in agent.messages]


def test_a_thread_that_can_not_be_started_does_not_make_two_drainers(store: FaultyStore) -> None:
    """ThreadPoolExecutor.submit() queues the call, then starts a thread; failing that, it raises and keeps the call."""

    class Refusing(Offload):
        def submit(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
            super().submit(fn, *args, **kwargs)
            raise RuntimeError("can't start new thread")

    agent, manager = build(store, "s", lambda messages: "fine", durability="background")
    agent("hello")
    writer, drained = manager._session.writers[0], []
    wait_for(lambda: not writer._draining)  # or the thread that stored the turn takes what comes next too
    drain = writer._drain
    writer._drain = lambda: drained.append(1) or drain()  # type: ignore[method-assign]
    store.__dict__["_offload"] = refusing = Refusing(1)
    agent.messages.append({"role": "user", "content": [{"text": "x"}]})
    manager.sync_agent(agent)
    refusing._ready().shutdown(wait=True)  # what was queued has run
    assert len(drained) == 1 and manager.pending == 0


def test_what_dropped_managers_left_holds_up_no_pool(tmp_path: Path) -> None:
    """As many read as there are threads: what each waits for is not left to another thread."""
    with open_store(f"sqlite:///{tmp_path}/s.db") as inner:
        store = FaultyStore(inner)
        sessions, there = [f"s{n}" for n in range(inner.workers)], []
        for session in sessions:
            agent, manager = build(store, session, durability="turn")
            there.append(weakref.ref(manager._session))
            store.plan("commit", before=Unavailable("down"), times=None)
            agent("hello")
            del agent, manager
            store.heal()
        wait_for(lambda: gc.collect() >= 0 and not any(session() for session in there))

        async def resume() -> None:
            opening = [StoreSessionManager.open(session, store, timeout=5) for session in sessions]
            for manager in await asyncio.gather(*opening):
                assert len(Agent(model=ScriptedModel([]), session_manager=manager).messages) == 4

        asyncio.run(resume())
