"""Prompts out of stored histories. Nothing here writes.

Law: a prompt costs what its strategy reads. A history is paged from the end that is asked for, each page when it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .. import ids, layout, records
from ..errors import SessionNotFoundError
from ..messages import Message
from ..prompts import MAX_TURNS, Name, Strategy, build_prompt
from ..stores.base import Doc
from .access import Access, Part, load, session
from .across import pieces
from .messages import DEFAULT

NEWEST: Final = 50
"""Entries of the first page from the end, so that one read suffices for ten turns with a tool call each."""
OLDEST: Final = 4
"""Entries of the first page from the beginning: what a user says first is hardly ever further back."""


class StoredHistory:
    """What was said by an agent and to it in a conversation, in all its segments, without what was removed."""

    def __init__(self, access: Access[records.Session], agent_id: str) -> None:
        self._access, self._agent_id = access, agent_id

    def newest(self) -> Iterator[Message]:
        return self._messages(back=True)

    def oldest(self) -> Iterator[Message]:
        return self._messages(back=False)

    def summaries(self) -> list[str]:
        return summaries_of(self._access, self._agent_id)

    def _messages(self, *, back: bool) -> Iterator[Message]:
        at, size = (None, NEWEST) if back else (0, OLDEST)
        for piece in pieces(self._access, self._agent_id, at, None, back=back, size=size):
            for _, said in sorted(piece.entries.items(), reverse=back):
                if said.removed is None:
                    yield said.message


def summaries_of(access: Access[records.Session], agent_id: str) -> list[str]:
    """Of what the agent said and heard in the sessions above, from the topmost on, and in the session's own segments:
    one of each, since a summary includes those before it. A read for each session; ends at one that is gone. Of a
    segment's conversation there is none: it is also of what came later."""
    path = layout.segments(agent_id)
    found: list[str] = []
    seen: set[str] = set()
    inside = False
    while True:
        try:
            look = access.look(Doc(path))
        except SessionNotFoundError:
            if not seen:
                raise
            break
        record = access.record(look)
        seen.add(record.session_id)
        if path in look.docs and not inside and (summary := load(look, path, records.Segments).summary):
            found.append(summary)
        inside = record.segment is not None
        if record.parent_id is None or record.parent_id in seen:
            break
        access = session(access.store, record.parent_id, record.user_id)
    return found[::-1]


class Prompting(Part):
    """What a model is to see of a session."""

    def prompt(
        self,
        session_id: str,
        user_id: str | None = None,
        *,
        agent_id: str = DEFAULT,
        strategy: Strategy | Name = "conversation",
        max_tokens: int | None = None,
        model: str | None = None,
        max_turns: int | None = MAX_TURNS,
    ) -> list[Message]:
        """The part of an agent's history that a model is to see: as `prompts.build_prompt`, of which the arguments are.
        It reads what the strategy needs, page by page: the messages at either end, and for "hierarchical" the
        summaries of the session and of those above it, a read each.

        What is written meanwhile may be in it or not.

        Returns:
            Messages whose roles alternate, beginning with a user's; empty for an agent that is not in the session.

        Raises:
            PromptError: What the user said last alone takes more than ``max_tokens``.
        """
        access = self._session(session_id, user_id)
        history = StoredHistory(access, ids.check("agent_id", agent_id))
        return build_prompt(history, strategy, max_tokens=max_tokens, model=model, max_turns=max_turns)
