"""SQLiteStore: the contract and the machine. What only files have is in test_sqlite_files.py."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings

from strands_session_store.stores.base import Store
from strands_session_store.stores.sqlite import SQLiteStore
from strands_session_store.testing import StoreContract, StoreMachine
from strands_session_store.testing.promises.processes import Processes


class TestSQLite(StoreContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/sessions.db"

    def open_at(self, url: str, clock: Callable[[], float]) -> Store:
        return SQLiteStore(url.removeprefix("sqlite:///"), clock=clock)


class SQLiteMachine(StoreMachine):
    timed = True

    def __init__(self) -> None:
        super().__init__()
        self.directory = TemporaryDirectory()

    def open(self, clock: Callable[[], float]) -> Store:
        return SQLiteStore(Path(self.directory.name, "sessions.db"), clock=clock)

    def teardown(self) -> None:
        super().teardown()
        self.directory.cleanup()


TestSQLiteMachine = SQLiteMachine.TestCase
TestSQLiteMachine.settings = settings(deadline=None, max_examples=40, stateful_step_count=30)


@pytest.mark.soak
class TestSQLiteMachineSoak(SQLiteMachine.TestCase):
    settings = settings(deadline=None, max_examples=1500, stateful_step_count=60)


@pytest.mark.soak
class TestSQLiteKilled(Processes):
    kills = 100

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/sessions.db"
