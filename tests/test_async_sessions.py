"""`AsyncSessions` is written by a script from `Sessions`, says the same, and lets the event loop go on."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from strands_session_store import SessionNotFoundError
from strands_session_store.async_sessions import AsyncSessions
from strands_session_store.sessions import Sessions
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.testing.wrapping import Wrapped

SCRIPT = Path(__file__).parent.parent / "scripts" / "make_async_sessions.py"


def test_the_file_is_as_the_script_writes_it() -> None:
    pytest.importorskip("ruff")
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_public_name_is_there() -> None:
    sync, there = Sessions(MemoryStore()), AsyncSessions(MemoryStore())

    def names(of: object) -> set[str]:
        return {name for name in dir(of) if not name.startswith("_")}

    assert names(there) == names(sync)
    for part in names(sync):
        if not callable(getattr(sync, part)) and part != "store":
            assert names(getattr(there, part)) | {"store"} == names(getattr(sync, part)) | {"store"}


def test_it_is_made_with_the_same_arguments() -> None:
    prices = {"m": {"input": "1", "output": "2"}}
    spent = {"usage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7}}

    async def act() -> int | None:
        there = AsyncSessions(MemoryStore(), prices=prices)
        await there.create("s")
        answer = {"role": "assistant", "content": "here", "metadata": spent}
        await there.messages.append("s", answer, model="m")
        return (await there.usage.session("s")).cost

    assert asyncio.run(act()) == 11_000_000


def test_it_answers_the_same() -> None:
    store = MemoryStore()
    sessions = Sessions(store)

    async def act() -> list[Any]:
        there = AsyncSessions(store)
        made = await there.create("s", title="t")
        await there.metadata("s").merge({"a": 1})
        await there.metadata("s").managed("n").set("b", 2)
        await there.users.create("ada", email="ada@example.com")
        with pytest.raises(SessionNotFoundError):
            await there.get("t")
        return [
            made.title,
            await there.get("s"),
            await there.list(text="T"),
            await there.tree("s"),
            await there.metadata("s").all(),
            await there.metadata("s").get_managed("n", "b"),
            await there.users.get("ada"),
            await there.users.list(),
        ]

    assert asyncio.run(act()) == [
        "t",
        sessions.get("s"),
        sessions.list(text="T"),
        sessions.tree("s"),
        {"a": 1},
        2,
        sessions.users.get("ada"),
        sessions.users.list(),
    ]


def test_no_call_runs_on_the_event_loop() -> None:
    loops: list[bool] = []

    def note() -> None:
        try:
            asyncio.get_running_loop()
            loops.append(True)
        except RuntimeError:
            loops.append(False)

    class Watched(Wrapped):
        def _ask(self, call: Any, engine: Callable[[], Any]) -> Any:
            note()
            return engine()

    async def act() -> None:
        there = AsyncSessions(Watched(MemoryStore()))
        await there.create("s")
        await there.get("s")
        await there.metadata("s").all()

    asyncio.run(act())
    assert loops == [False] * 3


def test_it_closes_what_it_opened(tmp_path: Path) -> None:
    async def act() -> None:
        async with AsyncSessions(f"sqlite:///{tmp_path}/s.db") as there:
            await there.create("s")
        assert inspect.iscoroutinefunction(there.close)

    asyncio.run(act())
    with Sessions(f"sqlite:///{tmp_path}/s.db") as sessions:
        assert sessions.get("s")
