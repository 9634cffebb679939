"""A Redis server for those questions that need one."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager


def possible() -> bool:
    """Whether there is a server to measure."""
    return shutil.which("redis-server") is not None


@contextmanager
def server() -> Iterator[int]:
    """A server that keeps nothing on disk; its port."""
    binary = shutil.which("redis-server")
    assert binary is not None
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/redis.sock"
        args = [binary, "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", folder]
        process = subprocess.Popen(args, stdout=subprocess.DEVNULL)
        try:
            yield _tcp_port(path)
        finally:
            process.kill()
            process.wait()


def _tcp_port(path: str) -> int:
    """Have the server take a free port, which it finds itself."""
    import redis

    client = redis.Redis(unix_socket_path=path)
    for port in range(21_000, 31_000, 37):
        try:
            client.config_set("port", port)
            return port
        except redis.ResponseError:
            continue
        except redis.ConnectionError:
            time.sleep(0.01)
    raise SystemExit("no free port")
