"""What is kept in order: messages."""

from __future__ import annotations

from typing import TypeVar

from .. import codec, ids, layout, records
from ..stores.base import Log
from . import checks
from .access import Part
from .shapes import Slice

R = TypeVar("R", bound=records.Record)


class Logs(Part):
    def history(
        self, session_id: str, agent_id: str, user_id: str | None = None, *, start: int | None = None, limit: int = 50
    ) -> Slice[records.Message]:
        """What was said by an agent and to it, whatever its context is by now.

        Args:
            session_id: Which session.
            agent_id: One that is not in the session has an empty history.
            user_id: Its owner.
            start: The first index; None: the last ``limit`` entries.
            limit: 1 to 1,000.
        """
        log = layout.history(ids.check("agent_id", agent_id))
        return self._slice(session_id, user_id, log, records.Message, start, limit)

    def _slice(
        self, session_id: str, user_id: str | None, log: str, kind: type[R], start: int | None, limit: int
    ) -> Slice[R]:
        checks.limit(limit)
        checks.index("start", start)
        want = Log(log, last=limit) if start is None else Log(log, spans=[(start, start + limit)])
        view = self._session(session_id, user_id).look(want).logs[log]
        entries = {index: codec.load(kind, data, f"{log}[{index}]") for index, data in sorted(view.entries.items())}
        return Slice(entries, view.start, view.length)
