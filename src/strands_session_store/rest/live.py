"""A conversation's turn while it is under way: what has happened in it so far, for whoever follows.

Rule. A turn does not end with those who follow it: a client whose connection was cut comes back and goes on from the
      event it has seen last, as long as this process keeps the turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import quote, unquote

from .. import ids
from ..errors import InvalidIdError
from . import shapes
from .problems import Problem

KEPT: Final = 60.0
"""Seconds that a turn is kept after its end."""

KEPT_BYTES: Final = 64 * 2**20
"""What all turns that are kept take at the most, about; of more, those that ended first go."""

Event: TypeAlias = "tuple[EventId, str, bytes]"
"""Id, type, data as JSON, which has no line ends."""

_EACH: Final = 150
"""Bytes that an event takes beside its data."""


Key: TypeAlias = "tuple[str | None, str, str]"
"""Of a turn: owner, session, prompt."""


@dataclass(frozen=True, slots=True)
class EventId:
    """Of an event, as ``id:`` and Last-Event-ID have it. It says enough to go on from any process."""

    session_id: str
    prompt_id: str
    mark: str
    """Of the turn that had it: made anew elsewhere, a turn may have other events."""
    number: int

    def __str__(self) -> str:
        names = quote(self.session_id, safe=""), quote(self.prompt_id, safe=""), self.mark, str(self.number)
        return "/".join(names)

    @classmethod
    def read(cls, text: str) -> EventId:
        """
        Raises:
            Problem: It is none.
        """
        match text.split("/"):
            case [session_id, prompt_id, mark, number] if number.isascii() and number.isdigit() and len(number) < 10:
                with contextlib.suppress(InvalidIdError):
                    found = ids.check("session_id", unquote(session_id)), ids.check("prompt_id", unquote(prompt_id))
                    return cls(*found, mark, int(number))
        raise Problem(422, "Last-Event-ID is none of this server's; send the id of the last event, as it was")


class Turn:
    """A prompt and what becomes of it. Belongs to one event loop."""

    def __init__(self, session_id: str, prompt_id: str, said: bytes) -> None:
        """``said``: a digest of what the prompt says."""
        self.session_id, self.prompt_id, self.said = session_id, prompt_id, said
        self.size = 0
        """Bytes that it takes, about."""
        self._mark = secrets.token_hex(4)
        loop = asyncio.get_running_loop()
        self.begun: asyncio.Future[None] = loop.create_future()
        """Done when the session is had and the agent may begin; what went wrong before is raised there."""
        self.answer: asyncio.Future[shapes.Answer] = loop.create_future()
        """Done when all of it is stored."""
        for future in (self.begun, self.answer):
            future.add_done_callback(_heard)
        self._events: list[tuple[str, bytes]] = []
        self._more = asyncio.Event()

    def tell(self, type: str, data: Mapping[str, Any]) -> None:
        """``data``: as JSON and UTF-8 can say it."""
        said = json.dumps(data, ensure_ascii=False).encode()
        self._events.append((type, said))
        self.size += len(said) + _EACH
        more, self._more = self._more, asyncio.Event()
        more.set()

    def start(self, data: dict[str, Any]) -> None:
        self.tell("start", data)
        self.begun.set_result(None)

    def end(self, answer: shapes.Answer) -> None:
        told = answer.model_dump(mode="json")
        self.size += len(answer.response)
        self.answer.set_result(answer)
        self.tell("result", told)

    def fail(self, error: BaseException, told: dict[str, Any]) -> None:
        """``told``: the problem, for those who follow already."""
        if not self.begun.done():
            self.begun.set_exception(error)
        self.answer.set_exception(error)
        self.tell("problem", told)

    async def follow(self, after: EventId | None, pause: float) -> AsyncIterator[Event | None]:
        """Its events, those that were and those that come, until its end; None after each pause without one.

        Args:
            after: The last event that is known already, if it was one of this turn.
            pause: Seconds.
        """
        number = 0 if after is None or after.mark != self._mark else after.number + 1
        while True:
            more = self._more
            while number < len(self._events):
                yield EventId(self.session_id, self.prompt_id, self._mark, number), *self._events[number]
                number += 1
            if self.answer.done() and number >= len(self._events):
                return
            try:
                await asyncio.wait_for(more.wait(), pause)
            except asyncio.TimeoutError:
                yield None


class Kept:
    """The turns of a process, by what they are known by: those under way, and for a while those that have ended."""

    def __init__(self) -> None:
        self._turns: dict[Key, Turn] = {}
        self._ended: OrderedDict[Key, tuple[Turn, asyncio.TimerHandle]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return len(self._turns)

    def get(self, key: Key) -> Turn | None:
        """One that is under way, or has ended with an answer."""
        return self._turns.get(key)

    def add(self, key: Key, turn: Turn) -> None:
        """It begins."""
        self._drop(key)
        self._turns[key] = turn

    def ended(self, key: Key, turn: Turn) -> None:
        """It is kept for `KEPT` seconds, in `KEPT_BYTES` with all others; one that has failed is not."""
        if self._turns.get(key) is not turn:
            return
        if turn.answer.exception() is not None:
            return self._drop(key)
        self._ended[key] = turn, asyncio.get_running_loop().call_later(KEPT, self.forget, key, turn)
        self._size += turn.size
        while self._size > KEPT_BYTES:
            self._drop(next(iter(self._ended)))

    def forget(self, key: Key, turn: Turn) -> None:
        if self._turns.get(key) is turn:
            self._drop(key)

    def _drop(self, key: Key) -> None:
        self._turns.pop(key, None)
        if (ended := self._ended.pop(key, None)) is not None:
            turn, timer = ended
            timer.cancel()  # it holds the turn as well
            self._size -= turn.size


def _heard(future: asyncio.Future[Any]) -> None:
    """An error that nobody waits for was logged where it was raised."""
    if not future.cancelled():
        future.exception()
