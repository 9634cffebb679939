"""What goes wrong in the middle of a turn, at a moment that is named and not timed."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import strands_session_store
from strands_session_store import StoreError, Unavailable
from strands_session_store.errors import InDoubt
from strands_session_store.testing.faults import FaultyStore

from .conversations import Act

OURS = str(Path(strands_session_store.__file__).parent)


def plan(store: FaultyStore, fault: Act) -> None:
    """Have the store fail."""
    how, at, times = fault
    error = Unavailable("not now") if how.startswith("unavailable") else InDoubt("no answer")
    if how.endswith("before"):
        store.plan("commit", at=at, times=times, before=error)
    else:
        store.plan("commit", at=at, times=times, after=error)


class Moments:
    """Model calls, tool calls, announced messages and commits, counted."""

    def __init__(self, store: FaultyStore, fire: Callable[[str], None]) -> None:
        self._store, self._fire = store, fire
        self._next: tuple[str, int] | None = None
        self._act: Callable[[], None] = lambda: None

    @contextlib.contextmanager
    def at(self, moment: tuple[str, int], act: Callable[[], object]) -> Iterator[None]:
        """Do something at the nth model call, tool call or announced message, or while the nth commit is on its way."""
        what, nth = moment
        loop = asyncio.get_running_loop()

        def once() -> None:
            self._fire(f"cut at {what}")
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(act)

        if what != "commit":
            self._next, self._act = moment, once
            try:
                yield
            finally:
                self._next = None
            return
        held = self._store.plan("commit", at=nth, hang="before")
        over = False

        def wait() -> None:
            held.reached.wait()
            if not over:
                once()
            held.release()

        waiter = threading.Thread(target=wait)
        waiter.start()
        try:
            yield
        finally:
            over = True
            held.reached.set()
            waiter.join()

    def tick(self, what: str) -> None:
        if self._next is not None and self._next[0] == what:
            self._next = (what, self._next[1] - 1)
            if self._next[1] == 0:
                self._act()


def judge(error: BaseException, *, faulty: bool) -> None:
    """What a turn may end by: no error of ours, unless the store has caused it."""
    seen: list[BaseException] = []
    todo: list[BaseException | None] = [error]
    while todo:
        e = todo.pop()
        if e is None or any(e is other for other in seen):
            continue
        seen.append(e)
        todo += [e.__cause__, e.__context__]
        files = []
        place = e.__traceback__
        while place is not None:
            files.append(place.tb_frame.f_code.co_filename)
            place = place.tb_next
        if isinstance(e, StoreError):
            assert faulty, f"{e!r} without a fault"
        elif not isinstance(e, asyncio.CancelledError | GeneratorExit):
            ours = [file for file in files if file.startswith(OURS) and "testing" not in file]
            assert not ours, f"{e!r} came out of {ours}"
