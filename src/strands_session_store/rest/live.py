"""A conversation's turn while it is under way: what has happened in it so far, for whoever follows.

Rule. A turn does not end with those who follow it: a client whose connection was cut comes back and goes on from the
      event it has seen last, as long as this process keeps the turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import quote, unquote

from .. import ids
from ..errors import InvalidIdError
from . import shapes
from .problems import Problem

KEPT: Final = 60.0
"""Seconds that a turn is kept after its end."""

Event: TypeAlias = "tuple[EventId, str, dict[str, Any]]"
"""Id, type, data."""


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

    def __init__(self, session_id: str, prompt_id: str, said: Any) -> None:
        """``said``: what the prompt says."""
        self.session_id, self.prompt_id, self.said = session_id, prompt_id, said
        self._mark = secrets.token_hex(4)
        loop = asyncio.get_running_loop()
        self.begun: asyncio.Future[None] = loop.create_future()
        """Done when the session is had and the agent may begin; what went wrong before is raised there."""
        self.answer: asyncio.Future[shapes.Answer] = loop.create_future()
        """Done when all of it is stored."""
        for future in (self.begun, self.answer):
            future.add_done_callback(_heard)
        self._events: list[tuple[str, dict[str, Any]]] = []
        self._more = asyncio.Event()

    def tell(self, type: str, data: dict[str, Any]) -> None:
        self._events.append((type, data))
        more, self._more = self._more, asyncio.Event()
        more.set()

    def start(self, data: dict[str, Any]) -> None:
        self.tell("start", data)
        self.begun.set_result(None)

    def end(self, answer: shapes.Answer) -> None:
        self.answer.set_result(answer)
        self.tell("result", answer.model_dump(mode="json"))

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


def _heard(future: asyncio.Future[Any]) -> None:
    """An error that nobody waits for was logged where it was raised."""
    if not future.cancelled():
        future.exception()
