"""Where a message, or those of a run, stand in an agent's history. Nothing here writes."""

from __future__ import annotations

from .. import layout, records
from ..errors import MessageNotFoundError, RunNotFoundError
from ..stores.base import Doc
from .access import Access, load
from .entries import entry, latest, pages
from .shapes import Said


def find(access: Access[records.Session], agent_id: str, message_id: str) -> Said:
    """The last message with this tracking id; it may be a removed one.

    Raises:
        MessageNotFoundError: There is none.
    """
    log = layout.history(agent_id)
    found = latest(access, log, records.Message, message_id, lambda said: is_of(said, message_id))
    if found is None:
        raise missing(agent_id, message_id)
    return Said(*found)


def is_of(found: records.Message | records.Variant, message_id: str) -> bool:
    return found.message is not None and found.message.get("tracking_id") == message_id


def missing(agent_id: str, message_id: str) -> MessageNotFoundError:
    return MessageNotFoundError(f"agent {agent_id!r} has no message {message_id!r}")


def find_run(access: Access[records.Session], run_id: str) -> records.Run:
    """A run: one that is open by a read, else it is looked for in the log.

    Raises:
        RunNotFoundError: There is none.
    """
    path = layout.open_run(run_id)
    # in this order: a run that ends meanwhile is in the log
    look = access.look(Doc(path))
    return load(look, path, records.Run) if path in look.docs else find_ended(access, run_id)


def find_ended(access: Access[records.Session], run_id: str) -> records.Run:
    """A run that has ended.

    Raises:
        RunNotFoundError: There is none.
    """
    found = latest(access, layout.RUNS, records.Run, run_id, lambda run: run.run_id == run_id)
    if found is None:
        raise RunNotFoundError(f"session {access.space.id!r} has no run {run_id!r}")
    return found[1]


def span(access: Access[records.Session], agent_id: str, run_id: str) -> tuple[int, int | None]:
    """Where in the agent's history the messages of a run are; None: the end. A run that has ended tells it. Of one that
    is open they are those behind the last one that is older than it, by the clock of its process.

    Raises:
        RunNotFoundError: The agent has no such run.
    """
    run = find_run(access, run_id)
    if run.agent_id != agent_id:
        of = f"of agent_id={run.agent_id!r}" if run.agent_id is not None else "begun without an agent_id"
        raise RunNotFoundError(f"agent {agent_id!r} has no run {run_id!r}: it is {of}")
    if run.status != "open":
        first = run.first_message or 0
        return first, first + run.messages
    log = layout.history(agent_id)
    for view in pages(access, log):
        for index, data in sorted(view.entries.items(), reverse=True):
            if (entry(records.Message, log, index, data).at or 0) < run.started:
                return index + 1, None
    return view.start, None
