"""Every request goes through here: tried again while that may help, up to one deadline, with jitter."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple, TypeVar

from botocore.exceptions import BotoCoreError

from ....errors import StoreError
from ..blobs import Refused
from .client import PARALLEL
from .translate import FAILURES, Asked, Verdict, judge, translate

T = TypeVar("T")

_FIRST: Final = 0.05
_LONGEST: Final = 2.0


class Clock:
    """The endpoint's clock, as the Date of its answers tells it (whole seconds): ours, moved as little as can be."""

    def __init__(self) -> None:
        self._ahead = 0.0

    @property
    def ahead(self) -> float:
        """Seconds that it is ahead of ours."""
        return self._ahead

    def now(self) -> float:
        return time.time() + self._ahead

    def saw(self, date: str, sent: float, received: float) -> None:
        """``date``: of an answer to what was sent and received at these times of our own clock."""
        try:
            theirs = parsedate_to_datetime(date).timestamp()
        except ValueError:  # of an endpoint that writes dates in its own way
            return
        # theirs was read at some moment between the two, and may be almost a second old
        self._ahead = min(max(self._ahead, theirs - received), theirs + 1 - sent)


class _Process(NamedTuple):
    """What one process uses."""

    pid: int
    client: Any
    pool: ThreadPoolExecutor


class Requests:
    """Over one client for all threads, made with the first request. A forked process makes its own, since two on one
    connection would read each other's answers.

    Args:
        make: Makes the client.
        bucket: Which.
        timeout: Seconds a verb may take, with all its attempts. An attempt that has begun is not cut off, but by the
            client's own time-outs.
    """

    def __init__(self, make: Callable[[], Any], bucket: str, timeout: float) -> None:
        self._make = make
        self._bucket = bucket
        self._timeout = timeout
        self.clock = Clock()
        self._lock = threading.Lock()
        self._made: _Process | None = None
        self._closed = False

    def until(self) -> float:
        """When a verb that begins now has to be over, by the monotonic clock."""
        return time.monotonic() + self._timeout

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return str(self._mine().client.meta.endpoint_url)

    def ask(
        self, action: str, key: str, call: Callable[[Any], dict[str, Any]], until: float, *, writes: bool = False
    ) -> dict[str, Any]:
        """The answer to one request.

        Args:
            action: The permission it needs, for errors.
            key: What it is about, for errors.
            call: Makes the request of a client; may be called again.
            until: The deadline.
            writes: Whether it matters that it may have been done although no answer came.

        Raises:
            Refused: The object is not there, or a condition did not hold; nothing was done.
            Unavailable, InDoubt, StoreError
        """
        client = self._mine().client
        asked = Asked(action, self._bucket, key, client.meta.endpoint_url)
        doubt, pause = False, _FIRST
        while True:
            sent = time.time()
            try:
                answer = call(client)
                self._heard(answer, sent)
                return answer
            except FAILURES as error:
                self._heard(getattr(error, "response", None), sent)
                verdict = judge(error)
                doubt = doubt or (writes and verdict is Verdict.UNKNOWN)
                if verdict is Verdict.REFUSED and not doubt:
                    raise Refused from error
                # full jitter: many who were slowed down at once do not come back at once
                wait = random.uniform(0, pause)
                if verdict in (Verdict.REFUSED, Verdict.FINAL) or time.monotonic() + wait >= until:
                    raise translate(error, asked, doubt=doubt) from error
            time.sleep(wait)
            pause = min(2 * pause, _LONGEST)

    def at_once(self, act: Callable[[str], T], keys: Sequence[str]) -> list[T]:
        """What ``act`` returns for each key: for the first in this thread, for the others in those of the store."""
        if not keys:
            return []
        try:
            pool = self._mine().pool
            others = [pool.submit(act, key) for key in keys[1:]]
        except RuntimeError:  # the interpreter ends, and starts no threads any more
            return [act(key) for key in keys]
        try:
            return [act(keys[0]), *(other.result() for other in others)]
        except BaseException:
            for other in others:
                other.cancel()
            raise

    def close(self) -> None:
        """Repeatable."""
        with self._lock:
            made, self._made, self._closed = self._made, None, True
        if made is not None and made.pid == os.getpid():
            made.pool.shutdown(wait=False, cancel_futures=True)
            made.client.close()

    def _mine(self) -> _Process:
        made = self._made
        if made is not None and made.pid == os.getpid():
            return made
        with self._lock:  # a boto3.Session makes one client at a time
            if self._closed:
                raise StoreError("this store is closed; open another")
            if self._made is None or self._made.pid != os.getpid():
                try:
                    client = self._make()
                except (BotoCoreError, ValueError) as error:
                    raise translate(error, Asked("anything", self._bucket), doubt=False) from error
                self._made = _Process(os.getpid(), client, ThreadPoolExecutor(PARALLEL, "objects"))
            return self._made

    def _heard(self, answer: Mapping[str, Any] | None, sent: float) -> None:
        if date := (answer or {}).get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date"):
            self.clock.saw(date, sent, time.time())
