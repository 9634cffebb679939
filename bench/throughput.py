"""Turns a second of eight processes, on one session and on eight, with the lease and without."""

from __future__ import annotations

import asyncio
import json
import logging
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import Any

from strands_session_store import StoreSessionManager, open_store

PROCESSES = 8
SIZE = 300


def throughput(turns: int, rounds: int) -> list[list[Any]]:
    """A row for each engine: turns a second of each case, and how much less the lease makes it.

    Args:
        turns: Of each process.
        rounds: The cases take turns in each, so that all of them meet the machine in the same moods.
    """
    from bench.stalls import ENGINES, place

    cases = {"8 sessions": (8, False), "8 sessions, exclusive": (8, True), "1 session, exclusive": (1, True)}
    rows: list[list[Any]] = []
    for engine in ENGINES[1:]:
        found: dict[str, list[float]] = {case: [] for case in cases}
        for _ in range(rounds):
            for case, (sessions, exclusive) in cases.items():
                with place(engine) as url:
                    found[case].append(_run(url, turns, sessions, exclusive))
        rates = [statistics.median(found[case]) for case in cases]
        rows.append([engine, *rates, rates[1] / rates[0], rates[2] / rates[0]])
    return rows


def _run(url: str | None, turns: int, sessions: int, exclusive: bool) -> float:
    """Turns a second, from when all processes are ready until the last one is done."""
    with ExitStack() as stack:
        made = []
        for at in range(PROCESSES):
            arguments = json.dumps([url, f"s{at % sessions}", turns, exclusive])
            command = [sys.executable, "-m", "bench.throughput", arguments]
            made.append(
                stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            )
        for process in made:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
        began = time.perf_counter()
        for process in made:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        for process in made:
            assert process.stdout is not None and process.stdout.readline() == "done\n"
        return PROCESSES * turns / (time.perf_counter() - began)


async def _main(url: str, sid: str, turns: int, exclusive: bool) -> None:
    from bench import work

    with open_store(url) as store:
        async with await StoreSessionManager.open(
            sid, store, agent_ids=("bench",), exclusive=exclusive, lease_timeout=600
        ) as manager:
            agent = work.agent(SIZE, session_manager=manager, agent_id="bench")
            print("ready", flush=True)
            sys.stdin.readline()
            for _ in range(turns):
                await agent.invoke_async("go on")
            print("done", flush=True)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    asyncio.run(_main(*json.loads(sys.argv[1])))
