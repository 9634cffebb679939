"""What an engine may be able to do: tell how many rows a listing has, without reading them."""

from __future__ import annotations

from abc import ABC, abstractmethod

from .base import Query


class Counting(ABC):
    """A store that can count what it lists."""

    @abstractmethod
    def count(self, query: Query) -> int:
        """How many rows all pages of the listing have together, from the first one on: its limit, direction, counters
        and cursor play no part. Of one moment; costs a walk over the index, not over what the spaces hold.

        Raises:
            ValueError: A query that contradicts itself.
            StoreError: As the other verbs.
        """
