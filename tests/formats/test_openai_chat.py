"""OpenAI's Chat Completions: what goes there is what OpenAI publishes, and comes back as it was."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionMessage, ChatCompletionMessageParam, ParsedChatCompletionMessage
from strands.models.openai import OpenAIModel
from tests.formats.broken import broken
from tests.formats.conversations import (
    ALL,
    assistant,
    at_hand,
    call,
    conversations,
    leaves,
    lost_without_a_word,
    result,
    said,
    user,
)
from tests.formats.holding import check
from tests.formats.openai_written import chat_call
from tests.formats.planted import anywhere, texts
from tests.formats.published import problems

from strands_session_store.errors import FormatError
from strands_session_store.formats.openai_chat import from_openai_chat, to_openai_chat

HELD = ALL - {
    *("reasoning", "redacted", "video", "guardContent", "citationsContent", "cachePoint", "shuffled", "partial"),
    *("location", "custom", "name", "result.json", "result.image", "result.document", "result.error"),
}
PDF = b"%PDF-1.7"


# ---------------------------------------------------------------------------------------------------------- properties


@settings(max_examples=60, deadline=None)
@given(st.one_of(conversations(), conversations(HELD)))
def test_any_conversation(messages: list[dict[str, Any]]) -> None:
    check(to_openai_chat, from_openai_chat, messages)
    converted = to_openai_chat(messages, strict=False)
    assert problems(converted.messages, list[ChatCompletionMessageParam]) == []
    found, planted = texts(converted.messages), Counter(value for _, value in leaves(said(messages)))
    assert [value for value in planted if found[value] > planted[value]] == []  # nothing is doubled


@settings(max_examples=30, deadline=None)
@given(conversations({"text", "toolUse", "result.text", "image", "shuffled"}, max_turns=2), st.data())
def test_a_message_alone_is_converted_as_among_others(messages: list[dict[str, Any]], data: Any) -> None:
    alone = [to_openai_chat(message, strict=False) for message in messages]
    together = to_openai_chat(messages, strict=False)
    assert [message for a in alone for message in a.messages] == together.messages
    assert sum(len(a.lost) for a in alone) == len(together.lost)


@settings(max_examples=60, deadline=None)
@given(
    conversations(HELD - {"audio", "empty"}, max_turns=2),
    st.sampled_from([None, "Be brief.", [{"text": "a"}, {"text": "b"}]]),
)
def test_strands_own_formatter_says_the_same(messages: list[dict[str, Any]], system: Any) -> None:
    """But for content that is one text, which we give as a text; several texts of a result, which it joins; `detail`
    and `format` of an image, the latter not in the published type; media types that a machine's table does not have;
    the extension of a file's name; and its older versions put what the user says in front of results."""
    blocks = [{"text": system}] if isinstance(system, str) else system
    theirs = OpenAIModel.format_request_messages(messages, system_prompt_content=blocks)
    assert _alike(to_openai_chat(messages, system=system).messages) == _alike(theirs)


def _content(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"content": message["content"]} for message in messages]


def _alike(messages: list[dict[str, Any]]) -> list[Any]:
    runs = itertools.groupby(messages, key=lambda message: message["role"] in ("user", "tool"))
    return [sorted(map(_plain, run), key=lambda message: message["role"] != "tool") for _, run in runs]


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    parts = message.get("content") or []
    said = [parts] if isinstance(parts, str) else [_said(part) for part in parts]
    if message["role"] == "tool":
        said = ["\n".join(said)]
    return {key: value for key, value in message.items() if key != "name"} | {"content": said}


def _said(part: dict[str, Any]) -> str:
    if part["type"] == "text":
        return str(part["text"])
    url = part["file"]["file_data"] if part["type"] == "file" else part["image_url"]["url"]
    return str(url.partition(",")[2])


@settings(max_examples=30, deadline=None)
@given(conversations(ALL - {"guardContent", "video", "audio", "citationsContent"}))
def test_strands_own_formatter_takes_what_comes_back(messages: list[dict[str, Any]]) -> None:
    restored = at_hand(from_openai_chat(to_openai_chat(messages, strict=False).messages).messages)
    theirs = OpenAIModel.format_request_messages(restored)
    assert lost_without_a_word(_content(restored), anywhere(theirs), ()) == []


@settings(max_examples=40, deadline=None)
@given(conversations(max_turns=1), st.data())
def test_what_is_malformed_is_a_value_error_or_listed(messages: list[dict[str, Any]], data: Any) -> None:
    converted = to_openai_chat(messages, strict=False).messages
    with suppress(ValueError):
        from_openai_chat(data.draw(broken(converted)), strict=False)
    with suppress(ValueError):
        to_openai_chat(data.draw(broken(messages)), strict=False)


# ------------------------------------------------------------------------------------------------------------- by hand


def test_a_conversation_with_a_tool() -> None:
    messages = [
        user({"text": "Where is Ada?"}),
        assistant({"text": "I look."}, call("c1", name="Ada"), call("c2", name="Ada's friend é")),
        user(result({"text": "Lisbon"}), result({"text": "a"}, {"text": "b"}, key="c2"), {"text": "And Bob?"}),
        assistant({"text": "No idea."}),
    ]
    converted = to_openai_chat(messages, system="Be brief.")
    assert converted.messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Where is Ada?"},
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [chat_call('{"name": "Ada"}'), chat_call('{"name": "Ada\'s friend é"}', "c2")],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "Lisbon"},
        {
            "role": "tool",
            "tool_call_id": "c2",
            "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        },
        {"role": "user", "content": "And Bob?"},
        {"role": "assistant", "content": "No idea."},
    ]
    assert converted.system is None
    restored = from_openai_chat(converted.messages)
    assert (restored.messages, restored.system) == (messages, [{"text": "Be brief."}])


def test_media_and_cache_points() -> None:
    messages = [
        user(
            {"document": {"format": "pdf", "name": "report", "source": {"bytes": PDF}}},
            {"document": {"format": "md", "name": "notes.md", "source": {"bytes": b"# Title"}}},
            {"cachePoint": {"type": "default"}},
            {"image": {"format": "jpeg", "source": {"bytes": b"\xff\xd8"}}},
            {"image": {"format": "webp", "source": {"location": {"type": "url", "uri": "https://a.org/b.webp?c"}}}},
            {"audio": {"format": "wav", "source": {"bytes": b"RIFF"}}},
        )
    ]
    system = [{"text": "long"}, {"cachePoint": {"type": "default"}}, {"text": "short"}]
    converted = to_openai_chat(messages, system=system)
    parts = converted.messages[2]["content"]
    assert parts[0]["file"] == {"filename": "report.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjc="}
    assert [("prompt_cache_breakpoint" in part) for part in parts] == [False, True, False, False, False]
    assert all(problems(message, ChatCompletionMessageParam) == [] for message in converted.messages)
    restored = from_openai_chat(converted.messages)
    assert (restored.messages, restored.system) == (messages, system)


def test_names_and_refusals_are_kept_in_the_metadata() -> None:
    messages = [
        user({"text": "How?"}, name="ada"),
        assistant({"text": "I can't help with that."}, name="bot", refusal=True),
        user({"text": "Why?"}, name="ada"),
        assistant({"text": "No."}, refusal=True),
    ]
    converted = to_openai_chat(messages)
    assert converted.messages[1] == {
        "role": "assistant",
        "name": "bot",
        "content": [{"type": "refusal", "refusal": "I can't help with that."}],
    }
    assert all(problems(message, ChatCompletionMessageParam) == [] for message in converted.messages)
    assert from_openai_chat(converted.messages).messages == messages


def test_what_the_client_dumps_of_an_answer() -> None:
    answer = {
        "role": "assistant",
        "content": "Ada lives in Lisbon (example.com), they say.",
        "annotations": [
            {
                "type": "url_citation",
                "url_citation": {"start_index": 20, "end_index": 33, "title": "Ada", "url": "https://example.com"},
            }
        ],
        "tool_calls": [chat_call('{"name": "Ada"}')],
    }
    dumped = ChatCompletionMessage.model_validate(answer).model_dump()
    cited = {"title": "Ada", "location": {"web": {"url": "https://example.com"}}}
    assert from_openai_chat(dumped).messages == [
        assistant(
            {"text": "Ada lives in Lisbon "},
            {"citationsContent": {"content": [{"text": "(example.com)"}], "citations": [cited]}},
            {"text": ", they say."},
            call(name="Ada"),
        )
    ]
    refused = ChatCompletionMessage(role="assistant", refusal="No.").model_dump()
    assert from_openai_chat(refused).messages == [assistant({"text": "No."}, refusal=True)]
    parsed = ParsedChatCompletionMessage[Any](role="assistant", content='{"a": 1}', parsed={"a": 1}, annotations=[])
    assert from_openai_chat(parsed.model_dump()).messages == [assistant({"text": '{"a": 1}'})]
    silent = ChatCompletionMessage.model_validate(
        {"role": "assistant", "content": None, "tool_calls": [chat_call("")]}
    ).model_dump(exclude_unset=True)
    assert from_openai_chat(silent).messages == [assistant(call())]


def test_messages_of_one_role_are_joined() -> None:
    restored = from_openai_chat(
        [
            {"role": "user", "content": "a", "name": "ada"},
            {"role": "user", "content": "b", "name": "ada"},
            {"role": "assistant", "content": None, "tool_calls": [chat_call("{}")]},
            {"role": "assistant", "content": "d"},
            {"role": "tool", "tool_call_id": "c1", "content": ""},
            {"role": "user", "content": [{"type": "text", "text": "e"}], "name": "bob"},
        ]
    )
    assert restored.messages == [
        user({"text": "a"}, {"text": "b"}, name="ada"),
        assistant(call(), {"text": "d"}),
        user(result(), {"text": "e"}, name="bob"),
    ]


def test_system_prompts_in_front_are_one() -> None:
    restored = from_openai_chat(
        [
            {"role": "developer", "content": "a"},
            {"role": "system", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]},
            {"role": "user", "content": "d"},
        ],
        system="before",
    )
    assert restored.system == [{"text": text} for text in ("before", "a", "b", "c")]


@pytest.mark.parametrize("name", ["report.pdf", "REPORT.PDF", "report", None])
@pytest.mark.parametrize("media", ["data:application/pdf;base64,", "data:application/octet-stream;base64,", ""])
def test_a_files_format_is_told_by_its_media_type_or_its_name(name: str | None, media: str) -> None:
    file = {"file_data": f"{media}JVBERi0xLjc="} | ({"filename": name} if name else {})
    message = {"role": "user", "content": [{"type": "file", "file": file}]}
    if "pdf" not in media and (name or "").lower() != "report.pdf":
        with pytest.raises(FormatError, match=r"messages\[0\]\.content\[0\]\.file: neither its media type"):
            from_openai_chat(message)
        return
    document = from_openai_chat(message).messages[0]["content"][0]["document"]
    assert document["format"] == "pdf" and document["source"] == {"bytes": PDF}
    assert document["name"] == (name[:6] if name else "document")


def test_nothing_is_nothing() -> None:
    assert to_openai_chat([], system="").messages == []
    restored = from_openai_chat([])
    assert (restored.messages, restored.system, restored.lost) == ([], [], ())
    assert json.dumps(to_openai_chat([user(), assistant()]).messages)
    assert from_openai_chat(to_openai_chat([user(), assistant()]).messages).messages == [user(), assistant()]
    with pytest.raises(ValueError, match="system must be a list, not int"):
        to_openai_chat([], system=5)
