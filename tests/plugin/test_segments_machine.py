"""Random conversations with segments: turns by several processes, faults, failing summaries, redactions, rewinds.

What is acknowledged is there, once and in order, whatever comes; what is resumed is what is live.
"""

from __future__ import annotations

import contextlib
import random
from typing import Any

import pytest
from strands import Agent
from strands.hooks import HookOrder, MessageAddedEvent
from strands.types.exceptions import EventLoopException

from strands_session_store import ConflictError, InDoubt, Sessions, StoreError, Unavailable, layout
from strands_session_store.errors import SessionBusyError
from strands_session_store.segments import SegmentAfter
from strands_session_store.stores.base import Counters, Query
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.testing.faults import FaultyStore

from .unending import LIMIT, Story, agent_of, frozen, told


class Machine:
    """One conversation; what is known of it by what was acknowledged."""

    def __init__(self, seed: int) -> None:
        self.chance, self.story = random.Random(seed), Story(seed, alternate=False)
        self.store = FaultyStore(MemoryStore())
        self.sessions = Sessions(self.store.store)
        self.acknowledged: list[str] = []
        self.done: dict[str, int] = {}
        self.options: Any = {
            "exclusive": self.chance.random() < 0.3,
            "durability": self.chance.choice(["message", "background", "turn"]),
            "on_stale": self.chance.choice(["reload", "reload", "conflict"]),
        }
        small = SegmentAfter(None, self.chance.randrange(2, 5), self.summarize, keep_turns=self.chance.randrange(2))
        self.after = self.chance.choice([small, SegmentAfter(LIMIT, None, self.summarize, keep_turns=2)])
        self.agents: list[Agent] = []

    def summarize(self, to: Any) -> str:
        if self.chance.random() < 0.2:
            raise RuntimeError("no summary today")
        return f"summary of {len(to.messages)} messages. " + (to.previous or "")[:200]

    def agent(self) -> Agent:
        """One that is kept, or a new one."""
        if not self.agents or self.chance.random() < 0.3:
            made = agent_of(self.store, self.story.script, after=self.after, **self.options)
            made.hooks.add_callback(MessageAddedEvent, self._heard, order=HookOrder.SDK_LAST)
            self.agents = [*self.agents[-1:], made]
        return self.chance.choice(self.agents)

    def _heard(self, event: MessageAddedEvent) -> None:
        # before the prompt, Strands answers the tools of a turn that was refused: that is given up with the turn
        if self.turn or "question" in str(event.message["content"][0].get("text")):
            self.turn.append(event.message["tracking_id"])

    def turn_of(self, faulty: bool) -> None:
        self.turn: list[str] = []
        agent = self.agent()
        if faulty:
            error = self.chance.choice([{"before": Unavailable("no")}, {"after": InDoubt("no answer")}])
            self.store.plan("any", at=self.chance.randrange(1, 14), times=self.chance.choice([1, 1, 2, 3, 8]), **error)
        try:
            agent.state.set("turn", self.story.turn)
            agent(self.story.prompt())
        except (StoreError, EventLoopException) as error:
            self.done["refused"] = self.done.get("refused", 0) + 1
            if not (faulty or isinstance(error, ConflictError) or isinstance(error.__cause__, StoreError)):
                raise
            if self.options["durability"] == "message":
                self.acknowledged += self.turn
            if self.chance.random() < 0.5:
                self.agents.remove(agent)
            self.store.heal()
            return
        self.store.heal()
        try:
            agent._session_manager.flush()
        except StoreError:  # another went on meanwhile, or the turn was told to be lost
            self.agents.remove(agent)
            if self.options["durability"] == "message":
                self.acknowledged += self.turn
            return
        self.acknowledged += self.turn
        if not faulty:  # else it is, at the latest, when the next turn begins
            assert frozen(agent_of(self.store.store, self.story.script)) == frozen(agent)

    def edit(self) -> None:
        here = told(self.store.store, sizes=(1000,))
        # what an agent waits for is not to be taken away from it
        contents = ((one, one.entry.message["content"]) for one in here)
        texts = [one for one, content in contents if len(content) == 1 and "text" in content[0]]
        if not texts:
            return
        place = self.chance.choice(texts)
        id = place.entry.message["tracking_id"]
        match self.chance.choice(["redact", "rewind", "fork", "get"]):
            case "redact":
                self.sessions.messages.redact("c", id)
            case "get":
                assert self.sessions.messages.get("c", id).index == place.index
            case "fork":
                fork = self.sessions.fork("c", at=id).session_id
                resumed = agent_of(self.store.store, self.story.script, fork)
                assert resumed.messages[-1] == place.entry.message
                self.sessions.delete(fork)
            case "rewind" if place.session_id == "c" and place.entry.message["role"] == "assistant":
                self.sessions.rewind("c", id)
            case _:
                return

    def check(self) -> None:
        found = told(self.store.store, sizes=(1000, self.chance.randrange(1, 12)))
        ids = [one.entry.message["tracking_id"] for one in found]
        wanted = self.acknowledged
        there = set(ids)
        assert [id for id in wanted if id not in there] == [], "acknowledged, and not there"
        known = set(wanted)
        assert [id for id in ids if id in known] == wanted, "out of order"
        chain = self.sessions.segments.chain("c")
        for one in chain:
            look = self.store.store.read(layout.session_space(one.session.session_id, None), Counters(["messages"]))
            assert look.counters["messages"] == one.messages
        rows = self.store.store.list(Query("session", parent="c", limit=1000)).rows
        assert len(rows) <= len(chain), "the segments, and one that is half made at most"
        stats = self.sessions.segments.stats("c")
        assert stats.segments == len(chain)


def lead(seed: int, steps: int) -> Machine:
    machine = Machine(seed)
    for _ in range(steps):
        kind = machine.chance.random()
        if kind < 0.55:
            machine.turn_of(faulty=False)
        elif kind < 0.8:
            # a lease that could not be let go of is waited for
            machine.turn_of(faulty=not machine.options["exclusive"])
        elif machine.acknowledged:
            with contextlib.suppress(SessionBusyError):
                machine.edit()
        if machine.acknowledged:
            machine.check()
    return machine


@pytest.mark.parametrize("seed", range(12))
def test_random_conversations(seed: int) -> None:
    machine = lead(seed, 40)
    assert len(machine.sessions.segments.chain("c")) > 1


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 400))
def test_many_random_conversations(seed: int) -> None:
    lead(seed, 60)
