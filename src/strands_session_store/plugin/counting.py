"""What messages add to a session's counters and to a run's usage: one more, and the tokens that they report. Pure."""

from __future__ import annotations

from .. import records
from ..messages import Message
from .jobs import Job

_USAGE = {
    "input_tokens": "inputTokens",
    "output_tokens": "outputTokens",
    "cache_read_input_tokens": "cacheReadInputTokens",
    "cache_write_input_tokens": "cacheWriteInputTokens",
}
_MOST_TOKENS = 10**12
"""Of one message: more is taken for nonsense, so that no counter ever comes near int64."""


def count(job: Job, message: Message) -> None:
    """Add a new message to the session's counters."""
    job.add("messages", 1)
    for counter, tokens in _tokens(message).items():
        job.add(counter, tokens)


def add_usage(usage: records.Usage, messages: list[Message]) -> records.Usage:
    """The usage plus that of the messages; what no message reports stays None."""
    total = usage.model_dump()
    for message in messages:
        for name, tokens in _tokens(message).items():
            total[name] = (total[name] or 0) + tokens
    return records.Usage(**total)


def _tokens(message: Message) -> dict[str, int]:
    """What a message reports. Metadata is anybody's: what is no number of tokens is no reason to refuse the message."""
    metadata = message.get("metadata")
    usage = metadata.get("usage") if isinstance(metadata, dict) else None
    reported = {name: usage.get(key) for name, key in _USAGE.items()} if isinstance(usage, dict) else {}
    return {name: int(n) for name, n in reported.items() if isinstance(n, int | float) and 0 <= n <= _MOST_TOKENS}
