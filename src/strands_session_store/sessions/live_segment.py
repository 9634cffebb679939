"""The segment of an agent's conversation that goes on: all that was said in it, read in one state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .. import layout, records
from ..messages import Message
from ..segments import Size
from ..stores.base import Counters, Doc, Log, Look
from ..turns import begins_turn, ends_turn
from .access import Access, load
from .entries import entry
from .writing import wants


@dataclass(frozen=True, slots=True)
class LiveSegment:
    """An agent of a conversation, as it was read."""

    access: Access[records.Session]
    look: Look
    agent_id: str
    session: records.Session
    agent: records.Agent
    context: records.Context
    known: records.Segments
    entries: Mapping[int, records.Message]
    """Of the history, from its start on; those that were removed among them."""
    variants: Mapping[int, records.Variant]

    @property
    def start(self) -> int:
        return self.look.logs[layout.history(self.agent_id)].start

    @property
    def length(self) -> int:
        """Of the history: the index of the next message."""
        return self.look.logs[layout.history(self.agent_id)].length

    @property
    def opening(self) -> list[Message]:
        """The messages that it began with, as far as they are kept; it may have none."""
        shown = (variant.message for _, variant in sorted(self.variants.items()) if variant.of is None)
        return [one for one in shown if one is not None and one.get("tracking_id") in self.known.opening]

    def said(self, before: int | None = None) -> list[Message]:
        """What was said in it, up to an index."""
        entries = sorted(self.entries.items())
        return [e.message for i, e in entries if e.removed is None and (before is None or i < before)]

    def size(self, count: Callable[[Message], int]) -> Size:
        """Its size; ``count``: tokens of a message."""
        opening = Size(sum(map(count, self.opening)), ())
        return opening.with_turns((message, count(message)) for message in self.said())

    @property
    def whole(self) -> bool:
        """Whether its last turn has ended: else it can not end. What has ended does not end again."""
        if self.session.segment is not None or self.agent.interrupts is not None or self.agent.model_state:
            return False
        said = self.said()
        return bool(said) and ends_turn(said[-1])

    def cut(self, kept: int) -> int:
        """The index of the first message of its last turns, at most so many, of which there are more: those that the
        context ends with, whole. What was taken back, or has left the context, is shown by no later one."""
        there = [i for i, one in sorted(self.entries.items()) if one.removed is None]
        turns = [i for i in there if begins_turn(self.entries[i].message)]
        shown = self._shown()
        for start in turns[-kept:] if kept else ():
            wanted = [i for i in there if i >= start]
            if shown[-len(wanted) :] == wanted:
                return start
        return self.length

    def _shown(self) -> list[int | None]:
        """What the context has: an index in the history, or None, for each message."""
        out: list[int | None] = []
        for span in self.context.spans or ():
            ((name, (start, end)),) = span.items()
            for i in range(start, self.length if end is None else end):
                if name != "history":
                    out.append(None)
                elif i in self.entries and self.entries[i].removed is None:
                    out.append(i)
        return out


def read_live(access: Access[records.Session], agent_id: str) -> LiveSegment | None:
    """The live segment; None: there is no such agent. One read for each 1,100 entries.

    Raises:
        SessionNotFoundError: There is no such session.
        Unavailable: It was being changed the whole time.
    """
    history, variants, trace = (path(agent_id) for path in (layout.history, layout.variants, layout.trace))
    own, context, segments = (path(agent_id) for path in (layout.agent, layout.context, layout.segments))
    counters = [layout.removed(agent_id), layout.tail(agent_id, "messages"), layout.tail(agent_id, "variants")]
    logs = (Log(log, spans=[(0, None)]) for log in (history, variants, trace))
    look = access.look(*wants(agent_id), *map(Doc, (own, context, segments)), *logs, Counters(counters))
    if own not in look.docs:
        return None
    return LiveSegment(
        access,
        look,
        agent_id,
        access.record(look),
        load(look, own, records.Agent),
        load(look, context, records.Context) if context in look.docs else records.Context(),
        load(look, segments, records.Segments) if segments in look.docs else records.Segments(),
        {i: entry(records.Message, history, i, data) for i, data in look.logs[history].entries.items()},
        {i: entry(records.Variant, variants, i, data) for i, data in look.logs[variants].entries.items()},
    )
