"""A server of an app: uvicorn on a port of this machine, in a thread or in a process of its own."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import uvicorn
from tests.stores.servers import until


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """The URL of an app that is served in this process, by a thread with an event loop of its own."""
    # one that says that it is TCP is sent to at once (TCP_NODELAY) by asyncio; else an answer may take 40 ms more
    listening = socket.socket(proto=socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="on", ws="none", timeout_graceful_shutdown=5
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        until(lambda: server.started or not thread.is_alive())
        assert server.started, "the server did not start"
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        listening.close()
        assert not thread.is_alive(), "the server did not end"


def client(url: str, key: str | None = None, **headers: str) -> httpx.Client:
    """A client, by an API key."""
    given = {} if key is None else {"X-API-Key": key}
    # there is no TLS here, and to load certificates takes longer than a test
    return httpx.Client(base_url=url, headers={**given, **headers}, timeout=60, verify=False)
