"""One agent's commits, in the order in which they were asked for.

Law: a job is enqueued on the caller's thread, before its first await, with its indices already assigned; it stays at
the head of the queue until the engine has acknowledged it. So nothing is lost, doubled or reordered by a failure, a
cancellation or a full disk, and no index is ever burned.

Rule 1. One thread drains at a time: one of the store's pool, or the caller's (at exit, when pools are gone).
Rule 2. What has queued up meanwhile travels together: many jobs, one commit.
Rule 3. A commit whose fate is unknown is repeated verbatim, under the same id, before anything else.
Rule 4. Bookkeeping (what is done) happens here, in the draining thread, never behind an await.
Rule 5. A forked child starts with an empty queue and a name of its own: what was pending is its parent's to write.
Rule 6. Nothing ends unwritten without its messages being named: in the log, and by the error (`StoreError.unwritten`).
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout

from ..errors import ConflictError, InDoubt, Regressed, StoreError
from ..prices import Prices
from ..stores.base import Change, Space, Store, Ttl
from .commits import Attempt, Commits
from .encoding import BeforeStore, Encoder
from .jobs import PENDING_BYTES, PENDING_JOBS, SOFT_BYTES, SOFT_CHANGES, Job, ids, size, weight
from .loading import Base
from .presence import Presence
from .queued import Queued, named, unwritten

logger = logging.getLogger(__name__)


class Writer:
    """The FIFO of one agent or orchestrator of a session, and of the nodes that an orchestrator speaks for."""

    def __init__(
        self,
        store: Store,
        space: Space,
        presence: Presence,
        base: Base,
        *,
        ttl: Ttl,
        before_store: BeforeStore | None,
        prices: Prices | None = None,
    ) -> None:
        self._store, self.space, self._fence = store, space, base.fence
        self._commits = Commits(store, space, presence, base, ttl)
        self._encoder = Encoder(space.id, before_store, prices or Prices(), store.offload.computing)
        self._numbers = self._wanted = 0
        self.moves = False
        """Whether what meets a conflict is then put behind what it met: until that fails too, it is no news."""
        self._begin()

    def _begin(self) -> None:
        """Nothing is queued, and nobody waits."""
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._queue: deque[Queued] = deque()
        self._waiting: list[tuple[int, Future[None]]] = []
        self.commits = 0
        """How many were made."""
        self._waits: Callable[[], None] | None = None
        """What the pool was asked to do, and may not have come to."""
        self._draining = self._last_try = self._refused = self._conflicted = self._gone = False
        self._under_way: tuple[list[Queued], Attempt] | None = None
        self._told: tuple[str, ...] | None = None
        """Messages that the log has named as those of a conflict."""

    # ------------------------------------------------------------------------------------------------- for the hooks

    def put(self, job: Job) -> None:
        """Enqueue, to travel with what is asked for next. Never blocks, never fails, does no I/O; whether too much is
        pending (`full`) is for the caller to ask, who alone can wait."""
        weighed, names = size(job), ids(job)
        with self._lock:
            self._enqueue(job, weighed, names)

    def settled(self) -> Future[None] | None:
        """Done when all that is queued now is stored, or failed to be, and so is what the engine is known to have lost
        of what was stored; None when there is nothing of either."""
        with self._lock:
            self._catch_up()
            if not self._queue:
                return None
            self._wanted = self._numbers
            future: Future[None] = Future()
            future.set_running_or_notify_cancel()  # nobody cancels what others may wait for too
            self._waiting.append((self._queue[-1].number, future))
            return future

    def start(self) -> None:
        """See to it that the queue is being drained, on the store's pool."""
        if not self._claim():
            return
        once = threading.Lock()

        def drain() -> None:
            if once.acquire(blocking=False):
                self._waits = None
                self._drain()

        self._waits = drain
        try:
            self._store.offload.submit(drain)
        except RuntimeError:
            # the interpreter is ending, or no thread can be started just now; but then the pool has taken the call
            # before it found out, and another thread of it may come to it: one of the two drains
            drain()

    def leave(self) -> None:
        """The interpreter is ending: try for the last time to store what is pending."""
        self._last_try = True
        self.start()

    def forked(self) -> None:
        """In a forked child, where no other thread is left, and locks may be held for ever."""
        self._commits.forked()
        self._encoder.forked()
        self._begin()

    def drain_here(self, timeout: float) -> None:
        """Drain on the calling thread, or wait up to ``timeout`` seconds for the thread that is at it, then go on here.
        Not for one that has not begun: all threads of the pool may be here, waiting.

        Raises:
            StoreError: What is pending could not be stored; it stays queued.
        """
        future = self.settled()
        if future is None:
            return
        if (drain := self._waits) is not None:
            drain()
        with self._idle:
            self._idle.wait_for(lambda: not self._draining, timeout)
        if not future.done() and self._claim():
            self._drain()
        try:
            future.result(timeout)  # done, unless another thread is at it again
        except FutureTimeout:
            raise self.overdue(timeout) from None

    def overdue(self, timeout: float) -> InDoubt:
        """The error for a wait that took too long, in the log too. What is on its way stays so, in its order."""
        text = f"the store has not answered within {timeout:g} s"
        with self._lock:
            pending, (names, fate) = len(self._queue), self._unwritten()
        logger.warning(
            "session_id=<%s>, pending=<%d>, messages=<%s> | %s: %s",
            *(self.space.id, pending, named(names), fate, text),
        )
        error = InDoubt(f"session {self.space.id!r}: {text}; writes on the way: {pending}")
        error.unwritten = names
        return error

    @property
    def pending(self) -> int:
        """Jobs not yet acknowledged."""
        with self._lock:
            return len(self._queue)

    @property
    def full(self) -> bool:
        """Whether as much is pending as is kept without waiting for the store."""
        with self._lock:
            return len(self._queue) >= PENDING_JOBS or sum(queued.size for queued in self._queue) >= PENDING_BYTES

    @property
    def idle(self) -> bool:
        """Whether nothing is pending. Takes no lock: a finalizer asks."""
        return not self._queue

    @property
    def over(self) -> bool:
        """Whether there is nothing to try: all is stored, or was refused for good (what a conflict names never comes
        back, nor what a failover took). Takes no lock either."""
        return self.idle or self._refused

    @property
    def conflicted(self) -> bool:
        """Whether a conflict was met, and what is pending can never be stored."""
        return self._gone or (self._conflicted and not self.idle)

    @property
    def incarnation(self) -> str | None:
        """Of the space that is written to; None: not known to exist."""
        return self._commits.incarnation

    def expectation(self) -> list[Change]:
        """What tells whether the agent is as it is known here; nothing while that is about to change."""
        return self._commits.expectation() if self.idle else []

    def is_current(self) -> bool:
        """See `Commits.is_current`."""
        try:
            return self._commits.is_current()
        except ConflictError as conflict:
            raise self.met(conflict) from conflict

    def met(self, conflict: ConflictError) -> ConflictError:
        """The conflict in the user's terms; nothing more can be stored here."""
        self._gone = True
        return self._commits.explained(conflict)

    @property
    def behind(self) -> bool:
        """Whether the engine has lost something, and it was not looked yet what of this writer's."""
        return self._commits.behind

    # --------------------------------------------------------------------------------------------------- the drainer

    def _enqueue(self, job: Job, weighed: int = 0, names: tuple[str, ...] = ()) -> None:
        self._numbers += 1
        self._queue.append(Queued(self._numbers, job, weighed, names))

    def _catch_up(self) -> None:
        if not self._queue and self.behind:
            self._enqueue(Job(self._fence))  # with nothing in it: what was lost goes before it

    def _claim(self) -> bool:
        with self._lock:
            self._catch_up()
            self._wanted = self._numbers
            if self._draining or not self._queue:
                return False
            self._draining = True
            return True

    def _drain(self) -> None:
        error: BaseException | None = None
        while True:
            with self._lock:
                # looked at under the lock under which it is asked for: nothing that was is left without a drainer
                if error is not None or not self._queue or self._queue[0].number > self._wanted:
                    self._draining, self._conflicted = False, isinstance(error, ConflictError)
                    self._refused = isinstance(error, ConflictError | Regressed)
                    pending, (waiting, self._waiting) = len(self._queue), (self._waiting, [])
                    names, fate = self._unwritten()
                    self._idle.notify_all()
                    break
            try:
                self._step()
            except BaseException as e:  # Ctrl-C among them, when it is the caller's thread that drains
                error = e
        told = error if error is None or isinstance(error, StoreError) else _as_store_error(error)
        if told is not None:
            told.unwritten = names  # it may be one that others are told as well: each reads it as of now
            logger.log(
                self._level(told),
                "session_id=<%s>, pending=<%d>, messages=<%s> | %s, %s: %s",
                self.space.id,
                pending,
                named(names),
                fate,
                "refused" if self._refused else "and lost" if self._last_try else "kept for the next attempt",
                str(told),  # the error itself leads to the agent, and logs may be kept for long
            )
        for _, future in waiting:
            if told is None:
                future.set_result(None)
            else:
                future.set_exception(told)
        if error is not None and not isinstance(error, Exception):
            raise error

    def _level(self, error: StoreError) -> int:
        if self._last_try:
            return logging.ERROR
        if not isinstance(error, ConflictError):
            return logging.WARNING
        # each hook of a turn that is lost meets it again
        again, self._told = self._told == error.unwritten, error.unwritten
        return logging.DEBUG if again else logging.INFO if self.moves else logging.WARNING

    def _unwritten(self) -> tuple[tuple[str, ...], str]:
        """The caller holds the lock. An attempt that is kept is one whose answer did not come, or has not come yet."""
        return unwritten(self._queue, self._under_way[0] if self._under_way is not None else ())

    def _step(self) -> None:
        """One commit."""
        if self._under_way is None:
            taken = self._take()
            changes = [change for queued in taken for change in queued.changes]
            self._under_way = taken, self._commits.attempt(changes, last=len(taken) == self.pending)
        taken, attempt = self._under_way
        try:
            self._commits.make(attempt)
            self._book(taken)
        except BaseException as error:
            if isinstance(error, InDoubt | Regressed) or not isinstance(error, StoreError):
                attempt.in_doubt = True
            elif isinstance(error, ConflictError) or not attempt.in_doubt:
                # surely not applied: what queues up meanwhile may be joined to it
                self._under_way = None
                self._commits.dropped(attempt)
            raise
        self._under_way = None

    def _book(self, taken: list[Queued]) -> None:
        problems = [queued.problem for queued in taken if queued.problem is not None]
        with self._lock:
            # by what they are, not by how many: Ctrl-C may come anywhere in here, or behind it in a logger, and has the
            # attempt repeated that was booked already
            booked = {id(queued) for queued in taken}
            while self._queue and id(self._queue[0]) in booked:
                self._queue.popleft()
            self.commits += 1
            last = taken[-1].number
            ready = [future for number, future in self._waiting if number <= last]
            self._waiting = [(number, future) for number, future in self._waiting if number > last]
        names = tuple(dict.fromkeys(name for problem in problems for name in problem.unwritten))
        for problem in problems:
            logger.warning("session_id=<%s>, messages=<%s> | %s", self.space.id, named(problem.unwritten), problem)
            problem.unwritten = names
        for future in ready:
            if problems:
                future.set_exception(problems[0])
            else:
                future.set_result(None)

    def _take(self) -> list[Queued]:
        """The jobs at the head of the queue that fit into one commit, encoded."""
        taken: list[Queued] = []
        size = count = 0
        at = 0
        while True:
            with self._lock:
                if at >= len(self._queue):
                    return taken
                queued = self._queue[at]
            if queued.job is not None:
                try:
                    queued.atoms, queued.problem = self._encoder.atoms(queued.job)
                except Exception:  # before_store= raised: what came before it is stored all the same
                    if taken:
                        return taken
                    raise
                queued.job = None
            more, many = weight(queued.changes)
            if size + more > SOFT_BYTES or count + many > SOFT_CHANGES:
                if taken:
                    return taken
                if len(pieces := queued.pieces()) > 1:
                    with self._lock:
                        self._queue.popleft()
                        self._queue.extendleft(reversed(pieces))
                    return pieces[:1]
            size, count, at = size + more, count + many, at + 1
            taken.append(queued)


def _as_store_error(error: BaseException) -> StoreError:
    made = StoreError(f"{type(error).__name__} while storing: {error}")
    made.__cause__ = error
    return made
