"""What the history has to hold, told from what was seen, by the rules that the design gives and by no code of ours.

Rule 1. What Strands announces was said: a new entry. Announced under an id that is known, it takes the place of the
        last entry with that id; unless it now stands more often in the list than when last looked at: said again.
Rule 2. What is found behind the last message that was there before was said too, before what is announced now;
        except summaries, what was found elsewhere before, and what stands in the list no more often than it was said.
Rule 3. A redaction replaces all entries with its id.
Rule 4. Nothing else changes the history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from strands.hooks import (
    AfterInvocationEvent,
    AgentInitializedEvent,
    BeforeInvocationEvent,
    HookOrder,
    HookRegistry,
    MessageAddedEvent,
)

from strands_session_store import StoreSessionManager
from strands_session_store.messages import Message

from .payloads import copied


def _key(message: Message) -> str:
    """The message's id; as long as it has none, the object itself is what it is known by."""
    return str(message.get("tracking_id") or f"object {id(message)}")


class Oracle:
    """The history of one agent, across all its processes."""

    def __init__(self) -> None:
        self._said: list[tuple[Message, Message]] = []
        """Copy, and the message itself: its id may come later."""
        self._before: list[Message] = []
        """The live list when it was last looked at."""
        self._unsaid: list[Message] = []

    @property
    def said(self) -> list[Message]:
        return [{**copy, "tracking_id": live["tracking_id"]} for copy, live in self._said]

    def look(self, live: Sequence[Message], announced: Message | None = None, summary: Message | None = None) -> None:
        """The live list at a moment when the session manager looks at it too."""
        before, now = Counter(map(_key, self._before)), Counter(map(_key, live))
        unsaid = {_key(m) for m in self._unsaid}
        never_said = {*unsaid, _key(summary)} if summary is not None else unsaid
        fresh: set[int] = set()
        for key in now:
            fresh.update([i for i, m in enumerate(live) if _key(m) == key][before[key] :])
        anchor = max((i for i in range(len(live)) if i not in fresh), default=-1)
        at = None
        if announced is not None:
            same = [i for i, m in enumerate(live) if m is announced]
            at = (same or [i for i, m in enumerate(live) if _key(m) == _key(announced)] or [None])[-1]
            if at is None and not self._times(announced):
                self._say(announced)
        for i in sorted(fresh):
            message = live[i]
            behind = i > anchor and _key(message) not in never_said and now[_key(message)] > self._times(message)
            if i == at or behind:
                self._say(message)
            elif not self._times(message):
                self._unsaid.append(message)
        if announced is not None and at is not None and at not in fresh:
            entries = [k for k, (_, m) in enumerate(self._said) if _key(m) == _key(announced)]
            if entries:
                self._said[entries[-1]] = copied(announced), announced
            else:
                self._say(announced)
        self._before = list(live)

    def redact(self, message: Message) -> None:
        for k, (_, said) in enumerate(self._said):
            if _key(said) == _key(message):
                self._said[k] = copied(message), said

    def restored(self, live: Sequence[Message]) -> None:
        """Another process goes on with this list. What was mended in it has no id yet, and was not said."""
        self._before = list(live)

    def _say(self, message: Message) -> None:
        self._said.append((copied(message), message))
        self._unsaid = [m for m in self._unsaid if _key(m) != _key(message)]

    def _times(self, message: Message) -> int:
        return sum(_key(m) == _key(message) for _, m in self._said)


class Watched(StoreSessionManager):
    """A session manager that lets an oracle look, each time before it looks itself."""

    def watch(self, oracle: Oracle) -> None:
        self.oracle = oracle
        self.watched: list[Any] = []
        self.recalled = False
        recall, recall_here = self._session.recall, self._session.recall_here

        def noted(*args: Any) -> Any:
            self.recalled = True
            return recall(*args)

        def noted_here(*args: Any) -> Any:
            self.recalled = True
            return recall_here(*args)

        self._session.recall, self._session.recall_here = noted, noted_here

    def register_hooks(self, registry: HookRegistry, **kwargs: Any) -> None:
        registry.add_callback(MessageAddedEvent, lambda event: self._look(event.agent, event.message))
        registry.add_callback(BeforeInvocationEvent, lambda event: self._look(event.agent))
        super().register_hooks(registry)
        registry.add_callback(AgentInitializedEvent, lambda event: self._restored(event.agent))
        # callbacks of this event run in reverse, so this one is called just before ours
        registry.add_callback(AfterInvocationEvent, lambda event: self._look(event.agent), order=HookOrder.SDK_LAST)

    def sync_agent(self, agent: Any, **kwargs: Any) -> None:
        self._look(agent)
        super().sync_agent(agent)

    def redact_latest_message(self, redact_message: Message, agent: Any, **kwargs: Any) -> None:
        self.oracle.redact(redact_message)
        super().redact_latest_message(redact_message, agent)

    def flush(self) -> None:
        for agent in self.watched:
            self._look(agent)
        super().flush()

    def _restored(self, agent: Any) -> None:
        self.watched.append(agent)
        self.oracle.restored(agent.messages)

    def _look(self, agent: Any, announced: Message | None = None) -> None:
        summary = agent.conversation_manager.get_state().get("summary_message")
        self.oracle.look(agent.messages, announced, summary)
