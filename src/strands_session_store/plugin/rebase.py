"""A turn that met a conflict is put behind what the other has said (`on_conflict="rebase"`): what of it moves, and when
it may. Pure.

Law: a turn moves whole, or not at all. So nothing of it may be stored before its end (durability "turn"), and what it
is put behind has to be whole turns too.

Rule 1. Of the messages, all that the turn has said; what it changed of earlier ones can not be moved.
Rule 2. Of the state, the keys that it has set or removed; the others are the other's.
Rule 3. The context is the other's, with the turn behind it; so is what the conversation manager keeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import records
from ..context import Delta
from ..messages import Message, same, snapshot
from ..turns import ends_turn
from .loading import LoadedAgent

TRIES = 10
"""How often a turn is put behind another's before its conflict is raised: each time, another one was faster."""


class Turn:
    """What one invocation has said and changed, as long as none of it is stored."""

    def __init__(self, state: Mapping[str, Any], commits: int) -> None:
        """``state``: as it is stored; ``commits``: made by its agent's writer before it."""
        self._state, self._commits = state, commits
        self._said: dict[int, Message] = {}
        self._touches = False
        self.events: list[records.Event] = []
        """Its tool calls."""

    def note(self, delta: Delta) -> None:
        """Something of it was enqueued."""
        self._said.update(delta.appended)
        for index, message in delta.replaced.items():
            if index in self._said:
                self._said[index] = message
            else:
                self._touches = True

    def messages(self) -> list[Message]:
        """What it has said, in order; copies."""
        return [snapshot(message) for _, message in sorted(self._said.items())]

    def state(self, after: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
        """The other's state, with what this turn changed in its own."""
        return merged(self._state, after, theirs)

    def stays(self, loaded: LoadedAgent, commits: int) -> str | None:
        """Why it can not be put behind what is stored now; None when it can. ``commits``: made by the writer since."""
        if commits != self._commits:  # it was flushed, or took several commits
            return "a part of it is stored already"
        self._commits = 0  # it will have a new writer
        if self._touches:
            return "it changed what was said before it"
        blocks = [block for message in self._said.values() for block in message["content"]]
        uses = {block["toolUse"]["toolUseId"] for block in blocks if "toolUse" in block}
        if any(block["toolResult"]["toolUseId"] not in uses for block in blocks if "toolResult" in block):
            return "it answers what was said before it"
        if loaded.agent is not None and loaded.agent.interrupts is not None:
            return "the other waits for an interrupt's answer"
        if loaded.messages and not ends_turn(loaded.messages[-1]):
            return "the other's turn has not ended"
        return None


def merged(before: Mapping[str, Any], after: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Another's state, with the changes that led from ``before`` to ``after``."""
    out = dict(theirs)
    for key in before.keys() | after.keys():
        if key not in after:
            out.pop(key, None)
        elif key not in before or not same(before[key], after[key]):
            out[key] = snapshot(after[key])
    return out
