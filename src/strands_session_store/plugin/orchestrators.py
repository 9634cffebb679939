"""A Graph or Swarm beside what is stored of it: its progress, and what its nodes said.

Nodes have no session manager of their own (Strands refuses it) and mostly share the id ``default``; so their messages
are recorded by hooks under the orchestrator's id and the node's. They are a record, not restored: Strands gives
an interrupted node its messages back out of the orchestrator's own state, and starts every other node afresh.
An orchestrator that is itself a node has its progress stored below the outer one's.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from strands import Agent
from strands.multiagent.base import MultiAgentBase

from .. import codec, layout, records
from ..errors import StoreError, TooLarge
from ..messages import Message, ensure_id, same, snapshot
from ..stores.base import MAX_ENTRY
from .counting import Calls, Tally
from .holds import Hold
from .jobs import LAST, Job
from .loading import LoadedMultiAgent

NodePath = tuple[str, ...]


def orchestrators_in(source: MultiAgentBase, path: NodePath = ()) -> Iterator[tuple[NodePath, MultiAgentBase]]:
    """The orchestrator and those that are nodes of it, each with the way to it; outermost first."""
    yield path, source
    for node_id, executor in _nodes(source):
        if isinstance(executor, MultiAgentBase):
            yield from orchestrators_in(executor, (*path, node_id))


def agents_in(source: MultiAgentBase, path: NodePath = ()) -> Iterator[tuple[NodePath, Agent]]:
    """The agents at its nodes, and at those of orchestrators among them."""
    for node_id, executor in _nodes(source):
        if isinstance(executor, Agent):
            yield (*path, node_id), executor
        elif isinstance(executor, MultiAgentBase):
            yield from agents_in(executor, (*path, node_id))


def _nodes(source: MultiAgentBase) -> Iterator[tuple[str, Any]]:
    for node_id, node in getattr(source, "nodes", {}).items():
        yield node_id, getattr(node, "executor", None)


class TrackedMultiAgent:
    """An orchestrator of a session, in this process."""

    def __init__(self, source: MultiAgentBase, loaded: LoadedMultiAgent) -> None:
        self.multi_agent_id = source.id
        self.fence = layout.multi_agent_writer(source.id)
        self.hold: Hold | None = None
        """The open invocation's part in the lease."""
        self.untouched = True
        """Until it is invoked in this process."""
        self.begin(loaded)

    def begin(self, loaded: LoadedMultiAgent) -> None:
        """Nothing has happened since it was loaded. The hooks of its nodes know this very object."""
        self.run: records.Run | None = None
        self.failure: StoreError | None = None
        """What of a node could not be stored in its sub-session."""
        self.tally = Tally()
        """What the calls of that run took."""
        self.left_open = loaded.open_runs
        self.attempts: Counter[str] = Counter()
        self._last: dict[NodePath, Any] = {}
        self._said: dict[NodePath, str] = {}
        """Node -> tracking id of the message it was last heard to say."""
        self._calls: dict[NodePath, Calls[str]] = {}
        """Node -> the model call whose answer that message is, by tracking id."""
        self._asked: dict[NodePath, Message] = {}
        """Node -> a copy of its last message, while its model is being asked."""
        self._created = {path: state.created for path, state in loaded.states.items()}

    def restore(self, source: MultiAgentBase, loaded: LoadedMultiAgent) -> None:
        """Give the orchestrator, and those among its nodes, their progress back."""
        for path, inner in orchestrators_in(source):
            if (stored := loaded.states.get(path)) is not None:
                inner.deserialize_state(snapshot(stored.state))
                self._last[path] = stored.state

    def edited(self, source: MultiAgentBase) -> bool:
        """Whether its progress is another than what was stored or restored."""
        return any(inner.serialize_state() != self._last.get(path) for path, inner in orchestrators_in(source))

    def sync(self, source: MultiAgentBase, path: NodePath = ()) -> Job:
        """What has to be stored of the orchestrator's progress, and of the nodes' that are orchestrators.

        Raises:
            TooLarge: Its state, encoded, is past the limit.
        """
        job, states = Job(self.fence), dict[NodePath, Any]()
        for inner_path, inner in orchestrators_in(source, path):
            state = inner.serialize_state()
            if state == self._last.get(inner_path):
                continue
            created = self._created.setdefault(inner_path, time.time())
            data = codec.dump_document(records.MultiAgent(multi_agent_id=inner.id, created=created, state=state))
            if len(data) > MAX_ENTRY:
                raise TooLarge(f"the state of {inner.id!r} takes {len(data):,} bytes, the limit is {MAX_ENTRY:,}")
            states[inner_path] = snapshot(state)
            job.docs[layout.node_state(self.multi_agent_id, inner_path)] = data
        self._last |= states  # noted when none was refused: what is noted has to reach the queue
        return job

    def said(self, path: NodePath, message: Message, model: Any) -> Job:
        """What a node's agent, whose model this is, has just said.

        Strands merges a prompt into a message of the same role at the end of the list, and announces that one again.
        """
        job = Job(self.fence)
        found, log = ensure_id(message), layout.node_history(self.multi_agent_id, path)
        now = round(time.time(), 3)
        record = records.Message(message=snapshot(message), at=now)
        calls = self._calls.setdefault(path, Calls())
        if self._said.get(path) == found:
            job.replace(log, LAST, record, calls.replaced(found, record.message, redacted=False))
        else:
            self._said[path] = found
            tally = self.tally if self.run is not None else None
            job.append(log, record, counts=calls.said(found, record.message, model, now, tally))
            calls.only(found)
        return job

    def asks(self, path: NodePath, messages: Sequence[Message]) -> None:
        """A node's agent is about to call its model."""
        if messages:
            self._asked[path] = snapshot(messages[-1])

    def answered(self, path: NodePath, messages: Sequence[Message]) -> Job:
        """The model has answered, and may have had the last message redacted: in place, and without an event."""
        job = Job(self.fence)
        before, last = self._asked.pop(path, None), messages[-1] if messages else None
        if before is None or last is None or same(before, last):
            return job
        if before.get("tracking_id") == ensure_id(last) == self._said.get(path):
            now = round(time.time(), 3)
            log = layout.node_history(self.multi_agent_id, path)
            id, record = ensure_id(last), records.Message(message=snapshot(last), at=now, redacted=now)
            job.replace(log, LAST, record, self._calls[path].replaced(id, record.message, redacted=True))
        return job
