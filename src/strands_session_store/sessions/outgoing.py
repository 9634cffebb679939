"""A space, read piece by piece: all pieces from one state of it, and never more of it in memory than a page.

Rule 1. Every read has to be of the revision that the first one had; else all that was read is of no use: Changed.
Rule 2. What this version can not name is an error, never left out: the port lists no logs and no counters, documents
        tell of them (`inside.logs_of`, `inside.counters_of`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from .. import layout
from ..errors import StoreError, Unavailable
from ..stores.base import READ_BYTES, Counters, Doc, Docs, Log, Look, Space, Store, Want
from .ended import complete_decided
from .inside import counters_of, logs_of
from .pieces import Counts, Digest, Documents, Entries, Piece

T = TypeVar("T")

PAGE: Final = 1_000
"""Entries asked for at once."""
TRIES: Final = 10
"""How often a space is read anew because it changed, before that is an error."""
PAUSE: Final = 0.02
"""Seconds; each try waits up to twice as long as the one before: 20 s in all."""


class Changed(Exception):
    """The space is not what it was when reading began."""


@dataclass(frozen=True, slots=True)
class Found:
    """A space at one of its states."""

    store: Store
    space: Space
    incarnation: str
    revision: int
    own: bytes
    """Its own document."""
    expires: float | None

    def pieces(self) -> Iterator[Piece]:
        """All that is in it.

        Raises:
            Changed: It is in another state by now.
        """
        own = layout.own(self.space)
        yield from rest(self.store, self.space, (self.incarnation, self.revision))
        yield Documents({own: self.own})

    def digest(self) -> str:
        digest = Digest()
        for piece in self.pieces():
            digest.add(piece)
        return digest.hexdigest()


def find(store: Store, space: Space) -> Found | None:
    """The space as it is now; None: there is none, or none for a face."""
    own = layout.own(space)
    look = store.read(space, Doc(own), Doc(layout.MAKING))
    if layout.MAKING in look.docs and complete_decided(store, space, look):
        look = store.read(space, Doc(own))
    if look.incarnation is None or own not in look.docs:
        return None
    return Found(store, space, look.incarnation, look.revision, look.docs[own].data, look.expires)


def digested(store: Store, space: Space) -> tuple[Found, str] | None:
    """The space as it is now, and its digest; None: there is none."""

    def attempt() -> tuple[Found, str] | None:
        found = find(store, space)
        return None if found is None else (found, found.digest())

    return insist(space, attempt)


def rest(store: Store, space: Space, state: tuple[str, int]) -> Iterator[Piece]:
    """All that is in a space but its own document.

    Args:
        store: Where.
        space: Which.
        state: Incarnation and revision that it has to have.

    Raises:
        Changed: It has another.
        StoreError: It holds what this version does not know.
    """

    def look(*wants: Want) -> Look:
        found = store.read(space, *wants)
        if (found.incarnation, found.revision) != state:
            raise Changed
        return found

    logs: set[str] = set()
    counters: set[str] = set()
    wants: tuple[Want, ...] = (Docs(""),)
    while wants:
        page = look(*wants)
        wants = page.more
        if unknown := [path for path in page.docs if not layout.is_known(path)]:
            raise StoreError(
                f"{space.kind} {space.id!r} holds {unknown[0]!r}, which this version of strands-session-store does not "
                "know: what belongs to it would be left out; use a newer version"
            )
        logs.update(logs_of(page))
        counters.update(counters_of(page))
        left_out = (*layout.LEASES, layout.MAKING, layout.own(space))
        if kept := {path: doc.data for path, doc in page.docs.items() if path not in left_out}:
            yield Documents(kept)
    # most spaces are small, and this is all of them
    page = look(Counters(sorted(counters)), *(Log(name, ((0, PAGE),)) for name in sorted(logs)))
    cut = {want.log for want in page.more if isinstance(want, Log)}
    for name in sorted(logs):
        view = page.logs[name]
        entries = () if name in cut else tuple(view.entries.values())
        if entries or 0 < view.length == view.start:
            yield Entries(name, view.start, view.length, view.start, entries)
        yield from _paged(look, name, view.start, view.length, view.start + len(entries))
    if kept_counters := {name: value for name, value in sorted(page.counters.items()) if value}:
        yield Counts(kept_counters)


def _paged(look: Callable[..., Look], log: str, start: int, length: int, at: int) -> Iterator[Piece]:
    page = PAGE
    while at < length:
        until = min(at + page, length)
        found = look(Log(log, ((at, until),)))
        entries = tuple(found.logs[log].entries.values())
        if found.more:
            # a cut read has the newest of what was asked for; the oldest, which are next, may be larger still
            page = max(1, min(len(entries), (until - at) // 2))
            continue
        yield Entries(log, start, length, at, entries)
        at = until
        if sum(map(len, entries)) < READ_BYTES // 4:
            page = min(PAGE, page * 2)


def insist(space: Space, attempt: Callable[[], T]) -> T:
    """The result of ``attempt``, which is made again as long as the space changes under it.

    Raises:
        Unavailable: It changed each time.
    """
    for tried in range(TRIES):
        try:
            return attempt()
        except Changed:
            time.sleep(random.uniform(0, PAUSE * 2**tried))
    raise Unavailable(
        f"{space.kind} {space.id!r} changed during each of {TRIES} attempts to read it whole; try again when it is idle"
    )
