"""What the writers of one session, in this process, know of it together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .. import records
from .leases import Lease


@dataclass(slots=True)
class Presence:
    """What the writers of one session know of its space. Each field is set at once, never two that have to agree."""

    session: records.Session | None
    """What the session document will be, as long as it is not known to be there."""
    incarnation: str | None = None
    """None until the space is known to exist."""
    loss: object = None
    """Another one each time the engine is found to have lost what it had acknowledged."""
    tell: Callable[[object], None] = lambda loss: None
    """Passes a new `loss` on to all in this process that write to the space."""
    lease: Lease | None = None
    """What every commit expects besides: the manager's own, or that of an invocation that it was called in."""
