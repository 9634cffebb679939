"""One session's commits, in the order in which they were asked for.

Law: a job is enqueued on the caller's thread, before its first await, with its indices already assigned; it stays at the
head of the queue until the engine has acknowledged it. So nothing is lost, doubled or reordered by a failure, a
cancellation or a full disk, and no index is ever burned.

Rule 1. One thread drains at a time: one of the store's pool, or the caller's (at exit, when pools are gone).
Rule 2. What has queued up meanwhile travels together: many jobs, one commit.
Rule 3. A commit whose fate is unknown is repeated verbatim, under the same id, before anything else.
Rule 4. Bookkeeping (versions, what is done) happens here, in the draining thread, never behind an await.
Rule 5. Every commit expects the writer documents of the agents it speaks for. Another process that took one over has
        changed it: ConflictError, and this writer never writes half of a conversation into another's.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from typing import Any, Literal

from .. import codec, layout, records
from ..context import snapshot
from ..errors import ConflictError, InDoubt, StoreError, TooLarge
from ..stores.base import (
    ABSENT,
    MAX_ENTRY,
    Add,
    Append,
    Change,
    Doc,
    DropDoc,
    Expect,
    Expected,
    Mark,
    PutDoc,
    Replace,
    Space,
    Store,
    Version,
    new_commit_id,
)
from .jobs import SOFT_BYTES, SOFT_CHANGES, Job, merge, split, weight, without_content

logger = logging.getLogger(__name__)

BeforeStore = Callable[[Any], Any]
"""Given a copy of a message, returns what is to be kept of it."""


@dataclass(slots=True)
class _Queued:
    """A job in the queue."""

    number: int
    fences: set[str]
    job: Job | None
    changes: list[Change] = field(default_factory=list)
    """Filled when the job was encoded."""
    problem: StoreError | None = None
    """Told to whoever waits for it, although it is stored (as far as it could be)."""


@dataclass(slots=True)
class _Attempt:
    """A commit on its way; kept as it is for as long as its fate is unknown."""

    queued: list[_Queued]
    changes: list[Change]
    on: Expected
    fences: set[str]
    commit_id: str = field(default_factory=new_commit_id)


class Writer:
    """The FIFO of one session.

    Attributes:
        incarnation: Of the session's space; None until it is known to exist.
    """

    def __init__(self, store: Store, space: Space, *, ttl: float | None, before_store: BeforeStore | None) -> None:
        self.incarnation: str | None = None
        self.identity = records.Writer(writer_id=new_commit_id(), host=socket.gethostname(), pid=os.getpid())
        self._store, self._space, self._ttl, self._before_store = store, space, ttl, before_store
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._queue: deque[_Queued] = deque()
        self._waiting: list[tuple[int, Future[None]]] = []
        self._numbers = 0
        self._draining = False
        self._attempt: _Attempt | None = None
        self._versions: dict[str, Version] = {}
        self._mine: set[str] = set()
        self._session: bytes | None = codec.dump_document(records.Session(session_id=space.id, user_id=space.owner))
        self._reported: set[str] = set()

    # ------------------------------------------------------------------------------------------------- for the hooks

    def adopt(self, fence: str, version: Version | None) -> None:
        """Note the writer document as it was when its agent was loaded; None when there was none."""
        with self._lock:
            if version is not None:
                self._versions[fence] = version

    def exists(self, incarnation: str, *, with_session: bool) -> None:
        """Note that the space was found; ``with_session`` that its session document is there."""
        with self._lock:
            self.incarnation = incarnation
            if with_session:
                self._session = None

    def put(self, job: Job) -> None:
        """Enqueue. Never blocks, never fails, does no I/O."""
        with self._lock:
            self._numbers += 1
            self._queue.append(_Queued(self._numbers, {job.fence}, job))

    def settled(self) -> Future[None] | None:
        """Done when all that is queued now is stored, or failed to be; None when nothing is queued."""
        with self._lock:
            if not self._queue:
                return None
            future: Future[None] = Future()
            future.set_running_or_notify_cancel()  # nobody cancels what others may wait for too
            self._waiting.append((self._queue[-1].number, future))
            return future

    def start(self) -> None:
        """See to it that the queue is being drained, on the store's pool."""
        if not self._claim():
            return
        try:
            self._store.offload.submit(self._drain)
        except RuntimeError:  # the interpreter is ending and starts no threads any more
            self._drain()

    def drain_here(self, timeout: float) -> None:
        """Drain on the calling thread, or wait up to ``timeout`` seconds for the thread that is at it, then go on here.

        Raises:
            StoreError: What is pending could not be stored; it stays queued.
        """
        future = self.settled()
        if future is None:
            return
        with self._idle:
            self._idle.wait_for(lambda: not self._draining, timeout)
        if not future.done() and self._claim():
            self._drain()
        try:
            future.result(0)
        except FutureTimeout:
            raise self.overdue(timeout) from None

    def overdue(self, timeout: float) -> InDoubt:
        """The error for a wait that took too long. What is on its way stays on its way, in its order."""
        return InDoubt(
            f"session {self._space.id!r}: the store has not answered within {timeout:g} s; "
            f"{self.pending} commit{'s' if self.pending != 1 else ''} still on the way"
        )

    @property
    def pending(self) -> int:
        """Jobs not yet acknowledged."""
        with self._lock:
            return len(self._queue)

    # --------------------------------------------------------------------------------------------------- the drainer

    def _claim(self) -> bool:
        with self._lock:
            if self._draining or not self._queue:
                return False
            self._draining = True
            return True

    def _drain(self) -> None:
        error: BaseException | None = None
        while True:
            with self._lock:
                # looked at under the same lock under which put() appends: no job is left without a drainer
                if error is not None or not self._queue:
                    self._draining = False
                    waiting, self._waiting = self._waiting, []
                    self._idle.notify_all()
                    break
            try:
                self._step()
            except Exception as e:
                error = e if isinstance(e, StoreError) else StoreError(f"{type(e).__name__} while storing: {e}")
                error.__cause__ = e.__cause__ if error is e else e
        if error is not None:
            logger.warning(
                "session_id=<%s>, pending=<%d> | not stored, kept for the next attempt: %s",
                self._space.id,
                len(self._queue),
                error,
            )
        for _, future in waiting:
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

    def _step(self) -> None:
        """One commit."""
        if self._attempt is None:
            self._attempt = self._prepare(self._take())
        attempt = self._attempt
        try:
            try:
                self._commit(attempt)
            except ConflictError as conflict:
                if attempt.on is not ABSENT or conflict.path:
                    raise self._explained(conflict, attempt) from conflict
                # another process created the session between our look and now; its agents may be others than ours
                self._refresh()
                self._attempt = attempt = self._prepare(attempt.queued)
                try:
                    self._commit(attempt)
                except ConflictError as second:
                    raise self._explained(second, attempt) from second
        except InDoubt:
            raise
        except StoreError:
            self._attempt = None  # surely not applied: what queues up meanwhile may be joined to it
            raise
        self._attempt = None

    def _commit(self, attempt: _Attempt) -> None:
        committed = self._store.commit(
            self._space, *attempt.changes, commit_id=attempt.commit_id, on=attempt.on, ttl=self._ttl
        )
        problem = next((q.problem for q in attempt.queued if q.problem is not None), None)
        with self._lock:
            self.incarnation, self._session = committed.incarnation, None
            for fence in attempt.fences - self._mine:
                self._versions[fence] = committed.version
            self._mine |= attempt.fences
            for _ in attempt.queued:
                self._queue.popleft()
            last = attempt.queued[-1].number
            ready = [future for number, future in self._waiting if number <= last]
            self._waiting = [(number, future) for number, future in self._waiting if number > last]
        if problem is not None:
            logger.warning("session_id=<%s> | %s", self._space.id, problem)
        for future in ready:
            if problem is None:
                future.set_result(None)
            else:
                future.set_exception(problem)

    def _refresh(self) -> None:
        look = self._store.read(self._space, Doc(layout.SESSION))
        if look.incarnation is not None:
            self.exists(look.incarnation, with_session=layout.SESSION in look.docs)

    def _take(self) -> list[_Queued]:
        """The jobs at the head of the queue that fit into one commit, encoded."""
        taken: list[_Queued] = []
        size = count = 0
        at = 0
        while True:
            with self._lock:
                if at >= len(self._queue):
                    return taken
                queued = self._queue[at]
            if queued.job is not None:
                try:
                    queued.changes, queued.problem = self._encode(queued.job)
                except Exception:  # before_store= raised: what came before it is stored all the same
                    if taken:
                        return taken
                    raise
                queued.job = None
            more, many = weight(queued.changes)
            if size + more > SOFT_BYTES or count + many > SOFT_CHANGES:
                if taken:
                    return taken
                if len(parts := split(queued.changes)) > 1:
                    # one job too large for one commit: its appends go first, each a prefix of the truth
                    # only the last has the job's own number: who waits for the job waits for all of it
                    pieces = [_Queued(queued.number - 1, queued.fences, None, part) for part in parts]
                    pieces[-1].number, pieces[-1].problem = queued.number, queued.problem
                    with self._lock:
                        self._queue.popleft()
                        self._queue.extendleft(reversed(pieces))
                    return pieces[:1]
            size, count, at = size + more, count + many, at + 1
            taken.append(queued)

    def _prepare(self, queued: list[_Queued]) -> _Attempt:
        fences = set().union(*(q.fences for q in queued))
        changes = merge([change for q in queued for change in q.changes])
        with self._lock:
            for fence in sorted(fences):
                version: str | Literal[Mark.ABSENT] = self._versions.get(fence, ABSENT)
                if fence in self._mine:
                    changes.append(Expect(fence, version))
                else:
                    changes.append(PutDoc(fence, codec.dump_document(self.identity), expect=version))
            if self._session is not None:
                changes.append(PutDoc(layout.SESSION, self._session, expect=ABSENT))
            return _Attempt(queued, changes, ABSENT if self.incarnation is None else self.incarnation, fences)

    def _encode(self, job: Job) -> tuple[list[Change], StoreError | None]:
        problem: StoreError | None = None

        def encode(record: records.Record, path: str) -> bytes:
            nonlocal problem
            if self._before_store is not None and isinstance(record, records.Message | records.Variant):
                if record.message is not None:
                    record = record.model_copy(update={"message": self._before_store(snapshot(record.message))})
            data = codec.dump(record, lost=lambda place, kind: self._report(path, place, kind))
            if len(data) <= MAX_ENTRY:
                return data
            text = f"<not stored: {len(data):,} bytes, the limit is {MAX_ENTRY:,}>"
            problem = TooLarge(
                f"an entry of {path!r} has {len(data):,} bytes, the limit is {MAX_ENTRY:,}; kept is {text!r}"
            )
            return codec.dump(without_content(record, text))

        changes: list[Change] = []
        for log, (at, entries) in job.appends.items():
            changes.append(Append(log, [encode(record, log) for record in entries], at))
        changes += [Replace(log, index, encode(record, log)) for (log, index), record in job.replaces.items()]
        changes += [DropDoc(path) if data is None else PutDoc(path, data) for path, data in job.docs.items()]
        changes += [Add(counter, delta) for counter, delta in job.adds.items()]
        return changes, problem

    def _report(self, path: str, place: str, kind: str) -> None:
        if kind not in self._reported:
            self._reported.add(kind)
            logger.warning(
                "session_id=<%s> | a %s can not be stored; a placeholder is kept of it (first seen in %s at %s)",
                self._space.id,
                kind,
                path,
                place,
            )

    def _explained(self, conflict: ConflictError, attempt: _Attempt) -> ConflictError:
        """The conflict in the user's terms, naming both writers where it was one of ours against another's."""
        name = f"session {self._space.id!r}"
        if not conflict.path:
            gone = conflict.found is None
            text = f"{name} was {'deleted or has expired' if gone else 'deleted and made anew'} since it was loaded"
            return ConflictError("", conflict.expected, conflict.found, f"{text}; nothing was written. Resume anew.")
        try:
            look = self._store.read(self._space, *(Doc(fence) for fence in sorted(attempt.fences)))
            others = [codec.load(records.Writer, doc.data, path) for path, doc in look.docs.items()]
        except StoreError:  # the conflict matters more than who caused it
            others = []
        other = next((w for w in others if w.writer_id != self.identity.writer_id), None)
        who = f" by {other}" if other is not None else ""
        return ConflictError(
            conflict.path,
            conflict.expected,
            conflict.found,
            f"{name} was written{who} since it was loaded by {self.identity}: {conflict.path!r} expected "
            f"{conflict.expected}, found {conflict.found}; nothing was written. Resume anew to go on from there.",
        )
