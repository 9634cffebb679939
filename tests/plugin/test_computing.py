"""What a resume computes is done off the event loop, by one thread of a store at a time."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from strands_session_store.plugin import loading
from strands_session_store.stores.memory import MemoryStore

from .children import build


def test_reloads_decode_one_at_a_time_and_repair_off_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    together, threads = threading.Barrier(2), set[threading.Thread]()
    met = []

    def meets(_: Any) -> Any:
        threads.add(threading.current_thread())
        try:
            together.wait(0.2)
            met.append(True)
        except threading.BrokenBarrierError:
            together.reset()
        return _

    decode, repair = loading._agent, loading.repaired
    with MemoryStore() as store:
        made = [build(store, f"s{at}", ["hello"]) for at in range(2)]
        for agent, _ in made:
            agent("hi")

        async def reload() -> None:
            await asyncio.gather(*(manager.areload(agent) for agent, manager in made))

        monkeypatch.setattr(loading, "_agent", lambda *args: meets(decode(*args)))
        monkeypatch.setattr(loading, "repaired", lambda messages: meets(repair(messages)))
        asyncio.run(reload())
        assert not met and threads and threading.current_thread() not in threads
