"""An event loop waits for a thread, and neither can hurt the other.

Not `asyncio.wrap_future`: that cancels the thread's future along with the waiting task, and complains when the loop is
closed before the thread is done. Here a cancelled or closed loop just stops waiting; the write goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def settle(future: Future[T], timeout: float, overdue: Callable[[], Exception]) -> T:
    """The future's result.

    Raises:
        Exception: The future's own; or what ``overdue`` makes when it takes longer than ``timeout`` seconds.
    """
    if not future.done():
        loop = asyncio.get_running_loop()
        waiting = loop.create_future()

        def stop() -> None:
            if not waiting.done():
                waiting.set_result(None)

        def wake(_: Future[T]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(stop)

        alarm = loop.call_later(timeout, stop)
        future.add_done_callback(wake)
        try:
            await waiting
        finally:
            alarm.cancel()
        if not future.done():
            raise overdue()
    return future.result()
