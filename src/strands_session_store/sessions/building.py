"""A space, made in bounded commits: it is there whole, or not at all.

Rule 1. Its own document is written last. Until then the space is none for a face, is marked (`layout.MAKING`), and has
        only `HALF_MADE_SECONDS` to live, or what its maker says. What fits into one commit is written by one.
Rule 2. Every commit expects that nobody else writes. One whose answer is lost is repeated, under its id.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from .. import layout
from ..errors import AlreadyExistsError, StoreError
from ..stores.base import (
    ABSENT,
    MAX_CHANGES,
    Add,
    Append,
    Change,
    Committed,
    Doc,
    DropDoc,
    Expected,
    PutDoc,
    Space,
    Store,
    Summary,
    Trim,
)
from .access import send
from .checks import UNSET, Unset

HALF_MADE_SECONDS: Final = 900.0
"""That a space lives after each commit but the last, of which none takes so long."""
MARK: Final = b"{}"
BATCH_BYTES: Final = 4 * 2**20
BATCH_CHANGES: Final = 2_500
"""Of one commit, unless a single entry is larger: such a one holds up a Redis server for less than 10 ms."""


@dataclass(slots=True)
class Content:
    """All that a space will hold, but for its own document."""

    docs: dict[str, bytes] = field(default_factory=dict)
    logs: dict[str, tuple[int, list[bytes]]] = field(default_factory=dict)
    """Log -> (start, entries): below the start, all is erased."""
    counters: dict[str, int] = field(default_factory=dict)


class Building:
    """A space that is being made.

    Attributes:
        space: Which.
        state: Incarnation and revision after the last commit; None: nothing is written, or all may be.
    """

    def __init__(
        self,
        store: Store,
        space: Space,
        parent: str | None = None,
        *,
        lives: float | Unset | None = UNSET,
        mark: bytes = MARK,
    ) -> None:
        """
        Args:
            store: Where.
            space: Which.
            parent: What it will hang below.
            lives: Seconds after each commit but the last that it ends, where nobody goes on; None: never. Not given:
                `HALF_MADE_SECONDS`.
            mark: What the document that marks it says until then.
        """
        self.space = space
        self.state: tuple[str, int] | None = None
        self._marked = ""
        self._store, self._parent, self._mark = store, parent, mark
        self._lives = HALF_MADE_SECONDS if isinstance(lives, Unset) else lives
        self._batch: list[Change] = []
        self._tail: tuple[str, int, list[bytes]] | None = None
        self._size = self._count = 0

    def put(self, path: str, data: bytes) -> None:
        """A document, but not the space's own."""
        self._room(len(data))
        self._batch.append(PutDoc(path, data, ABSENT))

    def begin(self, log: str, start: int) -> None:
        """Have a log begin at an index: what is before it is put, empty, and erased."""
        if start == 0:
            return
        self.flush()
        for at in range(0, start, MAX_CHANGES - 1):
            blank = [b""] * min(MAX_CHANGES - 1, start - at)
            self._write([Append(log, blank, at), Trim(log, at)])
        self._batch.append(Trim(log, start))

    def append(self, log: str, at: int, data: bytes) -> None:
        """The next entry of a log."""
        self._room(len(data))
        if self._tail is None or self._tail[0] != log:
            self._end_tail()
            self._tail = (log, at, [])
        self._tail[2].append(data)

    def add(self, counter: str, value: int) -> None:
        self._room(0)
        self._batch.append(Add(counter, value))

    def fill(self, content: Content) -> None:
        """All of the content."""
        for log, (start, entries) in content.logs.items():
            self.begin(log, start)
            for at, data in enumerate(entries, start):
                self.append(log, at, data)
        for path, data in content.docs.items():
            self.put(path, data)
        for counter, value in content.counters.items():
            if value:
                self.add(counter, value)

    def flush(self) -> tuple[str, int]:
        """Have all that was given be written; the state after it.

        Raises:
            ConflictError: Somebody else writes the space.
        """
        self._end_tail()
        if self._batch or self.state is None:
            self._write(self._batch)
        self._batch, self._size, self._count = [], 0, 0
        assert self.state is not None
        return self.state

    def finish(self, own: bytes, summary: Summary, ttl: float | None) -> None:
        """Have the space be there.

        Args:
            own: Its own document.
            summary: Of its row.
            ttl: Seconds after which it ends.

        Raises:
            ConflictError: Somebody else writes the space.
        """
        self._end_tail()
        changes = [*self._batch, PutDoc(layout.own(self.space), own, ABSENT)]
        if self.state is not None:  # who takes it for left behind has put the mark anew
            changes.append(DropDoc(layout.MAKING, expect=self._marked))
        on, self.state = self.state, None  # from here on it may be there, and is not taken back
        self._commit(changes, on, ttl, summary)

    def abandon(self) -> None:
        """Take back what was written. What can't be vanishes by itself."""
        if self.state is not None:
            with contextlib.suppress(StoreError):
                self._store.drop(self.space, on=self.state[0])

    # ------------------------------------------------------------------------------------------------------- private

    def _room(self, size: int) -> None:
        if self._count and (self._size + size > BATCH_BYTES or self._count >= BATCH_CHANGES):
            self.flush()
        self._size += size
        self._count += 1

    def _end_tail(self) -> None:
        if self._tail is not None:
            log, at, entries = self._tail
            self._batch.append(Append(log, entries, at))
            self._tail = None

    def _write(self, changes: Sequence[Change]) -> None:
        summary = None
        if self.state is None:
            changes, summary = [*changes, PutDoc(layout.MAKING, self._mark, ABSENT)], Summary(b"", self._parent)
        done = self._commit(changes, self.state, self._lives, summary)
        self._marked = self._marked or done.version
        self.state = done.incarnation, done.revision

    def _commit(
        self, changes: Sequence[Change], state: tuple[str, int] | None, ttl: float | None, summary: Summary | None
    ) -> Committed:
        on: Expected = ABSENT if state is None else state[0]
        return send(self._store, self.space, *changes, on=on, ttl=ttl, summary=summary)


def make_way(store: Store, space: Space, sure: Callable[[], object] = lambda: None) -> None:
    """Have nothing at a space's place: what an interrupted one has left there is dropped.

    Whether its maker was interrupted is not to be seen. So its mark is put anew first, which its last commit expects as
    it was: either that comes first, and nothing is dropped, or it is refused.

    Args:
        store: Where.
        space: Which.
        sure: Called once something was found, before it is dropped; raises what is to be raised if it is to stay.

    Raises:
        AlreadyExistsError: Something else is there.
        ConflictError: Its maker has come to its end meanwhile, or another makes way.
    """
    own = layout.own(space)
    look = store.read(space, Doc(own), Doc(layout.MAKING))
    if look.incarnation is None:
        return
    # what an agent has begun also is without a session document at first
    if own in look.docs or layout.MAKING not in look.docs:
        raise AlreadyExistsError(f"{space.kind} {space.id!r} is there already; nothing was written. Choose another id")
    sure()
    mark = look.docs[layout.MAKING]
    send(store, space, PutDoc(layout.MAKING, mark.data, mark.version), on=look.incarnation)
    store.drop(space, on=look.incarnation)
