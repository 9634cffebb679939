"""Many conversations at once, on Redis: each is whole and in order, and nobody hears what another one said."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.stores import servers

from strands_session_store.rest import Limits
from strands_session_store.testing.models import ScriptedModel

from .serving import served
from .talking import KEYS, TALK, prompt, talking

TURNS = 4


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    with servers.ended(servers.standalone(tmp_path / "redis")) as made:
        yield made.url


def echo(messages: Any) -> str:
    """All that the model knows."""
    asked = (block["text"] for m in messages if m["role"] == "user" for block in m["content"])
    return " ".join(asked)


def test_fifty_conversations_at_once_and_one_that_ten_share(redis: str) -> None:
    limits = Limits(rate=None, conversations=200, conversations_per_user=200)
    apps = [talking(redis, ScriptedModel(echo), limits=limits) for _ in range(2)]
    with served(apps[0]) as first, served(apps[1]) as second:

        async def main() -> None:
            headers = {"X-API-Key": KEYS["ada"], "Prefer": "wait=120"}
            pool = httpx.Limits(max_connections=None)
            async with httpx.AsyncClient(headers=headers, timeout=150, limits=pool) as http:

                async def own(n: int) -> None:
                    for turn in range(TURNS):
                        url = (first, second)[(n + turn) % 2] + TALK
                        answer = await http.post(url, json=prompt(f"{n}.{turn}", f"own-{n}", id=f"p-{n}.{turn}"))
                        assert answer.status_code == 201, answer.text
                        assert answer.json()["response"] == " ".join(f"{n}.{t}" for t in range(turn + 1))
                        assert answer.json()["messages_count"] == 2 * (turn + 1)

                async def shared(n: int) -> str:
                    answer = await http.post((first, second)[n % 2] + TALK, json=prompt(f"s{n}", "shared"))
                    assert answer.status_code == 201, answer.text
                    return str(answer.json()["response"])

                heard, *_ = await asyncio.gather(asyncio.gather(*map(shared, range(10))), *(own(n) for n in range(50)))
                # one after the other: each heard those before it
                heard.sort(key=len)
                assert all(heard[i + 1].startswith(f"{heard[i]} ") for i in range(9))
                assert sorted(heard[-1].split()) == sorted(f"s{n}" for n in range(10))
                found = await http.get(f"{second}/api/agent-sessions", params={"pageSize": 100})
                counts = {one["session_id"]: one["messages_count"] for one in found.json()["items"]}
                assert counts == {"shared": 20} | {f"own-{n}": 2 * TURNS for n in range(50)}

        asyncio.run(main())
