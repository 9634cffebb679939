"""All that an agent has said in a conversation, read in pieces from either end, across its segments.

Rule 1. What ended meanwhile is found where it is now: each message once, whichever way it goes.
Rule 2. One read for the conversation's session and for each piece. A place in the middle is found by halving.
Rule 3. A cursor is of one log: ``<log>/older/<index>`` goes on before the index, ``<log>/newer/<index>`` from it on; in
        a segment that has ended ``/<number>:<start>:<end>`` of that follows, so that it need not be looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from .. import layout, records
from ..errors import InvalidCursorError
from ..stores.base import Doc, Log, LogView, Space, Want
from ..stores.reading import read_whole
from .access import Access, load
from .ended import complete
from .entries import entry
from .shapes import MAX_PAGE

_REST: Final = re.compile(r"(\d{1,18})(?:/(\d{1,9}):(\d{1,18}):(\d{1,18}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Where:
    """An ended segment."""

    number: int
    start: int | None = None
    """Index of its first message; None: not known yet, like its end."""
    end: int | None = None
    """Of the message behind its last."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive messages, in one session."""

    session_id: str
    where: Where | None
    """None: the segment that goes on. Else its start and end are known."""
    low: int
    """Index of the first message, of the whole conversation."""
    high: int
    """Behind the last."""
    length: int
    """Of all of it."""
    entries: Mapping[int, records.Message] = field(default_factory=dict)
    """By index in the conversation."""
    last: bool = False
    """True: nothing comes behind it on the way. False: something does, unless its segment is gone."""


def cursor_at(log: str, at: int, where: Where | None, *, back: bool) -> str:
    """What goes on at a place, for `place_of`."""
    inside = "" if where is None else f"/{where.number}:{where.start}:{where.end}"
    return f"{log}/{'older' if back else 'newer'}/{at}{inside}"


def place_of(log: str, cursor: str) -> tuple[bool, int, Where | None]:
    """Which way a cursor goes, and the place where it goes on, as `pieces` takes it.

    Raises:
        InvalidCursorError: It is none of this log.
    """
    name, _, rest = str(cursor).rpartition("/older/") if "/older/" in str(cursor) else str(cursor).rpartition("/newer/")
    if name == log and (match := _REST.fullmatch(rest)) is not None:
        at, number, *ends = (None if digits is None else int(digits) for digits in match.groups())
        assert at is not None
        return "/older/" in str(cursor), at, None if number is None else Where(number, *ends)
    raise InvalidCursorError(
        f"cursor {str(cursor)[:80]!r} is none of the history {log!r}; hand on what a page of it gave"
    )


def pieces(
    access: Access[records.Session], agent_id: str, at: int | None, where: Where | None, *, back: bool, size: int
) -> Iterator[Piece]:
    """The messages from a place on, each piece read when it is asked for. There is always one.

    Args:
        access: Of the conversation's session.
        agent_id: Whose.
        at: An index, which is in the first piece going up and behind it going back; None: the end.
        where: In which segment that is, if it is known and has ended.
        back: Towards the beginning.
        size: Messages of the first piece; later ones are twice as large each, up to 1,000.
    """
    path, log = layout.segments(agent_id), layout.history(agent_id)
    while True:
        here = at if where is None else 0
        span = Log(log, last=size) if here is None else Log(log, spans=[_span(here, size, back=back)])
        look = access.look(Doc(path), span)
        view = look.logs[log]
        ended = (load(look, path, records.Segments) if path in look.docs else records.Segments()).ended
        spaces = _Ended(access, access.record(look).created, agent_id, ended, view)
        if where is None and ended and at is not None and (at <= view.start if back else at < view.start):
            where = spaces.find(at, back=back) if at else Where(1)
            at = at if where is not None or back else view.start
        if where is None:
            entries = _entries(log, view, 0)
            edge = view.length if at is None else min(max(at, view.start), view.length)
            low, high = min(entries, default=edge), max(entries, default=edge - 1) + 1
            last = low <= view.start and not ended if back else high >= view.length
            piece = Piece(access.space.id, None, low, high, view.length, entries, last)
            yield piece
            at, size = piece.low if back else piece.high, min(2 * size, MAX_PAGE)
            if at < view.length if not back else at > view.start:
                continue
            if not back or not ended:
                return
            where = Where(ended, None)
        while where is not None:
            found = spaces.read(where, at, size, back=back)
            if found is not None:
                yield found
                at, size = found.low if back else found.high, min(2 * size, MAX_PAGE)
                where = found.where
                assert where is not None and where.start is not None and where.end is not None
                if at > where.start if back else at < where.end:
                    continue
            number = where.number + (-1 if back else 1)
            if number == 0:
                return
            where = Where(number) if number <= ended else None
            if where is None:  # also where the last ones are gone
                at = max(at or 0, view.start)


# ------------------------------------------------------------------------------------------------------------- private


class _Ended:
    """The segments of a conversation that have ended."""

    def __init__(self, access: Access[records.Session], created: float, agent_id: str, ended: int, on: LogView) -> None:
        """``on``: of the history that goes on."""
        self._access, self._created, self._agent_id, self._ended = access, created, agent_id, ended
        self._on = on

    def read(self, where: Where, at: int | None, size: int, *, back: bool) -> Piece | None:
        """A piece of one; None: it is gone. Where all on the way was erased, it is empty and at the segment's end."""
        log = layout.history(self._agent_id)
        if where.start is None or where.end is None or at is None:
            at = None
            span = Log(log, last=size) if back else Log(log, spans=[(0, size)])
        else:
            at = min(at, where.end)
            span = Log(log, spans=[_span(at - where.start, size, back=back)])
        look = self._look(where.number, span)
        if look is None:
            return None
        part, view = look
        where = Where(where.number, part.start, part.end)
        entries = _entries(log, view, part.start)
        edge = part.start if back else part.end
        low, high = min(entries, default=edge), max(entries, default=edge - 1) + 1
        latest = where.number == self._ended and self._on.start == self._on.length
        last = low <= part.start and where.number == 1 if back else high >= part.end and latest
        return Piece(self._space(where.number).id, where, low, high, self._on.length, entries, last)

    def find(self, at: int, *, back: bool) -> Where | None:
        """The one that has the message before an index going back, else the one that has it; where it is gone, the next
        one on the way."""
        wanted = at - 1 if back else at
        low, high = 1, self._ended
        best: Where | None = None
        while low <= high:
            middle = (low + high) // 2
            found = next((one for n in range(middle, low - 1, -1) if (one := self._where(n)) is not None), None)
            if found is None:  # all from the lowest to the middle are gone
                low = middle + 1
                continue
            assert found.start is not None and found.end is not None
            if found.start <= wanted < found.end:
                return found
            if found.start > wanted:
                best, high = best if back else found, found.number - 1
            else:
                best, low = found if back else best, middle + 1
        return best

    def _where(self, number: int) -> Where | None:
        look = self._look(number)
        return None if look is None else Where(number, look[0].start, look[0].end)

    def _look(self, number: int, *wants: Want) -> tuple[records.Segment, LogView] | None:
        space = self._space(number)
        look = read_whole(self._access.store, space, Doc(layout.SESSION), Doc(layout.MAKING), *wants)
        if look.incarnation is not None and layout.SESSION not in look.docs:
            complete(self._access.store, space)
            return self._look(number, *wants)
        if layout.SESSION not in look.docs:
            return None
        part = load(look, layout.SESSION, records.Session).segment
        return None if part is None else (part, next(iter(look.logs.values()), LogView(0, 0, {})))

    def _space(self, number: int) -> Space:
        return layout.segment_space(self._access.space, self._created, self._agent_id, number)


def _span(at: int, size: int, *, back: bool) -> tuple[int, int]:
    return (max(at - size, 0), max(at, 0)) if back else (max(at, 0), max(at, 0) + size)


def _entries(log: str, view: LogView, by: int) -> dict[int, records.Message]:
    """What was read of a log whose first entry has the index ``by`` in the conversation."""
    return {by + i: entry(records.Message, log, i, data) for i, data in sorted(view.entries.items())}
