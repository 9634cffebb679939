"""Heads and sealed objects at a place, with what this process remembers of them.

A head is always read anew, unless it is only to be replaced: then the place refuses one that is out of date. What is
sealed never changes, so what is remembered of it holds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from ...errors import InDoubt
from ..base import Space
from . import names
from .blobs import Blobs, Refused, Tag
from .cache import Cache
from .head import Head, Tombstone, dump, parse
from .sealing import Lines, Vanished, split
from .tries import Tries

_HEADS: Final = 32 * 2**20
_PAGES: Final = 16 * 2**20
"""Bytes of heads and of pages that a store remembers."""


class Known(NamedTuple):
    """What is in the place of a head."""

    state: Head | Tombstone | None
    tag: Tag | None

    def head(self, now: float) -> Head | None:
        """The head of a space that is there: neither dropped nor expired."""
        return self.state if isinstance(self.state, Head) and self.state.alive(now) else None


class Heads:
    """The heads of all spaces."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._cache: Cache[Known] = Cache(_HEADS)

    def remembered(self, space: Space) -> Known | None:
        """What was there when this process last read or put it."""
        return self._cache.get(names.head(space))

    def fetch(self, space: Space) -> Known:
        """What is there now.

        Raises:
            Corrupt: It can not be read; names its key.
        """
        key = names.head(space)
        blob = self._blobs.get([key]).get(key)
        if blob is None:
            known = Known(None, None)
        else:
            remembered = self._cache.get(key)
            if remembered is not None and remembered.tag == blob.tag:
                return remembered
            known = Known(parse(key, blob.data), blob.tag)
        self._remember(key, known, b"" if blob is None else blob.data)
        return known

    def put(self, space: Space, state: Head | Tombstone, tag: Tag | None, tries: Tries) -> Tag:
        """Put it in the place of what has this tag (None: of nothing).

        Raises:
            Refused: Something else is there; or there was no answer, and it has to be seen.
        """
        key, data = names.head(space), dump(state)
        try:
            made = self._blobs.put(key, data, if_absent=tag is None, if_match=tag)
        except InDoubt as error:
            tries.unanswered(tag)
            raise Refused from error
        self._remember(key, Known(state, made), data)
        return made

    def _remember(self, key: str, known: Known, data: bytes) -> None:
        self._cache.put(key, known, 1_000 + len(data))


class SealedObjects:
    """The sealed objects of all spaces."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._pages: Cache[Lines] = Cache(_PAGES)

    def load(self, pages: Collection[str], others: Collection[str] = ()) -> tuple[dict[str, Lines], dict[str, bytes]]:
        """Objects by their keys, all at once: pages in lines, and others.

        Raises:
            Vanished: One is not there.
            Corrupt: A page is cut off.
        """
        lines = {key: held for key in pages if (held := self._pages.get(key)) is not None}
        wanted = [key for key in (*pages, *others) if key not in lines]
        found = self._blobs.get(wanted) if wanted else {}
        for key in wanted:
            if key not in found:
                raise Vanished(key)
        for key in pages:
            if key not in lines:
                lines[key] = self._remember(key, found[key].data)
        return lines, {key: found[key].data for key in others}

    def put(self, key: str, data: bytes) -> None:
        """Store one."""
        self._blobs.put(key, data)
        if key.endswith(names.PAGE):
            self._remember(key, data)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete these objects; also rows may be among them."""
        gone = sorted(keys)
        for key in gone:
            self._pages.forget(key)
        self._blobs.delete(gone)

    def _remember(self, key: str, data: bytes) -> Lines:
        lines = split(data, key)
        self._pages.put(key, lines, len(data))
        return lines
