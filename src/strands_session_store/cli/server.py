"""A server of this machine: the app of `rest`, with an agent, under uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import uvicorn

from ..errors import StoreError
from ..rest import AgentFactory, AgentRequest, Auth, Limits, NoAuth, create_app
from ..stores import redact
from .terminal import plain

LEVELS = ("debug", "info", "warning", "error")


def run(
    store: str,
    host: str,
    port: int,
    auth: Auth,
    *,
    model: str,
    factory: str | None,
    manager_options: Mapping[str, Any],
    rate: str | None,
    max_body: int,
    conversations: int,
    cors: list[str],
    grace: float,
    log_level: str,
) -> None:
    """Serve until a signal ends it.

    Raises:
        StoreError: Something can't be meant, or the port is taken.
    """
    if log_level not in LEVELS:
        raise StoreError(f"--log-level must be one of {', '.join(LEVELS)}, got {log_level!r}")
    try:
        limits = Limits(
            body=max_body, rate=rate, conversations=conversations, conversations_per_user=min(10, conversations)
        )
        app = create_app(
            store,
            auth=auth,
            agent_factory=_offered(model) if factory is None else _named(factory),
            manager_options=manager_options,
            limits=limits,
            cors_origins=cors,
            grace=grace,
        )
    except StoreError:
        raise
    except ValueError as error:
        raise StoreError(str(error)) from error
    logging.basicConfig(
        level=log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,  # the app has its own, without queries
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=int(grace) + 5,
    )
    server = _Told(config, app, redact(store), auth, grace)
    with contextlib.suppress(SystemExit):  # uvicorn's own way to say that it did not start
        server.run()
    if not server.started:
        raise StoreError(f"the server did not start; is port {port} of {host} taken, or the store away?")


class _Told(uvicorn.Server):
    """Says where it is, once it is; when it ends, its turns end first, as their clients' connections wait for them."""

    def __init__(self, config: uvicorn.Config, app: Any, store: str, auth: Auth, grace: float) -> None:
        super().__init__(config)
        self._app, self._store, self._auth, self._grace = app, store, auth, grace

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if not self.started:
            return
        port = self.servers[0].sockets[0].getsockname()[1]
        shown = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
        everybody = " to everybody on this machine" if isinstance(self._auth, NoAuth) else ""
        told = f"Serving {self._store}{everybody} at http://{shown}:{port}, documented at http://{shown}:{port}/docs"
        print(plain(told), file=sys.stderr, flush=True)

    async def shutdown(self, sockets: Any = None) -> None:
        conversations = self._app.state.face.conversations
        ending = asyncio.create_task(conversations.close(self._grace))
        await super().shutdown(sockets)
        if self.force_exit:
            ending.cancel()
        else:
            await ending


def _offered(model: str) -> AgentFactory:
    """The agent of `chat`, as a factory."""
    from . import agents

    made = agents.model_named(model)

    def make(request: AgentRequest) -> Any:
        return agents.agent_of(request.session_manager, made, prompt=request.session.instructions)

    return make


def _named(factory: str) -> AgentFactory:
    """
    Raises:
        StoreError: There is none of this name.
    """
    module, _, name = factory.partition(":")
    if not module or not name:
        raise StoreError(f"--agent must be as MODULE:NAME, got {factory!r}")
    sys.path.insert(0, os.getcwd())
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise StoreError(f"--agent {factory}: {error}") from error
    if not callable(found):
        raise StoreError(f"--agent {factory} is a {type(found).__name__}, and no function that makes agents")
    made: AgentFactory = found
    return made
