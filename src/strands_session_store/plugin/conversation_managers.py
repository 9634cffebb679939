"""The state of an agent's conversation manager, as it is stored.

A summary is kept once: as a message of the context, where `before_store` has seen it. The state only names it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from strands import Agent

from ..context import Context
from ..messages import Message, same, snapshot

if TYPE_CHECKING:
    from strands.types.agent import LocalAgent

logger = logging.getLogger(__name__)


def manager_state(agent: LocalAgent) -> Any:
    """Of the live agent; None for one without a conversation manager."""
    manager = getattr(agent, "conversation_manager", None)
    return manager.get_state() if isinstance(agent, Agent) and manager is not None else None


def summaries(manager: Any) -> Collection[str]:
    """Tracking ids of the messages that the manager has made itself."""
    summary = _summary(manager)
    return () if summary is None or "tracking_id" not in summary else (summary["tracking_id"],)


def without_summary(manager: Any, context: Context) -> Any:
    """The conversation manager's state with only the id of a summary that the context shows: it is stored there, after
    `before_store` has seen it, and once."""
    summary = _summary(manager)
    if summary is not None and any(same(slot.message, summary) for slot in context.slots):
        return {**manager, "summary_message": {"tracking_id": summary["tracking_id"]}}
    return manager


def summary_place(manager: Any, context: Context) -> int | None:
    """The entry of the variants log that has the manager's summary; None when the context does not show it."""
    summary = _summary(manager)
    if summary is None:
        return None
    return next((slot.variant for slot in context.slots if same(slot.message, summary)), None)


def restore_manager(agent: LocalAgent, stored: Any, messages: list[Message], session_id: str) -> None:
    """Give the agent's conversation manager its state back; another one starts afresh, which is logged.

    Args:
        agent: The live agent.
        stored: As it was stored; None: nothing was.
        messages: The live list, restored.
        session_id: For the log.
    """
    manager = getattr(agent, "conversation_manager", None)
    if manager is None or stored is None:
        return
    try:
        # what it would prepend (a summary) is in the context already
        manager.restore_from_session(_with_summary(snapshot(stored), messages))
    except (ValueError, KeyError, TypeError) as error:
        logger.warning(
            "agent_id=<%s>, session_id=<%s>, stored=<%s>, now=<%s> | the conversation manager is another one; its "
            "state starts afresh, the messages are as they were (%s)",
            agent.agent_id,
            session_id,
            _name(stored),
            type(manager).__name__,
            error,
        )


def _with_summary(manager: Any, messages: list[Message]) -> Any:
    """The state as it was before `without_summary`; the summary is the live list's own message again."""
    summary = _summary(manager)
    if summary is not None and summary.keys() == {"tracking_id"}:
        found = (m for m in messages if m.get("tracking_id") == summary["tracking_id"])
        return {**manager, "summary_message": next(found, None)}
    return manager


def _summary(manager: Any) -> Message | None:
    summary = manager.get("summary_message") if isinstance(manager, dict) else None
    return summary if isinstance(summary, dict) else None


def _name(state: Any) -> str:
    return str(state.get("__name__")) if isinstance(state, dict) else type(state).__name__
