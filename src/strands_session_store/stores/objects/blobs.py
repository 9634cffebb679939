"""What the engine asks of a place that keeps objects: four verbs. S3 and a local directory differ in nothing else.

1. A put is all or nothing, and a get that begins after it ended sees it (S3 promises that since 2020).
2. A conditional put is decided by the place: of several that expect the same, one succeeds.
3. Tags are opaque, and differ whenever the bytes differ.
4. Errors arrive as StoreErrors: Unavailable (not done), InDoubt (it may have been done), Corrupt.
   Only a condition that does not hold is no error: `Refused`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

Tag = str
"""Of one state of an object (an ETag); compared, never read."""


class Refused(Exception):
    """The condition of a put did not hold; nothing was written. Never leaves the engine."""


@dataclass(frozen=True, slots=True)
class Blob:
    data: bytes
    tag: Tag


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing shows it."""

    key: str
    size: int
    """Bytes as they are kept, which may be compressed."""
    modified: float
    """Unix time in seconds of the last put, by the clock of the place; S3 knows whole seconds."""


@dataclass(frozen=True, slots=True)
class Sealing:
    """What is too much for a head, at a place. Every commit writes the whole head, so a larger one costs bytes; what
    leaves it costs another put. The defaults are for a place that compresses and bills puts; see ARCHITECTURE.md."""

    tail: int = 56 * 1024
    """Bytes of entries in the head, above which they become pages."""
    merge: tuple[int, ...] = (5, 16)
    """How many pages of a level make one of the next."""
    page: int = 8 * 2**20
    """Bytes that pages are merged up to."""
    document: int = 8 * 1024
    """Bytes of a document, above which it is an object of its own."""
    documents: int = 16 * 1024
    """The same, of all documents in the head together; those that were put longest ago leave it first."""


class Blobs(ABC):
    """Objects by key. Keys are `/`-separated, relative to the prefix this was made with, at most 900 bytes, each part
    at most 220, of characters that are safe on case-insensitive file systems. Safe for use by many threads."""

    sealing: ClassVar[Sealing] = Sealing()

    @abstractmethod
    def get(self, keys: Sequence[str]) -> Mapping[str, Blob]:
        """The objects that are there, of those asked for; several at once, as far as the place allows it."""

    @abstractmethod
    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_match: Tag | None = None) -> Tag:
        """Store an object whole; the tag it has now.

        Args:
            key: Which.
            data: Its bytes.
            if_absent: Only if there is none.
            if_match: Only if it is the one with this tag.

        Raises:
            Refused: The condition did not hold, or the object to be matched is gone.
            Unavailable: Not done. InDoubt: it may have been done.
        """

    @abstractmethod
    def list(self, prefix: str, *, after: str = "", below: bool = False) -> Iterator[Listed]:
        """Objects whose key begins with ``prefix``, ascending by key (bytes), from behind ``after`` on; asked for page
        by page, as the iterator is read.

        Args:
            prefix: Ends with ``/``.
            after: A key; "" for the first.
            below: Also what lies deeper than directly under ``prefix``. False costs nothing for what lies deeper.
        """

    @abstractmethod
    def folders(self, prefix: str) -> Iterator[str]:
        """The names that lie directly under ``prefix`` and have something below them, ascending; without the slash."""

    @abstractmethod
    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects, in batches; those that are not there are no error."""

    def remove(self, key: str, tag: Tag) -> bool:
        """Delete one object if it still has this tag; whether it is gone now.

        Here, with a gap between look and deed: for a place that knows no conditional delete.
        """
        found = self.get([key]).get(key)
        if found is not None and found.tag != tag:
            return False
        self.delete([key])
        return True

    def tidy(self) -> None:  # noqa: B027
        """Remove what a put that was killed left, and no listing shows. Here: nothing is left of it."""

    @abstractmethod
    def now(self) -> float:
        """Unix time in seconds by the clock of the place, as well as it is known."""

    @abstractmethod
    def close(self) -> None:
        """Release what this opened itself."""
