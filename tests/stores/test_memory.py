"""MemoryStore: the contract and the machine."""

from collections.abc import Callable

import pytest
from hypothesis import settings

from strands_session_store.stores.base import Store
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.testing import StoreContract, StoreMachine


class TestMemory(StoreContract):
    @pytest.fixture
    def url(self) -> str:
        return "memory://"

    def open_at(self, url: str, clock: Callable[[], float]) -> Store:
        return MemoryStore(clock)


class MemoryMachine(StoreMachine):
    timed = True

    def open(self, clock: Callable[[], float]) -> Store:
        return MemoryStore(clock)


TestMemoryMachine = MemoryMachine.TestCase
TestMemoryMachine.settings = settings(deadline=None, max_examples=60, stateful_step_count=30)
