"""What a request costs the store: calls of its verbs (on SQLite), and round trips of Redis, counted on the wire."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench import redis_server, service
from bench.load import Request
from bench.rest_server import CONTEXT, OWNER, SIZE, agent
from bench.wire import Wire
from bench.work import conversation, text
from strands_session_store import open_store
from strands_session_store.rest import ApiKeyAuth, Caller, create_app
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Store

ALL = "/api/agent-sessions"
TALK = f"{ALL}/talk"
SIZES = ((100, CONTEXT), (1_100, 1_000))
"""Sessions that the owner has, and messages of the one that is asked for."""
HEAD = ["request", *(f"{what}, {s:,} / {m:,}" for what in ("SQLite: calls", "Redis: round trips") for s, m in SIZES)]
VERBS = ("read", "commit", "list", "drop", "count")

_names = itertools.count()
Ask = Callable[[dict[str, str]], Request]
"""Given what is known of earlier answers, so that a request can go on from there."""


def _said(**more: str) -> dict[str, str]:
    return {"role": "user", "content": text(SIZE, "said"), **more}


def _new() -> str:
    return f"new-{next(_names)}"


def _prompt(session_id: str, **more: str) -> Request:
    return Request("POST", f"{ALL}/conversation", {"session_id": session_id, "messages": [_said(**more)]})


ROUTES: dict[str, Ask] = {
    "list sessions: the 20 newest, and how many there are": lambda known: Request("GET", ALL),
    "list sessions: the 20 after a page": lambda known: Request("GET", f"{ALL}?cursor={known['next']}"),
    "get a session": lambda known: Request("GET", TALK),
    "create a session": lambda known: Request("POST", ALL, {"session_id": _new()}),
    "change a session": lambda known: Request("PATCH", TALK, {"session_name": _new()}),
    "list messages: the first 50, and how many there are": lambda known: Request("GET", f"{TALK}/messages"),
    "list messages: the last 50": lambda known: Request("GET", f"{TALK}/messages?sortOrder=desc"),
    "add a message": lambda known: Request("POST", f"{TALK}/messages", _said()),
    "add a message, with an id": lambda known: Request("POST", f"{TALK}/messages", _said(message_id=_new())),
    "get a message, the last": lambda known: Request("GET", f"{TALK}/messages/{known['message_id']}"),
    "conversation": lambda known: _prompt("talk"),
    "conversation, with an id": lambda known: _prompt("talk", message_id=_new()),
    "conversation, in a new session": lambda known: _prompt(_new()),
    "usage of a session": lambda known: Request("GET", f"{TALK}/usage"),
    "delete a session": lambda known: Request("DELETE", f"{ALL}/s{next(_names):06}?children=detach"),
}


def counts(sizes: tuple[tuple[int, int], ...]) -> list[list[Any]]:
    """A row for each route: its cost on each engine, for each number of sessions that the owner has and of messages in
    the one that is asked for."""
    table: dict[str, list[Any]] = {name: [name] for name in ROUTES}
    for engine in (_sqlite, _redis):
        for sessions, messages in sizes:
            with engine() as counted:
                if counted is None:
                    found = dict.fromkeys(ROUTES)
                else:
                    store, cost = counted
                    service.fill(store, sessions)
                    _talk(Sessions(store), messages)
                    found = asyncio.run(_counted(store, cost))
            for name, row in table.items():
                row.append(found[name])
    return list(table.values())


def _talk(sessions: Sessions, messages: int) -> None:
    sessions.create("talk", OWNER)
    sessions.messages.append("talk", conversation(messages, SIZE), OWNER)


async def _counted(store: Store, cost: Callable[..., int]) -> dict[str, int | None]:
    key, digest = ApiKeyAuth.create()
    app = create_app(
        store,
        auth=ApiKeyAuth({digest: Caller(OWNER)}),
        agent_factory=lambda request: agent(request.session_manager, []),
    )
    found: dict[str, int | None] = {}
    known: dict[str, str] = {}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://localhost", headers={"X-API-Key": key}
    ) as client:
        for _ in range(2):  # connections, scripts and what is looked at once
            for name, ask in ROUTES.items():
                request = ask(known)
                cost(reset=True)
                answer = await client.request(request.method, request.path, json=request.body)
                found[name] = cost()
                answer.raise_for_status()
                if answer.content:
                    known |= {name: told for name, told in answer.json().items() if isinstance(told, str)}
    return found


@contextmanager
def _sqlite() -> Iterator[tuple[Store, Callable[..., int]]]:
    with tempfile.TemporaryDirectory() as folder, open_store(f"sqlite:///{Path(folder, 'sessions.db')}") as store:
        calls: list[str] = []
        for verb in VERBS:  # not by a store around it, which would not count rows
            setattr(store, verb, _noting(calls, verb, getattr(store, verb)))

        def asked(reset: bool = False) -> int:
            count = len(calls)
            if reset:
                calls.clear()
            return count

        yield store, asked


def _noting(calls: list[str], verb: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def noted(*args: Any, **options: Any) -> Any:
        calls.append(verb)
        return call(*args, **options)

    return noted


@contextmanager
def _redis() -> Iterator[tuple[Store, Callable[..., int]] | None]:
    if not redis_server.possible():
        yield None
        return
    with redis_server.server() as port:
        wire = Wire(port)

        def trips(reset: bool = False) -> int:
            found = wire.trips
            if reset:
                wire.reset()
            return found

        with open_store(f"redis://127.0.0.1:{wire.port}/0") as store:
            yield store, trips
