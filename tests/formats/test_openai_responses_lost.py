"""What OpenAI's Responses can not hold, what Strands can not, and what is neither's."""

from __future__ import annotations

from typing import Any

import pytest
from tests.formats.conversations import assistant, call, result, user
from tests.formats.holding import listed
from tests.formats.openai_written import CALL, at, cited, message, output_text, reasoning

from strands_session_store.errors import FormatError
from strands_session_store.formats.openai_responses import from_openai_responses, to_openai_responses

BOTH = {"title": "t", "location": {"web": {"url": "u"}, "documentPage": {"documentIndex": 0}}}
WEB = {"title": "t", "location": {"web": {"url": "u"}}}
LOST_THERE: list[tuple[dict[str, Any], list[str]]] = [
    (assistant(reasoning("hm", "ErcBCkgI")), ["messages[0].content[0].reasoningContent.reasoningText"]),
    (
        assistant({"reasoningContent": {"reasoningText": {"text": "hm"}}}),
        ["messages[0].content[0].reasoningContent.reasoningText"],
    ),
    (
        assistant({"reasoningContent": {"redactedContent": b"rs_1:\xff"}}),
        ["messages[0].content[0].reasoningContent"],
    ),
    (user(result({"json": {"a": 1}})), ["~messages[0].content[0].toolResult.content[0].json"]),
    (user(result({"json": {1: 2}})), ["messages[0].content[0].toolResult.content[0].json"]),
    (user(result({"text": "x"}, status="error")), ["~messages[0].content[0].toolResult.status"]),
    (user({"text": "x"}, name="ada"), ["messages[0].metadata.custom.name"]),
    (assistant(call(), refusal=True), ["~messages[0].metadata.custom.refusal"]),
    (assistant({"text": "x"}, {"cachePoint": {"type": "default"}}), ["~messages[0].content[1].cachePoint"]),
    (user({"audio": {"format": "mp3", "source": {"bytes": b""}}}), ["messages[0].content[0].audio"]),
    (
        assistant({"citationsContent": {"content": [{"text": "a"}, {"text": "b"}], "citations": []}}),
        ["~messages[0].content[0].citationsContent.content", "~messages[0].content[0].citationsContent.citations"],
    ),
    (
        assistant({"citationsContent": {"content": [{"text": "a"}], "citations": [BOTH]}}),
        ["messages[0].content[0].citationsContent.citations[0].location.documentPage"],
    ),
    (
        assistant({"citationsContent": {"content": [{"text": "a"}, {"image": {}}], "citations": [WEB]}}),
        [
            "messages[0].content[0].citationsContent.content[1].image",
            "~messages[0].content[0].citationsContent.content",
        ],
    ),
    (
        assistant(
            {
                "citationsContent": {
                    "content": [{"text": "a"}],
                    "citations": [
                        {"title": "t", "location": {"documentPage": {"documentIndex": 0}}},
                        {"title": "t", "location": {"web": {"url": "u", "domain": "d"}}, "sourceContent": []},
                    ],
                }
            }
        ),
        [
            "messages[0].content[0].citationsContent.citations[0]",
            "messages[0].content[0].citationsContent.citations[1].sourceContent",
            "messages[0].content[0].citationsContent.citations[1].location.web.domain",
        ],
    ),
]


@pytest.mark.parametrize(("message", "places"), LOST_THERE)
def test_what_it_can_not_hold_is_refused_or_listed(message: dict[str, Any], places: list[str]) -> None:
    assert listed(to_openai_responses, message) == places
    converted = to_openai_responses(message, strict=False)
    assert from_openai_responses(converted.messages).messages[0]["role"] == message["role"]


LOST_HERE: list[tuple[list[dict[str, Any]], list[str], list[dict[str, Any]]]] = [
    ([CALL | {"arguments": "[1]"}], ["messages[0].arguments"], [assistant(call())]),
    ([CALL | {"namespace": "crm"}], ["messages[0].namespace"], [assistant(call())]),
    ([CALL | {"caller": {"type": "program", "caller_id": "p"}}], ["messages[0].caller"], [assistant(call())]),
    ([{"type": "web_search_call", "id": "ws_1", "status": "completed"}], ["messages[0]"], []),
    ([{"type": "item_reference", "id": "msg_1"}], ["messages[0]"], []),
    (
        [{"role": "assistant", "content": "a", "phase": "commentary"}],
        ["messages[0].phase"],
        [assistant({"text": "a"})],
    ),
    (
        [{"role": "user", "content": "a"}, {"role": "developer", "content": "b"}],
        ["messages[1]"],
        [user({"text": "a"})],
    ),
    (
        [
            {
                "type": "reasoning",
                "id": "x:1",
                "summary": [{"type": "summary_text", "text": "a"}],
                "encrypted_content": "E",
            }
        ],
        ["messages[0].id", "messages[0].encrypted_content"],
        [assistant({"reasoningContent": {"reasoningText": {"text": "a"}}})],
    ),
    (
        [
            {
                "role": "user",
                "content": [
                    {"type": "input_image", "detail": "auto", "file_id": "f"},
                    {"type": "input_image", "detail": "low", "image_url": "https://example.com/a.png"},
                    {"type": "input_file", "file_url": "https://example.com/a.pdf"},
                    {"type": "input_file", "file_data": "data:application/pdf,AAAA", "filename": "a.pdf"},
                    {"type": "input_file", "file_data": "AAAA", "file_url": "https://a.org/b", "filename": "a.pdf"},
                    {"type": "input_audio", "input_audio": {}},
                    {"type": "input_text", "text": "x", "prompt_cache_breakpoint": {"mode": "implicit"}},
                ],
            }
        ],
        [
            "messages[0].content[0].file_id",
            "~messages[0].content[1].detail",
            "messages[0].content[3]",
            "messages[0].content[4].file_url",
            "messages[0].content[5]",
            "~messages[0].content[6].prompt_cache_breakpoint",
        ],
        [
            user(
                {"image": {"format": "png", "source": at("https://example.com/a.png")}},
                {"document": {"format": "pdf", "name": "document", "source": at("https://example.com/a.pdf")}},
                {"document": {"format": "pdf", "name": "a", "source": {"bytes": bytes(3)}}},
                {"text": "x"},
            )
        ],
    ),
    (
        [
            message(
                output_text(
                    "abc",
                    {"type": "file_citation", "file_id": "f", "filename": "n", "index": 1},
                    {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 9},
                    {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 2},
                    {"type": "url_citation", "url": "v", "title": "t", "start_index": 1, "end_index": 3},
                )
            )
        ],
        [f"messages[0].content[0].annotations[{i}]" for i in (0, 1, 3)],
        [assistant(cited("ab", ("t", "u")), {"text": "c"})],
    ),
]


@pytest.mark.parametrize(("items", "places", "kept"), LOST_HERE)
def test_what_strands_can_not_hold_is_refused_or_listed(
    items: list[dict[str, Any]], places: list[str], kept: list[dict[str, Any]]
) -> None:
    assert listed(from_openai_responses, items) == places
    assert from_openai_responses(items, strict=False).messages == kept


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ([{"content": "x"}], r"messages\[0\]\.type must be a text, not NoneType"),
        ([{"role": "robot", "content": "x"}], r"messages\[0\]\.role must be .*, not 'robot'"),
        ([{"role": "user"}], r"messages\[0\]\.content must be a list, not NoneType"),
        ([{"role": "user", "content": [{"type": "input_text"}]}], r"messages\[0\]\.content\[0\]\.text must be a text"),
        ([{"type": "function_call", "name": "n"}], r"messages\[0\]\.call_id must be a text, not NoneType"),
        ([{"type": "function_call_output", "call_id": "c"}], r"messages\[0\]\.output must be a list, not NoneType"),
        ([{"type": "reasoning", "summary": []}], r"messages\[0\]\.id must be a text, not NoneType"),
        ([{"type": "reasoning", "id": "rs_1", "summary": "x"}], r"messages\[0\]\.summary must be a list, not str"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_what_is_none_of_the_dialect_is_an_error_that_says_where(items: Any, told: str, strict: bool) -> None:
    with pytest.raises(FormatError, match=told):
        from_openai_responses(items, strict=strict)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({"role": "robot", "content": []}, r"messages\[0\]\.role must be 'user' or 'assistant', not 'robot'"),
        (assistant({"text": None}), r"messages\[0\]\.content\[0\]\.text must be a text, not NoneType"),
        (assistant({"reasoningContent": {}}), r"reasoningContent\.reasoningText must be a dict, not NoneType"),
        (assistant({"reasoningContent": {"redactedContent": 5}}), r"redactedContent must be bytes, not int"),
        (assistant({"citationsContent": {"content": "x"}}), r"citationsContent\.content must be a list, not str"),
        (user({"toolResult": {"toolUseId": "c"}}), r"toolResult\.content must be a list, not NoneType"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_what_is_no_content_of_strands_is_an_error_that_says_where(message: Any, told: str, strict: bool) -> None:
    with pytest.raises(FormatError, match=told):
        to_openai_responses(message, strict=strict)
