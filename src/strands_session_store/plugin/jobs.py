"""What hooks ask the writer to store, and how several such jobs become one commit. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .. import records
from ..stores.base import MAX_CHANGES, MAX_COMMIT, MAX_ENTRY, Add, Append, Change, DropDoc, PutDoc, Replace
from .counting import Call, Counts, Tally

SOFT_BYTES = MAX_COMMIT // 8
SOFT_CHANGES = MAX_CHANGES // 2
"""Up to here jobs are joined into one commit; a single job beyond it is written in several, its appends first. Either
holds up a Redis server for less than 10 ms (`python -m bench --only block`)."""
Atom: TypeAlias = list[Change]
"""What has to be in one commit: an entry of a log, first, and what it adds to counters; or all else of a job."""
PENDING_JOBS = 1_000
PENDING_BYTES = MAX_ENTRY
"""So much may be pending of one agent before its hooks wait for the store in every mode. Jobs: 150 turns with a tool,
which one commit takes when the store is back. Bytes, as `size` tells them: the largest entry, or four commits."""
LAST = -1
"""In `Job.replaces`: the entry this writer appended last, in a log whose indices the store assigns."""


@dataclass(slots=True)
class Job:
    """What one hook has to store. Records are encoded by the draining thread, once."""

    fence: str
    """Path of the writer document of the agent (or orchestrator) it speaks for."""
    appends: dict[str, tuple[int | None, list[records.Record]]] = field(default_factory=dict)
    """Log -> (index of the first; None: wherever the log ends, entries)."""
    replaces: dict[tuple[str, int], records.Record] = field(default_factory=dict)
    docs: dict[str, bytes | None] = field(default_factory=dict)
    """Path -> bytes; None drops the document."""
    adds: dict[str, int] = field(default_factory=dict)
    counts: dict[int, Counts | Tally] = field(default_factory=dict)
    """Id of a record that is in here -> what its usage is, which only the draining thread finds out."""

    def append(
        self, log: str, record: records.Record, at: int | None = None, *, counts: Call | Tally | None = None
    ) -> None:
        self.appends.setdefault(log, (at, []))[1].append(record)
        if counts is not None:
            self.counts[id(record)] = counts

    def replace(self, log: str, index: int, record: records.Record, counts: Counts = None) -> None:
        self.replaces[log, index] = record
        if counts is not None:
            self.counts[id(record)] = counts

    def add(self, counter: str, delta: int) -> None:
        if delta:
            self.adds[counter] = self.adds.get(counter, 0) + delta

    def __bool__(self) -> bool:
        return bool(self.appends or self.replaces or self.docs or self.adds)

    def records(self) -> list[records.Record]:
        """What is to be encoded, in order."""
        return [*(record for _, entries in self.appends.values() for record in entries), *self.replaces.values()]


def size(job: Job) -> int:
    """About how many bytes of memory a job holds. Encodes nothing, and counts no further than `PENDING_BYTES`."""
    total = sum(len(data) for data in job.docs.values() if data is not None)
    todo: list[Any] = [vars(record) for record in job.records()]
    while todo and total < PENDING_BYTES:
        value = todo.pop()
        if isinstance(value, str):
            total += str.__sizeof__(value)
        elif isinstance(value, bytes):
            total += bytes.__sizeof__(value)
        else:
            total += _ONE
            if isinstance(value, dict):
                todo += value.values()  # keys are few and mostly shared
            elif isinstance(value, list | tuple):
                todo += value
    return total


_ONE = 64
"""Bytes of a small dict, a list, a number."""


def ids(job: Job) -> tuple[str, ...]:
    """Tracking ids of the messages in a job, oldest first: those of the history, and summaries, which are in none."""
    found = [
        record.message.get("tracking_id")
        for record in job.records()
        if isinstance(record, records.Message)
        or (isinstance(record, records.Variant) and record.of is None and record.message is not None)
    ]
    return tuple(id for id in found if id is not None)


def weight(changes: list[Change]) -> tuple[int, int]:
    """Bytes and number of changes, as `merge` makes them."""
    size = count = 0
    counters: set[str] = set()
    for change in changes:
        match change:
            case Append(_, entries):
                size += sum(map(len, entries))
                count += len(entries)
            case PutDoc(_, data) | Replace(_, _, data):
                size += len(data)
                count += 1
            case Add(counter):
                counters.add(counter)
            case _:
                count += 1
    return size, count + len(counters)


def merge(changes: list[Change]) -> list[Change]:
    """Changes of several jobs as one set: the last document wins, appends are joined, sums added up, and what replaces
    an entry that is itself still on its way takes its place."""
    docs: dict[str, Change] = {}
    appends: dict[str, tuple[int | None, list[bytes]]] = {}
    replaces: dict[tuple[str, int], bytes] = {}
    adds: dict[str, int] = {}
    for change in changes:
        match change:
            case PutDoc(path) | DropDoc(path):
                docs[path] = change
            case Append(log, entries, at):
                appends.setdefault(log, (at, []))[1].extend(entries)
            case Replace(log, index, data):
                at, entries = appends.get(log, (None, []))
                if entries and index == LAST:
                    entries[LAST] = data
                elif at is not None and index >= at:
                    entries[index - at] = data
                else:
                    replaces[log, index] = data
            case Add(counter, delta):
                adds[counter] = adds.get(counter, 0) + delta
            case _:
                raise AssertionError(change)
    return [
        *docs.values(),
        *(Append(log, entries, at) for log, (at, entries) in appends.items()),
        *(Replace(log, index, data) for (log, index), data in replaces.items()),
        *(Add(counter, delta) for counter, delta in adds.items() if delta),
    ]


def split(atoms: list[Atom]) -> list[list[Atom]]:
    """A set too large for one commit as several, to be made in this order: appends first, then all else."""
    parts: list[list[Atom]] = []
    size = count = 0
    for atom in atoms:
        more = weight(atom)[0]
        grows = isinstance(atom[0], Append)
        if not parts or not grows or size + more > SOFT_BYTES or count >= SOFT_CHANGES:
            parts.append([])
            size = count = 0
        parts[-1].append(atom)
        size, count = size + more, count + 1  # the counters of atoms are mostly the same ones
    return parts
