"""How much of everything: what a server takes at the most, from all and from each."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field
from typing import Any

from limits import parse
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import ConfigurationError
from limits.storage import storage_from_string

from .callers import Caller
from .problems import Problem

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one app. Where several processes serve it, ``rate_store`` makes the rate one of all; conversations are counted
    by each process."""

    body: int = 2 * 2**20
    """Bytes of a request's body."""
    rate: str | None = "600/minute"
    """Requests of one user, in the notation of the package `limits`; None: any number."""
    rate_store: str = field(default="async+memory://", repr=False)  # it may have a password
    """Where requests are counted: a storage URI of `limits`, such as ``async+redis://localhost:6379``."""
    conversations: int = 100
    """Agents that are at work at once."""
    conversations_per_user: int = 10

    def __post_init__(self) -> None:
        for name in ("body", "conversations", "conversations_per_user"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a whole number from 1 on, got {value!r}")
        if self.rate is not None:
            try:
                parse(self.rate)
            except (ValueError, TypeError) as error:
                raise ValueError(f"rate must be like '600/minute', or None; got {self.rate!r}") from error
        if not str(self.rate_store).startswith("async+"):
            raise ValueError("rate_store must be a URI of the package limits that begins with async+")


class Rate:
    """Requests of each user, counted in a window that slides."""

    def __init__(self, limits: Limits) -> None:
        self._item = None if limits.rate is None else parse(limits.rate)
        options = {"implementation": "redispy"} if "redis" in limits.rate_store else {}
        try:
            storage: Any = storage_from_string(limits.rate_store, **options)
        except ConfigurationError as error:
            told = limits.rate_store.partition(":")[0]
            raise ValueError(f"rate_store must be of a kind that the package limits knows; got {told}:...") from error
        self._storage = storage
        self._limiter = SlidingWindowCounterRateLimiter(storage)

    async def spend(self, caller: Caller) -> None:
        """Count a request.

        Raises:
            Problem: It is one too many: 429.
        """
        if self._item is None:
            return
        who = "nobody" if caller.user_id is None else f"user {caller.user_id}"
        try:
            if await self._limiter.hit(self._item, who):
                return
            until = (await self._limiter.get_window_stats(self._item, who)).reset_time
        except Exception as error:  # that of a driver, whichever it is: who can't count lets in
            logger.warning("requests can not be counted, all are let in: %s: %s", type(error).__name__, error)
            return
        after = {"Retry-After": str(max(1, math.ceil(until - time.time())))}
        raise Problem(429, f"more than {self._item}", after)

    async def close(self) -> None:
        """Give back connections, for which the package has no method of its own."""
        client = getattr(getattr(self._storage, "bridge", None), "storage", None)
        close = getattr(client, "aclose", None)
        if close is not None:
            await close()
