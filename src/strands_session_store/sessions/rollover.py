"""A segment is ended by who has no live agent: by hand, or where it is due.

Law: what is stored is looked at, a summary is made of it, and it ends if it is still so. In between nothing is held.

Rule. A summary that fails is an event, whoever is told of it besides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .. import codec, layout, records, tokens
from ..errors import ConflictError
from ..messages import Message
from ..prices import Prices
from ..segments import MAX_TOKENS, SegmentAfter, Size
from ..stores.base import KEEP, Append, Ttl
from ..summaries import Summarize, Summary, extractive, fold
from .access import Access
from .ending import end
from .live_segment import LiveSegment, read_live
from .segmenting import ending, failed, in_vain, to_summarize


@dataclass(frozen=True, slots=True)
class Rollover:
    """A segment that ends once its summary is made."""

    live: LiveSegment
    after: SegmentAfter
    cut: int
    """Index of the first message that stays."""
    asked: Summarize

    @property
    def room(self) -> int:
        """See `summaries.fold`."""
        return self.after.max_tokens or MAX_TOKENS


@dataclass(frozen=True, slots=True)
class Measured:
    """A live segment, looked at."""

    size: Size
    upto: int
    """Index of the next message."""
    rollover: Rollover | None
    """None: it does not end."""


def measured(
    access: Access[records.Session],
    agent_id: str,
    after: SegmentAfter,
    model: str | None,
    *,
    if_due: bool,
    coming: int | None = None,
) -> Measured | None:
    """Look at the live segment; None: there is no such agent. Costs as `read_live`.

    Args:
        access: Of the conversation's session.
        agent_id: Whose.
        after: When it is due, and how it is summarized.
        model: Whose tokens are counted.
        if_due: False: it ends, if something was said in it and its last turn is over.
        coming: See `SegmentAfter.due`.
    """
    live = read_live(access, agent_id)
    if live is None:
        return None
    size = live.size(counting(model))
    if not live.whole or (if_due and not after.due(size, coming)):
        return Measured(size, live.length, None)
    cut, asked = to_summarize(live, after, size)
    return Measured(size, live.length, Rollover(live, after, cut, asked))


def summarized(rollover: Rollover, agent_id: str) -> Summary:
    """Its summary, by a summarizer that needs no loop.

    Raises:
        Exception: What the summarizer raises; an event tells of it.
    """
    try:
        return fold(rollover.asked, summarizer_of(rollover.after.summarize), rollover.room)
    except Exception as error:
        tell_failed(rollover.live.access, agent_id, error)
        raise


def finished(rollover: Rollover, made: Summary, prices: Prices, ttl: Ttl = KEEP) -> records.Session:
    """End it; see `ending.end`."""
    ends = ending(rollover.live, rollover.cut, rollover.after, made, prices, ttl=ttl)
    try:
        return end(rollover.live, ends)
    except ConflictError:
        in_vain(rollover.live, ends)
        raise


def tell_failed(access: Access[records.Session], agent_id: str, error: BaseException) -> None:
    """Record that no summary could be made."""
    event = Append(layout.EVENTS, [codec.dump(failed(agent_id, error))])
    access.change(lambda look: [event])


def summarizer_of(what: Any) -> Callable[[Summarize], Any]:
    """What `SegmentAfter.summarize` means where there is no agent of whose model it could be, nor a loop.

    Raises:
        ValueError: It is no summarizer, or has to be awaited.
    """
    if what is None or what == "extractive":
        return extractive
    from ..summarizers import summarizer  # it loads Strands

    return summarizer(what)


def counting(model: str | None) -> Callable[[Message], int]:
    """Tokens of a message."""
    return lambda message: tokens.count(message, model)[0]
