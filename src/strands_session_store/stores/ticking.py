"""Calls that repeat, whatever the event loops do: one thread tells the time, a pool does the work."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
import time
from collections.abc import Callable

LINGER_SECONDS = 5.0
"""How long the thread waits for something to do: what repeats comes and goes, and a thread takes 0.1 ms to make."""


class Tick:
    """A call that repeats until it is cancelled."""

    def __init__(self, seconds: float, call: Callable[[], object]) -> None:
        self.seconds, self.call, self.cancelled = seconds, call, False

    def cancel(self) -> None:
        """Call it no more, and keep nothing that it would need. One that is under way goes on. Takes no lock."""
        self.cancelled, self.call = True, _nothing


def _nothing() -> None:
    pass


class Ticking:
    """The calls of one pool. Its thread is there as long as there are any."""

    def __init__(self, submit: Callable[[Callable[[], object]], object]) -> None:
        self._submit = submit
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, Tick]] = []
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None

    def every(self, seconds: float, call: Callable[[], object]) -> Tick:
        """Have it called for the first time in ``seconds``."""
        tick = Tick(seconds, call)
        with self._changed:
            if self._thread is None:
                # a daemon: a lease that is held must not keep an interpreter from ending
                thread = threading.Thread(target=self._run, name="session-store-ticks", daemon=True)
                thread.start()
                self._thread = thread  # not before: where none can be started just now, the next one may be
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), tick))
            self._changed.notify()
        return tick

    def _run(self) -> None:
        while (tick := self._next()) is not None:
            with contextlib.suppress(RuntimeError):  # the interpreter is ending, or the pool was closed
                self._submit(tick.call)

    def _next(self) -> Tick | None:
        """Wait for what is due; None when there was nothing for a while."""
        with self._changed:
            while True:
                while self._due and self._due[0][2].cancelled:
                    heapq.heappop(self._due)
                if not self._due:
                    if not self._changed.wait(LINGER_SECONDS) and not self._due:
                        self._thread = None
                        return None
                    continue
                at, _, tick = self._due[0]
                now = time.monotonic()
                if at > now:
                    self._changed.wait(at - now)
                    continue
                # from now on, not from when it was due: a process that was stopped for an hour has missed one call
                heapq.heapreplace(self._due, (now + tick.seconds, next(self._numbers), tick))
                return tick
