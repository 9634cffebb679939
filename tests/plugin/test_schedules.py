"""Two writers of one agent, in orders that a seed draws: nothing acknowledged is missing, nothing is doubled, the
history is one line, and every conflict is raised.

A failure names its seed and shows the order; ``play(seed)`` has it again (but see `testing.schedule` for "background").
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import pytest
from strands import Agent, tool
from strands.hooks import AfterInvocationEvent, HookOrder, MessageAddedEvent
from strands.types.exceptions import EventLoopException

from strands_session_store import ConflictError, SessionNotFoundError, StoreError, StoreSessionManager
from strands_session_store.plugin import Durability
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Store
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.testing import Schedule, Stopped, ToolCall

from .children import build, unpaired

WRITERS = ("ann", "bob")
TRIES = 20
FAULTS = {"fail": 0.04, "cut": 0.04, "stop": 0.01}


@tool
async def echo(n: int) -> int:
    """The number again; on the loop, which is faster than a thread."""
    return n


def with_tools(messages: Any) -> Any:
    """For each prompt one or two tools, as its length says, then an answer."""
    *_, last = messages
    if any("toolResult" in block for block in last["content"]):
        return "That is done."
    return [ToolCall("echo", {"n": n}) for n in range(1 + len(last["content"][-1]["text"]) % 2)]


def count(agent: Any) -> None:
    """What the application itself keeps: how many turns there were."""
    agent.state.set("turns", (agent.state.get("turns") or 0) + 1)


@dataclass(eq=False)
class Turn:
    """One invocation, as its caller saw it."""

    prompt: str
    messages: list[Any] = field(default_factory=list)
    """Those that were added, whether or not they were stored."""
    acknowledged: list[Any] = field(default_factory=list)
    """Of these, what was promised to be stored."""
    error: BaseException | None = None
    live: list[str] = field(default_factory=list)
    """Ids of the agent's messages, when it had answered."""

    @property
    def refused(self) -> bool:
        return isinstance(self.error, ConflictError)

    @property
    def own(self) -> list[str | None]:
        """Ids from the prompt on: what Strands repairs of an earlier turn comes before it."""
        ids = [m.get("tracking_id") for m in self.messages]  # of one that was never looked at there is none
        begin = next((i for i, m in enumerate(self.messages) if self.prompt in texts(m)), len(ids))
        return list(dict.fromkeys(ids[begin:]))


def texts(message: Any) -> list[str]:
    return [block["text"] for block in message["content"] if "text" in block]


@dataclass
class Writer:
    """One worker: it says something a few times."""

    name: str
    durability: Durability
    prompts: list[str]
    flushes: list[bool]
    """After which of them it asks for all to be stored."""
    counts: bool
    """Whether the application has a state that changes at the end of each turn."""
    keeps: bool
    """When it was refused: whether it says the same again to the same agent, or goes on with a new one."""
    turns: list[Turn] = field(default_factory=list)
    restored: list[list[Any]] = field(default_factory=list)
    """What each of its agents began with."""
    asked: list[list[Any]] = field(default_factory=list)
    """What its model was asked with half a tool pair, which providers refuse."""

    def work(self, store: Store) -> None:
        begun = None
        for prompt, flush in self._says():
            turn = Turn(prompt)
            self.turns.append(turn)
            try:
                agent, manager = begun = begun or self._begin(store)
                agent(prompt)
                turn.live = [message["tracking_id"] for message in agent.messages]
                if flush:
                    manager.flush()
                    turn.acknowledged = list(turn.messages)
            except (StoreError, EventLoopException, Stopped) as error:
                turn.error = error.__cause__ if isinstance(error, EventLoopException) else error
            if turn.refused and not self.keeps:
                begun = None

    def _says(self) -> Iterator[tuple[str, bool]]:
        for prompt, flush in zip(self.prompts, self.flushes):
            yield prompt, flush
            again = 0
            while self.keeps and self.turns[-1].refused and again < TRIES:
                again += 1
                yield f"{prompt} ({again})", flush

    def _begin(self, store: Store) -> tuple[Agent, StoreSessionManager]:
        agent, manager = build(store, "s", self._replies, tools=[echo], durability=self.durability)
        self.restored.append(list(agent.messages))
        agent.hooks.add_callback(
            MessageAddedEvent, lambda event: self.turns[-1].messages.append(event.message), order=HookOrder.SDK_FIRST
        )
        if self.counts:
            agent.hooks.add_callback(AfterInvocationEvent, lambda event: count(event.agent))
        if self.durability == "message":
            agent.hooks.add_callback(MessageAddedEvent, self._acknowledged, order=HookOrder.SDK_LAST)
        return agent, manager

    def _replies(self, messages: Any) -> Any:
        if unpaired(messages):
            self.asked.append(messages)
        return with_tools(messages)

    def _acknowledged(self, event: MessageAddedEvent[Any]) -> None:
        *before, turn = self.turns
        # of an agent that was refused, Strands repairs the list before it is reloaded: what is to be dropped anyway
        if (
            turn.prompt in texts(event.message)
            or turn.acknowledged
            or not (self.keeps and before and before[-1].refused)
        ):
            turn.acknowledged.append(event.message)


@dataclass
class Outcome:
    """A schedule that has ended, and what was stored."""

    writers: list[Writer]
    schedule: Schedule
    resumed: Agent
    history: list[Any] = field(default_factory=list)
    counters: Mapping[str, int] = field(default_factory=lambda: {"messages": 0, "runs": 0})
    runs: int = 0

    @property
    def turns(self) -> list[Turn]:
        return [turn for writer in self.writers for turn in writer.turns]


def play(seed: int, names: Sequence[str] = WRITERS, keeps: bool = False, **faults: float) -> Outcome:
    """Have the writers of a seed meet, and look at what came of it."""
    draw = random.Random(f"writers of {seed}")
    counts = draw.random() < 0.5
    writers = [
        Writer(
            name,
            draw.choice(get_args(Durability)),
            [f"{name} {number}{'!' * draw.randint(0, 1)}" for number in range(draw.randint(3, 4))],
            [bool(faults) and draw.random() < 0.5 for _ in range(4)],
            counts,
            keeps,
        )
        for name in names
    ]
    with MemoryStore() as engine:
        schedule = Schedule(seed, engine, **faults)
        for writer in writers:
            schedule.actor(writer.name, writer.work)
        schedule.run()
        service = Sessions(engine)
        outcome = Outcome(writers, schedule, build(engine, "s")[0])
        with contextlib.suppress(SessionNotFoundError):  # when nothing was ever stored
            found = service.messages.page("s", limit=1000)
            assert list(found.entries) == list(range(found.length))
            outcome.history = [entry.message for entry in found.entries.values()]
            outcome.counters = service.get("s").counters
            outcome.runs = len(service.runs.list("s", limit=1000).entries)
        return outcome


def is_one_line(outcome: Outcome) -> None:
    """Whatever went wrong."""
    ids = [message["tracking_id"] for message in outcome.history]
    assert len(ids) == len(set(ids)), "a message is doubled"
    said = [text for message in outcome.history for text in texts(message)]
    for turn in outcome.turns:
        assert said.count(turn.prompt) <= 1, f"{turn.prompt!r} is doubled"
        lost = [m["tracking_id"] for m in turn.acknowledged if m["tracking_id"] not in ids]
        assert not lost, f"of {turn.prompt!r} was acknowledged and is missing: {lost}"
        at = [ids.index(id) for id in turn.own if id in ids]
        assert at == sorted(at), f"{turn.prompt!r} is out of order: {at}"
    assert not any(writer.asked for writer in outcome.writers), "a model was asked with half a tool pair"
    for messages in (
        outcome.resumed.messages,
        *(messages for writer in outcome.writers for messages in writer.restored),
    ):
        # a tool that is running has no result yet: only the last message may wait for one
        running = bool(messages) and any("toolUse" in block for block in messages[-1]["content"])
        assert not unpaired(messages[:-1] if running else messages), messages
    assert [message["tracking_id"] for message in outcome.resumed.messages] == ids
    assert outcome.counters["messages"] == len(ids)
    assert outcome.counters["runs"] >= outcome.runs, "a run is recorded twice"


def every_conflict_was_raised(outcome: Outcome) -> None:
    """Where nothing but the two writers went wrong: each turn is there whole, or was refused."""
    assert outcome.counters["runs"] == outcome.runs
    ids = [message["tracking_id"] for message in outcome.history]
    said = [text for message in outcome.history for text in texts(message)]
    answered = sum(turn.error is None for writer in outcome.writers for turn in writer.turns if writer.counts)
    assert outcome.resumed.state.get("turns") == (answered or None), "state was written over"
    for writer in outcome.writers:
        for turn in writer.turns:
            stored = [id in ids for id in turn.own]
            if turn.error is None:
                assert len(stored) == 4 and all(stored) and turn.prompt in said, f"{turn.prompt!r}: {stored}"
                at = ids.index(turn.own[0])
                assert ids[at : at + 4] == turn.own, f"another spoke in the midst of {turn.prompt!r}"
                assert ids[: at + 4] == turn.live, f"{turn.prompt!r} was answered from something else than is stored"
            else:
                assert turn.refused, repr(turn.error)
                assert stored == sorted(stored, reverse=True), f"of {turn.prompt!r} is stored: {stored}"
                if writer.durability == "turn":
                    assert turn.prompt not in said and not any(stored[1:]), f"half of {turn.prompt!r} is stored"


def check(seed: int, names: Sequence[str] = WRITERS, keeps: bool = False, **faults: float) -> Outcome:
    outcome = play(seed, names, keeps, **faults)
    try:
        is_one_line(outcome)
        if not faults:
            every_conflict_was_raised(outcome)
        elif len(names) == 1:
            assert not any(turn.refused for turn in outcome.turns), "there is nobody to be refused by"
    except AssertionError as error:
        modes = ", ".join(f"{writer.name}: {writer.durability}" for writer in outcome.writers)
        raise AssertionError(f"seed {seed} ({modes}): {error}\n{outcome.schedule}") from error
    return outcome


@pytest.mark.parametrize(
    "begin", [pytest.param(at, marks=[pytest.mark.soak] if at >= 150 else []) for at in range(0, 500, 50)]
)
def test_two_writers_in_500_orders(begin: int) -> None:
    outcomes = [check(seed) for seed in range(begin, begin + 50)]
    turns = [turn for outcome in outcomes for turn in outcome.turns]
    # they do meet, and neither is kept from everything
    assert 0.2 < sum(turn.refused for turn in turns) / len(turns) < 0.8


@pytest.mark.parametrize("begin", range(0, 100, 50))
def test_two_writers_on_a_store_that_fails_and_when_they_are_killed(begin: int) -> None:
    outcomes = [check(seed, **FAULTS) for seed in range(begin, begin + 50)]
    ended = {step.ended for outcome in outcomes for step in outcome.schedule.trace}
    assert ended == {"ok", "ConflictError", "Unavailable", "InDoubt", "Stopped"}


@pytest.mark.parametrize("begin", range(0, 100, 50))
def test_a_writer_alone_on_a_store_that_fails_is_never_refused(begin: int) -> None:
    for seed in range(begin, begin + 50):
        check(seed, WRITERS[:1], fail=0.1, cut=0.2)


@pytest.mark.soak
@pytest.mark.parametrize("begin", range(1_000, 11_000, 500))
def test_two_writers_in_many_more_orders(begin: int) -> None:
    for seed in range(begin, begin + 500):
        check(seed)
        check(seed, **FAULTS)


def test_an_order_comes_again_by_its_seed() -> None:
    """Where nobody goes on beside a call of his own."""
    seen = 0
    for seed in range(30):
        first = play(seed)
        if any(writer.durability == "background" for writer in first.writers):
            continue
        again = play(seed)
        assert again.schedule.trace == first.schedule.trace
        assert [turn.refused for turn in again.turns] == [turn.refused for turn in first.turns]
        seen += 1
    assert seen > 5


def test_who_was_refused_goes_on_from_what_is_stored_with_the_same_agent() -> None:
    for seed in range(50):
        outcome = check(seed, keeps=True)
        for writer in outcome.writers:
            answered = {turn.prompt.partition(" (")[0] for turn in writer.turns if turn.error is None}
            assert answered == set(writer.prompts), f"seed {seed}: {outcome.schedule}"
