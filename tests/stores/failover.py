"""A failover that loses what was acknowledged: the replica hears no more of its primary, which then dies."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from tests.stores import servers
from tests.stores.servers import until


class Failover:
    """A primary, its replica and a Sentinel of one test."""

    def __init__(self, folder: Path) -> None:
        self._made = servers.sentinel(folder)
        self.url = self._made._url

    def forget(self) -> None:
        """From now on the replica hears nothing: what the primary acknowledges, only the primary has."""
        primary, replica, _ = self._made.servers
        with contextlib.closing(primary.client()) as client:
            self.synchronized()
            assert replica.process is not None
            os.kill(replica.process.pid, signal.SIGSTOP)
            # what is sent to a stopped process waits in its socket; so no more may be sent
            client.execute_command("CLIENT", "KILL", "TYPE", "replica")
            until(lambda: client.info("replication")["connected_slaves"] == 0)

    def synchronized(self) -> None:
        """Wait until the replica has all that the primary has."""
        primary, _, _ = self._made.servers
        with contextlib.closing(primary.client()) as client:
            client.set("synchronized", "")
            assert client.wait(1, 30_000) == 1

    def happen(self) -> None:
        """The primary is killed; the replica has become the primary when this returns."""
        primary, replica, watch = self._made.servers
        assert replica.process is not None
        primary.stop()
        servers.give_up_soon(watch)
        os.kill(replica.process.pid, signal.SIGCONT)
        with contextlib.closing(watch.client(decode_responses=True)) as client:
            until(lambda: client.sentinel_get_master_addr_by_name("main")[1] == replica.port)
        with contextlib.closing(replica.client()) as client:
            until(lambda: client.info("replication")["role"] == "master")


@contextlib.contextmanager
def failover(folder: Path) -> Iterator[Failover]:
    made = Failover(folder)
    with servers.ended(made._made):
        yield made
