"""Whether an endpoint honours the conditions of a put, and what is done where it has none.

Without them, one of two commits would be lost without a word. So an endpoint that is not Amazon's is asked to refuse
what it has to refuse, once a store, before anything else is written: with an object of its own, deleted right after.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import threading
import time
from collections.abc import Callable
from typing import Final, Literal, Protocol, get_args

from ....errors import InDoubt, StoreError, Unavailable
from ..blobs import Refused, Tag

Mode = Literal["required", "assume-single-writer"]

_AMAZON: Final = re.compile(r"https?://([^/]+\.)?amazonaws\.com(\.cn)?(:\d+)?(/.*)?")


class Put(Protocol):
    """One put_object, with the headers that a condition takes."""

    def __call__(self, key: str, data: bytes, until: float, **headers: str) -> Tag: ...


class Drop(Protocol):
    """One delete_object, the same."""

    def __call__(self, key: str, until: float, **headers: str) -> None: ...


class Conditions:
    """How a conditional put or deletion is made.

    "required": by If-None-Match and If-Match; an endpoint that ignores them is refused.

    "assume-single-writer": by looking first, which takes one request more; threads of this store take turns. Two
    processes that write one session at the same moment can lose a commit, and so can one whose request is held up
    on the way and arrives after a later one. Deletions are made so, too, where only they have no condition.

    Args:
        mode: Which of the two.
        endpoint: Tells its URL.
        put, drop: Make the request.
        tag: The tag an object has now, None if there is none.
    """

    def __init__(
        self,
        mode: Mode,
        endpoint: Callable[[], str],
        put: Put,
        drop: Drop,
        tag: Callable[[str, float], Tag | None],
    ) -> None:
        if mode not in get_args(Mode):
            raise ValueError(f"conditional_writes must be one of {', '.join(get_args(Mode))}, got {mode!r}")
        self._mode = mode
        self._endpoint, self._put, self._drop, self._tag = endpoint, put, drop, tag
        self._known = threading.Event()
        self._ignored = ""
        self._bare = False
        self._drops = mode == "required"
        self._lock = threading.Lock()
        self._turns = [threading.Lock() for _ in range(64)]

    @property
    def assumed(self) -> bool:
        """Whether nothing is asked of the endpoint, and a single writer is assumed."""
        return self._mode != "required"

    def find_out(self, until: float) -> None:
        """Have the endpoint tested, once; Amazon's is not.

        Raises:
            StoreError: It does not honour them, or that could not be found out.
        """
        if self._known.is_set():
            return
        with self._lock:
            if not self._known.is_set() and not self._ignored and not _AMAZON.fullmatch(self._endpoint()):
                self._ignored = self._test(until)
            if self._ignored:
                raise StoreError(self._says(self._ignored))
            self._known.set()

    def put(self, key: str, data: bytes, until: float, *, if_absent: bool, if_match: Tag | None) -> Tag:
        """See `Blobs.put`."""
        if self._mode == "required":
            self.find_out(until)
            if if_absent:
                return self._put(key, data, until, IfNoneMatch="*")
            if if_match is not None:
                return self._put(key, data, until, IfMatch=self._spell(if_match))
            return self._put(key, data, until)
        if not if_absent and if_match is None:
            return self._put(key, data, until)
        with self._turns[hash(key) % len(self._turns)]:
            if self._tag(key, until) != if_match:
                raise Refused
            return self._put(key, data, until)

    def remove(self, key: str, tag: Tag, until: float) -> bool:
        """See `Blobs.remove`."""
        if self._mode == "required":
            self.find_out(until)
        if self._drops:
            with contextlib.suppress(Refused):
                self._drop(key, until, IfMatch=self._spell(tag))
                return True
            return self._tag(key, until) is None
        with self._turns[hash(key) % len(self._turns)]:
            found = self._tag(key, until)
            if found == tag:
                self._drop(key, until)
            return found in (tag, None)

    def _test(self, until: float) -> str:
        """The condition that the endpoint ignores; "" for none."""
        while True:
            key = f".probe-{secrets.token_hex(8)}"
            try:
                ignored = self._ignores(key, until)
                self._drops = not ignored and self._keeps(key, until)
            except BaseException as error:
                with contextlib.suppress(StoreError):
                    self._drop(key, until)
                # an answer was lost: what came after it says nothing of conditions
                if not isinstance(error, InDoubt):
                    raise
                if time.monotonic() >= until:
                    raise Unavailable(f"{error}; nothing else was written") from error
            else:
                self._drop(key, until)
                return ignored

    def _ignores(self, key: str, until: float) -> str:
        tag = self._put(key, b"1", until)
        if not self._refuses(key, until, IfNoneMatch="*"):
            return "If-None-Match"
        if self._refuses(key, until, IfMatch=self._spell("0" * 32)):
            if not self._refuses(key, until, IfMatch=self._spell(tag)):
                return ""
            self._bare = True
            if not self._refuses(key, until, IfMatch=self._spell(tag)):
                return ""
        return "If-Match"

    def _keeps(self, key: str, until: float) -> bool:
        """Whether it deletes nothing when the tag is another."""
        try:
            self._drop(key, until, IfMatch=self._spell("0" * 32))
        except Refused:
            return True
        except Unavailable:
            raise
        except StoreError:
            return False
        return False

    def _refuses(self, key: str, until: float, **headers: str) -> bool:
        try:
            self._put(key, b"2", until, **headers)
        except Refused:
            return True
        except Unavailable:
            raise
        except StoreError as error:  # it takes a put, but not with such a header
            raise StoreError(f"{self._says(' and '.join(headers))}: {error}") from error
        return False

    def _spell(self, tag: Tag) -> str:
        """As If-Match wants it: in quotes, says HTTP; some endpoints compare the bare text."""
        return tag if self._bare else f'"{tag}"'

    def _says(self, header: str) -> str:
        return (
            f"{self._endpoint()} does not honour {header}, so two writers could overwrite each other's commits; "
            "nothing was stored. Use an endpoint with conditional writes or, where one process writes each session, "
            'conditional_writes="assume-single-writer"'
        )
