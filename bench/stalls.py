"""By how much the event loop is late: a 1 ms timer among many agents, with session managers and without."""

from __future__ import annotations

import asyncio
import gc
import itertools
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

from strands.agent.conversation_manager import NullConversationManager

from bench import redis_server, work
from bench.other import go_on, heard, opened, other
from bench.scenarios import SIZE, Row, close
from bench.subjects.base import REGISTRY, Env
from strands_session_store import StoreSessionManager, Unavailable, open_store
from strands_session_store.stores.base import Store
from strands_session_store.testing.faults import FaultyStore

PREFILL = 20
"""Messages that an agent has when stalls are measured."""
SMALL = 300
"""Characters of a message, where a context has 1,000 of them."""
HELD = 1000.0
"""Milliseconds that another process holds each lease."""
ENGINES = ("without", "sqlite", "redis", "file") if redis_server.possible() else ("without", "sqlite", "file")
SLOW = 0.05
"""Seconds that each call of a slow store takes longer."""


async def stalls(names: tuple[str, ...], agents: int, rounds: int) -> list[Row]:
    """How long the event loop stands still while ``agents`` agents resume, then take turns.

    The subjects take turns within each round, so that all of them meet the machine in the same moods.
    """
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in names}
    with redis_server.server() if redis_server.possible() else nullcontext() as port:
        for round, name in itertools.product(range(rounds), names):
            with tempfile.TemporaryDirectory() as folder:
                env = Env(folder, SIZE, redis_url=f"redis://127.0.0.1:{port}/0?prefix={name}{round}")
                found[name].append(await _crowd(REGISTRY[name], env, agents))
    return [[name, *map(statistics.median, zip(*rows))] for name, rows in found.items()]


async def _crowd(subject: Any, env: Env, agents: int) -> tuple[float, float, float]:
    """Worst stall while resuming, worst stall of the turns, wall time of the turns; milliseconds."""
    for i in range(agents if subject.name != "without" else 0):
        opened = await subject.open(env, f"s{i}", keep_all=True)
        for turn in range(PREFILL // 2):
            await subject.turn(env, opened, work.text(SIZE, turn))
        await subject.close(opened)
    env.think_ms = 50.0
    prompts = [work.text(SIZE, turn) for turn in range(3)]

    async def talk(opened: Any) -> None:
        for prompt in prompts:
            await subject.turn(env, opened, prompt)

    every = [subject.open(env, f"s{i}", keep_all=True) for i in range(agents)]
    opened_all, resuming, _ = await _ticked(lambda: asyncio.gather(*every))
    if subject.name == "without":
        # Strands copies and traces the context in every turn: a fair beginning is one of the same length
        for _, agent in opened_all:
            agent.messages.extend(work.conversation(PREFILL, SIZE))
    _, turns, wall = await _ticked(lambda: asyncio.gather(*map(talk, opened_all)))
    for opened in opened_all:
        await subject.close(opened)
    close(env)
    return resuming, turns, wall


async def _ticked(work_: Callable[[], Awaitable[Any]]) -> tuple[Any, float, float]:
    """What the work returns, by how many milliseconds a 1 ms timer was late at worst, and the wall time in ms."""
    worst, on = 0.0, True

    async def tick() -> None:
        nonlocal worst
        while on:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            worst = max(worst, time.perf_counter() - began - 0.001)

    gc.collect()
    gc.disable()  # its pauses are the interpreter's, and fall on whoever is measured
    ticker = asyncio.create_task(tick())
    await asyncio.sleep(0.01)
    worst, began = 0.0, time.perf_counter()
    try:
        result = await work_()
        wall = time.perf_counter() - began
    finally:
        on = False
        await ticker
        gc.enable()
    return result, 1000 * worst, 1000 * wall


# ---------------------------------------------------------------------------- other processes, and stores that are slow


async def beside(agents: int, rounds: int) -> list[Row]:
    """Worst stalls of agents that wait for leases, are reloaded, or are written in the background, and of agents
    without a session that do as much: the same turns behind contexts of the same length."""
    found: dict[tuple[str, str], list[float]] = {}
    works = {
        "waiting for leases": lambda url: _waiting(url, agents),
        "reloading 40 messages": lambda url: _reloading(url, agents, 40),
        "reloading 40 messages, and a turn": lambda url: _reloading(url, agents, 40, turn=True),
        "reloading 1,000 messages": lambda url: _reloading(url, agents, 1000),
        "reloading 1,000 messages, and a turn": lambda url: _reloading(url, agents, 1000, turn=True),
        "background writing": lambda url: _writing(url, agents, 0.0),
        "background writing, slow store": lambda url: _writing(url, agents, SLOW),
        "back-pressure of 17 MiB each": lambda url: _pressed(url, agents // 4),
    }
    for _, (what, measure), engine in itertools.product(range(rounds), works.items(), ENGINES):
        with place(engine) as url:
            found.setdefault((what, engine), []).append(await measure(url))
    return [[what, *(statistics.median(found[what, engine]) for engine in ENGINES)] for what in works]


@contextmanager
def place(engine: str) -> Iterator[str | None]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        match engine:
            case "without":
                yield None
            case "redis":
                yield f"redis://127.0.0.1:{stack.enter_context(redis_server.server())}/0"
            case "sqlite":
                yield f"sqlite:///{folder}/sessions.db"
            case _:
                yield f"file://{folder}/sessions"


def _plain(agents: int, messages: int, think_ms: float) -> list[Any]:
    """Agents without a session."""
    return [
        work.agent(
            SMALL,
            think_ms=think_ms,
            messages=work.conversation(messages, SMALL),
            conversation_manager=NullConversationManager(),
        )
        for _ in range(agents)
    ]


async def _fill(store: Store, agents: int, messages: int) -> None:
    for at in range(agents):
        async with await StoreSessionManager.open(f"s{at}", store, agent_ids=("bench",)) as manager:
            history = work.conversation(messages, SMALL)
            manager.sync_agent(work.agent(SMALL, session_manager=manager, agent_id="bench", messages=history))


async def _turn(agents: list[Any]) -> float:
    """Each takes a turn; the worst stall."""
    _, worst, _ = await _ticked(lambda: asyncio.gather(*(agent.invoke_async("go on") for agent in agents)))
    return worst


async def _waiting(url: str | None, agents: int) -> float:
    if url is None:
        return await _turn(_plain(agents, 0, HELD))
    with open_store(url) as store:
        made = await opened(store, agents, SMALL, 0.0, exclusive=True)
        with other(url=url, count=agents, size=SMALL, think_ms=HELD, exclusive=True) as process:
            go_on(process)
            await heard(process, "begun")
            worst = await _turn([agent for _, agent in made])
            await heard(process, "done")
        for manager, _ in made:
            await manager.aclose()
    return worst


async def _reloading(url: str | None, agents: int, messages: int, *, turn: bool = False) -> float:
    if url is None:
        return await _turn(_plain(agents, messages, 50.0)) if turn else (await _ticked(lambda: asyncio.sleep(0.2)))[1]
    with open_store(url) as store:
        await _fill(store, agents, messages)
        made = await opened(store, agents, SMALL, 50.0)
        with other(url=url, count=agents, size=SMALL, think_ms=0.0) as process:
            go_on(process)
            await heard(process, "begun")
            await heard(process, "done")
        if turn:
            worst = await _turn([agent for _, agent in made])
        else:
            _, worst, _ = await _ticked(lambda: asyncio.gather(*(manager.areload(agent) for manager, agent in made)))
        assert all(len(agent.messages) == messages + (4 if turn else 2) for _, agent in made)
        for manager, _ in made:
            await manager.aclose()
    return worst


async def _writing(url: str | None, agents: int, latency: float) -> float:
    async def talk(talking: list[Any]) -> float:
        return max([await _turn(talking) for _ in range(3)])

    if url is None:
        return await talk(_plain(agents, 0, 50.0))
    with FaultyStore(open_store(url), latency) as store:
        made = await opened(store, agents, SMALL, 50.0, durability="background")
        worst = await talk([agent for _, agent in made])
        for manager, _ in made:
            await manager.aclose()
    return worst


async def _pressed(url: str | None, agents: int) -> float:
    """The turn that has to wait for what was pending, since the store was down."""
    large = work.text(1 << 20, "large")

    async def talk(talking: list[Any]) -> None:
        for _ in range(17):
            # once too much is pending, an invocation is refused
            await asyncio.gather(*(agent.invoke_async(large) for agent in talking), return_exceptions=True)

    if url is None:
        plain = _plain(agents, 0, 0.0)
        await talk(plain)
        return await _turn(plain)
    with FaultyStore(open_store(url)) as store:
        made = await opened(store, agents, SMALL, 0.0, durability="background")
        store.plan("commit", before=Unavailable("down"), times=None)
        talking = [agent for _, agent in made]
        await talk(talking)
        assert all(manager.pending for manager, _ in made)
        store.heal()
        worst = await _turn(talking)
        assert not any(manager.pending for manager, _ in made)
    return worst
