"""A real engine that fails, hangs and is slow when it is told to, and remembers what it was asked.

faulty = FaultyStore(MemoryStore())
faulty.plan("commit", before=Unavailable("no"), at=3)           the third commit from now does not reach the engine
faulty.plan("commit", after=InDoubt("no answer"))               the next one is applied, but its answer is lost
faulty.plan("read", before=Unavailable("down"), times=None)     no read succeeds until `heal`
held = faulty.plan("commit", hang="before")                     the next one waits...
held.reached.wait(5); ...; held.release()                       ...until it is released
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar

from ..errors import Unavailable
from ..stores.base import (
    ANY,
    KEEP,
    Change,
    Committed,
    Dropped,
    Expected,
    Look,
    Page,
    Query,
    Space,
    Store,
    Summary,
    Ttl,
    Want,
)

T = TypeVar("T")
Verb: TypeAlias = Literal["read", "commit", "list", "drop"]
HELD_SECONDS = 60.0
"""After which a call that hangs gives up, so that a test that forgets it ends."""


@dataclass(frozen=True)
class Call:
    """What was asked, whether or not it reached the engine."""

    verb: Verb
    space: Space | None
    """None for a list."""
    args: tuple[Change, ...] | tuple[Want, ...] | tuple[Query]
    """The changes of a commit, the wants of a read, the query of a list."""
    commit_id: str | None = None


@dataclass(eq=False)
class Plan:
    """What is to happen to some calls of one verb; see `FaultyStore.plan`."""

    verb: Verb
    at: int
    times: int | None
    before: Exception | None
    after: Exception | None
    hang: Literal["before", "after"] | None
    delay: float
    reached: threading.Event = field(default_factory=threading.Event)
    """Set once a call hangs (or, without ``hang``, is met by this plan)."""
    _go: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        """Let the calls that hang go on, and those that still come."""
        self._go.set()

    def counts(self) -> bool:
        """Whether this plan meets the call that begins now; counts it."""
        self.at -= 1
        if self.at > 0 or self.times == 0:
            return False
        if self.times is not None:
            self.times -= 1
        return True

    def act(self, when: Literal["before", "after"]) -> None:
        if when == "before" and self.delay:
            time.sleep(self.delay)
        if self.hang in (None, when):
            self.reached.set()
        if self.hang == when and not self._go.wait(HELD_SECONDS):
            raise Unavailable(f"a {self.verb} that was told to hang was not released within {HELD_SECONDS:g} s")
        error = self.before if when == "before" else self.after
        if error is not None:
            raise error.with_traceback(None)


class FaultyStore(Store):
    """``store``, with faults as planned. Without a plan it keeps the whole contract. Safe for use by many threads.

    Attributes:
        latency: Seconds that every verb takes longer.
        calls: Every call so far, in order of their beginning.
    """

    def __init__(self, store: Store, latency: float = 0.0) -> None:
        self.store = store
        self.latency = latency
        self.calls: list[Call] = []
        self._plans: list[Plan] = []
        self._lock = threading.Lock()
        # an engine says these of its class; here they are those of the engine inside
        vars(self).update(capabilities=store.capabilities, workers=store.workers)

    def plan(
        self,
        verb: Verb,
        *,
        at: int = 1,
        times: int | None = 1,
        before: Exception | None = None,
        after: Exception | None = None,
        hang: Literal["before", "after"] | None = None,
        delay: float = 0.0,
    ) -> Plan:
        """Meet calls of ``verb`` that begin from now on. Several plans may meet one call, in the order they were made.

        Args:
            verb: Whose calls.
            at: The first one it meets, counted from 1 and from now.
            times: How many in a row; None: all from then on, until `heal`.
            before: Raised instead of asking the engine.
            after: Raised when the engine has done it, in place of its answer.
            hang: Wait for `Plan.release` before or after the engine is asked.
            delay: Seconds to wait before the engine is asked.
        """
        made = Plan(verb, at, times, before, after, hang, delay)
        with self._lock:
            self._plans.append(made)
        return made

    def heal(self) -> None:
        """Forget all plans and release what hangs. What was recorded stays."""
        with self._lock:
            plans, self._plans = self._plans, []
        for plan in plans:
            plan.release()

    def count(self, verb: Verb) -> int:
        """Calls of ``verb`` so far."""
        with self._lock:
            return sum(call.verb == verb for call in self.calls)

    def read(self, space: Space, *wants: Want) -> Look:
        return self._ask(Call("read", space, wants), lambda: self.store.read(space, *wants))

    def commit(
        self,
        space: Space,
        *changes: Change,
        commit_id: str,
        on: Expected = ANY,
        ttl: Ttl = KEEP,
        summary: Summary | None = None,
    ) -> Committed:
        call = Call("commit", space, changes, commit_id)
        return self._ask(
            call, lambda: self.store.commit(space, *changes, commit_id=commit_id, on=on, ttl=ttl, summary=summary)
        )

    def list(self, query: Query) -> Page:
        return self._ask(Call("list", None, (query,)), lambda: self.store.list(query))

    def drop(self, space: Space, *, on: Expected = ANY) -> Dropped:
        return self._ask(Call("drop", space, ()), lambda: self.store.drop(space, on=on))

    def close(self) -> None:
        """Close the engine inside."""
        self.store.close()
        super().close()

    def _ask(self, call: Call, engine: Callable[[], T]) -> T:
        with self._lock:
            self.calls.append(call)
            met = [plan for plan in self._plans if plan.verb == call.verb and plan.counts()]
        if self.latency:
            time.sleep(self.latency)
        for plan in met:
            plan.act("before")
        answer = engine()
        for plan in met:
            plan.act("after")
        return answer
