"""Blocking calls leave the event loop on a bounded pool; one pool a store, whichever faces share it."""

from __future__ import annotations

import contextvars
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from .locks import ForkSafeLock
from .ticking import Tick, Ticking

P = ParamSpec("P")
T = TypeVar("T")


class Offload:
    """A pool of at most ``workers`` threads, made on first use, and anew in a forked child.

    The caller's context variables travel along (so a trace's span is the parent of what the engine records).
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._lock = ForkSafeLock()
        self.computing = ForkSafeLock()
        """Held by what computes for long on the pool: several at once would be no faster, and an event loop would wait
        for the interpreter behind all of them."""
        self._pool: ThreadPoolExecutor | None = None
        self._ticking: Ticking | None = None
        self._pid = 0

    def submit(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run ``fn`` on the pool.

        Raises:
            RuntimeError: The interpreter is shutting down, or the pool was closed; nothing was started.
        """
        context = contextvars.copy_context()
        return self._ready().submit(context.run, fn, *args, **kwargs)  # type: ignore[arg-type]

    def every(self, seconds: float, call: Callable[[], object]) -> Tick:
        """Run ``call`` on the pool each so many seconds, for the first time after as many, until it is cancelled."""
        self._ready()
        with self._lock:
            if self._ticking is None:
                self._ticking = Ticking(self.submit)
            return self._ticking.every(seconds, call)

    def close(self) -> None:
        """Let running calls end; take no new ones until the next use."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None and self._pid == os.getpid():
            pool.shutdown(wait=False)

    def _ready(self) -> ThreadPoolExecutor:
        with self._lock:
            # a forked child inherits the object but not its threads
            if self._pool is None or self._pid != os.getpid():
                if self._pid != os.getpid():
                    self._ticking = None
                self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="session-store")
                self._pid = os.getpid()
            return self._pool
