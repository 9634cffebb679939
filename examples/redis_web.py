"""A web worker that keeps nothing itself: any worker takes any request, and may be killed at any time.

pip install "strands-session-store[redis,server]" "uvicorn[standard]"
STRANDS_SESSION_STORE=redis://localhost:6379/0 uvicorn --app-dir examples redis_web:app --workers 4
curl localhost:8000/messages -H "X-User: ada" --json '{"id": "1", "text": "My name is Ada."}'
curl localhost:8000/messages -H "X-User: ada"
"""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from strands import Agent

from strands_session_store import StoreSessionManager, open_store
from strands_session_store.async_sessions import AsyncSessions
from strands_session_store.errors import (
    ConflictError,
    InvalidIdError,
    SessionBusyError,
    SessionNotFoundError,
    Unavailable,
)
from strands_session_store.testing import OfflineModel

STORE = os.environ.get("STRANDS_SESSION_STORE", "redis://localhost:6379/0")
SESSION = "chat"  # ids are unique per user, and here each user has one session
WEEK = 7 * 24 * 3600
MODEL = OfflineModel()  # needs no key; any other will do: strands.models.BedrockModel()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    # one store for all requests of the process: they share its connections and its threads
    with open_store(STORE, timeout=5) as store:
        app.state.store = store
        yield


app = FastAPI(lifespan=lifespan)


def name_of(x_user: Annotated[str, Header()]) -> str:
    """Believes what the caller says. A real application authenticates its users here."""
    return x_user


User = Annotated[str, Depends(name_of)]


class Prompt(BaseModel):
    id: str  # the client's: a new one for each prompt, the same when it sends one again
    text: str


@app.post("/messages")
async def say(prompt: Prompt, user: User) -> dict[str, Any]:
    # "turn": a prompt, its answer and the state are one commit, so nothing is ever half said. The lease: of two
    # requests at once the second one waits, and sees what the first has said; also when they are one (a double click)
    async with (
        await StoreSessionManager.open(
            SESSION,
            app.state.store,
            user_id=user,
            durability="turn",
            ttl=WEEK,
            exclusive=True,
            lease_timeout=20,
            lease_expiry=5,
        ) as session,
        session.lease(),
    ):
        agent = Agent(model=MODEL, session_manager=session, callback_handler=None)
        if agent.state.get("prompt") != prompt.id:
            agent.state.set("prompt", prompt.id)
            await agent.invoke_async(prompt.text)
        elif agent.messages[-1]["role"] == "user":  # it was kept, and then the model failed
            await agent.invoke_async()
    return {"answer": agent.messages[-1]}  # behind the block: what a user sees is stored


@app.get("/messages")
async def history(
    user: User, start: Annotated[int | None, Query(ge=0)] = None, limit: Annotated[int, Query(ge=1, le=1000)] = 50
) -> dict[str, Any]:
    part = await AsyncSessions(app.state.store).messages.page(SESSION, user, start=start, limit=limit)
    messages = [{"index": index, **entry.message} for index, entry in part.entries.items()]
    return {"messages": messages, "total": part.length}


@app.get("/health")
async def health() -> dict[str, str]:
    await AsyncSessions(app.state.store).list(limit=1)
    return {"store": "reachable"}


@app.exception_handler(InvalidIdError)
@app.exception_handler(SessionNotFoundError)
async def wrong(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error)}, 400 if isinstance(error, InvalidIdError) else 404)


@app.exception_handler(SessionBusyError)
@app.exception_handler(ConflictError)
@app.exception_handler(Unavailable)
async def again(request: Request, error: Exception) -> JSONResponse:
    """Sent again with its id, a prompt is said once, also if this one was stored after all."""
    logging.getLogger("uvicorn.error").warning("%s", error)  # it names hosts: not for the public
    if isinstance(error, SessionBusyError | ConflictError):
        return JSONResponse({"error": "another prompt of yours takes long; send it again"}, 409, {"Retry-After": "5"})
    return JSONResponse({"error": "the store does not answer; send it again"}, 503, {"Retry-After": "5"})
