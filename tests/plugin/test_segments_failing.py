"""A segment that can not end, or whose end goes wrong half-way: the conversation goes on, and nothing is lost."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from strands import Agent

from strands_session_store import InDoubt, StoreError, Unavailable, tokens
from strands_session_store.segments import SegmentAfter
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Query
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import ScriptedModel

from .children import wait_for
from .unending import agent_of, ended, frozen, prompts, said

EACH_TURN = SegmentAfter(max_tokens=None, max_turns=2, summarize="extractive")
"""From the second turn on, a segment ends with each."""


def hi(messages: Any) -> str:
    return "hi"


def _go_on(store: FaultyStore, agent: Agent, prompt: str) -> None:
    """One more turn of an agent, and of one that is as stored: the same."""
    agent(prompt)
    assert frozen(agent) == frozen(agent_of(store, hi, after=EACH_TURN))


def _until(store: FaultyStore, agent: Agent, commit: str) -> int:
    """Three turns; which commit of the next one it will be."""
    agent("one")
    agent("two")
    before = store.count("commit")
    agent("three")
    return store.count("commit") - before - len(COMMITS) + COMMITS[commit]


COMMITS = {"mark": 1, "copy": 2, "decision": 3, "finish": 4}


@pytest.mark.parametrize("on_stale", ["reload", "raise", "conflict"])
@pytest.mark.parametrize("fault", ["refused", "answer lost", "no answer at all", "down for good"])
@pytest.mark.parametrize("commit", COMMITS)
def test_each_commit_of_an_end_fails(store: FaultyStore, commit: str, fault: str, on_stale: Any) -> None:
    agent = agent_of(store, hi, after=EACH_TURN, on_stale=on_stale)
    at = _until(store, agent, commit)
    match fault:
        case "refused":
            store.plan("commit", at=at, before=Unavailable("no"))
        case "answer lost":
            store.plan("commit", at=at, after=InDoubt("no answer"))
        case "no answer at all":
            store.plan("commit", at=at, times=3, after=InDoubt("no answer"))
        case _:
            store.plan("commit", at=at, times=None, before=Unavailable("down"))
    agent("four")
    store.heal()
    _go_on(store, agent, "five")
    _go_on(store, agent, "six")
    assert prompts(said(store)) == ["one", "two", "three", "four", "five", "six"]
    assert len(said(store)) == 12
    assert ended(store) in (4, 5)
    below = store.list(Query("session", parent="c")).rows
    assert len(below) == ended(store), "nothing is left over"


@pytest.mark.parametrize("durability", ["background", "turn"])
def test_what_is_still_to_be_stored_is_not_given_up_for_an_end(store: FaultyStore, durability: Any) -> None:
    summarizer = Fails("raises", 1)
    agent = agent_of(store, hi, after=SegmentAfter(None, 2, summarizer), durability=durability)
    agent("one")
    agent("two")  # a segment is due from here on
    down = store.plan("commit", times=None, before=Unavailable("no"))
    session: Any = agent._session_manager
    at_end = session._session.at_end

    async def heals_behind_it(*args: Any, **options: Any) -> None:
        await at_end(*args, **options)
        if session.pending:
            store.heal()

    session._session.at_end = heals_behind_it
    agent("three")
    assert down.reached.is_set() and session.pending and ended(store) == 0
    session._session.at_end = at_end
    agent("four")
    assert ended(store) == 2
    _go_on(store, agent, "five")
    assert prompts(said(store)) == ["one", "two", "three", "four", "five"]


@pytest.mark.parametrize("on_stale", ["reload", "raise", "conflict"])
def test_somebody_looks_while_a_segment_ends(store: FaultyStore, on_stale: Any) -> None:
    """A look makes a session of what was decided: who decided it finds that done."""
    agent = agent_of(store, hi, after=EACH_TURN, on_stale=on_stale)
    held = store.plan("commit", at=_until(store, agent, "finish"), hang="before")
    thread = threading.Thread(target=agent, args=("four",))
    thread.start()
    wait_for(held.reached.is_set)
    assert len(said(store.store)) == 8
    held.release()
    thread.join()
    _go_on(store, agent, "five")
    assert prompts(said(store)) == ["one", "two", "three", "four", "five"]


@pytest.mark.parametrize("what", ["state", "messages"])
def test_the_agent_is_changed_while_its_summary_is_made(store: FaultyStore, what: str) -> None:
    def summarize(to: Any) -> str:
        if what == "state":
            agent.state.set("meanwhile", 1)
        elif len(agent.messages) < 5:
            agent.messages.append({"role": "user", "content": [{"text": "put in by hand"}]})
        return "all that was said"

    agent = agent_of(store, hi, after=SegmentAfter(None, 2, summarize))
    agent("one")
    agent("two")
    if what == "state":
        assert agent.state.get("meanwhile") == 1
    else:
        assert agent.messages[-1]["content"] == [{"text": "put in by hand"}]
        assert [e.status for e in Sessions(store).events.list("c").entries.values()] == ["error"]
    agent("three")
    resumed = agent_of(store, hi)
    assert frozen(resumed) == frozen(agent) and ended(store) == (2 if what == "state" else 1)
    assert resumed.state.get("meanwhile") == (1 if what == "state" else None)


class Fails:
    """A summarizer that fails as often as it is told to."""

    def __init__(self, how: str, times: int) -> None:
        self.how, self.times, self.calls = how, times, 0

    def __call__(self, to: Any) -> Any:
        self.calls += 1
        if self.calls > self.times:
            return "fine: " + (to.previous or "")
        if self.how == "raises":
            raise RuntimeError("no summary today")
        return {"gives nothing": "", "gives blanks": " \n", "gives a number": 7, "gives none": None}[self.how]


@pytest.mark.parametrize("how", ["raises", "gives nothing", "gives blanks", "gives a number", "gives none"])
def test_a_summarizer_that_fails_costs_the_attempt_only(store: FaultyStore, how: str) -> None:
    summarizer = Fails(how, 2)
    agent = agent_of(store, hi, after=SegmentAfter(None, 2, summarizer))
    for prompt in ("one", "two", "three"):
        agent(prompt)
    assert ended(store) == 0 and len(agent.messages) == 6
    events = [e for e in Sessions(store).events.list("c").entries.values() if e.type == "summary"]
    assert [e.status for e in events] == ["error", "error"] and all(e.error for e in events)
    agent("four")
    assert ended(store) == 1 and summarizer.calls == 3
    assert prompts(said(store)) == ["one", "two", "three", "four"]
    events = [e for e in Sessions(store).events.list("c").entries.values() if e.type == "summary"]
    assert [e.status for e in events] == ["error", "error", "success"]


def test_a_model_and_an_agent_that_fail_to_summarize(store: FaultyStore) -> None:
    def model() -> ScriptedModel:
        return ScriptedModel([RuntimeError("down"), "all", "and all"])

    for what in (model(), Agent(model=model(), callback_handler=None)):
        session = type(what).__name__
        agent = agent_of(store, hi, session, after=SegmentAfter(None, 2, what))
        agent("one")
        agent("two")
        assert ended(store, session) == 0
        agent("three")
        assert ended(store, session) == 1 and agent.messages[1]["content"] == [{"text": "all"}]
        assert frozen(agent_of(store, hi, session)) == frozen(agent)


def test_a_summarizer_that_hangs_is_cancelled_with_the_turn(store: FaultyStore) -> None:
    hangs = True

    async def summarize(to: Any) -> str:
        if hangs:
            began.set()
            await asyncio.Event().wait()
        return "all"

    async def main() -> None:
        nonlocal hangs
        task = asyncio.ensure_future(agent.invoke_async("two"))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        hangs = False
        await agent.invoke_async("three")

    began = asyncio.Event()
    agent = agent_of(store, hi, after=SegmentAfter(None, 2, summarize), exclusive=True)
    agent("one")
    asyncio.run(main())
    assert ended(store) == 2, "before the third turn, and after it"
    assert prompts(said(store)) == ["one", "two", "three"]
    assert frozen(agent_of(store, hi)) == frozen(agent)


def test_cancelled_while_it_is_decided(store: FaultyStore) -> None:
    """The commit is on its way, and its answer is heard by nobody."""
    agent = agent_of(store, hi, after=EACH_TURN, on_stale="conflict")
    held = store.plan("commit", at=_until(store, agent, "decision"), hang="after")

    async def main() -> None:
        task = asyncio.ensure_future(agent.invoke_async("four"))
        await asyncio.to_thread(wait_for, held.reached.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        held.release()
        await asyncio.to_thread(wait_for, lambda: ended(store.store) == 3)

    asyncio.run(main())
    _go_on(store, agent, "five")
    assert prompts(said(store)) == ["one", "two", "three", "four", "five"]


def test_a_summary_that_is_too_long_is_clipped(store: FaultyStore) -> None:
    after = SegmentAfter(1_000, 2, lambda to: "far too much " * 10_000)
    agent = agent_of(store, hi, after=after)
    agent("one")
    agent("two")
    assert 100 < tokens.count(agent.messages[1])[0] <= 125


def test_what_can_not_be_counted_in_time_does_not_end_the_turn_in_an_error(
    store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that would count is busy elsewhere."""
    agent = agent_of(store, hi, after=EACH_TURN)
    agent("one")
    manager: Any = agent._session_manager
    ask = manager._session.ask

    async def overdue(look: Any, *args: Any, **options: Any) -> Any:
        if getattr(look, "__name__", "") == "_grow":
            raise Unavailable("the store has not answered")
        return await ask(look, *args, **options)

    monkeypatch.setattr(manager._session, "ask", overdue)
    agent("two")
    monkeypatch.undo()
    agent("three")
    assert prompts(said(store)) == ["one", "two", "three"]


def test_what_a_summary_took_is_counted_also_when_it_comes_to_nothing(store: FaultyStore) -> None:
    def script(messages: Any) -> str:
        if "Summarize" in str(messages[-1]["content"]) or "<conversation" in str(messages):
            other_says()
        return "hi"

    said_there: list[int] = []

    def other_says() -> None:
        if not said_there:
            said_there.append(1)
            agent_of(store.store, hi, on_stale="reload")("from elsewhere")

    agent = agent_of(store, script, after=SegmentAfter(None, 2))
    agent("one")
    agent("two")
    calls = len(agent.model.calls)
    usage = Sessions(store).usage
    assert said_there and ended(store) == 0
    assert usage.session("c").calls == calls + 1, "two answers, the summary, and what was said elsewhere"
    assert usage.session_by("c", "source")["system"].calls == 1
    agent("three")
    assert prompts(said(store)) == ["one", "two", "from elsewhere", "three"]
    assert frozen(agent_of(store, hi)) == frozen(agent)


def test_what_was_set_between_turns_is_there_when_a_long_prompt_ends_a_segment(store: FaultyStore) -> None:
    agent = agent_of(store, hi, after=SegmentAfter(2_000, summarize="extractive"))
    agent("one")
    agent("two")
    agent.state.set("between", 1)
    agent("long " * 1_300)
    assert ended(store) >= 1 and agent.state.get("between") == 1
    assert frozen(agent_of(store, hi)) == frozen(agent)


@pytest.mark.parametrize("durability", ["message", "background", "turn"])
def test_the_store_is_down_when_a_long_prompt_comes(store: FaultyStore, durability: Any) -> None:
    agent = agent_of(store, hi, after=SegmentAfter(2_000, summarize="extractive"), durability=durability)
    agent("one")
    agent("two")
    agent.state.set("between", 1)
    store.plan("commit", times=None, before=Unavailable("down"))
    if durability == "message":
        with pytest.raises(StoreError):
            agent("long " * 1_300)
        store.heal()
    else:
        agent("long " * 1_300)
        store.heal()
    agent("four")
    assert agent.state.get("between") == 1
    # where a hook waits it was refused before it was said
    between = [] if durability == "message" else ["long"]
    assert [text[:4] for text in prompts(said(store))] == ["one", "two", *between, "four"]
    assert frozen(agent_of(store, hi)) == frozen(agent)
