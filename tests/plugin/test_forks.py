"""A fork, and a rewind, at every message of random conversations: what was live right after that message was added.

    FORKS_EXAMPLES=500 FORKS_SEED=7 pytest tests/plugin/test_forks.py -n auto

leads other and more of them.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from strands_session_store import StoreError, StoreSessionManager, codec, layout, trace
from strands_session_store.sessions import Sessions, forks
from strands_session_store.sessions.rewinding import rewind
from strands_session_store.stores.base import Log, Store
from strands_session_store.stores.reading import read_whole

from .agents import build, put, small_presets
from .compare import AGENT, SESSION
from .conversations import KINDS, Conversation, conversations
from .moments import Moments, differ
from .payloads import alike
from .play import Play


def fork(*args: Any, **options: Any) -> Any:
    """As `Sessions.fork` calls it."""
    return forks.fork(*args, named=lambda session: session, **options)


EXAMPLES = int(os.environ.get("FORKS_EXAMPLES", "20"))
SEED = int(os.environ.get("FORKS_SEED", "0"))
BATCH = 10
SOURCE = layout.session_space(SESSION, None)

# Strands leaves generators open when a stream is given up; the collector then closes them on any thread
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def _small_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    small_presets(monkeypatch.setattr)


class Forked(Play):
    """A conversation that is forked at each of its messages when it is over."""

    def run(self) -> None:
        self.moments_of = Moments()
        # with whole entries that are far apart, and close together
        with self.moments_of.noted(SESSION), mock.patch.object(trace, "WHOLE", 3 if self.conversation.near else 128):
            super().run()

    def _turn(self, turn: Any) -> None:
        self.moments_of.kind = self.kind
        super()._turn(turn)

    def _between(self, between: Any) -> None:
        self.moments_of.kind = self.kind
        super()._between(between)

    def _check(self) -> None:
        pass  # elsewhere

    def _end(self) -> None:
        with contextlib.suppress(StoreError):
            self.manager.flush()
        try:
            if sys.exc_info()[0] is None:
                self._fork_all()
        finally:
            super()._end()

    def _fork_all(self) -> None:
        store, moments = self.engine, self.moments_of
        said = ids(store, SESSION)
        for index, id in last_places(said):
            fork(store, SOURCE, layout.session_space(f"f{index}", None), id, AGENT)
            agent = moments.check(store, SOURCE, index, f"f{index}")
            assert ids(store, f"f{index}") == said[: index + 1]
            assert Sessions(store).get(f"f{index}").counters["messages"] == index + 1
            self.fired["forked"] += 1
            if index % 3 == len(said) % 3:
                goes_on(store, f"f{index}", agent, moments.at[index].kind)
        for index, id in last_places(said)[::4]:  # a fork of a fork is the same
            last = last_places(said)[-1][0]
            fork(store, layout.session_space(f"f{last}", None), layout.session_space(f"ff{index}", None), id)
            moments.check(store, SOURCE, index, f"ff{index}")
        self._rewind_some(last_places(said))

    def _rewind_some(self, said: list[tuple[int, str]]) -> None:
        """Back and forth, with a turn behind each; forks of what was said before and since are right."""
        store, moments = self.engine, self.moments_of
        for index, id in [*said[-2::-3], *said[1::5]]:
            rewind(store, SOURCE, id, AGENT)
            agent = moments.check(store, SOURCE, index, SESSION)
            moments.kind = moments.at[index].kind
            goes_on(store, SESSION, agent, moments.kind)
            self.fired["rewound"] += 1
        for index, id in last_places(ids(store, SESSION))[::3]:
            fork(store, SOURCE, layout.session_space(f"g{index}", None), id, AGENT)
            moments.check(store, SOURCE, index, f"g{index}")


def ids(store: Store, session_id: str) -> list[str]:
    log = layout.history(AGENT)
    view = read_whole(store, layout.session_space(session_id, None), Log(log, spans=[(0, None)])).logs.get(log)
    return [codec.load_message(data, log)[0]["tracking_id"] for _, data in sorted(view.entries.items())] if view else []


def last_places(said: Sequence[str]) -> list[tuple[int, str]]:
    return [(index, id) for index, id in enumerate(said) if id not in said[index + 1 :]]


def goes_on(store: Store, session_id: str, agent: Any, kind: str) -> None:
    """One more turn, and another process gets the same."""
    waiting = agent._interrupt_state
    answers = [{"interruptResponse": {"interruptId": i, "response": "yes"}} for i in waiting.interrupts]
    agent.play = _Nothing()
    put(agent, "gone on", [session_id])
    agent(answers if waiting.activated else "and on")
    manager = agent._session_manager
    manager.flush()
    model = type(agent.model)([], stateful=kind == "stateful", context_window_limit=10_000)
    again = build(kind, model, StoreSessionManager(session_id, store), [])
    if kind != "stateful":
        assert alike(again.messages, agent.messages), differ(again.messages, agent.messages)
    assert alike(again.state._data, agent.state._data)
    assert alike(again.conversation_manager.get_state(), agent.conversation_manager.get_state())


class _Nothing:
    """What tools look for in a conversation that is not played."""

    class moments:
        @staticmethod
        def tick(what: str) -> None:
            pass


@pytest.mark.parametrize("kind", KINDS)
def test_a_fork_is_what_was_live(kind: str, tmp_path: Path) -> None:
    fired: Counter[str] = Counter()
    for batch in range(0, EXAMPLES, BATCH):
        _converse(kind, tmp_path, fired, SEED * 1_000_003 + batch)
    assert fired["forked"] and fired["rewound"]


def _converse(kind: str, directory: Path, fired: Counter[str], start: int) -> None:
    @seed(start)
    @settings(
        max_examples=BATCH,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
        report_multiple_bugs=False,
    )
    @given(conversations(kind))
    def each(conversation: Conversation) -> None:
        Forked(conversation, directory, fired).run()

    each()
