"""Logs of a session, read by the page from either end. Nothing here writes.

Rule 1. Nothing says where an id stands: it is looked for from the end, so finding it costs what lies behind it, a read
        for a hundred entries and then for up to a thousand each.
Rule 2. Pages grow, so that what is near costs little and what is far few reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from .. import codec, layout, records
from ..errors import InvalidCursorError, MessageNotFoundError, RunNotFoundError
from ..stores.base import Doc, Log, LogView
from .access import Access, load
from .shapes import MAX_PAGE, Said

R = TypeVar("R", bound=records.Record)

FIRST: Final = 100
"""Entries of the first page that is searched for an id."""
LOOKED_AT: Final = 10_000
"""Entries that one call looks at, at most, to fill a page."""


def pages(
    access: Access[records.Session], log: str, at: int | None = None, *, back: bool = True, first: int = FIRST
) -> Iterator[LogView]:
    """A log by the page, each read when it is asked for. There is always one.

    Args:
        access: Of the session.
        log: Which.
        at: Where to begin: an index that is not in the first page when going back, its first one else. None: the end.
        back: Whether to go towards the beginning.
        first: Entries of the first page.
    """
    size = first
    while True:
        if at is None:
            want = Log(log, last=size)
        else:
            want = Log(log, spans=[(max(at - size, 0), at) if back else (at, at + size)])
        view = access.look(want).logs[log]
        yield view
        # an index past the end may be asked for
        at = min(view.length if at is None else at, view.length + size) + (-size if back else size)
        if (back and at <= view.start) or (not back and at >= view.length):
            return
        size = min(size * 2, MAX_PAGE)


@dataclass(slots=True)
class Walked:
    """What of a history was looked at."""

    found: dict[int, records.Message]
    low: int
    high: int
    """The part of it, ``high`` exclusive."""
    start: int
    length: int
    """Of the history."""


def walk(
    access: Access[records.Session],
    log: str,
    admits: Callable[[records.Message], bool],
    *,
    limit: int,
    at: int | None = None,
    back: bool = True,
    floor: int = 0,
    ceiling: int | None = None,
    first: int | None = None,
) -> Walked:
    """Messages that are admitted, up to the limit; at most `LOOKED_AT` entries are looked at.

    Args:
        access, log, at, back: As in `pages`.
        admits: Whether a message is; it is asked of none that was removed.
        limit: How many at most.
        floor: The first index to look at.
        ceiling: The one behind the last; None: the end.
        first: Entries of the first page; None: as many as are wanted.
    """
    found: dict[int, records.Message] = {}
    looked, begun = 0, at

    def told(edge: int, view: LogView) -> Walked:
        begin = view.length if begun is None else begun
        low, high = (edge, begin) if back else (begin, edge)
        return Walked(found, low, high, view.start, view.length)

    for view in pages(access, log, at, back=back, first=first or limit):
        for index, data in sorted(view.entries.items(), reverse=back):
            if index < floor or (ceiling is not None and index >= ceiling):
                return told(floor if back else index, view)
            looked += 1
            said = entry(records.Message, log, index, data)
            if said.removed is None and admits(said):
                found[index] = said
            if len(found) == limit or looked == LOOKED_AT:
                return told(index if back else index + 1, view)
    return told(view.start if back else view.length, view)


def entry(kind: type[R], log: str, index: int, data: bytes) -> R:
    return codec.load(kind, data, f"{log}[{index}]")


def find(access: Access[records.Session], agent_id: str, message_id: str) -> Said:
    """The last message with this tracking id; it may be a removed one.

    Raises:
        MessageNotFoundError: There is none.
    """
    log, named = layout.history(agent_id), codec.encode(message_id)
    for view in pages(access, log):
        for index, data in sorted(view.entries.items(), reverse=True):
            if named in data and is_of(found := entry(records.Message, log, index, data), message_id):
                return Said(index, found)
    raise missing(agent_id, message_id)


def is_of(found: records.Message | records.Variant, message_id: str) -> bool:
    return found.message is not None and found.message.get("tracking_id") == message_id


def missing(agent_id: str, message_id: str) -> MessageNotFoundError:
    return MessageNotFoundError(f"agent {agent_id!r} has no message {message_id!r}")


def span(access: Access[records.Session], agent_id: str, run_id: str) -> tuple[int, int | None]:
    """Where in the agent's history the messages of a run are; None: the end. A run that has ended tells it. Of one that
    is open they are those behind the last one that is older than it, by the clock of its process.

    Raises:
        RunNotFoundError: The agent has no such run.
    """
    path = layout.open_run(run_id)
    look = access.look(Doc(path))
    if path in look.docs:
        run = load(look, path, records.Run)
        _check_run(run, agent_id)
        log = layout.history(agent_id)
        for view in pages(access, log):
            for index, data in sorted(view.entries.items(), reverse=True):
                if (entry(records.Message, log, index, data).at or 0) < run.started:
                    return index + 1, None
        return view.start, None
    named = codec.encode(run_id)
    for view in pages(access, layout.RUNS):
        for index, data in sorted(view.entries.items(), reverse=True):
            if named in data and (run := entry(records.Run, layout.RUNS, index, data)).run_id == run_id:
                _check_run(run, agent_id)
                first = run.first_message or 0
                return first, first + run.messages
    raise RunNotFoundError(f"there is no run {run_id!r}")


def _check_run(run: records.Run, agent_id: str) -> None:
    if run.agent_id != agent_id:
        of = f"of agent_id={run.agent_id!r}" if run.agent_id is not None else "begun without an agent_id"
        raise RunNotFoundError(f"agent {agent_id!r} has no run {run.run_id!r}: it is {of}")


# ------------------------------------------------------------------------------------------------------------- cursors


def cursor(index: int, *, back: bool) -> str:
    """Asks for what is before the index, or from it on."""
    return f"{'before' if back else 'from'}.{index}"


def read_cursor(text: str) -> tuple[int, bool]:
    """The index, and whether to go back from it.

    Raises:
        InvalidCursorError: It is none.
    """
    way, _, index = str(text).partition(".")
    if way not in ("before", "from") or not index.isdecimal() or not index.isascii() or len(index) > 18:
        raise InvalidCursorError(f"{text!r} is no cursor of a history; hand on one that a page has told")
    return int(index), way == "before"
