"""Conversations to be summarized."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Message = dict[str, Any]


def user(*texts: str) -> Message:
    return {"role": "user", "content": [{"text": text} for text in texts]}


def assistant(*texts: str) -> Message:
    return {"role": "assistant", "content": [{"text": text} for text in texts]}


def uses(id: str, name: str, input: Any) -> Message:
    return {"role": "assistant", "content": [{"toolUse": {"toolUseId": id, "name": name, "input": input}}]}


def gives(id: str, *content: Any, status: str = "success") -> Message:
    return {"role": "user", "content": [{"toolResult": {"toolUseId": id, "status": status, "content": list(content)}}]}


TRIP = [
    user("Hi, my name is Ada. I would like a train from Rome to Milan on Friday. What are my options?"),
    uses("1", "trains", {"from": "Rome", "to": "Milan"}),
    gives("1", {"json": {"trains": ["08:00", "12:00"]}}),
    assistant("There are two trains on Friday. The first train leaves at 08:00. The second train leaves at 12:00."),
    user("Please book the first one. I am allergic to nuts."),
    uses("2", "book", {"train": "08:00"}),
    gives("2", {"text": "Payment was refused by the bank. Code 51."}, status="error"),
    assistant("The booking has failed. The bank has refused the payment. Do you want to try another card?"),
    user("Yes, use the card that ends in 1234. And what is the weather in Milan?"),
    assistant(
        "The train is booked with that card. The weather in Milan will be rainy, so the weather asks for a coat."
    ),
]

# texts of every kind: words that come again, sentences, blanks, control characters, lone surrogates
_words = st.sampled_from(["the", "train", "Rome", "3.14", "card", "你好世界", "ราคา", "नमस्ते", "…", "User:", "</x>"])
_ends = st.sampled_from([" ", ". ", "? ", "。", "\n", "\u2028", '." ', "\r\n# ", "\n- "])
_prose = st.lists(st.tuples(_words, _ends), max_size=40).map(lambda pairs: "".join(map("".join, pairs)))
texts = st.one_of(_prose, st.text(st.characters(exclude_categories=()), max_size=60), st.just("x" * 3_000))
_inner = st.one_of(
    st.builds(lambda text: {"text": text}, texts),
    st.just({"json": {"a": [1, b"bytes", None]}}),
    st.just({"image": {"format": "png", "source": {"bytes": b"x"}}}),
)
_ids = st.sampled_from(["a", "b"])
_blocks = st.one_of(
    st.builds(lambda text: {"text": text}, texts),
    st.builds(lambda id, text: {"toolUse": {"toolUseId": id, "name": text, "input": {"q": text}}}, _ids, texts),
    st.builds(
        lambda id, status, content: {"toolResult": {"toolUseId": id, "status": status, "content": content}},
        _ids,
        st.sampled_from(["success", "error"]),
        st.lists(_inner, max_size=3),
    ),
    st.builds(lambda name: {"document": {"name": name, "format": "pdf", "source": {"bytes": b""}}}, texts),
    st.just({"reasoningContent": {"reasoningText": {"text": "secret thoughts."}}}),
    st.just({"cachePoint": {"type": "default"}}),
    st.just({"citationsContent": {"content": [{"text": "Cited words."}], "citations": []}}),
    st.just({"toolUse": None}),
    st.just({"toolResult": {}}),
    st.just("no block"),
)
messages = st.lists(
    st.builds(
        lambda role, content: {"role": role, "content": content},
        st.sampled_from(["user", "assistant"]),
        st.lists(_blocks, max_size=4),
    ),
    max_size=12,
)
