"""The app: routes over a store, with whoever tells who calls, and whoever makes agents, as they were handed over."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import APIRouter, Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware

from .. import __version__, ids
from ..async_sessions import AsyncSessions
from ..plugin import StoreSessionManager
from ..prices import Ask, Own, Prices
from ..stores.base import Store
from . import conversation, inside, messages, problems, shapes, users
from . import sessions as session_routes
from .asked import Face, Service, known
from .callers import Auth
from .conversing import Conversations
from .edge import Edge
from .invoking import AgentFactory
from .limits import Limits, Rate
from .openapi import PREFIX, Document
from .problems import LATER, Problem, documented

READY: Final = 2.0
"""Seconds in which a store that is well answers."""

_ABOUT: Final = """\
Sessions of [Strands](https://strandsagents.com) agents: what was said, by whom, and what it took.

A caller sees what is theirs. What belongs to somebody else is not there, in the same words as what never was.
Errors are problem details (RFC 9457). Lists have `items`, `limit`, `offset`, `total` and `next`, which is the
`cursor` of the next page. An id with a slash in it is written with `%2F` in a path.
"""


def create_app(
    store: Store | str,
    *,
    auth: Auth,
    agent_factory: AgentFactory | None = None,
    agent_id: str = "default",
    manager_options: Mapping[str, Any] | None = None,
    prices: Prices | Own | Ask | None = None,
    limits: Limits | None = None,
    cors_origins: Sequence[str] = (),
    grace: float = 30.0,
    docs: bool = True,
) -> FastAPI:
    """An ASGI app with the sessions in a store. It opens nothing before it is started.

    Mounted in another app it needs that one to end it, as a mounted app is not told when the server ends: else turns
    under way are broken off, and the store is left open. Its own lifespan will do where the other app has none::

        api = create_app(...)
        app = FastAPI(lifespan=api.router.lifespan_context)
        app.mount("/agents", api)

    and where it has one, ``async with api.router.lifespan_context(api):`` goes around what that one yields.

    Args:
        store: A Store (shared, left open), or a URL for `open_store`: then the app's end closes it.
        auth: Says who makes a request: `JwtAuth`, `ApiKeyAuth`, `NoAuth`, `AnyAuth`, or a callable.
        agent_factory: Given an `AgentRequest`, returns a Strands agent that was built with its ``session_manager``; may
            be a coroutine function. Called for each turn. None: there is nobody to speak to, and no route for it.
        agent_id: Of the agents that it makes.
        manager_options: Of `StoreSessionManager`, for the sessions of these agents: ``ttl``, ``segment_after``,
            ``max_cost`` and so on. Who has a session, and how long it is waited for, is the app's matter.
        prices: As for `Sessions`, and for these agents.
        limits: See `Limits`.
        cors_origins: Web pages of these origins may call it, with credentials; none may by default.
        grace: Seconds that turns under way have to end when the app ends.
        docs: Whether it shows its documentation (``/docs``) beside ``/openapi.json``.

    Raises:
        ValueError: An argument is out of its range.
        InvalidUrlError: The URL names no known engine.
    """
    if not callable(auth):
        raise ValueError(f"auth must say who calls: JwtAuth, ApiKeyAuth, NoAuth or a callable; got {auth!r:.80}")
    limits = Limits() if limits is None else limits
    options = dict(manager_options or {})
    if own := [name for name in options if name in _OURS]:
        raise ValueError(f"manager_options has {own[0]!r}, which is the app's own matter; leave it out")
    if isinstance(cors_origins, str) or not all(map(_ORIGIN.fullmatch, map(str, cors_origins))):
        raise ValueError(f"cors_origins must be like ['https://app.example.com'], or ['*']; got {cors_origins!r:.200}")
    ids.check("agent_id", agent_id)
    rate, sessions = Rate(limits), AsyncSessions(store, prices=prices)
    conversations = None
    if agent_factory is not None:
        options = {"prices": prices, **options}
        try:  # what can't be meant is told now, and not by each request
            StoreSessionManager("trial", "memory://", user_id="trial", exclusive=True, **options).close()
        except TypeError as error:
            raise ValueError(f"manager_options: {error}") from error
        conversations = Conversations(sessions, agent_factory, limits, agent_id=agent_id, options=options)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        if conversations is not None:
            await conversations.close(grace)
        await sessions.close()
        await rate.close()

    app = FastAPI(
        title="Agent sessions",
        version=__version__,
        description=_ABOUT,
        lifespan=lifespan,
        docs_url="/docs" if docs else None,
        redoc_url=None,
        redirect_slashes=False,  # what is sent to another path would be lost on the way
        openapi_tags=list(_TAGS),
        generate_unique_id_function=lambda route: route.name,
    )
    document = Document(app, auth)
    app.openapi = document  # type: ignore[method-assign]
    app.state.face = Face(sessions, auth, rate, document, conversations)
    api = APIRouter(prefix=PREFIX, dependencies=[Depends(known)])
    for router in (
        *((conversation.router,) if conversations is not None else ()),
        session_routes.router,
        messages.router,
        inside.router,
        inside.everywhere,
        users.router,
    ):
        api.include_router(router)
    app.include_router(api)
    app.include_router(_health())
    for route in app.routes:  # FastAPI puts off what it makes of them; the first request would wait for that
        route.matches({"type": "http", "method": "GET", "path": "/", "headers": []})
    problems.install(app)
    app.add_middleware(Edge, max_body=limits.body, document=document, name="strands_session_store.rest")
    if cors_origins:  # around the edge, so that a page can read what that refuses
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(cors_origins),
            allow_credentials="*" not in cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=[
                "Authorization",
                "Content-Type",
                "If-Match",
                "Last-Event-ID",
                "Prefer",
                "X-API-Key",
                "X-Request-ID",
            ],
            expose_headers=["ETag", "Link", "Location", "Retry-After", "X-Request-ID"],
        )
    return app


_ORIGIN: Final = re.compile(r"\*|https?://[^/?#\s*]+", re.ASCII)
_TAGS: Final = (
    {"name": "conversation", "description": "An agent that answers."},
    {"name": "sessions", "description": "What is kept under one id: messages, state, runs, events."},
    {"name": "messages", "description": "What was said in a session, its ended segments' among it."},
    {"name": "runs, events, usage", "description": "What was done in a session, and what it took."},
    {"name": "users", "description": "Records of those who own sessions."},
    {"name": "health", "description": "For whoever watches the server."},
)
_OURS: Final = ("store", "session_id", "user_id", "exclusive", "on_busy", "lease_timeout", "read_only", "auto_create")


def _health() -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/healthz", summary="Whether the server is alive")
    async def healthz() -> shapes.Health:
        return shapes.Health()

    @router.get("/readyz", summary="Whether its store answers", responses={503: documented()[503]})
    async def readyz(sessions: Service) -> shapes.Health:
        """At once, or in two seconds: whoever asks does not wait as long as other requests do for the store."""
        try:
            await asyncio.wait_for(sessions.list(limit=1), READY)
        except asyncio.TimeoutError:
            raise Problem(503, f"the store has not answered within {READY:g} seconds", LATER) from None
        return shapes.Health()

    return router
