"""A space, written piece by piece: it is there whole, or not at all.

Rule 1. Until its own document is written, last, a space is none for a face, and has only `PENDING` seconds to live.
Rule 2. Before that, all of it is read back, and has to have the digest that was told.
Rule 3. Commits are bounded, and expect that nobody else writes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Final

from .. import codec, layout, records, rows
from ..errors import ConflictError, Corrupt, StoreError
from ..stores.base import (
    ABSENT,
    MAX_CHANGES,
    Add,
    Append,
    Change,
    Doc,
    PutDoc,
    Space,
    Store,
    Summary,
    Trim,
    new_commit_id,
)
from .outgoing import Changed, rest
from .pieces import Counts, Digest, Documents, Entries, Piece

PENDING: Final = 900.0
"""Seconds that a space lives after each commit but the last."""
BATCH_BYTES: Final = 4 * 2**20
BATCH_CHANGES: Final = 1_000
"""Of a commit; a single entry may be larger."""


class Incoming:
    """A space that is being written.

    Attributes:
        space: Which.
        digest: Of what was added.
    """

    def __init__(self, store: Store, space: Space, parent: str | None = None) -> None:
        self.space, self.digest = space, Digest()
        self._store, self._parent = store, parent
        self._own_path = layout.own(space)
        self._own: bytes | None = None
        self._state: tuple[str, int] | None = None
        self._batch: list[Change] = []
        self._tail: tuple[str, int, list[bytes]] | None = None
        self._size = self._count = 0

    def add(self, piece: Piece) -> None:
        """Write what is next.

        Raises:
            ConflictError: Another one writes the space.
        """
        self.digest.add(piece)
        match piece:
            case Documents(found):
                for path, data in found.items():
                    if path == self._own_path:
                        self._own = data
                    else:
                        self._room(len(data))
                        self._batch.append(PutDoc(path, data, ABSENT))
            case Entries(log, start, _, at, entries):
                if at == start:
                    self._begin(log, start)
                for data in entries:
                    self._room(len(data))
                    self._append(log, at, data)
                    at += 1
            case Counts(found):
                for name, value in found.items():
                    self._room(0)
                    self._batch.append(Add(name, value))

    def finish(self, expires: float | None) -> None:
        """Have the space be there.

        Args:
            expires: Unix time at which it ends.

        Raises:
            Corrupt: The store does not hold what was added, or its own document is not what it has to be.
            ConflictError: Another one writes the space.
        """
        record = self._record()
        self._flush()
        state = self._state
        assert state is not None and self._own is not None
        if self._read_back(state) != self.digest.hexdigest():
            raise Corrupt(f"{self.space.kind} {self.space.id!r}", "it is not what was written to it")
        self._state = None  # from here on it may be there, and is not taken back
        self._store.commit(
            self.space,
            PutDoc(self._own_path, self._own, ABSENT),
            commit_id=new_commit_id(),
            on=state[0],
            ttl=None if expires is None else max(1.0, expires - time.time()),
            summary=rows.summary(record),
        )

    def abandon(self) -> None:
        """Take back what was written. What can't be is gone after `PENDING` seconds."""
        if self._state is not None:
            with contextlib.suppress(StoreError):
                self._store.drop(self.space, on=self._state[0])

    def _record(self) -> records.Session | records.User:
        space, path = self.space, self._own_path
        if self._own is None:
            raise Corrupt(path, f"{space.kind} {space.id!r} has none")
        record: records.Session | records.User
        told: tuple[str | None, str, str | None]
        if space.kind == "user":
            record = codec.load(records.User, self._own, path)
            told = (None, record.user_id, None)
        else:
            record = codec.load(records.Session, self._own, path)
            told = (record.user_id, record.session_id, record.parent_id)
        if told != (space.owner, space.id, self._parent):
            raise Corrupt(path, f"it is of another {space.kind}: {told}, not {(space.owner, space.id, self._parent)}")
        return record

    def _read_back(self, state: tuple[str, int]) -> str:
        digest = Digest()
        try:
            for piece in rest(self._store, self.space, state):
                digest.add(piece)
        except Changed:
            raise ConflictError("", state[0], None, f"another writes {self.space.kind} {self.space.id!r}") from None
        assert self._own is not None
        digest.add(Documents({self._own_path: self._own}))
        return digest.hexdigest()

    # ------------------------------------------------------------------------------------------------------- commits

    def _begin(self, log: str, start: int) -> None:
        """Have the log begin at an index: what is before it is put, empty, and erased."""
        if start == 0:
            return
        self._flush()
        for at in range(0, start, MAX_CHANGES - 1):
            blank = [b""] * min(MAX_CHANGES - 1, start - at)
            self._commit([Append(log, blank, at), Trim(log, at)])
        self._batch.append(Trim(log, start))

    def _append(self, log: str, at: int, data: bytes) -> None:
        if self._tail is None or self._tail[0] != log:
            self._end_tail()
            self._tail = (log, at, [])
        self._tail[2].append(data)

    def _end_tail(self) -> None:
        if self._tail is not None:
            log, at, entries = self._tail
            self._batch.append(Append(log, entries, at))
            self._tail = None

    def _room(self, size: int) -> None:
        if self._count and (self._size + size > BATCH_BYTES or self._count == BATCH_CHANGES):
            self._flush()
        self._size += size
        self._count += 1

    def _flush(self) -> None:
        self._end_tail()
        if self._batch or self._state is None:
            self._commit(self._batch)
        self._batch, self._size, self._count = [], 0, 0

    def _commit(self, changes: Sequence[Change]) -> None:
        done = self._store.commit(
            self.space,
            *changes,
            commit_id=new_commit_id(),
            on=ABSENT if self._state is None else self._state[0],
            ttl=PENDING,
            summary=Summary(b"", self._parent) if self._state is None else None,
        )
        self._state = done.incarnation, done.revision


def make_way(store: Store, space: Space) -> None:
    """Erase what an interrupted writer left of a space, so that it can be written anew."""
    look = store.read(space, Doc(layout.own(space)))
    if look.incarnation is not None and layout.own(space) not in look.docs:
        store.drop(space, on=look.incarnation)
