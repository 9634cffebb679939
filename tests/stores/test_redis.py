"""RedisStore: the contract and the machine, on one server, a Cluster and what a Sentinel watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings

pytest.importorskip("redis")

from tests.stores.clock import Clocked, ServersClock
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

    @pytest.fixture
    def clock(self, topology: str, request: pytest.FixtureRequest) -> Iterator[ServersClock]:
        with request.getfixturevalue(f"clocked_{topology}").stopped() as clock:
            yield clock

    def open_at(self, url: str, clock: Callable[[], float]) -> Store:
        assert isinstance(clock, ServersClock)
        return open_store(clock.url)


class RedisMachine(StoreMachine):
    servers: ClassVar[Servers]

    def __init__(self) -> None:
        super().__init__()
        self.url = self.servers.url

    def open(self, clock: Callable[[], float]) -> Store:
        return open_store(self.url)


class ClockedMachine(StoreMachine):
    timed = True
    clocked: ClassVar[Clocked]

    def open(self, clock: Callable[[], float]) -> Store:
        if not isinstance(clock, ServersClock):
            self.clock = ServersClock(self.clocked)
            self.url = self.clock.url
        return open_store(self.url)

    def teardown(self) -> None:
        super().teardown()
        self.clocked.write(0)


def run(machine: type[StoreMachine], examples: int, steps: int, **members: Any) -> None:
    case = type("Machine", (machine,), members).TestCase
    case.settings = settings(
        deadline=None, max_examples=examples, stateful_step_count=steps, suppress_health_check=list(HealthCheck)
    )
    case("runTest").runTest()


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_random_commits_beside_the_model(topology: str, request: pytest.FixtureRequest) -> None:
    run(RedisMachine, 12, 25, servers=request.getfixturevalue(topology))


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_random_commits_and_hours_beside_the_model(topology: str, request: pytest.FixtureRequest) -> None:
    run(ClockedMachine, 12, 25, clocked=request.getfixturevalue(f"clocked_{topology}"))


@pytest.mark.soak
@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_many_random_commits_beside_the_model(topology: str, request: pytest.FixtureRequest) -> None:
    run(RedisMachine, 500, 60, servers=request.getfixturevalue(topology))


@pytest.mark.soak
@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_many_random_commits_and_hours_beside_the_model(topology: str, request: pytest.FixtureRequest) -> None:
    run(ClockedMachine, 500, 60, clocked=request.getfixturevalue(f"clocked_{topology}"))
