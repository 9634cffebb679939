"""A segment of a conversation is ended: looked at, summarized, finished. By hand, where it is due, or by a live agent.

Law: what is stored is looked at, a summary is made of it, and it ends if it is still so. In between nothing is held.

Rule. A summary that fails is an event, whoever is told of it besides.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from .. import codec, layout, records, tokens
from ..errors import ConflictError, StoreError
from ..messages import Message
from ..prices import Prices
from ..segments import MAX_TOKENS, SegmentAfter, Size
from ..stores.base import KEEP, Append, Change, Ttl
from ..summaries import Summarize, Summarizer, Summary, extractive, fold
from .access import Access, must_go_on
from .ending import end
from .live_segment import LiveSegment, read_live
from .segmenting import ending, failed, in_vain, to_summarize
from .writing import guards

logger = logging.getLogger(__name__)

NO_SUMMARY: Final = "agent_id=<%s>, session_id=<%s> | no summary could be made, the segment goes on: %s"


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
class Grown:
    """A live segment, as far as it is counted."""

    size: Size
    upto: int
    """Index behind the last message of it."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A live segment, looked at."""

    grown: Grown
    rollover: Rollover | None
    """None: it does not end."""


def measured(
    access: Access[records.Session],
    agent_id: str,
    after: SegmentAfter,
    count: Callable[[Message], int],
    *,
    if_due: bool = True,
    coming: int | None = None,
    own: Change | None = None,
) -> Measured | None:
    """Look at the live segment; None: there is no such agent. Costs as `read_live`.

    Args:
        access: Of the conversation's session.
        agent_id: Whose.
        after: When it is due, and how it is summarized.
        count: Tokens of a message.
        if_due: False: it ends, if something was said in it and its last turn is over.
        coming: See `SegmentAfter.due`.
        own: See `writing.guards`.

    Raises:
        IllegalTransitionError: It is a segment, which has ended.
        SessionBusyError: It would end, but another living process has the lease: so no summary is made in vain.
    """
    live = read_live(access, agent_id)
    if live is None:
        return None
    must_go_on(live.session)
    size = live.size(count)
    grown = Grown(size, live.length)
    if not live.whole or (if_due and not after.due(size, coming)):
        return Measured(grown, None)
    guards(live.look, access.space.id, agent_id, own=own)
    cut, asked = to_summarize(live, after, size)
    return Measured(grown, Rollover(live, after, cut, asked))


def summarized(rollover: Rollover, summarize: Summarizer) -> Summary:
    """Its summary, by a summarizer that needs no loop.

    Raises:
        Exception: What the summarizer raises; an event tells of it.
    """
    try:
        return fold(rollover.asked, summarize, rollover.room)
    except Exception as error:
        tell_failed(rollover, error)
        raise


def finished(
    rollover: Rollover, made: Summary, prices: Prices, *, own: Change | None = None, ttl: Ttl = KEEP
) -> records.Session:
    """End it; see `ending.end`. In a conflict what the summary took is counted all the same."""
    ends = ending(rollover.live, rollover.cut, rollover.after, made, prices, own=own, ttl=ttl)
    try:
        return end(rollover.live, ends)
    except ConflictError:
        in_vain(rollover.live, ends)
        raise


def given_up(rollover: Rollover, made: Summary, prices: Prices) -> None:
    """Have it go on, as the agent was changed while its summary was made; what that took is counted all the same."""
    in_vain(rollover.live, ending(rollover.live, rollover.cut, rollover.after, made, prices))


def tell_failed(rollover: Rollover, error: BaseException) -> None:
    """Say, in the log and by an event, that no summary could be made; in the log alone, where the store fails too."""
    live = rollover.live
    where = live.agent_id, live.access.space.id
    logger.warning(NO_SUMMARY, *where, records.described(error))
    event = Append(layout.EVENTS, [codec.dump(failed(live.agent_id, error))])
    try:
        live.access.change(lambda look: [event])
    except StoreError as problem:
        logger.warning("agent_id=<%s>, session_id=<%s> | no event tells of it: %s", *where, problem)


def summarizer_of(what: Any) -> Summarizer:
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
