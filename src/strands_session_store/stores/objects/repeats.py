"""Which commits a space knows again: their ids and results. Pure.

The latest stand in the head as they are. In front of them are blocks, compressed; they never change, so they are made
once, and opened only when an id is looked for. A block is forgotten when it is past both bounds of the contract. After
a burst of commits there are many at once; then they are sealed, and the head only names them.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ..base import REPEAT_COMMITS, REPEAT_SECONDS

BLOCK: Final = 24
"""Commits in a block."""
INLINE: Final = 4
"""Blocks in the head; beyond, all of them are sealed as one."""


class Done(NamedTuple):
    """A commit, and what it returned."""

    id: str
    time: float
    revision: int
    indices: Mapping[str, int]
    counters: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Block:
    """Commits with the revisions [first, first + count)."""

    first: int
    count: int
    newest: float
    """Time of the last of them."""
    text: str | None
    """What is packed in the head; None: it is sealed."""
    name: str | None = None
    """Of the sealed object, relative to the folder."""
    opened: dict[str, Done] = field(default_factory=dict, compare=False)
    """By id, once it was opened."""

    def open(self, data: bytes | None = None) -> Mapping[str, Done]:
        """What is in it; ``data`` is the sealed object.

        Raises:
            ValueError, KeyError, TypeError, zlib.error: It can not be read.
        """
        if not self.opened:
            raw = zlib.decompress(base64.b64decode(self.text)) if self.text is not None else data
            assert raw is not None
            found = unpack(json.loads(raw), self.first)
            if len(found) != self.count:
                raise ValueError(f"{len(found)} commits in the place of {self.count}")
            self.opened.update((done.id, done) for done in found)
        return self.opened


def pack(done: Sequence[Done]) -> dict[str, Any]:
    """Commits in the form that is stored: each name once, no revisions (they have no gaps), times in milliseconds; and
    every number as its difference from the one before, as these are small and alike."""
    names: dict[str, int] = {}
    sums: dict[tuple[str, str], int] = {}

    def less(kind: str, name: str, value: int) -> int:
        before = sums.get((kind, name), 0)
        sums[kind, name] = value
        return value - before

    def short(kind: str, values: Mapping[str, int]) -> list[int]:
        pairs = ((names.setdefault(name, len(names)), less(kind, name, value)) for name, value in values.items())
        return [number for pair in pairs for number in pair]

    rows = [
        [one.id, less("time", "", round(one.time * 1000)), short("index", one.indices), short("counter", one.counters)]
        for one in done
    ]
    return {"names": list(names), "done": rows}


def unpack(packed: Mapping[str, Any], first: int) -> list[Done]:
    """The commits again; ``first`` is the revision of the first of them."""
    names = packed["names"]
    sums: dict[tuple[str, str], int] = {}

    def more(kind: str, name: str, less: int) -> int:
        sums[kind, name] = value = sums.get((kind, name), 0) + less
        return value

    def long(kind: str, numbers: Sequence[int]) -> dict[str, int]:
        pairs = zip(numbers[::2], numbers[1::2])
        return {names[at]: more(kind, names[at], less) for at, less in pairs}

    return [
        Done(id, more("time", "", time) / 1000, revision, long("index", indices), long("counter", counters))
        for revision, (id, time, indices, counters) in enumerate(packed["done"], first)
    ]


def note(blocks: tuple[Block, ...], recent: tuple[Done, ...], done: Done) -> tuple[tuple[Block, ...], tuple[Done, ...]]:
    """Blocks and latest commits when one more was done; without what need not be known any more."""
    recent = (*recent, done)
    if len(recent) > BLOCK:
        *most, last = recent
        text = base64.b64encode(zlib.compress(json.dumps(pack(most), separators=(",", ":")).encode(), 9)).decode()
        opened = {one.id: one for one in most}
        blocks = (*blocks, Block(most[0].revision, len(most), most[-1].time, text, opened=opened))
        recent = (last,)
    while blocks:
        oldest = blocks[0]
        later = done.revision - (oldest.first + oldest.count - 1)
        # its time was rounded
        if later <= REPEAT_COMMITS or done.time - oldest.newest < REPEAT_SECONDS + 0.001:
            break
        blocks = blocks[1:]
    return blocks, recent


def to_seal(blocks: tuple[Block, ...]) -> list[Block]:
    """The blocks that are to be sealed as one, if there are too many in the head."""
    inline = [block for block in blocks if block.text is not None]
    return inline if len(inline) > INLINE else []
