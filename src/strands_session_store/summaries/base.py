"""What is to be summarized, and what a summary is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

from ..usage import Totals

Style = Literal["basic", "key_points", "topic_based", "query_focused"]
LEAST: Final = 32
"""Tokens. A limit below it leaves no room for a sentence."""


@dataclass(frozen=True)
class Summarize:
    """What is to be summarized, and how.

    Raises:
        ValueError: A style there is not, or a limit below `LEAST`.
    """

    messages: Sequence[Mapping[str, Any]]
    """In Strands' terms: whole turns, oldest first."""
    previous: str | None = None
    """The summary of all that was said before them, which the new one has to include; None: nothing was."""
    style: Style = "basic"
    query: str | None = None
    """What a summary of style ``query_focused`` is to tell most about; None: the latest text of a user's."""
    max_tokens: int = 1000
    """That the summary may take."""
    room: int | None = None
    """Tokens that a model may be given of the messages (`transcript`); None: all that it takes."""

    def __post_init__(self) -> None:
        if self.style not in get_args(Style):
            raise ValueError(f"style={self.style!r} is none of {', '.join(get_args(Style))}")
        for name, value in ("max_tokens", self.max_tokens), ("room", self.room):
            wrong = isinstance(value, bool) or not isinstance(value, int) or value < LEAST
            if wrong and not (name == "room" and value is None):
                raise ValueError(f"{name}={value!r} must be at least {LEAST} tokens")

    @property
    def asked(self) -> str:
        """The query, or what stands for it; empty where no user has said anything."""
        if self.query is not None:
            return self.query
        users = (message for message in reversed(self.messages) if message.get("role") == "user")
        return next((text for message in users if (text := "\n".join(texts(message)).strip())), "")


@dataclass(frozen=True)
class Summary:
    """A summary, and what it took."""

    text: str
    usage: Totals | None = None
    """Of the model calls it took, without their price (all are `unpriced`); None: nothing is known of any."""
    model: str | None = None
    """Id of the model; None: none was asked, or it has none."""
    provider: str | None = None
    """Who runs it, as `Prices.cost` has it."""


Summarizer: TypeAlias = Callable[[Summarize], "str | Summary | Awaitable[str | Summary]"]
"""Makes summaries. Called in the order of a conversation, each time with the summary it gave last."""


def blocks(message: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The content blocks of a message; what is none is passed over: histories hold what others have put there."""
    content = message.get("content")
    if isinstance(content, str):
        yield {"text": content}
    for block in content if isinstance(content, list | tuple) else ():
        if isinstance(block, Mapping):
            yield block


def texts(message: Mapping[str, Any]) -> Iterator[str]:
    """What is said in a message, without what its tools were given and gave."""
    for block in blocks(message):
        yield from said(block)


def said(block: Mapping[str, Any]) -> Iterator[str]:
    """The texts of a block; reasoning was said to nobody."""
    if isinstance(text := block.get("text"), str):
        yield text
    cited = block.get("citationsContent")
    for item in _list(cited.get("content")) if isinstance(cited, Mapping) else ():
        if isinstance(item, Mapping) and isinstance(text := item.get("text"), str):
            yield text
    guarded = block.get("guardContent")
    inner = guarded.get("text") if isinstance(guarded, Mapping) else None
    if isinstance(inner, Mapping) and isinstance(text := inner.get("text"), str):
        yield text


def shown(block: Mapping[str, Any]) -> Iterator[str]:
    """The names of what a block shows, as ``[document report, pdf]``."""
    for kind in ("image", "document", "video", "audio"):
        if isinstance(value := block.get(kind), Mapping):
            parts = [one_line(value.get(key)) for key in ("name", "format")]
            named = ", ".join(part for part in parts if part)
            yield f"[{kind} {named}]" if named else f"[{kind}]"


def one_line(name: object) -> str:
    """A name that a label may hold: blanks are one space each, and it is no longer than a tool's may be."""
    return " ".join(name.split())[:64] if isinstance(name, str) else ""


def results(block: Mapping[str, Any]) -> list[Any]:
    """The content of a tool result."""
    result = block.get("toolResult")
    return list(_list(result.get("content"))) if isinstance(result, Mapping) else []


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()
