"""A conversation of any length is summarized in parts of whole turns, each with the summary so far."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strands_session_store import tokens
from strands_session_store.errors import StoreError, SummaryError
from strands_session_store.summaries import (
    Summarize,
    Summary,
    extractive,
    fold,
    fold_async,
    instruction,
    opening,
    transcript,
)
from strands_session_store.turns import whole_turns
from strands_session_store.usage import Totals

from . import talk
from .talk import TRIP, assistant, gives, user, uses


class Asked(list[Summarize]):
    """A summarizer that numbers its summaries."""

    def __call__(self, to: Summarize) -> str:
        self.append(to)
        return f"summary {len(self)}"


@given(messages=talk.messages.filter(bool), room=st.integers(32, 300))
@settings(max_examples=100)
def test_every_message_is_in_one_part_and_turns_are_whole(messages, room):
    asked = Asked()
    found = fold(Summarize(messages, "before"), asked, room)
    assert found.text == f"summary {len(asked)}"
    assert [message for part in asked for message in part.messages] == messages
    whole = list(whole_turns(messages))
    assert [turn for part in asked for turn in whole_turns(part.messages)] == whole
    assert [part.previous for part in asked] == ["before", *(f"summary {i}" for i in range(1, len(asked)))]
    for part in asked:
        assert tokens.count(transcript(part.messages, part.room))[0] <= room
        several = len(list(whole_turns(part.messages))) > 1
        assert not several or tokens.count(transcript(part.messages))[0] <= room


def test_turns():
    assert [len(turn) for turn in whole_turns(TRIP)] == [4, 4, 2]
    assert [len(turn) for turn in whole_turns([assistant("Hello."), *TRIP])] == [1, 4, 4, 2]
    both = gives("1", {"text": "done"})
    both["content"].append({"text": "and now?"})
    assert len(list(whole_turns([user("a"), uses("1", "t", {}), both, assistant("b")]))) == 1
    assert list(whole_turns([])) == []


def test_one_part_where_there_is_room():
    asked = Asked()
    fold(Summarize(TRIP), asked, 10_000)
    assert len(asked) == 1 and asked[0].previous is None


def test_a_turn_larger_than_the_room_is_given_shortened():
    huge = [user("Read it."), uses("1", "read", {}), gives("1", {"text": "y" * 50_000}), user("x " * 50_000)]
    asked = Asked()
    fold(Summarize([*huge, *TRIP]), asked, 400)
    assert [len(part.messages) for part in asked[:2]] == [3, 1]
    for part in asked:
        assert tokens.count(instruction(part))[0] < 900
    assert "characters left out" in instruction(asked[1])


def test_all_parts_are_about_the_query_of_the_whole():
    asked = Asked()
    fold(Summarize(TRIP, style="query_focused"), asked, 60)
    assert len(asked) == 3 and {part.query for part in asked} == {TRIP[-2]["content"][0]["text"]}


def test_what_all_parts_took_is_added():
    took = Totals(10, 2, calls=1, unpriced=1)
    found = fold(Summarize(TRIP), lambda to: Summary("so", took, "m", "p"), 60)
    assert found == Summary("so", Totals(30, 6, calls=3, unpriced=3), "m", "p")
    assert fold(Summarize(TRIP), lambda to: "so", 60).usage is None


def test_a_summary_that_is_too_long_is_cut():
    found = fold(Summarize(TRIP, max_tokens=40), lambda to: "A sentence of it. " * 1_000, 10_000)
    assert tokens.count(found.text)[0] <= 40 and found.text.endswith("it. …")


def test_the_twin_awaits():
    asked = Asked()

    async def later(to: Summarize) -> str:
        await asyncio.sleep(0)
        return asked(to)

    found = asyncio.run(fold_async(Summarize(TRIP), later, 60))
    again = Asked()
    assert found == fold(Summarize(TRIP), again, 60) and again == asked
    assert asyncio.run(fold_async(Summarize(TRIP), extractive, 60)) == fold(Summarize(TRIP), extractive, 60)


def test_what_is_no_summary_is_refused():
    async def later(to: Summarize) -> str:
        raise AssertionError("never awaited")

    assert issubclass(SummaryError, StoreError)
    with pytest.raises(SummaryError, match="has to be awaited"):
        fold(Summarize(TRIP), later, 100)
    for wrong, said in ("  \n", "empty"), (None, "NoneType"), (b"so", "bytes"), (Summary(" "), "empty"):
        with pytest.raises(SummaryError, match=said):
            fold(Summarize(TRIP), lambda to, wrong=wrong: wrong, 100)
        with pytest.raises(SummaryError, match=said):
            asyncio.run(fold_async(Summarize(TRIP), lambda to, wrong=wrong: wrong, 100))
    with pytest.raises(ValueError, match="messages"):
        fold(Summarize([]), extractive, 100)
    with pytest.raises(ValueError, match="room"):
        fold(Summarize(TRIP), extractive, 10)


def test_what_a_summarizer_raises_arrives():
    empty = iter(())
    with pytest.raises(StopIteration):
        fold(Summarize(TRIP), lambda to: next(empty), 100)
    with pytest.raises(ZeroDivisionError):
        fold(Summarize(TRIP), lambda to: 1 / 0, 100)


def test_a_conversation_goes_on_from_its_opening():
    first, second = opening("So far, so good.")
    assert (first["role"], second["role"]) == ("user", "assistant")
    assert second["content"] == [{"text": "So far, so good."}] and first["content"][0]["text"]
    assert "tracking_id" not in first | second
    assert opening("a")[0] is not first
