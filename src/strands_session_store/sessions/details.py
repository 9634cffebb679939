"""What a session is: made, looked at, changed, ended by a time."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from .. import codec, ids, layout, records
from ..errors import AlreadyExistsError, IllegalMoveError, SessionNotFoundError
from ..stores.base import ABSENT, KEEP, Change, Counters, Doc, Docs, DropDoc, Expect, Look, PutDoc, Ttl
from ..stores.reading import read_whole
from . import checks
from .access import Access, Part, load
from .checks import UNSET, Unset
from .expiring import expire
from .inside import holder, ids_of
from .shapes import Overview
from .values import Metadata, Values, write


class Details(Part):
    """Sessions one by one."""

    def create(
        self,
        session_id: str | None = None,
        user_id: str | None = None,
        *,
        title: str | None = None,
        description: str | None = None,
        agent_name: str | None = None,
        agent_instructions: str | None = None,
        kind: str = "session",
        parent_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        state: Mapping[str, Any] | None = None,
        expires_in: float | None = None,
    ) -> records.Session:
        """Make a session; one commit. A session manager with the same ids goes on in it.

        Args:
            session_id: Unique for its owner; None: one is drawn.
            user_id: Its owner. There need be no record of that user.
            title: At most 255 characters, like ``agent_name``.
            description: At most 1,000 characters.
            agent_name: For people and for `list`; a session manager does not look at it.
            agent_instructions: At most 100,000 characters; in no listing.
            kind: A word to tell sessions apart by.
            parent_id: The session of this owner to hang it below.
            metadata: See `metadata`.
            state: See `state`.
            expires_in: Seconds until it expires, whole, whatever happens in it; None: never.

        Raises:
            AlreadyExistsError: The owner has such a session.
            IllegalMoveError: The parent is not there, or is the session itself.
        """
        session_id = secrets.token_hex(16) if session_id is None else session_id
        found = self._session(session_id, user_id)
        fields = {"title": title, "description": description, "agent_name": agent_name}
        for name, value in {**fields, "agent_instructions": agent_instructions}.items():
            checks.text(name, value)
        ttl: Ttl = KEEP if expires_in is None else checks.seconds("expires_in", expires_in)
        record = records.Session(
            session_id=session_id, user_id=user_id, kind=checks.kind(kind), parent_id=parent_id, **fields
        )
        changes = []
        for name, path, values in (("metadata", layout.METADATA, metadata), ("state", layout.STATE, state)):
            if values is not None:
                checks.mapping(name, values)
                changes.append(write(path, values))
        if agent_instructions is not None:
            changes.append(_instructions(agent_instructions))
        if parent_id is not None:
            if ids.check("parent_id", parent_id) == session_id:
                raise IllegalMoveError(f"session {session_id!r} can not be its own parent")
            self._parent(parent_id, user_id)
        exists = AlreadyExistsError(f"there is a session {session_id!r} already")
        try:
            found.create(record, changes, exists, ttl=ttl)
        except AlreadyExistsError:
            if (begun := _begun(found)) is None:
                raise
            lease = [Expect(path, doc.version) for path, doc in begun.docs.items()]
            ttl = None if expires_in is None else ttl
            found.create(record, [*changes, *lease], exists, ttl=ttl, on=begun.incarnation or ABSENT)
        return record

    def get(self, session_id: str, user_id: str | None = None) -> Overview:
        """What there is in a session, and who has its lease; one read."""
        lease = (Doc(path) for path in (layout.LEASE, layout.LEASE_BEAT, layout.LEASE_WANTED))
        wants = (Counters(layout.COUNTERS), Docs(layout.AGENTS), Docs(layout.MULTI_AGENTS), Docs(layout.OPEN_RUNS))
        found = self._session(session_id, user_id)
        look = found.look(Doc(layout.INSTRUCTIONS), *wants, *lease)
        record = found.record(look)
        told = layout.INSTRUCTIONS in look.docs
        return Overview(
            record,
            dict(look.counters),
            record.updated or record.created,
            look.expires,
            load(look, layout.INSTRUCTIONS, records.Instructions).text if told else None,
            tuple(ids_of(look, layout.AGENTS)),
            tuple(ids_of(look, layout.MULTI_AGENTS)),
            sum(path.startswith(layout.OPEN_RUNS) for path in look.docs),
            holder(look),
            look.docs[layout.SESSION].version,
        )

    def update(
        self,
        session_id: str,
        user_id: str | None = None,
        *,
        title: str | Unset | None = UNSET,
        description: str | Unset | None = UNSET,
        agent_name: str | Unset | None = UNSET,
        agent_instructions: str | Unset | None = UNSET,
        kind: str | Unset = UNSET,
        active: bool | Unset = UNSET,
        expected: str | None = None,
    ) -> records.Session:
        """Change what is given; None empties a field. For the parent see `move`.

        Args:
            expected: Only if the session is as it was when `Overview.revision` was this; None: however it is.

        Returns:
            The session as it is now.

        Raises:
            ConflictError: It was changed since, or made anew. Nothing was written.
        """
        fields = {"title": title, "description": description, "agent_name": agent_name}
        for name, value in {**fields, "agent_instructions": agent_instructions}.items():
            checks.text(name, value)
        checks.flag("active", active)
        checks.revision("expected", expected)
        if kind is not UNSET:
            checks.kind(kind)
        given = {
            name: value for name, value in {**fields, "kind": kind, "active": active}.items() if value is not UNSET
        }
        changes: list[Change] = []
        if agent_instructions is not UNSET:
            changes.append(_instructions(agent_instructions))
        return self._session(session_id, user_id).alter(
            lambda record, look: (record.model_copy(update=given), changes), expected=expected
        )

    def activate(self, session_id: str, user_id: str | None = None, *, expected: str | None = None) -> records.Session:
        """Mark as active again. ``expected`` is as in `update`."""
        return self.update(session_id, user_id, active=True, expected=expected)

    def deactivate(
        self, session_id: str, user_id: str | None = None, *, expected: str | None = None
    ) -> records.Session:
        """Mark as inactive. Nothing else changes: what it means is the application's matter. ``expected`` is as in
        `update`."""
        return self.update(session_id, user_id, active=False, expected=expected)

    # ------------------------------------------------------------------------------------------------------ its end

    def set_expiry(self, session_id: str, seconds: float, user_id: str | None = None) -> None:
        """Have the session expire, whole, with its segments, so many seconds from now. A session manager with a ``ttl``
        moves that."""
        ttl = checks.seconds("seconds", seconds)
        self._expire(session_id, user_id, lambda look: ttl)

    def extend_expiry(self, session_id: str, seconds: float, user_id: str | None = None) -> None:
        """Have the session expire so many seconds later than it would.

        Raises:
            ValueError: It would never expire.
        """
        more = checks.seconds("seconds", seconds)

        def later(look: Look) -> float:
            if look.expires is None:
                raise ValueError(f"session {session_id!r} never expires; give it a time with set_expiry")
            # what is left is told by two clocks; it is not to become nothing
            return max(look.expires - time.time(), 0.0) + more

        self._expire(session_id, user_id, later)

    def clear_expiry(self, session_id: str, user_id: str | None = None) -> None:
        """Have the session never expire."""
        self._expire(session_id, user_id, lambda look: None)

    # ----------------------------------------------------------------------------------------------- what is kept in it

    def metadata(self, session_id: str, user_id: str | None = None) -> Metadata[records.Session]:
        """What the application says about the session. No I/O by itself."""
        return Metadata(self._session(session_id, user_id), layout.METADATA)

    def state(self, session_id: str, user_id: str | None = None) -> Values[records.Session]:
        """What the application keeps in the session; agents have a state of their own. No I/O by itself."""
        return Values(self._session(session_id, user_id), layout.STATE)

    def _expire(self, session_id: str, user_id: str | None, after: Callable[[Look], float | None]) -> None:
        found = self._session(session_id, user_id)
        decided: list[float | None] = []

        def decide(look: Look) -> float | None:
            decided.append(after(look))
            return decided[-1]

        found.alter(lambda record, look: (record, []), ttl=decide)
        # interrupted, it is repeated: so these come second, and no sooner than it
        expire(found, decided[-1])

    def _parent(self, parent_id: str, user_id: str | None) -> records.Session:
        found = self._session(parent_id, user_id)
        try:
            return found.record(found.look())
        except SessionNotFoundError as error:
            raise IllegalMoveError(f"the parent is not there: {error}") from None


def _begun(found: Access[records.Session]) -> Look | None:
    """What is there of no session: the lease of an invocation that ended before anything was said. None: it is one, or
    a process that lives is about to make it."""
    look = found.store.read(found.space, *map(Doc, (layout.SESSION, layout.MAKING)))
    if look.incarnation is None or look.docs:
        return None
    look = read_whole(found.store, found.space, Docs(""))
    held = holder(look)
    if not look.docs or set(look.docs) - {*layout.LEASES} or (held is not None and held.lives):
        return None
    return look


def _instructions(text: str | None) -> Change:
    if text is None:
        return DropDoc(layout.INSTRUCTIONS)
    return PutDoc(layout.INSTRUCTIONS, codec.dump_document(records.Instructions(text=text)))
