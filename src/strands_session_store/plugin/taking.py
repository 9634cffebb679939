"""How a session's lease is taken: what is looked at, committed and waited for. Pure: whoever drives it does.

Law: a lease changes hands by one commit that expects it as it was seen. Nobody's clock is compared with another's to
take it: a holder is given up when its beat was watched standing still for one expiry, on the watcher's own clock.

Rule 1. First it is taken unseen, as it was last known here: one round trip, which also tells whether what is stored of
        the agent is what is known of it. But who found the last time that another had had it meanwhile looks first.
Rule 2. Who has to wait queues up (`lease-wanted`), and the lease goes to the first of the queue: so nobody waits for
        more turns than there are processes. Who does not come for it within `GRACE` seconds loses its place.
Rule 3. on_busy="raise" raises at once when the holder seems to be alive: its last sign, by its own clock, is younger
        than an expiry. Else it watches as one that waits does, until a sign comes. So clocks that differ cost time,
        never a lease.
Rule 4. A lease held by who called us (an agent inside a tool of another, with a session manager of its own) is shared.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .. import codec, layout, records
from ..errors import ConflictError, SessionBusyError
from ..stores.base import (
    ABSENT,
    Change,
    Committed,
    Document,
    DropDoc,
    Expect,
    Expected,
    Incarnation,
    Look,
    Mark,
    PutDoc,
    Version,
)

OnBusy = Literal["wait", "raise"]
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.25
"""Seconds between two looks at a lease that is taken, the first after it changed, and the longest: a look is a read, so
in the long run there are four to eight a second."""
GRACE = 1.0
"""Seconds a free lease is left to the first of the queue, then to the next: four looks of theirs."""
MOST_GRACES = 3
"""After so many, those who are left in the queue are taken for dead, and whoever comes may have it."""

Held: TypeAlias = str | Literal[Mark.ABSENT]
"""Version of the lease document as it is known."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a session manager was told about leases. Times in seconds."""

    timeout: float
    expiry: float
    on_busy: OnBusy


@dataclass(frozen=True, slots=True)
class Ask:
    """Read the three documents of the lease. Answered by a Look."""


@dataclass(frozen=True, slots=True)
class Try:
    """Commit this. Answered by what came of it."""

    changes: Sequence[Change]
    on: Expected
    epoch: int | None = None
    """Of the lease that it takes; None: it takes none."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Let time pass."""

    seconds: float
    behind: records.Lease
    """As it was found."""


Step: TypeAlias = Ask | Try | Wait
Answer: TypeAlias = Look | Committed | ConflictError | None


@dataclass(frozen=True, slots=True)
class Taken:
    """It is held now."""

    version: Version
    epoch: int
    incarnation: Incarnation
    verified: bool
    """Whether all that was expected besides was as expected."""
    shared: str | None = None
    """The holder, when it is one of those who called us."""
    after: records.Lease | None = None
    """Of the holder that was given up; None: it was free."""


@dataclass(slots=True)
class Watched:
    """How long something was seen unchanged, on one clock. Versions never come back, so looks may be far apart."""

    what: object = None
    since: float = 0.0

    def seconds(self, what: object, now: float) -> float:
        if what != self.what:
            self.what, self.since = what, now
        return now - self.since


@dataclass(slots=True)
class Contender:
    """One that wants the lease, and what it remembers from one time to the next."""

    name: str
    session: str
    """Its id."""
    host: str
    pid: int
    terms: Terms
    clock: Callable[[], float]
    """Seconds, monotonic."""
    wall: Callable[[], float]
    """Unix time."""
    known: tuple[Held, int] | None = None
    """Version and epoch of the lease as it was last seen free; None: not seen, or seen taken."""
    watched: Watched = field(default_factory=Watched)
    """The lease, and the sign of life of who has it."""
    queued: bool = False
    """Whether it may be in the queue."""
    shared: bool = False
    """Whether another was found to have had the lease since this one had it."""

    def lease(self, epoch: int) -> bytes:
        mine = records.Lease(
            holder=self.name, epoch=epoch, host=self.host, pid=self.pid, expiry=self.terms.expiry, at=self._now()
        )
        return codec.dump_document(mine)

    def released(self, epoch: int) -> bytes:
        return codec.dump_document(records.Lease(epoch=epoch, host=self.host, pid=self.pid, at=self._now()))

    def sign(self) -> bytes:
        return codec.dump_document(records.LeaseBeat(at=self._now()))

    def _now(self) -> float:
        return round(self.wall(), 3)


def taking(
    me: Contender,
    incarnation: Incarnation | None,
    expects: Sequence[Change],
    family: Collection[str],
    waited: float = 0,
) -> Generator[Step, Answer, Taken]:
    """Take the lease, step by step.

    Args:
        me: Who.
        incarnation: Of the space as it is known; None: not known to exist.
        expects: What else is expected by the first try; when that fails, it is taken all the same.
        family: Names of the holders that called us.
        waited: Seconds that were waited already, for others of this process to take it.

    Raises:
        SessionBusyError: Another has it.
        ConflictError: The space is another, or is gone.
    """
    on: Expected = incarnation or ABSENT
    known = me.known
    if known is not None and not me.shared:
        version, epoch = known
        blind = Try([_put(me, version, epoch + 1), Expect(layout.LEASE_WANTED, ABSENT), *expects], on, epoch + 1)
        answer = yield blind
        if isinstance(answer, Committed):
            return Taken(answer.version, epoch + 1, answer.incarnation, verified=True)
    deadline, pause, seen = me.clock() + me.terms.timeout - waited, FIRST_PAUSE, None
    while True:
        look = yield Ask()
        assert isinstance(look, Look)
        if incarnation is not None and look.incarnation != incarnation:
            raise ConflictError("", incarnation, look.incarnation)
        found = _Found(look)
        if found.lease.holder == me.name:  # a commit of ours whose answer was lost
            assert found.document is not None and look.incarnation is not None
            return Taken(found.document.version, found.lease.epoch, look.incarnation, verified=False)
        if found.lease.holder in family:
            assert found.document is not None and look.incarnation is not None
            return Taken(found.document.version, found.lease.epoch, look.incarnation, False, found.lease.holder)
        held, place = found.lease.holder is not None, found.place(me.name)
        # a free lease has no expiry: it is over as soon as it is seen
        over = me.watched.seconds(found.state, me.clock()) - found.lease.expiry
        if over >= GRACE * min(place, MOST_GRACES):
            me.shared = known is not None and known[1] != found.lease.epoch
            answer = yield Try(list(found.take(me, place)), look.incarnation or ABSENT, found.lease.epoch + 1)
            if isinstance(answer, Committed):
                return Taken(
                    answer.version,
                    found.lease.epoch + 1,
                    answer.incarnation,
                    verified=False,
                    after=found.lease if held else None,
                )
            continue  # another was faster, or has queued up
        waits = me.terms.on_busy == "wait"
        moved = seen is not None and found.state != seen
        if held and not waits and (moved or found.seems_alive(me.wall())):
            raise busy(me, found.lease, None)
        # who asked not to wait still has to see whether the holder is dead
        left = deadline - me.clock() if waits else GRACE * (MOST_GRACES + 1) - over
        if left <= 0:
            raise busy(me, found.lease, me.terms.timeout if waits else None)
        if waits and place == len(found.queue) and look.incarnation is not None:
            me.queued = True
            yield Try([found.queue_up(me), Expect(layout.LEASE, found.version)], look.incarnation)
        if moved:
            pause = FIRST_PAUSE
        seen = found.state
        yield Wait(min(pause * random.uniform(0.5, 1), left), found.lease)
        pause = min(pause * 1.5, LONGEST_PAUSE)


class _Found:
    """What a look shows of a lease."""

    def __init__(self, look: Look) -> None:
        self.document = look.docs.get(layout.LEASE)
        self.lease = lease_of(self.document)
        self.version: Held = ABSENT if self.document is None else self.document.version
        beat = look.docs.get(layout.LEASE_BEAT)
        self.beat: Held = ABSENT if beat is None else beat.version
        self._signs = [self.lease.at]
        if beat is not None:
            self._signs.append(codec.load(records.LeaseBeat, beat.data, layout.LEASE_BEAT).at)
        self._wanted = look.docs.get(layout.LEASE_WANTED)
        self.queue = queue_of(self._wanted)
        # who comes first to a free lease finds no queue; whoever begins one begins the time that it is left to them
        self.state = self.version, self.beat, self.queue[:1] if self.lease.holder is None else ()

    def place(self, name: str) -> int:
        """How many are in the queue before it, or before its end."""
        return self.queue.index(name) if name in self.queue else len(self.queue)

    def take(self, me: Contender, place: int) -> Generator[Change, None, None]:
        yield _put(me, self.version, self.lease.epoch + 1)
        yield Expect(layout.LEASE_BEAT, self.beat)
        yield queueing(self._wanted, self.queue[place + 1 :])

    def queue_up(self, me: Contender) -> Change:
        return queueing(self._wanted, [*self.queue, me.name])

    def seems_alive(self, wall: float) -> bool:
        return abs(wall - max(self._signs)) < self.lease.expiry


def queue_of(document: Document | None) -> Sequence[str]:
    """Who waits, in order."""
    return () if document is None else codec.load(records.LeaseWanted, document.data, layout.LEASE_WANTED).by


def queueing(document: Document | None, by: Sequence[str]) -> Change:
    """The queue as it will be. None waiting is no document: that is what a first try expects (rule 1)."""
    version: Held = ABSENT if document is None else document.version
    if not by:
        return DropDoc(layout.LEASE_WANTED, expect=version)
    return PutDoc(layout.LEASE_WANTED, codec.dump_document(records.LeaseWanted(by=list(by))), expect=version)


def lease_of(document: Document | None) -> records.Lease:
    """What the document says; a free lease where there is none."""
    return records.Lease() if document is None else codec.load(records.Lease, document.data, layout.LEASE)


def busy(me: Contender, lease: records.Lease, waited: float | None) -> SessionBusyError:
    who = f"is being run by {lease}" if lease.holder is not None else "is about to be run by another"
    how = "" if waited is None else f", after {waited:g} s of waiting (lease_timeout)"
    return SessionBusyError(f"session {me.session!r} {who}{how}; nothing was written. Try again later.")


def _put(me: Contender, version: Held, epoch: int) -> PutDoc:
    return PutDoc(layout.LEASE, me.lease(epoch), expect=version)
