"""An invocation's part in a lease: how long it lasts, and who was called in it.

Law: an invocation whose end is never seen (its stream was dropped, a hook raised before it began) is over when what it
was called with is gone.
"""

from __future__ import annotations

import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .leases import Lease

TOKEN = "strands_session_store"
"""Key in an invocation's state of what goes when the invocation goes."""

calling: ContextVar[tuple[Hold, ...]] = ContextVar("strands_session_store_holds", default=())
"""Parts in leases, of the invocations that this code runs in. Some may have ended since: who was started by them and
outlives them is not called by them any more."""


class _Token:
    """Lives as long as the state of an invocation."""


def token_in(state: dict[str, Any]) -> object:
    """What lives as long as the state. All that are given one state have the same: it is kept until none needs it."""
    return state.setdefault(TOKEN, _Token())


class Hold:
    """One invocation's part in a lease."""

    def __init__(self, owner: object, while_there: object) -> None:
        """``owner``: the agent or orchestrator; ``while_there``: the invocation is over when this is gone, too."""
        self._owner, self._token = weakref.ref(owner), weakref.ref(while_there)
        self.lease: Lease | None = None
        """Whose it is; None: nobody's (any more)."""

    @property
    def alive(self) -> bool:
        """Whether the invocation can still end."""
        return self._owner() is not None and self._token() is not None


def callers() -> list[Hold]:
    """Of the invocations that this code runs in, those that go on."""
    return [hold for hold in calling.get() if hold.lease is not None and hold.alive]
