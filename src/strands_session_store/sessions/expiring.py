"""Segments that have ended expire with their conversation, and never before it.

Rule 1. The conversation's expiry moves with each commit, theirs each quarter of its ttl: so they are given a quarter
        more than it has.
Rule 2. All agents' are kept by whichever agent of the session goes on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from .. import codec, layout, records
from ..stores.base import Docs, PutDoc, Space, Store, Ttl, new_commit_id
from .access import Access, load
from .ended import segments_in, segments_of
from .ending import OUTLIVES
from .inside import ids_of
from .writing import version

SLID: Final = OUTLIVES - 1
"""Of a ttl: how often segments that have ended are kept for another one."""


def expire(store: Store, conversation: Space, ttl: float | None) -> None:
    """Have the segments of a conversation expire after so many seconds; None: never. Two calls for each."""
    _keep(store, segments_of(store, conversation), ttl)


def slide(access: Access[records.Session], ttl: float) -> float:
    """Have the segments that have ended expire no sooner than the conversation. One read where that was done within a
    quarter of the ttl; else two calls for each segment.

    Returns:
        How many seconds ago that was done; 0 where there are none.

    Raises:
        StoreError: As the engine says. Some may have been kept.
    """
    look = access.look(Docs(layout.AGENTS))
    now, longest = records.now(), 0.0
    for id in ids_of(look, layout.AGENTS):
        path = layout.segments(id)
        known = load(look, path, records.Segments) if path in look.docs else records.Segments()
        if not known.ended:
            continue
        if known.slid is not None and now - known.slid < ttl * SLID:
            longest = max(longest, now - known.slid)
            continue
        _keep(access.store, segments_in(access.space, access.record(look), look, id), ttl * OUTLIVES)
        slid = known.model_copy(update={"slid": now})
        access.commit(look, PutDoc(path, codec.dump_document(slid), expect=version(look, path)))
    return longest


def _keep(store: Store, segments: Iterable[Space], ttl: Ttl) -> None:
    for space in segments:
        there = store.read(space)
        if there.incarnation is not None:
            store.commit(space, commit_id=new_commit_id(), on=there.incarnation, ttl=ttl)
