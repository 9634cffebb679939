"""A server to be measured: `python -m bench.rest_server <JSON>`; prints its port, and ends with its standard input.

ours      the app, on a store
without   the same app and routes, whose service has its answers ready and no store; an agent has no session manager
bare      routes of FastAPI with the same JSON in and out, and nothing else: no callers, limits or problems
fixed     a socket that answers with bytes, whatever is asked: what is left is the load's own cost
"""

from __future__ import annotations

import asyncio
import copy
import json
import socket
import sys
import threading
import time
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse
from strands import Agent
from strands.agent.conversation_manager import SlidingWindowConversationManager

from bench.work import conversation, text
from strands_session_store import open_store
from strands_session_store.rest import AgentRequest, ApiKeyAuth, Caller, Limits, create_app, invoking, shapes, views
from strands_session_store.rest.conversing import Asked, Conversations
from strands_session_store.rest.live import Turn
from strands_session_store.sessions import Sessions
from strands_session_store.sessions.shapes import Overview, Said, SessionPage
from strands_session_store.testing.models import ScriptedModel

OWNER = "ada"
SESSIONS = 100
TALKS = 16
"""Of these, with messages in them: one for each connection."""
CONTEXT = 20
"""Messages that an agent has before it, and no more."""
SIZE = 200
"""Characters of a message."""


@dataclass(frozen=True)
class Wanted:
    kind: str
    key: str = ""
    """Hash of the API key."""
    url: str = ""
    """Of the store, for `ours`."""


def fill(sessions: Sessions) -> None:
    """The owner's sessions."""
    for at in range(SESSIONS):
        made = sessions.create(name(at), OWNER, title=f"session {at}", agent_name="assistant")
        if at < TALKS:
            sessions.messages.append(made.session_id, conversation(CONTEXT, SIZE), OWNER)


def name(at: int) -> str:
    return f"session-{at:03}"


def agent(manager: Any, messages: list[Any]) -> Agent:
    return Agent(
        model=ScriptedModel(lambda _: text(SIZE, "answer")),
        agent_id="default",
        session_manager=manager,
        messages=messages,
        conversation_manager=SlidingWindowConversationManager(window_size=CONTEXT),
        callback_handler=None,
    )


# -------------------------------------------------------------------------------------------------------------- ours


def ours(wanted: Wanted) -> FastAPI:
    return _app(wanted, wanted.url, lambda request: agent(request.session_manager, []))


def _app(wanted: Wanted, url: str, factory: Any) -> FastAPI:
    # counted as in earnest, but never one too many
    limits = Limits(rate="1000000/second", conversations_per_user=100)
    auth = ApiKeyAuth({wanted.key: Caller(OWNER)})
    return create_app(url, auth=auth, agent_factory=factory, limits=limits, docs=False)


# ----------------------------------------------------------------------------------------------------------- without


@dataclass(frozen=True)
class Ready:
    """What a store of `fill` answers."""

    page: SessionPage
    session: Overview
    said: Said

    @classmethod
    def take(cls) -> Ready:
        with open_store("memory://") as store:
            sessions = Sessions(store)
            fill(sessions)
            page = sessions.list(OWNER, limit=20, offset=0)
            (said,) = sessions.messages.append(name(0), {"role": "user", "content": text(SIZE, "said")}, OWNER)
            return cls(page, sessions.get(name(0), OWNER), said)


def without(wanted: Wanted) -> FastAPI:
    ready = Ready.take()
    # an agent has the messages that one with a session would have restored
    app = _app(wanted, "memory://", lambda request: agent(None, copy.deepcopy(conversation(CONTEXT, SIZE))))
    face = app.state.face
    service: Any = SimpleNamespace(
        list=_answering(ready.page),
        get=_answering(ready.session),
        messages=SimpleNamespace(append=_answering((ready.said,))),
        close=face.sessions.close,
    )
    app.state.face = replace(face, sessions=service, conversations=WithoutStore(face.conversations, ready.session))
    return app


def _answering(ready: Any) -> Any:
    async def call(*args: Any, **options: Any) -> Any:
        return ready

    return call


class WithoutStore(Conversations):
    """Turns of agents that keep nothing, in a session that is ready."""

    def __init__(self, inner: Conversations, session: Overview) -> None:
        self.__dict__.update(inner.__dict__)
        self._session = session

    async def _answered(
        self, turn: Turn, caller: Caller, owner: str | None, asked: Asked, wait: float
    ) -> shapes.Answer:
        request = AgentRequest(None, self._session, caller)  # type: ignore[arg-type]
        made = await invoking.made(self._factory, request, self._agent_id)
        turn.start({"session_id": turn.session_id, "prompt_id": turn.prompt_id})
        return _answer(self._session, turn.prompt_id, await invoking.answer(turn, made, asked.messages, ()))


def _answer(session: Overview, prompt_id: str, told: Any) -> shapes.Answer:
    return shapes.Answer(
        session_id=session.session.session_id,
        session_uuid=views.uuid_of(session.session),
        response=views.text(told.message),
        messages_count=CONTEXT + 2,
        session_active=True,
        prompt_id=prompt_id,
        message_id="0123456789abcdef",
        stop_reason=told.stop_reason,
        interrupts=[],
    )


# -------------------------------------------------------------------------------------------------------------- bare


def bare(wanted: Wanted) -> FastAPI:
    ready = Ready.take()
    found = [views.listed(one) for one in ready.page.sessions]
    page = shapes.Page(items=found, limit=20, offset=0, total=SESSIONS, total_is_exact=True, next=ready.page.cursor)
    session = views.session(ready.session)
    said = views.message(ready.said.index, ready.said.entry, name(0), blocks=False)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/api/agent-sessions")
    async def list_sessions() -> shapes.Page[shapes.SessionTold]:
        return page

    @app.get("/api/agent-sessions/{session_id}")
    async def get_session(session_id: str) -> shapes.SessionTold:
        return session

    @app.post("/api/agent-sessions/{session_id}/messages", status_code=201)
    async def add_message(session_id: str, sent: shapes.Message) -> shapes.MessageTold:
        return said

    @app.post("/api/agent-sessions/conversation", status_code=201)
    async def converse(sent: shapes.Prompt) -> shapes.Answer:
        made = agent(None, copy.deepcopy(conversation(CONTEXT, SIZE)))
        result = await made.invoke_async([views.sent(one) for one in sent.messages])  # type: ignore[arg-type]
        return _answer(ready.session, "0123456789abcdef", result)

    return app


# ------------------------------------------------------------------------------------------------------------ serving


async def _cpu(request: Request) -> JSONResponse:
    return JSONResponse({"seconds": time.process_time()})


class _Fixed(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self._send = transport.write

    def data_received(self, data: bytes) -> None:
        told = json.dumps({"seconds": time.process_time()}).encode()
        self._send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(told), told))


async def _fixed() -> None:
    server = await asyncio.get_running_loop().create_server(_Fixed, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


def main(wanted: Wanted) -> None:
    if wanted.kind == "fixed":
        asyncio.run(_fixed())
        return
    app = {"ours": ours, "without": without, "bare": bare}[wanted.kind](wanted)
    app.add_route("/cpu", _cpu)
    # asyncio sends at once (TCP_NODELAY) where a socket says that it is TCP; one that does not is 40 ms late an answer
    listening = socket.socket(proto=socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))

    def end() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=end, daemon=True).start()
    print(listening.getsockname()[1], flush=True)
    server.run(sockets=[listening])


if __name__ == "__main__":
    main(Wanted(**json.loads(sys.argv[1])))
