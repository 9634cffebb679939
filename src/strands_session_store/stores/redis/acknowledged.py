"""What this process was told of spaces: bounded; used to notice that a server forgot, and to save a trip."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from ..locks import ForkSafeLock

SPACES: Final = 10_000
"""The spaces used last."""


class Acknowledged:
    """The highest revision of each space that the server acknowledged to this process."""

    def __init__(self, limit: int = SPACES) -> None:
        self._limit = limit
        self._lock = ForkSafeLock()
        self._spaces: OrderedDict[bytes, tuple[str, int, str]] = OrderedDict()

    def get(self, key: bytes) -> tuple[str, int, str] | None:
        """Incarnation, revision and that commit id, if known. Ask *before* the server is: what was acknowledged by then
        is owed."""
        with self._lock:
            return self._spaces.get(key)

    def note(self, key: bytes, incarnation: str, revision: int, id: str = "") -> None:
        with self._lock:
            known = self._spaces.pop(key, None)
            if known is not None and known[0] == incarnation:
                revision, id = max((revision, id), known[1:])
            self._spaces[key] = incarnation, revision, id
            while len(self._spaces) > self._limit:
                self._spaces.popitem(last=False)

    def forget(self, key: bytes) -> None:
        with self._lock:
            self._spaces.pop(key, None)
