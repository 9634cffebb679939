"""Gemini's dialect, against the types of Google's package and Strands' own formatter."""

from __future__ import annotations

import base64
import functools
import json
from contextlib import suppress
from typing import Any

import pytest
from google.genai import types
from hypothesis import given, settings
from hypothesis import strategies as st
from strands.models.gemini import GeminiModel
from tests.formats.broken import broken
from tests.formats.conversations import ALL, conversations
from tests.formats.holding import as_json, below, check, listed

from strands_session_store.formats.gemini import from_gemini, to_gemini
from strands_session_store.formats.media import TYPES

LIKELY = ALL - {"name", "custom", "location", "citationsContent", "guardContent", "redacted", "cachePoint", "partial"}
ALIKE = {"text", "image", "reasoning", "toolUse", "result.text", "result.json", "counted", "shuffled", "empty"}
"""What Strands' own formatter makes the same of."""


def well_formed(contents: Any) -> list[types.Content]:
    """As Google's client reads them, as dicts and as JSON."""
    read = [types.Content.model_validate(content) for content in contents]
    assert read == [types.Content.model_validate_json(json.dumps(content)) for content in contents]
    assert read == [types.Content.model_validate(content.model_dump()) for content in read]
    return read


def signed(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With signatures as Gemini's are, base64 of bytes; and on calls as well."""
    for message in messages:
        for block in message["content"]:
            text = block.get("reasoningContent", {}).get("reasoningText", {})
            if "signature" in text:
                text["signature"] = base64.b64encode(text["signature"].encode()).decode()
            if "toolUse" in block and len(block["toolUse"]["name"]) % 2:
                block["toolUse"]["reasoningSignature"] = base64.b64encode(block["toolUse"]["name"].encode()).decode()
    return messages


@settings(max_examples=60, deadline=None)
@given(st.one_of(conversations(ALL), conversations(LIKELY).map(signed)))
def test_any_conversation(messages: list[dict[str, Any]]) -> None:
    held = check(to_gemini, from_gemini, messages)
    read = well_formed(to_gemini(messages, strict=False).messages)
    assert from_gemini([content.model_dump() for content in read], strict=False).messages == held
    assert from_gemini([content.to_json_dict() for content in read], strict=False).messages == held


@functools.cache
def model() -> GeminiModel:
    return GeminiModel(client_args={"api_key": "none"}, model_id="any")


@settings(max_examples=60, deadline=None)
@given(conversations(ALIKE).map(signed))
def test_strands_own_formatter_says_the_same(messages: list[dict[str, Any]]) -> None:
    """But for what it or an older one leaves out or refuses: names of documents, errors, media of results, video."""
    for message in messages:
        for block in message["content"]:
            block.get("toolResult", {})["status"] = "success"
            block.get("image", {})["format"] = "png"  # types of others are guessed by what the machine has installed
    ours = to_gemini(messages).messages
    theirs = model()._format_request_content(messages)
    assert [types.Content.model_validate(content) for content in ours] == theirs
    assert from_gemini([content.model_dump() for content in theirs]).messages == from_gemini(ours).messages


CONVERSATION: list[dict[str, Any]] = [
    {
        "role": "user",
        "content": [
            {"text": "Look"},
            {"image": {"format": "png", "source": {"bytes": b"\xff\xfe\xfb"}}},
            {"image": {"format": "jpeg", "source": {"location": {"type": "url", "uri": "gs://bucket/a"}}}},
            {"document": {"format": "md", "name": "Report", "source": {"bytes": b"# d"}}},
            {"document": {"format": "md", "name": "", "source": {"bytes": b"# e"}}},
            {"video": {"format": "mpg", "source": {"location": {"type": "url", "uri": "https://a.org/v"}}}},
            {"audio": {"format": "mka", "source": {"bytes": b"a"}}},
        ],
    },
    {
        "role": "assistant",
        "content": [
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "//77"}}},
            {"reasoningContent": {"reasoningText": {"text": ""}}},
            {"text": ""},
            {"toolUse": {"toolUseId": "t1", "name": "sky", "input": {"at": None}, "reasoningSignature": "+/8="}},
            {"toolUse": {"toolUseId": "t2", "name": "sky", "input": {}}},
        ],
    },
    {
        "role": "user",
        "content": [
            {
                "toolResult": {
                    "toolUseId": "t2",
                    "status": "error",
                    "content": [
                        {"image": {"format": "png", "source": {"bytes": b"1"}}},
                        {"text": "grey"},
                        {"document": {"format": "pdf", "name": "part-0", "source": {"bytes": b"2"}}},
                        {"json": {"$ref": "part-0"}},
                        {"image": {"format": "gif", "source": {"bytes": b"3"}}},
                    ],
                }
            },
            {"toolResult": {"toolUseId": "t1", "status": "success", "content": []}},
        ],
    },
]


def test_what_it_can_hold_comes_back_equal() -> None:
    converted = to_gemini(CONVERSATION, system="Be brief.")
    read = well_formed(converted.messages)
    types.GenerateContentConfig(system_instruction=converted.system)
    assert [part.function_response.name for part in read[2].parts or [] if part.function_response] == ["sky", "sky"]
    for messages in (converted.messages, [one.model_dump() for one in read], [one.to_json_dict() for one in read]):
        restored = from_gemini(messages, system=as_json(converted.system))
        assert restored.messages == CONVERSATION
        assert restored.system == [{"text": "Be brief."}]
    media = {"role": "user", "content": CONVERSATION[0]["content"][:3]}
    [passed_on] = model()._format_request_content([media])
    assert len(passed_on.parts or ()) == 2  # it leaves out what is on the web
    assert from_gemini([], system=["Be brief.", {"text": "Be kind."}]).system == [
        {"text": "Be brief."},
        {"text": "Be kind."},
    ]


def test_an_answer_is_a_message() -> None:
    parts = [
        {"text": "hm", "thought": True},
        {"text": "Hi", "thought_signature": b"\xff\xfb"},
        {"text": "", "thought_signature": b"\xff"},
        {"function_call": {"name": "sky", "args": {"at": 1}}},
        {"function_call": {"name": "sky", "args": {}}},
    ]
    candidate = {"content": {"role": "model", "parts": parts}, "finish_reason": "STOP"}
    dumped = types.GenerateContentResponse.model_validate({"candidates": [candidate]}).model_dump()
    answers = [
        {"function_response": {"name": "sky", "response": {"output": "grey"}}},
        {"function_response": {"name": "sky", "response": {"error": {"code": 5}}}},
    ]
    restored = from_gemini([dumped["candidates"][0]["content"], {"role": "tool", "parts": answers}])
    first, second = "tooluse_sky_1", "tooluse_sky_2"
    assert restored.messages == [
        {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm"}}},
                {"text": "Hi"},
                {"reasoningContent": {"reasoningText": {"text": "", "signature": "//s="}}},
                {"reasoningContent": {"reasoningText": {"text": "", "signature": "/w=="}}},
                {"toolUse": {"toolUseId": first, "name": "sky", "input": {"at": 1}}},
                {"toolUse": {"toolUseId": second, "name": "sky", "input": {}}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": first, "status": "success", "content": [{"text": "grey"}]}},
                {"toolResult": {"toolUseId": second, "status": "error", "content": [{"json": {"code": 5}}]}},
            ],
        },
    ]
    assert model()._format_request_content(restored.messages)
    well_formed(to_gemini(restored.messages).messages)


@settings(max_examples=40, deadline=None)
@given(conversations(ALL, max_turns=1), st.data())
def test_what_is_malformed_is_a_value_error_or_listed(messages: list[dict[str, Any]], data: Any) -> None:
    with suppress(ValueError):
        well_formed(to_gemini(data.draw(broken(messages)), strict=False).messages)
    converted = data.draw(broken(to_gemini(messages, strict=False).messages))
    with suppress(ValueError):
        restored = from_gemini(converted, strict=False)
        well_formed(to_gemini(restored.messages, strict=False).messages)


@pytest.mark.parametrize(
    ("response", "content"),
    [
        (None, []),
        ({}, []),
        ({"output": []}, []),
        ({"output": ""}, [{"text": ""}]),
        ({"output": None}, [{"json": None}]),
        ({"celsius": 7}, [{"json": {"celsius": 7}}]),
        ({"output": 7, "more": 8}, [{"json": {"output": 7, "more": 8}}]),
        ({"output": [{"text": "a"}, {"json": 1}]}, [{"text": "a"}, {"json": 1}]),
        ({"output": [{"text": "a"}, "b"]}, [{"json": [{"text": "a"}, "b"]}]),
        ({"output": 7, "error": None}, [{"json": {"output": 7, "error": None}}]),
        ({"output": [{"inline_data": 7}]}, [{"json": [{"inline_data": 7}]}]),
        (
            {"output": [{"inline_data": {"data": "aQ==", "mime_type": "image/png"}}]},
            [{"image": {"format": "png", "source": {"bytes": b"i"}}}],
        ),
        ({"output": [{"$ref": "elsewhere"}]}, [{"json": [{"$ref": "elsewhere"}]}]),
    ],
)
def test_a_result_is_text_where_it_is_and_json_else(response: Any, content: Any) -> None:
    result = {"functionResponse": {"id": "t", "name": "sky", "response": response}}
    [message] = from_gemini({"role": "user", "parts": [result]}).messages
    assert message["content"] == [{"toolResult": {"toolUseId": "t", "status": "success", "content": content}}]


@pytest.mark.parametrize(
    ("block", "place"),
    [
        ({"cachePoint": {"type": "default"}}, "~cachePoint"),
        ({"guardContent": {"text": {"text": "g", "qualifiers": ["query"]}}}, "~guardContent"),
        ({"citationsContent": {"content": [{"text": "c"}], "citations": []}}, "~citationsContent.citations"),
        ({"reasoningContent": {"redactedContent": b"r"}}, "reasoningContent.redactedContent"),
        (
            {"reasoningContent": {"reasoningText": {"text": "a", "signature": "no base64"}}},
            "reasoningContent.reasoningText.signature",
        ),
        (  # it would come back as "/+8="
            {"reasoningContent": {"reasoningText": {"text": "a", "signature": "_-8="}}},
            "reasoningContent.reasoningText.signature",
        ),
        ({"image": {"format": "png", "source": {"location": {"type": "s3", "uri": "s3://b/k"}}}}, "image"),
        ({"document": {"format": "pdf", "name": "d", "source": {"bytes": b""}, "context": "c"}}, "document.context"),
        (
            {"document": {"format": "pdf", "source": {"bytes": b""}, "name": "d", "citations": {"enabled": True}}},
            "~document.citations",
        ),
        ({"toolUse": {"toolUseId": "t", "name": "n", "input": 7}}, "toolUse.input"),
        ({"toolResult": {"toolUseId": "t", "status": "success", "content": []}}, "~toolResult.toolUseId"),
    ],
)
def test_what_it_can_not_hold_is_refused_or_listed(block: dict[str, Any], place: str) -> None:
    assert listed(to_gemini, {"role": "user", "content": [block]}) == [below("messages[0].content[0].", place)]
    well_formed(to_gemini({"role": "user", "content": [block]}, strict=False).messages)


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ({"executableCode": {"code": "1", "language": "PYTHON"}}, "executableCode"),
        ({"inline_data": {"mime_type": "image/tiff", "data": b"i"}}, "inlineData"),
        ({"inlineData": {"mimeType": "image/png", "data": "aQ==", "displayName": "x"}}, "~inlineData.displayName"),
        ({"functionResponse": {"name": "sky", "response": {}}}, "functionResponse"),
        ({"text": "a", "videoMetadata": {"fps": 1.0}}, "videoMetadata"),
    ],
)
def test_what_strands_can_not_hold_is_refused_or_listed(part: dict[str, Any], place: str) -> None:
    types.Content.model_validate({"parts": [part]})
    assert listed(from_gemini, {"role": "user", "parts": [part]}) == [below("messages[0].parts[0].", place)]


def test_every_format_has_a_media_type_that_leads_back_to_it() -> None:
    content = [
        {kind: {"format": format, "source": {"bytes": b"x"}} | ({"name": "d"} if kind == "document" else {})}
        for kind, formats in TYPES.items()
        for format in formats
    ]
    messages = [{"role": "user", "content": content}]
    assert from_gemini(to_gemini(messages).messages).messages == messages


def test_contents_of_one_role_are_joined() -> None:
    contents = [{"parts": [{"text": "Hi"}]}, {"role": "user", "parts": [{"text": "there"}]}]
    assert from_gemini(contents).messages == [{"role": "user", "content": [{"text": "Hi"}, {"text": "there"}]}]


@pytest.mark.parametrize(
    ("contents", "named"),
    [
        (7, "messages must be a message or a list of them"),
        ([{"role": "robot", "parts": []}], r"messages\[0\].role must be 'user' or 'model'"),
        ([{"role": "user", "parts": "hi"}], r"messages\[0\].parts must be a list, not str"),
        ([{"role": "user", "parts": [{"text": 7}]}], r"messages\[0\].parts\[0\].text must be a text, not int"),
        (
            [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "?"}}]}],
            r"messages\[0\].parts\[0\].inlineData.data must be bytes or base64",
        ),
        (
            [{"parts": [{"thought_signature": "", "thoughtSignature": ""}]}],
            r"messages\[0\].parts\[0\] says a field in both",
        ),
        ([{"parts": [{"functionCall": {"args": {}}}]}], r"messages\[0\].parts\[0\].functionCall.name is missing"),
    ],
)
def test_what_is_no_content_is_an_error_with_its_place(contents: Any, named: str) -> None:
    for strict in (True, False):
        with pytest.raises(ValueError, match=named):
            from_gemini(contents, strict=strict)
