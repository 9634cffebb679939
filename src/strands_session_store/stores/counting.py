"""What an engine may be able to do: tell how many rows a listing has, without reading them."""

from __future__ import annotations

from abc import ABC, abstractmethod

from .base import Query


class Counting(ABC):
    """A store that can count what it lists."""

    @abstractmethod
    def count(self, query: Query, *, most: int | None = None) -> tuple[int, bool]:
        """How many rows all pages of the listing have together, from the first one on, and whether these are all: its
        limit, direction, counters and cursor play no part. Costs a walk over the index, not over what the spaces hold.
        What comes or goes meanwhile may be among them or not.

        Args:
            query: The listing.
            most: Behind so many it may stop, where that costs less; None: it counts all.

        Raises:
            ValueError: A query that contradicts itself.
            StoreError: As the other verbs.
        """
