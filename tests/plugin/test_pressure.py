"""What the store does not take is bounded, in jobs and in bytes; past that, hooks wait for the store and raise."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import random
import threading
import weakref
from collections import deque
from typing import Any

import pytest
from strands.hooks import MessageAddedEvent
from strands.types.exceptions import EventLoopException

from strands_session_store import StoreError, Unavailable, layout, records
from strands_session_store.errors import InDoubt
from strands_session_store.plugin import jobs
from strands_session_store.plugin.commits import Presence
from strands_session_store.plugin.jobs import PENDING_BYTES, PENDING_JOBS, Job
from strands_session_store.plugin.loading import Base
from strands_session_store.plugin.writer import Writer
from strands_session_store.sessions import Sessions
from strands_session_store.testing.faults import FaultyStore

from .children import build, wait_for

JOBS = 20
"""The bound of most tests here: two or three turns with a tool."""
TURN = 9
"""No turn of these tests puts more."""


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strands_session_store.plugin.writer.PENDING_JOBS", JOBS)


def said(store: FaultyStore, session: str = "s") -> list[Any]:
    found = Sessions(store).messages.page(session, limit=1000)
    assert list(found.entries) == list(range(found.length))
    return [entry.message for entry in found.entries.values()]


def made(*texts: str) -> Job:
    job = Job(layout.writer("a"))
    for text in texts:
        message = {"role": "user", "content": [{"text": text}], "tracking_id": text[:20]}
        job.append(layout.history("a"), records.Message(message=message), at=None)
    return job


def writer_on(store: FaultyStore) -> Writer:
    space, base = layout.session_space("s", None), Base(layout.writer("a"))
    session = records.Session(session_id="s")
    return Writer(store, space, Presence(session), base, ttl=None, before_store=None)


# ------------------------------------------------------------------------------------------------------------ the bound


def test_a_writer_is_full_at_the_bound_of_jobs(store: FaultyStore) -> None:
    writer = writer_on(store)
    for _ in range(PENDING_JOBS - 1):
        writer.put(made())
    assert not writer.full
    writer.put(made())
    assert writer.full
    writer.drain_here(10)
    assert not writer.full and writer.pending == 0


def test_a_writer_is_full_at_the_bound_of_bytes_and_stays_so_when_they_are_encoded(store: FaultyStore) -> None:
    writer, text = writer_on(store), "x" * 2**20
    store.plan("commit", before=Unavailable("down"), times=None)
    for n in range(PENDING_BYTES // 2**20 - 1):
        writer.put(made(f"{n} {text}"))
    assert not writer.full
    with pytest.raises(Unavailable):
        writer.drain_here(10)
    writer.put(made(text))
    assert writer.full
    for _ in range(2):  # the first of them are encoded by now
        with pytest.raises(Unavailable):
            writer.drain_here(10)
        assert writer.full
    store.heal()
    writer.drain_here(10)
    assert not writer.full


def test_one_job_that_is_written_in_several_commits_gives_its_room_back(store: FaultyStore) -> None:
    writer = writer_on(store)
    writer.put(made(*(f"{n} {'x' * 2**20}" for n in range(18))))
    assert writer.full
    store.plan("commit", at=3, before=Unavailable("down"))
    with pytest.raises(Unavailable) as caught:
        writer.drain_here(10)
    assert not writer.full and len(caught.value.unwritten) == 18  # the job is acknowledged whole or not at all
    writer.drain_here(10)
    assert Sessions(store).store.count("commit") > 4 and writer.pending == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("content", "least"),
    [
        ([{"text": "x" * 1000}], 1000),
        ([{"text": "\U0001f600" * 1000}], 4000),
        ([{"image": {"source": {"bytes": b"x" * 1000}}}], 1000),
        ([{"toolUse": {"input": {"many": list(range(1000))}}}], 8000),
        ([{"text": "x"}] * 100, 6400),
        ([{"toolResult": {"content": [{"json": {"deep": [["x" * 1000]]}}]}}], 1000),
    ],
)
def test_the_size_of_a_job_is_told_by_its_content(content: Any, least: int) -> None:
    job = Job(layout.writer("a"))
    empty = records.Message(message={"role": "user", "content": [], "tracking_id": "x"})
    job.append(layout.history("a"), empty)
    floor = jobs.size(job)
    job.append(layout.history("a"), records.Message(message={"role": "user", "content": content, "tracking_id": "x"}))
    assert least <= jobs.size(job) - floor < 10 * least + floor
    job.docs["agents/a/agent"] = b"x" * 5000
    assert jobs.size(job) >= least + 5000


# ------------------------------------------------------------------------------------------------------- hooks at it


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("durability", ["message", "background", "turn"])
@pytest.mark.parametrize("fault", ["down", "answers lost", "hangs"])
def test_an_outage_over_many_invocations_is_raised_at_the_bound_and_loses_nothing(
    store: FaultyStore, durability: Any, fault: str
) -> None:
    agent, manager = build(store, "s", durability=durability)
    agent("all is well")
    match fault:
        case "down":
            store.plan("commit", before=Unavailable("down"), times=None)
        case "answers lost":
            store.plan("commit", after=InDoubt("no answer"), times=None)
        case _:
            store.plan("commit", hang="before", times=None)
            manager._session.timeout = 0.05
    outcomes, most = [], 0
    for turn in range(30):
        before = len(agent.messages)
        try:
            agent(f"turn {turn}")
            outcomes.append("kept")
        except (StoreError, EventLoopException) as error:
            refused = len(agent.messages) == before
            outcomes.append("refused" if refused else "raised")
            told = error if isinstance(error, StoreError) else error.__cause__
            assert isinstance(told, StoreError)
            ids = [m["tracking_id"] for m in agent.messages]
            assert told.unwritten and ids[-len(told.unwritten) :] == list(told.unwritten)
        most = max(most, manager.pending)
    assert JOBS <= most <= JOBS + TURN
    # some turns were kept, the one that came to the bound raised, and from then on none began
    kinds = [kind for kind, _ in itertools.groupby(outcomes)]
    assert (
        kinds == ["raised", "refused"]
        if durability == "message"
        else kinds
        in (
            ["kept", "raised", "refused"],
            ["kept", "refused"],
        )
    )
    assert outcomes.count("refused") > 20
    store.heal()
    manager._session.timeout = 30
    agent("it is back")
    assert manager.pending == 0 and said(store) == agent.messages
    resumed, _ = build(store, "s")
    assert resumed.messages == agent.messages
    assert Sessions(store).get("s").counters["messages"] == len(agent.messages)


@pytest.mark.parametrize("durability", ["background", "turn"])
def test_the_bound_of_bytes_holds_over_turns(store: FaultyStore, durability: Any) -> None:
    agent, manager = build(store, "s", lambda messages: "x" * 2**21, durability=durability)
    store.plan("commit", before=Unavailable("down"), times=None)
    for _ in range(3):  # of 4 MiB each
        agent("y" * 2**21)
    with pytest.raises((Unavailable, EventLoopException)):
        agent("y" * 2**21)  # comes to 16
    pending = manager.pending
    for _ in range(3):
        with pytest.raises(Unavailable):
            agent("and again")
    assert manager.pending == pending
    store.heal()
    agent("it is back")
    assert said(store) == agent.messages


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("durability", ["background", "turn"])
def test_a_hook_that_waits_for_room_does_not_hold_up_the_loop(store: FaultyStore, durability: Any) -> None:
    agent, manager = build(store, "s", durability=durability)
    other, _ = build("memory://", "other")
    store.plan("commit", before=Unavailable("down"), times=None)
    for _ in range(JOBS):
        if not manager._session.writers[0].full:
            with contextlib.suppress(Unavailable, EventLoopException):
                agent("in the outage")
    assert manager._session.writers[0].full
    store.heal()
    held = store.plan("commit", hang="before")

    async def both() -> None:
        waiting = asyncio.create_task(agent.invoke_async("waits for room"))
        await asyncio.to_thread(held.reached.wait, 10)
        before = len(agent.messages)
        await other.invoke_async("takes its whole turn meanwhile")
        assert len(agent.messages) == before and not waiting.done()
        held.release()
        await waiting

    asyncio.run(both())
    manager.flush()
    assert len(other.messages) == 4 and said(store) == agent.messages


def test_a_turn_past_the_bound_begins_to_be_stored_before_its_end(
    store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strands_session_store.plugin.writer.PENDING_JOBS", 3)
    agent, manager = build(store, "s", durability="turn")
    commits: list[int] = []
    agent.hooks.add_callback(MessageAddedEvent, lambda event: commits.append(store.count("commit")))
    agent("go")
    assert commits == [0, 1, 2, 2] and store.count("commit") == 3
    assert said(store) == agent.messages
    # but where a turn must be whole, it waits for its end, and the next one for that
    manager._session.whole_turns = True
    agent("go")
    assert commits[4:] == [3] * 4 and store.count("commit") == 4
    store.plan("commit", before=Unavailable("down"), times=None)
    with pytest.raises(Unavailable):
        agent("go")
    before = list(agent.messages)
    with pytest.raises(Unavailable):
        agent("none begins")
    assert agent.messages == before


@pytest.mark.parametrize("durability", ["background", "turn"])
def test_what_dropped_managers_leave_is_not_silently_unbounded(
    store: FaultyStore, durability: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk is full: sessions are read, and nothing is written. A server has a manager a request."""
    monkeypatch.setattr("strands_session_store.plugin.process.LEFT", 3)
    gc.collect()  # what other tests left is not counted
    monkeypatch.setattr("strands_session_store.plugin.process._left", deque())
    monkeypatch.setattr("strands_session_store.plugin.process._tried", [])
    for n in range(3):
        store.plan("commit", before=Unavailable("the disk is full"), times=None)
        agent, manager = build(store, f"s{n}", lambda messages: "fine", durability=durability)
        agent("hello")
        gone = weakref.ref(manager._session)
        del agent, manager
        store.heal()  # the error it raises holds who was told
        wait_for(lambda gone=gone: gc.collect() >= 0 and gone() is None)  # type: ignore[misc]
    store.plan("commit", before=Unavailable("the disk is full"), times=None)
    agent, _ = build(store, "one more", lambda messages: "fine", durability=durability)
    with pytest.raises(Unavailable):
        agent("hello")
    store.heal()
    agent("it is back")
    assert said(store, "one more") == agent.messages


# ---------------------------------------------------------------------------------------------------------------- order


@pytest.mark.parametrize("seed", range(6))
def test_no_job_overtakes_another(store: FaultyStore, seed: int) -> None:
    """Several threads put, others drain; the store fails in all ways. The entries come in the order of the puts."""
    chance = random.Random(f"order {seed}")
    writer, order, lock = writer_on(store), list[str](), threading.Lock()
    for at in range(1, 120, 3):
        how = chance.choice([{"before": Unavailable("down")}, {"after": InDoubt("?")}, {"delay": 0.002}])
        store.plan("commit", at=at + chance.randrange(3), **how)

    def put(name: str) -> None:
        for n in range(60):
            text = f"{name} {n}"
            with lock:  # as the session's lock: what is put first is first
                order.append(text)
                writer.put(made(text) if n % 7 else made(text + "x" * 2**19))
            writer.start()

    threads = [threading.Thread(target=put, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    def drained() -> bool:
        try:
            writer.drain_here(10)
        except Unavailable:
            return False
        return writer.pending == 0

    wait_for(drained)
    found = Sessions(store).messages.page("s", agent_id="a", limit=1000)
    stored = [entry.message["content"][0]["text"].rstrip("x") for entry in found.entries.values()]
    assert stored == order
