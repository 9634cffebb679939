"""What `Conversation` and `AsyncConversation` do that takes a store: each step blocks, and is whole.

Law: what was said is stored once, whatever is lost of the answers of a store, and in the order of the calls.

Rule 1. A call that failed, or was not waited for, is in doubt: made again as it was, it is looked for before it is
        stored. It is in doubt until something else was stored: then the same words are said once more.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from . import calls, ids, records
from .errors import AlreadyExistsError, SessionNotFoundError
from .formats.conversion import Converted
from .growing import Growing
from .messages import Message, ensure_id, same
from .prices import Ask, Own, Prices
from .prompts import Name, Strategy, build_prompt
from .saying import Call, dialect, shown
from .segments import SegmentAfter
from .sessions import Sessions, access, checks, shapes
from .sessions.across import pieces
from .sessions.appending import REPEATS, append
from .stores import DEFAULT, open_store
from .stores.base import KEEP, Store, Ttl
from .usage import Totals

DOUBTS: Final = 100
"""Calls in doubt that are known again: the latest."""


class Conversing:
    """One agent's conversation.

    Attributes:
        store: Where it is.
        sessions: The service over it.
        access: The conversation's session.
        segment: Of it, the one that goes on.
    """

    def __init__(
        self,
        session_id: str,
        store: Store | str | None,
        *,
        user_id: str | None,
        agent_id: str,
        segment_after: SegmentAfter | int | None,
        prices: Prices | Own | Ask | None,
        ttl: float | None,
        title: str | None,
    ) -> None:
        self.session_id = ids.check("session_id", session_id)
        self.user_id = checks.owner(user_id)
        self.agent_id = ids.check("agent_id", agent_id)
        after = None if segment_after is None else SegmentAfter.of(segment_after)
        checks.text("title", title)
        self._title, self._prices = title, prices if isinstance(prices, Prices) else Prices(prices)
        self._ttl: Ttl = KEEP if ttl is None else checks.seconds("ttl", ttl)
        self._opened = not isinstance(store, Store)
        if not isinstance(store, Store):
            store = open_store(store or os.environ.get("STRANDS_SESSION_STORE") or DEFAULT)
        self.store = store
        self.sessions = Sessions(store, prices=self._prices)
        self.access = access.session(store, session_id, user_id)
        self._storing = threading.Lock()
        self._doubts: deque[Call] = deque(maxlen=DOUBTS)
        self.segment = Growing(self.access, self.agent_id, after, self._prices, self._ttl)

    # ----------------------------------------------------------------------------------------------------- what is said

    def store_call(self, call: Call) -> tuple[shapes.Said, ...]:
        """Store what a call says; one read and one commit, for what is repeated a read more.

        Raises:
            AlreadyExistsError: Another message has the id that it was given.
            StoreError: As the engine says. InDoubt: it may be stored; made again it is not stored twice.
        """
        with self._storing:  # in order, and never beside a call that is in doubt
            repeated = self._begun(call)
            stored = self._stored(call, repeated)
            self._doubts.clear()
            if not call.heard:
                self._doubts.append(call)
            return stored

    @contextmanager
    def told(self, call: Call) -> Iterator[None]:
        """Around all of a call: where it fails, or is not waited for any more, it is in doubt."""
        try:
            yield
        except BaseException:
            call.heard = False
            self._doubts.append(call)
            raise

    def _begun(self, call: Call) -> bool:
        """Whether it may be stored already; then its messages are those that may be."""
        if call.id is not None:
            return True
        for doubt in list(self._doubts):
            if doubt.id is None and same(doubt.said.key, call.said.key):
                call.messages = doubt.messages
                return True
        return False

    def _stored(self, call: Call, repeated: bool) -> tuple[shapes.Said, ...]:
        messages = call.messages
        names = [ensure_id(message) for message in messages] if repeated else []
        if repeated and (there := self._there(messages)):
            return there
        counted = partial(calls.counted, model=call.model, source=call.source, prices=self._prices)
        try:
            stored = append(self.access, self.agent_id, messages, names, counted, ttl=self._ttl, make=self._session)
        except AlreadyExistsError:
            if there := self._there(messages):
                return there
            raise
        self.segment.grow(stored, call.model)
        return stored

    def _session(self) -> records.Session:
        return records.Session(session_id=self.session_id, user_id=self.user_id, title=self._title)

    def _there(self, messages: list[Message]) -> tuple[shapes.Said, ...]:
        """Those of the messages' ids, if they are among the last of the conversation; in whatever segment."""
        wanted = {ensure_id(message): message for message in messages}
        found: dict[str, shapes.Said] = {}
        looked = 0
        try:
            for piece in pieces(self.access, self.agent_id, None, None, back=True, size=REPEATS):
                for index, entry in piece.entries.items():
                    id = entry.message.get("tracking_id")
                    if id in wanted:
                        found[id] = shapes.Said(index, entry)
                looked += piece.high - piece.low
                if looked >= REPEATS or len(found) == len(wanted):
                    break
        except SessionNotFoundError:
            return ()
        for id, one in found.items():
            kept, asked = one.entry.message, wanted[id]
            changed = one.entry.removed is not None or one.entry.redacted is not None
            if kept["role"] != asked["role"] or not (changed or same(kept["content"], asked["content"])):
                raise AlreadyExistsError(
                    f"message {id!r} of agent {self.agent_id!r} says something else, at index {one.index}; nothing was "
                    "written. Give each message an id of its own, or none"
                )
        return tuple(found[id] for id in wanted) if len(found) == len(wanted) else ()

    # ---------------------------------------------------------------------------------------------------------- reading

    def shown(self, format: str | None, system: Any, strict: bool) -> list[Message] | Converted:
        """What a model is to be given; empty before anything was said."""
        if format is None and system is not None:
            raise ValueError("system is for a dialect; name its format, or leave it out")
        if format is not None:
            dialect(format)
        checks.flag("strict", strict)
        try:
            found = self.sessions.messages.context(self.session_id, self.user_id, agent_id=self.agent_id)
        except SessionNotFoundError:
            found = []
        found = build_prompt(found, lambda history: history.oldest())
        return found if format is None else shown(found, format, system, strict=strict)

    def prompt(
        self, strategy: Strategy | Name, max_tokens: int | None, model: str | None, max_turns: int | None
    ) -> list[Message]:
        ask = partial(self.sessions.prompt, self.session_id, self.user_id, agent_id=self.agent_id)
        try:
            return ask(strategy=strategy, max_tokens=max_tokens, model=model, max_turns=max_turns)
        except SessionNotFoundError:
            return build_prompt([], strategy, max_tokens=max_tokens, model=model, max_turns=max_turns)

    def full_history(self, start: int | None, limit: int, cursor: str | None) -> shapes.ConversationPage:
        segments, id = self.sessions.segments, self.agent_id
        try:
            return segments.full_history(
                self.session_id, self.user_id, agent_id=id, start=start, limit=limit, cursor=cursor
            )
        except SessionNotFoundError:
            return shapes.ConversationPage((), 0, None, None)

    def chain(self) -> tuple[shapes.SegmentOverview, ...]:
        try:
            return self.sessions.segments.chain(self.session_id, self.user_id, agent_id=self.agent_id)
        except SessionNotFoundError:
            return ()

    def stats(self) -> shapes.ConversationStats:
        try:
            return self.sessions.segments.stats(self.session_id, self.user_id, agent_id=self.agent_id)
        except SessionNotFoundError:
            return shapes.ConversationStats(1, 0, Totals(), None)

    def close(self) -> None:
        if self._opened:
            self.store.close()
