"""What waits in a writer's queue: cut to fit into commits, and named when it ends unwritten. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from ..errors import StoreError
from ..stores.base import Change
from .jobs import Atom, Job, split, weight

LOGGED_IDS = 20
"""How many a line of the log names; the error has them all."""


@dataclass(slots=True)
class Queued:
    """A job in the queue."""

    number: int
    job: Job | None
    size: int
    """Bytes of memory, about."""
    ids: tuple[str, ...]
    """Of its messages."""
    atoms: list[Atom] = field(default_factory=list)
    """Its changes; filled when the job was encoded."""
    problem: StoreError | None = None
    """Told to whoever waits for it, although it is stored (as far as it could be)."""

    @property
    def changes(self) -> list[Change]:
        return [change for atom in self.atoms for change in atom]

    def pieces(self) -> list[Queued]:
        """An encoded job as several that fit into a commit each: its appends go first, each a prefix of the truth. Only
        the last has the job's own number: who waits for the job waits for all of it, and none of its messages counts
        as written before."""
        pieces = [Queued(self.number - 1, None, 0, self.ids, part) for part in split(self.atoms)]
        for piece in pieces:
            piece.size = weight(piece.changes)[0]
        pieces[-1].number, pieces[-1].problem = self.number, self.problem
        return pieces


def unwritten(queue: Collection[Queued], doubtful: Iterable[Queued]) -> tuple[tuple[str, ...], str]:
    """The messages that are not acknowledged, oldest first, and what is known of them; ``doubtful``: those that may be
    stored, as far as they are in the queue still, at its head."""
    found = tuple(dict.fromkeys(name for queued in queue for name in queued.ids))
    taken = {id(queued) for queued in doubtful}
    first = len({name for queued in queue if id(queued) in taken for name in queued.ids})
    if any(id(queued) in taken for queued in queue) and first == len(found):
        return found, "may be stored"
    return found, f"the first {first} may be stored, the others are not" if first else "not stored"


def named(ids: tuple[str, ...]) -> str:
    """Messages, as a line of the log names them."""
    more = f" and {len(ids) - LOGGED_IDS} more" if len(ids) > LOGGED_IDS else ""
    return " ".join(ids[:LOGGED_IDS]) + more
