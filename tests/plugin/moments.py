"""What was live when each message of an agent was stored, noted beside the session manager, and what a fork or a rewind
to it has to give back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from strands_session_store import StoreSessionManager, codec, layout, records
from strands_session_store.plugin.jobs import Job
from strands_session_store.plugin.repair import repaired
from strands_session_store.plugin.tracked import TrackedAgent
from strands_session_store.stores.base import Log, Space, Store
from strands_session_store.stores.reading import read_whole
from strands_session_store.testing.models import Reply, ScriptedModel

from .agents import build
from .compare import AGENT
from .payloads import alike, copied, kept
from .script import USAGE


@dataclass
class Live:
    """An agent when a message was added."""

    kind: str
    messages: list[Any]
    places: list[tuple[int | None, int | None]]
    """Of each: its entry in the history, and among the variants."""
    state: Any
    interrupts: Any
    manager: Any
    model_state: Any


class Moments:
    """Of one agent, across its processes."""

    def __init__(self) -> None:
        self.at: dict[int, Live] = {}
        self.replaced: set[tuple[str, int]] = set()
        self.kind = ""

    @contextmanager
    def noted(self, session_id: str) -> Iterator[None]:
        """Look on, as long as this lasts."""
        sync, redact = TrackedAgent.sync, TrackedAgent.redact

        def noting_sync(tracked: TrackedAgent, announced: Any = None) -> Job:
            agent = tracked.agent
            live = None if agent is None else [copied(message) for message in agent.messages]
            job = sync(tracked, announced)
            if agent is not None and tracked._session_id == session_id and tracked.agent_id == AGENT:
                self.replaced.update(job.replaces)
                at, said = job.appends.get(layout.history(AGENT), (0, []))
                for index in range(at or 0, (at or 0) + len(said)):
                    self.at[index] = Live(
                        self.kind,
                        [{**m, "tracking_id": now["tracking_id"]} for m, now in zip(live or (), agent.messages)],
                        [(slot.history, slot.variant) for slot in tracked.context.slots],
                        kept(copied(agent.state._data)),
                        kept(copied(agent._interrupt_state.to_dict())),
                        kept(copied(agent.conversation_manager.get_state())),
                        kept(copied(agent._model_state)),
                    )
            return job

        def noting_redact(tracked: TrackedAgent, message: Any) -> Job:
            job = redact(tracked, message)
            if tracked._session_id == session_id:
                self.replaced.update(job.replaces)
            return job

        with mock.patch.multiple(TrackedAgent, sync=noting_sync, redact=noting_redact):
            yield

    def wanted(self, store: Store, space: Space, index: int) -> list[Any]:
        """The live list then, without what was said behind the message, as it is stored now."""
        history, variants = layout.history(AGENT), layout.variants(AGENT)
        look = read_whole(store, space, *(Log(log, spans=[(0, None)]) for log in (history, variants)))
        found, live = [], self.at[index]
        for message, (of, shown) in zip(live.messages, live.places):
            if of is not None and of > index:
                continue
            log, i = (variants, shown) if shown is not None else (history, of)
            assert i is not None
            data = look.logs[log].entries[i]
            now = codec.load(records.Variant if log == variants else records.Message, data, log).message
            assert (log, i) in self.replaced or alike(now, kept(message)), differ(now, message)
            found.append(now)
        return found

    def check(self, store: Store, source: Space, index: int, session_id: str) -> Any:
        """An agent of the session is what the source's was at the message; returns it."""
        live = self.at[index]
        model = ScriptedModel(
            lambda _: Reply("ok", usage=USAGE), stateful=live.kind == "stateful", context_window_limit=10_000
        )
        agent = build(live.kind, model, StoreSessionManager(session_id, store), [])
        wanted = [] if live.kind == "stateful" else repaired(self.wanted(store, source, index))
        assert alike(agent.messages, wanted), differ(agent.messages, wanted, index)
        assert alike(agent.state._data, live.state), differ(agent.state._data, live.state, index)
        assert alike(agent._interrupt_state.to_dict(), live.interrupts), differ(
            agent._interrupt_state.to_dict(), live.interrupts, index
        )
        found = agent.conversation_manager.get_state()
        assert alike(found, live.manager), differ(found, live.manager, index)
        assert alike(agent._model_state, live.model_state)
        return agent


def differ(found: Any, wanted: Any, index: int | None = None) -> str:
    """As stored: some values have no text."""
    return f"at {index}:\n{codec.encode(found).decode()}\n!=\n{codec.encode(wanted).decode()}"
