"""How a lease is taken, while time only passes when it is let: contenders on a real engine, with a clock of numbers."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import pytest

from strands_session_store import ConflictError, SessionBusyError, layout
from strands_session_store.plugin.taking import (
    GRACE,
    LONGEST_PAUSE,
    Answer,
    Ask,
    Contender,
    OnBusy,
    Step,
    Taken,
    Terms,
    Try,
    Wait,
    lease_of,
    queue_of,
    taking,
)
from strands_session_store.stores.base import (
    ABSENT,
    Append,
    Committed,
    Doc,
    Expect,
    Log,
    PutDoc,
    Space,
    new_commit_id,
)
from strands_session_store.stores.memory import MemoryStore

SPACE = Space("session", None, "s")
EXPIRY = 9.0


@dataclass
class World:
    """One session, and the time."""

    store: MemoryStore = field(default_factory=MemoryStore)
    now: float = 1000.0

    def contender(self, name: str, *, on_busy: OnBusy = "wait", timeout: float = 60, ahead: float = 0) -> Contender:
        """``ahead``: by how much its wall clock is."""
        terms = Terms(timeout, EXPIRY, on_busy)
        return Contender(name, SPACE.id, "host", 1, terms, clock=lambda: self.now, wall=lambda: self.now + ahead)

    def do(self, step: Step) -> Answer:
        if isinstance(step, Ask):
            return self.store.read(SPACE, *map(Doc, (layout.LEASE, layout.LEASE_BEAT, layout.LEASE_WANTED)))
        assert isinstance(step, Try)
        try:
            return self.store.commit(SPACE, *step.changes, on=step.on, commit_id=new_commit_id())
        except ConflictError as conflict:
            return conflict

    def commit(self, *changes: Any) -> Committed:
        return self.store.commit(SPACE, *changes, commit_id=new_commit_id())

    def take(
        self,
        me: Contender,
        *,
        expects: Any = (),
        family: Any = (),
        incarnation: str | None = None,
        meanwhile: Callable[[Step], object] = lambda step: None,
    ) -> tuple[Taken, list[Step]]:
        """Take it, letting time pass; and the steps that took. Before each, something else happens."""
        steps: list[Step] = []
        going = taking(me, incarnation or self.store.read(SPACE).incarnation, expects, family)
        answer: Answer = None
        while True:
            try:
                step = going.send(answer)
            except StopIteration as end:
                return end.value, steps
            steps.append(step)
            meanwhile(step)
            if isinstance(step, Wait):
                self.now += step.seconds
                answer = None
            else:
                answer = self.do(step)

    def release(self, me: Contender, taken: Taken) -> None:
        made = self.commit(PutDoc(layout.LEASE, me.released(taken.epoch), expect=taken.version))
        me.known = made.version, taken.epoch

    def beat(self, me: Contender, taken: Taken) -> None:
        self.commit(PutDoc(layout.LEASE_BEAT, me.sign()), Expect(layout.LEASE, taken.version))


@pytest.fixture
def world() -> World:
    return World()


def fresh(world: World, name: str, **options: Any) -> Contender:
    """One that has seen that there is none."""
    me = world.contender(name, **options)
    me.known = ABSENT, 0
    return me


def test_a_lease_that_is_as_it_was_known_takes_one_commit(world: World) -> None:
    me = fresh(world, "me")
    for epoch in (1, 2, 3):
        taken, steps = world.take(me)
        assert [type(step) for step in steps] == [Try] and taken.verified and taken.epoch == epoch
        world.release(me, taken)


def test_what_is_expected_besides_is_told_and_the_lease_is_taken_all_the_same(world: World) -> None:
    world.commit(PutDoc("x", b""))
    taken, steps = world.take(fresh(world, "me"), expects=[Expect("x", ABSENT)])
    assert not taken.verified and [type(step) for step in steps] == [Try, Ask, Try]


def test_one_that_was_released_by_another_takes_a_look_and_a_commit_more(world: World) -> None:
    me, other = fresh(world, "me"), fresh(world, "other")
    world.release(other, world.take(other)[0])
    taken, steps = world.take(me)
    assert [type(step) for step in steps] == [Try, Ask, Try] and taken.epoch == 2
    assert world.now == 1000


def test_a_holder_that_gives_signs_of_life_is_waited_for_and_then_named(world: World) -> None:
    holder, me = fresh(world, "holder"), fresh(world, "me", timeout=100)
    held, _ = world.take(holder)
    beats = [0.0]

    def lives(step: Step) -> None:
        assert not isinstance(step, Wait) or step.seconds <= LONGEST_PAUSE
        if world.now - beats[-1] > EXPIRY / 3:
            beats.append(world.now)
            world.beat(holder, held)

    with pytest.raises(SessionBusyError, match=r"host pid 1 \(holder\), after 100 s") as caught:
        world.take(me, meanwhile=lives)
    assert "nothing was written" in str(caught.value)
    assert world.now == pytest.approx(1100, abs=0.01)


def test_a_holder_that_is_gone_is_succeeded_after_its_expiry_on_the_watchers_clock(world: World) -> None:
    holder, me = fresh(world, "holder", ahead=-5000), fresh(world, "me", ahead=5000)
    held, _ = world.take(holder)
    world.beat(holder, held)
    taken, _ = world.take(me)
    assert EXPIRY <= world.now - 1000 <= EXPIRY + LONGEST_PAUSE
    assert taken.epoch == 2 and taken.after is not None and taken.after.holder == "holder"
    with pytest.raises(ConflictError):  # it wakes up
        world.beat(holder, held)
    with pytest.raises(ConflictError):
        world.release(holder, held)


def test_a_holder_that_wakes_up_at_the_last_moment_keeps_it(world: World) -> None:
    holder, me = fresh(world, "holder"), fresh(world, "me", timeout=EXPIRY + 5)
    held, _ = world.take(holder)
    woken = []

    def wakes(step: Step) -> None:
        if isinstance(step, Try) and step.epoch == 2 and world.now > 1000:
            woken.append(step)
            world.beat(holder, held)  # between the look and the commit

    with pytest.raises(SessionBusyError):
        world.take(me, meanwhile=wakes)
    assert len(woken) == 1
    world.beat(holder, held)


@pytest.mark.parametrize("ahead", [0, EXPIRY - 1, 1 - EXPIRY])
def test_who_does_not_wait_raises_at_once_while_the_holder_seems_alive(world: World, ahead: float) -> None:
    world.take(fresh(world, "holder", ahead=ahead))
    with pytest.raises(SessionBusyError):
        world.take(fresh(world, "me", on_busy="raise"))
    assert world.now == 1000


@pytest.mark.parametrize("ahead", [-100, 100])
def test_who_does_not_wait_watches_one_whose_last_sign_is_old_and_takes_over(world: World, ahead: float) -> None:
    holder = fresh(world, "holder", ahead=ahead)
    held, _ = world.take(holder)
    taken, steps = world.take(fresh(world, "me", on_busy="raise"))
    assert taken.epoch == 2 and EXPIRY <= world.now - 1000 <= EXPIRY + LONGEST_PAUSE
    assert not any(isinstance(step, Try) and step.epoch is None for step in steps)  # it does not say that it waits
    with pytest.raises(ConflictError):
        world.release(holder, held)


def test_who_does_not_wait_is_told_by_a_sign_of_life(world: World) -> None:
    """The holder's clock is an hour off."""
    holder, me = fresh(world, "holder", ahead=3600), fresh(world, "me", on_busy="raise")
    held, _ = world.take(holder)
    with pytest.raises(SessionBusyError):
        world.take(me, meanwhile=lambda step: isinstance(step, Wait) and world.beat(holder, held))
    assert world.now <= 1000 + LONGEST_PAUSE


def test_what_was_watched_before_counts(world: World) -> None:
    world.take(fresh(world, "holder"))
    me = fresh(world, "me", timeout=EXPIRY / 2)
    with pytest.raises(SessionBusyError):
        world.take(me)
    world.take(me)
    assert world.now <= 1000 + EXPIRY + LONGEST_PAUSE


def test_a_lease_of_ours_whose_answer_was_lost_is_found(world: World) -> None:
    me = fresh(world, "me")
    taken, _ = world.take(me)
    me.known = ABSENT, 0
    again, _ = world.take(me)
    assert (again.version, again.epoch) == (taken.version, taken.epoch) and world.now == 1000


def test_a_lease_of_who_called_us_is_shared(world: World) -> None:
    held, _ = world.take(fresh(world, "caller"))
    taken, _ = world.take(world.contender("me"), family={"caller"})
    assert (taken.shared, taken.version) == ("caller", held.version)


def test_a_session_that_is_another_is_a_conflict(world: World) -> None:
    me = fresh(world, "me")
    world.commit(PutDoc("x", b""))
    with pytest.raises(ConflictError) as caught:
        world.take(me, incarnation="another")
    assert caught.value.path == ""


def test_who_had_it_last_leaves_it_to_who_waits(world: World) -> None:
    busy, waiter = fresh(world, "busy"), fresh(world, "waiter")
    held, _ = world.take(busy)
    going = taking(waiter, None, (), ())
    answer = None
    while not isinstance(step := going.send(answer), Wait):
        answer = world.do(step)
    world.release(busy, held)
    again = taking(busy, world.store.read(SPACE).incarnation, (), ())
    answer = None
    while not isinstance(step := again.send(answer), Wait):  # it could have it, and does not take it
        answer = world.do(step)
    answer = world.do(going.send(None))
    answer = world.do(going.send(answer))
    with pytest.raises(StopIteration) as end:
        going.send(answer)
    assert end.value.value.epoch == 2
    wanted = world.store.read(SPACE, Doc(layout.LEASE_WANTED)).docs[layout.LEASE_WANTED]
    assert queue_of(wanted) == ["busy"]  # who is next


def test_one_that_waited_and_is_gone_costs_the_next_one_a_moment_once(world: World) -> None:
    busy, gone = fresh(world, "busy"), fresh(world, "gone")
    held, _ = world.take(busy)
    going = taking(gone, None, (), ())
    answer: Answer = None
    while not isinstance(step := going.send(answer), Wait):
        answer = world.do(step)
    world.release(busy, held)
    taken, _ = world.take(busy)
    assert GRACE <= world.now - 1000 <= GRACE + LONGEST_PAUSE
    world.release(busy, taken)
    before = world.now
    world.take(busy)
    assert world.now == before


# ---------------------------------------------------------------------------------------------- many, in random orders


@dataclass
class Actor:
    """Takes the lease again and again, writes under it, and sometimes dies or sleeps."""

    world: World
    me: Contender
    chance: random.Random
    left: int
    waited: float = 0.0
    wrote: list[bytes] = field(default_factory=list)
    refused: int = 0

    def run(self) -> Generator[float, None, None]:
        """Yields how long it rests."""
        world, chance = self.world, self.chance
        while self.left:
            began = world.now
            going = taking(self.me, world.store.read(SPACE).incarnation, (), ())
            answer: Answer = None
            while True:
                try:
                    step = going.send(answer)
                except StopIteration as end:
                    taken: Taken = end.value
                    break
                if isinstance(step, Wait):
                    yield step.seconds
                    answer = None
                else:
                    yield chance.random() * 0.01
                    answer = world.do(step)
            self.me.queued, self.me.known = False, None
            self.waited = max(self.waited, world.now - began)
            try:
                for n in range(chance.randrange(4)):
                    yield EXPIRY / 3 if chance.random() < 0.9 else 3 * EXPIRY  # it is stopped for long
                    world.beat(self.me, taken)
                    entry = f"{self.me.name} {taken.epoch} {n}".encode()
                    world.commit(Append("log", [entry]), Expect(layout.LEASE, taken.version))
                    self.wrote.append(entry)
                if chance.random() < 0.1:
                    return  # it dies, holding it
                world.release(self.me, taken)
                self.left -= 1
            except ConflictError:
                self.refused += 1


def simulate(seed: int, count: int, rounds: int) -> list[Actor]:
    world, chance = World(), random.Random(seed)
    actors = [Actor(world, fresh(world, f"a{n}", timeout=1e6), chance, rounds) for n in range(count)]
    number = itertools.count()
    queue: list[tuple[float, int, Generator[float, None, None]]] = []
    for actor in actors:
        heapq.heappush(queue, (world.now + chance.random(), next(number), actor.run()))
    while queue:
        world.now, _, run = heapq.heappop(queue)
        for rest in run:
            heapq.heappush(queue, (world.now + rest, next(number), run))
            break
    # each epoch is one holder's, and what it wrote stands together: nobody wrote in between
    entries = [entry.split() for entry in world.store.read(SPACE, Log("log", [(0, None)])).logs["log"].entries.values()]
    assert [int(epoch) for _, epoch, _ in entries] == sorted(int(epoch) for _, epoch, _ in entries)
    assert len({epoch for _, epoch, _ in entries}) == len({(name, epoch) for name, epoch, _ in entries})
    assert sorted(b" ".join(entry) for entry in entries) == sorted(e for actor in actors for e in actor.wrote)
    assert lease_of(world.store.read(SPACE, Doc(layout.LEASE)).docs[layout.LEASE]).epoch >= rounds // 2
    return actors


def test_in_random_orders_with_deaths_and_sleepers_one_writes_at_a_time() -> None:
    actors = [actor for seed in range(25) for actor in simulate(seed, 4, 8)]
    assert sum(actor.refused for actor in actors) > 25 and sum(actor.left > 0 for actor in actors) > 25


def test_nobody_starves() -> None:
    """Of five that take it in turns of up to 9 s, with the dead and the sleepers among them."""
    most = max(actor.waited for seed in range(25) for actor in simulate(seed, 5, 8))
    assert most < 12 * 3 * EXPIRY
