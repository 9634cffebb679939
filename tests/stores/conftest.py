"""Servers that all tests of a session share; a test that stops or fills one starts its own."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# before any test imports one of them, also where it imports nothing else of the contract
pytest.register_assert_rewrite("strands_session_store.testing.contract", "strands_session_store.testing.promises")

if importlib.util.find_spec("redis"):
    from tests.stores import clock, servers

    @pytest.fixture(scope="session")
    def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Servers]:
        with servers.ended(servers.standalone(tmp_path_factory.mktemp("redis"))) as server:
            yield servers.Servers(server.url, [server])

    @pytest.fixture(scope="session")
    def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Servers]:
        with servers.ended(servers.cluster(tmp_path_factory.mktemp("cluster"))) as made:
            yield made

    @pytest.fixture(scope="session")
    def sentinel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Servers]:
        with servers.ended(servers.sentinel(tmp_path_factory.mktemp("sentinel"))) as made:
            yield made

    @pytest.fixture(scope="session")
    def clocked_standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[clock.Clocked]:
        with clock.clocked(tmp_path_factory.mktemp("clocked"), "standalone") as made:
            yield made

    @pytest.fixture(scope="session")
    def clocked_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[clock.Clocked]:
        with clock.clocked(tmp_path_factory.mktemp("clocked"), "cluster") as made:
            yield made

    @pytest.fixture(scope="session")
    def clocked_sentinel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[clock.Clocked]:
        with clock.clocked(tmp_path_factory.mktemp("clocked"), "sentinel") as made:
            yield made

    @pytest.fixture
    def alone(tmp_path: Path) -> Iterator[Callable[..., servers.Server]]:
        """Makes servers that the test has to itself."""
        with contextlib.ExitStack() as stack:
            yield lambda *options: stack.enter_context(
                servers.ended(servers.standalone(tmp_path / os.urandom(4).hex(), *options))
            )


if importlib.util.find_spec("boto3") and importlib.util.find_spec("moto"):
    from tests.stores import s3_place, s3_proxy, s3_server

    @pytest.fixture(scope="session")
    def s3() -> Iterator[s3_server.S3Server]:
        server = s3_server.S3Server()
        yield server
        server.stop()

    @pytest.fixture
    def aws(monkeypatch: pytest.MonkeyPatch) -> None:
        """An environment with credentials for `s3`, and nothing of this machine's."""
        for name, value in s3_server.ENVIRONMENT.items():
            monkeypatch.setenv(name, value)

    @pytest.fixture
    def place(s3: s3_server.S3Server, aws: None) -> Iterator[s3_place.Place]:
        proxy = s3_proxy.S3Proxy(s3.port)
        yield s3_place.Place(s3.bucket(), s3, proxy)
        proxy.close()

    @pytest.fixture(scope="session")
    def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A key, and a certificate of 127.0.0.1 signed with it."""
        return s3_proxy.certificate(tmp_path_factory.mktemp("tls") / "both.pem")

    @pytest.fixture
    def secured(place: s3_place.Place, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[s3_place.Place]:
        """The same bucket over TLS, with a certificate that is trusted."""
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        proxy = s3_proxy.S3Proxy(place.server.port, certificate)
        yield s3_place.Place(place.bucket, place.server, proxy)
        proxy.close()
