"""A space that comes from elsewhere, written by pieces, and verified.

Rule. Before it is there, all of it is read back, and has to have the digest that was told.
"""

from __future__ import annotations

import time

from .. import codec, layout, records, rows
from ..errors import ConflictError, Corrupt
from ..stores.base import Space, Store
from .building import Building
from .outgoing import Changed, rest
from .pieces import Counts, Digest, Documents, Entries, Piece


class Incoming:
    """A space that is being written.

    Attributes:
        space: Which.
        digest: Of what was added.
    """

    def __init__(self, store: Store, space: Space, parent: str | None = None) -> None:
        self.space, self.digest = space, Digest()
        self._store, self._parent = store, parent
        self._building = Building(store, space, parent)
        self._own_path = layout.own(space)
        self._own: bytes | None = None

    def add(self, piece: Piece) -> None:
        """Write what is next.

        Raises:
            ConflictError: Another one writes the space.
        """
        self.digest.add(piece)
        building = self._building
        match piece:
            case Documents(found):
                for path, data in found.items():
                    if path == self._own_path:
                        self._own = data
                    else:
                        building.put(path, data)
            case Entries(log, start, _, first, entries):
                if first == start:
                    building.begin(log, start)
                for at, data in enumerate(entries, first):
                    building.append(log, at, data)
            case Counts(found):
                for name, value in found.items():
                    building.add(name, value)

    def finish(self, expires: float | None) -> None:
        """Have the space be there.

        Args:
            expires: Unix time at which it ends.

        Raises:
            Corrupt: The store does not hold what was added, or its own document is not what it has to be.
            ConflictError: Another one writes the space.
        """
        record = self._record()
        assert self._own is not None
        if self._read_back(self._building.flush()) != self.digest.hexdigest():
            raise Corrupt(f"{self.space.kind} {self.space.id!r}", "it is not what was written to it")
        ttl = None if expires is None else max(1.0, expires - time.time())
        self._building.finish(self._own, rows.summary(record), ttl)

    def abandon(self) -> None:
        """Take back what was written. What can't be vanishes by itself."""
        self._building.abandon()

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
