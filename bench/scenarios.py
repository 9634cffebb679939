"""The questions that are measured, one function each. Each returns rows for a table; nothing here prints."""

from __future__ import annotations

import asyncio
import gc
import itertools
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from strands.agent.conversation_manager import SlidingWindowConversationManager

from bench import redis_server, work
from bench.counting import Counted, Meter
from bench.subjects.base import REGISTRY, Env
from strands_session_store import StoreSessionManager, open_store

SIZE = 2000
PREFILL = 20
"""Messages that an agent has when stalls are measured."""
Row = list[Any]


@contextmanager
def _store() -> Iterator[Counted]:
    with tempfile.TemporaryDirectory() as folder, open_store(f"sqlite:///{folder}/sessions.db") as store:
        yield Counted(store)


async def _fill(store: Counted, sid: str, count: int, size: int, **options: Any) -> None:
    """Store a session of ``count`` messages, of which the context has the last 40."""
    async with await StoreSessionManager.open(sid, store, agent_ids=("bench",)) as manager:
        window = SlidingWindowConversationManager(window_size=40)
        options.setdefault("conversation_manager", window)
        agent = work.agent(
            size, session_manager=manager, agent_id="bench", messages=work.conversation(count, size), **options
        )
        manager.sync_agent(agent)
        agent.conversation_manager.apply_management(agent)


async def flat(lengths: tuple[int, ...]) -> list[Row]:
    """Calls and bytes of a turn behind histories of growing length."""
    rows = []
    for what, options in (("window of 40", {}), ('context_manager="auto"', {"context_manager": "auto"})):
        for length in lengths:
            with _store() as store:
                # under "auto" nothing shortens the list by itself: the length is that of the context too
                if options:
                    await _fill(store, "s", length, 300, conversation_manager=None, **options)
                else:
                    await _fill(store, "s", length, 300)
                manager = await StoreSessionManager.open("s", store, agent_ids=("bench",))
                agent = work.agent(SIZE, tool_size=20_000, session_manager=manager, agent_id="bench", **options)
                await agent.invoke_async("the first turn of a manager also says who writes")
                plain, with_tool = [], []
                for turn in range(8):
                    store.reset()
                    tool = turn % 2 == 1
                    await agent.invoke_async(("look up " if tool else "") + work.text(SIZE, turn))
                    (with_tool if tool else plain).append((store.calls["commit"], store.calls["read"], store.up))
                await manager.aclose()
                rows.append(
                    [what, length, *map(statistics.median, zip(*plain)), *map(statistics.median, zip(*with_tool))]
                )
    return rows


async def resume(lengths: tuple[int, ...], repeat: int) -> list[Row]:
    """A resume whose context is 40 messages of a history of N."""
    rows: list[Row] = []
    for length in lengths:
        with _store() as store:
            await _fill(store, "s", length, SIZE)
            cpu, manager, agent = [], None, None
            for _ in range(repeat):
                gc.collect()
                store.reset()
                meter = Meter()
                manager = await StoreSessionManager.open("s", store, agent_ids=("bench",))
                cpu.append(1000 * meter.read().cpu)
                agent = work.agent(SIZE, session_manager=manager, agent_id="bench")
            assert agent is not None and len(agent.messages) == 40
            first = rows[0] if rows else None
            row: Row = [length, store.calls["read"], store.down, statistics.median(cpu)]
            rows.append([*row, row[2] / first[2] if first else 1.0, row[3] / first[3] if first else 1.0])
    return rows


async def amplification(names: tuple[str, ...]) -> list[Row]:
    """Bytes written a turn after 20 turns of 2 kB, beside the payload."""
    rows: list[Row] = []
    for name in names:
        subject = REGISTRY[name]
        with tempfile.TemporaryDirectory() as folder:
            env = Env(folder, SIZE)
            opened = await subject.open(env, "session")
            written = 0.0
            port = 0.0
            for turn in range(24):
                counted = env.counted
                if counted is not None:
                    counted.reset()
                meter = Meter()
                await subject.turn(env, opened, work.text(SIZE, turn))
                if turn >= 20:
                    written += meter.read().written / 4
                    port += (counted.up if counted is not None else 0) / 4
            await subject.close(opened)
            _close(env)
        rows.append([name, port / (2 * SIZE) if port else None, written / (2 * SIZE), subject.notes])
    return rows


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
    _close(env)
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


def _close(env: Env) -> None:
    for made in env.shared.values():
        made.close()


def load_subjects() -> None:
    import importlib

    for file in sorted((Path(__file__).parent / "subjects").glob("*.py")):
        if file.stem not in ("__init__", "base"):
            importlib.import_module(f"bench.subjects.{file.stem}")
