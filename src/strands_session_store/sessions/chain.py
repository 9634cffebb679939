"""The segments of a conversation, one after the other, with what is in each. No message is read."""

from __future__ import annotations

from .. import layout, records
from ..stores.base import Counters, Doc, Log, LogView, Order, Query
from . import cursors
from .access import Access, load, told
from .ended import complete
from .shapes import MAX_PAGE, SegmentOverview


def parts(access: Access[records.Session], agent_id: str) -> tuple[tuple[SegmentOverview, ...], LogView]:
    """See `Segments.chain`; and the extent of the history of the last one, without its entries."""
    log, path = layout.history(agent_id), layout.segments(agent_id)
    look = access.look(Doc(path), Log(log), Counters([layout.removed(agent_id)]))
    own = access.record(look)
    known = load(look, path, records.Segments) if path in look.docs else records.Segments()
    if known.ended:
        complete(access.store, layout.segment_space(access.space, own.created, agent_id, known.ended))
    query = Query(
        "session",
        access.space.owner,
        parent=access.space.id,
        order=Order.CREATED,
        descending=False,
        limit=MAX_PAGE,
        counters=["messages"],
    )
    out = []
    for row in cursors.every(access.store, query) if known.ended else ():
        one = told(access.store, records.Session, row)
        part = None if one is None else one.segment
        if one is None or part is None or part.agent_id != agent_id or part.number > known.ended:
            continue
        if row.space == layout.segment_space(access.space, own.created, agent_id, part.number):
            out.append(SegmentOverview(one, part.number, part.start, part.end, row.counters["messages"]))
    out.sort(key=lambda one: one.number)
    view = look.logs[log]
    here = view.length - view.start - look.counters[layout.removed(agent_id)]
    return (*out, SegmentOverview(own, known.ended + 1, view.start, None, here)), view
