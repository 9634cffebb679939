"""`show --follow`: what is said, as it comes. The store is asked again and again, each time in bounded reads.

Rule 1. Messages are asked for by their index in the whole conversation, which stays when a segment ends: so a rollover
        neither loses nor doubles one.
Rule 2. An engine that can not be reached is waited for; a session that is erased ends it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from .. import records
from ..errors import Unavailable
from ..sessions import Placed, Sessions
from ..turns import begins_turn
from . import spoken
from .reading import recent_calls
from .showing import record_as_data
from .terminal import complain, dim, print_json

PAGE: Final = 100
"""Messages of one read."""


@dataclass(slots=True)
class Heard:
    """A message that is new."""

    agent_id: str
    said: Placed


@dataclass(slots=True)
class Follower:
    """What has come since it was asked for the last time.

    Args:
        sessions: The service.
        session_id: Which.
        user_id: Its owner.
        agent_id: Only what this agent says; None: all.
        seen: By agent, the index that its next message will have.
    """

    sessions: Sessions
    session_id: str
    user_id: str | None
    agent_id: str | None
    seen: dict[str, int]
    made: float | None = None

    def look(self) -> Iterator[Heard]:
        """The new messages of each agent, in their order. A read for the session and one for each agent; more where
        much has come.

        Raises:
            SessionNotFoundError: It was erased.
        """
        overview = self.sessions.get(self.session_id, self.user_id)
        if self.made not in (None, overview.session.created):
            self.seen.clear()  # erased, and made anew
        self.made = overview.session.created
        for id in overview.agents:
            if self.agent_id in (None, id):
                yield from self._of(id)

    def _of(self, agent_id: str) -> Iterator[Heard]:
        start: int | None = self.seen.get(agent_id, 0)
        cursor = None
        while True:
            page = self.sessions.segments.full_history(
                self.session_id, self.user_id, agent_id=agent_id, start=start, limit=PAGE, cursor=cursor
            )
            for said in page.messages:
                self.seen[agent_id] = said.index + 1
                yield Heard(agent_id, said)
            if page.newer is None:
                return
            start, cursor = None, page.newer


@dataclass(slots=True)
class Screen:
    """Prints what is heard as `showing.say_turn` does, as far as it is known by then.

    Args:
        last: By agent, the turn that was shown last.
        calls: For some messages the tool calls that they asked for.
        several: Whether agents are named.
    """

    last: dict[str, spoken.Turn]
    calls: Callable[[], Mapping[str | None, Mapping[str, Sequence[records.Event]]]]
    cut: int | None
    ids: bool
    several: bool = False
    _agent: str | None = None
    _asked: dict[str, str | None] = field(default_factory=dict)

    def say(self, heard: Heard) -> None:
        agent, said = heard.agent_id, heard.said
        if self._agent not in (None, agent):
            self.several = True
        turn = self.last.get(agent)
        if turn is None or begins_turn(said.entry.message):
            number = 1 if turn is None and said.index == 0 else None
            if turn is not None and turn.number is not None:
                number = turn.number + 1
            turn = self.last[agent] = spoken.Turn(number)
            turn.messages.append(said)
            spoken.begin(turn)
        else:
            turn.messages.append(said)
        if self._agent != agent and self.several:
            dim(f"        agent {agent}")
        self._agent = agent
        known: Mapping[str, Sequence[records.Event]] = {}
        if said.entry.message.get("role") == "assistant":
            self._asked[agent] = said.entry.tracking_id
        elif any("toolResult" in block for block in said.entry.message.get("content", ())):
            known = self.calls().get(self._asked.get(agent), {})
        spoken.say_placed(said, self.cut, known, ids=self.ids)
        if turn.over:
            spoken.end(turn)


def follow(follower: Follower, tell: Callable[[Heard], None], every: float) -> None:
    """Tell what comes, until Ctrl-C.

    Raises:
        SessionNotFoundError: It was erased.
        KeyboardInterrupt
    """
    away = False
    while True:
        try:
            for heard in follower.look():
                tell(heard)
            if away:
                complain("the store answers again")
            away = False
        except Unavailable as error:
            if not away:
                complain(f"{error}; trying on")
            away = True
        time.sleep(every)


def calls_since(follower: Follower, at: float) -> Callable[[], Mapping[str | None, Any]]:
    """The tool calls that were recorded since a time."""
    return lambda: recent_calls(follower.sessions, follower.session_id, follower.user_id, at)


def tell_json(heard: Heard) -> None:
    """One line."""
    said = heard.said
    line = {"agent_id": heard.agent_id, "index": said.index, "session_id": said.session_id}
    print_json({**line, **record_as_data(said.entry)}, line=True)
