"""The last commits of one writer, kept to be made again when the engine lost them. Pure.

How many: a failover loses what had not reached the replica, which is seconds of commits, and an agent makes a handful a
second at most. 64 is also for how long an engine surely knows a commit by its id; 1 MiB is what 64 commits of 16 kB
take, and small beside the live agent that said them. The very last one is kept whatever its size: it is what a failover
takes first.

Law: on one server, what is lost of a writer's commits is the end of their row. So below one that is there, all are; but
where a commit got a revision that an earlier one had, it was made after the loss, and the lost ones lie before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ..stores.base import REPEAT_COMMITS, Change, DropDoc, PutDoc, Replace
from .jobs import weight

COMMITS = 64
BYTES = 2**20


class TooMuch(Exception):
    """More was lost than is kept. Never leaves the plugin."""


@dataclass(slots=True)
class Done:
    """A commit that was acknowledged."""

    commit_id: str
    revision: int
    changes: list[Change]
    """Without what it expected."""


class Redo:
    """Of one writer."""

    def __init__(self) -> None:
        self._done: deque[Done] = deque()
        self._bytes = 0
        self._let_go: Done | None = None
        """The last one that is kept no more, without its changes."""

    @property
    def highest(self) -> int:
        """The highest revision that was acknowledged; 0 when there was none."""
        return max((done.revision for done in self._done), default=0)

    def note(self, done: Done) -> None:
        """Keep a commit. Repeatable."""
        if self._done and self._done[-1].commit_id == done.commit_id:
            return
        self._done.append(done)
        self._bytes += weight(done.changes)[0]
        while len(self._done) > COMMITS or (self._bytes > BYTES and len(self._done) > 1):
            gone = self._done.popleft()
            self._bytes -= weight(gone.changes)[0]
            self._let_go = Done(gone.commit_id, gone.revision, [])

    def lost(self, revision: int, known: Callable[[Done], bool]) -> list[tuple[Done, list[Change]]]:
        """What is to be made again: oldest first, each with its changes, but for what a commit that is there has
        overwritten since.

        Args:
            revision: Of the space, as it is now; 0 when all of this writer's are lost.
            known: Whether the engine knows a commit by its id; asked only where it would still know it.

        Raises:
            TooMuch: One that is kept no more is lost too.
        """
        row = [*([self._let_go] if self._let_go is not None else []), *self._done]
        lost: list[tuple[Done, list[Change]]] = []
        later: set[object] = set()
        for at in reversed(range(len(row))):
            done = row[at]
            # of one that has more commits above it than an engine knows ids, the number has to do
            if done.revision <= revision and (done.revision < revision - REPEAT_COMMITS or known(done)):
                if all(earlier.revision < done.revision for earlier in row[:at]):
                    break
                later.update(map(_place, done.changes))
            elif done is self._let_go:
                raise TooMuch
            else:
                lost.append((done, [change for change in done.changes if _place(change) not in later]))
        return lost[::-1]


def _place(change: Change) -> object:
    """What the change overwrites; itself where it only adds."""
    match change:
        case PutDoc(path) | DropDoc(path):
            return path
        case Replace(log, index):
            return log, index
        case _:
            return id(change)
