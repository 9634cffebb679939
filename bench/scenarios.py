"""The questions that are measured, one function each. Each returns rows for a table; nothing here prints."""

from __future__ import annotations

import gc
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from strands.agent.conversation_manager import SlidingWindowConversationManager

from bench import work
from bench.counting import Counted, Meter
from bench.subjects.base import REGISTRY, Env
from strands_session_store import StoreSessionManager, open_store

SIZE = 2000
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
            close(env)
        rows.append([name, port / (2 * SIZE) if port else None, written / (2 * SIZE), subject.notes])
    return rows


def close(env: Env) -> None:
    for made in env.shared.values():
        made.close()


def load_subjects() -> None:
    import importlib

    for file in sorted((Path(__file__).parent / "subjects").glob("*.py")):
        if file.stem not in ("__init__", "base"):
            importlib.import_module(f"bench.subjects.{file.stem}")
