"""How a segment that is due ends: what is summarized, what the next one begins with, what tells of it.

Law: a summary is made of all that moves, and of the summary before. Who makes it, and when, is the caller's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .. import codec, layout, records, usage
from ..errors import ConflictError
from ..messages import ensure_id
from ..prices import Prices
from ..segments import SegmentAfter, Size
from ..stores.base import KEEP, Append, Change, Ttl
from ..summaries import Summarize, Summary, opening
from .ending import Ending, spending
from .live_segment import LiveSegment


def to_summarize(live: LiveSegment, after: SegmentAfter, size: Size) -> tuple[int, Summarize]:
    """Where the segment is cut, and what of it is to be summarized."""
    cut = live.cut(after.kept(size))
    asked = Summarize(live.said(cut), live.known.summary, after.style, after.query, after.summary_tokens)
    return cut, asked


def ending(
    live: LiveSegment,
    cut: int,
    after: SegmentAfter,
    made: Summary,
    prices: Prices,
    *,
    own: Change | None = None,
    ttl: Ttl = KEEP,
) -> Ending:
    """How it ends with this summary. ``own``, ``ttl``: as there."""
    now = records.now()
    begins = opening(made.text)
    for message in begins:
        ensure_id(message)
    spent = None if made.usage is None else _spent(made, prices, now)
    data: dict[str, Any] = {"segment": live.known.ended + 1, "messages": len(live.said(cut)), "style": after.style}
    if spent is not None:
        data["usage"] = spent[1].usage().model_dump(exclude_none=True)
    event = records.Event(type="summary", at=now, agent_id=live.agent_id, status="success", data=data)
    return Ending(cut, made.text, begins, event, spent, own, ttl)


def failed(agent_id: str, error: BaseException) -> records.Event:
    """What tells that a summary could not be made; what the error says stays in the log."""
    return records.Event(type="summary", agent_id=agent_id, status="error", error=type(error).__name__)


def in_vain(live: LiveSegment, ends: Ending) -> None:
    """Have it be told that a summary was made and the segment goes on; what that took was spent all the same."""
    event = ends.event.model_copy(update={"status": "error", "error": ConflictError.__name__})
    live.access.commit(live.look, Append(layout.EVENTS, [codec.dump(event)]), *spending(ends))


def _spent(made: Summary, prices: Prices, at: float) -> tuple[records.UsageKey, usage.Totals]:
    """What it took, with its price."""
    assert made.usage is not None
    totals = made.usage
    took = replace(totals, unpriced=0).usage()
    cost = prices.cost(made.model or "", took, at=at, provider=made.provider)
    priced = replace(totals, unpriced=0, known_cost=cost) if cost is not None else totals
    key = records.UsageKey(day=usage.day_of(at), model=usage.model_id(made.model), source="system")
    return key, priced
