"""What a commit makes of a head: decided whole before anything is written. Pure.

The same code judges a head that was remembered and one that was just read.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..base import (
    KEEP,
    Append,
    Change,
    Committed,
    DropDoc,
    PutDoc,
    Replace,
    Summary,
    Trim,
    Ttl,
)
from ..checks import check_changes
from ..paging import UPDATED_WITHIN
from . import cells, names, repeats
from .head import Head, LogState, Stored


@dataclass(frozen=True, slots=True)
class Step:
    """A commit, decided."""

    head: Head
    """As it will be, but for what is to be sealed."""
    result: Committed
    replaced: dict[str, dict[int, bytes]] = field(default_factory=dict)
    """Log -> index -> cell of entries whose pages have to be written anew."""


def new_life(now: float, summary: Summary | None) -> Head:
    """A space without anything, before its first commit."""
    # the incarnation is also the name of a folder, so without capitals; the time is one that a row's name can tell
    created = float(names.stamp(now))
    return Head(secrets.token_hex(9), 0, created, created, parent=summary.parent if summary else None)


def decide(
    head: Head, changes: Sequence[Change], commit_id: str, now: float, ttl: Ttl, summary: Summary | None
) -> Step:
    """The head after the changes.

    Raises:
        ConflictError: An expectation does not hold.
        TooLarge: A counter would pass int64.
    """
    counters = check_changes(head, changes)
    revision = head.revision + 1
    docs, logs = dict(head.docs), dict(head.logs)
    indices: dict[str, int] = {}
    replaced: dict[str, dict[int, bytes]] = {}
    for change in changes:
        match change:
            case PutDoc(path, data):
                docs[path] = Stored(revision, len(data), cells.encode(data))
            case DropDoc(path):
                docs.pop(path, None)
            case Append(name, entries) if entries:
                log = head.log(name)
                indices[name] = log.length
            case Replace(name, index, data):
                replaced.setdefault(name, {})[index] = cells.encode(data)
    for name in {change.log for change in changes if isinstance(change, Append | Replace | Trim)}:
        logs[name] = head.log(name)
    # indices are counted before the commit, whatever the order of the changes: what is erased is erased last
    for change in changes:
        if isinstance(change, Append) and change.entries:
            logs[change.log] = _append(logs[change.log], [cells.encode(entry) for entry in change.entries])
    for name, others in replaced.items():
        logs[name] = _replace(logs[name], others)
    for change in changes:
        if isinstance(change, Trim):
            logs[change.log] = _trim(logs[change.log], min(change.before, head.log(change.log).length))
    replaced = {
        name: {index: cell for index, cell in entries.items() if logs[name].start <= index < logs[name].sealed}
        for name, entries in replaced.items()
    }
    result = Committed(head.incarnation, revision, indices, counters)
    done = repeats.Done(commit_id, now, revision, indices, counters)
    blocks, recent = repeats.note(head.blocks, head.recent, done)
    row = (head.summary, head.parent) if summary is None else (summary.data, summary.parent)
    touched = row != (head.summary, head.parent) or now - head.updated >= UPDATED_WITHIN
    after = replace(
        head,
        revision=revision,
        updated=now if touched and head.revision else head.updated,
        expires=head.expires if ttl is KEEP else None if ttl is None else now + ttl,
        summary=row[0],
        parent=row[1],
        moved=head.moved if row[1] == head.parent else revision,
        docs=docs,
        counters={**head.counters, **counters},
        logs={name: log for name, log in logs.items() if log.length},
        blocks=blocks,
        recent=recent,
    )
    return Step(after, result, {name: entries for name, entries in replaced.items() if entries})


def _append(log: LogState, entries: list[bytes]) -> LogState:
    return log._replace(length=log.length + len(entries), tail=(*log.tail, *entries))


def _replace(log: LogState, entries: dict[int, bytes]) -> LogState:
    """With other entries in its tail; those in pages are left to the sealing."""
    tail = list(log.tail)
    for index, cell in entries.items():
        if index >= log.sealed:
            tail[index - log.sealed] = cell
    return log._replace(tail=tuple(tail))


def _trim(log: LogState, before: int) -> LogState:
    """Without the entries below. A page of which some are left stays, and begins below the log's start."""
    if before <= log.start:
        return log
    pages = tuple(page for page in log.pages if page.end > before)
    return log._replace(start=before, pages=pages, tail=log.tail[max(0, before - log.sealed) :])
