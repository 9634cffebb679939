"""RedisStore: the contract and the machine, on one server, a Cluster and what a Sentinel watches."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings

pytest.importorskip("redis")

from tests.stores.servers import Servers

from strands_session_store.stores import open_store
from strands_session_store.stores.base import Store
from strands_session_store.testing import StoreContract, StoreMachine

TOPOLOGIES = "standalone", "cluster", "sentinel"


@pytest.mark.parametrize("topology", TOPOLOGIES)
class TestRedis(StoreContract):
    @pytest.fixture
    def url(self, topology: str, request: pytest.FixtureRequest) -> str:
        return request.getfixturevalue(topology).url


class RedisMachine(StoreMachine):
    servers: ClassVar[Servers]

    def __init__(self) -> None:
        super().__init__()
        self.url = self.servers.url

    def open(self, clock: Callable[[], float]) -> Store:
        return open_store(self.url)


def run(servers: Servers, examples: int, steps: int) -> None:
    machine = type("Machine", (RedisMachine,), {"servers": servers})
    case = machine.TestCase
    case.settings = settings(
        deadline=None, max_examples=examples, stateful_step_count=steps, suppress_health_check=list(HealthCheck)
    )
    case("runTest").runTest()


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_random_commits_beside_the_model(topology: str, request: pytest.FixtureRequest) -> None:
    run(request.getfixturevalue(topology), 12, 25)


@pytest.mark.soak
@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_many_random_commits_beside_the_model(topology: str, request: pytest.FixtureRequest) -> None:
    run(request.getfixturevalue(topology), 500, 60)
