"""Live messages <-> references into what is stored. Pure: no I/O, no clock, no Strands.

Law: after ``sync(live)``, ``restore`` of what it said to store gives ``live`` again, and the history holds, in order,
everything that was said.

A *history* only grows; a *context* is the list the model sees. Each live message is one of

    (h, None)   entry h of the history, as it is there
    (h, v)      entry h, but shown otherwise (a truncated tool result): entry v of the variants log, with ``of=h``
    (None, v)   in no history (a summary): entry v of the variants log

Rule 1. Messages are known by tracking id; a missing one is assigned in place, as Strands itself does later.
Rule 2. An announced message (Strands fired an event for it) that is known takes the place of its history entry;
        unless it now stands more often in the live list than before: then it was said again.
Rule 3. What stands behind the last known message joins the history, announced or not; summaries excepted.
Rule 4. Any other difference between the live list and what was synced last is the context's, not the history's: it
        becomes a variant. A variant is appended, never rewritten; of several for one entry the last one counts.
Rule 5. Redaction is different: it replaces the content in every entry of both logs that has the id.

The context is kept as spans; the last one is open-ended when it reaches the end of the history, so that a plain append
changes no document.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, TypeAlias

from .messages import Message, ensure_id, same, snapshot
from .seen import Seen

Span: TypeAlias = tuple[int, int | None]
Spans: TypeAlias = list[dict[str, list[int | None]]]
"""A context as it is stored; see `Context.spans`."""

REACH = 16
"""Entries of a history that one read may take in vain, beside three for each that it needs."""
STALE = 64
"""Variants that may be stale before the long-lived ones are appended anew, beside three for each of these."""


@dataclass(slots=True)
class Slot:
    """One message of the context as it was at the last sync."""

    history: int | None
    variant: int | None
    message: Message
    """A copy; never handed out, never changed."""


@dataclass(slots=True)
class Delta:
    """What one sync has to store. Indices are final."""

    appended: list[tuple[int, Message]] = field(default_factory=list)
    """New entries of the history."""
    replaced: dict[int, Message] = field(default_factory=dict)
    """History entries with new content."""
    redacted: bool = False
    """Whether the replacements of this delta are a redaction."""
    variants: list[tuple[int, int | None, Message | None]] = field(default_factory=list)
    """New entries of the variants log: (index, of, message)."""
    replaced_variants: dict[int, tuple[int | None, Message]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.appended or self.replaced or self.variants or self.replaced_variants)


def ids(history: Mapping[int, Message | None]) -> dict[int, str | None]:
    """Index -> tracking id, of entries of a history; None for a removed one."""
    return {index: None if message is None else ensure_id(message) for index, message in history.items()}


def variant_ids(variants: Mapping[int, tuple[int | None, Message | None]]) -> dict[int, tuple[int | None, str | None]]:
    """Index -> (of, tracking id), of entries of a variants log."""
    return {i: (of, None if shown is None else ensure_id(shown)) for i, (of, shown) in variants.items()}


class Context:
    """The context of one agent as of its last sync, and where the next entries of its two logs go."""

    def __init__(self, history: int = 0, variants: int = 0, start: int = 0, variants_start: int = 0) -> None:
        """Begin with an empty context beside logs of these lengths; below their starts they were trimmed."""
        self.slots: list[Slot] = []
        self.history = history
        """Length of the history: index of the next entry."""
        self.variants = variants
        self._start = start
        self._seen = Seen(history, variants, start, variants_start)

    # ---------------------------------------------------------------------------------------------------- storing

    def sync(self, live: Sequence[Message], announced: Message | None = None, summaries: Collection[str] = ()) -> Delta:
        """What has to be stored so that ``live`` can be restored. The context then *is* ``live``.

        Args:
            live: The agent's messages.
            announced: The message that Strands has just added or updated. It enters the history also when a hook has
                taken it out of ``live`` again.
            summaries: Tracking ids of messages that were never said.
        """
        names = [ensure_id(message) for message in live]
        delta = Delta()
        at = _position(live, names, announced)
        if announced is not None and at is None and not self._seen.history(ensure_id(announced)):
            self._append(delta, snapshot(announced))
        matched = self._match(live, names)
        last_known = max((i for i, slot in enumerate(matched) if slot is not None), default=-1)
        counts: Counter[str] | None = None
        slots: list[Slot] = []
        for i, message in enumerate(live):
            slot = matched[i]
            if slot is None:
                joins = i == at
                if not joins and i > last_known and names[i] not in summaries:
                    counts = counts if counts is not None else Counter(names)
                    said = self._seen.history(names[i])
                    # what was found in no history before (a summary of long ago, out of a snapshot) was never said
                    joins = counts[names[i]] > len(said) if said else not self._seen.variants(names[i])
                copy = snapshot(message)
                if joins:
                    slot = Slot(self._append(delta, copy), None, copy)
                else:
                    slot = Slot(None, self._vary(delta, None, copy, names[i]), copy)
            elif i == at:
                slot = self._announce(delta, slot, message, names[i])
            elif not same(slot.message, message):
                copy = snapshot(message)
                slot = Slot(slot.history, self._vary(delta, slot.history, copy, names[i]), copy)
            slots.append(slot)
        self.slots = slots
        self._gather(delta)
        return delta

    def redact(self, message: Message) -> Delta:
        """Replace the content of every entry, in both logs, that has the message's tracking id."""
        found, copy = ensure_id(message), snapshot(message)
        delta = Delta(redacted=True)
        self._redact(delta, found, copy)
        for slot in self.slots:
            if slot.message.get("tracking_id") == found:
                slot.message = copy
        self._seen.redacted(found, copy)
        return delta

    def spans(self) -> Spans:
        """The context in the form that is stored: ``{"history": [from, to]}`` and ``{"variants": [from, to]}`` in live
        order, ``to`` exclusive; None for "to the end of the history, whatever it will be"."""
        out: Spans = []
        for slot in self.slots:
            key, index = ("history", slot.history) if slot.history is not None else ("variants", slot.variant)
            assert index is not None
            if out and out[-1].get(key, (None, None))[1] == index:
                out[-1][key][1] = index + 1
            else:
                out.append({key: [index, index + 1]})
        if out and "history" in out[-1] and out[-1]["history"][1] == self.history:
            out[-1]["history"][1] = None
        elif not out or self.history == 0:
            # an empty context: what is said next is in it
            out.append({"history": [self.history, None]})
        return out

    def since(self, index: int) -> list[Message] | None:
        """What the history has from an index on, which can't be below its start; None: the context lacks some of it."""
        found = {slot.history: slot.message for slot in self.slots if slot.history is not None}
        wanted = range(max(index, self._start), self.history)
        return [found[i] for i in wanted] if all(i in found for i in wanted) else None

    def ahead(self) -> list[Message]:
        """The messages before the first of the history."""
        return [slot.message for slot in takewhile(lambda slot: slot.history is None, self.slots)]

    def tails(self) -> tuple[int, int]:
        """From which index on the history and the variants are worth reading in one go, to have this context.

        Of the history, entries further back (a pinned first message) cost a second read; of the variants all are
        covered, since the latest one of an entry can only be told by looking at all.
        """
        history = sorted({s.history for s in self.slots if s.history is not None}, reverse=True)
        reach = self.history
        for count, index in enumerate(history, 1):
            if self.history - index <= 4 * count + REACH:
                reach = index
        return reach, min((s.variant for s in self.slots if s.variant is not None), default=self.variants)

    # ------------------------------------------------------------------------------------------------- restoring

    def missing(self, spans: Sequence[Mapping[str, Any]], have: Collection[int]) -> list[Span]:
        """Spans of the history that the stored context needs and that are not in ``have`` (indices already read)."""
        return _spans(index for index in self._indices(spans) if index not in have)

    def restore(
        self,
        spans: Sequence[Mapping[str, Any]],
        history: Mapping[int, Message | None],
        variants: Mapping[int, tuple[int | None, Message | None]],
    ) -> list[Message]:
        """The live messages, each a copy of its own. What was read is remembered.

        Args:
            spans: As `spans` gave them. What was removed since is left out.
            history: Index -> message, None for a removed one; at least those of `missing`.
            variants: Index -> (of, message), at least from the tail on.

        Raises:
            KeyError: An entry that the spans name was not given.
        """
        self.remember(ids(history), variant_ids(variants))
        latest = {of: index for index, (of, _) in sorted(variants.items()) if of is not None}
        self.slots = []
        for span in spans:
            if "history" in span:
                for index in self._range(span["history"]):
                    at = latest.get(index)
                    other, said = variants[at][1] if at is not None else None, history[index]
                    if other is not None:
                        self.slots.append(Slot(index, at, other))
                    elif said is not None:
                        self.slots.append(Slot(index, None, said))
            else:
                for index in range(*span["variants"]):
                    of, shown = variants[index]
                    if shown is not None:
                        self.slots.append(Slot(None, index, shown))
                    elif of is not None:
                        raise KeyError(f"variant {index} holds no message")
        return [snapshot(slot.message) for slot in self.slots]

    def unread(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """See `Seen.unread`."""
        return self._seen.unread()

    def unsure(self, messages: Iterable[Message]) -> bool:
        """Whether it takes reading all (`unread`, then `remember`) to tell which of the messages are new; see
        `Seen.unsure`."""
        return self._seen.unsure(str(found) for message in messages if (found := message.get("tracking_id")))

    def remember(
        self, history: Mapping[int, str | None], variants: Mapping[int, tuple[int | None, str | None]]
    ) -> Delta:
        """Note the ids of entries that were read, so that none is taken for a new one; see `Seen.remember`.

        Returns:
            What a redaction since has to replace among them.
        """
        delta = Delta(redacted=True)
        for found, copy in self._seen.remember(history, variants).items():
            self._redact(delta, found, copy)
        return delta

    # --------------------------------------------------------------------------------------------------- private

    def _redact(self, delta: Delta, found: str, copy: Message) -> None:
        delta.replaced |= {index: copy for index in self._seen.history(found)}
        delta.replaced_variants |= {index: (of, copy) for index, of in self._seen.variants(found)}

    def _match(self, live: Sequence[Message], ids: Sequence[str]) -> list[Slot | None]:
        """For each live message the slot it had, or None. Each slot goes to one message."""
        slots = self.slots
        if len(live) >= len(slots) and all(same(slot.message, message) for slot, message in zip(slots, live)):
            return [*slots, *[None] * (len(live) - len(slots))]
        by_id: dict[str, list[Slot]] = {}
        for slot in slots:
            by_id.setdefault(str(slot.message.get("tracking_id")), []).append(slot)
        places: dict[str, list[int]] = {}
        for i, found in enumerate(ids):
            places.setdefault(found, []).append(i)
        matched: list[Slot | None] = [None] * len(live)
        for found, at in places.items():
            had = by_id.get(found, [])
            # said once more than before: the last is new. Said less often: the first were trimmed
            for i, slot in zip(at, had) if len(at) >= len(had) else zip(at, had[len(had) - len(at) :]):
                matched[i] = slot
        return matched

    def _announce(self, delta: Delta, slot: Slot, message: Message, found: str) -> Slot:
        """Rule 2 for a message that has a slot."""
        said = self._seen.history(found)
        history = slot.history if slot.history is not None else said[-1] if said else None
        if history is not None and slot.variant is None and same(slot.message, message):
            return slot
        copy = snapshot(message)
        if history is None:
            return Slot(self._append(delta, copy), None, copy)
        delta.replaced[history] = copy
        if any(of == history for _, of in self._seen.variants(found)):
            self._vary(delta, history, None, found)
        return Slot(history, None, copy)

    def _append(self, delta: Delta, copy: Message) -> int:
        index = self.history
        self.history += 1
        self._seen.said(str(copy["tracking_id"]), index)
        delta.appended.append((index, copy))
        return index

    def _vary(self, delta: Delta, of: int | None, copy: Message | None, found: str) -> int:
        index = self.variants
        self.variants += 1
        if copy is not None:
            self._seen.shown(found, index, of)
        delta.variants.append((index, of, copy))
        return index

    def _gather(self, delta: Delta) -> None:
        """Append long-lived variants anew once most of the log from the first of them on is stale, so that a resume
        keeps reading little. Amortized: at most one copy for every three that became stale."""
        active = [slot for slot in self.slots if slot.variant is not None]
        if active and self.variants - min(s.variant for s in active if s.variant is not None) > 4 * len(active) + STALE:
            for slot in active:
                slot.variant = self._vary(delta, slot.history, slot.message, str(slot.message.get("tracking_id")))

    def _range(self, span: Sequence[int | None]) -> range:
        """The indices of a span of the history; those that an application has erased since are left out."""
        start, end = span
        return range(max(start or 0, self._start), self.history if end is None else end)

    def _indices(self, spans: Sequence[Mapping[str, Any]]) -> Iterable[int]:
        for span in spans:
            if "history" in span:
                yield from self._range(span["history"])


def _position(live: Sequence[Message], ids: Sequence[str], announced: Message | None) -> int | None:
    """Where the announced message stands: the last place with this very object, else with its id."""
    if announced is None:
        return None
    for i in range(len(live) - 1, -1, -1):
        if live[i] is announced:
            return i
    found = announced.get("tracking_id")
    return next((i for i in range(len(live) - 1, -1, -1) if ids[i] == found), None) if found else None


def _spans(indices: Iterable[int]) -> list[Span]:
    out: list[Span] = []
    for index in indices:
        if out and out[-1][1] == index:
            out[-1] = (out[-1][0], index + 1)
        else:
            out.append((index, index + 1))
    return out
