"""The trace of one live agent: what each job adds to it. Pure; what a trace is says `trace`."""

from __future__ import annotations

from typing import Any

from .. import layout, records, trace
from ..context import Spans
from ..messages import snapshot
from .jobs import Job
from .loading import LoadedAgent


class Tracing:
    """Goes on from what was loaded, before the agent is given it."""

    def __init__(self, loaded: LoadedAgent) -> None:
        self._log, self._length = layout.trace(loaded.agent_id), loaded.traced
        self._before: trace.Moment | None = None
        """What the trace says last; None while there is none."""
        self._manager = loaded.conversation_manager
        self._summary: tuple[str, int] | None = None
        """The conversation manager's summary: its id, and where it is among the variants."""
        if loaded.traced:
            context = records.Context(spans=loaded.spans, conversation_manager=loaded.conversation_manager)
            agent = loaded.agent
            if agent is not None:  # its values become the live agent's own
                parts = {name: snapshot(getattr(agent, name)) for name in ("state", "interrupts", "model_state")}
                agent = agent.model_copy(update=parts)
            self._before = trace.moment(agent, context, loaded.context.variants)

    def keeps(self, manager: Any, summary: int | None) -> None:
        """The conversation manager's state is stored like this; ``summary``: where its summary is, if that is known."""
        self._manager = manager
        if summary is not None:
            self._summary = str(trace.summary_of(manager)), summary

    def note(
        self,
        job: Job,
        values: tuple[Any, ...],
        spans: Spans,
        variants: int,
        history: int,
        at: float,
        *,
        said: bool,
        changed: bool,
    ) -> None:
        """Add to the job what it has to say to the trace.

        Args:
            job: All else it changes is in it already.
            values: The agent's state, interrupts and model state with it; they become this one's own.
            spans: The context with it.
            variants: Length of the variants log with it.
            history: Length of the history before it.
            at: Now.
            said: Whether it adds messages.
            changed: Whether it changes documents of the agent, or its variants.
        """
        state, interrupts, model_state, *_ = values
        named = self._summary
        place = named[1] if named is not None and named[0] == trace.summary_of(self._manager) else None
        agent = records.Agent(agent_id="", state=state, interrupts=interrupts, model_state=model_state)
        now = trace.moment(agent, records.Context(spans=spans, conversation_manager=self._manager), variants, place)
        before = self._before
        if changed or (said and before is None):  # one that was stored before there were traces begins with a message
            base = None if self._length % trace.WHOLE == 0 else before
            job.append(self._log, trace.entry(base, now, history, None if said else at), at=self._length)
            self._length += 1
            before = now
        self._before = before and now
