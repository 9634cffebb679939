"""Another process that goes on with the same sessions: `python -m bench.other '<arguments of Others, as JSON>'`.

For each line on its input each of its agents takes a turn; "begun" is printed when all of their models were asked, and
"done" at the end.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from strands.agent.conversation_manager import NullConversationManager
from strands.hooks import BeforeModelCallEvent

from bench import work
from strands_session_store import StoreSessionManager, open_store


async def opened(url_or_store: Any, count: int, size: int, think_ms: float, **options: Any) -> list[Any]:
    """Agents that never forget, and their session managers."""
    managers = [
        await StoreSessionManager.open(f"s{at}", url_or_store, agent_ids=("bench",), **options) for at in range(count)
    ]
    null = NullConversationManager
    return [
        (m, work.agent(size, think_ms=think_ms, session_manager=m, agent_id="bench", conversation_manager=null()))
        for m in managers
    ]


async def _main(url: str, count: int, **options: Any) -> None:
    with open_store(url) as store:
        made = await opened(store, count, **options)
        begun = itertools.count(1)
        for _, agent in made:
            agent.hooks.add_callback(BeforeModelCallEvent, lambda _: next(begun) % count or print("begun", flush=True))
        loop = asyncio.get_running_loop()
        while await loop.run_in_executor(None, sys.stdin.readline):
            await asyncio.gather(*(agent.invoke_async("go on") for _, agent in made))
            print("done", flush=True)
        for manager, _ in made:
            await manager.aclose()


@contextmanager
def other(**arguments: Any) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "bench.other", json.dumps(arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        try:
            yield process
        finally:
            process.stdin.close()


async def heard(process: subprocess.Popen[str], line: str) -> None:
    """Wait, off the loop, until it has said so."""
    assert process.stdout is not None
    said = await asyncio.get_running_loop().run_in_executor(None, process.stdout.readline)
    assert said.strip() == line, f"the other process said {said!r}"


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    asyncio.run(_main(**json.loads(sys.argv[1])))
