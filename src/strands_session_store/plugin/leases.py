"""The lease of one session manager: taken before an invocation, kept alive while one runs, let go of with its last
commit. How it is taken is decided by `taking`; here it is done.

Law: what is written expects the lease document as this manager last knew it to be its own, or free (`guard`). So a
holder that was stopped, frozen or cut off, and succeeded meanwhile, writes nothing: ConflictError.

Rule 1. Invocations of one manager at the same time share its lease; the last one that ends lets go of it, when nothing
        of the others is on its way: that would be refused.
Rule 2. A lease that nobody uses, as the end of an invocation was never seen (`holds`), is let go of at its next beat,
        when nothing is left to store.
Rule 3. What is noted of a commit is noted in the thread that made it, never behind an await.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import TypeVar

from .. import layout
from ..errors import ConflictError, StoreError, Unavailable
from ..stores.base import (
    ABSENT,
    Change,
    Committed,
    Document,
    Expect,
    PutDoc,
    Space,
    Store,
    Ttl,
    Version,
    new_commit_id,
)
from ..stores.ticking import Tick
from .driving import Driver, Waiting
from .holds import Hold, callers, calling
from .taking import Contender, Held, Taken, Terms, lease_of, taking

logger = logging.getLogger(__name__)

T = TypeVar("T")

UNKNOWN = "unknown"
"""In the place of a version: no document ever has it, so what expects it is refused."""
BEATS = 3
"""Signs of life in one expiry: two may be late or lost."""
BOOKING_SECONDS = 1.0
"""How long a commit that was refused waits for the answer to the one that let go of the lease, and was made before."""


class Lease:
    """One session's lease, as one session manager has it. Safe for use by many threads."""

    def __init__(self, store: Store, space: Space, terms: Terms, ttl: Ttl, pending: Callable[[], bool]) -> None:
        """``pending``: whether anything of the session waits to be stored, that may be."""
        self._space, self._pending, self._offload = space, pending, store.offload
        self._driver = Driver(store, space, ttl, took=self._took, given_up=self.release)
        self._me = Contender(
            new_commit_id(), space.id, socket.gethostname(), os.getpid(), terms, clock=time.monotonic, wall=time.time
        )
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._held = self._ending = self._doubtful = False
        """`_doubtful`: it may have been let go of, by a commit whose answer was lost."""
        self._left = 0.0
        """When the last invocation left, by the contender's clock."""
        self._version: Held = UNKNOWN
        self._epoch = 0
        self._incarnation: str | None = None
        self._holds: set[Hold] = set()
        self._tick: Tick | None = None
        self._taking: Future[None] | None = None
        self._releasing: Future[None] | None = None

    def forked(self) -> None:
        """In a forked child: what its parent holds is not its own."""
        me = self._me
        self._me = Contender(new_commit_id(), me.session, me.host, os.getpid(), me.terms, me.clock, me.wall)
        self._begin()

    @property
    def tenure(self) -> Held | None:
        """Another one each time it is taken; None when it is not held."""
        return self._version if self._held else None

    @property
    def unused(self) -> bool:
        """Whether it is held, and nobody uses it."""
        return self._held and not self._holds

    # ------------------------------------------------------------------------------------------------- for commits

    def guard(self, *, last: bool) -> Change:
        """What a commit does about the lease.

        Args:
            last: Nothing is queued behind it: if nobody uses the lease any more, it lets go of it.
        """
        with self._lock:
            if last and self._ending and self._held and self._releasing is None:
                self._releasing = Future()
                return PutDoc(layout.LEASE, self._me.released(self._epoch), expect=self._version)
            return Expect(layout.LEASE, self._version)

    def booked(self, guard: Change, committed: Committed) -> None:
        """The commit with this guard was made."""
        if isinstance(guard, PutDoc):
            with self._lock:
                self._released(committed.version)

    def not_made(self, guard: Change) -> None:
        """The commit with this guard was not made, and will not be."""
        if isinstance(guard, PutDoc):
            with self._lock:
                self._no_release()

    def moved_on(self, guard: Change) -> bool:
        """The commit with this guard was refused for it. Whether another guard will do: this manager itself has let go
        of the lease meanwhile, with another agent's last commit. Else it has lost it.

        Raises:
            Unavailable: That is not known yet.
        """
        assert isinstance(guard, Expect | PutDoc)
        version = guard.version if isinstance(guard, Expect) else guard.expect
        if isinstance(guard, Expect) and (releasing := self._releasing) is not None:
            try:
                releasing.result(BOOKING_SECONDS)
            except FutureTimeout:
                text = f"session {self._space.id!r}: whether its lease was let go of is not known yet"
                raise Unavailable(text) from None
        with self._lock:
            if self._version not in (version, UNKNOWN):
                return True
        self._lost(version)
        return False

    def _lost(self, version: object) -> None:
        with self._lock:
            if not self._held or self._version != version:
                return
            self._let_go()
        logger.warning(
            "session_id=<%s> | the lease is lost: another process has taken it over, or the session was deleted",
            self._space.id,
        )

    def again(self, document: Document | None, incarnation: str) -> bool:
        """The engine has lost something. Whether the lease, as it is there now, is as this manager left it; what it
        held and the engine lost is taken again. Blocks.

        Raises:
            StoreError: As the engine says.
        """
        found, version = lease_of(document), _version_of(document)
        with self._lock:
            if self._held and (found.holder, found.epoch) == (self._me.name, self._epoch):
                self._version = version
                return True
            if found.holder is not None or found.epoch > self._epoch:
                return False
            if not self._held:
                self._version, self._me.known = version, (version, found.epoch)
                return True
        mine = PutDoc(layout.LEASE, self._me.lease(self._epoch), expect=version)
        try:
            committed = self._driver.commit(incarnation, mine)
        except ConflictError:
            return False
        with self._lock:
            self._hold(committed.version, self._epoch, incarnation)
        return True

    # --------------------------------------------------------------------------------------------- for invocations

    def found(self, document: Document | None) -> None:
        """Note the lease as it was read along with other things."""
        with self._lock:
            if self._held or self._taking is not None:
                return
            lease, version = lease_of(document), _version_of(document)
            self._epoch = lease.epoch
            self._version, self._me.known = (
                (version, (version, lease.epoch)) if lease.holder is None else (UNKNOWN, None)
            )

    @property
    def releasing(self) -> Future[None] | None:
        """Done when the commit that lets go of it, and is on its way, was made or was not; None when there is none."""
        return self._releasing

    async def enter(
        self, hold: Hold, incarnation: str | None, expects: Sequence[Change], waiting: Waiting
    ) -> tuple[str, bool]:
        """Have the lease for an invocation, waiting for it as the terms say.

        Args:
            hold: The invocation's. Afterwards it has the lease that it is under: this one, or that of an invocation
                it runs in.
            incarnation: Of the space as it is known; None: not known to exist.
            expects: What else should be as it is known.
            waiting: How an answer of the store is waited for.

        Returns:
            The space's incarnation, and whether ``expects`` was looked at and held.

        Raises:
            SessionBusyError: Another process runs the session.
            ConflictError: The space is another than the one that is known, or is gone.
            StoreError: As the engine says.
        """
        began = self._me.clock()
        while True:
            with self._lock:
                ending, other = self._releasing, self._taking
                if self._held and ending is None and not self._doubtful:
                    self._join(hold)
                    assert self._incarnation is not None
                    return self._incarnation, False
                if ending is None and other is None:
                    mine = self._taking = Future[None]()
            if ending is not None or other is not None:
                await waiting(ending or other, self._me.terms.timeout)  # type: ignore[arg-type]
                continue
            try:
                taken, lease = await self._take(incarnation, expects, self._me.clock() - began, waiting)
            finally:
                with self._lock:
                    self._taking = None
                mine.set_result(None)
            with lease._lock:
                if lease._held and lease._releasing is None:
                    lease._join(hold)
                    return taken.incarnation, taken.verified

    def leave(self, hold: Hold, *, ending: bool) -> None:
        """The invocation has queued all it has to say.

        Args:
            hold: Its part.
            ending: Nobody else has anything queued: the commit that stores this one's end may let go of the lease.
        """
        hold.lease = None
        with self._lock:
            self._holds.discard(hold)
            self._ending, self._left = ending and not self._holds, self._me.clock()
        calling.set(tuple(callers()))

    def release(self) -> None:
        """Let go of it if nobody uses it. Blocks.

        Raises:
            StoreError: As the engine says. It is tried again at the next beat.
        """
        with self._lock:
            if not self.unused or self._releasing is not None:
                return
            self._releasing, version, incarnation = Future(), self._version, self._incarnation
        try:
            committed = self._driver.commit(
                incarnation, PutDoc(layout.LEASE, self._me.released(self._epoch), expect=version)
            )
        except BaseException as error:
            with self._lock:
                self._doubtful = True
                self._no_release()
            if not isinstance(error, ConflictError):
                raise
            self._lost(version)
        else:
            with self._lock:
                self._released(committed.version)

    def abandon(self) -> None:
        """As `release`, whoever uses it: what they write is refused as soon as another has it."""
        with self._lock:
            self._holds.clear()
        self.release()

    # ------------------------------------------------------------------------------------------------------ private

    def _join(self, hold: Hold) -> None:
        self._holds.add(hold)
        self._ending, hold.lease = False, self
        calling.set((*callers(), hold))

    async def _take(
        self, incarnation: str | None, expects: Sequence[Change], waited: float, waiting: Waiting
    ) -> tuple[Taken, Lease]:
        leases = [hold.lease for hold in callers() if hold.lease is not None]
        family = {lease._me.name: lease for lease in leases if lease._held and lease._space == self._space}
        try:
            taken = await self._driver.drive(taking(self._me, incarnation, expects, family.keys(), waited), waiting)
        finally:
            if self._me.queued:
                self._me.queued = False
                self._driver.leave_queue(self._me.name)
        if taken.after is not None:
            logger.warning(
                "session_id=<%s>, holder=<%s> | it gave no sign of life for %g s: the lease was taken over",
                self._space.id,
                taken.after,
                taken.after.expiry,
            )
        if taken.shared is not None:
            return taken, family[taken.shared]
        with self._lock:
            # when it was taken by a commit whose answer was lost; not when a beat has let go of it already
            free = self._me.known is not None and self._me.known[1] == taken.epoch
            if (not self._held or self._doubtful) and not free:
                self._hold(taken.version, taken.epoch, taken.incarnation)
        return taken, self

    def _took(self, committed: Committed, epoch: int) -> None:
        with self._lock:
            self._me.queued = False  # by the same commit
            self._hold(committed.version, epoch, committed.incarnation)

    def _hold(self, version: Version, epoch: int, incarnation: str) -> None:
        self._held, self._version, self._epoch, self._incarnation = True, version, epoch, incarnation
        self._me.known, self._doubtful = None, False
        if self._tick is None:
            self._tick = self._offload.every(self._me.terms.expiry / BEATS, self._beat)

    def _released(self, version: Version) -> None:
        self._let_go()
        self._version, self._me.known = version, (version, self._epoch)

    def _let_go(self) -> None:
        self._held = self._ending = self._doubtful = False
        self._no_release()
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None

    def _no_release(self) -> None:
        if self._releasing is not None:
            self._releasing.set_result(None)
            self._releasing = None

    def _beat(self) -> None:
        """Show that the holder lives, as long as there is an invocation; let go of the lease when there is none."""
        with self._lock:
            alive, now = {hold for hold in self._holds if hold.alive}, self._me.clock()
            if self._holds and not alive:
                self._left = now
            self._holds = alive
            held, used, version, incarnation = self._held, bool(alive), self._version, self._incarnation
            recently = now - self._left < self._me.terms.timeout
        try:
            if used or (held and recently and self._pending()):  # what failed may be stored yet
                self._driver.commit(
                    incarnation, PutDoc(layout.LEASE_BEAT, self._me.sign()), Expect(layout.LEASE, version)
                )
            elif held:
                self.release()
        except ConflictError:
            if self._releasing is None:
                self._lost(version)
        except StoreError as error:
            with self._lock:
                # a store that was closed, or is down for long: whoever waits for the lease has it by now
                if not used and not recently and now - self._left > self._me.terms.expiry and self.unused:
                    self._let_go()
            logger.warning("session_id=<%s> | no sign of life could be given: %s", self._space.id, error)


def _version_of(document: Document | None) -> Held:
    return ABSENT if document is None else document.version
