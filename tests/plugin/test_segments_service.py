"""The service and the segments of a live agent's conversation: forks, rewinds, edits, archives, sums."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from strands import Agent, ToolContext, tool
from strands.hooks import HookOrder, MessageAddedEvent

from strands_session_store import Conversation, Sessions, codec, layout, records, usage
from strands_session_store.errors import IllegalMoveError, IllegalTransitionError
from strands_session_store.segments import SegmentAfter
from strands_session_store.stores.base import Counters, Log, Query, Store
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.stores.reading import read_whole
from strands_session_store.testing.models import Reply, ToolCall
from strands_session_store.usage import Totals

from .unending import agent_of, ended, frozen, prompts, said, told


@tool(context=True)
def count(tool_context: ToolContext) -> int:
    """Counts its calls in the state."""
    state = tool_context.agent.state
    state.set("calls", (state.get("calls") or 0) + 1)
    state.set(f"call {state.get('calls')}", "x")
    state.delete(f"call {state.get('calls') - 1}")
    return int(state.get("calls"))


def script(messages: Any) -> Reply:
    if any("toolResult" in block for block in messages[-1]["content"]):
        return Reply(f"answered after {len(messages)}")
    return Reply("counting", tools=[ToolCall("count"), ToolCall("count")])


def conversation(store: Store, turns: int, after: SegmentAfter, **options: Any) -> tuple[Agent, dict[str, Any]]:
    """A conversation, and the state of its agent when each message was stored."""
    states: dict[str, Any] = {}
    agent = agent_of(store, script, after=after, tools=[count], **options)

    def note(event: MessageAddedEvent) -> None:
        states[event.message["tracking_id"]] = copy.deepcopy(event.agent.state.get())

    agent.hooks.add_callback(MessageAddedEvent, note, order=HookOrder.SDK_LAST)
    for turn in range(turns):
        agent.state.set("turn", turn)
        agent(f"question {turn}")
    return agent, states


def recounted(store: Store, session: str = "c") -> None:
    """The counters of a conversation are what its segments together hold."""
    sessions = Sessions(store)
    whole, messages = Totals(), 0
    log = layout.history("default")
    for one in sessions.segments.chain(session):
        space = layout.session_space(one.session.session_id, None)
        look = read_whole(store, space, Log(log, [(0, None)]), Counters(layout.COUNTERS))
        entries = [codec.load(records.Message, data, log) for data in look.logs[log].entries.values()]
        there = [entry for entry in entries if entry.removed is None]
        assert look.counters["messages"] == len(there) == one.messages
        messages += len(there)
        for entry in entries:
            if (call := usage.whole(entry)) is not None:
                whole += usage.totals_of(call)
    assert sessions.usage.session(session) == whole == sessions.usage.subtree(session)


@pytest.mark.parametrize("keep", [0, 1, 2, 3])
def test_forked_and_rewound_at_each_message(keep: int) -> None:
    store = MemoryStore()
    after = SegmentAfter(max_tokens=None, max_turns=4, summarize="extractive", keep_turns=keep)
    agent, states = conversation(store, 9, after)
    sessions = Sessions(store)
    messages = said(store)
    assert len(messages) == 36 and ended(store) >= 2
    chain = sessions.segments.chain("c")
    for place in told(store):
        message = place.entry.message
        id = message["tracking_id"]
        for origin in ("c", place.session_id):
            fork = sessions.fork(origin, at=id)
            resumed = agent_of(store, script, fork.session_id, tools=[count])
            assert resumed.state.get() == states[id], place
            assert resumed.messages[-1] == message
            segment = next(one for one in chain if one.session.session_id == place.session_id)
            own = [m for m in messages[segment.start : place.index + 1]]
            assert resumed.messages[-len(own) :] == own, "all of the segment, up to the message"
            opening = resumed.messages[: -len(own)]
            assert len(opening) == (2 if segment.number > 1 else 0)
            if opening:
                below = chain[segment.number - 2].session.session_id
                look = store.read(layout.session_space(below, None), _summary())
                text = codec.load(records.Summary, look.docs[layout.summary("default")].data, "").text
                assert opening[1]["content"] == [{"text": text}]
    for place in reversed([one for one in told(store) if one.session_id == "c"]):
        id = place.entry.message["tracking_id"]
        sessions.rewind("c", id)
        resumed = agent_of(store, script, tools=[count])
        assert resumed.state.get() == states[id] and resumed.messages[-1] == place.entry.message
    del agent


def _summary() -> Any:
    from strands_session_store.stores.base import Doc

    return Doc(layout.summary("default"))


def test_traces_longer_than_between_two_whole_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strands_session_store.trace.WHOLE", 4)
    test_forked_and_rewound_at_each_message(2)


def test_what_was_taken_back_does_not_come_again_with_the_turns_that_are_kept() -> None:
    store = MemoryStore()
    after = SegmentAfter(max_tokens=None, max_turns=4, summarize="extractive", keep_turns=3)
    agent, _ = conversation(store, 3, after)
    sessions = Sessions(store)
    second = prompts_at(store, "question 0")
    sessions.rewind("c", second)
    agent("question after the rewind")
    assert ended(store) == 1
    assert "question 1" not in prompts(agent.messages) and "question 2" not in prompts(agent.messages)
    assert prompts(agent.messages)[-1] == "question after the rewind"
    assert frozen(agent_of(store, script, tools=[count])) == frozen(agent)
    assert prompts(said(store)) == ["question 0", "question 1", "question 2", "question after the rewind"]


def prompts_at(store: Store, prompt: str) -> str:
    """Id of the answer to a prompt."""
    messages = said(store)
    at = next(i for i, m in enumerate(messages) if m["content"][0].get("text") == prompt)
    return str(messages[at + 3]["tracking_id"])


AFTER = SegmentAfter(max_tokens=None, max_turns=3, summarize="extractive")


def test_edits_wherever_the_message_is() -> None:
    store = MemoryStore()
    agent, _ = conversation(store, 8, AFTER)
    sessions = Sessions(store)
    before = told(store)
    for place in before[::3]:
        id = place.entry.message["tracking_id"]
        assert sessions.messages.get("c", id).index == place.index
    redacted, removed, last = before[1], before[7], before[-1]
    for place in (redacted, last):
        sessions.messages.redact("c", place.entry.message["tracking_id"])
    sessions.messages.remove("c", removed.entry.message["tracking_id"])
    now = {one.index: one.entry for one in told(store)}
    assert removed.index not in now and len(now) == len(before) - 1
    assert now[redacted.index].redacted and now[last.index].redacted
    agent("and on")
    agent("and on again")
    assert frozen(agent_of(store, script, tools=[count])) == frozen(agent)
    recounted(store)
    stats = sessions.segments.stats("c")
    assert stats.usage == sessions.usage.session("c")


def test_counters_are_a_recount_of_the_segments() -> None:
    store = MemoryStore()
    conversation(store, 12, AFTER)
    recounted(store)
    assert Sessions(store).get("c").session.session_id == "c"


def test_clear_leaves_nothing_of_a_conversation() -> None:
    store = MemoryStore()
    agent, _ = conversation(store, 8, AFTER)
    sessions = Sessions(store)
    assert sessions.messages.clear("c") == 32
    assert said(store) == [] and ended(store) == 0
    for turn in range(6):
        agent(f"later {turn}")
    assert prompts(said(store)) == [f"later {turn}" for turn in range(6)]
    assert "question" not in str(agent.messages)
    assert frozen(agent_of(store, script, tools=[count])) == frozen(agent)


def test_a_fork_of_a_conversation_goes_on_with_segments_of_its_own() -> None:
    store = MemoryStore()
    agent, _ = conversation(store, 8, AFTER)
    sessions = Sessions(store)
    chain = len(sessions.segments.chain("c"))
    fork = sessions.fork("c")
    other = agent_of(store, script, fork.session_id, after=AFTER, tools=[count])
    assert frozen(other) == frozen(agent)
    for turn in range(5):
        other(f"elsewhere {turn}")
        assert frozen(agent_of(store, script, fork.session_id, tools=[count])) == frozen(other)
    assert len(sessions.segments.chain("c")) == chain
    assert len(sessions.segments.chain(fork.session_id)) > 1
    found = prompts(said(store, fork.session_id))
    assert found[-5:] == [f"elsewhere {turn}" for turn in range(5)]
    agent("here")
    assert prompts(said(store))[-1] == "here"


@pytest.mark.parametrize("by", ["a file", "a copy"])
def test_an_archive_of_a_conversation_is_the_conversation(tmp_path: Path, by: str) -> None:
    store, other = MemoryStore(), MemoryStore()
    agent, _ = conversation(store, 8, AFTER)
    before, chain = told(store), Sessions(store).segments.chain("c")
    if by == "a file":
        Sessions(store).archive.export(tmp_path / "archive", ids=["c"])
        Sessions(other).archive.import_(tmp_path / "archive")
    else:
        Sessions(store).archive.copy(other, ids=["c"])
    assert told(other) == before
    assert [one.session.session_id for one in Sessions(other).segments.chain("c")] == [
        one.session.session_id for one in chain
    ]
    assert Sessions(other).segments.stats("c") == Sessions(store).segments.stats("c")
    again = agent_of(other, script, after=AFTER, tools=[count])
    assert frozen(again) == frozen(agent)
    for turn in range(4):
        again(f"there {turn}")
        assert frozen(agent_of(other, script, tools=[count])) == frozen(again)
    assert told(other)[: len(before)] != [] and len(said(other)) == len(before) + 16
    assert ended(other) > len(chain) - 1
    recounted(other)


def test_a_segment_is_not_moved_and_goes_with_its_conversation() -> None:
    store = MemoryStore()
    conversation(store, 8, AFTER)
    sessions = Sessions(store)
    sessions.create("elsewhere")
    child = sessions.segments.chain("c")[0].session.session_id
    with pytest.raises(IllegalMoveError):
        sessions.move(child, "elsewhere")
    sessions.delete("c")
    assert [row.space.id for row in store.list(Query("session", everyone=True)).rows] == ["elsewhere"]


def test_a_segment_that_has_ended_does_not_go_on() -> None:
    store = MemoryStore()
    conversation(store, 6, SegmentAfter(max_tokens=None, max_turns=2, keep_turns=0))
    service = Sessions(store)
    segment = service.segments.chain("c")[0].session.session_id
    before, whole = service.messages.page(segment), told(store)
    at = str(whole[0].entry.tracking_id)
    alone = Conversation(segment, store)
    for call in (
        lambda: service.messages.append(segment, {"role": "user", "content": "and?"}),
        lambda: alone.user_says("and?"),
        lambda: alone.end_segment(),
        lambda: service.segments.end(segment),
        lambda: service.rewind(segment, at),
        lambda: agent_of(store, script, segment),
    ):
        with pytest.raises(IllegalTransitionError, match=f"'{segment}' is segment 1 of .* Go on with 'c'"):
            call()
    with pytest.raises(IllegalTransitionError, match=f"is in '{segment}', .* make a fork"):
        service.rewind("c", at)
    assert service.messages.page(segment) == before and told(store) == whole
    looked_at = agent_of(store, script, segment, after=None, read_only=True)
    assert looked_at.messages[0] == whole[0].entry.message
    service.fork("c", at=at, new_id="f")
    assert agent_of(store, script, "f").messages == [whole[0].entry.message]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"query": "trams"}, "query is for style='query_focused', and style is 'basic'"),
        ({"max_turns": 1}, "must be less than max_turns, 1: give keep_turns=0"),
        ({"max_tokens": None}, "no segment would ever end"),
        ({"max_tokens": 999}, "max_tokens must be a whole number from 1,000 on, got 999"),
    ],
)
def test_what_no_segment_could_end_by_is_refused(options: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        SegmentAfter(**options)


def test_a_wrong_rule_is_named_as_the_argument_it_came_by() -> None:
    with pytest.raises(ValueError, match=r"^after must be a number of tokens"):
        Sessions(MemoryStore()).segments.end("c", after="soon")  # type: ignore[arg-type]


def test_a_segment_that_was_deleted_is_left_out_of_the_history() -> None:
    store = MemoryStore()
    conversation(store, 9, AFTER)
    sessions = Sessions(store)
    chain = sessions.segments.chain("c")
    whole = told(store)
    for gone in (chain[1], chain[0], chain[-2], *chain[2:-2]):  # in the end all that has ended
        sessions.delete(gone.session.session_id)
        whole = [one for one in whole if one.session_id != gone.session.session_id]
        for size in (1, 3, 1000):
            assert _paged(sessions, size) == whole
        for start in range(len(whole) + 2):
            page = sessions.segments.full_history("c", start=start, limit=5)
            assert list(page.messages) == [one for one in whole if one.index >= start][: len(page.messages)]


def _paged(sessions: Sessions, size: int) -> list[Any]:
    page = sessions.segments.full_history("c", start=0, limit=size)
    up = [*page.messages]
    while page.newer is not None:
        page = sessions.segments.full_history("c", limit=size, cursor=page.newer)
        up += page.messages
    page = sessions.segments.full_history("c", limit=size)
    down = [*page.messages]
    while page.older is not None:
        page = sessions.segments.full_history("c", limit=size, cursor=page.older)
        down = [*page.messages, *down]
    assert down == up
    return up


def test_what_was_erased_in_a_segment_is_passed_over_both_ways() -> None:
    store = MemoryStore()
    conversation(store, 9, AFTER)
    sessions = Sessions(store)
    chain = sessions.segments.chain("c")
    whole = told(store)
    for gone in (chain[1], chain[0], chain[-2]):
        sessions.messages.clear(gone.session.session_id)
        whole = [one for one in whole if one.session_id != gone.session.session_id]
        for size in (1, 3, 1000):
            assert _paged(sessions, size) == whole
    prompt = sessions.prompt("c", max_turns=None)
    assert [message["tracking_id"] for message in prompt] == [one.entry.message["tracking_id"] for one in whole]


def test_a_segment_that_ended_is_not_gone_on_with() -> None:
    store = MemoryStore()
    conversation(store, 9, AFTER)
    sessions = Sessions(store)
    inside = sessions.segments.chain("c")[1].session.session_id
    whole = told(store)
    for say in (
        lambda: sessions.messages.append(inside, {"role": "user", "content": "more"}),
        lambda: Conversation(inside, store).user_says("more"),
        lambda: sessions.segments.end(inside),
        lambda: agent_of(store, script, after=None, tools=[count], session=inside),
    ):
        with pytest.raises(IllegalTransitionError, match=r"is segment 2 .*fork"):
            say()
    assert told(store) == whole
