"""Servers that all tests of a session share; a test that stops or fills one starts its own."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest

# before any test imports one of them, also where it imports nothing else of the contract
pytest.register_assert_rewrite("strands_session_store.testing.contract", "strands_session_store.testing.promises")

if importlib.util.find_spec("redis"):
    from tests.stores import servers

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
