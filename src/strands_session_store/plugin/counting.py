"""Model calls of live agents, counted where their answers are stored.

Law: a call is counted by the thread that encodes its answer, once, however often that is tried; what it adds to
counters travels in the commit of its answer. So counters are what a recount of the stored entries gives.

Rule 1. What was counted stays with the entry, also when its message is redacted: it was spent.
Rule 2. An answer that is replaced while it grows (a BidiAgent's) is counted anew, and the difference is added.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from .. import calls, codec, usage
from ..messages import Message
from ..prices import Prices
from ..records import Counted
from ..records import Message as Entry
from ..usage import Totals


class Tally:
    """What the calls of one run took, as they are counted."""

    def __init__(self) -> None:
        self.totals = Totals()
        self.model: str | None = None
        """Of the last one."""


class Stored(NamedTuple):
    """What was counted with an entry that was read, as far as the entry's replacement may need it."""

    at: float | None
    row: list[Any]
    metadata: Any
    """Of its message."""

    def counted(self, path: str) -> Counted:
        """A whole one (`usage.whole`); ``path``: of the entry, for Corrupt."""
        found = codec.counted((self.at, self.row), path)
        entry = Entry(message={"metadata": self.metadata}, at=self.at, usage=found)
        return usage.whole(entry) or found


class Call:
    """A model call whose answer is on its way to a history."""

    def __init__(self, answer: Message, heard: Iterable[Message], model: Any, at: float, tally: Tally | None) -> None:
        """``model``: the live one that was called. ``heard``: what was said since the answer before."""
        self._answer, self._heard = answer, tuple(heard)
        self._model, self._at, self._tally = calls.named(model), at, tally
        self._before: Call | None = None
        self._found: tuple[Counted, Totals] | None = None

    def replaced(self, answer: Message) -> Call:
        """The same call, which has said something else by now."""
        call = Call(answer, (), None, self._at, self._tally)
        call._model, call._before = self._model, self
        return call

    def count(self, prices: Prices, computing: AbstractContextManager[Any]) -> tuple[Counted, Totals]:
        """What was counted, a whole one, and what that adds to counters. Repeatable; ``computing``: has to be held
        where it takes long."""
        if self._found is None:
            before = None if self._before is None else self._before.count(prices, computing)[0]
            (name, provider), given = self._model, 0 if before is None or before.tokens is None else before.tokens[0]
            with computing if usage.reported(self._answer) is None else nullcontext():
                counted = calls.counted(
                    self._answer, self._heard, name, at=self._at, prices=prices, provider=provider, given=given
                )
            added = usage.totals_of(counted)
            if before is not None:
                added -= usage.totals_of(before)
            if self._tally is not None:
                self._tally.totals, self._tally.model = self._tally.totals + added, counted.model
            self._found = counted, added
            # the tracked agent keeps its calls, and would keep with them all that was ever said
            self._answer, self._heard, self._before = {}, (), None
        return self._found


class Same(NamedTuple):
    """A call whose answer was redacted: what it took stays, and was added to the counters with the answer."""

    call: Call


Counts: TypeAlias = Call | Same | Stored | None
"""What is counted with an entry."""
K = TypeVar("K", int, str)


class Calls(Generic[K]):
    """The model calls of one history, by the key of the answer's entry, and what was said since the last one."""

    def __init__(self, calls: Mapping[K, Stored] | None = None, heard: Iterable[tuple[K, Message]] = ()) -> None:
        self._calls: dict[K, Call | Stored] = dict(calls or {})
        self._heard: dict[K, Message] = dict(heard)

    def remember(self, calls: Mapping[K, Stored]) -> None:
        """Note what was counted with older entries, which were read only now."""
        self._calls = {**calls, **self._calls}

    def said(self, key: K, message: Message, model: Any, at: float, tally: Tally | None) -> Call | None:
        """Note a new message; the call that it answers, if it is an answer."""
        if message["role"] != "assistant":
            self._heard[key] = message
            return None
        call = self._calls[key] = Call(message, self._heard.values(), model, at, tally)
        self._heard = {}
        return call

    def replaced(self, key: K, message: Message, *, redacted: bool) -> Counts:
        """Note that a message has taken the place of another; what was counted with that, as the new one keeps it."""
        if key in self._heard:
            self._heard[key] = message
        call = self._calls.get(key)
        if not isinstance(call, Call):
            return call
        if redacted:
            return Same(call)
        again = self._calls[key] = call.replaced(message)
        return again

    def only(self, key: K) -> None:
        """Forget the calls of other answers: nothing takes their place any more."""
        self._calls = {at: call for at, call in self._calls.items() if at == key}
