"""Many processes that run one session, each turn by the one that has its lease: none is lost, doubled or mixed up."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from strands_session_store import layout, open_store
from strands_session_store.plugin.taking import lease_of, queue_of
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Doc, Store

from .children import Child, Parent, build, heard, unpaired, wait_for

SESSION = "shared"
SPACE = layout.session_space(SESSION, None)
ENGINES = ["sqlite", "redis", "directory", "s3"]
DONE = "That is done."


@dataclass
class Turn:
    """One that was acknowledged. Times by one clock of all processes."""

    prompt: str
    asked: float
    began: float
    ended: float
    messages: list[Any]


@dataclass
class Crowd:
    """So many processes, each with so many turns; one that is killed is started again for the rest of its turns."""

    processes: Parent
    url: str
    size: int
    turns: int
    options: dict[str, Any]
    done: list[Turn] = field(default_factory=list)
    refused: list[tuple[str, tuple[str, str]]] = field(default_factory=list)
    killed: list[float] = field(default_factory=list)
    """When."""
    succeeded: list[float] = field(default_factory=list)
    """After how many seconds another had the lease of one that was killed."""
    _workers: dict[int, Child] = field(default_factory=dict)
    _left: dict[int, int] = field(default_factory=dict)
    _lives: Counter[int] = field(default_factory=Counter)

    def run(self, kills: Iterable[float] = ()) -> None:
        """Until all turns are done; ``kills``: for so many seconds a lease is held, then its holder is killed."""
        self._left = dict.fromkeys(range(self.size), self.turns)
        for slot in self._left:
            self._start(slot)
        for worker in self._workers.values():  # all have imported and connected before the first begins
            assert worker.hear() == ("ready",)
        for worker in self._workers.values():
            worker.tell("go")
        delays, due, quiet = iter(kills), None, time.monotonic()
        with open_store(self.url) as store:
            while any(self._left.values()):
                slots = {worker: slot for slot, worker in self._workers.items() if self._left[slot]}
                talking = heard(slots, 0.02 if kills else 30.0)
                for worker in talking:
                    self._hear(slots[worker], worker)
                quiet = time.monotonic() if talking else quiet
                assert time.monotonic() < quiet + 30, "nobody has had a turn for 30 s"
                if not kills or (slot := self._holder(store)) is None:
                    continue
                now = time.monotonic()
                if due is None:  # the first sight of a holder
                    due = now + next(delays, float("inf"))
                    self.succeeded += [now - at for at in self.killed[len(self.succeeded) :]]
                if now >= due:
                    self._kill(slot)
                    due = None

    def agents(self) -> Iterator[list[Any]]:
        """Messages of each process's agent, reloaded."""
        for worker in self._workers.values():
            yield worker.ask("that is all")

    def _start(self, slot: int) -> None:
        name, self._lives[slot] = f"{slot}-{self._lives[slot]}", self._lives[slot] + 1
        self._workers[slot] = self.processes.start(
            "take_turns", url=self.url, session=SESSION, name=name, turns=self._left[slot], **self.options
        )

    def _hear(self, slot: int, worker: Child) -> None:
        match worker.hear():
            case ("ready",):
                worker.tell("go")
            case ("done", *told):
                self.done.append(Turn(*told))
                self._left[slot] -= 1
            case ("refused", prompt, why):
                self.refused.append((prompt, why))

    def _holder(self, store: Store) -> int | None:
        """The slot of the process that has the lease, as is stored."""
        lease = lease_of(store.read(SPACE, Doc(layout.LEASE)).docs.get(layout.LEASE))
        pids = {worker.pid: slot for slot, worker in self._workers.items() if self._left[slot]}
        return None if lease.holder is None else pids.get(lease.pid)

    def _kill(self, slot: int) -> None:
        worker = self._workers[slot]
        os.kill(worker.pid, signal.SIGKILL)
        self.killed.append(time.monotonic())
        assert worker.ended() == -signal.SIGKILL
        for said in worker.hear_all():  # what it had said before
            if said[0] == "done":
                self.done.append(Turn(*said[1:]))
                self._left[slot] -= 1
        if self._left[slot]:
            self._start(slot)

    def overtaken(self) -> int:
        """Of all turns, the most that others began while one was waited for."""
        return max(sum(turn.asked < other.began < turn.began for other in self.done) for turn in self.done)

    def longest_wait(self) -> float:
        return max(turn.began - turn.asked for turn in self.done)


def history(store: Store) -> list[Any]:
    """All that was said in the session."""
    sessions, found = Sessions(store), []
    while (page := sessions.messages.page(SESSION, start=len(found), limit=1000)).entries:
        assert list(page.entries) == list(range(len(found), len(found) + len(page.entries)))
        found += [entry.message for entry in page.entries.values()]
    return found


def texts(message: Any) -> list[str]:
    return [block["text"] for block in message["content"] if "text" in block]


def check_said(said: list[Any], done: list[Turn]) -> None:
    """Each acknowledged turn is there whole, as it was, once, and in the order in which they were had."""
    prompts = Counter(text for message in said if message["role"] == "user" for text in texts(message))
    assert {prompts[turn.prompt] for turn in done} == {1} and max(prompts.values()) == 1
    assert len({message["tracking_id"] for message in said}) == len(said)
    places = {message["tracking_id"]: at for at, message in enumerate(said)}
    order = []
    for turn in done:
        at = places[turn.messages[0]["tracking_id"]]
        assert said[at : at + len(turn.messages)] == turn.messages, f"{turn.prompt} is not as it was"
        assert texts(turn.messages[-1]) == [DONE] and unpaired(turn.messages) == []
        order.append((at, turn.began))
    assert [began for _, began in sorted(order)] == sorted(turn.began for turn in done)


def check_whole(said: list[Any]) -> None:
    """Nothing but whole turns: prompt, tool uses, their results, answer."""
    assert len(said) % 4 == 0 and unpaired(said) == []
    for prompt, uses, results, answer in zip(*(said[at::4] for at in range(4))):
        assert [m["role"] for m in (prompt, uses, results, answer)] == ["user", "assistant"] * 2
        assert len(texts(prompt)) == 1 and texts(answer) == [DONE]
        assert len([b for b in uses["content"] if "toolUse" in b]) == 2
        assert [b["toolResult"]["status"] for b in results["content"]] == ["success"] * 2


def check_counters(store: Store, said: list[Any]) -> None:
    overview = Sessions(store).get(SESSION)
    runs = Sessions(store).runs.list(SESSION, limit=1000).entries.values()
    usages = [message["metadata"]["usage"] for message in said if "usage" in message.get("metadata", {})]
    assert overview.counters["messages"] == len(said)
    assert overview.counters["runs"] == len(runs) + overview.open_runs
    assert overview.counters["input_tokens"] == sum(usage["inputTokens"] for usage in usages)
    assert overview.counters["output_tokens"] == sum(usage["outputTokens"] for usage in usages)
    assert len(Sessions(store).events.list(SESSION, limit=1000).entries) >= len(runs)


def check_agents(store: Store, crowd: Crowd) -> None:
    """All that have the session have the same; and nobody holds it, or waits for it."""
    restored = build(store, SESSION)[0].messages
    assert unpaired(restored) == []
    for messages in crowd.agents():
        assert messages == restored

    def free() -> bool:
        docs = store.read(SPACE, Doc(layout.LEASE), Doc(layout.LEASE_WANTED)).docs
        return lease_of(docs[layout.LEASE]).holder is None and not queue_of(docs.get(layout.LEASE_WANTED))

    wait_for(free, "the end of the last lease")


def check_turns(crowd: Crowd, prints: Any) -> None:
    """No process is killed: each has all of its turns, in its order, and none waits for long."""
    with open_store(crowd.url) as store:
        said = history(store)
        check_whole(said)
        check_said(said, crowd.done)
        check_counters(store, said)
        check_agents(store, crowd)
        assert len(said) == 4 * crowd.size * crowd.turns
        statuses = [run.status for run in Sessions(store).runs.list(SESSION, limit=1000).entries.values()]
        assert statuses == ["completed"] * crowd.size * crowd.turns
        lease = lease_of(store.read(SPACE, Doc(layout.LEASE)).docs[layout.LEASE])
        assert lease.epoch == crowd.size * crowd.turns
    assert crowd.refused == []
    own: dict[str, list[int]] = {}
    for message in said[::4]:
        name, _, number = texts(message)[0].partition(".")
        own.setdefault(name, []).append(int(number))
    assert len(own) == crowd.size and all(numbers == list(range(crowd.turns)) for numbers in own.values())
    # who waits is overtaken by those before it in the queue. Twice as many more: it joins the queue by a commit that
    # others of the queue may be faster with, and one that the machine held up for a second has lost its place
    assert crowd.overtaken() <= 3 * (crowd.size - 1)
    prints(f"longest wait {crowd.longest_wait():.2f} s, overtaken by {crowd.overtaken()}")


def check_killed(crowd: Crowd, durability: str, prints: Any) -> None:
    with open_store(crowd.url) as store:
        said = history(store)
        if durability == "turn":
            check_whole(said)
            # the acknowledgement of one that was killed may have been on its way
            assert crowd.size * crowd.turns <= len(said) // 4 <= crowd.size * crowd.turns + len(crowd.killed)
        check_said(said, crowd.done)
        check_counters(store, said)
        check_agents(store, crowd)
        statuses = Counter(run.status for run in Sessions(store).runs.list(SESSION, limit=1000).entries.values())
        assert len(crowd.done) == crowd.size * crowd.turns <= statuses["completed"]
        assert statuses["abandoned"] <= len(crowd.killed) + len(crowd.refused)
    # a machine that stops a process for longer than the expiry: it was succeeded, and nothing else is an answer to that
    assert {kind for _, (kind, _) in crowd.refused} <= {"ConflictError"}
    prints(
        f"{durability}: {len(crowd.killed)} kills, {len(crowd.refused)} refused, succeeded within "
        f"{max(crowd.succeeded, default=0):.2f} s, longest wait {crowd.longest_wait():.2f} s, overtaken by "
        f"{crowd.overtaken()}"
    )


@pytest.fixture
def crowd_of(processes: Parent, url_of: Callable[[str], str]) -> Callable[..., Crowd]:
    def make(engine: str, size: int, turns: int, **options: Any) -> Crowd:
        return Crowd(processes, url_of(engine), size, turns, options)

    return make


@pytest.fixture
def prints(request: pytest.FixtureRequest, record_property: Any) -> Callable[[str], None]:
    """For whoever wants the figures: shown by ``-rP``."""
    began = time.monotonic()
    return lambda text: print(f"{request.node.name}: {time.monotonic() - began:.1f} s in all, {text}")


@pytest.mark.parametrize(
    ("engine", "size", "turns"), [("sqlite", 8, 5), ("redis", 8, 5), ("directory", 4, 4), ("s3", 4, 4)]
)
def test_each_process_has_its_turns(crowd_of: Any, prints: Any, engine: str, size: int, turns: int) -> None:
    crowd = crowd_of(engine, size, turns)
    crowd.run()
    check_turns(crowd, prints)


@pytest.mark.soak
@pytest.mark.parametrize("engine", ENGINES)
def test_eight_processes_have_25_turns_each(crowd_of: Any, prints: Any, engine: str) -> None:
    crowd = crowd_of(engine, 8, 25, lease_timeout=300)
    crowd.run()
    check_turns(crowd, prints)


KILLS = {"lease_expiry": 0.6, "lease_timeout": 300.0}


@pytest.mark.parametrize(
    ("engine", "durability", "size"),
    [("sqlite", "turn", 3), ("redis", "message", 3), ("directory", "message", 2), ("s3", "turn", 2)],
)
def test_holders_are_killed(crowd_of: Any, prints: Any, engine: str, durability: str, size: int) -> None:
    crowd = crowd_of(engine, size, 3, think=0.05, durability=durability, **KILLS)
    # the first that is seen, at once: on a busy machine few are. A turn takes 0.1 and more
    crowd.run([0.0, *(random.uniform(0, 0.4) for _ in range(size - 1))])
    check_killed(crowd, durability, prints)
    assert crowd.killed


@pytest.mark.soak
@pytest.mark.parametrize("durability", ["turn", "message"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_holder_is_killed_every_second(crowd_of: Any, prints: Any, engine: str, durability: str) -> None:
    crowd = crowd_of(engine, 8, 25, think=0.05, durability=durability, **KILLS)
    crowd.run(iter(random.random, None))  # and the next has it after 0.6
    check_killed(crowd, durability, prints)
    assert len(crowd.killed) >= 10
