"""Events: facts about a session that are no messages. Those of session managers (tool calls), and the application's.

    tool_call        a try of a tool                         summary   what stands for older messages
    reference        something the conversation points at    custom    what the application likes
    context_bridge   what was taken from or to another session

Rule 1. An event is never changed. What is appended together is one commit, and stands together.
Rule 2. What can not be stored is refused, by its place, before anything is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, get_args

from .. import codec, ids, layout, records
from ..stores.base import Append, Change
from . import checks
from .access import Part
from .entries import page, place
from .shapes import MAX_PAGE, LogPage

TYPES: Final[tuple[str, ...]] = get_args(records.EventType)
SOURCES: Final[tuple[str, ...]] = get_args(records.EventSource)
RECORDED: Final = (*TYPES, "rewind")
"""Types that a session can have: only the service itself records the last."""


class Events(Part):
    """The events of sessions."""

    def append(
        self, session_id: str, events: records.Event | Iterable[records.Event], user_id: str | None = None
    ) -> tuple[int, ...]:
        """Append one event or several: a read and a commit.

        Args:
            session_id: Which session.
            events: At most 1,000; with a type and a source out of those above. Runs, messages and agents that they name
                are not looked for.
            user_id: Its owner.

        Returns:
            Their indices.

        Raises:
            ValueError: An event is none of these; names what is wrong. Nothing was written.
            Unserializable: Its data can not be kept.
            InDoubt: They may be stored or not: look before you append them again.
        """
        # a dict is no list of its keys
        given: list[Any] = [events] if isinstance(events, records.Event | Mapping) else [*events]
        if not given:
            return ()
        done = self._session(session_id, user_id).change(lambda look: appending(given))
        assert done is not None
        first = done.indices[layout.EVENTS]
        return tuple(range(first, first + len(given)))

    def list(
        self,
        session_id: str,
        user_id: str | None = None,
        *,
        type: str | None = None,
        source: records.EventSource | None = None,
        run_id: str | None = None,
        parent: str | None = None,
        agent_id: str | None = None,
        start: int | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> LogPage[records.Event]:
        """Events in the order in which they were stored. One read, and with a filter what it looks at: at most 10,000
        events, 200 to 1,000 a read.

        Args:
            session_id: Which session.
            user_id: Its owner.
            type: Only those of this type.
            source: Only those that come from there.
            run_id: Only those of this run.
            parent: Only those that belong to this message.
            agent_id: Only those of this agent.
            start: The first index, and on from there; None: the newest page, unless there is a cursor.
            limit: 1 to 1,000. With a filter a page can be shorter, or empty, although it has a cursor that goes on.
            cursor: `LogPage.older` or `LogPage.newer` of another page, with the same filter.

        Raises:
            InvalidCursorError: The cursor is none of this log.
        """
        if type is not None:
            checks.one_of("type", type, RECORDED)
        if source is not None:
            checks.one_of("source", source, SOURCES)
        asked = {"type": type, "source": source, "run_id": run_id, "parent": parent, "agent_id": agent_id}
        wanted = {name: value for name, value in asked.items() if value is not None}
        admits = None
        if wanted:
            admits = lambda event: all(getattr(event, name) == value for name, value in wanted.items())  # noqa: E731
        checks.limit(limit)
        where = place(layout.EVENTS, start, cursor)
        return page(self._session(session_id, user_id), layout.EVENTS, records.Event, where, admits, limit=limit)


def appending(events: Iterable[records.Event]) -> list[Change]:
    """The change that appends them, checked.

    Raises:
        ValueError, Unserializable: As `Events.append`.
    """
    given = list(events)
    if len(given) > MAX_PAGE:
        raise ValueError(f"events must be at most {MAX_PAGE:,} a call, got {len(given):,}")
    for event in given:
        _check(event)
    return [Append(layout.EVENTS, [codec.dump(event, lost=checks.refuse) for event in given])]


def _check(event: records.Event) -> None:
    if not isinstance(event, records.Event):
        raise ValueError(f"an event must be a records.Event, not {type(event).__name__}")
    checks.one_of("type", event.type, TYPES)
    checks.one_of("source", event.source, SOURCES)
    for argument in ("run_id", "agent_id"):
        if (id := getattr(event, argument)) is not None:
            ids.check(argument, id)
    for argument in ("parent", "name", "tool_use_id"):
        checks.text(argument, getattr(event, argument))
