"""Real servers whose wall clock a test sets: for what only minutes and hours bring about."""

from __future__ import annotations

import contextlib
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.stores import servers
from tests.stores.servers import Server, Servers

# an hour that a test lets pass would look like an outage of the others
UNHURRIED = {
    "standalone": (),
    "cluster": ("--cluster-node-timeout", str(10**15)),
    "sentinel": ("--repl-timeout", str(2**31 - 1)),
}


class ServersClock:
    """What the servers take for the time: a `SetClock` in steps of 1/64 second, exact in their microseconds and in our
    floats."""

    def __init__(self, clocked: Clocked) -> None:
        self._clocked = clocked
        self.now = 1_700_000_000.0

    @property
    def url(self) -> str:
        """Of the servers; of data that no other test uses."""
        return self._clocked.servers.url

    @property
    def now(self) -> float:
        return self._now

    @now.setter
    def now(self, seconds: float) -> None:
        self._now = round(seconds * 64) / 64
        self._clocked.write(int(self._now * 1_000_000))

    def __call__(self) -> float:
        return self._now


class Clocked:
    """Servers, and the file from which they take the time."""

    def __init__(self, made: Servers, file: Path) -> None:
        self.servers, self._file = made, file

    def write(self, microseconds: int) -> None:
        """Let the time stand there; 0: let it run."""
        with open(self._file, "r+b", buffering=0) as file:  # in place: the servers have it mapped
            file.write(struct.pack("=q", microseconds))

    @contextlib.contextmanager
    def stopped(self) -> Iterator[ServersClock]:
        """The time stands still, but for what is done with the clock."""
        try:
            yield ServersClock(self)
        finally:
            self.write(0)


@contextlib.contextmanager
def clocked(folder: Path, topology: str) -> Iterator[Clocked]:
    """A topology of `servers` of its own. Skips where the time of a server can not be set."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (cc), so no clock can be put in front of redis-server")
    shim, file = folder / "clock.so", folder / "clock"
    source = Path(__file__).with_suffix(".c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", shim, source], check=True, capture_output=True)
    file.write_bytes(bytes(8))
    make: Any = getattr(servers, topology)
    env = {"LD_PRELOAD": str(shim), "SERVERS_CLOCK": str(file)}
    with servers.ended(make(folder, *UNHURRIED[topology], env=env)) as made:
        found = Clocked(Servers(made.url, [made]) if isinstance(made, Server) else made, file)
        with found.stopped() as clock, contextlib.closing(found.servers.servers[0].client()) as client:
            if client.time() != (int(clock.now), 0):
                pytest.skip("this redis-server does not ask the C library for the time, so it can not be set")
        yield found
