"""Segments and all else that a session manager and an agent can be told."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel
from strands import ToolContext, tool
from strands.agent.conversation_manager import SlidingWindowConversationManager, SummarizingConversationManager
from strands.hooks import AfterInvocationEvent
from strands.multiagent import GraphBuilder

from strands_session_store import ConflictError, Sessions, StoreSessionManager, layout, records, tokens
from strands_session_store.errors import BudgetExceededError
from strands_session_store.plugin import segmenting
from strands_session_store.segments import SegmentAfter
from strands_session_store.stores.base import Store
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.summaries import Summarize
from strands_session_store.testing.models import ScriptedModel, ToolCall

from .unending import LIMIT, Story, agent_of, ended, frozen, prompts, said, told

EACH_TURN = SegmentAfter(max_tokens=None, max_turns=2, summarize="extractive")


def hi(messages: Any) -> str:
    return "hi"


class Remembers:
    """A summarizer whose summaries are all that was asked; and what each was asked of."""

    def __init__(self) -> None:
        self.asked: list[Summarize] = []

    def __call__(self, to: Summarize) -> str:
        self.asked.append(to)
        return " ".join([*filter(None, [to.previous]), *prompts(to.messages)])


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("durability", ["message", "background", "turn"])
@pytest.mark.parametrize("on_stale", ["reload", "conflict"])
def test_two_managers_take_turns_on_one_conversation(exclusive: bool, durability: Any, on_stale: Any) -> None:
    store, told_to, lost = MemoryStore(), [], []
    options: Any = {"exclusive": exclusive, "durability": durability, "on_stale": on_stale, "after": EACH_TURN}
    both = [agent_of(store, hi, **options) for _ in range(2)]
    for turn in range(12):
        agent = both[(turn // 2) % 2]
        try:
            agent(f"turn {turn}")
            told_to.append(f"turn {turn}")
        except ConflictError:
            lost.append(turn)
            agent(f"turn {turn} again")
            told_to.append(f"turn {turn} again")
        assert frozen(agent_of(store, hi)) == frozen(agent)
    assert not lost or (on_stale == "conflict" and not exclusive)
    assert prompts(said(store)) == told_to
    assert len(said(store)) == 24 and ended(store) == 11


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize(("durability", "on_conflict"), [("message", "raise"), ("turn", "rebase")])
def test_two_managers_at_once(exclusive: bool, durability: Any, on_conflict: Any) -> None:
    """Each message of a turn that was not refused is there once, in order; and ends that others got in the way of are
    made up for by the first turn that none disturbs."""
    store = MemoryStore()
    kept: list[str] = []

    async def main() -> None:
        async def talk(name: str) -> None:
            agent = agent_of(
                store, hi, after=EACH_TURN, exclusive=exclusive, durability=durability, on_conflict=on_conflict
            )
            for turn in range(15):
                for attempt in range(50):
                    prompt = f"{name} {turn}, attempt {attempt}"
                    try:
                        await agent.invoke_async(prompt)
                    except Exception as error:
                        if not isinstance(error, ConflictError) and not isinstance(error.__cause__, ConflictError):
                            raise
                    else:
                        kept.append(prompt)
                        break
                else:
                    raise AssertionError("refused all the time")

        await asyncio.gather(talk("a"), talk("b"))

    asyncio.run(main())
    found = said(store)
    # a prompt whose answer was refused is there, and what is said next joins it
    there = [block["text"] for m in found if m["role"] == "user" for block in m["content"] if "text" in block]
    for name in "ab":
        own = [text for text in kept if text.startswith(name)]
        assert len(own) == 15 and [text for text in there if text in own] == own
    if exclusive or on_conflict == "rebase":
        assert sorted(there) == sorted(kept)
    assert not exclusive or ended(store) > 3, "under the lease nothing gets in the way of an end"
    assert frozen(agent_of(store, hi))[0][-1] in found
    before = ended(store)
    agent_of(store, hi, after=EACH_TURN)("alone")
    assert ended(store) > before and said(store)[: len(found)] == found


def test_another_agent_of_the_session_runs_meanwhile() -> None:
    store, manager = MemoryStore(), None
    manager = StoreSessionManager("c", store, segment_after=EACH_TURN)
    from strands import Agent

    async def main() -> None:
        def make(id: str) -> Agent:
            return Agent(model=ScriptedModel(hi), agent_id=id, session_manager=manager, callback_handler=None)

        agents = [make(f"agent {n}") for n in range(3)]

        async def talk(agent: Agent) -> None:
            for turn in range(6):
                await agent.invoke_async(f"{agent.agent_id} says {turn}")

        await asyncio.gather(*map(talk, agents))

    asyncio.run(main())
    for n in range(3):
        assert prompts(said(store, agent_id=f"agent {n}")) == [f"agent {n} says {turn}" for turn in range(6)]
        assert ended(store, agent_id=f"agent {n}") == 5


@pytest.mark.parametrize("kind", ["window", "summary", "window per turn"])
def test_what_a_conversation_manager_has_dropped_is_summarized_too(kind: str) -> None:
    store, remembers = MemoryStore(), Remembers()
    story = Story(7)
    after = SegmentAfter(LIMIT, summarize=remembers)
    heard: list[str] = []
    live: Any = ([], {})
    for turn in range(60):
        manager: Any = {
            "window": lambda: SlidingWindowConversationManager(window_size=4),
            "summary": lambda: SummarizingConversationManager(preserve_recent_messages=2),
            "window per turn": lambda: SlidingWindowConversationManager(window_size=6, per_turn=True),
        }[kind]()
        agent = agent_of(store, lambda messages: f"answer to {story.turn}", conversation_manager=manager, after=after)
        assert frozen(agent) == live
        if kind == "summary" and turn % 5 == 4 and len(agent.messages) > 4:
            manager.reduce_context(agent)
        prompt = story.prompt() + "hm " * 100
        agent(prompt)
        heard.append(prompt)
        live = frozen(agent)
    found = prompts(said(store))
    assert found == heard
    assert ended(store) >= 3
    asked = [text for one in remembers.asked for text in prompts(one.messages)]
    assert asked == heard[: len(asked)], "each was summarized once"
    assert all(later.previous for later in remembers.asked[1:])
    chain = Sessions(store).segments.chain("c")
    assert len(asked) == chain[-1].start // 2


def test_a_stateful_model_has_no_segments() -> None:
    store = MemoryStore()
    model = ScriptedModel(hi, stateful=True)
    after = SegmentAfter(None, 1, "extractive", keep_turns=0)
    agent = agent_of(store, hi, model=model, conversation_manager=None, after=after)
    for turn in range(4):
        agent(f"turn {turn}")
    assert ended(store) == 0 and prompts(said(store)) == [f"turn {turn}" for turn in range(4)]


@tool(context=True)
def ask(tool_context: ToolContext) -> str:
    """Ask the user."""
    return f"they said {tool_context.interrupt('approval', reason='may I')}"


def test_no_segment_ends_in_an_interrupt() -> None:
    store = MemoryStore()

    def script(messages: Any) -> Any:
        done = any("toolResult" in block for block in messages[-1]["content"])
        return "done" if done or "ask" not in str(messages[-1]["content"]) else ToolCall("ask")

    agent = agent_of(store, script, tools=[ask], after=EACH_TURN)
    agent("one")
    result = agent("ask me")
    assert result.stop_reason == "interrupt" and ended(store) == 0
    again = agent_of(store, script, tools=[ask], after=EACH_TURN)
    assert frozen(again) == frozen(agent)
    again([{"interruptResponse": {"interruptId": result.interrupts[0].id, "response": "yes"}}])
    assert ended(store) == 1
    again("three")
    assert prompts(said(store)) == ["one", "ask me", "three"]
    assert frozen(agent_of(store, script, tools=[ask])) == frozen(again)


class Colour(BaseModel):
    name: str


def test_structured_output_and_what_is_resumed_after_an_invocation() -> None:
    store = MemoryStore()

    def script(messages: Any) -> Any:
        return Colour(name="teal") if "colour" in str(messages[-1]["content"]) else "hi"

    agent = agent_of(store, script, after=EACH_TURN)
    again = iter(["go on", "and on", None, None, None, None, None])

    def resume(event: AfterInvocationEvent) -> None:
        event.resume = next(again)

    agent.hooks.add_callback(AfterInvocationEvent, resume)
    agent("one")
    assert prompts(said(store)) == ["one", "go on", "and on"] and ended(store) == 2
    result = agent("which colour", structured_output_model=Colour)
    assert result.structured_output == Colour(name="teal")
    agent("last")
    assert frozen(agent_of(store, script)) == frozen(agent)
    assert prompts(said(store)) == ["one", "go on", "and on", "which colour", "last"]


def test_a_stream_that_is_dropped() -> None:
    store = MemoryStore()
    agent = agent_of(store, lambda messages: "word " * 20, after=EACH_TURN)

    async def main() -> None:
        await agent.invoke_async("one")
        stream = agent.stream_async("two")
        async for event in stream:
            if "data" in event:
                break
        await stream.aclose()

    asyncio.run(main())
    other = agent_of(store, lambda messages: "word", after=EACH_TURN)
    for prompt in ("three", "four"):
        other(prompt)
    assert frozen(agent_of(store, hi)) == frozen(other)
    assert "".join(prompts(said(store))).startswith("onetwo") and ended(store) >= 1


def test_who_only_reads_ends_nothing() -> None:
    store = MemoryStore()
    agent = agent_of(store, hi, after=EACH_TURN)
    for turn in range(3):
        agent(f"turn {turn}")
    before = told(store)
    reader = agent_of(store, hi, after=EACH_TURN, read_only=True)
    assert frozen(reader) == frozen(agent)
    reader("only here")
    reader("only here too")
    assert told(store) == before


def test_what_before_store_takes_away_is_in_no_segment() -> None:
    store = MemoryStore()

    def scrub(message: Any) -> Any:
        for block in message["content"]:
            if "text" in block:
                block["text"] = block["text"].replace("secret", "***")
        return message

    agent = agent_of(store, lambda messages: "your secret is safe", after=EACH_TURN, before_store=scrub)
    for turn in range(5):
        agent(f"secret {turn}")
    assert ended(store) == 4 and prompts(said(store)) == [f"*** {turn}" for turn in range(5)]
    resumed = agent_of(store, hi)
    assert "secret" not in str(resumed.messages)
    for one in Sessions(store).segments.chain("c"):
        look = store.read(layout.session_space(one.session.session_id, None), *_everything())
        assert b"secret" not in b"".join(doc.data for doc in look.docs.values())


def _everything() -> tuple[Any, ...]:
    from strands_session_store.stores.base import Docs

    return (Docs(""),)


def test_called_agents_and_a_graph_beside_it() -> None:
    store = MemoryStore()
    from strands import Agent

    inner = Agent(model=ScriptedModel(lambda messages: "inner"), name="inner", agent_id="inner", callback_handler=None)

    def script(messages: Any) -> Any:
        done = any("toolResult" in block for block in messages[-1]["content"])
        return "done" if done else ToolCall("inner", {"input": "do it"})

    agent = agent_of(store, script, tools=[inner.as_tool()], after=EACH_TURN, sub_sessions=True)
    for turn in range(4):
        agent(f"turn {turn}")
    assert frozen(agent_of(store, script, tools=[])) == frozen(agent)
    sessions = Sessions(store)
    kinds = [node.session.kind for node in sessions.tree("c")[1:]]
    assert sorted(kinds) == ["segment"] * 3 + ["sub_agent"]
    manager = StoreSessionManager("c", store, segment_after=EACH_TURN)
    builder = GraphBuilder()
    builder.add_node(Agent(model=ScriptedModel(lambda m: "node"), callback_handler=None), "node")
    builder.set_session_manager(manager)
    builder.set_max_node_executions(5)
    graph = builder.build()
    graph("go")
    agent("turn 4")
    assert prompts(said(store)) == [f"turn {turn}" for turn in range(5)] and ended(store) == 4


def test_a_budget_counts_the_whole_conversation_and_its_summaries() -> None:
    store = MemoryStore()
    priced: Any = {"scripted": {"input": "1", "output": "1"}}
    after = SegmentAfter(max_tokens=None, max_turns=2)  # the agent's own model summarizes

    agent = agent_of(store, lambda messages: "answer " * 5, after=after, prices=priced)
    for turn in range(6):
        agent(f"turn {turn}")
    sessions = Sessions(store)
    calls = len(agent.model.calls)
    spent = sessions.usage.session("c")
    assert spent.calls == 6 + ended(store) == calls and spent.unpriced == 0 and spent.known_cost > 0
    assert sessions.usage.subtree("c") == spent
    by = sessions.usage.session_by("c", "source")
    assert by["system"].calls == ended(store) == 5 and by["llm"].calls == 6
    total = spent.input_tokens + spent.output_tokens
    over = agent_of(store, hi, after=after, max_tokens=total)
    with pytest.raises(BudgetExceededError):
        over("one more")


class Clock:
    """The time that a memory store, and whoever looks for the time, is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = time.time()
        self.started = time.monotonic() - self.now
        monkeypatch.setattr(records, "now", lambda: round(self.now, 3))
        monkeypatch.setattr(segmenting, "time", SimpleNamespace(monotonic=lambda: self.started + self.now))


def _expiries(store: Store, agent_id: str = "default") -> tuple[float, list[float]]:
    """Of the conversation, and of its segments."""

    def of(id: str) -> float:
        expires = store.read(layout.session_space(id, None)).expires
        assert expires is not None
        return expires

    chain = Sessions(store).segments.chain("c", agent_id=agent_id)
    return of("c"), [of(one.session.session_id) for one in chain[:-1]]


@pytest.mark.parametrize("fresh", [False, True])
def test_segments_live_as_long_as_the_conversation(monkeypatch: pytest.MonkeyPatch, fresh: bool) -> None:
    """Whatever the pauses between two turns, and whichever agent goes on."""
    ttl, clock = 1000.0, Clock(monkeypatch)
    store = MemoryStore(lambda: clock.now)
    agents: dict[str, Any] = {}

    def turn(id: str) -> None:
        if fresh or id not in agents:
            agents[id] = agent_of(store, hi, after=EACH_TURN, ttl=ttl, agent_id=id)
        agents[id]("go on")

    chance = random.Random(3)
    for _ in range(5):
        turn("first")
    for step in range(24):
        clock.now += chance.choice([1, 100, 240, 249, 260, 900])
        turn("second" if step > 10 else "first")
        conversation, segments = _expiries(store, "first")
        assert conversation == pytest.approx(clock.now + ttl, abs=1)
        assert segments and min(segments) >= conversation - 0.01
        assert max(segments) <= conversation + ttl * 0.3


def test_who_ends_no_segments_keeps_those_that_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    store = MemoryStore(lambda: clock.now)
    for turn in range(4):
        agent_of(store, hi, after=EACH_TURN, ttl=1000.0)(f"turn {turn}")
    for turn in range(4, 8):
        clock.now += 900
        agent_of(store, hi, after=None, ttl=1000.0)(f"turn {turn}")
    assert prompts(said(store)) == [f"turn {turn}" for turn in range(8)]


@pytest.mark.parametrize("after", [EACH_TURN, None])
def test_a_turn_that_fails_keeps_them_as_well(monkeypatch: pytest.MonkeyPatch, after: Any) -> None:
    clock = Clock(monkeypatch)
    store = MemoryStore(lambda: clock.now)

    def down(messages: Any) -> str:
        raise RuntimeError("the model is down")

    for turn in range(4):
        agent_of(store, hi, after=EACH_TURN, ttl=1000.0)(f"turn {turn}")
    clock.now += 900
    with pytest.raises(RuntimeError):
        agent_of(store, down, after=after, ttl=1000.0)("turn 4")
    clock.now += 900
    assert prompts(said(store)) == [f"turn {turn}" for turn in range(5)]


def test_what_the_service_says_of_an_expiry_holds_for_segments() -> None:
    store = MemoryStore()
    agent = agent_of(store, hi, after=EACH_TURN, ttl=100.0)
    for turn in range(4):
        agent(f"turn {turn}")
    sessions = Sessions(store)
    sessions.set_expiry("c", 5_000)
    conversation, segments = _expiries(store)
    assert min(segments) >= conversation
    sessions.extend_expiry("c", 5_000)
    conversation, segments = _expiries(store)
    assert conversation > time.time() + 9_000 and min(segments) >= conversation
    sessions.clear_expiry("c")
    for one in sessions.segments.chain("c"):
        assert store.read(layout.session_space(one.session.session_id, None)).expires is None


@pytest.mark.parametrize("keep", [0, 1, 2, 3])
@pytest.mark.parametrize("turns", [1, 2, 4])
def test_so_many_turns_and_so_many_kept(keep: int, turns: int) -> None:
    if keep >= turns:
        with pytest.raises(ValueError, match="keep_turns"):
            SegmentAfter(None, turns, "extractive", keep_turns=keep)
        return
    store, remembers = MemoryStore(), Remembers()
    agent = agent_of(store, hi, after=SegmentAfter(None, turns, remembers, keep_turns=keep))
    for turn in range(12):
        agent(f"turn {turn}")
        assert frozen(agent_of(store, hi)) == frozen(agent)
        own = [text for text in prompts(agent.messages) if text.startswith("turn")]
        assert own == [f"turn {n}" for n in range(turn + 1 - len(own), turn + 1)]
        assert len(own) <= turns
        if remembers.asked and len(own) == keep:
            told_of = str(agent.messages[1]["content"][0]["text"]).split("turn ")[1:]
            assert [int(text) for text in told_of] == list(range(turn + 1 - keep)), "all, each once and in order"
    assert prompts(said(store)) == [f"turn {turn}" for turn in range(12)]


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_one_giant_turn(keep: int) -> None:
    """It passes the limit itself, which nothing can prevent; no later call does."""
    store = MemoryStore()
    after = SegmentAfter(2_000, summarize="extractive", keep_turns=keep)
    model = ScriptedModel(lambda messages: "fine")
    agent = agent_of(store, hi, model=model, after=after)
    for prompt in ("one", "two", "giant " * 5_000, "three", "four"):
        agent(prompt)
        assert frozen(agent_of(store, hi)) == frozen(agent)
    assert ended(store) == 2, "before it, and after it"
    took = [sum(tokens.count(m)[0] for m in call.messages) for call in model.calls]
    assert took[2] > 2_000 and max(took[3:]) < 2_000
    assert prompts(said(store)) == ["one", "two", "giant " * 5_000, "three", "four"]


@pytest.mark.parametrize("engine", ["memory", "sqlite"])
def test_a_long_session_adopts_segments(tmp_path: Any, engine: str) -> None:
    from strands_session_store import open_store

    with open_store("memory://" if engine == "memory" else f"sqlite:///{tmp_path}/s.db") as store:
        old = agent_of(store, hi, after=None)
        for n in range(2_499):
            old.messages.append({"role": "user", "content": [{"text": f"question {n} is this"}]})
            old.messages.append({"role": "assistant", "content": [{"text": f"answer {n} is that"}]})
        old("question 2499")
        assert len(old.messages) == 5_000
        before = frozen(old)
        agent = agent_of(store, hi, after=SegmentAfter(4_000, summarize="extractive"))
        assert frozen(agent) == before
        agent("question 2500")
        assert ended(store) == 1 and len(agent.messages) == 6, "before the first turn, of which one is kept"
        messages = said(store, sizes=(1000, 333))
        assert len(messages) == 5_002 and messages[:5_000] == before[0]
        assert frozen(agent_of(store, hi)) == frozen(agent)
        assert sum(tokens.count(m)[0] for m in agent.messages) < 1_000


@pytest.mark.parametrize("summarize", ["extractive", None, ScriptedModel(hi)], ids=["extractive", "own", "model"])
def test_no_event_loop_counts_tokens(monkeypatch: pytest.MonkeyPatch, summarize: Any) -> None:
    """Neither what was said, nor the prompt, nor what is summarized: a long text takes a while."""
    counted_by: set[int] = set()
    count = tokens.count

    def noted(*args: Any) -> Any:
        counted_by.add(threading.get_ident())
        return count(*args)

    monkeypatch.setattr(tokens, "count", noted)
    store = MemoryStore()

    async def main() -> None:
        agent = agent_of(store, hi, after=SegmentAfter(max_tokens=1_000, summarize=summarize))
        for _ in range(6):
            await agent.invoke_async("a long question " * 100)

    async def looped() -> int:
        await main()
        return threading.get_ident()

    loop = asyncio.run(looped())
    assert ended(store) > 1 and counted_by and loop not in counted_by
