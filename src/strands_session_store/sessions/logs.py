"""What is kept in order beside messages: runs, events."""

from __future__ import annotations

from typing import TypeVar

from .. import codec, layout, records
from ..stores.base import Docs, Log
from . import checks
from .access import Part, load
from .shapes import Slice

R = TypeVar("R", bound=records.Record)


class Logs(Part):
    def runs(
        self, session_id: str, user_id: str | None = None, *, start: int | None = None, limit: int = 50
    ) -> Slice[records.Run]:
        """Invocations that have ended, oldest first.

        Args:
            session_id: Which session.
            user_id: Its owner.
            start: The first index; None: the last ``limit`` entries.
            limit: 1 to 1,000.
        """
        return self._slice(session_id, user_id, layout.RUNS, records.Run, start, limit)

    def open_runs(self, session_id: str, user_id: str | None = None) -> tuple[records.Run, ...]:
        """Invocations that have begun and not ended: under way, or their process was killed. Oldest first."""
        look = self._session(session_id, user_id).look(Docs(layout.OPEN_RUNS))
        runs = [load(look, path, records.Run) for path in look.docs if path.startswith(layout.OPEN_RUNS)]
        return tuple(sorted(runs, key=lambda run: run.started))

    def events(
        self, session_id: str, user_id: str | None = None, *, start: int | None = None, limit: int = 50
    ) -> Slice[records.Event]:
        """Tool calls and the like, oldest first. Arguments as in `runs`."""
        return self._slice(session_id, user_id, layout.EVENTS, records.Event, start, limit)

    def _slice(
        self, session_id: str, user_id: str | None, log: str, kind: type[R], start: int | None, limit: int
    ) -> Slice[R]:
        checks.limit(limit)
        checks.index("start", start)
        want = Log(log, last=limit) if start is None else Log(log, spans=[(start, start + limit)])
        view = self._session(session_id, user_id).look(want).logs[log]
        entries = {index: codec.load(kind, data, f"{log}[{index}]") for index, data in sorted(view.entries.items())}
        return Slice(entries, view.start, view.length)
