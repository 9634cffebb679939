"""Segments of a conversation: how an agent's ends, and all of them read as one.

The conversation is the session whose id the application knows. Its segments that have ended are sessions below it, of
kind ``segment``, one after the other for each agent; what goes on is in the conversation's own.

Rule 1. Indices are of the whole conversation: a message has the same one before and after its segment ends.
Rule 2. Who reads while a segment ends finds each message once: where one is, is looked up for every page.
Rule 3. A segment that was deleted is left out.
"""

from __future__ import annotations

from .. import ids, layout, records
from ..prices import Ask, Own, Prices
from ..segments import SegmentAfter
from ..stores.base import Counters, Doc, Log, Store
from ..usage import Totals
from . import checks
from .access import Part, load
from .across import cursor_at, pieces, place_of
from .chain import parts
from .messages import DEFAULT
from .rollover import counting, finished, measured, summarized, summarizer_of
from .shapes import ConversationPage, ConversationStats, Placed, SegmentOverview


class Segments(Part):
    """The segments of conversations."""

    def __init__(self, store: Store, prices: Prices | Own | Ask | None = None) -> None:
        super().__init__(store)
        self._prices = prices if isinstance(prices, Prices) else Prices(prices)

    def end(
        self,
        session_id: str,
        user_id: str | None = None,
        *,
        agent_id: str = DEFAULT,
        after: SegmentAfter | int | None = None,
        if_due: bool = False,
        model: str | None = None,
    ) -> records.Session | None:
        """End the segment that goes on: what was said in it moves to a session of its own, and a summary is what the
        next one begins with. A read, the summary, and five commits; see `ending`.

        Args:
            session_id: The conversation's.
            user_id: Its owner.
            agent_id: Whose.
            after: How it is summarized, with how many turns the next one goes on, and, with ``if_due``, when it ends;
                None: ``SegmentAfter()``. A summarizer that has to be awaited is refused here.
            if_due: True: it ends only if it is so large. Else it ends now.
            model: For the estimate of its tokens.

        Returns:
            The session that has its messages now; None: it goes on, as nothing was said in it, its last turn is not
            over (an answer or the result of a tool is waited for), or it is not due.

        Raises:
            ConflictError: Something was said meanwhile, or another ends it. It goes on.
            SessionBusyError: A process runs the session with a lease. It goes on.
            SummaryError: The summarizer gave none. It goes on, an event of type "summary" says so. So it is with
                whatever a callable, agent or model raises.
        """
        rule = SegmentAfter() if after is None else SegmentAfter.of(after, "after")
        summarize = summarizer_of(rule.summarize)  # what is none is refused before anything is read
        checks.flag("if_due", if_due)
        if model is not None:
            checks.words("model", model)
        found = self._session(session_id, user_id)
        look = measured(found, ids.check("agent_id", agent_id), rule, counting(model), if_due=if_due)
        if look is None or look.rollover is None:
            return None
        return finished(look.rollover, summarized(look.rollover, summarize), self._prices)

    def chain(
        self, session_id: str, user_id: str | None = None, *, agent_id: str = DEFAULT
    ) -> tuple[SegmentOverview, ...]:
        """All of them, oldest first; the last is the one that goes on. Two reads, and a listing for each 1,000 sessions
        directly below the conversation's."""
        return parts(self._session(session_id, user_id), ids.check("agent_id", agent_id))[0]

    def full_history(
        self,
        session_id: str,
        user_id: str | None = None,
        *,
        agent_id: str = DEFAULT,
        start: int | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> ConversationPage:
        """A part of all that was said in a conversation, in whichever segment. One read for each segment it is in, and
        where it has to be looked for one for each time their number can be halved.

        Args:
            session_id: The conversation's.
            user_id: Its owner.
            agent_id: Whose history.
            start: From this index on; 0: from the oldest. Without it and ``cursor``: the newest.
            limit: 1 to 1,000. Fewer are returned where some were removed, or a segment was deleted.
            cursor: `ConversationPage.older` or `ConversationPage.newer` of another page.

        Raises:
            InvalidCursorError: The cursor is none of such a page.
        """
        log = layout.history(ids.check("agent_id", agent_id))
        checks.limit(limit)
        checks.index("start", start)
        if start is not None and cursor is not None:
            raise ValueError("start and cursor both say where the page begins; give one of them")
        back, at, where = place_of(log, cursor) if cursor is not None else (start is None, start, None)
        found: dict[int, Placed] = {}
        looked = 0
        first = last = None
        for piece in pieces(self._session(session_id, user_id), agent_id, at, where, back=back, size=limit):
            taken = sorted(piece.entries.items(), reverse=back)[: limit - looked]
            found |= {i: Placed(i, piece.session_id, entry) for i, entry in taken if entry.removed is None}
            looked += len(taken)
            low = min((i for i, _ in taken), default=piece.low)
            high = max((i + 1 for i, _ in taken), default=piece.high)
            first = first or (high if back else low, piece.where)
            last = low if back else high, piece.where
            length = piece.length
            if looked == limit:
                break
        assert first is not None and last is not None
        older, newer = (last, first) if back else (first, last)
        return ConversationPage(
            tuple(one for _, one in sorted(found.items())),
            length,
            cursor_at(log, *older, back=True) if older[0] and not (back and looked < limit) else None,
            cursor_at(log, *newer, back=False) if newer[0] < length else None,
        )

    def stats(self, session_id: str, user_id: str | None = None, *, agent_id: str = DEFAULT) -> ConversationStats:
        """A conversation in figures; one read."""
        log, path = layout.history(ids.check("agent_id", agent_id)), layout.segments(agent_id)
        look = self._session(session_id, user_id).look(Doc(path), Log(log), Counters(layout.USAGE_COUNTERS))
        known = load(look, path, records.Segments) if path in look.docs else records.Segments()
        return ConversationStats(known.ended + 1, look.logs[log].length, Totals.of(look.counters), known.summary)
