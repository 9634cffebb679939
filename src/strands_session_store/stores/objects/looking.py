"""What a read returns of a head, and which sealed objects it needs for that. Pure.

A read is tried with what is loaded. Where something is missing, its size is taken from the head, so that all that the
read will need is known at once: two dependent rounds, head and objects. Where sizes differ much within a page, a third.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Final

from ...errors import Corrupt
from ..base import Counters, Doc, Docs, Document, Log, LogView, Look, Want
from ..paging import Bound, spans
from . import cells
from .head import Head, LogState, Page
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
    def __init__(self, head: Head, folder: str, pages: Mapping[str, Lines], documents: Mapping[str, bytes]) -> None:
        self._head, self._folder, self._pages, self._documents = head, folder, pages, documents
        self._bound = Bound()
        self._missing: tuple[set[str], set[str]] = set(), set()
        self._missing_bytes = 0
        self._cut: dict[tuple[str, int], Lines] = {}

    def look(self, wants: Sequence[Want]) -> Look:
        head, bound = self._head, self._bound
        docs: dict[str, Document] = {}
        logs: dict[str, LogView] = {}
        counters: dict[str, int] = {}
        more: list[Want] = []
        for want in wants:
            match want:
                case Counters(names):
                    counters |= {name: head.counters.get(name, 0) for name in names}
                case Doc(path):
                    if path in head.docs and path not in docs:
                        if bound.take(head.docs[path].size):
                            docs[path] = self._document(path)
                        else:
                            more.append(want)
                case Docs(prefix, after):
                    for path in sorted(path for path in head.docs if path.startswith(prefix)):
                        if (after is None or path > after) and path not in docs:
                            if not bound.take(head.docs[path].size):
                                more.append(Docs(prefix, after))
                                break
                            docs[path] = self._document(path)
                            after = path
                case Log(name):
                    log = head.log(name)
                    asked = spans(want, log.start, log.length, head.counters.get(want.since or "", 0))
                    entries = dict(logs[name].entries) if name in logs else {}
                    while asked and not bound.full:
                        low, high = asked.pop()
                        for index in range(high - 1, low - 1, -1):
                            if index not in entries:
                                entry, size = self._entry(log, index)
                                if not bound.take(size):
                                    asked.append((low, index + 1))
                                    break
                                entries[index] = entry
                    if asked:
                        more.append(Log(name, tuple(asked)))
                    logs[name] = LogView(log.start, log.length, dict(sorted(entries.items())))
            if self._missing_bytes > _AT_ONCE:
                break
        if any(self._missing):
            raise Missing(*self._missing)
        return Look(head.incarnation, head.revision, docs, logs, counters, tuple(more))

    def _document(self, path: str) -> Document:
        doc = self._head.docs[path]
        version = f"{self._head.incarnation}.{doc.revision}"
        if doc.cell is not None:
            return Document(cells.decode(doc.cell), version)
        key = f"{self._folder}{doc.name}"
        if key not in self._documents:
            self._missing[1].add(key)
            self._missing_bytes += doc.size
            return Document(b"", version)
        data = self._documents[key]
        if len(data) != doc.size:
            raise Corrupt(key, f"it should have {doc.size:,} bytes and has {len(data):,}")
        return Document(data, version)

    def _entry(self, log: LogState, index: int) -> tuple[bytes, int]:
        """An entry and its size; of one that is not loaded, the mean size in its page."""
        if index >= log.sealed:
            entry = cells.decode(log.tail[index - log.sealed])
            return entry, len(entry)
        page = log.pages[bisect_right(log.pages, index, key=_start) - 1]
        key = self._folder + page.object(log.folder)
        if key not in self._pages:
            if key not in self._missing[0]:
                self._missing[0].add(key)
                self._missing_bytes += page.size
            return b"", page.size // (page.end - page.start)
        if (key, page.line) not in self._cut:
            self._cut[key, page.line] = cut(self._pages[key], page, key)
        entry = cells.decode(self._cut[key, page.line][index - page.start])
        return entry, len(entry)


def _start(page: Page) -> int:
    return page.start
