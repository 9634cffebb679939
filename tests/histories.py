"""Histories as nobody wants them, and what is said of a prompt whatever it was made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from strands_session_store import tokens

Message = dict[str, Any]


def user(*content: Any, **more: Any) -> Message:
    return {"role": "user", "content": [text(one) if isinstance(one, str) else one for one in content], **more}


def assistant(*content: Any, **more: Any) -> Message:
    return {**user(*content, **more), "role": "assistant"}


def text(said: str) -> dict[str, Any]:
    return {"text": said}


def use(id: str, **given: Any) -> dict[str, Any]:
    return {"toolUse": {"toolUseId": id, "name": "look", "input": given}}


def result(id: str, said: str = "seen", status: str = "success") -> dict[str, Any]:
    return {"toolResult": {"toolUseId": id, "status": status, "content": [text(said)]}}


IMAGE = {"image": {"format": "png", "source": {"bytes": b"\x89PNG"}}}
POINT = {"cachePoint": {"type": "default"}}
REASONING = {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}}

_texts = st.sampled_from(["", " \n", "hi", "hi", "what then?", "word " * 40, "long " * 2000])
_ids = st.sampled_from("abc")
_blocks = st.one_of(
    _texts.map(text),
    _ids.map(use),
    st.builds(result, _ids, _texts, st.sampled_from(["success", "error"])),
    st.sampled_from([IMAGE, POINT, REASONING, {}]),
)
_ids_of_messages = st.one_of(st.just({}), st.sampled_from("xyz").map(lambda id: {"tracking_id": id}))
_any_message = st.builds(
    lambda role, content, more: {"role": role, "content": content, **more},
    st.sampled_from(["user", "assistant"]),
    st.lists(_blocks, max_size=4),
    _ids_of_messages,
)


@st.composite
def _turn(draw: st.DrawFn) -> list[Message]:
    out = [user(draw(_texts).strip() or "hi", *draw(st.sampled_from([(), (IMAGE,)])))]
    for _ in range(draw(st.integers(0, 3))):
        ids = draw(st.lists(_ids, min_size=1, max_size=3))
        out.append(assistant(*draw(st.sampled_from([(), ("well",), (REASONING,)])), *map(use, ids)))
        out.append(user(*(result(id, "seen", draw(st.sampled_from(["success", "error"]))) for id in ids)))
    out.append(assistant(draw(_texts).strip() or "there", metadata={"usage": {"inputTokens": 1}}))
    return out


def _flat(turns: list[list[Message]]) -> list[Message]:
    return [message for turn in turns for message in turn]


def _with_ids(messages: list[Message]) -> list[Message]:
    return [{**message, "tracking_id": f"id-{i}"} for i, message in enumerate(messages)]


whole = st.lists(_turn(), max_size=6).map(_flat).map(_with_ids)
"""As Strands makes them."""


def _says(message: Message) -> bool:
    return any(block.get("text", "x").strip() for block in message["content"])


@st.composite
def _damaged(draw: st.DrawFn) -> list[Message]:
    """Cut, with messages missing, doubled and put in."""
    out = []
    for message in draw(st.lists(_turn(), max_size=6).map(_flat)):
        out += draw(st.sampled_from([[message]] * 6 + [[], [message, message]]))
        out += draw(st.one_of(*[st.just([])] * 6, st.lists(_any_message, max_size=1)))
    return out[draw(st.integers(0, 3)) :]


messy = st.one_of(_damaged(), st.lists(_any_message, max_size=14))


def taken(messages: list[Message], model: str | None = None) -> int:
    return sum(tokens.count(message, model)[0] for message in messages)


def assert_valid(prompt: list[Message]) -> None:
    """A conversation that every provider takes."""
    assert [m["role"] for m in prompt] == [("user", "assistant")[i % 2] for i in range(len(prompt))]
    for i, message in enumerate(prompt):
        assert _says(message), "nothing is said"
        behind = prompt[i + 1]["content"] if i + 1 < len(prompt) else []
        before = prompt[i - 1]["content"] if i else []
        uses, results = _ids_in(message, "toolUse"), _ids_in(message, "toolResult")
        assert sorted(uses) == sorted(_ids_in({"content": behind}, "toolResult"))
        assert sorted(results) == sorted(_ids_in({"content": before}, "toolUse"))
        assert not (uses if message["role"] == "user" else results)
        said = ["toolResult" in block for block in message["content"] if "cachePoint" not in block]
        assert said == sorted(said, reverse=True), "results come first"


def _ids_in(message: Message, kind: str) -> list[str]:
    return [block[kind]["toolUseId"] for block in message["content"] if kind in block]


def containers(value: Any) -> Iterator[int]:
    if isinstance(value, dict | list):
        yield id(value)
        for inner in value.values() if isinstance(value, dict) else value:
            yield from containers(inner)
