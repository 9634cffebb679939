"""An answer as a vendor's client gives it: the message in it, its model, and what it took. Pure.

    openai_chat        ChatCompletion, or its choice's message     gemini   GenerateContentResponse, or its content
    openai_responses   Response, or its output                     bedrock  what `converse` returns, or its message
    anthropic          Message                                     zep      a message

Rule 1. An object of a client is asked for a dict (``model_dump``), wherever it stands; a dict is taken as it is.
Rule 2. What stands around a message is not judged: what is wrong with another shape the dialect says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Answer:
    """What a vendor answered."""

    messages: Any
    """As the dialect's ``from_`` takes it."""
    model: str | None = None
    """Its id; None: the answer does not say."""
    usage: dict[str, int] | None = None
    """In Strands' terms; None: the answer does not say."""


def answer_in(given: object, format: str) -> Answer:
    """What stands in an answer.

    Raises:
        ValueError: It has several alternatives to choose from, or none.
    """
    found = plain(given)
    if not isinstance(found, Mapping) or format not in _MESSAGES:
        return Answer(found)
    messages = _MESSAGES[format](found)
    model = next((said for key in _MODEL if isinstance(said := found.get(key), str) and said), None)
    usage = next((said for key in _USAGE if isinstance(said := found.get(key), Mapping)), None)
    return Answer(messages, model, None if usage is None else _usage(usage, format))


def plain(given: object) -> Any:
    """As dicts and lists, what has the means to be."""
    if isinstance(given, list | tuple):
        return [plain(one) for one in given]
    dump = getattr(given, "model_dump", None)
    return dump() if callable(dump) else given


def _alternative(found: Mapping[str, Any], key: str, inner: str) -> Any:
    if key not in found:
        return found
    there = found[key] if isinstance(found[key], list) else []
    if len(there) != 1 or not isinstance(there[0], Mapping) or there[0].get(inner) is None:
        raise ValueError(f"the answer has {len(there)} {key} with a {inner}; give the {inner} of the one that counts")
    return there[0][inner]


def _converse(found: Mapping[str, Any]) -> Any:
    output = found.get("output")
    return output.get("message") if isinstance(output, Mapping) else found


_MODEL: Final = ("model", "model_version", "modelVersion")
_USAGE: Final = ("usage", "usage_metadata", "usageMetadata")
_MESSAGES: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    "openai_chat": lambda found: _alternative(found, "choices", "message"),
    "openai_responses": lambda found: found.get("output", found),
    "anthropic": lambda found: found,
    "gemini": lambda found: _alternative(found, "candidates", "content"),
    "bedrock": _converse,
}


def _usage(said: Mapping[str, Any], format: str) -> dict[str, int]:
    def number(*path: str) -> int:
        value: Any = said
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0

    read = write = 0
    match format:
        case "openai_chat":
            given, told = number("prompt_tokens"), number("completion_tokens")
            read, write = (
                number("prompt_tokens_details", "cached_tokens"),
                number("prompt_tokens_details", "cache_write_tokens"),
            )
        case "openai_responses":
            given, told = number("input_tokens"), number("output_tokens")
            read, write = (
                number("input_tokens_details", "cached_tokens"),
                number("input_tokens_details", "cache_write_tokens"),
            )
        case "anthropic":  # those of the cache stand beside the others, as with Bedrock
            given, told = number("input_tokens"), number("output_tokens")
            read, write = number("cache_read_input_tokens"), number("cache_creation_input_tokens")
        case "gemini":
            given = number("prompt_token_count") or number("promptTokenCount")
            told = number("candidates_token_count") or number("candidatesTokenCount")
            told += number("thoughts_token_count") or number("thoughtsTokenCount")
            read = number("cached_content_token_count") or number("cachedContentTokenCount")
        case _:
            given, told = number("inputTokens"), number("outputTokens")
            read, write = number("cacheReadInputTokens"), number("cacheWriteInputTokens")
    beside = format in ("anthropic", "bedrock")
    usage = {"inputTokens": given, "outputTokens": told, "totalTokens": given + told + (read + write) * beside}
    cached = {"cacheReadInputTokens": read, "cacheWriteInputTokens": write}
    return usage | {name: tokens for name, tokens in cached.items() if tokens}
