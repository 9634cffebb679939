"""What `show` reads of a session, in bounded pieces: the end of each agent's conversation, and what belongs to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from .. import records
from ..errors import NotFoundError
from ..sessions import AgentOverview, ConversationStats, LogPage, Overview, Placed, Sessions, Stored
from ..turns import begins_turn
from .spoken import Turn, calls_of, turns_of

COUNTED: Final = 1_000
"""Messages of a conversation that are read, at most, for the number of its last turn to be known."""
LOOKED_AT: Final = 5_000
"""Messages, or tool calls, that are read for the last turns, at most: one turn may have very many."""
CHILDREN: Final = 100
"""Sessions directly below that are counted."""


@dataclass(frozen=True, slots=True)
class Told:
    """The end of an agent's conversation."""

    agent: AgentOverview
    stats: ConversationStats
    turns: Sequence[Turn]
    calls: Mapping[str | None, Mapping[str, Sequence[records.Event]]]
    """As `spoken.calls_of`."""
    length: int
    """Messages that had ever been said when these turns were read."""

    def runs_of(self, turn: Turn, runs: Sequence[records.Run]) -> list[records.Run]:
        """Of some runs those that the turn's messages are of."""
        mine = (run for run in runs if run.agent_id == self.agent.agent.agent_id and run.first_message is not None)
        return [run for run in mine if turn.first <= (run.first_message or 0) <= turn.last]


@dataclass(frozen=True, slots=True)
class Whole:
    """All that is shown of one session."""

    overview: Overview
    told: Sequence[Told]
    multi_agents: Sequence[records.MultiAgent]
    runs: LogPage[records.Run]
    open_runs: Sequence[records.Run]
    events: LogPage[records.Event]
    below: Sequence[Overview]
    """Sessions directly below, `CHILDREN` at most; without segments."""
    more_below: bool
    stored: Sequence[Stored]
    """Empty, unless it was asked for."""


def gather(
    sessions: Sessions, session_id: str, user_id: str | None, last: int, agent_id: str | None, *, layout: bool
) -> Whole:
    """
    Args:
        sessions: The service.
        session_id: Which.
        user_id: Its owner.
        last: Turns of each agent.
        agent_id: Only this one's; None: of all.
        layout: Whether what is stored is asked for.

    Raises:
        SessionNotFoundError: There is no such session.
        NotFoundError: It has no such agent.
    """
    overview = sessions.get(session_id, user_id)
    every = sessions.agents(session_id, user_id)
    agents = [one for one in every if agent_id in (None, one.agent.agent_id)]
    if agent_id is not None and not agents:
        there = ", ".join(repr(one.agent.agent_id) for one in every) or "none"
        raise NotFoundError(f"session {session_id!r} has no agent {agent_id!r}; there are: {there}")
    below = sessions.list(user_id, parent_id=session_id, limit=CHILDREN)
    return Whole(
        overview,
        [_told(sessions, session_id, user_id, agent, last) for agent in agents],
        sessions.multi_agents(session_id, user_id) if overview.multi_agents else (),
        sessions.runs.list(session_id, user_id, limit=min(1000, max(50, 3 * last))),
        sessions.runs.active(session_id, user_id) if overview.open_runs else (),
        sessions.events.list(session_id, user_id, limit=min(1000, max(10, last))),
        [one for one in below.sessions if one.session.segment is None],
        below.cursor is not None,
        sessions.layout_tree(session_id, user_id) if layout else (),
    )


def last_turns(
    sessions: Sessions, session_id: str, user_id: str | None, agent_id: str, count: int
) -> tuple[list[Turn], int]:
    """The last turns of a conversation, and its length. They are numbered where all before them was few enough to be
    counted, or there is nothing before."""
    page = sessions.segments.full_history(session_id, user_id, agent_id=agent_id, limit=min(1000, 10 * count))
    length, messages = page.length, list[Placed](page.messages)
    most = COUNTED if length <= COUNTED else LOOKED_AT
    while page.older is not None and len(messages) < most:
        begun = sum(begins_turn(said.entry.message) for said in messages)
        if begun >= count and length > COUNTED:
            break
        page = sessions.segments.full_history(session_id, user_id, agent_id=agent_id, limit=1000, cursor=page.older)
        messages[:0] = page.messages
    found = turns_of(messages, 1 if page.older is None else None)
    if page.older is not None and len(found) > 1 and not begins_turn(found[0].messages[0].entry.message):
        del found[0]  # its beginning was not read
    return found[-count:], length


def recent_calls(
    sessions: Sessions, session_id: str, user_id: str | None, since: float | None
) -> dict[str | None, dict[str, list[records.Event]]]:
    """Tool calls as `calls_of`, the latest, back to a time (None: all), but not more than `LOOKED_AT`."""
    events: list[records.Event] = []
    page = sessions.events.list(session_id, user_id, limit=200)
    while True:
        events[:0] = page.entries.values()
        older = page.older
        if older is None or len(events) >= LOOKED_AT or (events and since is not None and events[0].at < since):
            return calls_of(events)
        page = sessions.events.list(session_id, user_id, limit=1000, cursor=older)


def _told(sessions: Sessions, session_id: str, user_id: str | None, agent: AgentOverview, last: int) -> Told:
    id = agent.agent.agent_id
    turns, length = last_turns(sessions, session_id, user_id, id, last)
    calls: dict[str | None, dict[str, list[records.Event]]] = {}
    if any("toolUse" in block for turn in turns for said in turn.messages for block in said.entry.message["content"]):
        calls = recent_calls(sessions, session_id, user_id, turns[0].messages[0].entry.at)
    return Told(agent, sessions.segments.stats(session_id, user_id, agent_id=id), turns, calls, length)
