"""Servers that all tests of a session share; a test that stops or fills one starts its own."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

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
