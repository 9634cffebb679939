"""One writer's changes become commits of its space: what each of them expects, and what its answer tells.

Law: every commit expects the agent's writer document. Another process that took the agent over has changed it:
ConflictError, and this writer never writes half of a conversation into another's. The first commit takes the agent
over, and expects all of it to be as it was found.

Rule 1. What the engine has lost of this writer's commits (a failover) is made again before anything else, in order and
        under its own ids: what is there after all is only repeated.
Rule 2. That takes what came before: what this writer found when it was made, and the commits it keeps no more. If that
        is lost too, it writes nothing, and says so: Regressed.
        A lease is taken again with it; but not from another who has it now.
Rule 3. That something was lost is told by the engine, once (Regressed), by another writer (`Presence.loss`), or by
        what can not be otherwise (`losses`).
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from .. import codec, layout, records, rows
from ..errors import ConflictError, Regressed
from ..stores.base import (
    ABSENT,
    Add,
    Append,
    Change,
    Committed,
    Doc,
    Document,
    DropDoc,
    Expect,
    Expected,
    Log,
    Look,
    Mark,
    PutDoc,
    Replace,
    Space,
    Store,
    Summary,
    Ttl,
    Version,
    new_commit_id,
)
from .conflicts import explained
from .jobs import LAST, merge
from .leases import Lease
from .loading import Base
from .losses import check_base, shorter, tells_of_loss
from .presence import Presence
from .redo import Done, Redo, TooMuch

logger = logging.getLogger(__name__)

TRIES = 5
"""How often one commit may find that the engine has lost something, or that another created the session."""
_SHARED = (layout.RUNS, layout.EVENTS)
"""Logs that all writers of a session append to."""


@dataclass(slots=True)
class Attempt:
    """A commit on its way; kept as it is for as long as its fate is unknown."""

    content: list[Change]
    """What it changes, without what it expects."""
    changes: list[Change] = field(default_factory=list)
    on: Expected = ABSENT
    commit_id: str = field(default_factory=new_commit_id)
    last: bool = False
    """Whether nothing was queued behind it."""
    lease: tuple[Lease, Change] | None = None
    """What it does about a lease; of whose."""
    summary: Summary | None = None
    """What the index is to tell of the session, where this makes it one."""
    in_doubt: bool = False
    """Whether it may have been applied. Stays so until the engine answers this very commit: a later refusal of its
    repetition says nothing about the first try."""


class Commits:
    """Of one agent or orchestrator, made by one thread at a time."""

    def __init__(self, store: Store, space: Space, presence: Presence, base: Base, ttl: Ttl) -> None:
        self._store, self._space, self._presence, self._base, self._ttl = store, space, presence, base, ttl
        self._versions, self._ends = dict(base.versions), dict(base.lengths)
        self._begin()

    def _begin(self) -> None:
        self.identity = records.Writer(writer_id=new_commit_id(), host=socket.gethostname(), pid=os.getpid())
        self._mine = False
        self._writer: Document | None = self._base.writer
        """The writer document as it has to be: this writer's own, or as it was found."""
        self._life = self._base.incarnation
        """Incarnation of the space that it was found in, or wrote to first. Another agent of the session may have gone
        on in a later one already: what this one has said is not to be there."""
        self._redo = Redo()
        self._seen: object = None
        """The loss that was made good last."""

    def forked(self) -> None:
        """In a forked child, which is a writer of its own, and goes on from what its parent wrote."""
        ends, versions, life = dict(self._ends), dict(self._versions), self._life
        self._base = Base(self._base.fence, self._writer, versions, ends, incarnation=life)
        seen = self._seen
        self._begin()
        self._seen = seen

    @property
    def incarnation(self) -> str | None:
        """Of the space that is written to; None: not known to exist."""
        return self._life or self._presence.incarnation

    @property
    def behind(self) -> bool:
        """Whether something was lost, and it was not looked yet what of this writer's."""
        return self._mine and self._seen is not self._presence.loss

    def attempt(self, changes: list[Change], *, last: bool) -> Attempt:
        """A commit of all these changes, to be made; ``last``: nothing is queued behind them."""
        attempt = Attempt([self._placed(change) for change in merge(changes)], last=last)
        self._expect(attempt)
        return attempt

    def dropped(self, attempt: Attempt) -> None:
        """It was not made, and will not be, as it is."""
        if attempt.lease is not None:
            lease, guard = attempt.lease
            attempt.lease = None
            lease.not_made(guard)

    def expectation(self) -> list[Change]:
        """What tells whether the agent is as this writer knows it."""
        fence = Expect(self._base.fence, ABSENT if self._writer is None else self._writer.version)
        return [fence] if self._mine else [fence, *self._as_found()]

    def _as_found(self, besides: Collection[str] = ()) -> Iterator[Change]:
        """That all of the agent is as it was found, but for logs whose length is expected anyway. Who wrote it before
        goes on without a change of the writer document."""
        yield from (Expect(path, version) for path, version in self._base.versions.items())
        yield from (Append(log, [], length) for log, length in self._base.lengths.items() if log not in besides)

    def is_current(self) -> bool:
        """Whether the agent is stored as this writer knows it. Also where something was lost: then a commit has to
        tell what became of it. Blocks; not while a commit is made.

        Raises:
            ConflictError: The session is another, or is gone.
            StoreError: As the engine says.
        """
        base, known = self._base, self.incarnation
        paths: Mapping[str, Version] = {} if self._mine else base.versions
        logs: Mapping[str, int] = {} if self._mine else base.lengths
        try:
            look = self._store.read(self._space, *map(Doc, (base.fence, *paths)), *map(Log, logs))
        except Regressed:  # it is raised once
            self._lost()
            return True
        if known is not None and look.incarnation != known:
            raise ConflictError("", known, look.incarnation)
        found = look.docs.get(base.fence)
        if self._mine:
            lost = found != self._writer and (found is None or found == base.writer or self._misses(look))
        else:
            lost = look.revision < base.revision
        if lost:
            self._lost()
            return True
        versions = {path: doc.version for path, doc in look.docs.items() if path in paths}
        lengths = {log: view.length for log, view in look.logs.items()}
        return found == self._writer and versions == paths and lengths == logs

    def _misses(self, look: Look) -> bool:
        try:
            return bool(self._redo.lost(look.revision, self._is_known))
        except TooMuch:
            return True

    def make(self, attempt: Attempt) -> None:
        """Make a commit, and before it, again, what the engine has lost of those before it.

        Raises:
            ConflictError: In the user's terms.
            Regressed: More was lost than can be made again.
            StoreError: As the engine says.
        """
        unknown, short = False, ""
        for _ in range(TRIES):
            try:
                if unknown:
                    # another process created the session between our look and now; its agents may be others than ours
                    self._refresh()
                    self._expect(attempt)
                    unknown = False
                self._make_good(attempt)
                if attempt.content or not self._mine:
                    self._commit(attempt)
                    self._make_good(attempt)  # a loss may be told of while it is under way, or by its own revision
                return
            except Regressed:
                self._lost()
            except TooMuch as error:
                short = str(error)
                break
            except ConflictError as conflict:
                if (not conflict.path and attempt.on is ABSENT) or conflict.path == layout.SESSION:
                    unknown = True
                elif tells_of_loss(conflict, self._base, mine=self._mine):
                    self._lost()
                else:
                    if attempt.lease is not None and conflict.path == layout.LEASE:
                        lease, guard = attempt.lease
                        if lease.moved_on(guard):
                            self._expect(attempt)
                            continue
                    raise self.explained(conflict) from conflict
        raise Regressed(
            f"session {self._space.id!r}: the store has lost what it had acknowledged of {self._base.fence!r} (a "
            f"failover, or a restart without its data), and more than is kept here to be written again{short}. "
            f"As long as it is missing, {self.identity} writes nothing. What is stored is an earlier state, and whole: "
            "resume anew to go on from there."
        )

    # ------------------------------------------------------------------------------------------------------ one commit

    def _placed(self, change: Change) -> Change:
        """The change with the index it means, where that is known here."""
        match change:
            case Replace(log, index, data) if index == LAST:
                return Replace(log, self._ends[log] - 1, data)
            case Append(log, entries, None) if log in self._ends:
                return Append(log, entries, self._ends[log])
        return change

    def _expect(self, attempt: Attempt) -> None:
        self.dropped(attempt)
        attempt.changes = [*attempt.content, *self._guards(attempt.content)]
        if (lease := self._presence.lease) is not None:
            guard = lease.guard(last=attempt.last)
            attempt.lease = lease, guard
            attempt.changes.append(guard)
        session = self._presence.session
        attempt.summary = None if session is None else rows.summary(session)
        attempt.on = self.incarnation or ABSENT

    def _guards(self, content: list[Change]) -> Iterator[Change]:
        """What a commit of the content expects."""
        base = self._base
        version: str | Literal[Mark.ABSENT] = ABSENT if self._writer is None else self._writer.version
        if self._mine:
            yield Expect(base.fence, version)
        else:
            yield PutDoc(base.fence, self._signature, expect=version)
            yield from self._as_found(besides={change.log for change in content if isinstance(change, Append)})
        if self._presence.session is not None:
            yield PutDoc(layout.SESSION, codec.dump_document(self._presence.session), expect=ABSENT)

    @property
    def _signature(self) -> bytes:
        return codec.dump_document(self.identity)

    def _commit(self, attempt: Attempt) -> None:
        committed = self._store.commit(
            self._space,
            *attempt.changes,
            commit_id=attempt.commit_id,
            on=attempt.on,
            ttl=self._ttl,
            summary=attempt.summary,
        )
        if not committed.repeated and committed.revision <= self._redo.highest:
            self._lost()
        if attempt.lease is not None:
            lease, guard = attempt.lease
            lease.booked(guard, committed)
        self._booked(committed, attempt.content)
        self._redo.note(Done(attempt.commit_id, committed.revision, attempt.content))

    def _booked(self, committed: Committed, content: list[Change]) -> None:
        """Note what a commit made of the space."""
        self._presence.incarnation = self._life = committed.incarnation
        self._presence.session = None
        if not self._mine:
            self._writer, self._mine = Document(self._signature, committed.version), True
        for change in content:
            match change:
                case PutDoc(path):
                    self._versions[path] = committed.version
                case DropDoc(path):
                    self._versions.pop(path, None)
                case Append(log, entries) if log not in _SHARED:
                    self._ends[log] = committed.indices[log] + len(entries)

    def _refresh(self) -> None:
        look = self._store.read(self._space, Doc(layout.SESSION))
        if look.incarnation is not None:
            self._presence.incarnation = look.incarnation
            if layout.SESSION in look.docs:
                self._presence.session = None

    def explained(self, conflict: ConflictError) -> ConflictError:
        """The conflict in the user's terms. Blocks."""
        return explained(conflict, self._store, self._space, self._base.fence, self.identity)

    # ------------------------------------------------------------------------------------------------- what was lost

    def _lost(self) -> None:
        self._presence.loss = loss = object()
        self._presence.tell(loss)

    def _make_good(self, attempt: Attempt) -> None:
        """Have again what was lost of this writer's commits, if anything was lost since it was looked last.

        Raises:
            TooMuch: What came before them is lost too.
            ConflictError: Another has written the agent since.
        """
        loss, base = self._presence.loss, self._base
        if self._seen is loss:
            return
        documents = map(Doc, (base.fence, layout.LEASE, *base.versions))
        look = self._store.read(self._space, *documents, *map(Log, self._ends))
        if look.incarnation is not None and look.incarnation == self.incarnation:  # what is gone stays gone
            try:
                self._write_again(look, look.incarnation, attempt)
            except TooMuch:
                raise TooMuch(shorter(look, self._ends)) from None
        self._seen = loss
        self._expect(attempt)

    def _write_again(self, look: Look, incarnation: str, attempt: Attempt) -> None:
        found = look.docs.get(self._base.fence)
        if found is not None and found.data == self._signature:
            self._writer, self._mine = found, True
            lost = self._redo.lost(look.revision, self._is_known)
        elif not attempt.content and not self._redo.lost(look.revision, self._is_known):
            return  # another took the agent over, behind all that was written here
        else:
            check_base(look, self._base)
            self._writer, self._mine = self._base.writer, False
            lost = self._redo.lost(0, self._is_known)
        lease, document = self._presence.lease, look.docs.get(layout.LEASE)
        if lease is not None and not lease.again(document, incarnation):
            raise ConflictError(layout.LEASE, "this session manager's", document and document.version)
        for done, changes in lost:
            self._again(done, changes, incarnation)
        if lost:
            logger.warning(
                "session_id=<%s>, commits=<%d>, messages=<%d> | the store had lost what it had acknowledged (a "
                "failover); it was written again",
                self._space.id,
                len(lost),
                sum(_messages(changes) for _, changes in lost),
            )

    def _is_known(self, done: Done) -> bool:
        """Asked by repeating it, under an expectation that never holds: ids are looked at first."""
        assert self.incarnation is not None
        never = Expect(self._base.fence, Committed(self.incarnation, 0).version)
        try:
            self._store.commit(self._space, never, commit_id=done.commit_id, on=self.incarnation)
        except ConflictError:
            return False
        return True

    def _again(self, done: Done, changes: list[Change], incarnation: str) -> None:
        lease = self._presence.lease
        committed = self._store.commit(
            self._space,
            *changes,
            *self._guards(changes),
            *([lease.guard(last=False)] if lease is not None else []),
            commit_id=done.commit_id,
            on=incarnation,
            ttl=self._ttl,
        )
        self._booked(committed, changes)
        done.revision = committed.revision


def _messages(changes: list[Change]) -> int:
    return sum(change.delta for change in changes if isinstance(change, Add) and change.counter == "messages")
