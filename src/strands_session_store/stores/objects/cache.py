"""What this process remembers of a place, bounded by bytes; and which of its threads is writing to a space."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Cache(Generic[T]):
    """Values by key, of at most ``limit`` bytes together. One that is larger than a quarter of it is not kept."""

    def __init__(self, limit: int) -> None:
        self._limit, self._total = limit, 0
        self._lock = threading.Lock()
        self._held: OrderedDict[str, tuple[T, int]] = OrderedDict()

    def get(self, key: str) -> T | None:
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key][0]

    def put(self, key: str, value: T, size: int) -> None:
        with self._lock:
            self._forget(key)
            if size <= self._limit // 4:
                self._held[key] = value, size
                self._total += size
                while self._total > self._limit:
                    self._forget(next(iter(self._held)))

    def forget(self, key: str) -> None:
        with self._lock:
            self._forget(key)

    def _forget(self, key: str) -> None:
        if key in self._held:
            self._total -= self._held.pop(key)[1]


class Turns:
    """Threads of this process that write to one space do so in turn: of two that try at once, the place refuses one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[threading.Lock, int]] = {}

    @contextmanager
    def turn(self, key: str) -> Iterator[None]:
        with self._lock:
            lock, count = self._waiting.get(key, (threading.Lock(), 0))
            self._waiting[key] = lock, count + 1
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, count = self._waiting.pop(key)
                if count > 1:
                    self._waiting[key] = lock, count - 1
