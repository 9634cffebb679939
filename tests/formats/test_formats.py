"""What all dialects promise alike, of the same conversations; and the table of the documentation."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from tests.formats.conversations import assistant, call, conversations, lost_without_a_word, result, said, user
from tests.formats.holding import check, listed
from tests.formats.planted import anywhere

from strands_session_store import formats
from strands_session_store.errors import FormatError
from strands_session_store.formats import FORMATS
from strands_session_store.formats.conversion import Losses

TOOLS = [name for name in FORMATS if name != "zep"]
USUAL = {"text", "image", "toolUse", "result.text", "result.json", "result.error", "counted"}
MARKED = {"cachePoint", "guardContent", "shuffled"}


def test_each_is_known_by_its_name() -> None:
    for name, (to, restore) in FORMATS.items():
        assert to is getattr(formats, f"to_{name}") and restore is getattr(formats, f"from_{name}")
        assert {f"to_{name}", f"from_{name}"} <= set(formats.__all__)
    found = {path.stem for path in Path(formats.__file__).parent.glob("*.py")}
    assert FORMATS.keys() <= found
    with pytest.raises(TypeError):
        FORMATS["x"] = FORMATS["zep"]  # type: ignore[index]


def test_only_what_is_missing_is_refused() -> None:
    losses = Losses("X", strict=True)
    losses.add("a", "kept", kept=True)
    assert [(loss.place, loss.kept) for loss in losses.done()] == [("a", True)]
    losses.add("b", "gone")
    with pytest.raises(FormatError, match=r"^X can not hold b: gone\. With strict=False") as error:
        losses.done()
    assert [loss.place for loss in error.value.lost] == ["b"]


@settings(max_examples=60, deadline=None)
@given(conversations(USUAL | MARKED))
def test_a_usual_conversation_is_never_refused(messages: list[dict[str, Any]]) -> None:
    """Texts, images, tools with JSON and failures, in any order: strict, in every dialect that has tools."""
    before = copy.deepcopy(messages)
    for name in TOOLS:
        converted = FORMATS[name].to(messages, system=[{"text": "Be brief."}, {"cachePoint": {"type": "default"}}])
        assert all(loss.kept for loss in converted.lost)
        assert lost_without_a_word(messages, anywhere(converted.messages), ()) == [], name
        restored = FORMATS[name].restore(converted.messages, system=converted.system)
        assert converted.lost or restored.messages == said(messages)
        assert {"text": "Be brief."} in restored.system
    assert messages == before


@pytest.mark.soak
@settings(max_examples=3_000, deadline=None)
@given(conversations(max_turns=4))
def test_any_conversation_at_length(messages: list[dict[str, Any]]) -> None:
    for to, restore in FORMATS.values():
        check(to, restore, messages)


@pytest.mark.parametrize("name", FORMATS)
def test_an_empty_system_prompt_is_none(name: str) -> None:
    to, restore = FORMATS[name]
    assert to([], system="") == to([]) == to([], system=[])
    assert restore([], system="").system == restore([]).system == []


# --------------------------------------------------------------------------------------------------- the documentation

AT = {"location": {"type": "url", "uri": "https://example.com/a.png"}}
PDF_AT = {"location": {"type": "url", "uri": "https://example.com/a.pdf"}}
S3 = {"location": {"type": "s3", "uri": "s3://bucket/key"}}


def image(source: dict[str, Any]) -> dict[str, Any]:
    return {"image": {"format": "png", "source": source}}


def document(format: str, source: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"document": {"format": format, "name": "report", "source": source or {"bytes": b"words"}}}


def answered(*content: dict[str, Any], status: str = "success") -> list[dict[str, Any]]:
    return [user({"text": "Hi"}), assistant(call()), user(result(*content, status=status))]


def cited(location: dict[str, Any]) -> list[dict[str, Any]]:
    source = [] if "web" in location else [{"text": "It rained."}]
    citation = {"title": "t", "location": location} | ({"sourceContent": source} if source else {})
    return [assistant({"citationsContent": {"content": [{"text": "Rain."}], "citations": [citation]}})]


def reasoning(signature: str | None) -> list[dict[str, Any]]:
    said = {"text": "hm"} | ({"signature": signature} if signature else {})
    return [assistant({"reasoningContent": {"reasoningText": said}})]


ITS_OWN = {"openai_responses": "rs_1:gAAA"}
"""Signatures as each vendor's are; of the others base64."""
CACHED = {"cachePoint": {"type": "default"}}
ROWS: dict[str, Any] = {
    "text": [user({"text": "Hi"})],
    "image, bytes": [user(image({"bytes": b"i"}))],
    "image at an address": [user(image(AT))],
    "document, PDF": [user(document("pdf"))],
    "document, text (`md`, `csv`, `html`)": [user(document("md"))],
    "document, Office": [user(document("docx"))],
    "document at an address": [user(document("pdf", PDF_AT))],
    "audio": [user({"audio": {"format": "mp3", "source": {"bytes": b"a"}}})],
    "video": [user({"video": {"format": "mp4", "source": {"bytes": b"v"}}})],
    "media in S3": [user(image(S3))],
    "tool call, result of text": answered({"text": "fine"}),
    "result: JSON": answered({"json": {"a": 1}}),
    "result: image": answered(image({"bytes": b"i"})),
    "result: document, PDF": answered(document("pdf")),
    "result: it failed": answered({"text": "no"}, status="error"),
    "user's text in front of a result": [*answered()[:2], user({"text": "Well?"}, result({"text": "x"}))],
    "assistant's text behind a call": [user({"text": "Hi"}), assistant(call(), {"text": "so"}), user(result())],
    "reasoning, with the vendor's signature": lambda name: reasoning(ITS_OWN.get(name, "c2ln")),
    "reasoning, unsigned": reasoning(None),
    "reasoning, redacted": lambda name: [
        assistant({"reasoningContent": {"redactedContent": ITS_OWN.get(name, "x").encode()}})
    ],
    "citation of the web": cited({"web": {"url": "https://example.com"}}),
    "citation of a document": cited({"documentPage": {"documentIndex": 0, "start": 1, "end": 2}}),
    "guarded text": [user({"guardContent": {"text": {"text": "g"}}})],
    "cache point of a user's": [user({"text": "Hi"}, CACHED)],
    "cache point of an assistant's": [user({"text": "Hi"}), assistant({"text": "Ho"}, CACHED)],
    'name (`custom["name"]`)': [user({"text": "Hi"}, name="Ada")],
    'refusal (`custom["refusal"]`)': [assistant({"text": "No."}, refusal=True)],
    "other metadata": [user({"text": "Hi"}, page=7)],
}


def table() -> str:
    head = f"| | {' | '.join(f'`{name}`' for name in FORMATS)} |\n|---|{'---|' * len(FORMATS)}\n"
    return head + "".join(
        f"| {kind} | {' | '.join(how(name, row(name) if callable(row) else row) for name in FORMATS)} |\n"
        for kind, row in ROWS.items()
    )


def how(name: str, messages: list[dict[str, Any]]) -> str:
    to, restore = FORMATS[name]
    places = listed(to, messages)
    if not places:
        assert restore(to(messages).messages).messages == messages
        return "held"
    return "otherwise" if all(place.startswith("~") for place in places) else "missing"


def test_the_table_of_the_documentation_is_what_happens() -> None:
    told = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
    found = re.search(r"^\| \|.*?\n\n", told, re.M | re.S)
    assert found and found[0].strip() == table().strip(), table()
