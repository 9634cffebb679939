"""One space of the service: what is read of it, and how it is changed, with its owner in every key.

Rule 1. A space without its own document (`session`, `user`) is none for a face: NotFoundError, as for another user's.
Rule 2. A change is decided on what was read and committed under the expectation that it is still so. When it is not,
        it is read and decided again.
Rule 3. A commit of which no answer came is repeated under its id, so it is applied once.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Generic, TypeVar

from .. import codec, ids, layout, records, rows
from ..errors import (
    ConflictError,
    IllegalTransitionError,
    InDoubt,
    NotFoundError,
    SessionNotFoundError,
    StoreError,
    Unavailable,
    UserNotFoundError,
)
from ..stores.base import (
    ABSENT,
    KEEP,
    Change,
    Committed,
    Doc,
    Expected,
    Log,
    LogView,
    Look,
    PutDoc,
    Row,
    Space,
    Store,
    Summary,
    Ttl,
    Want,
    new_commit_id,
)
from ..stores.reading import read_whole

R = TypeVar("R", records.Session, records.User)
K = TypeVar("K", bound=records.Record)

TRIES: Final = 30
"""How often a change is decided anew because another came first, before its ConflictError is raised. Each of n writers
is first at least once in n rounds."""
SENT: Final = 3
"""How often a commit is sent, at most, while no answer comes; then its InDoubt is raised."""
PAUSE: Final = 0.005
"""Seconds; a later try waits a random time up to so much for each one before it."""


@dataclass(frozen=True, slots=True)
class Access(Generic[R]):
    """A session or a user, by the keys of its space."""

    store: Store
    space: Space
    path: str
    """Of its own document."""
    kind: type[R]
    missing: Callable[[], NotFoundError]

    def look(self, *wants: Want) -> Look:
        """What is wanted, and its own document.

        Raises:
            NotFoundError: It is not there.
        """
        look = read_whole(self.store, self.space, Doc(self.path), *wants)
        if self.path not in look.docs:
            raise self.missing()
        return look

    def record(self, look: Look) -> R:
        return load(look, self.path, self.kind)

    def create(
        self, record: R, changes: Sequence[Change], exists: StoreError, *, ttl: Ttl = KEEP, on: Expected = ABSENT
    ) -> Committed:
        """Make the space, with its own document and the changes; one commit. ``on``: in the space that is there.

        Raises:
            StoreError: ``exists``, if the space is there already.
        """
        own = PutDoc(self.path, codec.dump_document(record), expect=ABSENT)
        try:
            return send(self.store, self.space, own, *changes, on=on, ttl=ttl, summary=rows.summary(record))
        except ConflictError as conflict:
            raise exists from conflict

    def alter(
        self,
        decide: Callable[[R, Look], tuple[R, Sequence[Change]]],
        *wants: Want,
        ttl: Callable[[Look], Ttl] = lambda look: KEEP,
        expected: str | None = None,
    ) -> R:
        """Change the record, and what else ``decide`` says, in one commit. Its ``updated`` moves.

        Args:
            decide: Given the record and what was wanted; returns the new record and the other changes. Is called
                again when another writer came first; may raise what is to be raised.
            *wants: What it wants to see.
            ttl: What `Store.commit` is to be given, decided with it.
            expected: The version of the record's document that is meant; None: whichever there is.

        Returns:
            The record as it is now.

        Raises:
            NotFoundError: It is not there.
            ConflictError: Others came first each time; with ``expected``: once. Nothing was written.
        """

        def attempt() -> R:
            look = self.look(*wants)
            own = look.docs[self.path].version
            if expected not in (None, own):
                raise ConflictError(self.path, expected, own)
            before = self.record(look)
            after, changes = decide(before, look)
            # never the same time twice, so that a change always shows
            now = max(records.now(), round((before.updated or 0) + 0.001, 3))
            after = after.model_copy(update={"updated": now})
            put = PutDoc(self.path, codec.dump_document(after), expect=own)
            self.commit(look, put, *changes, ttl=ttl(look), summary=rows.summary(after))
            return after

        return self.insist(attempt) if expected is None else attempt()

    def change(
        self,
        decide: Callable[[Look], Sequence[Change]],
        *wants: Want,
        ttl: Ttl = KEEP,
        make: Callable[[], R] | None = None,
    ) -> Committed | None:
        """Change what is beside the record, which stays as it is. What ``decide`` relies on it has to expect itself.

        Args:
            decide: As in `alter`.
            *wants: What it wants to see.
            ttl: As `Store.commit` has it.
            make: Gives the record where there is none: then the commit makes the space too.

        Returns:
            None when ``decide`` returned no changes.

        Raises:
            Unavailable: There is none, as another is writing the space by pieces.
        """

        def attempt() -> Committed | None:
            if make is None:
                look = self.look(*wants)
            else:
                look = _filled(read_whole(self.store, self.space, Doc(self.path), Doc(layout.MAKING), *wants), wants)
            changes = decide(look)
            if not changes or make is None or self.path in look.docs:
                return self.commit(look, *changes, ttl=ttl) if changes else None
            if layout.MAKING in look.docs:
                raise Unavailable(
                    f"{self.space.kind} {self.space.id!r} is being copied here; try again when it is whole"
                )
            record = make()
            own = PutDoc(self.path, codec.dump_document(record), expect=ABSENT)
            # what is there already: the lease of who has said nothing
            on: Expected = look.incarnation or ABSENT
            return send(self.store, self.space, own, *changes, on=on, ttl=ttl, summary=rows.summary(record))

        return self.insist(attempt)

    def commit(self, look: Look, *changes: Change, ttl: Ttl = KEEP, summary: Summary | None = None) -> Committed:
        """As `Store.commit`, if it is still the session that was looked at."""
        assert look.incarnation is not None
        return send(self.store, self.space, *changes, on=look.incarnation, ttl=ttl, summary=summary)

    def insist(self, attempt: Callable[[], T]) -> T:
        """Make an attempt, again when another writer came first.

        Raises:
            ConflictError: Others came first each time.
        """
        for tried in range(TRIES):
            try:
                return attempt()
            except ConflictError:
                if tried + 1 == TRIES:
                    raise
                time.sleep(random.uniform(0, PAUSE * tried))
        raise AssertionError


T = TypeVar("T")


def _filled(look: Look, wants: Sequence[Want]) -> Look:
    """With the logs of a space that is not there: empty, as those of one that has none."""
    empty = {want.log: LogView(0, 0, {}) for want in wants if isinstance(want, Log)}
    return replace(look, logs=empty | dict(look.logs))


def session(store: Store, session_id: str, user_id: str | None) -> Access[records.Session]:
    owner = None if user_id is None else ids.check("user_id", user_id)
    space = layout.session_space(ids.check("session_id", session_id), owner)
    whose = f" of user {user_id!r}" if user_id is not None else ""
    return Access(
        store,
        space,
        layout.SESSION,
        records.Session,
        lambda: SessionNotFoundError(f"there is no session {session_id!r}{whose}"),
    )


def user(store: Store, user_id: str) -> Access[records.User]:
    space = layout.user_space(ids.check("user_id", user_id))
    return Access(store, space, layout.USER, records.User, lambda: UserNotFoundError(f"there is no user {user_id!r}"))


def send(
    store: Store, space: Space, *changes: Change, on: Expected, ttl: Ttl = KEEP, summary: Summary | None = None
) -> Committed:
    """As `Store.commit`, repeated under its id while no answer comes.

    Raises:
        InDoubt: None came, `SENT` times.
    """
    commit_id = new_commit_id()
    for sent in range(1, SENT + 1):
        try:
            return store.commit(space, *changes, commit_id=commit_id, on=on, ttl=ttl, summary=summary)
        except InDoubt:
            if sent == SENT:
                raise
    raise AssertionError


def load(look: Look, path: str, kind: type[K]) -> K:
    return codec.load(kind, look.docs[path].data, path)


def told(store: Store, kind: type[R], row: Row) -> R | None:
    """The record that an index row tells, read where the row has none (`rows`, rule 2). None: there is none, or what is
    there is still being written."""
    if (found := rows.told(kind, row)) is not None:
        return found
    path = layout.own(row.space)
    look = store.read(row.space, Doc(path))
    return load(look, path, kind) if path in look.docs else None


def must_go_on(found: records.Session) -> None:
    """Refuse what would go on with a segment that has ended: what is said there would be in no conversation.

    Raises:
        IllegalTransitionError: It is one.
    """
    if (part := found.segment) is not None:
        raise IllegalTransitionError(
            f"session {found.session_id!r} is segment {part.number} of a conversation, which has ended; nothing was "
            f"written. Go on with {found.parent_id!r}, or with a fork of the segment"
        )


class Part:
    """A part of the service, over a store; holds nothing else."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def _session(self, session_id: str, user_id: str | None) -> Access[records.Session]:
        return session(self.store, session_id, user_id)
