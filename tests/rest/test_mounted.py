"""The app inside another one: all of it is below a prefix, and it ends when the other one does."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Mount
from tests.stores.servers import until

from strands_session_store.rest import create_app
from strands_session_store.stores.memory import MemoryStore

from .conftest import by_name
from .serving import client, served
from .talking import TALK, Held, prompt, talking
from .test_endpoints_sessions import problem

AT = "/my/agents"
ALL = f"{AT}/api/agent-sessions"


def user(url: str, name: str = "ada") -> httpx.Client:
    return client(url, **{"X-User": name})


def test_all_of_it_is_below_the_prefix() -> None:
    api = talking(MemoryStore(), auth=by_name)
    app = FastAPI(lifespan=api.router.lifespan_context)

    @app.get("/mine")
    async def mine() -> str:
        return "mine"

    app.mount(AT, api)
    with served(app) as url, user(url) as ada:
        assert ada.get("/mine").json() == "mine"
        for id in ("s", "a/b?c", "..", "ü"):
            made = ada.post(ALL, json={"session_id": id})
            assert made.status_code == 201 and made.headers["location"].startswith(f"{ALL}/")
            path = made.headers["location"]
            assert ada.get(path).json() == made.json()
            for text in ("one", "two"):
                said = ada.post(f"{path}/messages", json={"role": "user", "content": text})
                assert ada.get(said.headers["location"]).json() == said.json()
            page = ada.get(f"{path}/messages", params={"pageSize": 1})
            link = page.headers["link"].removeprefix("<").partition(">")[0]
            assert [one["content"] for one in ada.get(link).json()["items"]] == ["two"]
            fork = ada.post(f"{path}/fork", json={})
            assert ada.get(fork.headers["location"]).json() == fork.json()
        assert ada.post(f"{AT}{TALK}", json=prompt("hello", "s")).status_code == 201
        problem(ada.get(f"{ALL}/none"), 404, "'none'")
        problem(ada.get(f"{AT}/nothing"), 404, "no such path")
        answer = ada.put(ALL)
        problem(answer, 405)
        assert answer.headers["allow"] == "GET, HEAD, POST"
        assert ada.get(f"{AT}/healthz").status_code == 200
        document = ada.get(f"{AT}/openapi.json").json()
        assert document["servers"] == [{"url": AT}] and "/api/agent-sessions" in document["paths"]
        assert f"{AT}/openapi.json" in ada.get(f"{AT}/docs").text
        # the other app is its own
        assert ada.get("/api/agent-sessions").status_code == 404
        assert ada.get("/nothing").headers["content-type"] == "application/json"
        assert list(ada.get("/openapi.json").json()["paths"]) == ["/mine"]


@asynccontextmanager
async def around(api: FastAPI, seen: list[str]) -> AsyncIterator[dict[str, Any]]:
    seen.append("begun")
    async with api.router.lifespan_context(api):
        yield {"own": 1}
    seen.append("ended")


@pytest.mark.parametrize("kind", ["alone", "its own", "around", "starlette"])
def test_it_ends_with_the_other_app_and_waits_for_turns_under_way(kind: str, tmp_path: Path) -> None:
    model, seen = Held(lambda messages: "one two three"), list[str]()
    api = talking(f"sqlite:///{tmp_path}/s.db", model, auth=by_name, grace=30)
    app: Any = api
    if kind == "its own":
        app = FastAPI(lifespan=api.router.lifespan_context)
        app.mount(AT, api)
    elif kind == "around":
        app = FastAPI(lifespan=lambda app: around(api, seen))
        app.mount(AT, api)
    elif kind == "starlette":
        app = Starlette(routes=[Mount(AT, app=api)], lifespan=api.router.lifespan_context)
    at = "" if kind == "alone" else AT
    with served(app) as url:
        headers, body = {"Accept": "text/event-stream"}, prompt("hello", "s")
        with user(url) as ada, ada.stream("POST", f"{at}{TALK}", json=body, headers=headers) as answer:
            model.let()
            next(line for line in answer.iter_lines() if line == "event: delta")
        # nobody waits for the rest, which is said when the server ends

        def speak() -> None:
            until(lambda: gone(url))
            model.let(2)

        speaking = threading.Thread(target=speak)
        speaking.start()
    speaking.join(30)
    assert [one.name for one in tmp_path.iterdir()] == ["s.db"]  # its log was written back: the store was closed
    assert seen == (["begun", "ended"] if kind == "around" else [])
    with served(create_app(f"sqlite:///{tmp_path}/s.db", auth=by_name)) as url, user(url) as ada:
        found = ada.get("/api/agent-sessions/s/messages").json()["items"]
        assert [one["content"] for one in found] == ["hello", "one two three"]
        assert not ada.get("/api/agent-sessions/s").json()["is_busy"]


def gone(url: str) -> bool:
    """Whether a server takes no connections any more."""
    host, _, port = url.removeprefix("http://").partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError:
        return True
    return False


def test_it_opens_nothing_before_it_is_started_and_closes_what_it_opened(tmp_path: Path) -> None:
    app = create_app(f"sqlite:///{tmp_path}/s.db", auth=by_name)
    assert app.openapi() and not list(tmp_path.iterdir())
    with served(app) as url, user(url) as ada:
        assert ada.post("/api/agent-sessions", json={}).status_code == 201
    assert [one.name for one in tmp_path.iterdir()] == ["s.db"]  # its log was written back: it was closed


def test_a_store_that_is_shared_is_left_open() -> None:
    class Closing(MemoryStore):
        closed = False

        def close(self) -> None:
            self.closed = True

    store = Closing()
    with served(create_app(store, auth=by_name)) as url, user(url) as ada:
        assert ada.post("/api/agent-sessions", json={}).status_code == 201
    assert not store.closed


def test_middleware_of_the_other_app_is_around_it() -> None:
    api = talking(MemoryStore(), auth=by_name)
    app = FastAPI(lifespan=api.router.lifespan_context)

    async def marked(request: Any, follow: Any) -> Any:
        request.state.outer = "yes"
        answer = await follow(request)
        answer.headers["X-Outer"] = "yes"
        return answer

    app.add_middleware(BaseHTTPMiddleware, dispatch=marked)
    app.mount(AT, api)
    with served(app) as url, user(url) as ada:
        made = ada.post(ALL, json={"session_id": "a/b"})
        assert made.headers["x-outer"] == "yes" and made.headers["x-request-id"]
        assert ada.get(f"{ALL}/a%2Fb").json() == made.json()
        assert ada.head(f"{ALL}/a%2Fb").status_code == 200
        problem(ada.get(f"{ALL}/none"), 404)
