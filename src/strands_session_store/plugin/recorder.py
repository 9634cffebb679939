"""Runs and tool calls as records: what the hooks tell about one invocation. No I/O: they travel in the message commits.

A run is document `runs/open/<id>` from its first commit on, and an entry of log `runs` when it has ended. It ends as

    completed    the model ended its turn
    interrupted  an interrupt waits for its response
    cancelled    by `agent.cancel()`, or the task was cancelled
    failed       an exception, which it names
    abandoned    its end was never seen: the stream was dropped, or a hook raised before
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

from strands.multiagent.base import Status

from .. import codec, layout, records
from ..errors import StoreError
from .counting import Tally
from .jobs import Job

if TYPE_CHECKING:
    from strands.hooks import AfterInvocationEvent, AfterToolCallEvent
    from strands.multiagent.base import MultiAgentBase


def begun(job: Job, caller: Caller, *, agent_id: str | None = None, multi_agent_id: str | None = None) -> records.Run:
    """An invocation begins: the caller has a new run, whose document goes with ``job``, and so does the end, unseen, of
    those that are still open."""
    for left in caller.left_open:
        closed(job, left, None, "abandoned")
    if caller.run is not None:
        closed(job, caller.run, caller.tally, "abandoned")
    run = caller.run = records.Run(run_id=secrets.token_hex(8), agent_id=agent_id, multi_agent_id=multi_agent_id)
    caller.left_open, caller.tally, caller.failure = [], Tally(), None
    caller.attempts.clear()
    job.docs[layout.open_run(run.run_id)] = codec.dump_document(run)
    job.add("runs", 1)
    return run


def closed(job: Job, run: records.Run, tally: Tally | None, status: records.RunStatus, **more: Any) -> None:
    """The run's end goes with ``job``; ``tally``: what its calls took, None where that is not known."""
    job.docs[layout.open_run(run.run_id)] = None
    ended = run.model_copy(update={"status": status, "ended": round(time.time(), 3), **more})
    job.append(layout.RUNS, ended, counts=tally)


def ending(event: AfterInvocationEvent) -> dict[str, Any]:
    """How the run ended, as far as the event and the exception in flight tell: arguments for `closed`."""
    if event.result is None:
        return _by_error() or {"status": "completed"}  # structured_output(): a run without messages
    # an exception in flight is none of this run's: the agent may be called while one is being handled
    reason = str(event.result.stop_reason)
    status = {"interrupt": "interrupted", "cancelled": "cancelled"}.get(reason, "completed")
    return {"status": status, "stop_reason": reason}


def ending_of(source: MultiAgentBase) -> dict[str, Any]:
    """As `ending`, for a Graph or Swarm, whose state says it."""
    state = getattr(source, "state", None)
    # a Graph calls it status, a Swarm completion_status
    found: Any = getattr(state, "status", None) or getattr(state, "completion_status", None)
    if found in (Status.COMPLETED, Status.INTERRUPTED):
        return {"status": found.value}
    return _by_error() or {"status": "failed" if found == Status.FAILED else "completed"}


def being_cancelled() -> bool:
    """Whether the hook that asks runs because the task is being cancelled."""
    return isinstance(sys.exc_info()[1], asyncio.CancelledError)


def _by_error() -> dict[str, Any] | None:
    # the event fires in a finally block: what ends the run is being handled right now
    error = sys.exc_info()[1]
    if isinstance(error, asyncio.CancelledError | GeneratorExit | KeyboardInterrupt):
        return {"status": "cancelled"}
    return None if error is None else {"status": "failed", "error": records.described(error)}


class Caller(Protocol):
    """Whose run it is: a tracked agent or orchestrator."""

    fence: str
    run: records.Run | None
    tally: Tally
    left_open: list[records.Run]
    attempts: Counter[str]
    failure: StoreError | None


def tool_call(event: AfterToolCallEvent[Any], caller: Caller, agent_id: str) -> records.Event:
    """One try of a tool use."""
    use_id = event.tool_use["toolUseId"]
    caller.attempts[use_id] += 1
    # the message that asked is near the end: results are appended after all calls of a batch
    parent = next(
        (
            m
            for m in reversed(event.agent.messages)
            if any(b.get("toolUse", {}).get("toolUseId") == use_id for b in m["content"])
        ),
        None,
    )
    return records.Event(
        type="tool_call",
        source="llm",
        at=round(time.time(), 3),
        run_id=caller.run.run_id if caller.run is not None else None,
        agent_id=agent_id,
        parent=parent.get("tracking_id") if parent is not None else None,
        name=event.tool_use["name"],
        tool_use_id=use_id,
        status="cancelled" if event.cancel_message is not None else event.result.get("status"),
        # its text is in the tool result, where a redaction and before_store reach it
        error=type(event.exception).__name__ if event.exception is not None else None,
        milliseconds=None if event.duration is None else round(event.duration * 1000, 3),
        attempt=caller.attempts[use_id],
    )


def happened(job: Job, *events: records.Event) -> Job:
    """The events go with ``job``."""
    for event in events:
        job.append(layout.EVENTS, event)
    return job


def moved(job: Job, run: records.Run, tally: Tally, **ending: Any) -> None:
    """A run that had to begin and end anew goes with ``job``, whole."""
    job.append(layout.RUNS, run.model_copy(update={"ended": round(time.time(), 3), **ending}), counts=tally)
    job.add("runs", 1)
