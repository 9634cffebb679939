"""A lock that a forked child has anew: the thread that held it when the process forked is not there to let go of it.

Only for what is whole at every moment, and so also in the child: a table, a lazily made object.
"""

from __future__ import annotations

import os
import threading


class ForkSafeLock:
    """A `threading.Lock` for each process, as a context manager."""

    def __init__(self) -> None:
        self._locks: dict[int, threading.Lock] = {}

    @property
    def _mine(self) -> threading.Lock:
        pid = os.getpid()
        # setdefault is atomic: of two threads that come first at once, both get the same lock
        return self._locks.get(pid) or self._locks.setdefault(pid, threading.Lock())

    def __enter__(self) -> None:
        self._mine.acquire()

    def __exit__(self, *exc: object) -> None:
        self._mine.release()
