"""What a session manager with ``read_only=True`` does: agents and orchestrators are restored when they are built.

Law: nothing is written. No other hook is registered, so nothing is noticed later; no writer is made that could be
handed anything (`LiveSession.adopt`); and the store below refuses to write (`stores.read_only`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from strands.hooks import AgentInitializedEvent, HookRegistry, MultiAgentInitializedEvent

from .agent_hooks import AgentHooks
from .multi_agent_hooks import MultiAgentHooks

if TYPE_CHECKING:
    from strands.multiagent.base import MultiAgentBase
    from strands.types.agent import LocalAgent


class RestoredAgents(AgentHooks):
    """The agents of one session. They go on in memory."""

    def register(self, registry: HookRegistry) -> None:
        registry.add_callback(AgentInitializedEvent, lambda event: self.initialize(event.agent))

    # Strands calls these two directly, beside its hooks
    def changed(self, agent: LocalAgent, announced: Any = None) -> None:
        pass

    def redact(self, agent: LocalAgent, message: Any) -> None:
        pass

    def enqueue_all(self) -> None:
        pass

    def recall_all(self) -> None:
        pass

    async def arecall_all(self) -> None:
        pass


class RestoredMultiAgents(MultiAgentHooks):
    """The orchestrators of one session. They go on in memory."""

    def register(self, registry: HookRegistry) -> None:
        registry.add_callback(MultiAgentInitializedEvent, lambda event: self.initialize(event.source))

    def changed(self, source: MultiAgentBase) -> None:
        pass

    def enqueue_all(self) -> None:
        pass

    def _record_node(self, *args: Any) -> None:
        pass

    def _follow(self, *args: Any) -> None:
        pass
