"""Turns of any list: pairs whole, nothing made up, nothing shortened."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strands_session_store.turns import Part, checked, joined, parts, spelled, turns, without

from .histories import IMAGE, POINT, REASONING, Message, assistant, messy, result, text, use, user, whole


def said(messages: list[Message]) -> list[list[Message]]:
    return [joined(spelled(turn)) for turn in turns(messages[::-1])]


@settings(max_examples=100)
@given(whole)
def test_a_whole_conversation_is_its_turns(messages: list[Message]) -> None:
    assert [m for turn in said(messages) for m in turn] == messages
    for turn in said(messages):
        assert "toolResult" not in turn[0]["content"][0]
        assert all("toolResult" in m["content"][0] for m in turn[1:] if m["role"] == "user")


@settings(max_examples=200)
@given(messy, st.data())
def test_the_last_turns_are_those_of_any_end_of_the_history(messages: list[Message], data: st.DataObject) -> None:
    end = messages[data.draw(st.integers(0, len(messages))) :]
    found, all_of_them = turns(end[::-1]), turns(messages[::-1])
    assert found == all_of_them[len(all_of_them) - len(found) :]


@settings(max_examples=100)
@given(messy)
def test_parts_are_made_of_blocks_as_they_were(messages: list[Message]) -> None:
    blocks = [block for m in messages for block in m["content"]]
    for part in parts(messages[::-1]):
        for one in (part, *part.results):
            assert all(any(block is known for known in blocks) for block in one.content)


def test_a_use_and_a_result_without_the_other_are_left_out() -> None:
    messages = [
        user("go", result("z")),
        assistant("let me see", use("a"), use("b")),
        user(result("b"), result("c")),
        assistant(use("d")),
        user("never mind"),
    ]
    assert said(messages) == [
        [user("go"), assistant("let me see", use("b")), user(result("b"))],
        [user("never mind")],
    ]


def test_an_id_that_comes_twice_is_paired_in_order() -> None:
    first, second = result("look", "one"), result("look", "two")
    asked = assistant(use("look", at=1), use("look", at=2), use("look", at=3))
    (turn,) = said([user("go"), asked, user(first, second)])
    assert turn[1:] == [assistant(use("look", at=1), use("look", at=2)), user(first, second)]


def test_an_id_that_comes_again_in_the_next_message_is_paired_in_order_too() -> None:
    messages = [user("go"), assistant(use("a")), assistant(use("a")), user(result("a", "one"), result("a", "two"))]
    assert said(messages) == [
        [user("go"), assistant(use("a")), user(result("a", "one")), assistant(use("a")), user(result("a", "two"))]
    ]


def test_results_that_come_later_are_none_of_a_use() -> None:
    messages = [user("go"), assistant("1", use("a")), user("and?"), assistant("2"), user(result("a"))]
    assert said(messages) == [[user("go"), assistant("1")], [user("and?"), assistant("2")]]


def test_messages_of_the_assistant_in_succession_share_the_results_behind_them() -> None:
    messages = [user("go"), assistant("1", use("a")), assistant("2", use("b")), user(result("b")), user(result("a"))]
    assert said(messages) == [
        [user("go"), assistant("1", use("a")), user(result("a")), assistant("2", use("b")), user(result("b"))]
    ]


def test_a_message_with_results_and_more_ends_a_turn_and_begins_one() -> None:
    messages = [user("go"), assistant(use("a")), user(result("a"), "stop", tracking_id="m"), assistant("ok")]
    ended = [user("go"), assistant(use("a")), user(result("a"), tracking_id="m")]
    assert said(messages) == [ended, [user("stop", tracking_id="m"), assistant("ok")]]
    assert joined(spelled(part for turn in turns(messages[::-1]) for part in turn)) == messages


def test_what_a_user_says_before_the_results_begins_a_turn_too() -> None:
    messages = [user("go"), assistant(use("a")), user("and?"), user(result("a"))]
    assert said(messages) == [[user("go"), assistant(use("a")), user(result("a"))], [user("and?")]]


@pytest.mark.parametrize("content", [[], [text(" ")], [POINT], [REASONING], [{}], [text(""), POINT], [use("a")]])
def test_what_says_nothing_is_left_out(content: list[Any]) -> None:
    nothing = {"role": "assistant", "content": content}
    assert said([user("a"), nothing, user("b")]) == [[user("a")], [user("b")]]


def test_a_cache_point_stays_with_what_is_before_it() -> None:
    messages = [user("go", POINT), assistant(use("a")), user(result("a"), POINT), assistant("ok", POINT)]
    assert said(messages) == [messages]


def test_two_messages_that_are_joined_keep_what_they_agree_on() -> None:
    a, b = (user(id, IMAGE, tracking_id=id, metadata={"custom": {"name": "ada"}}) for id in "ab")
    assert joined([a, b]) == [user("a", IMAGE, "b", IMAGE, metadata={"custom": {"name": "ada"}})]


def test_a_pair_is_taken_out_whole() -> None:
    messages = [
        user("go"),
        assistant("well", use("a", at=1), use("a", at=2), use("b")),
        user(result("a", "no", "error"), result("b"), result("a", "yes")),
    ]
    part = next(iter(parts(messages[::-1])))

    def failed(one: Any) -> bool:
        return one["status"] == "error"

    left = without(part, failed)
    assert left is not None
    assert spelled([left]) == [assistant("well", use("a", at=2), use("b")), user(result("b"), result("a", "yes"))]
    assert without(Part(assistant(use("a")), [use("a")], (Part(user(), [result("a")]),)), lambda _: True) is None


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("hi", "here must be a dict with role and content, not str"),
        ({"role": "system", "content": []}, r"here\['role'\] must be 'user' or 'assistant', got 'system'"),
        ({"role": "user"}, r"here\['content'\] must be a list of content blocks, got None"),
        ({"role": "user", "content": ["hi"]}, r"here\['content'\] must be a list of content blocks"),
    ],
)
def test_what_is_no_message_is_refused_by_its_place(message: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        checked("here", message)


def test_a_text_for_content_is_a_block() -> None:
    assert checked("here", {"role": "user", "content": "hi", "tracking_id": "m"}) == user("hi", tracking_id="m")
