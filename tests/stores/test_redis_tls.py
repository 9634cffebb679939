"""RedisStore over TLS: with a server, a Cluster and Sentinels that speak nothing else."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("redis")

from tests.stores import servers
from tests.stores.servers import Server, free_port, until

from strands_session_store.errors import Unavailable
from strands_session_store.stores import open_store
from strands_session_store.stores.base import Append, Log, Space, new_commit_id

SPACE = Space("session", "ann", "one")


class Secured(Server):
    """A server without a plain port."""

    def __init__(self, folder: Path, certificate: Path, *options: str) -> None:
        port = free_port()
        self.certificate = certificate
        super().__init__(folder, "--port", "0", "--tls-port", f"{port}", *tls(certificate, "--"), *options, port=port)

    def wait(self) -> None:
        with contextlib.closing(self.client(ssl=True, ssl_ca_certs=str(self.certificate))) as client:
            until(lambda: self._ended() or client.ping())

    def _ended(self) -> bool:
        assert self.process is not None
        if self.process.poll() is None:
            return False
        log = (self.folder / "log").read_text()
        if "Bad directive" in log or "Failed finding TLS support" in log:  # as Redis says it, and Valkey
            pytest.skip(f"{servers.binary()} was built without TLS")
        raise AssertionError(log)


def tls(certificate: Path, mark: str = "") -> list[str]:
    """Options of a server; it shows the certificate, and asks its clients for none."""
    return [
        *(f"{mark}tls-cert-file", str(certificate)),
        *(f"{mark}tls-key-file", str(certificate.with_suffix(".key"))),
        *(f"{mark}tls-ca-cert-file", str(certificate)),
        *(f"{mark}tls-auth-clients", "no"),
        *(f"{mark}tls-replication", "yes"),
    ]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Self-signed."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl in PATH to make a certificate with")
    made = tmp_path_factory.mktemp("tls") / "server.pem"
    names = "subjectAltName=IP:127.0.0.1,DNS:localhost"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -addext {names}"
    subprocess.run(
        [*command.split(), "-keyout", made.with_suffix(".key"), "-out", made], check=True, capture_output=True
    )
    return made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, certificate: Path) -> Iterator[Secured]:
    with servers.ended(Secured(tmp_path_factory.mktemp("server"), certificate).start()) as made:
        yield made


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path, server: Secured, certificate: Path) -> Iterator[str]:
    with contextlib.ExitStack() as stack:
        match request.param:
            case "server":
                yield f"rediss://127.0.0.1:{server.port}/0"
            case "cluster":
                options = ("--cluster-enabled", "yes", "--tls-cluster", "yes", "--cluster-announce-ip", "127.0.0.1")
                node = stack.enter_context(servers.ended(Secured(tmp_path, certificate, *options).start()))
                with contextlib.closing(node.client(ssl=True, ssl_ca_certs=str(certificate))) as client:
                    client.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
                    until(lambda: client.cluster("INFO")["cluster_state"] == "ok")
                yield f"rediss+cluster://127.0.0.1:{node.port}/"
            case _:
                port = free_port()
                words = iter(
                    [*tls(certificate), "tls-port", f"{port}", "sentinel", f"monitor main 127.0.0.1 {server.port} 1"]
                )
                lines = [f"{word} {value}" for word, value in zip(words, words)]
                stack.enter_context(servers.ended(Server(tmp_path, *lines, sentinel=True).start()))
                yield f"rediss+sentinel://127.0.0.1:{port}/main/0"


@pytest.mark.parametrize("url", ["server", "cluster", "sentinel"], indirect=True)
def test_a_conversation_is_kept_over_tls(url: str, certificate: Path) -> None:
    with open_store(f"{url}?ssl_ca_certs={certificate}") as store:
        for at in range(3):
            store.commit(SPACE, Append("log", [b"%d" % at], at), commit_id=new_commit_id())
    with open_store(f"{url}?ssl_ca_certs={certificate}") as store:
        assert list(store.read(SPACE, Log("log", last=3)).logs["log"].entries.values()) == [b"0", b"1", b"2"]
        store.drop(SPACE)


@pytest.mark.parametrize("url", ["server", "cluster"], indirect=True)
def test_a_certificate_that_is_not_trusted_is_told_at_once_with_what_would_do(url: str) -> None:
    begun = time.monotonic()
    with open_store(url, timeout=60) as store, pytest.raises(Unavailable, match="ssl_ca_certs="):
        store.read(SPACE)
    assert time.monotonic() - begun < 30
