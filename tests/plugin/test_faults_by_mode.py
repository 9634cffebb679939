"""Every mode, by every fault, by every end: what was acknowledged is there, once; the rest is named, and stored later.

The table is `CASES`; what holds of each of them is `check`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from pathlib import Path
from typing import Any

import pytest
from strands import Agent
from strands.hooks import HookOrder, MessageAddedEvent
from strands.types.exceptions import EventLoopException

from strands_session_store import SessionNotFoundError, StoreError, open_store
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Store
from strands_session_store.testing.faults import FaultyStore

from .children import Parent, build, fail, unpaired

DURABILITIES = ("message", "background", "turn")
FAULTS = ("down, then healed", "answer lost", "hangs", "down for good", "answers lost for good")
ENDS = ("flush", "close", "cancelled", "next invocation")
CASES = [
    *itertools.product(DURABILITIES, FAULTS, (1, 2)),
    *itertools.product(["message"], FAULTS, (3, 4)),  # the other modes need not come to as many commits
]
"""Durability, fault, and the commit that meets it first."""


def stored(store: Store) -> list[str]:
    """The ids of the history, which has no holes."""
    try:
        found = Sessions(store).messages.page("s", limit=1000)
    except SessionNotFoundError:
        return []
    assert list(found.entries) == list(range(found.length))
    return [entry.message["tracking_id"] for entry in found.entries.values()]


def ids(agent: Agent) -> list[str]:
    return [m["tracking_id"] for m in agent.messages]  # type: ignore[typeddict-item]


def check(found: list[str], said: list[str], acknowledged: set[str], named: set[str] | None, fault: str) -> None:
    """What is stored by now, beside what the live agent said."""
    assert found == said[: len(found)], "out of order, doubled, or with a hole"
    assert acknowledged <= set(found)
    if named is not None:  # who was told what is not written knows that all else is
        assert set(said) == set(found) | named
        if fault.startswith("down"):
            assert not set(found) & named
        if fault.endswith("for good"):
            assert named


async def cancelled(agent: Agent) -> None:
    task = asyncio.create_task(agent.invoke_async("is cancelled"))
    agent.hooks.add_callback(MessageAddedEvent, lambda event: task.cancel())
    await task


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(("durability", "fault", "at"), CASES)
def test_what_was_acknowledged_is_there_once_and_the_rest_is_named(
    store: FaultyStore, durability: Any, fault: str, at: int, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strands_session_store.plugin.session.CANCELLED_SECONDS", 0.02)
    agent, manager = build(store, "s", durability=durability)
    agent("all is well")
    acknowledged = set(ids(agent))
    if durability == "message":
        agent.hooks.add_callback(
            MessageAddedEvent, lambda event: acknowledged.add(event.message["tracking_id"]), order=HookOrder.SDK_LAST
        )
    if fail(store, fault, at) is not None:
        manager._session.timeout = 0.02
    for turn in range(2):
        with contextlib.suppress(StoreError, EventLoopException):
            agent(f"turn {turn}")
    named: set[str] | None = None
    match end:
        case "flush" | "close":
            named = set()
            try:
                getattr(manager, end)()
            except StoreError as error:
                named = set(error.unwritten)
        case "cancelled":
            with contextlib.suppress(asyncio.CancelledError, StoreError):
                asyncio.run(cancelled(agent))
        case _:
            with contextlib.suppress(StoreError, EventLoopException):
                agent("the next one")
    check(stored(store.store), ids(agent), acknowledged, named, fault)

    store.heal()
    manager._session.timeout = 30
    manager.flush()
    assert stored(store) == ids(agent) and manager.pending == 0
    resumed, _ = build(store, "s")
    assert resumed.messages == agent.messages
    resumed("and on")
    assert unpaired(resumed.messages) == []
    assert Sessions(store).get("s").counters["messages"] == len(stored(store)) == len(set(stored(store)))
    runs = [run.run_id for run in Sessions(store).runs.list("s").entries.values()]
    assert len(set(runs)) == len(runs) and Sessions(store).runs.active("s") == ()


@pytest.mark.parametrize(
    ("durability", "fault", "at"),
    [pytest.param(*case, marks=[pytest.mark.soak] if case[2] > 1 else []) for case in CASES],  # each is a process
)
def test_the_exit_of_a_process_stores_or_names(
    processes: Parent, tmp_path: Path, durability: str, fault: str, at: int
) -> None:
    url = f"sqlite:///{tmp_path}/end.db"
    child = processes.start("end_in_faults", url=url, session="s", durability=durability, fault=fault, at=at)
    heard = child.hear_all()
    assert child.ended() == 3
    (_, said) = next(one for one in heard if one[0] == "done")
    acknowledged = {one for one in heard if isinstance(one, str)} if durability == "message" else set()
    lines = [one[1] for one in heard if one[0] == "ERROR"]
    named = {name for line in lines for name in line.partition("messages=<")[2].partition(">")[0].split()}
    with open_store(url) as store:
        found = stored(store)
        check(found, said, acknowledged, named, fault)
        if found:
            resumed, _ = build(store, "s")
            resumed("and on")
            assert unpaired(resumed.messages) == []
