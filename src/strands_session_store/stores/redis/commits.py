"""A commit as commit.lua takes it, and its answer as the port has it. Pure."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import ConflictError, Corrupt, Regressed, TooLarge
from ..base import (
    ABSENT,
    ANY,
    KEEP,
    Add,
    Append,
    Change,
    Committed,
    DropDoc,
    Expect,
    Expected,
    Mark,
    PutDoc,
    Replace,
    Space,
    Summary,
    Trim,
    Ttl,
    new_incarnation,
)
from .scripts import Word
from .spelling import Fields, spell, unspell, written


def expected_word(expected: Expected, on: Expected = ANY) -> bytes:
    """Nothing for ANY, ``-`` for ABSENT, else ``=`` and the version or incarnation; a version of the incarnation that
    ``on`` names begins with its dot."""
    if isinstance(expected, Mark):
        return b"-" if expected is ABSENT else b""
    if isinstance(on, str) and expected.startswith(f"{on}."):
        return spell(expected[len(on) :])
    return b"=" + spell(expected)


def short(commit_id: str) -> bytes:
    """What stands for the id: of two commits of a space within minutes, a chance in 10^19 to be taken for one."""
    return hashlib.blake2b(commit_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()


@dataclass(frozen=True, slots=True)
class Answer:
    """What commit.lua did."""

    committed: Committed
    created: bool = False
    touched: bytes = b""
    """Time of the engine, when the row in the index is to be moved."""
    parent: str | None = None
    taken_from: str | None = None
    """The parent before, of a space that was moved."""
    undeleted: int = 0
    """Entries that were erased and are still to be deleted."""


class Unclaimed(Exception):
    """The space is absent; its rows in the index have to be claimed before it is created. Never leaves the engine."""


class Moving(Exception):
    """The space is to be put below another parent; its row has to be made there before. Never leaves the engine."""

    def __init__(self, created: bytes) -> None:
        self.created = created
        """The time that the row has to have."""


class Encoded:
    """The changes in the order in which the script gets them."""

    def __init__(self, changes: Sequence[Change], on: Expected) -> None:
        # a set has no order; the script keeps its list of paths ascending and wants them so
        self.changes = sorted(changes, key=_place)
        self._on = on
        self._fields = Fields(b"h", b"i", b"r")
        self._words: list[bytes] = []
        self._payloads: list[bytes] = []
        for change in self.changes:
            self._add(change)

    def _add(self, change: Change) -> None:
        slot, words, payloads = self._fields.slot, self._words, self._payloads
        match change:
            case PutDoc(path, data, expected):
                words += b"P%d" % slot(b"v", path), expected_word(expected, self._on)
                payloads.append(data)
            case DropDoc(path, expected):
                words += b"D%d" % slot(b"v", path), expected_word(expected, self._on)
            case Expect(path, expected):
                words += b"E%d" % slot(b"v", path), expected_word(expected, self._on)
            case Append(log, entries, at):
                words += b"A%d" % slot(b"l", log), b"" if at is None else b"%d" % at, b"%d" % len(entries)
                payloads += entries
            case Replace(log, index, data):
                words += b"R%d" % slot(b"l", log), b"%d" % index
                payloads.append(data)
            case Trim(log, before):
                words += b"T%d" % slot(b"l", log), b"%d" % before
            case Add(counter, delta):
                words += b"C%d" % slot(b"c", counter), b"%d" % delta

    def words(
        self,
        commit_id: str,
        ttl: Ttl,
        summary: Summary | None,
        *,
        claimed: bool,
        row_of: bytes,
        floor: tuple[str, int, str] | None,
        firmly: bool,
    ) -> tuple[Word, ...]:
        """The script's arguments.

        Args:
            claimed: Whether the rows that a new space needs are there.
            row_of: When the space was created whose row below the new parent is there; b"" for none.
        """
        id = short(commit_id)
        parent = summary.parent if summary else None
        owed = b""
        if floor is not None:
            last = f"{floor[1]} {floor[2]}"
            owed = (last if floor[0] == self._on else f"{floor[0]} {last}").encode()
        head = (
            expected_word(self._on),
            b"" if isinstance(self._on, str) else new_incarnation().encode(),
            b"" if ttl is KEEP else b"n" if ttl is None else b"%d" % max(1, math.ceil(ttl * 1000)),
            b"+" if summary else b"",
            b"+" + spell(parent) if parent is not None else b"",
            (b"+" if claimed else b"-" if row_of else b"") + row_of,
            owed,
            b"+" if firmly else b"",
        )
        words = written((*head, *self._fields.words(), *self._words))
        return words, id, *((summary.data,) if summary else ()), *self._payloads

    def answer(self, space: Space, reply: Any) -> Answer:
        """What the script replied.

        Raises:
            ConflictError, TooLarge, Corrupt, Regressed, Unclaimed, Moving
        """
        if isinstance(reply, bytes):
            return self._done(*reply.split(b"\0"))
        what, *rest = reply
        match what:
            case b"repeated":
                incarnation, revision, firsts, values = rest
                indices = {unspell(log): first for log, first in zip(firsts[::2], map(int, firsts[1::2]))}
                numbers = {unspell(name): value for name, value in zip(values[::2], map(int, values[1::2]))}
                return Answer(Committed(incarnation.decode(), revision, indices, numbers, repeated=True))
            case b"on":
                found = rest[0].decode() if rest and rest[0] else None
                raise ConflictError("", ABSENT.value if self._on is ABSENT else self._on, found)
            case b"conflict":
                raise _conflict(self.changes[rest[0] - 1], rest[1] if len(rest) > 1 else None)
            case b"overflow":
                change = self.changes[rest[0] - 1]
                assert isinstance(change, Add)
                value = int(rest[1]) + change.delta
                raise TooLarge(f"counter {change.counter!r} would be {value}: past int64; nothing was written")
            case b"unclaimed":
                raise Unclaimed
            case b"moving":
                raise Moving(rest[0])
            case b"regressed":
                raise regressed(space, rest[0])
        raise corrupt(space, rest)

    def _done(
        self,
        _: bytes,
        incarnation: bytes,
        revision: bytes,
        created: bytes,
        touched: bytes,
        undeleted: bytes,
        parent: bytes,
        *rest: bytes,
    ) -> Answer:
        numbers = map(int, rest)
        indices = {
            change.log: next(numbers) for change in self.changes if isinstance(change, Append) and change.entries
        }
        counters = {change.counter: next(numbers) for change in self.changes if isinstance(change, Add)}
        return Answer(
            Committed(incarnation.decode(), int(revision), indices, counters),
            created == b"1",
            touched,
            unspell(parent[1:]) if parent else None,
            unspell(created[1:]) if created.startswith(b"-") else None,
            int(undeleted),
        )


def _place(change: Change) -> bytes:
    return spell(change.path) if isinstance(change, PutDoc | DropDoc | Expect) else b""


def regressed(space: Space, found: int | None) -> Regressed:
    return Regressed(
        f"the server knows {space.kind} {space.id!r} at revision {found}, and had acknowledged a later one: "
        "a failover or a restart without AOF lost it. Nothing was written; from now on what the server has counts"
    )


def corrupt(space: Space, rest: Sequence[Any]) -> Corrupt:
    field = rest[0].decode("utf-8", "replace") if rest and isinstance(rest[0], bytes) else "?"
    return Corrupt(f"{space.kind} {space.id!r}, field {field!r}", "it is missing or of another make")


def _conflict(change: Change, found: Any) -> ConflictError:
    match change:
        case PutDoc(path, _, expected) | DropDoc(path, expected) | Expect(path, expected):
            return ConflictError(
                path, ABSENT.value if expected is ABSENT else expected, found.decode() if found else None
            )
        case Append(log, _, at):
            return ConflictError(log, at, found)
        case Replace(log, index):
            return ConflictError(log, index, None)
    raise AssertionError(change)
