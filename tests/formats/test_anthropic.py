"""Anthropic's dialect, against the types of its own package and Strands' own formatter."""

from __future__ import annotations

import functools
from contextlib import suppress
from typing import Any

import anthropic.types
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strands.models.anthropic import AnthropicModel
from tests.formats.broken import broken
from tests.formats.conversations import ALL, at_hand, conversations
from tests.formats.holding import as_json, below, check, listed
from tests.formats.published import problems

from strands_session_store.formats.anthropic import from_anthropic, to_anthropic

LIKELY = {"text", "image", "document", "reasoning", "redacted", "toolUse", "result.text", "result.image"}
LIKELY |= {"result.document", "result.error", "empty", "shuffled", "counted"}


def likely(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With documents and reasoning as Anthropic has them, and cache points behind what can be cached."""
    for message in messages:
        blocks = message["content"]
        for block in [*blocks, *(inner for b in blocks for inner in b.get("toolResult", {}).get("content", ()))]:
            block.get("document", {})["format"] = "pdf"
            block.get("reasoningContent", {}).get("reasoningText", {}).setdefault("signature", "c2ln")
        if blocks and "reasoningContent" not in blocks[-1]:
            blocks.append({"cachePoint": {"type": "default", "ttl": "1h"}})
    return messages


CITATION = {
    "title": "Report",
    "location": {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}},
    "sourceContent": [{"text": "It rained."}],
}
WHOLE: list[dict[str, Any]] = [
    {
        "role": "user",
        "content": [
            {"text": "Look"},
            {"image": {"format": "png", "source": {"bytes": b"\x89PNG"}}},
            {"image": {"format": "webp", "source": {"location": {"type": "url", "uri": "https://a.org/b.webp?c"}}}},
            {
                "document": {
                    "format": "pdf",
                    "name": "Report",
                    "source": {"bytes": b"%PDF"},
                    "citations": {"enabled": True},
                }
            },
            {"document": {"format": "txt", "name": "n", "source": {"bytes": "ä".encode()}, "context": "c"}},
            {"cachePoint": {"type": "default", "ttl": "1h"}},
        ],
    },
    {
        "role": "assistant",
        "content": [
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}},
            {"reasoningContent": {"redactedContent": b"\x00\xff"}},
            {"citationsContent": {"content": [{"text": "It rained."}], "citations": [CITATION]}},
            {"toolUse": {"toolUseId": "t1", "name": "sky", "input": {"at": None}}},
            {"cachePoint": {"type": "default"}},
        ],
    },
    {
        "role": "user",
        "content": [
            {
                "toolResult": {
                    "toolUseId": "t1",
                    "status": "error",
                    "content": [
                        {"text": "grey"},
                        {"image": {"format": "jpeg", "source": {"bytes": b"i"}}},
                        {"document": {"format": "pdf", "name": "d", "source": {"bytes": b"d"}}},
                    ],
                }
            },
            {"cachePoint": {"type": "default"}},
            {"text": ""},
        ],
    },
]


def well_formed(messages: Any) -> None:
    assert not problems(messages, list[anthropic.types.MessageParam])
    as_json(messages)


@settings(max_examples=60, deadline=None)
@given(st.one_of(conversations(ALL), conversations(LIKELY).map(likely)))
def test_any_conversation(messages: list[dict[str, Any]]) -> None:
    held = check(to_anthropic, from_anthropic, messages)
    well_formed(to_anthropic(messages, strict=False).messages)
    well_formed(to_anthropic(held).messages)
    held = at_hand(held)
    for message in held:  # what is redacted was a KeyError in older versions of Strands
        message["content"] = [b for b in message["content"] if "redactedContent" not in b.get("reasoningContent", {})]
    ours = to_anthropic(held, strict=False).messages
    assert strands([m for m in held if m["content"]]) == without_citations([m for m in ours if m["content"]])


@functools.cache
def model() -> AnthropicModel:
    return AnthropicModel(client_args={"api_key": "none"}, model_id="any", max_tokens=1)


def strands(messages: Any) -> Any:
    """What Strands' own formatter makes of it. Citations it leaves out, and messages that say nothing."""
    return model()._format_request_messages(messages)


def without_citations(value: Any) -> Any:
    """Nor does it pass on what a document is about, or that it may be cited."""
    if isinstance(value, dict):
        left_out = ("citations", "context") if value.get("type") in ("text", "document") else ()
        return {k: without_citations(v) for k, v in value.items() if k not in left_out}
    return [without_citations(one) for one in value] if isinstance(value, list) else value


def test_what_it_can_hold_comes_back_equal() -> None:
    converted = to_anthropic(WHOLE, system=[{"text": "Be brief."}, {"cachePoint": {"type": "default"}}])
    well_formed(converted.messages)
    assert not problems(converted.system, list[anthropic.types.TextBlockParam])
    assert converted.system == [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    restored = from_anthropic(as_json(converted.messages), system=converted.system)
    assert restored.messages == WHOLE
    assert restored.system == [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}]
    assert len(strands(WHOLE[:1])[0]["content"]) == 4  # it leaves out what is on the web
    assert from_anthropic([], system="Be brief.").system == [{"text": "Be brief."}]


@settings(max_examples=40, deadline=None)
@given(conversations(ALL, max_turns=1), st.data())
def test_what_is_malformed_is_a_value_error_or_listed(messages: list[dict[str, Any]], data: Any) -> None:
    with suppress(ValueError):
        well_formed(to_anthropic(data.draw(broken(messages)), strict=False).messages)
    converted = data.draw(broken(to_anthropic(messages, strict=False).messages))
    with suppress(ValueError):
        restored = from_anthropic(converted, strict=False)
        well_formed(to_anthropic(restored.messages, strict=False).messages)


def test_what_it_can_not_hold_is_refused_or_listed() -> None:
    lost: dict[str, dict[str, Any]] = {
        "audio": {"audio": {"format": "mp3", "source": {"bytes": b"a"}}},
        "video": {"video": {"format": "mp4", "source": {"bytes": b"v"}}},
        "image": {"image": {"format": "png", "source": {"location": {"type": "s3", "uri": "s3://b/k"}}}},
        "document": {"document": {"format": "docx", "name": "d", "source": {"bytes": b"d"}}},
        "~document.format": {"document": {"format": "md", "name": "d", "source": {"bytes": b"# d"}}},
        "reasoningContent.reasoningText": {"reasoningContent": {"reasoningText": {"text": "unsigned"}}},
        "~guardContent": {"guardContent": {"text": {"text": "g"}}},
        "~cachePoint": {"cachePoint": {"type": "default"}},
        "toolUse.input": {"toolUse": {"toolUseId": "t", "name": "n", "input": [1]}},
        "toolUse.reasoningSignature": {
            "toolUse": {"toolUseId": "t", "name": "n", "input": {}, "reasoningSignature": "c2ln"}
        },
        "~toolResult.content[0].json": {
            "toolResult": {"toolUseId": "t", "status": "success", "content": [{"json": {"a": 1}}]}
        },
        "hologram": {"hologram": {"of": "you"}},
    }
    for place, block in lost.items():
        assert listed(to_anthropic, {"role": "user", "content": [block]}) == [below("messages[0].content[0].", place)]
    message = {"role": "user", "content": [{"text": "hi", "image": {}}], "mood": "good"}
    message["metadata"] = {"custom": {"name": "Ada"}, "more": 1}
    assert [loss.place for loss in to_anthropic(message, strict=False).lost] == [
        "messages[0].metadata.custom.name",
        "messages[0].metadata.more",
        "messages[0].content[0]",
        "messages[0].mood",
    ]
    assert listed(to_anthropic, [], system=[{"text": "a"}, {"image": {}}]) == ["system[1].image"]


def test_a_message_of_which_nothing_is_left_is_left_out() -> None:
    messages = [
        {"role": "user", "content": [{"video": {"format": "mp4", "source": {"bytes": b"v"}}}]},
        {"role": "assistant", "content": []},
    ]
    assert to_anthropic(messages, strict=False).messages == [{"role": "assistant", "content": []}]


def test_the_call_stays_where_its_input_can_not_be_said() -> None:
    call = {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "n", "input": {"a": b"x"}}}]}
    converted = to_anthropic(call, strict=False)
    assert converted.messages[0]["content"] == [{"type": "tool_use", "id": "t", "name": "n", "input": {}}]


# ------------------------------------------------------------------------------------------------------ from answers


def answer(*content: dict[str, Any], **about: Any) -> dict[str, Any]:
    """What the vendor's package dumps of one."""
    usage = {"input_tokens": 1, "output_tokens": 2}
    told = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "usage": usage} | about
    return anthropic.types.Message.model_validate(told | {"content": list(content)}).model_dump()


def test_an_answer_is_a_message() -> None:
    location = {"type": "char_location", "document_index": 0, "start_char_index": 1, "end_char_index": 2}
    dumped = answer(
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "AP8="},
        {
            "type": "text",
            "text": "It rained.",
            "citations": [location | {"cited_text": "rain", "document_title": None}],
        },
        {"type": "tool_use", "id": "t", "name": "sky", "input": {}, "caller": {"type": "direct"}},
        stop_reason="tool_use",
    )
    citation = {
        "location": {"documentChar": {"documentIndex": 0, "start": 1, "end": 2}},
        "sourceContent": [{"text": "rain"}],
    }
    expected: list[dict[str, Any]] = [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
        {"reasoningContent": {"redactedContent": b"\x00\xff"}},
        {"citationsContent": {"content": [{"text": "It rained."}], "citations": [citation]}},
        {"toolUse": {"toolUseId": "t", "name": "sky", "input": {}}},
    ]
    assert from_anthropic(dumped).messages == [{"role": "assistant", "content": expected}]
    well_formed(to_anthropic(from_anthropic(dumped).messages).messages)


def test_a_refusal_is_known_by_its_metadata() -> None:
    [message] = from_anthropic(answer({"type": "text", "text": "No."}, stop_reason="refusal")).messages
    assert message == {"role": "assistant", "content": [{"text": "No."}], "metadata": {"custom": {"refusal": True}}}


def test_what_its_own_tools_did_is_refused_or_listed() -> None:
    found = {"cited_text": "c", "encrypted_index": "e", "title": "t", "url": "https://a.org/b"}
    dumped = answer(
        {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "srv", "content": []},
        {"type": "text", "text": "So.", "citations": [{"type": "web_search_result_location", **found}]},
    )
    assert listed(from_anthropic, dumped) == [
        "messages[0].content[0]",
        "messages[0].content[1]",
        "messages[0].content[2].citations[0].encrypted_index",
    ]
    [message] = from_anthropic(dumped, strict=False).messages
    assert message["content"][0]["citationsContent"]["citations"] == [
        {
            "title": "t",
            "location": {"web": {"url": "https://a.org/b", "domain": "a.org"}},
            "sourceContent": [{"text": "c"}],
        }
    ]


def test_messages_of_one_role_are_joined_and_a_system_message_leads() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "user", "content": [{"type": "text", "text": "there"}]},
        {"role": "system", "content": "Be long."},
    ]
    restored = from_anthropic(messages, system="Be kind.", strict=False)
    assert restored.messages == [{"role": "user", "content": [{"text": "Hi"}, {"text": "there"}]}]
    assert restored.system == [{"text": "Be kind."}, {"text": "Be brief."}]
    assert [loss.place for loss in restored.lost] == ["messages[3].content"]


def test_a_result_may_be_a_text_or_nothing() -> None:
    result = {"type": "tool_result", "tool_use_id": "t"}
    [message] = from_anthropic({"role": "user", "content": [{**result, "content": "grey"}, result]}).messages
    assert [block["toolResult"]["content"] for block in message["content"]] == [[{"text": "grey"}], []]


def test_a_result_has_fewer_kinds_than_a_message() -> None:
    content = [
        {"type": "text", "text": "a", "citations": [], "cache_control": {"type": "ephemeral"}},
        {"type": "tool_use", "id": "t", "name": "n", "input": {}},
    ]
    message = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": content}]}
    restored = from_anthropic(message, strict=False)
    assert restored.messages[0]["content"][0]["toolResult"]["content"] == [{"text": "a"}]
    inside = "messages[0].content[0].content"
    assert listed(from_anthropic, message) == [
        f"~{inside}[0].cache_control",
        f"{inside}[0].citations",
        f"{inside}[1]",
    ]


@pytest.mark.parametrize(
    ("block", "place"),
    [
        ({"type": "image", "source": {"type": "file", "file_id": "f"}}, ".source"),
        ({"type": "image", "source": {"type": "url", "url": "https://a.org/b"}}, "~.source.url"),
        ({"type": "document", "source": {"type": "file", "file_id": "f"}}, ""),
        ({"type": "redacted_thinking", "data": "no base64"}, ".data"),
        ({"type": "redacted_thinking", "data": "_-8="}, ".data"),  # it would come back as "/+8="
        ({"type": "search_result", "source": "s", "title": "t", "content": []}, ""),
        ({"type": "text", "text": "a", "mood": "good"}, ".mood"),
    ],
)
def test_what_strands_can_not_hold_is_refused_or_listed(block: dict[str, Any], place: str) -> None:
    assert listed(from_anthropic, {"role": "user", "content": [block]}) == [below("messages[0].content[0]", place)]


@pytest.mark.parametrize(
    ("messages", "named"),
    [
        (7, "messages must be a message or a list of them"),
        ([7], "messages\\[0\\] must be a dict"),
        ([{"role": "robot", "content": []}], "messages\\[0\\].role must be 'user'"),
        ([{"role": "user"}], "messages\\[0\\].content"),
        ([{"role": "user", "content": [{"text": "no type"}]}], r"messages\[0\].content\[0\].type is missing"),
        ([{"role": "user", "content": [{"type": "text"}]}], r"messages\[0\].content\[0\].text is missing"),
    ],
)
def test_what_is_no_message_of_it_is_an_error_with_its_place(messages: Any, named: str) -> None:
    for strict in (True, False):
        with pytest.raises(ValueError, match=named):
            from_anthropic(messages, strict=strict)


@pytest.mark.parametrize(
    ("messages", "named"),
    [
        ("hi", "messages must be a message or a list of them"),
        ([{"content": []}], r"messages\[0\].role is missing"),
        ([{"role": "user", "content": "hi"}], r"messages\[0\].content must be a list, not str"),
        ([{"role": "user", "content": [{"text": 7}]}], r"messages\[0\].content\[0\].text must be a text, not int"),
        (
            [{"role": "user", "content": [{"image": {"format": "png", "source": {}}}]}],
            r"messages\[0\].content\[0\].image.source must have bytes or a location",
        ),
    ],
)
def test_what_is_no_message_of_strands_is_an_error_with_its_place(messages: Any, named: str) -> None:
    for strict in (True, False):
        with pytest.raises(ValueError, match=named):
            to_anthropic(messages, strict=strict)
