"""A capability beyond the port: an engine whose place does not clean up by itself can be told to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Collected:
    """What was deleted, or would be."""

    expired: int = 0
    """Spaces whose ttl had passed."""
    tombstones: int = 0
    """Marks of spaces that were dropped at least a day ago."""
    objects: int = 0
    """Sealed objects that no space named for an hour: left by writers that were killed or refused."""
    bytes: int = 0
    """Of these, as they were kept."""
    rows: int = 0
    """Index rows, at least an hour old, of spaces that are not there."""
    restored: int = 0
    """Index rows that were missing, and were put back."""
    corrupt: tuple[str, ...] = ()
    """Where heads are that can not be read; they and what belongs to them were left alone."""


Tell: TypeAlias = Callable[[Collected], None]
"""Told what was found so far."""


class Collecting(ABC):
    """A store that can collect its garbage. Nothing of it is ever visible to a read or listing."""

    @abstractmethod
    def gc(self, *, dry_run: bool = False, progress: Tell | None = None) -> Collected:
        """Delete what no verb can see any more. Safe while others read and write; costs a walk over everything.

        Args:
            dry_run: Only count.
            progress: Told now and then what was found so far.

        Raises:
            StoreError: As the other verbs; what was deleted until then stays so, and it may be repeated.
        """
