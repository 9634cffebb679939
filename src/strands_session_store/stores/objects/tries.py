"""How often a verb tries again, and until when; and what may still come to be done by a try that was not answered."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ...errors import InDoubt, StoreError, Unavailable
from .blobs import Tag

_FIRST_PAUSE: Final = 0.002
_LONGEST_PAUSE: Final = 0.5
"""Seconds between two tries, before jitter."""


class Tries:
    """Of one verb on one space. A put in the place of what had some tag can only be done while that is still there.

    Args:
        what: The space, for errors.
        timeout: Seconds for all tries together.

    Attributes:
        doubted: Whether any put was not answered.
    """

    def __init__(self, what: str, timeout: float) -> None:
        self._what = what
        self._until = time.monotonic() + timeout
        self._pause = _FIRST_PAUSE
        self._pending: tuple[Tag | None] | None = None
        """What a put that was not answered is to replace."""
        self.doubted = False

    def saw(self, tag: Tag | None) -> None:
        """This is in the place now."""
        if self._pending != (tag,):
            self._pending = None

    def unanswered(self, tag: Tag | None) -> None:
        """A put in the place of this had no answer."""
        self._pending, self.doubted = (tag,), True

    @contextmanager
    def judged(self) -> Iterator[None]:
        """What is raised in here is final.

        Raises:
            InDoubt: In its place, where a put that was not answered may still be done.
        """
        try:
            yield
        except InDoubt:
            raise
        except StoreError as error:
            if self._pending is None:
                raise
            raise InDoubt(f"{self._what}: a put was not answered, and may still be done; then: {error}") from error

    def pause(self) -> None:
        """Wait before the next try, with jitter.

        Raises:
            Unavailable: It took too long.
        """
        seconds = random.uniform(0, self._pause)
        if time.monotonic() + seconds >= self._until:
            with self.judged():
                raise Unavailable(f"{self._what} was being changed by others the whole time; nothing was written")
        time.sleep(seconds)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
