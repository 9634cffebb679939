"""What all tests share: servers, one of each for all that a worker runs. A test that stops or fills one starts its own.

Rule 1. What was imported for the tests is taken out of sight of the garbage collector: it is half a million objects,
        and a full collection, of which tests ask for many, would take a third of a second to walk through them.
Rule 2. Ctrl-C is heard by what tests start, also where they run in the background of a shell, which has it ignored.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.forked import Forge
    from tests.stores.clock import Clocked
    from tests.stores.s3_place import Place
    from tests.stores.s3_server import S3Server
    from tests.stores.servers import Server, Servers

# before any test imports one of them, also where it imports nothing else of the contract
pytest.register_assert_rewrite("strands_session_store.testing.contract", "strands_session_store.testing.promises")


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, *gc.get_threshold()[1:])  # what is young is looked at so often in vain


def pytest_configure() -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def forge() -> Iterator[Forge]:
    """Starts programs that need no import."""
    from tests.forked import Forge

    made = Forge()
    yield made
    made.close()


# --------------------------------------------------------------------------------------------------------------- redis


@pytest.fixture(scope="session")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    from tests.stores import servers

    with servers.ended(servers.standalone(tmp_path_factory.mktemp("redis"))) as server:
        yield servers.Servers(server.url, [server])


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    from tests.stores import servers

    with servers.ended(servers.cluster(tmp_path_factory.mktemp("cluster"))) as made:
        yield made


@pytest.fixture(scope="session")
def sentinel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    from tests.stores import servers

    with servers.ended(servers.sentinel(tmp_path_factory.mktemp("sentinel"))) as made:
        yield made


def _clocked(topology: str) -> Callable[[pytest.TempPathFactory], Iterator[Clocked]]:
    @pytest.fixture(scope="session", name=f"clocked_{topology}")
    def fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clocked]:
        from tests.stores import clock

        with clock.clocked(tmp_path_factory.mktemp("clocked"), topology) as made:
            yield made

    return fixture


clocked_standalone, clocked_cluster, clocked_sentinel = map(_clocked, ("standalone", "cluster", "sentinel"))


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Makes servers that the test has to itself."""
    from tests.stores import servers

    with contextlib.ExitStack() as stack:
        yield lambda *options: stack.enter_context(
            servers.ended(servers.standalone(tmp_path / os.urandom(4).hex(), *options))
        )


# ------------------------------------------------------------------------------------------------------------------ S3


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    from tests.stores.s3_server import S3Server

    server = S3Server()
    yield server
    server.stop()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment with credentials for `s3`, and nothing of this machine's."""
    from tests.stores.s3_server import ENVIRONMENT

    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def place(s3: S3Server, aws: None) -> Iterator[Place]:
    from tests.stores import s3_place, s3_proxy

    proxy = s3_proxy.S3Proxy(s3.port)
    yield s3_place.Place(s3.bucket(), s3, proxy)
    proxy.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key, and a certificate of 127.0.0.1 signed with it."""
    from tests.stores import s3_proxy

    return s3_proxy.certificate(tmp_path_factory.mktemp("tls") / "both.pem")


@pytest.fixture
def secured(place: Place, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """The same bucket over TLS, with a certificate that is trusted."""
    from tests.stores import s3_place, s3_proxy

    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    proxy = s3_proxy.S3Proxy(place.server.port, certificate)
    yield s3_place.Place(place.bucket, place.server, proxy)
    proxy.close()
