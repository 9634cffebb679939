"""An agent as its code made it, and how it becomes what is stored of it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from strands import Agent
from strands.agent.state import AgentState
from strands.interrupt import _InterruptState
from strands.types.session import SessionAgent

from ..messages import Message, snapshot
from .conversation_managers import manager_state, restore_manager
from .loading import LoadedAgent

if TYPE_CHECKING:
    from strands.types.agent import LocalAgent

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Built:
    """An agent as its code made it, before anything was restored."""

    messages: list[Message]
    state: dict[str, Any]
    conversation_manager: Any

    @classmethod
    def of(cls, agent: LocalAgent) -> Built:
        return cls(snapshot(agent.messages), snapshot(agent.state._data), snapshot(manager_state(agent)))


def restore(agent: LocalAgent, loaded: LoadedAgent, session_id: str, built: Built | None) -> None:
    """Make the agent what the stored one was.

    Args:
        agent: The live one.
        loaded: What is stored of it; it stays as its code made it, where that is nothing.
        session_id: For the log.
        built: As its code made it, where it is not fresh: it becomes that first, in place.
    """
    if built is not None:
        _rebuild(agent, built)
    if loaded.agent is None:
        return
    stored = loaded.agent
    if stored.state is not None:  # None: the agent has no state yet, only messages
        if built is None:  # it may be the caller's own
            agent.state = AgentState()
        set_state(agent, stored.state)
    internal: dict[str, Any] = {}
    if stored.interrupts is not None:
        internal["interrupt_state"] = stored.interrupts
    if stored.model_state is not None:
        internal["model_state"] = stored.model_state
    SessionAgent(loaded.agent_id, {}, {}, internal).initialize_internal_state(agent)
    restore_manager(agent, loaded.conversation_manager, loaded.messages, session_id)
    if getattr(agent.model, "stateful", False):
        return
    if built is not None:
        agent.messages[:] = loaded.messages  # type: ignore[assignment]
    else:  # the list may be the caller's own
        agent.messages = loaded.messages  # type: ignore[assignment]
    if loaded.repaired:
        logger.warning(
            "agent_id=<%s>, session_id=<%s> | tool uses without results (or results without uses) were repaired",
            loaded.agent_id,
            session_id,
        )


def set_state(agent: LocalAgent, data: dict[str, Any]) -> None:
    """Have the agent's state hold the data, which becomes its own. In place: tools and plugins keep it, as they keep
    the list of messages."""
    state = agent.state
    with state._lock:
        # set as it was: AgentState's own check refuses what an application may have put past it (bytes), and copies
        state._data = data
        state._version += 1


def _rebuild(agent: LocalAgent, built: Built) -> None:
    agent.messages[:] = snapshot(built.messages)
    set_state(agent, snapshot(built.state))
    if isinstance(agent, Agent):
        agent._interrupt_state = _InterruptState()
        agent._model_state = {}
        if built.conversation_manager is not None:
            agent.conversation_manager.restore_from_session(snapshot(built.conversation_manager))
