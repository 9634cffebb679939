"""A read as read.lua takes it, and its answer as the port has it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ..base import READ_BYTES, READ_ENTRIES, Counters, Doc, Docs, Document, Log, LogView, Look, Space, Want
from .commits import corrupt
from .scripts import Word
from .spelling import Fields, spell, unspell, written

PART: Final = 3 * 2**20
"""Bytes that one call of the script returns, so that it holds up nobody for 10 ms. A larger item it only names."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one call gave, and what the port's bound leaves for another."""

    look: Look
    paused: bool = False
    """Whether another call may go on with `Look.more`."""

    @property
    def items(self) -> int:
        return len(self.look.docs) + sum(len(view.entries) for view in self.look.logs.values())

    @property
    def bytes(self) -> int:
        return sum(len(doc.data) for doc in self.look.docs.values()) + sum(
            len(entry) for view in self.look.logs.values() for entry in view.entries.values()
        )


class Named(Exception):
    """The script named a field instead of returning what is in it. Never leaves the engine."""

    def __init__(self, field: bytes) -> None:
        self.field = field


def words_of(wants: Sequence[Want], so_far: Part | None = None) -> tuple[Word, ...]:
    """The script's arguments; ``so_far``: what this read has already."""
    fields = Fields(b"h")
    words: list[bytes] = []
    for want in wants:
        match want:
            case Doc(path):
                words += b"D", b"%d" % fields.slot(b"v", path)
            case Docs(prefix, after):
                words += b"S", spell(prefix), b"" if after is None else b"+" + spell(after)
            case Log(log, spans, last, since):
                slots = fields.slot(b"l", log), 0 if since is None else fields.slot(b"c", since)
                words += b"L", *(b"%d" % number for number in (*slots, max(0, last), len(spans)))
                for low, high in spans:
                    words += b"%d" % low, b"" if high is None else b"%d" % high
            case Counters(names):
                words += b"C", b"%d" % len(names), *(b"%d" % fields.slot(b"c", name) for name in names)
    items, size = (so_far.items, so_far.bytes) if so_far else (0, 0)
    bounds = READ_ENTRIES - items, max(0, READ_BYTES - size), PART, 1 if items else 0
    return (written((*(b"%d" % bound for bound in bounds), *fields.words(), *words)),)


def row_words(counters: Sequence[str]) -> tuple[Word, ...]:
    """Asks for what a listing shows of a space."""
    fields = Fields(b"h")
    slots = [b"%d" % fields.slot(b"c", name) for name in counters]
    return (written((b"0", b"0", b"0", b"0", *fields.words(), b"R", b"C", b"%d" % len(slots), *slots)),)


HEAD_WORDS: Final[tuple[Word, ...]] = (written((b"0", b"0", b"0", b"0", b"1", b"h")),)
"""Asks for incarnation and revision."""


def part_of(space: Space, wants: Sequence[Want], reply: Any, fetched: Mapping[bytes, bytes]) -> Part:
    """What the script replied; ``fetched``: field -> what is in it, of those that were named.

    Raises:
        Corrupt
        Named: Fetch the field, then ask again.
    """

    def whole(data: Any) -> bytes:
        if isinstance(data, list):
            if data[0] not in fetched:
                raise Named(data[0])
            return fetched[data[0]]
        assert isinstance(data, bytes)
        return data

    if reply is None:
        return Part(Look(None))
    if reply[0] == b"corrupt":
        raise corrupt(space, reply[1:])
    incarnation, revision, expires = reply[0].decode(), reply[1], reply[3]
    docs: dict[str, Document] = {}
    logs: dict[str, LogView] = {}
    counters: dict[str, int] = {}
    more: list[Want] = []
    for want, found in zip(wants, reply[4:]):
        match want:
            case Doc(path):
                if found == 0:
                    more.append(want)
                elif found is not None:
                    docs[path] = Document(whole(found[1]), f"{incarnation}.{found[0].decode()}")
            case Docs(prefix, after):
                left, *rest = found
                for raw, put, data in zip(rest[::3], rest[1::3], rest[2::3]):
                    after = unspell(raw)
                    docs[after] = Document(whole(data), f"{incarnation}.{put.decode()}")
                if left:
                    more.append(Docs(prefix, after))
            case Log(log):
                start, length, left, *runs = found
                entries = dict(logs[log].entries) if log in logs else {}
                for first, run in zip(runs[::2], runs[1::2]):
                    if None in run:
                        raise corrupt(space, [f"{log}[{first + run.index(None)}]".encode("utf-8", "replace")])
                    entries.update(enumerate(map(whole, run), first))
                if left:
                    more.append(Log(log, tuple(sorted(zip(left[::2], left[1::2])))))
                logs[log] = LogView(start, length, dict(sorted(entries.items())))
            case Counters(names):
                counters |= {name: int(value) for name, value in zip(names, found)}
    ends = None if expires is None else int(expires) / 1000
    return Part(Look(incarnation, revision, docs, logs, counters, tuple(more), ends), paused=bool(reply[2]))


def join(first: Part, then: Part) -> Part:
    """Both, of one state."""
    docs = {**first.look.docs, **then.look.docs}
    counters = {**first.look.counters, **then.look.counters}
    logs = dict(first.look.logs)
    for name, view in then.look.logs.items():
        entries = {**logs[name].entries, **view.entries} if name in logs else view.entries
        logs[name] = LogView(view.start, view.length, dict(sorted(entries.items())))
    look = replace(first.look, docs=docs, logs=logs, counters=counters, more=then.look.more)
    return Part(look, then.paused)
