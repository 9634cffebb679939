"""One live agent beside what is stored of it: restores it once, then says what a change of it has to store.

No I/O here: a `Job` goes to the writer. Called on the agent's thread, under the session manager's lock.
"""

from __future__ import annotations

import contextlib
import logging
import time
import weakref
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .. import codec, layout, records
from ..context import Context, Delta, Spans
from ..errors import StoreError, TooLarge, Unserializable
from ..messages import Message, ensure_id, same, snapshot
from ..stores.base import MAX_ENTRY
from .built import Built, restore
from .conversation_managers import manager_state, summaries, summary_place, without_summary
from .counting import Calls, Stored, Tally
from .holds import Hold
from .jobs import Job
from .loading import LoadedAgent
from .rebase import Turn
from .repair import repaired
from .tracing import Tracing

if TYPE_CHECKING:
    from strands.types.agent import LocalAgent

    from .hearing import AgentCall

logger = logging.getLogger(__name__)

_STATE = "['state']"
"""How the codec names a place in the state."""


class TrackedAgent:
    """An agent of a session, in this process."""

    def __init__(self, session_id: str, agent: LocalAgent, loaded: LoadedAgent, built: Built | None = None) -> None:
        """``built``: the agent as its code made it; None: as it is now."""
        self.built = built or Built.of(agent)
        self.hold: Hold | None = None
        """The open invocation's part in the lease."""
        self.turn: Turn | None = None
        """The open invocation, as far as it may be put behind another's."""
        self.agent_id = agent.agent_id
        self.fence = layout.writer(agent.agent_id)
        self.run: records.Run | None = None
        """The run that is open, or None."""
        self.tally = Tally()
        """What the calls of that run took."""
        self.segmented = loaded.segmented
        """Whether segments of it may have ended."""
        self.left_open = loaded.open_runs
        """Runs of an earlier process whose end nobody saw."""
        self.attempts: Counter[str] = Counter()
        """Tool use id -> tries, in the current run."""
        self.calls: dict[str, AgentCall] = {}
        """Tool use id -> call of another agent, until its end was heard."""
        self.failure: StoreError | None = None
        """What of an agent that this one has called could not be stored."""
        self._elsewhere: frozenset[str] = frozenset()
        self._session_id = session_id
        # the agent holds its session manager: a strong reference back would keep both alive until the cycle is found
        self._agent = weakref.ref(agent)
        self.context: Context = loaded.context
        self._created = loaded.agent.created if loaded.agent is not None else time.time()
        self._calls = Calls(loaded.counted, loaded.heard())
        """By index in the history."""
        self._tails = dict(loaded.tails)
        self._agent_bytes, self._context_bytes = loaded.agent_bytes, loaded.context_bytes
        self._restored_state = self.built.state
        self._trace = Tracing(loaded)
        self._last: tuple[Any, ...] | None = None
        self._last_spans: Spans | None = None
        self._last_manager: Any = None

    @property
    def agent(self) -> LocalAgent | None:
        """The agent, while somebody else holds it."""
        return self._agent()

    @property
    def untouched(self) -> bool:
        """Whether the agent is new and there is nothing of it worth storing yet."""
        agent = self.agent
        return agent is None or (
            self._context_bytes is None and self.run is None and not agent.messages and not agent.state.get()
        )

    # ----------------------------------------------------------------------------------------------------- restoring

    def restore(self, agent: LocalAgent, loaded: LoadedAgent, *, again: bool = False) -> None:
        """Make the agent what the stored one was; ``again``: one that is not fresh, in place."""
        restore(agent, loaded, self._session_id, self.built if again else None)
        if loaded.agent is None:
            return
        if loaded.agent.state is not None:
            self._restored_state = snapshot(loaded.agent.state)
        if getattr(agent.model, "stateful", False):
            # the model's server has the conversation; the history goes on, the context starts afresh as it did live
            self.context.slots = []

    @property
    def stored_state(self) -> dict[str, Any]:
        """The agent's state as it was stored or restored last."""
        found: dict[str, Any] = self._last[0] if self._last is not None else self._restored_state
        return found

    def edited(self) -> bool:
        """Whether the application has changed the messages since they were stored, restored or built."""
        agent = self.agent
        if agent is None or getattr(agent.model, "stateful", False):
            return False
        known = [slot.message for slot in self.context.slots]
        if self._last is None:  # as it was restored
            known = repaired(known) if self._context_bytes is not None else self.built.messages
        return len(known) != len(agent.messages) or not all(map(same, known, agent.messages))

    # ------------------------------------------------------------------------------------------------------- storing

    def unsure(self, prompt: Iterable[Any] = (), announced: Any = None) -> bool:
        """Whether a hook has to have the rest of the history read first: see `Context.unsure`.

        Args:
            prompt: Messages that are about to be added.
            announced: The message that was just added; it is known from the prompt, or new.
        """
        agent = self.agent
        messages = [] if agent is None else [m for m in agent.messages if m is not announced]
        return self.context.unsure([*messages, *prompt])  # type: ignore[list-item]

    def remember(
        self, said: dict[int, str | None], shown: dict[int, tuple[int | None, str | None]], counted: dict[int, Stored]
    ) -> Job:
        """Note what the rest of the history holds (`loading.ids_in`), and what has to be stored for it."""
        job = Job(self.fence)
        self._calls.remember(counted)
        self._write(job, self.context.remember(said, shown))
        return job

    def sync(self, announced: Message | None = None) -> Job:
        """What has to be stored for the agent as it is now; empty when nothing changed.

        Args:
            announced: The message that Strands has just added or updated.

        Raises:
            Unserializable: The agent's state holds what can't be stored; names the key. Nothing was noted.
            TooLarge: The agent's state, encoded, is past the limit. Nothing was noted.
        """
        job = Job(self.fence)
        agent = self.agent
        if agent is None:
            return job
        # all that can be refused comes first: from Context.sync() on, what it says has to reach the queue
        values, agent_bytes = self._agent_document(agent)
        manager = manager_state(agent)
        # the manager's own summary was never said, wherever in the list it stands
        length = self.context.history
        unsaid = {*summaries(manager), *self._elsewhere}
        delta = self.context.sync(agent.messages, announced, unsaid)  # type: ignore[arg-type]
        self._write(job, delta)
        self._last = values
        if agent_bytes is not None:
            job.docs[layout.agent(self.agent_id)] = self._agent_bytes = agent_bytes
        # looked at each time: a message taken out of the live list changes the spans and neither of the logs
        spans = self.context.spans()
        if spans != self._last_spans or manager != self._last_manager:
            context_bytes = self._context_document(spans, manager)
            if context_bytes != self._context_bytes:
                job.docs[layout.context(self.agent_id)] = self._context_bytes = context_bytes
        self._trace.note(
            job,
            values,
            spans,
            self.context.variants,
            length,
            round(time.time(), 3),
            said=bool(delta.appended),
            changed=bool(job.docs or delta.variants),
        )
        return job

    def heard_elsewhere(self) -> None:
        """What the agent has now, and this has not heard, was said elsewhere: its context shows it, and it is not in
        the history."""
        known = {slot.message.get("tracking_id") for slot in self.context.slots}
        messages = self.agent.messages if self.agent is not None else []
        self._elsewhere = frozenset(map(ensure_id, messages)) - known  # type: ignore[arg-type]

    def redact(self, message: Message) -> Job:
        """What has to be stored so that the message's former content is nowhere any more."""
        job = Job(self.fence)
        delta = self.context.redact(message)
        if not delta:
            logger.warning(
                "agent_id=<%s>, session_id=<%s> | a message to redact is not in the stored history",
                self.agent_id,
                self._session_id,
            )
        self._write(job, delta)
        return job

    def _write(self, job: Job, delta: Delta) -> None:
        if self.turn is not None:
            self.turn.note(delta)
        now = round(time.time(), 3)
        history, variants = layout.history(self.agent_id), layout.variants(self.agent_id)
        model, tally = getattr(self.agent, "model", None), self.tally if self.run is not None else None
        for index, message in delta.appended:
            call = self._calls.said(index, message, model, now, tally)
            job.append(history, records.Message(message=message, at=now), index, counts=call)
            if self.run is not None and self.run.first_message is None:
                self.run = self.run.model_copy(update={"first_message": index})
        redacted = now if delta.redacted else None
        for index, message in delta.replaced.items():
            counts = self._calls.replaced(index, message, redacted=delta.redacted)
            job.replace(history, index, records.Message(message=message, at=now, redacted=redacted), counts)
        for index, of, shown in delta.variants:
            job.append(variants, records.Variant(of=of, message=shown), at=index)
        for index, (of, shown) in delta.replaced_variants.items():
            job.replaces[variants, index] = records.Variant(of=of, message=shown)
        if delta.appended:
            messages = len(delta.appended)
            self.run = self.run and self.run.model_copy(update={"messages": self.run.messages + messages})
        for log, reach in zip(("messages", "variants"), self.context.tails()):
            job.add(layout.tail(self.agent_id, log), reach - self._tails.get(log, 0))  # type: ignore[arg-type]
            self._tails[log] = reach

    def _agent_document(self, agent: LocalAgent) -> tuple[tuple[Any, ...], bytes | None]:
        """What the agent document is made of, and the document if it differs from what was stored last, else None.

        Encoded here and not by the writer: telling whether it changed takes the same walk, and what can't be stored is
        an error before anything is queued.
        """
        interrupts = getattr(agent, "_interrupt_state", None)
        pending = interrupts is not None and (
            interrupts.activated or interrupts.interrupts or interrupts.context or interrupts.pending_tool_execution
        )
        model_state = getattr(agent, "_model_state", None) or None
        state = agent.state
        with getattr(state, "_lock", None) or contextlib.nullcontext():
            # AgentState.get() copies deeply each time; the identity-first comparison costs next to nothing
            data = state._data
            now = (data, interrupts.to_dict() if pending and interrupts is not None else None, model_state, agent.name)
            if now == self._last:
                return self._last, None
            now = snapshot(now)
        record = records.Agent(
            agent_id=self.agent_id,
            name=now[3],
            created=self._created,
            state=now[0],
            interrupts=now[1],
            model_state=now[2],
        )
        encoded = codec.dump_document(record, lost=self._refuse)
        if len(encoded) > MAX_ENTRY:
            raise TooLarge(
                f"state of agent {self.agent_id!r} takes {len(encoded):,} bytes, the limit is {MAX_ENTRY:,}; "
                "nothing was written"
            )
        return now, encoded if encoded != self._agent_bytes else None

    def _context_document(self, spans: Spans, manager: Any) -> bytes:
        self._last_spans, self._last_manager = spans, snapshot(manager)
        kept = without_summary(self._last_manager, self.context)
        record = records.Context(spans=spans, conversation_manager=kept)
        encoded = codec.dump_document(record)
        if len(encoded) > MAX_ENTRY:  # no error: the messages of this sync have to be stored whatever a manager keeps
            logger.error(
                "agent_id=<%s>, bytes=<%d> | the conversation manager's state is too large and was not stored",
                self.agent_id,
                len(encoded),
            )
            kept = None
            encoded = codec.dump_document(record.model_copy(update={"conversation_manager": None}))
        self._trace.keeps(kept, summary_place(self._last_manager, self.context))
        return encoded

    def _refuse(self, place: str, kind: str) -> None:
        if place.startswith(_STATE):
            raise Unserializable(
                f"agent.state{place[len(_STATE) :]} of agent {self.agent_id!r} is a {kind}, which can not be stored; "
                "keep JSON values, bytes, tuples, sets, dates, Decimal or UUID in the state"
            )
        logger.warning(
            "agent_id=<%s>, session_id=<%s> | a %s at %s can not be stored; a placeholder is kept of it",
            self.agent_id,
            self._session_id,
            kind,
            place,
        )
