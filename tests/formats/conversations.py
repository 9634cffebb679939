"""Conversations as Strands holds them, for properties; and what is in them, by place.

Roles alternate, the user begins, each call of a tool is answered by the next message, and tool ids are unique. Each
text that is not empty, each name, id and each bytes value is there once, so that it can be looked for in what was made
of it.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Collection, Iterator
from typing import Any

from hypothesis import strategies as st

Message = dict[str, Any]

USER = ("text", "image", "document", "audio", "video", "cachePoint", "guardContent")
ASSISTANT = ("text", "reasoning", "redacted", "citationsContent", "toolUse", "cachePoint")
RESULT = ("result.text", "result.json", "result.image", "result.document", "result.error")
OTHER = (
    "location",  # media in S3 or at an address on the web rather than as bytes
    "empty",  # messages and results without content, and empty texts
    "shuffled",  # reasoning behind text, text behind calls and before results
    "partial",  # documents without a name, or with citations and context; a cache point with a ttl
    "name",  # metadata.custom["name"]
    "custom",  # any other of it
    "counted",  # tracking ids, usage and metrics
)
ALL = frozenset({*USER, *ASSISTANT, *RESULT, *OTHER})

_IMAGES = ("png", "jpeg", "gif", "webp")
_DOCUMENTS = ("pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md")
_TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(['{"a": 1}', "[1, 2]", "null", "a\n\nb", "data:image/png;base64,AAAA", "‮ʇ", "\x00", " ", "</a>"]),
)
_SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False))


# ------------------------------------------------------------------------------------------------------------- by hand


def user(*content: dict[str, Any], **custom: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content)} | ({"metadata": {"custom": custom}} if custom else {})


def assistant(*content: dict[str, Any], **custom: Any) -> dict[str, Any]:
    return user(*content, **custom) | {"role": "assistant"}


def call(key: str = "c1", **input: Any) -> dict[str, Any]:
    return {"toolUse": {"toolUseId": key, "name": "look", "input": input}}


def result(*content: dict[str, Any], key: str = "c1", status: str = "success") -> dict[str, Any]:
    return {"toolResult": {"toolUseId": key, "status": status, "content": list(content)}}


# --------------------------------------------------------------------------------------------------------------- drawn


class _Planter:
    """Draws values that no other of the conversation equals or contains."""

    def __init__(self, draw: Callable[[Any], Any], kinds: Collection[str]) -> None:
        self.draw, self.kinds, self._numbers = draw, kinds, itertools.count(1)

    def mark(self) -> str:
        return f"<{next(self._numbers)}>"

    def text(self) -> str:
        if "empty" in self.kinds and self.draw(st.integers(0, 9)) == 0:
            return ""
        return str(self.draw(_TEXTS)) + self.mark()

    def some(self, what: str, chances: int = 2) -> bool:
        return what in self.kinds and self.draw(st.integers(1, chances)) == 1

    def bytes(self) -> bytes:
        return bytes(self.draw(st.binary(max_size=8))) + self.mark().encode()

    def source(self, format: str) -> dict[str, Any]:
        if self.some("location", 4):
            ending = self.draw(st.sampled_from((f".{format}", "", ".png", "#.pdf")))
            return {"location": {"type": "url", "uri": f"https://example.com/{self.mark()}{ending}"}}
        if self.some("location"):
            location = {"type": "s3", "uri": f"s3://bucket/{self.mark()}"}
            if self.draw(st.booleans()):
                location["bucketOwner"] = f"owner{self.mark()}"
            return {"location": location}
        return {"bytes": self.bytes()}

    def json(self) -> Any:
        leaves = _SCALARS | st.builds(self.text)
        return self.draw(st.recursive(leaves, lambda v: st.lists(v, max_size=2) | self.objects(v), max_leaves=4))

    def object(self) -> dict[str, Any]:
        return dict(self.draw(self.objects(st.builds(self.json))))

    def objects(self, values: Any) -> Any:
        return st.dictionaries(st.text(max_size=3), values, max_size=2)

    def media(self, formats: tuple[str, ...]) -> dict[str, Any]:
        format = self.draw(st.sampled_from(formats))
        return {"format": format, "source": self.source(format)}

    def document(self) -> dict[str, Any]:
        document = self.media(_DOCUMENTS) | {
            "name": f"{self.draw(st.sampled_from(['a', 'a.pdf', 'ä b']))}{self.mark()}"
        }
        if self.some("partial"):
            del document["name"]
        if self.some("partial"):
            document |= {"citations": {"enabled": True}, "context": self.text()}
        return document


def _block(p: _Planter, kind: str) -> dict[str, Any]:
    if kind == "text":
        return {"text": p.text()}
    if kind == "image":
        return {"image": p.media(_IMAGES)}
    if kind == "document":
        return {"document": p.document()}
    if kind == "audio":
        return {"audio": p.media(("mp3", "wav", "flac") if "partial" in p.kinds else ("mp3", "wav"))}
    if kind == "video":
        return {"video": p.media(("mp4", "mov", "three_gp"))}
    if kind == "cachePoint":
        return {"cachePoint": {"type": "default"} | ({"ttl": "1h"} if p.some("partial") else {})}
    if kind == "guardContent":
        return {"guardContent": {"text": {"text": p.text(), "qualifiers": ["query"]}}}
    if kind == "redacted":
        openai = p.draw(st.booleans())
        return {"reasoningContent": {"redactedContent": f"rs_{p.mark()}:E".encode() if openai else p.bytes()}}
    if kind == "reasoning":
        said = {"text": p.text()}
        if signature := p.draw(st.sampled_from((None, f"rs_{p.mark()}:{p.text()}", p.text()))):  # OpenAI's, or others'
            said["signature"] = signature
        return {"reasoningContent": {"reasoningText": said}}
    assert kind == "citationsContent"
    places = (
        {"web": {"url": f"https://example.com/{p.mark()}", "domain": "example.com"}},
        {"web": {"url": f"https://example.com/{p.mark()}"}},
        {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}},
    )
    citations = [
        {"title": p.text(), "location": p.draw(st.sampled_from(places))}
        | ({"sourceContent": [{"text": p.text()}]} if p.draw(st.booleans()) else {})
        for _ in range(p.draw(st.integers(0, 2)))
    ]
    return {
        "citationsContent": {
            "content": [{"text": p.text()} for _ in range(p.draw(st.integers(1, 2)))],
            "citations": citations,
        }
    }


def _blocks(p: _Planter, kinds: tuple[str, ...]) -> list[dict[str, Any]]:
    offered = [kind for kind in kinds if kind in p.kinds and kind != "toolUse"]
    return [_block(p, p.draw(st.sampled_from(offered))) for _ in range(p.draw(st.integers(0, 3)) if offered else 0)]


def _result(p: _Planter, call: dict[str, Any]) -> dict[str, Any]:
    offered = [kind for kind in RESULT if kind in p.kinds and kind != "result.error"] or ["result.text"]
    content: list[dict[str, Any]] = []
    for _ in range(p.draw(st.integers(0 if "empty" in p.kinds else 1, 3))):
        kind = p.draw(st.sampled_from(offered)).removeprefix("result.")
        content.append({"json": p.json()} if kind == "json" else _block(p, kind))
    status = "error" if p.some("result.error", 3) else "success"
    return {"toolResult": {"toolUseId": call["toolUseId"], "status": status, "content": content}}


def _message(p: _Planter, role: str, content: list[dict[str, Any]]) -> Message:
    if "shuffled" in p.kinds:
        content = p.draw(st.permutations(content))
    if not content and "empty" not in p.kinds:
        content = [{"text": f"something{p.mark()}"}]
    message: Message = {"role": role, "content": content}
    metadata: dict[str, Any] = {}
    if p.some("name", 3):
        metadata["custom"] = {"name": f"name{p.mark()}"}
    if p.some("custom", 3):
        metadata["custom"] = metadata.get("custom", {}) | {"source": {"page": p.text()}}
    if p.some("counted"):
        message["tracking_id"] = f"id{p.mark()}"
        metadata |= {"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}, "metrics": {"latencyMs": 4}}
    if metadata:
        message["metadata"] = metadata
    return message


@st.composite
def conversations(draw: Any, kinds: Collection[str] = ALL, *, max_turns: int = 3) -> list[Message]:
    """Conversations of what ``kinds`` names, of ALL."""
    assert ALL.issuperset(kinds), set(kinds) - ALL
    p = _Planter(draw, kinds)
    messages: list[Message] = []
    calls: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(0, max_turns * 2))):
        if len(messages) % 2 == 0:
            messages.append(_message(p, "user", [_result(p, call) for call in calls] + _blocks(p, USER)))
            continue
        calls = [
            {"toolUseId": f"call{p.mark()}", "name": f"tool{p.mark()}", "input": p.object()}
            for _ in range(draw(st.integers(0, 2)) if "toolUse" in kinds else 0)
        ]
        messages.append(_message(p, "assistant", _blocks(p, ASSISTANT) + [{"toolUse": call} for call in calls]))
    if messages and messages[-1]["role"] == "assistant" and calls:
        messages.append(_message(p, "user", [_result(p, call) for call in calls]))
    return messages


def said(messages: list[Message]) -> list[Message]:
    """The conversation without what says something about it: tracking ids, usage and metrics."""
    out = []
    for message in messages:
        kept = {k: v for k, v in message.items() if k not in ("tracking_id", "metadata")}
        if custom := message.get("metadata", {}).get("custom"):
            kept["metadata"] = {"custom": custom}
        out.append(kept)
    return out


def at_hand(messages: list[Message]) -> list[Message]:
    """The conversation without media at addresses, which Strands' own formatters leave out."""

    def kept(content: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [block for block in content if "url" not in [_location(value).get("type") for value in block.values()]]

    out = copy.deepcopy(messages)
    for message in out:
        message["content"] = kept(message["content"])
        for block in message["content"]:
            if "toolResult" in block:
                block["toolResult"]["content"] = kept(block["toolResult"]["content"])
    return out


def _location(value: Any) -> dict[str, Any]:
    source = value.get("source") if isinstance(value, dict) else None
    return source.get("location", {}) if isinstance(source, dict) else {}


_ABOUT = frozenset({"role", "format", "type", "status", "qualifiers", "ttl", "domain", "tracking_id"})


def leaves(value: Any, place: str = "messages") -> Iterator[tuple[str, str | bytes]]:
    """Each text and bytes that a conversation says, with its place (``messages[0].content[1].text``)."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in _ABOUT:
                yield from leaves(inner, f"{place}.{key}")
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from leaves(inner, f"{place}[{i}]")
    elif isinstance(value, str | bytes) and value:
        yield place, value


def lost_without_a_word(messages: list[Message], found: Callable[[str | bytes], bool], lost: Any) -> list[str]:
    """Places of what is neither found in what was made of a conversation, nor said to be missing.

    The name of a file may be another."""
    places = tuple(loss.place for loss in lost if not loss.kept or loss.place.endswith(".document.name"))
    return [
        place
        for place, value in leaves(said(messages))
        if not found(value) and not any(place == p or place.startswith((f"{p}.", f"{p}[")) for p in places)
    ]
