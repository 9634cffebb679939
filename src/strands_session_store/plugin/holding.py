"""The beginning and the end of an invocation, as far as the lease goes: whatever comes, none is left behind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from .holds import Hold
from .live import LiveSession


class Invoked(Protocol):
    """A tracked agent or orchestrator."""

    fence: str
    hold: Hold | None


@asynccontextmanager
async def holding(session: LiveSession, tracked: Invoked, hold: Hold) -> AsyncIterator[Hold]:
    """The beginning of an invocation; when that fails, it has no end."""
    session.leave(tracked.fence, tracked.hold)  # of one whose end was not seen
    tracked.hold = hold
    try:
        yield hold
    except BaseException:
        session.leave(tracked.fence, hold)
        await session.let_go()
        raise


@asynccontextmanager
async def letting_go(session: LiveSession, tracked: Invoked) -> AsyncIterator[Hold | None]:
    """The end of an invocation."""
    hold, tracked.hold = tracked.hold, None
    try:
        yield hold
    finally:
        if hold is not None and hold.lease is not None:  # it did not come to `LiveSession.at_end`
            session.leave(tracked.fence, hold)
            await session.let_go()
