"""What the look before an invocation and the lease cost: calls of the port, and what goes over the wire."""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from bench import redis_server, work
from bench.counting import Counted
from bench.wire import Wire
from strands_session_store import StoreSessionManager, open_store

SIZE = 2000
TURNS = 8
EXPIRY = 0.6
"""Seconds, where an invocation is to be longer; its model answers twice, in a third more each."""
ENGINES = ("sqlite", "redis", "s3")
CASES: dict[str, dict[str, Any]] = {
    'on_stale="conflict": no look': {"on_stale": "conflict"},
    "default: a look": {},
    "exclusive": {"exclusive": True},
    "exclusive, from hand to hand": {"exclusive": True, "managers": 2},
    "default, from hand to hand": {"managers": 2},
    "exclusive, as long as 2.7 expiries": {"exclusive": True, "lease_expiry": EXPIRY, "think_ms": 800.0},
}
"""From hand to hand: two managers take turns, each with a store of its own, as they would in processes of their own."""


def lease() -> list[list[Any]]:
    """A row for each engine, durability and case: commits, reads, round trips, bytes up and down of an invocation with
    a tool call, and how many round trips more it takes than the first case."""
    rows: list[list[Any]] = []
    for engine in ENGINES:
        with _served(engine) as served:
            if served is None:
                continue
            url, wire = served
            for durability in ("message", "turn"):
                least = 0.0
                for case, options in CASES.items():
                    sid = f"{durability}-{len(rows)}"
                    found = asyncio.run(_measure(url, wire, sid, durability=durability, **options))
                    calls, trips = found[0] + found[1], found[2]
                    least = least or (calls if trips is None else trips)
                    rows.append([engine, durability, case, *found, (calls if trips is None else trips) - least])
    return rows


async def _measure(
    url: str, wire: Wire | None, sid: str, *, managers: int = 1, think_ms: float = 0.0, **options: Any
) -> list[float | None]:
    """Medians of an invocation."""
    found = []
    with ExitStack() as stack:
        made = []
        for _ in range(managers):
            store = Counted(stack.enter_context(open_store(url)))
            manager = await StoreSessionManager.open(sid, store, agent_ids=("bench",), **options)
            made.append(
                (store, manager, work.agent(SIZE, think_ms=think_ms, session_manager=manager, agent_id="bench"))
            )
        turns = TURNS if not think_ms else 2
        for turn in range(2 * managers + turns):  # the first ones also say who writes, and open connections
            store, _, agent = made[turn % managers]
            store.reset()
            if wire is not None:
                wire.reset()
            await agent.invoke_async("look up " + work.text(SIZE, turn))
            if turn >= 2 * managers:
                on_wire = (wire.trips, wire.up, wire.down) if wire is not None else (None, store.up, store.down)
                found.append((store.calls["commit"], store.calls["read"], *on_wire))
        for _, manager, _ in made:
            await manager.aclose()
    return [None if None in column else statistics.median(column) for column in zip(*found)]


@contextmanager
def _served(engine: str) -> Iterator[tuple[str, Wire | None] | None]:
    """The URL of a store, and what counts on the way to it; None where there is no such server."""
    if engine == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/sessions.db", None
    elif engine == "redis":
        if not redis_server.possible():
            yield None
            return
        with redis_server.server() as port:
            wire = Wire(port)
            yield f"redis://127.0.0.1:{wire.port}/0", wire
    else:
        try:
            from tests.stores.s3_server import ENVIRONMENT, S3Server
        except ImportError:
            yield None
            return
        os.environ.update(ENVIRONMENT)
        server = S3Server()
        try:
            wire = Wire(server.port)
            yield f"s3://{server.bucket()}?endpoint_url=http://127.0.0.1:{wire.port}", wire
        finally:
            server.stop()
