"""What this process knows of an agent's two stored logs: which tracking ids stand at which entries. Pure.

Law: nothing that is stored is taken for new. Where it takes entries that were not read to tell, ``unsure`` says so, and
``unread`` says which they are.

Rule 1. What was there before this process began is known once it was read (``remember``); what came since, at once
        (``said``, ``shown``).
Rule 2. An id that is not known, or that stands more often than is known, may be among what was not read.
Rule 3. A redaction is of every entry that has the id. One of an id that was said before this process began is owed to
        what was not read, and falls due when all is.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any


class Seen:
    """Of the history and the variants log of one agent, what this process has seen."""

    def __init__(self, history: int, variants: int, start: int, variants_start: int) -> None:
        """Begin with logs of these lengths, of which nothing was read; below their starts they were trimmed."""
        self._found, self._starts = (history, variants), (start, variants_start)
        self._read: tuple[set[int], set[int]] = set(), set()
        """Of the entries that were there before: those that were read, in both logs."""
        self._said: dict[str, list[int]] = {}
        self._shown: dict[str, list[tuple[int, int | None]]] = {}
        self._owed: dict[str, dict[str, Any]] = {}

    def history(self, found: str) -> Sequence[int]:
        """The entries of the history that have this tracking id, in order, as far as they are known."""
        return self._said.get(found, ())

    def variants(self, found: str) -> Sequence[tuple[int, int | None]]:
        """The same of the variants log, each with what it stands for; in no order."""
        return self._shown.get(found, ())

    def said(self, found: str, index: int) -> None:
        """The message with this id is the next entry of the history."""
        self._said.setdefault(found, []).append(index)

    def shown(self, found: str, index: int, of: int | None) -> None:
        """The message with this id is the next entry of the variants log."""
        self._shown.setdefault(found, []).append((index, of))

    def redacted(self, found: str, message: dict[str, Any]) -> None:
        """Every known entry with this id was replaced by ``message``; what else has it gets it by `remember`."""
        if not self._complete and any(index < self._found[0] for index in self.history(found)):
            self._owed[found] = message  # said before this process began, so perhaps more than once

    def unread(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Spans of the history and of the variants that were there before and that this process has not seen yet."""
        history, variants = map(_gaps, self._starts, self._found, self._read)
        return history, variants

    def unsure(self, found: Iterable[str]) -> bool:
        """Whether it takes reading all (`unread`, then `remember`) to tell which of these ids are new.

        So it is when one of them is not known, or stands more often than is known; but not all was read. Such ones turn
        up when a snapshot from before the resume is loaded, or a prompt of those days is used again. And so it is when
        one of those days was redacted.
        """
        if self._complete:
            return False
        return bool(self._owed) or any(
            count > len(said) if (said := self._said.get(name)) else name not in self._shown
            for name, count in Counter(found).items()
        )

    def remember(
        self, history: Mapping[int, str | None], variants: Mapping[int, tuple[int | None, str | None]]
    ) -> dict[str, dict[str, Any]]:
        """Note the ids of entries that were read.

        Args:
            history: Index -> tracking id; None: it was removed.
            variants: Index -> (of, tracking id).

        Returns:
            Redactions that are due: tracking id -> what every entry with it is to be replaced by.
        """
        for index, found in history.items():
            if found is not None and index not in self._read[0]:
                insort(self._said.setdefault(found, []), index)
        for index, (of, shown) in variants.items():
            if shown is not None and index not in self._read[1]:
                self._shown.setdefault(shown, []).append((index, of))
        self._read[0].update(history)
        self._read[1].update(variants)
        if not self._complete:
            return {}
        due, self._owed = self._owed, {}
        return due

    @property
    def _complete(self) -> bool:
        """Whether all that was there before this process began was read by it."""
        return all(len(r) >= end - start for r, end, start in zip(self._read, self._found, self._starts))


def _gaps(start: int, length: int, seen: Collection[int]) -> list[tuple[int, int]]:
    """Spans of ``range(start, length)`` that were not seen."""
    edges = [start - 1, *sorted(index for index in seen if index < length), length]
    return [(a + 1, b) for a, b in pairwise(edges) if b > a + 1]
