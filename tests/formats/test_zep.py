"""Zep's dialect, against the types of its own package."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.formats.broken import broken
from tests.formats.conversations import ALL, conversations
from tests.formats.holding import check, listed
from zep_cloud.types import Message

from strands_session_store.formats.zep import from_zep, to_zep


def well_formed(messages: Any) -> None:
    for message in messages:
        assert message.keys() <= Message.model_fields.keys()
        assert Message(**message).model_dump(exclude_none=True) == message
        assert message["role"] in ("user", "assistant", "system")
        assert len(metadata := message.get("metadata", {})) <= 10
        assert all(isinstance(value, str | int | float | list) for value in metadata.values())


@settings(max_examples=60, deadline=None)
@given(st.one_of(conversations(ALL), conversations({"text", "name", "counted"})))
def test_any_conversation(messages: list[dict[str, Any]]) -> None:
    check(to_zep, from_zep, messages)
    well_formed(to_zep(messages, strict=False).messages)


CONVERSATION: list[dict[str, Any]] = [
    {
        "role": "user",
        "content": [{"text": "Hi"}, {"text": ""}],
        "metadata": {"custom": {"name": "Ada", "page": 7, "tags": ["a", 1.5, True]}},
    },
    {"role": "assistant", "content": [{"text": "No."}], "metadata": {"custom": {"refusal": True}}},
]


def test_what_it_can_hold_comes_back_equal() -> None:
    converted = to_zep(CONVERSATION, system="Be brief.")
    well_formed(converted.messages)
    told = {"name": "Ada", "metadata": {"page": 7, "tags": ["a", 1.5, True]}}
    assert converted.system is None
    assert converted.messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi", **told},
        {"role": "user", "content": "", **told},
        {"role": "assistant", "content": "No.", "metadata": {"refusal": True}},
    ]
    assert converted.messages[1]["metadata"]["tags"] is not converted.messages[2]["metadata"]["tags"]
    restored = from_zep(converted.messages)
    assert restored.messages == CONVERSATION
    assert restored.system == [{"text": "Be brief."}]
    assert from_zep([], system="Be brief.").system == [{"text": "Be brief."}]


def test_what_is_kept_of_a_thread_is_read() -> None:
    kept = {"uuid": "u", "created_at": "2026-01-01T00:00:00Z", "processed": True, "thread_uuid": "t"}
    dumped = Message(role="assistant", content="Hi", name="bot", **kept)
    expected = [{"role": "assistant", "content": [{"text": "Hi"}], "metadata": {"custom": {"name": "bot"}}}]
    assert from_zep(dumped.model_dump()).messages == expected
    assert from_zep([dumped.dict()]).messages == expected


@settings(max_examples=40, deadline=None)
@given(conversations(ALL, max_turns=1), st.data())
def test_what_is_malformed_is_a_value_error_or_listed(messages: list[dict[str, Any]], data: Any) -> None:
    with suppress(ValueError):
        well_formed(to_zep(data.draw(broken(messages)), strict=False).messages)
    converted = data.draw(broken(to_zep(messages, strict=False).messages))
    with suppress(ValueError):
        restored = from_zep(converted, strict=False)
        well_formed(to_zep(restored.messages, strict=False).messages)


def test_what_it_can_not_hold_is_refused_or_listed() -> None:
    custom = {"name": 7, "nested": {"a": 1}, "none": None} | {f"k{i}": i for i in range(11)}
    message = {
        "role": "user",
        "content": [{"text": "a"}, {"image": {"format": "png", "source": {"bytes": b"i"}}}],
        "metadata": {"custom": custom},
    }
    assert set(listed(to_zep, message)) == {
        "messages[0].content[1].image",
        "messages[0].metadata.custom.name",
        "messages[0].metadata.custom.nested",
        "messages[0].metadata.custom.k10",
    }
    well_formed(to_zep(message, strict=False).messages)
    call: dict[str, Any] = {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "n", "input": {}}}]}
    converted = to_zep(
        [{**call, "metadata": {"custom": {"name": "bot"}}}, {"role": "user", "content": []}], strict=False
    )
    assert converted.messages == []
    assert [loss.place for loss in converted.lost] == [
        "messages[0].content[0].toolUse",
        "messages[0].metadata.custom",
        "messages[1].content",
    ]


def test_messages_of_one_role_are_joined_and_a_second_name_is_lost() -> None:
    messages = [
        {"role": "user", "content": "Hi", "name": "Ada"},
        {"role": "user", "content": "there", "name": "Ada"},
        {"role": "user", "content": "you", "name": "Bob"},
    ]
    assert listed(from_zep, messages) == ["messages[2].name"]
    [message] = from_zep(messages, strict=False).messages
    assert message["content"] == [{"text": "Hi"}, {"text": "there"}, {"text": "you"}]
    assert message["metadata"] == {"custom": {"name": "Ada"}}


def test_what_strands_can_not_hold_is_refused_or_listed() -> None:
    messages = [
        {"role": "user", "content": "Hi", "mood": "good"},
        {"role": "tool", "content": "grey", "name": "sky"},
        {"role": "system", "content": "Be long."},
    ]
    assert listed(from_zep, messages) == ["messages[0].mood", "messages[1]", "messages[2]"]


@pytest.mark.parametrize(
    ("messages", "named"),
    [
        (7, "messages must be a message or a list of them"),
        ([{"role": "robot", "content": ""}], r"messages\[0\].role must be user"),
        ([{"content": "hi"}], r"messages\[0\].role is missing"),
        ([{"role": "user", "content": ["hi"]}], r"messages\[0\].content must be a text, not list"),
    ],
)
def test_what_is_no_message_is_an_error_with_its_place(messages: Any, named: str) -> None:
    for strict in (True, False):
        with pytest.raises(ValueError, match=named):
            from_zep(messages, strict=strict)
