"""Apps to talk to: agents whose models play scripts, and one that says a word only when it is let."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import httpx
import httpx_sse
from fastapi import FastAPI
from strands import Agent
from strands.models import Model

from strands_session_store.rest import AgentRequest, ApiKeyAuth, Caller, create_app
from strands_session_store.testing import OfflineModel
from strands_session_store.testing.models import ScriptedModel

KEYS = {"ada": "sss_ada", "bob": "sss_bob", "root": "sss_root"}
AUTH = ApiKeyAuth(
    {ApiKeyAuth.hashed(key): Caller(name, admin=name == "root") for name, key in KEYS.items()},
)
TALK = "/api/agent-sessions/conversation"


class Held(ScriptedModel):
    """Says its words one by one, each when `let` was called for it. `words` is how many were said."""

    def __init__(self, script: Any) -> None:
        super().__init__(script)
        self._let = threading.Semaphore(0)
        self.words = 0

    def let(self, words: int = 1) -> None:
        self._let.release(words)

    async def stream(self, *args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        async for event in super().stream(*args, **kwargs):
            if "text" in event.get("contentBlockDelta", {}).get("delta", {}):
                assert await asyncio.to_thread(self._let.acquire, timeout=30), "nobody let it speak"
                self.words += 1
            yield event


def talking(store: Any, model: Callable[[], Model] | Model | None = None, tools: Any = (), **options: Any) -> FastAPI:
    """An app whose agents have this model."""

    def make(request: AgentRequest) -> Agent:
        return Agent(
            model=OfflineModel() if model is None else model if isinstance(model, Model) else model(),
            tools=list(tools),
            system_prompt=request.session.instructions,
            session_manager=request.session_manager,
            callback_handler=None,
        )

    return create_app(store, **{"auth": AUTH, "agent_factory": make, **options})


def prompt(text: str, session_id: str | None = "c", id: str | None = None, **more: Any) -> dict[str, Any]:
    """A body."""
    message = {"role": "user", "content": text} | ({} if id is None else {"message_id": id})
    return {"messages": [message], **({} if session_id is None else {"session_id": session_id}), **more}


def say(client: httpx.Client, text: str, session_id: str = "c", status: int = 201, **more: Any) -> Any:
    headers = more.pop("headers", {})
    answer = client.post(TALK, json=prompt(text, session_id, **more), headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


@contextlib.contextmanager
def stream(client: httpx.Client, body: Any, seen: str | None = None) -> Iterator[Iterator[tuple[str, str, Any]]]:
    """The events of a turn, as a client for server-sent events reads them: id, type, data."""
    headers = {} if seen is None else {"Last-Event-ID": seen}
    with httpx_sse.connect_sse(client, "POST", TALK, json=body, headers=headers) as source:
        source.response.read() if source.response.status_code != 200 else None
        assert source.response.status_code == 200, source.response.text
        yield ((event.id, event.event, json.loads(event.data)) for event in source.iter_sse())


def said(client: httpx.Client, session_id: str = "c") -> list[tuple[str, str]]:
    """All that is stored of a conversation."""
    found = client.get(f"/api/agent-sessions/{session_id}/messages", params={"pageSize": 1000})
    assert found.status_code == 200, found.text
    return [(one["role"], one["content"]) for one in found.json()["items"]]
