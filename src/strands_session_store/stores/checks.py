"""What every engine refuses, in the same words: what may not be asked for, and what was expected otherwise. Pure.

Expectations are looked at here by engines that have a space in memory; Redis does it in its script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ..errors import ConflictError, TooLarge
from .base import (
    ABSENT,
    INT64_MAX,
    KEEP,
    MAX_CHANGES,
    MAX_COMMIT,
    MAX_ENTRY,
    MAX_SUMMARY,
    MAX_TTL,
    Add,
    Append,
    Change,
    DropDoc,
    Expect,
    Expected,
    Incarnation,
    PutDoc,
    Query,
    Replace,
    Summary,
    Trim,
    Ttl,
    Version,
)


def check_commit(changes: Sequence[Change], commit_id: str, ttl: Ttl, summary: Summary | None) -> None:
    """Refuse what no engine may be asked for. Every engine calls it first.

    Raises:
        TooLarge: An entry, the commit, or its number of changes past the limit.
        ValueError: Two changes to one thing, or an argument out of its range.
    """
    if not commit_id or len(commit_id) > 64:
        raise ValueError(f"commit_id must have 1 to 64 characters, got {len(commit_id)}")
    if ttl is not None and ttl is not KEEP and not 0 < ttl < MAX_TTL:
        raise ValueError(f"ttl must be a number of seconds above 0, None or KEEP, got {ttl!r}")
    if summary is not None and len(summary.data) > MAX_SUMMARY:
        raise TooLarge(f"summary has {len(summary.data):,} bytes, the limit is {MAX_SUMMARY:,}")
    seen: set[tuple[str, object]] = set()
    total = count = 0

    def once(kind: str, what: object) -> None:
        if (kind, what) in seen:
            raise ValueError(f"a commit is a set: it changes {kind} {what!r} twice; merge the two changes")
        seen.add((kind, what))

    def weigh(path: str, data: bytes) -> int:
        if len(data) > MAX_ENTRY:
            raise TooLarge(f"{path!r} would hold {len(data):,} bytes, the limit is {MAX_ENTRY:,} an entry")
        return len(data)

    for change in changes:
        count += 1
        match change:
            case PutDoc(path, data):
                once("document", path)
                total += weigh(path, data)
            case DropDoc(path):
                once("document", path)
            case Append(log, entries, at):
                once("the end of log", log)
                if at is not None and at < 0:
                    raise ValueError(f"Append.at must not be negative, got {at}")
                count += max(0, len(entries) - 1)
                total += sum(weigh(log, entry) for entry in entries)
            case Replace(log, index, data):
                once("entry", (log, index))
                if index < 0:
                    raise ValueError(f"Replace.index must not be negative, got {index}")
                total += weigh(log, data)
            case Trim(log, before):
                once("the start of log", log)
                if before < 0:
                    raise ValueError(f"Trim.before must not be negative, got {before}")
            case Add(counter, delta):
                once("counter", counter)
                if not -INT64_MAX - 1 <= delta <= INT64_MAX:
                    raise TooLarge(f"counter {counter!r} can not take {delta}: past int64")
            case Expect():
                pass
    if total > MAX_COMMIT:
        raise TooLarge(f"the commit has {total:,} bytes, the limit is {MAX_COMMIT:,}")
    if count > MAX_CHANGES:
        raise TooLarge(f"the commit has {count:,} changes, the limit is {MAX_CHANGES:,}")


def check_query(query: Query) -> None:
    """Refuse a listing that contradicts itself.

    Raises:
        ValueError: names the argument.
    """
    if not 1 <= query.limit <= 1000:
        raise ValueError(f"limit must be 1 to 1000 rows, got {query.limit}")
    if query.everyone and (query.owner is not None or query.parent is not None):
        raise ValueError("everyone=True lists all owners; owner and parent must be None with it")


# ---------------------------------------------------------------------------------------------------- expectations


class Extent(Protocol):
    """Of a log: the lowest index that was not erased, and the one that the next entry will get."""

    @property
    def start(self) -> int: ...
    @property
    def length(self) -> int: ...


class State(Protocol):
    """A space as it is before a commit."""

    @property
    def counters(self) -> Mapping[str, int]: ...
    def version(self, path: str) -> Version | None: ...
    def log(self, name: str) -> Extent: ...


def check_space(found: Incarnation | None, on: Expected) -> None:
    """Refuse a commit or drop that expects another space.

    Raises:
        ConflictError
    """
    check_version("", found, on)


def check_version(path: str, found: str | None, expected: Expected) -> None:
    """Refuse what expects another version of a document (of the space, for the path "").

    Raises:
        ConflictError
    """
    if expected is ABSENT and found is not None:
        raise ConflictError(path, ABSENT.value, found)
    if isinstance(expected, str) and expected != found:
        raise ConflictError(path, expected, found)


def check_changes(state: State, changes: Sequence[Change]) -> dict[str, int]:
    """Refuse the changes if an expectation does not hold or a counter would overflow; else the counters' new values.

    Raises:
        ConflictError, TooLarge
    """
    counters = {}
    for change in changes:
        match change:
            case PutDoc(path, _, expected) | DropDoc(path, expected) | Expect(path, expected):
                check_version(path, state.version(path), expected)
            case Append(name, _, at):
                if at is not None and at != (length := state.log(name).length):
                    raise ConflictError(name, at, length)
            case Replace(name, index):
                log = state.log(name)
                if not log.start <= index < log.length:
                    raise ConflictError(name, index, None)
            case Add(name, delta):
                counters[name] = state.counters.get(name, 0) + delta
                if not -INT64_MAX - 1 <= counters[name] <= INT64_MAX:
                    raise TooLarge(f"counter {name!r} would be {counters[name]}: past int64; nothing was written")
    return counters
