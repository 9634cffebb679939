"""Several workers on one engine, in an order that a seed draws: what goes wrong once in a thousand runs does so again.

    def work(store: Store) -> None:
        agent = Agent(..., session_manager=StoreSessionManager("s", store))
        agent("What is new?")

    schedule = Schedule(7, MemoryStore())
    schedule.actor("ann", work)
    schedule.actor("bob", work)
    schedule.run()

Law: the scheduler waits until each actor is at a call of its store or has ended; then it draws one of the calls, and
lets it through to its end. So no two calls are under way at once, and their order is the seed's.

Rule 1. A call is that of the actor whose store it is, from whichever thread it comes: a session manager calls from the
        store's pool, and `agent(...)` runs in a thread of its own.
Rule 2. Faults are drawn from numbers of their own, so that they leave the order of what comes before them as it was.
Rule 3. An actor that was stopped is dead: nothing of it reaches the engine, and how its function ends does not matter.
Rule 4. When all have ended the schedule is over, and all stores of it are stopped: what a session manager that nobody
        closed has not stored yet is not stored behind the back of who looks at the outcome.

What a seed does not determine:

- What an actor does beside a call of its own, for which it counts as waiting. With ``durability="background"``, or with
  several agents of one actor at once, the order of the calls is drawn, but which calls there are and what is in them is
  a race. With "message" and "turn", one agent after the other, a run is the same each time.
- Time: the engine's clock, a ttl, and time-outs, which run while an actor waits for its turn.
- Ids that are drawn at random, the order of sets, and when garbage is collected.
- The process, which the actors share. What a session manager left that was dropped with something pending is stored by
  whoever comes next in it, through the store it was left for.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from ..errors import InDoubt, StoreError, Unavailable
from ..stores.base import Append, Store
from .faults import Stopped
from .wrapping import Call, Wrapped

T = TypeVar("T")
MOST = 10_000
"""Calls of one schedule; who makes more goes on for ever."""

_running: ContextVar[_Actor | None] = ContextVar("actor", default=None)
"""Whose work a thread does; travels along to the threads that it has started."""


class Stuck(RuntimeError):
    """A schedule came to no end: an actor neither called its store nor ended, or the calls did not end. Tells which,
    and what came before."""


class Step(NamedTuple):
    """A call that was let through."""

    actor: str
    verb: str
    what: str
    """The session's id, and the logs that a commit appends to."""
    ended: str
    """``ok``, or the name of the error it ended by."""

    def __str__(self) -> str:
        return " ".join(word for word in self if word)


class Schedule:
    """Actors over one engine, and the order of their calls.

    Attributes:
        trace: The calls let through so far, in order; `str(schedule)` shows them line by line.
        stopped: Names of the actors that were stopped.
    """

    def __init__(
        self,
        seed: int,
        store: Store,
        *,
        fail: float = 0.0,
        cut: float = 0.0,
        stop: float = 0.0,
        patience: float = 20.0,
    ) -> None:
        """Nothing is started.

        Args:
            seed: Of the order and of the faults.
            store: The engine that the actors share. It stays open.
            fail: Chance of a call not to reach the engine: Unavailable.
            cut: Chance of a call to have no answer: InDoubt (what only reads: Unavailable). One half was done.
            stop: Chance of the actor to be stopped at a call, as if its process were killed. One half was done.
            patience: Seconds that an actor may take from one call to the next, and the engine for a call.

        Raises:
            ValueError: An argument is out of its range.
        """
        if min(fail, cut, stop) < 0 or fail + cut + stop > 1:
            raise ValueError(f"fail, cut and stop must be chances, together at most 1; got {fail}, {cut} and {stop}")
        if patience <= 0:
            raise ValueError(f"patience must be a number of seconds above 0; got {patience!r}")
        self.seed, self.store = seed, store
        self.trace: list[Step] = []
        self.stopped: set[str] = set()
        self._fail, self._cut, self._stop, self._patience = fail, cut, stop, patience
        self._order, self._faults = random.Random(seed), random.Random(f"faults of {seed}")
        self._actors: list[_Actor] = []
        self._waiting: list[_Turn] = []
        self._changed = threading.Condition()
        self._begun = self._over = False

    def actor(self, name: str, work: Callable[[Store], Any]) -> None:
        """Have ``work`` done in a thread of its own, with a store of its own over the engine.

        Raises:
            ValueError: There is an actor of this name.
            RuntimeError: The schedule has begun.
        """
        if any(actor.name == name for actor in self._actors):
            raise ValueError(f"name must be another one for each actor; got {name!r} again")
        if self._begun:
            raise RuntimeError("the schedule has begun; name all actors before run()")
        self._actors.append(_Actor(self, name, work))

    def run(self) -> dict[str, Any]:
        """Run all actors to their end. Once.

        Returns:
            What the work of each actor returned, by name; without those that were stopped.

        Raises:
            Exception: What the work of an actor raised that was not stopped; of the first one, if several did.
            Stuck: It came to no end; the actors' threads are left to themselves.
            RuntimeError: It has run before.
        """
        if self._begun:
            raise RuntimeError("a schedule runs once; make another, with the same seed for the same order")
        self._begun = True
        try:
            for actor in self._actors:
                actor.thread.start()
            while self._step():
                pass
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()
            for actor in self._actors:
                Store.close(actor)  # their threads; a later call is to find the schedule over
        for actor in self._actors:
            actor.thread.join()
        lived = [actor for actor in self._actors if actor.name not in self.stopped]
        for actor in lived:
            if actor.error is not None:
                if hasattr(actor.error, "add_note"):  # Python 3.11
                    actor.error.add_note(f"raised by {actor.name!r} in schedule {self.seed}:\n{self}")
                raise actor.error
        return {actor.name: actor.result for actor in lived}

    def __str__(self) -> str:
        return "\n".join(map(str, self.trace))

    def _step(self) -> bool:
        """Let one call through, once all actors have come to rest. Whether there was one."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._at_work(), self._patience):
                names = ", ".join(actor.name for actor in self._at_work())
                raise Stuck(
                    f"schedule {self.seed}: {names} neither called the store nor ended within {self._patience:g} s; "
                    f"does one actor wait for another by other means than the store? What came before:\n{self}"
                )
            if not self._waiting:
                return False
            if len(self.trace) == MOST:
                raise Stuck(f"schedule {self.seed}: {MOST} calls, and no end; the last: {self.trace[-1]}")
            # sorted, since which actor came to its call first is a race
            turn = self._order.choice(sorted(self._waiting, key=lambda turn: self._actors.index(turn.actor)))
            self._waiting.remove(turn)
            turn.fate = self._draw()
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: turn.ended, self._patience):
                raise Stuck(
                    f"schedule {self.seed}: the engine did not answer {turn.actor.name} ({turn.call.verb}) within "
                    f"{self._patience:g} s. What came before:\n{self}"
                )
            self.trace.append(Step(turn.actor.name, turn.call.verb, _what(turn.call), turn.ended))
            return True

    def _at_work(self) -> list[_Actor]:
        """Actors that have still to come to their next call, or to their end."""
        at_rest = {actor for turn in self._waiting for actor in (turn.actor, turn.caller)}
        return [actor for actor in self._actors if not actor.ended and actor not in at_rest]

    def _draw(self) -> _Fate:
        number, done = self._faults.random(), self._faults.random() < 0.5
        for kind, chance in (("fail", self._fail), ("cut", self._cut), ("stop", self._stop)):
            if number < chance:
                return _Fate(kind, done and kind != "fail")
            number -= chance
        return _Fate("", True)

    def _ask(self, actor: _Actor, call: Call, engine: Callable[[], T]) -> T:
        """A call of an actor's store, on the thread that makes it."""
        turn = _Turn(actor, _running.get() or actor, call)
        with self._changed:
            if not self._is_dead(actor):
                self._waiting.append(turn)
                self._changed.notify_all()
                # as long as the run, which is bounded
                self._changed.wait_for(lambda: turn.fate is not None or self._is_dead(actor))
            if turn.fate is None:
                raise Stopped(f"{actor.name!r} was stopped, or schedule {self.seed} is over")
        ended = "ok"
        try:
            return turn.fate.meet(call, engine)
        except BaseException as error:
            ended = type(error).__name__
            raise
        finally:
            with self._changed:
                if turn.fate.kind == "stop":
                    self.stopped.add(actor.name)
                    self._waiting = [other for other in self._waiting if other.actor is not actor]
                turn.ended = ended
                self._changed.notify_all()

    def _is_dead(self, actor: _Actor) -> bool:
        return self._over or actor.name in self.stopped

    def _work(self, actor: _Actor) -> None:
        """What an actor's thread does."""
        _running.set(actor)
        try:
            actor.result = actor.work(actor)
        except BaseException as error:
            actor.error = error
        with self._changed:
            actor.ended = True
            self._changed.notify_all()


class _Actor(Wrapped):
    """An actor, and its store."""

    def __init__(self, schedule: Schedule, name: str, work: Callable[[Store], Any]) -> None:
        super().__init__(schedule.store)
        self.name, self.work = name, work
        self.thread = threading.Thread(target=schedule._work, args=[self], name=f"actor {name}", daemon=True)
        self.result: Any = None
        self.error: BaseException | None = None
        self.ended = False
        self._schedule, self._closed = schedule, False

    def close(self) -> None:
        """The engine stays open, which the others use too."""
        self._closed = True
        Store.close(self)

    def _ask(self, call: Call, engine: Callable[[], T]) -> T:
        if self._closed:
            raise StoreError(f"the store of {self.name!r} was closed; each actor is given one that is open")
        return self._schedule._ask(self, call, engine)


class _Fate(NamedTuple):
    """What becomes of a call."""

    kind: str
    """``fail``, ``cut``, ``stop``, or empty when nothing happens to it."""
    done: bool
    """Whether the engine does it."""

    def meet(self, call: Call, engine: Callable[[], T]) -> T:
        """The call's end."""
        if not self.kind:
            return engine()
        if self.done:
            with contextlib.suppress(StoreError):  # a refusal that does not arrive
                engine()
        if self.kind == "stop":
            raise Stopped(f"stopped {'after' if self.done else 'before'} the engine did a {call.verb}")
        if self.kind == "fail" or call.verb in ("read", "list"):
            raise Unavailable(f"this {call.verb} was drawn to fail")
        raise InDoubt(f"the answer to this {call.verb} was drawn to be lost")


@dataclass(eq=False)
class _Turn:
    """A call that waits to be let through, or is on its way."""

    actor: _Actor
    caller: _Actor
    """Who waits for it: another one where a session manager stores what was left by one of another actor."""
    call: Call
    fate: _Fate | None = None
    ended: str = ""


def _what(call: Call) -> str:
    """Not the documents: some have ids that are drawn."""
    logs = [
        f"{change.log}+{len(change.entries)}" for change in call.args if isinstance(change, Append) and change.entries
    ]
    return " ".join([call.space.id if call.space is not None else "", *logs])
