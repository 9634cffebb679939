"""OpenAI's Responses: what goes there is what OpenAI publishes, and comes back as it was."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseInputItemParam
from strands.models.openai_responses import OpenAIResponsesModel
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
from tests.formats.holding import check, listed
from tests.formats.openai_written import CALL, at, cited, message, output_text, reasoning
from tests.formats.planted import anywhere, texts
from tests.formats.published import problems

from strands_session_store.formats.openai_responses import from_openai_responses, to_openai_responses

HELD = ALL - {
    *("reasoning", "redacted", "audio", "video", "guardContent", "citationsContent", "cachePoint", "partial"),
    *("location", "custom", "name", "result.json", "result.error"),
}
PROMPTS = [None, "Be brief.", [{"text": "a"}, {"text": "b"}], [{"text": "a"}, {"cachePoint": {"type": "default"}}]]


def response(*output: dict[str, Any]) -> list[dict[str, Any]]:
    """What the client dumps of the output of a response."""
    return [
        item.model_dump()
        for item in Response.model_validate(
            {
                "id": "resp_1",
                "created_at": 0,
                "model": "m",
                "object": "response",
                "output": output,
                "parallel_tool_calls": True,
                "tool_choice": "auto",
                "tools": [],
            }
        ).output
    ]


# ---------------------------------------------------------------------------------------------------------- properties


@settings(max_examples=40, deadline=None)
@given(conversations(HELD), st.sampled_from(PROMPTS))
def test_what_it_can_hold_comes_back_as_it_was(messages: list[dict[str, Any]], system: Any) -> None:
    converted = to_openai_responses(messages, system=system)
    restored = from_openai_responses(converted.messages, system=converted.system)
    assert restored.messages == said(messages)
    assert restored.system == ([{"text": system}] if isinstance(system, str) else system or [])


@settings(max_examples=60, deadline=None)
@given(st.one_of(conversations(), conversations(HELD)))
def test_any_conversation(messages: list[dict[str, Any]]) -> None:
    check(to_openai_responses, from_openai_responses, messages)
    converted = to_openai_responses(messages, strict=False)
    assert problems(converted.messages, list[ResponseInputItemParam]) == []
    found, planted = texts(converted.messages), Counter(value for _, value in leaves(said(messages)))
    assert [value for value in planted if found[value] > planted[value]] == []  # nothing is doubled


@settings(max_examples=40, deadline=None)
@given(conversations(HELD - {"empty", "shuffled", "document", "result.document"}, max_turns=2))
def test_strands_own_formatter_says_the_same(messages: list[dict[str, Any]]) -> None:
    """But for texts of an answer or a result, which it joins by line breaks; what the user says behind results, which
    it puts in front; the `detail` of an image, which the published type requires; and media types that a machine's
    table does not have."""
    theirs = OpenAIResponsesModel._format_request_messages(messages)
    assert _alike(to_openai_responses(messages).messages) == _alike(theirs)


def _alike(items: list[dict[str, Any]]) -> list[Any]:
    out: list[Any] = []
    for item in items:
        content = item.get("content", item.get("output", ""))
        parts = [{"text": content}] if isinstance(content, str) else content
        said = [part.get("text", part.get("image_url", "").partition(",")[2]) for part in parts]
        kind = item.get("role", item.get("call_id"))
        if kind == "assistant" and out and out[-1][0] == "assistant":
            out[-1][1] += "\n" + "\n".join(said)
        else:
            out.append([kind, "\n".join(said), item.get("name"), item.get("arguments")])
    runs: list[Any] = []
    for entry in out:  # of one side in a row: in any order
        side = entry[0] == "assistant" or entry[2] is not None
        if not runs or runs[-1][0] != side:
            runs.append((side, []))
        runs[-1][1].append(entry)
    return [(side, sorted(run, key=str)) for side, run in runs]


@settings(max_examples=30, deadline=None)
@given(conversations(ALL - {"guardContent", "video", "audio", "empty"}))
def test_strands_own_formatter_takes_what_comes_back(messages: list[dict[str, Any]]) -> None:
    restored = at_hand(from_openai_responses(to_openai_responses(messages, strict=False).messages).messages)
    theirs = OpenAIResponsesModel._format_request_messages(restored)
    held = [
        {"content": [block for block in m["content"] if not block.keys() & {"reasoningContent", "citationsContent"}]}
        for m in restored
    ]
    assert lost_without_a_word(held, anywhere(theirs), ()) == []


@settings(max_examples=40, deadline=None)
@given(conversations(max_turns=1), st.data())
def test_what_is_malformed_is_a_value_error_or_listed(messages: list[dict[str, Any]], data: Any) -> None:
    converted = to_openai_responses(messages, strict=False).messages
    with suppress(ValueError):
        from_openai_responses(data.draw(broken(converted)), strict=False)
    with suppress(ValueError):
        to_openai_responses(data.draw(broken(messages)), strict=False)


# ------------------------------------------------------------------------------------------------------------- by hand


def test_a_conversation_with_a_tool() -> None:
    messages = [
        user({"text": "Where is Ada?"}),
        assistant({"text": "I look."}, call("c1", name="Ada"), {"text": "And again."}, call("c2")),
        user({"text": "Well?"}, result({"text": "Lisbon"}), result({"text": "a"}, {"text": "b"}, key="c2")),
        assistant({"text": "In Lisbon."}, {"text": "Indeed."}),
    ]
    converted = to_openai_responses(messages, system="Be brief.")
    assert converted.system == "Be brief."
    assert converted.messages == [
        {"role": "user", "content": [{"type": "input_text", "text": "Where is Ada?"}]},
        {"role": "assistant", "content": "I look."},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"name": "Ada"}'},
        {"role": "assistant", "content": "And again."},
        {"type": "function_call", "call_id": "c2", "name": "look", "arguments": "{}"},
        {"role": "user", "content": [{"type": "input_text", "text": "Well?"}]},
        {"type": "function_call_output", "call_id": "c1", "output": "Lisbon"},
        {
            "type": "function_call_output",
            "call_id": "c2",
            "output": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}],
        },
        {"role": "assistant", "content": "In Lisbon."},
        {"role": "assistant", "content": "Indeed."},
    ]
    assert from_openai_responses(converted.messages).messages == messages


def test_reasoning_goes_back_under_its_id() -> None:
    dumped = response(
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "first"}, {"type": "summary_text", "text": "then"}],
            "encrypted_content": "gAAA:=",
        },
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gBBB"},
        {"type": "reasoning", "id": "rs_3", "summary": [], "content": [{"type": "reasoning_text", "text": "open"}]},
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "c1",
            "name": "look",
            "arguments": "{}",
            "status": "completed",
        },
    )
    restored = from_openai_responses(dumped)
    assert restored.messages == [
        assistant(
            reasoning("first", "rs_1:gAAA:="),
            reasoning("then", "rs_1:"),
            {"reasoningContent": {"redactedContent": b"rs_2:gBBB"}},
            reasoning("open", "rs_3:"),
            call(),
        )
    ]
    items = to_openai_responses(restored.messages).messages
    assert all(problems(item, ResponseInputItemParam) == [] for item in items)
    assert items[0] == {key: dumped[0][key] for key in ("type", "id", "summary", "encrypted_content")}
    assert items[1] == {key: dumped[1][key] for key in ("type", "id", "summary", "encrypted_content")}
    assert items[2] == {"type": "reasoning", "id": "rs_3", "summary": [{"type": "summary_text", "text": "open"}]}
    assert from_openai_responses(items).messages == restored.messages


@pytest.mark.parametrize(
    "blocks",
    [
        [reasoning("a", "rs_1:"), reasoning("b", "rs_1:E")],
        [reasoning("a", "rs_1:"), reasoning("b", "rs_2:")],
        [reasoning("a", "rs_1:E"), {"text": "x"}, reasoning("b", "rs_1:")],
        [{"reasoningContent": {"redactedContent": b"rs_1:E"}}, reasoning("b", "rs_1:")],
        [reasoning("a", "rs_1:E"), {"reasoningContent": {"redactedContent": b"rs_1:"}}],
    ],
)
def test_reasoning_comes_back_as_it_was(blocks: list[dict[str, Any]]) -> None:
    assert from_openai_responses(to_openai_responses(assistant(*blocks)).messages).messages == [assistant(*blocks)]


def test_what_the_client_dumps_of_a_response() -> None:
    url = {"type": "url_citation", "title": "Ada", "url": "https://a.example"}
    dumped = response(
        message(
            output_text(
                "Ada lives in Lisbon (a), they say (b).",
                url | {"start_index": 34, "end_index": 37, "title": "", "url": "https://b.example"},
                url | {"start_index": 20, "end_index": 23},
                url | {"start_index": 20, "end_index": 23, "title": "Also", "url": "https://c.example"},
            )
        ),
        message({"type": "output_text", "text": "Plain.", "annotations": [], "logprobs": []}),
    )
    restored = from_openai_responses(dumped)
    b = {
        "citationsContent": {
            "content": [{"text": "(b)"}],
            "citations": [{"location": {"web": {"url": "https://b.example"}}}],
        }
    }
    assert restored.messages == [
        assistant(
            {"text": "Ada lives in Lisbon "},
            cited("(a)", ("Ada", "https://a.example"), ("Also", "https://c.example")),
            {"text": ", they say "},
            b,
            {"text": "."},
            {"text": "Plain."},
        )
    ]
    items = to_openai_responses(restored.messages).messages
    assert all(problems(item, ResponseInputItemParam) == [] for item in items)
    assert from_openai_responses(items).messages == restored.messages


def test_refusals_are_kept_in_the_metadata() -> None:
    dumped = response(message({"type": "refusal", "refusal": "No."}))
    restored = from_openai_responses(dumped)
    assert restored.messages == [assistant({"text": "No."}, refusal=True)]
    items = to_openai_responses(restored.messages).messages
    assert items[0]["content"] == [{"type": "refusal", "refusal": "No."}]
    assert problems(items[0], ResponseInputItemParam) == []
    assert from_openai_responses(items).messages == restored.messages
    mixed = from_openai_responses([*dumped, *response(message(output_text("Or so.")))], strict=False)
    assert mixed.messages == [assistant({"text": "No."}, {"text": "Or so."})]
    assert [str(loss) for loss in mixed.lost if loss.kept] == [
        "messages[0].content[0]: that it is a refusal: its message has other text as well"
    ]


def test_media_and_cache_points() -> None:
    image = {"image": {"format": "webp", "source": {"bytes": b"RIFF"}}}
    document = {"document": {"format": "docx", "name": "report", "source": {"bytes": b"PK"}}}
    sheet = {"document": {"format": "csv", "name": "document", "source": at("https://a.org/b.csv?c=d")}}
    photo = {"image": {"format": "jpeg", "source": at("https://a.org/b.jpg")}}
    messages = [
        user({"text": "See"}, {"cachePoint": {"type": "default"}}, image, document, sheet, photo),
        assistant(call()),
        user(result(image, {"text": ""}, document), {"text": "So?"}),
    ]
    converted = to_openai_responses(messages)
    assert all(problems(item, ResponseInputItemParam) == [] for item in converted.messages)
    assert converted.messages[0]["content"][2]["filename"] == "report.docx"
    # with a filename beside the address OpenAI answers "mutually exclusive parameters"
    assert converted.messages[0]["content"][3] == {"type": "input_file", "file_url": "https://a.org/b.csv?c=d"}
    named = {"document": sheet["document"] | {"name": "sales"}}
    assert listed(to_openai_responses, user(named)) == ["~messages[0].content[0].document.name"]
    assert from_openai_responses(converted.messages).messages == messages


def test_a_system_prompt_holds_text_only() -> None:
    converted = to_openai_responses([], system=[{"text": "a"}, {"image": {}}], strict=False)
    assert converted.system == "a" and [loss.place for loss in converted.lost] == ["system[1].image"]


def test_items_of_a_request_as_others_write_them() -> None:
    restored = from_openai_responses(
        [
            {"type": "message", "role": "developer", "content": "a"},
            {"role": "system", "content": [{"type": "input_text", "text": "b"}]},
            {"type": "message", "role": "user", "content": "c", "status": "completed"},
            {"role": "user", "content": [{"type": "input_text", "text": "d"}]},
            {"role": "user", "content": [{"type": "input_image", "image_url": "data:image/jpg;base64,/9g="}]},
            {"role": "assistant", "content": [{"type": "output_text", "text": "e"}]},
            CALL | {"id": "fc_1", "caller": {"type": "direct"}},
            {"type": "function_call_output", "call_id": "c1", "output": "", "name": "look", "id": None},
        ],
        system="before",
    )
    assert restored.system == [{"text": text} for text in ("before", "a", "b")]
    assert restored.messages == [
        user({"text": "c"}, {"text": "d"}, {"image": {"format": "jpeg", "source": {"bytes": b"\xff\xd8"}}}),
        assistant({"text": "e"}, call()),
        user(result()),
    ]
