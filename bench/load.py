"""A closed loop of requests over HTTP: each connection sends the next one when it has its answer.

Made of bare sockets, as the clients of Python cost more than a server does; what it costs itself is told by what it
does against a server that answers by fixed bytes (`rest_server`).
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.request import urlopen


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    body: Any = None
    """JSON; None: there is none."""

    def encoded(self, headers: dict[str, str]) -> bytes:
        data = b"" if self.body is None else json.dumps(self.body).encode()
        own = {"Host": "localhost", **headers}
        if self.body is not None:
            own |= {"Content-Type": "application/json", "Content-Length": str(len(data))}
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in own.items())]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


@dataclass(frozen=True)
class Round:
    """What came of one."""

    rate: float
    """Requests a second."""
    p99: float
    """Milliseconds within which 99 of 100 were answered."""
    cpu: float
    """Milliseconds of CPU time a request of the server, all of its threads."""
    own: float
    """The same of this process."""


def load(port: int, requests: list[bytes], seconds: float) -> Round:
    """As many connections as there are requests; each sends its own, again and again.

    Raises:
        RuntimeError: A request failed.
    """
    own, theirs = time.process_time(), _cpu(port)
    took, elapsed = asyncio.run(_load(port, requests, seconds))
    spent, more = _cpu(port) - theirs, time.process_time() - own
    count = len(took)
    p99 = sorted(took)[min(count - 1, math.ceil(count * 0.99) - 1)]
    return Round(count / elapsed, p99 * 1000, spent * 1000 / count, more * 1000 / count)


def _cpu(port: int) -> float:
    """Seconds that a server of `rest_server` has spent."""
    with urlopen(f"http://127.0.0.1:{port}/cpu") as answer:
        return float(json.load(answer)["seconds"])


async def _load(port: int, requests: list[bytes], seconds: float) -> tuple[list[float], float]:
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    took: list[float] = []
    made = [
        await loop.create_connection(lambda one=one: _Connection(one, began + seconds, took), "127.0.0.1", port)  # type: ignore[misc]
        for one in requests
    ]
    began = time.perf_counter()
    for _, connection in made:
        connection.ask()
    await asyncio.gather(*(connection.done for _, connection in made))
    return took, time.perf_counter() - began


class _Connection(asyncio.Protocol):
    def __init__(self, request: bytes, until: float, took: list[float]) -> None:
        self._request, self._until, self._took = request, until, took
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._read, self._wanted, self._began = b"", 0, 0.0
        self._send: Callable[[bytes], None] = lambda data: None
        self._close: Callable[[], None] = lambda: None

    def connection_made(self, transport: Any) -> None:
        self._send, self._close = transport.write, transport.close

    def ask(self) -> None:
        self._read, self._wanted = b"", 0
        self._began = time.perf_counter()
        self._send(self._request)

    def data_received(self, data: bytes) -> None:
        self._read += data
        if not self._wanted:
            head, end, _ = self._read.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201")):
                self.connection_lost(RuntimeError(f"a request failed: {self._read[:2000]!r}"))
                return
            _, _, length = head.lower().partition(b"content-length: ")
            self._wanted = len(head) + 4 + int(length.split(b"\r\n")[0])
        if len(self._read) < self._wanted:
            return
        now = time.perf_counter()
        self._took.append(now - self._began)
        if now < self._until:
            self.ask()
        else:
            self._close()
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or RuntimeError("the server has closed the connection"))
