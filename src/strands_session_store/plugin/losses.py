"""How it shows that an engine has lost what it had acknowledged, where it does not say so. Pure.

Law: what nobody's commit can have caused is a loss. Logs don't become shorter, revisions don't come twice, and nobody
drops the document of a writer or of a lease.
"""

from __future__ import annotations

from collections.abc import Mapping

from .. import layout
from ..errors import ConflictError
from ..stores.base import ABSENT, Look
from .leases import UNKNOWN
from .loading import Base
from .redo import TooMuch


def tells_of_loss(conflict: ConflictError, base: Base, *, mine: bool) -> bool:
    """Whether the conflict of a writer's commit can only be a loss.

    Args:
        conflict: As the engine raised it.
        base: What the writer found of its agent.
        mine: Whether it has taken the agent over since.
    """
    path, expected, found = conflict.path, conflict.expected, conflict.found
    if path == layout.LEASE:
        return found is None and expected != UNKNOWN
    if path == base.fence:
        return found is None or (mine and base.writer is not None and found == base.writer.version)
    # of an entry that was to be replaced nothing is found
    return isinstance(expected, int) and (not isinstance(found, int) or found < expected)


def check_base(look: Look, base: Base) -> None:
    """That all is as it was found, where nothing that this writer wrote is left.

    Raises:
        TooMuch: What was found is lost too.
        ConflictError: Another has written it since.
    """
    writer = look.docs.get(base.fence)
    if any(look.logs[log].length < length for log, length in base.lengths.items()) or (base.writer and not writer):
        raise TooMuch
    if writer != base.writer:
        raise ConflictError(
            base.fence, base.writer.version if base.writer else ABSENT.value, writer.version if writer else None
        )
    found = {path: doc.version for path, doc in look.docs.items()}
    if any(found.get(path) != version for path, version in base.versions.items()):
        raise TooMuch


def shorter(look: Look, ends: Mapping[str, int]) -> str:
    """The logs that are shorter than they were, for an error's text."""
    lost = {log: view.length for log, view in look.logs.items() if view.length < ends[log]}
    return "".join(f"; {log!r} has {length} entries of {ends[log]}" for log, length in lost.items())
