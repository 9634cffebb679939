"""Bedrock's dialect, against botocore's model of the service and Strands' own formatter."""

from __future__ import annotations

import functools
from contextlib import suppress
from typing import Any

import botocore.session
import pytest
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st
from strands.models.bedrock import BedrockModel
from tests.formats.broken import broken
from tests.formats.conversations import ALL, conversations
from tests.formats.holding import below, check, listed

from strands_session_store.formats import bedrock
from strands_session_store.formats.bedrock import from_bedrock, to_bedrock

LIKELY = ALL - {"name", "custom", "empty", "partial"}


@functools.cache
def service() -> ServiceModel:
    return ServiceModel(
        botocore.session.get_session().get_component("data_loader").load_service_model("bedrock-runtime", "service-2")
    )


def well_formed(messages: Any, system: Any = None) -> None:
    request = {"modelId": "any", "messages": messages} | ({"system": system} if system else {})
    report = ParamValidator().validate(request, service().operation_model("Converse").input_shape)
    assert not report.has_errors(), report.generate_report()


@settings(max_examples=60, deadline=None)
@given(st.one_of(conversations(ALL), conversations(LIKELY)))
def test_any_conversation(messages: list[dict[str, Any]]) -> None:
    held = check(to_bedrock, from_bedrock, messages)
    well_formed(to_bedrock(messages, strict=False).messages)
    assert strands(held) == as_strands(to_bedrock(held).messages)


@functools.cache
def model() -> BedrockModel:
    return BedrockModel(model_id="any", region_name="us-east-1", include_tool_result_status=True)


def strands(messages: Any) -> Any:
    """What Strands' own formatter makes of it."""
    return model()._format_bedrock_messages(messages)


def as_strands(messages: Any) -> Any:
    """It leaves out messages that say nothing and empty signatures, and says for an empty result an empty text."""
    for message in messages:
        for block in message["content"]:
            if result := block.get("toolResult"):
                result["content"] = result["content"] or [{"text": ""}]
    return [message for message in messages if message["content"]]


def test_the_tables_say_what_the_model_of_the_service_says() -> None:
    """But for what the module's text names; a later version of the model may have more."""
    shape = service().operation_model("Converse").input_shape.members["messages"].member.members["content"].member
    ours = bedrock._BLOCK.fields
    assert ours.keys() == shape.members.keys() - {"searchResult", "toolAddition", "toolRemoval"}
    known: set[str] = set()

    def compare(table: Any, theirs: Any, place: str) -> None:
        if isinstance(table, bedrock._List):
            compare(table.of, theirs.member, place)
        elif isinstance(table, bedrock._Dict | bedrock._OneOf):
            beyond = theirs.members.keys() - table.fields.keys()
            known.update(f"{place}.{name}" for name in beyond)
            assert table.fields.keys() <= theirs.members.keys(), place
            assert set(getattr(table, "needs", ())) >= set(theirs.required_members), place
            for name, inner in table.fields.items():
                compare(inner, theirs.members[name], f"{place}.{name}")
        elif isinstance(table, bedrock._Leaf):
            assert {str: "string", bytes: "blob", int: "integer", bool: "boolean"}[table.kind] == theirs.type_name, (
                place
            )
            assert not table.most or set(table.most) == set(theirs.enum), place
            assert table.filled == bool(theirs.metadata.get("min")) or table.kind is int, place

    for kind, table in ours.items():
        compare(table, shape.members[kind], kind)
    assert known == {
        "image.error",
        "audio.error",
        "toolUse.type",
        "toolResult.type",
        "toolResult.content.image.error",
        "toolResult.content.searchResult",
        "guardContent.image",
    }


CONVERSATION: list[dict[str, Any]] = [
    {
        "role": "user",
        "content": [
            {"text": "Look"},
            {"image": {"format": "png", "source": {"bytes": b"i"}}},
            {"video": {"format": "mp4", "source": {"location": {"type": "s3", "uri": "s3://bucket/key"}}}},
            {"audio": {"format": "mka", "source": {"bytes": b"a"}}},
            {"document": {"name": "d", "source": {"bytes": b"d"}, "citations": {"enabled": True}, "context": "c"}},
            {"guardContent": {"text": {"text": "g", "qualifiers": ["query"]}}},
            {"cachePoint": {"type": "default", "ttl": "5m"}},
        ],
    },
    {
        "role": "assistant",
        "content": [
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
            {"reasoningContent": {"redactedContent": b""}},
            {
                "citationsContent": {
                    "content": [{"text": "It"}, {"text": "rained."}],
                    "citations": [
                        {"title": "t", "location": {"documentChunk": {"documentIndex": 0, "start": 1, "end": 2}}},
                        {"sourceContent": [{"text": "rain"}], "location": {"web": {"url": "https://a.org"}}},
                    ],
                }
            },
            {"toolUse": {"toolUseId": "t", "name": "sky", "input": None}},
        ],
    },
    {
        "role": "user",
        "content": [
            {
                "toolResult": {
                    "toolUseId": "t",
                    "status": "error",
                    "content": [{"json": None}, {"json": [1, {"a": 2.5}]}],
                }
            }
        ],
    },
]


def test_what_it_can_hold_comes_back_equal() -> None:
    system = [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}, {"guardContent": {"text": {"text": "g"}}}]
    converted = to_bedrock(CONVERSATION, system=system)
    well_formed(converted.messages, converted.system)
    assert converted.system == system
    restored = from_bedrock(converted.messages, system=converted.system)
    assert restored.messages == CONVERSATION
    assert restored.system == system
    assert to_bedrock([], system="Be brief.").system == [{"text": "Be brief."}]


@settings(max_examples=40, deadline=None)
@given(conversations(ALL, max_turns=1), st.data())
def test_what_is_malformed_is_a_value_error_or_listed(messages: list[dict[str, Any]], data: Any) -> None:
    with suppress(ValueError):
        well_formed(to_bedrock(data.draw(broken(messages)), strict=False).messages)
    converted = data.draw(broken(to_bedrock(messages, strict=False).messages))
    with suppress(ValueError):
        restored = from_bedrock(converted, strict=False)
        well_formed(to_bedrock(restored.messages, strict=False).messages)


@pytest.mark.parametrize(
    ("block", "place"),
    [
        ({"image": {"format": "png", "source": {"location": {"type": "url", "uri": "https://a.org/b.png"}}}}, "image"),
        ({"image": {"format": "png", "source": {"bytes": b""}}}, "image"),
        ({"image": {"format": "bmp", "source": {"bytes": b"i"}}}, "image"),
        ({"document": {"format": "pdf", "source": {"bytes": b"d"}}}, "document"),
        ({"toolUse": {"toolUseId": "t", "name": "n", "input": b"x"}}, "toolUse.input"),
        (
            {"toolUse": {"toolUseId": "t", "name": "n", "input": {}, "reasoningSignature": "c2ln"}},
            "toolUse.reasoningSignature",
        ),
        ({"cachePoint": {"type": "default", "ttl": "2h"}}, "~cachePoint.ttl"),
        ({"cachePoint": {"type": "other"}}, "~cachePoint"),
        ({"document": {"format": "odt", "name": "d", "source": {"bytes": b"d"}}}, "~document.format"),
        ({"reasoningContent": {}}, "reasoningContent"),
        ({"hologram": {}}, "hologram"),
    ],
)
def test_what_it_can_not_hold_is_refused_or_listed(block: dict[str, Any], place: str) -> None:
    assert below("messages[0].content[0].", place) in listed(to_bedrock, {"role": "user", "content": [block]})
    well_formed(to_bedrock({"role": "user", "content": [block]}, strict=False).messages)


def test_an_answer_is_a_message() -> None:
    response = {"output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}}, "stopReason": "end_turn"}
    assert from_bedrock([response["output"]["message"]]).messages == [
        {"role": "assistant", "content": [{"text": "Hi"}]}
    ]


def test_a_document_given_as_text_is_bytes() -> None:
    [message] = from_bedrock(
        {"role": "user", "content": [{"document": {"name": "n", "source": {"text": "ä"}}}]}
    ).messages
    assert message["content"] == [{"document": {"name": "n", "format": "txt", "source": {"bytes": "ä".encode()}}}]


@pytest.mark.parametrize(
    ("block", "place"),
    [
        ({"searchResult": {"source": "s", "title": "t", "content": []}}, "searchResult"),
        ({"toolUse": {"toolUseId": "t", "name": "n", "input": {}, "type": "server_tool_use"}}, "toolUse"),
        ({"toolResult": {"toolUseId": "t", "content": [], "type": "web"}}, "toolResult"),
        ({"document": {"name": "n", "source": {"content": [{"text": "a"}]}}}, "document"),
        ({"guardContent": {"image": {"format": "png", "source": {"bytes": b"i"}}}}, "guardContent.image"),
    ],
)
def test_what_strands_can_not_hold_is_refused_or_listed(block: dict[str, Any], place: str) -> None:
    assert f"messages[0].content[0].{place}" in listed(from_bedrock, {"role": "user", "content": [block]})


def test_messages_of_one_role_are_joined_and_a_system_message_leads() -> None:
    messages = [
        {"role": "system", "content": [{"text": "Be brief."}]},
        {"role": "user", "content": [{"text": "Hi"}]},
        {"role": "user", "content": [{"text": "there"}]},
        {"role": "system", "content": [{"text": "Be long."}]},
    ]
    restored = from_bedrock(messages, strict=False)
    assert restored.messages == [{"role": "user", "content": [{"text": "Hi"}, {"text": "there"}]}]
    assert restored.system == [{"text": "Be brief."}]
    assert [loss.place for loss in restored.lost] == ["messages[3].content"]


@pytest.mark.parametrize(
    ("messages", "named"),
    [
        (7, "messages must be a message or a list of them"),
        ([{"role": "robot", "content": []}], r"messages\[0\].role must be 'user'"),
        ([{"role": "user", "content": "hi"}], r"messages\[0\].content must be a list, not str"),
        ([{"role": "user", "content": ["hi"]}], r"messages\[0\].content\[0\] must be a dict, not str"),
        (
            [{"role": "user", "content": [{"document": {"name": "d", "citations": {"enabled": 1}}}]}],
            r"messages\[0\].content\[0\].document.citations.enabled must be true or false, not int",
        ),
        (
            [
                {
                    "role": "assistant",
                    "content": [{"citationsContent": {"citations": [{"location": {"documentChar": {"start": True}}}]}}],
                }
            ],
            r"citationsContent.citations\[0\].location.documentChar.start must be a whole number, not bool",
        ),
        ([{"role": "user", "content": [{"text": 7}]}], r"messages\[0\].content\[0\].text must be a text, not int"),
        (
            [{"role": "user", "content": [{"image": {"format": "png", "source": {"bytes": "aQ=="}}}]}],
            r"messages\[0\].content\[0\].image.source.bytes must be bytes, not str",
        ),
    ],
)
def test_what_is_no_message_is_an_error_with_its_place(messages: Any, named: str) -> None:
    for convert in (to_bedrock, from_bedrock):
        for strict in (True, False):
            with pytest.raises(ValueError, match=named):
                convert(messages, strict=strict)
