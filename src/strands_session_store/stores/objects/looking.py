"""What a read returns of a head, and which sealed objects it needs for that. Pure.

A read is tried with what is loaded. Where something is missing, its size is taken from the head, so that all that the
read will need is known at once: two dependent rounds, head and objects. Where sizes differ much within a page, a third.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Final

from ...errors import Corrupt
from ..base import Document, Look, Want
from ..selecting import select
from . import cells
from .head import Head, Page
from .sealing import Lines, cut

_AT_ONCE: Final = 32 * 2**20
"""Bytes of objects that are asked for in one round."""


class Missing(Exception):
    """Objects that the read needs.

    Attributes:
        pages: Keys of pages' objects.
        documents: The same of documents.
    """

    def __init__(self, pages: set[str], documents: set[str]) -> None:
        self.pages, self.documents = pages, documents
        super().__init__()


def look(
    head: Head, folder: str, wants: Sequence[Want], pages: Mapping[str, Lines], documents: Mapping[str, bytes]
) -> Look:
    """The read, from a head, its folder, and the objects that are loaded.

    Raises:
        Missing: It needs other objects as well.
        Corrupt: Names the object's key.
    """
    return _Reading(head, folder, pages, documents).look(wants)


class _Reading:
    """A head with what is loaded of its objects, as `select` looks at it."""

    def __init__(self, head: Head, folder: str, pages: Mapping[str, Lines], documents: Mapping[str, bytes]) -> None:
        self._folder, self._pages, self._documents = folder, pages, documents
        self.incarnation, self.revision, self.expires = head.incarnation, head.revision, head.expires
        self.docs, self.counters, self.log = head.docs, head.counters, head.log
        self._missing: tuple[set[str], set[str]] = set(), set()
        self._missing_bytes = 0
        self._cut: dict[tuple[str, int], Lines] = {}

    def look(self, wants: Sequence[Want]) -> Look:
        found = select(self, wants)
        if any(self._missing):
            raise Missing(*self._missing)
        return found

    def size(self, path: str) -> int:
        return self.docs[path].size

    def document(self, path: str) -> Document:
        doc = self.docs[path]
        version = f"{self.incarnation}.{doc.revision}"
        if doc.cell is not None:
            return Document(cells.decode(doc.cell), version)
        key = f"{self._folder}{doc.name}"
        if key not in self._documents:
            self._miss(1, key, doc.size)
            return Document(b"", version)
        data = self._documents[key]
        if len(data) != doc.size:
            raise Corrupt(key, f"it should have {doc.size:,} bytes and has {len(data):,}")
        return Document(data, version)

    def entry(self, log: str, index: int) -> tuple[bytes, int]:
        """An entry and its size; of one that is not loaded, the mean size in its page."""
        state = self.log(log)
        if index >= state.sealed:
            entry = cells.decode(state.tail[index - state.sealed])
            return entry, len(entry)
        page = state.pages[bisect_right(state.pages, index, key=_start) - 1]
        key = self._folder + page.object(state.folder)
        if key not in self._pages:
            self._miss(0, key, page.size)
            return b"", page.size // (page.end - page.start)
        if (key, page.line) not in self._cut:
            self._cut[key, page.line] = cut(self._pages[key], page, key)
        entry = cells.decode(self._cut[key, page.line][index - page.start])
        return entry, len(entry)

    def _miss(self, kind: int, key: str, size: int) -> None:
        """Note an object that has to be loaded; with enough of them the looking ends."""
        if key not in self._missing[kind]:
            self._missing[kind].add(key)
            self._missing_bytes += size
            if self._missing_bytes > _AT_ONCE:
                raise Missing(*self._missing)


def _start(page: Page) -> int:
    return page.start
