"""A real engine that fails, hangs, is slow, is cut off or stops when it is told to, and remembers what it was asked.

faulty = FaultyStore(MemoryStore())
faulty.plan("commit", before=Unavailable("no"), at=3)           the third commit from now does not reach the engine
faulty.plan("commit", after=InDoubt("no answer"))               the next one is applied, but its answer is lost
faulty.plan("read", before=Unavailable("down"), times=None)     no read succeeds until `heal`
faulty.plan("any", delay=0.2, times=None, chance=0.1, seed=7)   one call in ten is slow
faulty.plan("commit", stop="after", at=3)                       killed, with the third commit applied
faulty.reorder(seed=7)                                          calls under way at once overtake each other
held = faulty.plan("commit", hang="before")                     the next one waits...
held.reached.wait(5); ...; held.release()                       ...until it is released
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar, get_args

from ..errors import Unavailable
from ..stores.base import Store
from .wrapping import Call, Verb, Wrapped

T = TypeVar("T")
When: TypeAlias = Literal["before", "after"]
HELD_SECONDS = 60.0
"""After which a call that hangs gives up, so that a test that forgets it ends."""


class Stopped(Exception):
    """As if the process had been killed: no call reaches the engine any more, and none is answered.

    No StoreError, since nobody is to handle it as one; through a session manager it arrives as the cause of one. No
    BaseException either: a session manager that was dropped tries what is pending once more in whoever's thread
    comes next, and at the interpreter's end, where it would break what has nothing to do with it.
    """


@dataclass(eq=False)
class Plan:
    """What is to happen to some calls; see `FaultyStore.plan`."""

    verb: Verb | Literal["any"]
    at: int
    times: int | None
    chance: float
    random: random.Random
    before: Exception | None
    after: Exception | None
    hang: When | None
    delay: float
    stop: When | None
    reached: threading.Event = field(default_factory=threading.Event)
    """Set once a call hangs (or, without ``hang``, is met by this plan)."""
    _go: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        """Let the calls that hang go on, and those that still come."""
        self._go.set()

    def meets(self, verb: Verb) -> bool:
        """Whether this plan meets the call that begins now; counts it."""
        if self.verb not in (verb, "any"):
            return False
        self.at -= 1
        if self.at > 0 or self.times == 0 or self.random.random() >= self.chance:
            return False
        if self.times is not None:
            self.times -= 1
        return True

    def act(self, when: When) -> None:
        if when == "before" and self.delay:
            time.sleep(self.delay)
        if self.hang in (None, when):
            self.reached.set()
        if self.hang == when and not self._go.wait(HELD_SECONDS):
            raise Unavailable(f"a call that was told to hang was not released within {HELD_SECONDS:g} s")
        error = self.before if when == "before" else self.after
        if error is not None:
            raise error.with_traceback(None)


class FaultyStore(Wrapped):
    """``store``, with faults as planned. Without a plan it keeps the whole contract. Safe for use by many threads.

    Attributes:
        store: The engine inside; also how another process sees it, to which nothing of this happens.
        latency: Seconds that every verb takes longer.
        calls: Every call so far, in order of their beginning.
    """

    def __init__(self, store: Store, latency: float = 0.0) -> None:
        super().__init__(store)
        self.latency = latency
        self.calls: list[Call] = []
        self._plans: list[Plan] = []
        self._stopped = False
        self._rounds: _Rounds | None = None
        self._lock = threading.Lock()

    def plan(
        self,
        verb: Verb | Literal["any"],
        *,
        at: int = 1,
        times: int | None = 1,
        chance: float = 1.0,
        seed: int = 0,
        before: Exception | None = None,
        after: Exception | None = None,
        hang: When | None = None,
        delay: float = 0.0,
        stop: When | None = None,
    ) -> Plan:
        """Meet calls of ``verb`` that begin from now on. Several plans may meet one call, in the order they were made.

        Args:
            verb: Whose calls; "any": all calls.
            at: The first one it meets, counted from 1 and from now.
            times: How many in a row; None: all from then on, until `heal`.
            chance: With which each of them is met, 0 to 1; those it passes by do not count towards ``times``.
            seed: Of that chance. The same calls in the same order meet the same fate.
            before: Raised instead of asking the engine.
            after: Raised when the engine has done it, in place of its answer.
            hang: Wait for `Plan.release` before or after the engine is asked.
            delay: Seconds to wait before the engine is asked.
            stop: As if the process were killed before or after the engine is asked: this call, and all others of any
                verb that are not answered yet, raise Stopped, and none reaches the engine until `heal`.

        Raises:
            ValueError: An argument is out of its range.
        """
        _check("verb", verb, verb == "any" or verb in get_args(Verb), f"one of any, {', '.join(get_args(Verb))}")
        _check("at", at, at >= 1, "1 or more: calls are counted from 1")
        _check("times", times, times is None or times >= 1, "1 or more, or None for all calls")
        _check("chance", chance, 0 <= chance <= 1, "from 0 to 1")
        _check("hang", hang, hang in (None, "before", "after"), "'before', 'after' or None")
        _check("delay", delay, delay >= 0, "0 seconds or more")
        _check("stop", stop, stop in (None, "before", "after"), "'before', 'after' or None")
        made = Plan(verb, at, times, chance, random.Random(seed), before, after, hang, delay, stop)
        with self._lock:
            self._plans.append(made)
        return made

    def reorder(self, seed: int = 0, *, of: int = 2, within: float = 0.05) -> None:
        """Until `heal`, have calls of several threads reach the engine one by one in an order that is drawn, not in
        that of their beginning. For an order that is the same in every run there is `Schedule`.

        Args:
            seed: Of the order.
            of: Calls that change places with each other.
            within: Seconds that a call waits for so many to be there; then those that are go on.

        Raises:
            ValueError: An argument is out of its range.
        """
        _check("of", of, of >= 2, "2 calls or more")
        _check("within", within, within > 0, "more than 0 seconds")
        self._rounds = _Rounds(seed, of, within)

    def heal(self) -> None:
        """Forget all plans, release what hangs, go on after a stop. What was recorded stays."""
        with self._lock:
            plans, self._plans = self._plans, []
            self._rounds, self._stopped = None, False
        for plan in plans:
            plan.release()

    def count(self, verb: Verb) -> int:
        """Calls of ``verb`` so far."""
        with self._lock:
            return sum(call.verb == verb for call in self.calls)

    def _ask(self, call: Call, engine: Callable[[], T]) -> T:
        with self._lock:
            self.calls.append(call)
            met = [] if self._stopped else [plan for plan in self._plans if plan.meets(call.verb)]
            rounds = self._rounds
        if self.latency:
            time.sleep(self.latency)
        self._act(met, "before")
        with rounds.turn() if rounds is not None else contextlib.nullcontext():
            self._go_on()
            answer = engine()
        self._act(met, "after")
        self._go_on()
        return answer

    def _act(self, met: list[Plan], when: When) -> None:
        for plan in met:
            plan.act(when)
            if plan.stop == when:
                self._stopped = True
                self._go_on()

    def _go_on(self) -> None:
        if self._stopped:
            raise Stopped("the store was told to stop, as if its process had been killed; heal() lets it go on")


@dataclass(eq=False)
class _Round:
    """Calls that change places with each other."""

    calls: list[object] = field(default_factory=list)
    """Those that have not been made yet; once it is closed, in the order in which they will be."""
    closed: bool = False


class _Rounds:
    """Lets calls go one by one, in rounds; the order within a round is drawn."""

    def __init__(self, seed: int, of: int, within: float) -> None:
        self._random, self._of, self._within = random.Random(seed), of, within
        self._changed = threading.Condition()
        self._next = _Round()

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for one's turn, which lasts as long as the block."""
        mine = object()
        with self._changed:
            round = self._next
            round.calls.append(mine)
            if len(round.calls) == 1:
                self._changed.wait_for(lambda: round.closed, self._within)
            if not round.closed and (len(round.calls) == self._of or round.calls[0] is mine):
                self._close(round)
            turned = self._changed.wait_for(lambda: round.closed and round.calls[0] is mine, HELD_SECONDS)
        try:
            if not turned:
                raise Unavailable(f"calls that were to be made before this one took longer than {HELD_SECONDS:g} s")
            yield
        finally:
            with self._changed:
                round.calls.remove(mine)
                self._changed.notify_all()

    def _close(self, round: _Round) -> None:
        self._random.shuffle(round.calls)
        round.closed, self._next = True, _Round()
        self._changed.notify_all()


def _check(name: str, value: object, holds: bool, remedy: str) -> None:
    if not holds:
        raise ValueError(f"{name} must be {remedy}; got {value!r}")
