"""Segments that have ended expire with their conversation, and never before it.

Rule 1. The conversation's expiry moves with each commit, theirs each quarter of its ttl: so they are given a quarter
        more than it has.
Rule 2. All agents' are kept by whichever agent of the session goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from .. import codec, layout, records
from ..stores.base import Doc, Docs, Look, PutDoc, Space, Store, new_commit_id
from .access import Access, load
from .ended import segments_in
from .ending import OUTLIVES
from .inside import ids_of
from .writing import version

SEEN: Final = 60.0
"""Seconds within which who keeps them sees that their expiry was set by hand."""


def expire(access: Access[records.Session], ttl: float | None) -> None:
    """Have the segments of a conversation expire after so many seconds; None: never. Two calls for each."""
    for path, known, spaces in _known(access, access.look(Docs(layout.AGENTS))):
        _keep(access.store, spaces, ttl)
        if known.until is not None:  # whoever has a ttl looks again
            access.change(lambda look: _told(look, path, None), Doc(path))  # noqa: B023


def keep(access: Access[records.Session], ttl: float) -> float:
    """Have the segments that have ended expire no sooner than the conversation, which does after ``ttl`` seconds. One
    read where they do; else two calls for each segment, for a quarter of the ttl.

    Returns:
        For how many seconds that need not be looked at: it holds then, or an expiry that was set by hand is seen.

    Raises:
        StoreError: As the engine says. Some may have been kept.
    """
    look = access.look(Docs(layout.AGENTS))
    now, holds = records.now(), min(ttl * (OUTLIVES - 1), SEEN)
    for path, known, spaces in _known(access, look):
        if known.until is not None and known.until >= now + ttl:
            holds = min(holds, known.until - now - ttl)
            continue
        _keep(access.store, spaces, ttl * OUTLIVES)
        access.commit(look, *_told(look, path, now + ttl * OUTLIVES))
    return holds


# ------------------------------------------------------------------------------------------------------------- private


def _known(access: Access[records.Session], look: Look) -> Iterator[tuple[str, records.Segments, list[Space]]]:
    """What is known of each agent's segments, where any have ended."""
    for id in ids_of(look, layout.AGENTS):
        path = layout.segments(id)
        if path in look.docs and (known := load(look, path, records.Segments)).ended:
            yield path, known, segments_in(access.space, access.record(look), look, id)


def _told(look: Look, path: str, until: float | None) -> list[PutDoc]:
    if path not in look.docs:
        return []
    known = load(look, path, records.Segments).model_copy(update={"until": until})
    return [PutDoc(path, codec.dump_document(known), expect=version(look, path))]


def _keep(store: Store, segments: Iterable[Space], ttl: float | None) -> None:
    for space in segments:
        there = store.read(space)
        if there.incarnation is not None:
            store.commit(space, commit_id=new_commit_id(), on=there.incarnation, ttl=ttl)
