"""The trace of an agent, with plain values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strands_session_store import codec, records, trace
from strands_session_store.trace import Moment, Untraced

values = st.sampled_from([None, 0, 2, "x", [1], {"a": b"bytes"}, (1, 2)])
states = st.dictionaries(st.sampled_from("abcd"), values, max_size=4)
managers = st.one_of(
    st.none(),
    st.fixed_dictionaries({"__name__": st.just("Window"), "removed": st.integers(0, 3)}, optional={"more": values}),
)
spans = st.lists(
    st.tuples(st.sampled_from(["history", "variants"]), st.integers(0, 3), st.integers(4, 6)).map(
        lambda one: {one[0]: [one[1], one[2]]}
    ),
    max_size=3,
)
moments = st.builds(
    Moment,
    st.tuples(states, st.randoms()).map(lambda one: dict(sorted(one[0].items(), key=lambda _: one[1].random()))),
    st.one_of(st.none(), st.just({"interrupts": {"x": 1}})),
    st.one_of(st.none(), st.just({"conversation": "1"})),
    spans,
    managers,
    st.integers(0, 9),
)
jobs = st.lists(st.tuples(moments, st.integers(0, 2)), min_size=1, max_size=12)


@settings(max_examples=300, deadline=None)
@given(jobs, st.integers(1, 4), st.booleans())
def test_each_message_has_the_moment_of_the_commit_that_stored_it(
    done: list[tuple[Moment, int]], every: int, stored: bool
) -> None:
    entries: list[records.Trace] = []
    wanted: dict[int, Moment] = {}
    after: dict[int, list[tuple[float, Moment]]] = {}
    before, history = None, 0
    for clock, (now, said) in enumerate(done, 1):
        base = None if len(entries) % every == 0 else before
        one = trace.entry(base, now, history, None if said else float(clock))
        entries.append(codec.load(records.Trace, codec.dump(one), "x") if stored else one)
        wanted |= {length: now for length in range(history + 1, history + said + 1)}
        if not said:
            after.setdefault(history, []).append((float(clock), now))
        before, history = now, history + said
    for length, now in wanted.items():
        found = trace.rebuild(entries, length)
        assert found == replace(now, spans=trace._cut(now.spans, length))
        assert list(found.state) == list(now.state)
        for clock, then in after.get(length, []):
            assert trace.rebuild(entries, length, clock).state == then.state
        for start in range(len(entries)):  # the entries from the last whole one on are enough
            if entries[start].whole and trace.is_before(entries[start], length):
                assert trace.rebuild(entries[start:], length) == found


def test_an_entry_says_only_what_is_another() -> None:
    state = {"large": "x" * 1000, "n": 1}
    manager = {"__name__": "Window", "removed": 0, "other": "x" * 1000}
    before = Moment(state, None, None, [{"history": [0, None]}], manager, 0)
    now = Moment({**state, "n": 2}, None, None, [{"history": [2, None]}], {**manager, "removed": 2}, 0)
    assert codec.dump(trace.entry(before, now, 7, 1.5)) == (
        b'{"h":7,"t":1.5,"s":{"n":2},"p":{"c":[[2,null]],"d":{"removed":2}}}'
    )


def test_what_stands_behind_the_message_is_cut_off() -> None:
    spans: Any = [{"history": [0, 1]}, {"variants": [4, 5]}, {"history": [2, 6]}, {"history": [7, None]}]
    entries = [trace.entry(None, Moment(spans=spans), 0)]
    assert trace.rebuild(entries, 3).spans == [{"history": [0, 1]}, {"variants": [4, 5]}, {"history": [2, 3]}]
    assert trace.rebuild(entries, 9).spans == spans


@pytest.mark.parametrize("lost", [0, 1])
def test_without_all_entries_there_is_none(lost: int) -> None:
    entries = [trace.entry(None, Moment({"a": 1}), 3), trace.entry(Moment({"a": 1}), Moment({"a": 2}), 5)]
    with pytest.raises(Untraced):
        trace.rebuild(entries, 3)
    entries[lost] = records.Trace(history=entries[lost].history, lost=True)
    with pytest.raises(Untraced):
        trace.rebuild(entries, 6)
    entries.append(trace.entry(None, Moment({"a": 3}), 6))
    assert trace.rebuild(entries, 7).state == {"a": 3}


def test_messages_are_kept_by_their_ids() -> None:
    message = {"role": "assistant", "content": [{"text": "secret"}], "tracking_id": "m"}
    agent = records.Agent(agent_id="a", interrupts={"pending_tool_execution": {"assistant_message": message, "n": 1}})
    context = records.Context(conversation_manager={"summary_message": message, "removed": 1})
    found = trace.moment(agent, context, 0, summary=5)
    assert b"secret" not in codec.dump(trace.entry(None, found, 0))
    assert (trace.asked_in(found), trace.summary_in(found)) == ("m", 5)
    again = trace.with_summary(trace.with_asked(found, message), message)
    assert (again.interrupts, again.conversation_manager) == (agent.interrupts, context.conversation_manager)
    assert trace.summary_in(Moment()) is trace.asked_in(Moment(interrupts={"pending_tool_execution": None})) is None
