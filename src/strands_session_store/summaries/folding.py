"""A conversation of any length is summarized part by part, each with the summary so far.

Rule 1. A part is whole turns, as many as there is room for. A turn that takes more than that is a part of its own,
        which is given shortened: so every part goes on, and it ends.
Rule 2. What a summarizer gives is a summary only if it is a text that is not empty; it is cut where it is too long.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from .. import tokens
from ..errors import SummaryError
from ..messages import Message
from ..turns import whole_turns
from ..usage import Totals
from .asking import transcript
from .base import Summarize, Summarizer, Summary
from .sentences import clipped

REQUEST: Final = "Summarize our conversation so far."
"""What the user of an `opening` asks."""


def fold(to: Summarize, summarize: Summarizer, room: int) -> Summary:
    """The summary of messages that may take more than a model can be given at once.

    Args:
        to: What is to be summarized.
        summarize: Makes the summary of a part. One that has to be awaited is for `fold_async`.
        room: Tokens of the messages that are given at once, as `transcript` has them. Beside them a model is given the
            summary so far and what it is asked, and it has to have room for its answer.

    Returns:
        The summary, of at most ``to.max_tokens``, and what all parts took.

    Raises:
        SummaryError: The summarizer gave no text, or has to be awaited.
        ValueError: There is nothing to be summarized, or too little room.
    """

    parts = _parts(to, room)
    step = _step(parts)
    while isinstance(step, Summarize):
        step = _step(parts, unawaited(summarize(step)), step)
    return step


def unawaited(found: object) -> object:
    """What a summarizer gave, where nothing can be awaited.

    Raises:
        SummaryError: It has to be awaited.
    """
    if inspect.isawaitable(found):
        if inspect.iscoroutine(found):
            found.close()
        raise SummaryError("the summarizer has to be awaited, and there is no loop here")
    return found


async def fold_async(to: Summarize, summarize: Summarizer, room: int) -> Summary:
    """As `fold`, where the summarizer may have to be awaited. One that has not runs on the loop; what takes time beside
    it, as large conversations are counted, in a thread."""
    parts = _parts(to, room)
    step = await asyncio.to_thread(_step, parts)
    while isinstance(step, Summarize):
        found = summarize(step)
        given = await found if inspect.isawaitable(found) else found
        step = await asyncio.to_thread(_step, parts, given, step)
    return step


def checked(found: object, to: Summarize) -> Summary:
    """What a summarizer gave, as a summary that takes no more than it may.

    Raises:
        SummaryError: It is none.
    """
    summary = Summary(found) if isinstance(found, str) else found
    if not isinstance(summary, Summary) or not isinstance(summary.text, str):
        raise SummaryError(f"a summarizer has to give a text or a Summary, and gave {type(found).__name__}")
    if not (text := summary.text.strip()):
        raise SummaryError("the summarizer gave an empty text")
    return replace(summary, text=clipped(text, to.max_tokens))


def opening(summary: str) -> list[Message]:
    """The two messages that a conversation goes on from: the user asks for the summary, the assistant gives it. So
    roles alternate, and a user's message comes next. Without tracking ids."""
    return [
        {"role": "user", "content": [{"text": REQUEST}]},
        {"role": "assistant", "content": [{"text": summary}]},
    ]


def _step(
    parts: Generator[Summarize, Summary | None, Summary], found: object = None, of: Summarize | None = None
) -> Summarize | Summary:
    """The next part; after the last the summary of all. ``found``: what was given for the part before, ``of``."""
    try:
        return parts.send(None if of is None else checked(found, of))
    except StopIteration as end:
        return cast(Summary, end.value)


def _parts(to: Summarize, room: int) -> Generator[Summarize, Summary | None, Summary]:
    """What is to be summarized, part by part; is sent the summary of each, and returns the last."""
    if not to.messages:
        raise ValueError("messages is empty: there is nothing to be summarized")
    to = replace(to, query=to.asked, room=room)  # the query of the whole, not the latest text of each part
    summary: Summary | None = None
    usage: Totals | None = None
    for messages in _cut(to.messages, room):
        previous = to.previous if summary is None else summary.text
        summary = yield replace(to, messages=messages, previous=previous)
        assert summary is not None
        if summary.usage is not None:
            usage = summary.usage if usage is None else usage + summary.usage
    assert summary is not None
    return replace(summary, usage=usage)


def _cut(messages: Sequence[Mapping[str, Any]], room: int) -> Iterator[list[Mapping[str, Any]]]:
    """Whole turns, as many at once as there is room for, and at least one."""
    part: list[Mapping[str, Any]] = []
    taken = 0
    for turn in whole_turns(messages):
        takes = tokens.count(transcript(turn))[0] + 1  # the line's end between two
        if part and taken + takes > room:
            yield part
            part, taken = [], 0
        part += turn
        taken += takes
    yield part
