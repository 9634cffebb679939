"""How keys, fields, names and arguments are spelled. No two share a spelling, and spellings sort as the names do."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from ..base import Space

MAX_PREFIX: Final = 100


def check_prefix(prefix: str) -> bytes:
    """The prefix of all keys.

    Raises:
        ValueError: It would move the hash tag, or could not be told from what follows.
    """
    if not prefix or len(prefix.encode()) > MAX_PREFIX or any(mark in prefix for mark in "{}\r\n\0"):
        raise ValueError(f"prefix must have 1 to {MAX_PREFIX} bytes and none of {{ }}")
    return prefix.encode()


@lru_cache(1024)  # a commit spells ten names that the one before it spelled too
def space_key(prefix: bytes, space: Space) -> bytes:
    """Of the hash that is the space. The braces make it the hash tag, so a Cluster's slot is that of the triple."""
    kind, owner, id = space.key
    return b"%s:{%s:%s:%s}" % (prefix, kind.encode(), owner.encode(), id.encode())


@lru_cache(1024)
def spell(name: str) -> bytes:
    """A path, or the name of a log or counter: UTF-8 without NUL, which separates names in a list of them.

    Lone surrogates are let through (the port does not forbid them). Order by bytes is order by code points, and what
    is a prefix stays one.
    """
    raw = name.encode("utf-8", "surrogatepass")
    if b"\0" in raw or b"\1" in raw:
        raw = raw.replace(b"\1", b"\1\2").replace(b"\0", b"\1\1")
    return raw


def unspell(raw: bytes) -> str:
    if b"\1" in raw:
        raw = raw.replace(b"\1\1", b"\0").replace(b"\1\2", b"\1")
    return raw.decode("utf-8", "surrogatepass")


class Fields:
    """The fields of a space that a script fetches at once, each named by its number from 1 on."""

    def __init__(self, *first: bytes) -> None:
        self._slots: dict[bytes, int] = {name: at for at, name in enumerate(first, 1)}

    def slot(self, kind: bytes, name: str) -> int:
        return self._slots.setdefault(kind + spell(name), len(self._slots) + 1)

    def words(self) -> list[bytes]:
        return [b"%d" % len(self._slots), *self._slots]


def written(words: Iterable[bytes]) -> bytes:
    """Words without NUL as the one argument that words.lua takes apart."""
    return b"\0".join(words) + b"\0"
