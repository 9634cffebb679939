"""Runs begin and end once, on every engine; those of session managers show beside them, undisturbed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from strands import Agent, tool
from strands.hooks import MessageAddedEvent
from tests.forked import Forge

from strands_session_store import InvalidIdError, SessionNotFoundError, StoreSessionManager, Unavailable, records
from strands_session_store.errors import (
    AlreadyExistsError,
    IllegalTransitionError,
    InDoubt,
    InvalidCursorError,
    RunNotFoundError,
    Unserializable,
)
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Store
from strands_session_store.testing import FaultyStore
from strands_session_store.testing.models import Reply, ScriptedModel, ToolCall

ENDS = ("complete", "interrupt", "cancel", "fail")


def end(sessions: Sessions, how: str, run_id: str, **options: object) -> records.Run:
    error = ("it broke",) if how == "fail" else ()
    ended = getattr(sessions.runs, how)("s", run_id, *error, **options)
    assert isinstance(ended, records.Run)
    return ended


def agent_of(sessions: Sessions, script: list[object], session_id: str = "s") -> Agent:
    @tool
    def clock() -> str:
        """What time it is."""
        return "noon"

    manager = StoreSessionManager(session_id, sessions.store)
    return Agent(model=ScriptedModel(script), tools=[clock], session_manager=manager, callback_handler=None)


def test_a_run_begins_and_ends_each_way(sessions: Sessions) -> None:
    sessions.create("s")
    usage = records.Usage(input_tokens=3, output_tokens=4)
    for at, (how, status) in enumerate(zip(ENDS, ("completed", "interrupted", "cancelled", "failed"))):
        run = sessions.runs.start("s", run_id=f"r{at}", agent_id="eve", metadata={"try": at, "for": b"x"})
        assert (run.status, run.duration, sessions.runs.active("s")) == ("open", None, (run,))
        assert sessions.runs.get("s", run.run_id) == run
        ended = end(sessions, how, run.run_id, reason="because", usage=usage)
        assert (ended.status, ended.stop_reason, ended.usage) == (status, "because", usage)
        assert ended.error == ("it broke" if how == "fail" else None)
        assert ended.duration is not None and 0 <= ended.duration < 60
        assert ended.metadata == {"try": at, "for": b"x"} and ended.recorded_by == "application"
        assert sessions.runs.get("s", run.run_id) == ended
        assert sessions.runs.usage("s", run.run_id) == usage
    found = sessions.runs.list("s")
    assert [run.run_id for run in found.entries.values()] == ["r0", "r1", "r2", "r3"]
    assert sessions.runs.active("s") == () and sessions.get("s").counters["runs"] == 4
    assert (found.older, found.newer) == (None, None)


def test_a_run_has_what_was_counted_with_its_messages(memory: Sessions) -> None:
    priced = Sessions(memory.store, prices={"m": {"input": "1", "output": "2"}})
    priced.create("s")
    said = {"role": "user", "content": "where?"}
    spent = {"usage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7}}
    answer = {"role": "assistant", "content": "here", "metadata": spent}
    priced.messages.append("s", [said, answer], model="m")  # before it
    with priced.run("s", run_id="r", agent_id="default"):
        priced.messages.append("s", [said, answer] * 600, model="m")  # more than one read has
    run = priced.runs.get("s", "r")
    assert (run.messages, run.first_message, run.model) == (1200, 2, "m")
    usage = records.Usage(input_tokens=1800, output_tokens=2400, calls=600, cost=600 * 11_000_000)
    assert run.usage == priced.runs.usage("s", "r") == usage
    with priced.run("s", run_id="emptied", agent_id="default"):
        priced.messages.append("s", answer, model="m")
        priced.messages.clear("s")
    assert priced.runs.usage("s", "emptied") == records.Usage()
    with priced.run("s", run_id="nobody's"):
        priced.messages.append("s", answer, model="m")
    assert priced.runs.usage("s", "nobody's") == records.Usage()
    with pytest.raises(RunNotFoundError, match="begun without an agent_id"):
        priced.messages.page("s", run_id="nobody's")


def test_what_has_ended_does_not_end_again(sessions: Sessions) -> None:
    sessions.create("s")
    sessions.runs.start("s", run_id="r")
    sessions.runs.cancel("s", "r")
    for how, status in zip(ENDS, ("completed", "interrupted", "cancelled", "failed")):
        with pytest.raises(IllegalTransitionError, match=f"'r' is cancelled; it can not become {status}"):
            end(sessions, how, "r")
    with pytest.raises(IllegalTransitionError, match="is cancelled"):
        sessions.runs.edit_metadata("s", "r", {"a": 1})
    with pytest.raises(AlreadyExistsError, match="'r'"):
        sessions.runs.start("s", run_id="r")
    assert len(sessions.runs.list("s").entries) == 1 and sessions.get("s").counters["runs"] == 1


def test_of_many_that_end_a_run_one_does(sessions: Sessions) -> None:
    sessions.create("s")
    sessions.runs.start("s", run_id="r")

    def attempt(at: int) -> str:
        try:
            return end(sessions, ENDS[at % 4], "r").status
        except IllegalTransitionError:
            return "refused"

    with ThreadPoolExecutor(8) as pool:
        told = sorted(pool.map(attempt, range(8)))
    (run,) = sessions.runs.list("s").entries.values()
    assert told.count("refused") == 7 and run.status in told and run == sessions.runs.get("s", "r")


def test_of_two_that_begin_a_run_of_one_id_one_does(sessions: Sessions) -> None:
    sessions.create("s")
    faulty = FaultyStore(sessions.store)
    held = faulty.plan("commit", hang="before")
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(Sessions(faulty).runs.start, "s", run_id="r", metadata={"late": True})
        assert held.reached.wait(60)
        first = sessions.runs.start("s", run_id="r")
        held.release()
        with pytest.raises(AlreadyExistsError, match="'r'"):
            late.result()
    assert sessions.runs.active("s") == (first,) and sessions.get("s").counters["runs"] == 1


def test_an_end_in_doubt_is_repeated_and_kept_once(store: Store) -> None:
    faulty = FaultyStore(store)
    sessions = Sessions(faulty)
    sessions.create("s")
    faulty.plan("commit", after=InDoubt("no answer"), times=2)
    sessions.runs.start("s", run_id="r")
    faulty.plan("commit", after=InDoubt("no answer"), times=2)
    assert sessions.runs.complete("s", "r").status == "completed"
    faulty.plan("commit", after=InDoubt("no answer"), times=None)
    with pytest.raises(InDoubt):
        sessions.runs.start("s", run_id="t")
    faulty.heal()
    with pytest.raises(AlreadyExistsError):
        sessions.runs.start("s", run_id="t")
    faulty.plan("commit", after=InDoubt("no answer"), times=None)
    with pytest.raises(InDoubt):
        sessions.runs.complete("s", "t")
    faulty.heal()
    with pytest.raises(IllegalTransitionError, match="is completed"):
        sessions.runs.complete("s", "t")
    assert [run.run_id for run in sessions.runs.list("s").entries.values()] == ["r", "t"]
    assert sessions.get("s").counters["runs"] == 2


def test_runs_are_paged_from_either_end_and_sifted(sessions: Sessions) -> None:
    sessions.create("s")
    for at in range(7):
        sessions.runs.start("s", run_id=f"r{at}", agent_id="ab"[at % 2])
        end(sessions, ENDS[at % 4], f"r{at}")

    def names(page: object) -> list[str]:
        return [run.run_id for run in page.entries.values()]  # type: ignore[attr-defined]

    newest = sessions.runs.list("s", limit=3)
    assert (names(newest), newest.newer, newest.length) == (["r4", "r5", "r6"], None, 7)
    middle = sessions.runs.list("s", limit=3, cursor=newest.older)
    assert names(middle) == ["r1", "r2", "r3"]
    assert names(sessions.runs.list("s", limit=3, cursor=middle.newer)) == ["r4", "r5", "r6"]
    oldest = sessions.runs.list("s", limit=3, cursor=middle.older)
    assert (names(oldest), oldest.older) == (["r0"], None)
    up = sessions.runs.list("s", start=0, limit=4)
    assert (names(up), up.older) == (["r0", "r1", "r2", "r3"], None)
    assert names(sessions.runs.list("s", limit=4, cursor=up.newer)) == ["r4", "r5", "r6"]
    assert names(sessions.runs.list("s", agent_id="a", limit=3)) == ["r2", "r4", "r6"]
    for place, way in (({}, "older"), ({"start": 0}, "newer")):
        found, cursor = [], None
        while cursor is not None or not found:
            page = sessions.runs.list("s", agent_id="a", limit=1, **({"cursor": cursor} if found else place))
            found += names(page)
            cursor = getattr(page, way)
        assert found == (["r0", "r2", "r4", "r6"] if way == "newer" else ["r6", "r4", "r2", "r0"])
    assert names(sessions.runs.list("s", status="failed")) == ["r3"]
    assert names(sessions.runs.list("s", status="completed", agent_id="b")) == []


def test_another_users_runs_are_not_there(sessions: Sessions) -> None:
    sessions.create("s", "ada")
    sessions.runs.start("s", "ada", run_id="r")
    for owner, session_id in (("bob", "s"), (None, "s"), ("ada", "t")):
        for call in (
            lambda: sessions.runs.start(session_id, owner, run_id="x"),  # noqa: B023
            lambda: sessions.runs.get(session_id, "r", owner),  # noqa: B023
            lambda: sessions.runs.complete(session_id, "r", owner),  # noqa: B023
            lambda: sessions.runs.list(session_id, owner),  # noqa: B023
            lambda: sessions.runs.active(session_id, owner),  # noqa: B023
            lambda: sessions.runs.tool_calls(session_id, "r", owner),  # noqa: B023
            lambda: sessions.run(session_id, owner).__enter__(),  # noqa: B023
        ):
            with pytest.raises(SessionNotFoundError):
                call()  # type: ignore[no-untyped-call]
    assert sessions.runs.get("s", "r", "ada").status == "open"


def test_wrong_arguments_are_named_and_nothing_is_written(memory: Sessions) -> None:
    memory.create("s")
    memory.runs.start("s", run_id="r")
    revision = memory.store.read(memory._session("s", None).space).revision
    for call, error, named in (
        (lambda: memory.runs.start("s", run_id=""), InvalidIdError, "run_id"),
        (lambda: memory.runs.start("s", agent_id="\x00"), InvalidIdError, "agent_id"),
        (lambda: memory.runs.start("s", metadata={"a": {"b": object()}}), Unserializable, "'b'"),
        (lambda: memory.runs.edit_metadata("s", "r", {"a": object()}), Unserializable, "'a'"),
        (lambda: memory.runs.start("s", metadata=["a"]), ValueError, "metadata"),  # type: ignore[arg-type]
        (lambda: memory.runs.edit_metadata("s", "r", {1: 2}), ValueError, "values"),  # type: ignore[dict-item]
        (lambda: memory.runs.complete("s", "x"), RunNotFoundError, "no run 'x'"),
        (lambda: memory.runs.get("s", "x"), RunNotFoundError, "no run 'x'"),
        (lambda: memory.runs.complete("s", "r", reason="x" * 501), ValueError, "reason"),
        (lambda: memory.runs.complete("s", "r", usage={"in": 1}), ValueError, "usage"),  # type: ignore[arg-type]
        (lambda: memory.runs.list("s", status="open"), ValueError, "status"),  # type: ignore[arg-type]
        (lambda: memory.runs.list("s", limit=0), ValueError, "limit"),
        (lambda: memory.runs.list("s", start=-1), ValueError, "start"),
        (lambda: memory.runs.list("s", start=0, cursor="runs/older/1"), ValueError, "start and cursor"),
        (lambda: memory.runs.list("s", cursor="events/older/1"), InvalidCursorError, "cursor"),
        (lambda: memory.runs.list("s", cursor="runs/older/-1"), InvalidCursorError, "cursor"),
        (lambda: memory.runs.list("s", cursor="nonsense"), InvalidCursorError, "cursor"),
    ):
        with pytest.raises(error, match=named):
            call()
    assert memory.store.read(memory._session("s", None).space).revision == revision


def test_a_cursor_of_a_longer_log_begins_at_its_end(memory: Sessions) -> None:
    memory.create("s")
    memory.runs.start("s", run_id="r")
    memory.runs.complete("s", "r")
    page = memory.runs.list("s", cursor=f"runs/older/{10**17}")
    assert (list(page.entries), page.older, page.newer) == ([0], None, None)
    page = memory.runs.list("s", cursor=f"runs/newer/{10**17}")
    assert (list(page.entries), page.older, page.newer) == ([], "runs/older/1", None)


def test_metadata_of_an_open_run_is_merged(memory: Sessions) -> None:
    memory.create("s")
    memory.runs.start("s", run_id="r", metadata={"a": 1})
    assert memory.runs.edit_metadata("s", "r", {"b": (1, 2)}).metadata == {"a": 1, "b": (1, 2)}
    assert memory.runs.complete("s", "r").metadata == {"a": 1, "b": (1, 2)}


# ------------------------------------------------------------------------------------------------------ around a block


def test_a_run_around_a_block(memory: Sessions) -> None:
    memory.create("s")
    with memory.run("s", run_id="well", agent_id="eve", metadata={"a": 1}) as run:
        assert memory.runs.active("s") == (run,) and run.metadata == {"a": 1}
    for name, error in (
        ("failed", ValueError("no")),
        ("stopped", KeyboardInterrupt()),
        ("task", asyncio.CancelledError()),
        ("left", SystemExit(3)),
    ):
        with pytest.raises(type(error)) as caught, memory.run("s", run_id=name):
            raise error
        assert caught.value is error
    assert {run.run_id: (run.status, run.error) for run in memory.runs.list("s").entries.values()} == {
        "well": ("completed", None),
        "failed": ("failed", "ValueError: no"),
        "stopped": ("cancelled", None),
        "task": ("cancelled", None),
        "left": ("failed", "SystemExit: 3"),
    }


def test_a_generator_that_is_closed_cancels_its_run(memory: Sessions) -> None:
    memory.create("s")

    def stream() -> Iterator[int]:
        with memory.run("s", run_id="r"):
            yield 1
            yield 2

    words = stream()
    assert next(words) == 1
    words.close()  # type: ignore[attr-defined]
    assert memory.runs.get("s", "r").status == "cancelled"


def failing(sessions: Sessions, run_id: str, first: Callable[[], object]) -> None:
    with sessions.run("s", run_id=run_id):
        first()
        raise ValueError("its own")


def test_what_was_ended_in_the_block_or_from_elsewhere_stays(memory: Sessions) -> None:
    memory.create("s")
    with memory.run("s", run_id="a"):
        memory.runs.interrupt("s", "a", reason="asks a human")
    with pytest.raises(ValueError, match="its own"):
        failing(memory, "b", lambda: memory.runs.cancel("s", "b"))
    assert [run.status for run in memory.runs.list("s").entries.values()] == ["interrupted", "cancelled"]
    with pytest.raises(ValueError, match="its own"):
        failing(memory, "c", lambda: memory.delete("s"))


def test_the_blocks_error_goes_on_where_the_store_fails_too(memory: Sessions, caplog: pytest.LogCaptureFixture) -> None:
    faulty = FaultyStore(memory.store)
    sessions = Sessions(faulty)
    sessions.create("s")
    away = Unavailable("the store is away")
    with caplog.at_level(logging.WARNING), pytest.raises(ValueError, match="its own"):
        failing(sessions, "r", lambda: faulty.plan("any", before=away, times=None))
    faulty.heal()
    assert "stays open" in caplog.text and "the store is away" in caplog.text
    assert sessions.runs.get("s", "r").status == "open"
    with pytest.raises(Unavailable, match="away"), sessions.run("s"):
        faulty.plan("any", before=away)


def test_a_run_whose_process_is_killed_stays_open(tmp_path: Path, forge: Forge) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    program = f"""
import os, signal
from strands_session_store.sessions import Sessions
sessions = Sessions({url!r})
sessions.create("s")
with sessions.run("s", run_id="r"):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert forge.run(["-c", program]).returncode == -9
    with Sessions(url) as sessions:
        assert [run.run_id for run in sessions.runs.active("s")] == ["r"]
        assert sessions.runs.fail("s", "r", "its process died").status == "failed"


# -------------------------------------------------------------------------------------------------- session managers


def test_runs_of_a_session_manager_show_with_tool_calls_and_tokens(sessions: Sessions) -> None:
    agent = agent_of(sessions, [Reply(tools=[ToolCall("clock")]), "it is noon", "hello"])
    agent("what time is it?")
    agent("hi")
    first, second = sessions.runs.list("s", agent_id="default").entries.values()
    assert (first.status, first.stop_reason, first.messages, first.first_message) == ("completed", "end_turn", 4, 0)
    assert first.recorded_by == "manager" and first.duration is not None
    assert sessions.runs.get("s", first.run_id) == first
    (call,) = sessions.runs.tool_calls("s", first.run_id).entries.values()
    assert (call.name, call.source, call.run_id) == ("clock", "llm", first.run_id)
    assert not sessions.runs.tool_calls("s", second.run_id).entries
    usage = [sessions.runs.usage("s", run.run_id) for run in (first, second)]
    counted = sessions.get("s").counters
    assert sum(u.output_tokens or 0 for u in usage) == counted["output_tokens"] > 0


def test_an_agent_called_in_a_run_of_the_application_leaves_it_alone(sessions: Sessions) -> None:
    sessions.create("s")
    with sessions.run("s", run_id="outer", agent_id="default") as run:
        agent = agent_of(sessions, ["hello", "again"])  # it finds the run open, as one that a dead process left
        agent("hi")
        sessions.runs.edit_metadata("s", run.run_id, {"half": "done"})
        agent("go on")
    found = list(sessions.runs.list("s").entries.values())
    assert [run.status for run in found] == ["completed"] * 3 and found[-1].run_id == "outer"
    assert (found[-1].first_message, found[-1].messages) == (0, 4)
    assert sessions.runs.active("s") == () and sessions.get("s").counters["runs"] == 3
    assert len(agent_of(sessions, []).messages) == 4


def test_a_session_managers_run_is_not_ended_from_outside(memory: Sessions) -> None:
    agent = agent_of(memory, ["hello"])
    told: list[str] = []

    def meddle(event: object) -> None:
        (run,) = memory.runs.active("s")
        for how in ENDS:
            with pytest.raises(IllegalTransitionError, match="session manager's") as caught:
                end(memory, how, run.run_id)
            told.append(str(caught.value))

    agent.hooks.add_callback(MessageAddedEvent, meddle)
    agent("hi")
    assert len(told) >= 4 and all("abandoned" in text for text in told)
    assert [run.status for run in memory.runs.list("s").entries.values()] == ["completed"]


def test_what_runs_cost(memory: Sessions) -> None:
    counted = FaultyStore(memory.store)
    sessions = Sessions(counted)
    sessions.create("s")

    def cost(call: object) -> tuple[int, int]:
        before = counted.count("read"), counted.count("commit")
        call()  # type: ignore[operator]
        return counted.count("read") - before[0], counted.count("commit") - before[1]

    for at in range(300):
        sessions.runs.start("s", run_id=f"r{at}")
        assert cost(lambda: sessions.runs.complete("s", f"r{at}")) == (1, 1)  # noqa: B023
    assert cost(lambda: sessions.runs.start("s", run_id="a", agent_id="eve")) == (1, 1)
    assert cost(lambda: sessions.runs.complete("s", "a")) == (2, 1)
    assert cost(lambda: sessions.runs.start("s", run_id="b")) == (1, 1)
    assert cost(lambda: sessions.runs.get("s", "b")) == (1, 0)
    assert cost(lambda: sessions.runs.get("s", "a")) == (2, 0)
    assert cost(lambda: sessions.runs.get("s", "r0")) == (4, 0)
    assert cost(lambda: sessions.runs.list("s", limit=300)) == (1, 0)
    assert cost(lambda: sessions.runs.active("s")) == (1, 0)
