"""What OpenAI's Chat Completions can not hold, what Strands can not, and what is neither's."""

from __future__ import annotations

from typing import Any

import pytest
from tests.formats.conversations import assistant, call, result, user
from tests.formats.holding import listed
from tests.formats.openai_written import at, chat_call

from strands_session_store.errors import FormatError
from strands_session_store.formats.openai_chat import from_openai_chat, to_openai_chat

LOST_THERE: list[tuple[Any, list[str]]] = [
    ([assistant({"reasoningContent": {"reasoningText": {"text": "hm"}}})], ["messages[0].content[0].reasoningContent"]),
    ([user({"text": "first"}, result({"text": "x"}))], ["~messages[0].content[0].text"]),
    ([assistant(call(), {"text": "behind"})], ["~messages[0].content[1].text"]),
    ([assistant(call(), {"cachePoint": {"type": "default"}})], ["~messages[0].content[1].cachePoint"]),
    ([user(result({"json": {"a": 1}}))], ["~messages[0].content[0].toolResult.content[0].json"]),
    ([user(result({"text": "x"}, status="error"))], ["~messages[0].content[0].toolResult.status"]),
    ([user(result(), name="ada")], ["messages[0].metadata.custom.name"]),
    ([user({"text": "x"}, refusal=True)], ["~messages[0].metadata.custom.refusal"]),
    ([user({"guardContent": {"text": {"text": "g"}}})], ["~messages[0].content[0].guardContent"]),
    (
        [user({"image": {"format": "gif", "source": at("https://a.org/b.png")}})],
        ["~messages[0].content[0].image.format"],
    ),
    ([user({"text": "x"}, page=3)], ["messages[0].metadata.custom.page"]),
    ([user({"text": "x"}) | {"metadata": {"stop": "x"}}], ["messages[0].metadata.stop"]),
    ([assistant({"text": "a"}, {"text": "b"}, refusal=True)], ["~messages[0].metadata.custom.refusal"]),
    ([assistant({"text": "a"}, refusal="yes")], ["messages[0].metadata.custom.refusal"]),
    ([user({"image": {"format": "png", "source": {"location": {"type": "s3"}}}})], ["messages[0].content[0].image"]),
    (
        [user({"image": {"format": "png", "source": at("data:image/png;base64,AAAA")}})],
        ["messages[0].content[0].image"],
    ),
    (
        [user({"document": {"format": "md", "name": "n", "source": {"bytes": b""}, "citations": {"enabled": True}}})],
        ["~messages[0].content[0].document.citations"],
    ),
    ([user({"image": {"format": "bmp", "source": {"bytes": b""}}})], ["messages[0].content[0].image"]),
    ([user({"document": {"format": "md", "source": {"bytes": b""}}})], ["~messages[0].content[0].document.name"]),
    ([user({"text": "a", "image": {}})], ["messages[0].content[0]"]),
    ([user({"hologram": {}})], ["messages[0].content[0].hologram"]),
    ([user({"cachePoint": {"type": "default"}})], ["~messages[0].content[0].cachePoint"]),
    (
        [user({"text": "a"}, {"cachePoint": {"type": "default", "ttl": "1h"}})],
        ["~messages[0].content[1].cachePoint.ttl"],
    ),
    (
        [user({"text": "a"}, {"cachePoint": {"type": "default"}}, {"cachePoint": {"type": "default"}})],
        ["~messages[0].content[2].cachePoint"],
    ),
    ([user({"text": "a"}, {"cachePoint": {"type": "x"}})], ["~messages[0].content[1].cachePoint"]),
    ([assistant({"toolUse": call()["toolUse"] | {"input": [1]}})], ["messages[0].content[0].toolUse.input"]),
    ([assistant({"toolUse": call()["toolUse"] | {"input": {"a": b""}}})], ["messages[0].content[0].toolUse.input"]),
    ([assistant(call(a=float("inf")))], ["messages[0].content[0].toolUse.input"]),
    ([assistant({"toolUse": call()["toolUse"] | {"input": {1: 2}}})], ["messages[0].content[0].toolUse.input"]),
    ([assistant({"toolUse": call()["toolUse"] | {"input": {"a": (1,)}}})], ["messages[0].content[0].toolUse.input"]),
    (
        [assistant({"toolUse": call()["toolUse"] | {"reasoningSignature": "s"}})],
        ["messages[0].content[0].toolUse.reasoningSignature"],
    ),
]


@pytest.mark.parametrize(("messages", "places"), LOST_THERE)
def test_what_it_can_not_hold_is_refused_or_listed(messages: Any, places: list[str]) -> None:
    assert listed(to_openai_chat, messages) == places
    converted = to_openai_chat(messages, strict=False)
    assert from_openai_chat(converted.messages).messages[0]["role"] == messages[0]["role"]


LOST_HERE: list[tuple[list[dict[str, Any]], list[str], list[dict[str, Any]]]] = [
    (
        [{"role": "assistant", "content": None, "tool_calls": [chat_call(arguments)]}],
        ["messages[0].tool_calls[0].function.arguments"],
        [assistant(call())],
    )
    for arguments in ("[1]", "{", '"a"', '{"a": 1, "a": 2}', '{"a": NaN}', "[" * 100_000)
] + [
    (
        [
            {
                "role": "assistant",
                "content": "x",
                "tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "n", "input": "i"}}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "orphan"},
        ],
        ["messages[0].tool_calls[0]", "messages[1]"],
        [assistant({"text": "x"})],
    ),
    (
        [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}],
        ["messages[1]"],
        [user({"text": "a"})],
    ),
    (
        [{"role": "user", "content": "a", "name": "ada"}, {"role": "user", "content": "b", "name": "bob"}],
        ["messages[1].name"],
        [user({"text": "a"}, {"text": "b"}, name="ada")],
    ),
    (
        [{"role": "user", "content": "a"}, {"role": "user", "content": "b", "name": "bob"}],
        ["messages[1].name"],
        [user({"text": "a"}, {"text": "b"})],
    ),
    (
        [{"role": "assistant", "content": "a", "refusal": "b"}],
        ["~messages[0].refusal"],
        [assistant({"text": "a"}, {"text": "b"})],
    ),
    (
        [{"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}],
        ["messages[0].function_call"],
        [assistant()],
    ),
    ([{"role": "function", "name": "f", "content": "x"}], ["messages[0]"], []),
    ([{"role": "assistant", "content": "a", "audio": {"id": "x"}}], ["messages[0].audio"], [assistant({"text": "a"})]),
    (
        [{"role": "assistant", "content": "a", "reasoning_content": "hm"}],
        ["messages[0].reasoning_content"],
        [assistant({"text": "a"})],
    ),
    (
        [
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": "https://example.com/a"}},
                    {"type": "image_url", "image_url": {"url": "data:image/bmp;base64,AAAA"}},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,A"}},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "high"}},
                    {"type": "file", "file": {"file_id": "f"}},
                    {"type": "file", "file": {"file_data": "data:application/zip;base64,AAAA", "filename": "a.zip"}},
                    {"type": "input_audio", "input_audio": {"data": "?", "format": "wav"}},
                    {"type": "hologram", "hologram": {}},
                ],
            }
        ],
        [
            "~messages[0].content[0].image_url.url",
            "messages[0].content[1].image_url.url",
            "messages[0].content[2].image_url.url",
            "~messages[0].content[3].image_url.detail",
            "messages[0].content[4].file.file_id",
            "messages[0].content[5].file",
            "messages[0].content[6].input_audio",
            "messages[0].content[7]",
        ],
        [
            user(
                {"image": {"format": "png", "source": at("https://example.com/a")}},
                {"image": {"format": "png", "source": {"bytes": b"\0\0\0"}}},
            )
        ],
    ),
    (
        [
            {
                "role": "tool",
                "tool_call_id": "c1",
                "content": [{"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}}],
            }
        ],
        ["~messages[0].content[0].prompt_cache_breakpoint"],
        [user(result({"text": "x"}))],
    ),
]


@pytest.mark.parametrize(("messages", "places", "kept"), LOST_HERE)
def test_what_strands_can_not_hold_is_refused_or_listed(
    messages: list[dict[str, Any]], places: list[str], kept: list[dict[str, Any]]
) -> None:
    assert listed(from_openai_chat, messages) == places
    assert from_openai_chat(messages, strict=False).messages == kept


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ([{"role": "robot", "content": []}], r"messages\[0\]\.role must be 'user' or 'assistant', not 'robot'"),
        ([{"content": []}], r"messages\[0\]\.role"),
        ([user(), {"role": "user"}], r"messages\[1\]\.content must be a list, not NoneType"),
        ([{"role": "user", "content": "x"}], r"messages\[0\]\.content must be a list, not str"),
        ([user({"text": 5})], r"messages\[0\]\.content\[0\]\.text must be a text, not int"),
        ([{"role": "user", "content": ["x"]}], r"messages\[0\]\.content\[0\] must be a dict, not str"),
        ([user({"image": {"format": "png"}})], r"content\[0\]\.image\.source is missing"),
        ([user({"image": {"format": "png", "source": {}}})], r"image\.source must have bytes or a location"),
        ([assistant({"toolUse": {"name": "n", "input": {}}})], r"toolUse\.toolUseId is missing"),
        ([user({"text": "x"}, name=5)], r"messages\[0\]\.metadata\.custom\.name must be a text, not int"),
        (["x"], r"messages\[0\] must be a dict"),
        ("x", "messages must be a message or a list of them"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_what_is_no_content_of_strands_is_an_error_that_says_where(messages: Any, told: str, strict: bool) -> None:
    with pytest.raises(ValueError, match=told):
        to_openai_chat(messages, strict=strict)


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ([{"role": "robot", "content": ""}], r"messages\[0\]\.role must be one of .*not 'robot'"),
        ([{"role": "user"}], r"messages\[0\]\.content must be a list, not NoneType"),
        ([{"role": "user", "content": [{"text": "x"}]}], r"messages\[0\]\.content\[0\]\.type must be a text"),
        ([{"role": "user", "content": [{"type": "text"}]}], r"messages\[0\]\.content\[0\]\.text must be a text"),
        ([{"role": "tool", "content": "x"}], r"messages\[0\]\.tool_call_id must be a text, not NoneType"),
        ([{"role": "assistant", "tool_calls": [{"type": "function"}]}], r"messages\[0\]\.tool_calls\[0\]\.id"),
        ([{"role": "assistant", "tool_calls": "x"}], r"messages\[0\]\.tool_calls must be a list, not str"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_what_is_none_of_the_dialect_is_an_error_that_says_where(messages: Any, told: str, strict: bool) -> None:
    with pytest.raises(FormatError, match=told):
        from_openai_chat(messages, strict=strict)
