"""A process that has a session's lease, and is stopped for longer than the expiry: another goes on, and when the first
wakes up it writes nothing, says so, and works again."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from strands_session_store import ConflictError, Unavailable, layout, open_store
from strands_session_store.stores.base import Expect, new_commit_id

from .children import Parent, build, unpaired, wait_for
from .test_many_processes import ENGINES, SESSION, SPACE, history, texts

PLACES = ["tool", "model", "first commit", "last commit"]
EXPIRY = 0.5


def _stop(pid: int, url: str) -> None:
    """SIGSTOP, and all its threads stand still when this returns; none of them in the midst of a commit that holds a
    lock of the file system: that locks out everybody, as long as it stands still, whatever a lease says."""
    ask = ["ps", "-o", "stat=", "-p", str(pid)]
    with open_store(url, timeout=3) as store:
        for _ in range(5):
            os.kill(pid, signal.SIGSTOP)
            wait_for(lambda: subprocess.run(ask, capture_output=True, text=True).stdout.startswith("T"), "the stop")
            try:
                store.commit(SPACE, Expect(layout.LEASE, "no version"), commit_id=new_commit_id())
            except ConflictError:
                return
            except Unavailable:
                os.kill(pid, signal.SIGCONT)
    raise AssertionError("it always stands in the midst of a commit")


def _paused(processes: Parent, url: str, where: str, durability: str) -> None:
    options: dict[str, Any] = {"url": url, "session": SESSION, "lease_expiry": EXPIRY, "durability": durability}
    paused = processes.start("be_stopped", where=where, **options)
    assert paused.hear() == ("ready",)
    assert len(paused.ask("before")) == 4
    assert paused.ask("stop") == ("there",)
    _stop(paused.pid, url)
    other = processes.start("be_stopped", where="nowhere", **options)
    assert other.hear() == ("ready",)
    meanwhile = other.ask("meanwhile")
    assert texts(meanwhile[-1]) == ["That is done."], meanwhile
    with open_store(url) as store:
        revision, said = store.read(SPACE).revision, history(store)
        os.kill(paused.pid, signal.SIGCONT)
        paused.tell("go on")
        kind, text = paused.hear()
        assert kind == "ConflictError" and "nothing was written" in text
        assert f"pid {other.pid} " in text and f"pid {paused.pid} " in text
        assert (store.read(SPACE).revision, history(store)) == (revision, said)
        # in mode "message" its last messages were stored before it was stopped; the other has gone on from there
        prompts = ["before", *(["stop"] if durability == "message" and where != "first commit" else []), "meanwhile"]
        assert [text for m in said if m["role"] == "user" for text in texts(m)] == prompts

        after = paused.ask("after")
        assert after[: len(meanwhile)] == meanwhile and texts(after[-1]) == ["That is done."]
        assert [text for m in after if m["role"] == "user" for text in texts(m)] == [*prompts, "after"]
        assert unpaired(after) == [] and after == build(store, SESSION)[0].messages
        assert other.ask("and again")[: len(after)] == after


@pytest.mark.parametrize(
    ("where", "durability"),
    [("tool", "message"), ("model", "turn"), ("first commit", "turn"), ("last commit", "message")],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_paused_holder_writes_nothing(
    processes: Parent, url_of: Callable[[str], str], engine: str, where: str, durability: str
) -> None:
    _paused(processes, url_of(engine), where, durability)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_paused_holder_writes_nothing_where_another_agent_went_on(
    processes: Parent, url_of: Callable[[str], str], engine: str
) -> None:
    """What keeps it from writing is the lease alone: its own agent is as it knows it."""
    url = url_of(engine)
    options: dict[str, Any] = {"url": url, "session": SESSION, "lease_expiry": EXPIRY}
    paused = processes.start("be_stopped", where="model", **options)
    other = processes.start("be_stopped", where="model", agent_id="other", **options)
    assert (paused.hear(), other.hear()) == (("ready",), ("ready",))
    assert paused.ask("stop") == ("there",)
    _stop(paused.pid, url)
    assert len(other.ask("meanwhile")) == 4
    with open_store(url) as store:
        revision = store.read(SPACE).revision
        os.kill(paused.pid, signal.SIGCONT)
        paused.tell("go on")
        kind, text = paused.hear()
        assert kind == "ConflictError" and f"pid {other.pid} " in text and "nothing was written" in text
        assert store.read(SPACE).revision == revision
        after = paused.ask("after")
        assert [texts(m) for m in after if m["role"] == "user"][:2] == [["stop"], ["after"]]
        assert after == build(store, SESSION)[0].messages


@pytest.mark.soak
@pytest.mark.parametrize("durability", ["message", "background", "turn"])
@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_paused_holder_writes_nothing_wherever_it_is(
    processes: Parent, url_of: Callable[[str], str], engine: str, where: str, durability: str
) -> None:
    _paused(processes, url_of(engine), where, durability)
