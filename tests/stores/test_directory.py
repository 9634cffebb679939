"""ObjectStore on a directory: the contract and the machine. What only objects or files have is in test_objects_*.py."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from tests.stores.places import TINY

from strands_session_store.stores.base import Store
from strands_session_store.stores.objects import ObjectStore
from strands_session_store.stores.objects.blobs import Sealing
from strands_session_store.stores.objects.directory import DirectoryBlobs
from strands_session_store.testing import StoreContract, StoreMachine
from strands_session_store.testing.promises.commits import Commits
from strands_session_store.testing.promises.logs import Logs
from strands_session_store.testing.promises.processes import Processes
from strands_session_store.testing.promises.reads import Reads
from strands_session_store.testing.promises.spaces import Spaces


class TestDirectory(StoreContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"file://{tmp_path}/sessions"

    def open_at(self, url: str, clock: Callable[[], float]) -> Store:
        return ObjectStore(DirectoryBlobs(url.removeprefix("file://"), clock=clock))


ALWAYS = Sealing(tail=3, merge=(2, 3), page=60, document=1, documents=3)
"""Hardly anything stays in the head."""


class TestSmallPages(Commits, Logs, Reads, Spaces):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"file://{tmp_path}/sessions"

    def open(self, url: str) -> Store:
        return ObjectStore(DirectoryBlobs(url.removeprefix("file://")), sealing=ALWAYS)

    def open_at(self, url: str, clock: Callable[[], float]) -> Store:
        return ObjectStore(DirectoryBlobs(url.removeprefix("file://"), clock=clock), sealing=ALWAYS)


class DirectoryMachine(StoreMachine):
    timed = True
    sealing: Sealing | None = TINY

    def __init__(self) -> None:
        super().__init__()
        self.directory = TemporaryDirectory()

    def open(self, clock: Callable[[], float]) -> Store:
        return ObjectStore(DirectoryBlobs(Path(self.directory.name, "sessions"), clock=clock), sealing=self.sealing)

    def teardown(self) -> None:
        super().teardown()
        self.directory.cleanup()


TestDirectoryMachine = DirectoryMachine.TestCase
TestDirectoryMachine.settings = settings(deadline=None, max_examples=30, stateful_step_count=30)


@pytest.mark.soak
class TestDirectoryMachineSoak(DirectoryMachine.TestCase):
    settings = settings(deadline=None, max_examples=1500, stateful_step_count=60)


@pytest.mark.soak
class TestDirectoryKilled(Processes):
    kills = 100

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"file://{tmp_path}/sessions"
