"""What is in a space, in pieces that fit into memory, and the digest of it all. Pure.

Rule 1. Pieces come in one order: documents by path, logs by name and index, counters by name, and last the space's own
        document (`layout.own`), which is what makes it a session or user.
Rule 2. The digest is of what is kept: not of versions, incarnation, expiry or who has the lease, nor of how it was cut
        into pieces. So it is the same in every store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Documents:
    found: Mapping[str, bytes]
    """Path -> bytes."""


@dataclass(frozen=True, slots=True)
class Entries:
    """A part of a log that is not of length 0. Of one whose entries were all erased there is one part, without any."""

    log: str
    start: int
    """The lowest index that was not erased."""
    length: int
    """The index that the next entry will get."""
    at: int
    """Index of the first of the entries."""
    entries: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Counts:
    found: Mapping[str, int]
    """Counter -> value; without those that are 0."""


Piece: TypeAlias = Documents | Entries | Counts


class Digest:
    """SHA-256 over pieces, and how much they are.

    Attributes:
        documents: How many.
        entries: Of logs.
        bytes: Of documents and entries.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.documents = self.entries = self.bytes = 0

    def add(self, piece: Piece) -> None:
        match piece:
            case Documents(found):
                for path, data in found.items():
                    self._take("document", path, data)
                self.documents += len(found)
                self.bytes += sum(map(len, found.values()))
            case Entries(log, start, length, at, entries):
                if at == start:
                    self._take("log", log, str(start), str(length))
                for data in entries:
                    self._take("entry", data)
                self.entries += len(entries)
                self.bytes += sum(map(len, entries))
            case Counts(found):
                for name, value in sorted(found.items()):
                    self._take("counter", name, str(value))

    def hexdigest(self) -> str:
        return self._hash.hexdigest()

    def _take(self, *parts: str | bytes) -> None:
        # each with its length in front: no two lists of parts look the same
        for part in parts:
            data = part.encode() if isinstance(part, str) else part
            self._hash.update(len(data).to_bytes(8, "big"))
            self._hash.update(data)
