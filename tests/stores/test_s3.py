"""ObjectStore on S3, over HTTP: the contract and the machine. What only S3 has is in test_s3_*.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings

pytest.importorskip("boto3")
pytest.importorskip("moto")

from tests.stores.s3_server import S3Server

from strands_session_store.stores.base import Store
from strands_session_store.stores.objects import ObjectStore
from strands_session_store.stores.objects.blobs import Listed, Tag
from strands_session_store.stores.objects.s3 import S3Blobs, read_url
from strands_session_store.testing import StoreContract, StoreMachine


class Timed(S3Blobs):
    """A bucket whose time is ``clock``; as S3's, it is told in whole seconds."""

    def __init__(self, clock: Callable[[], float], **options: Any) -> None:
        super().__init__(**options)
        self.now = clock  # type: ignore[method-assign]
        self._modified: dict[str, float] = {}

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_match: Tag | None = None) -> Tag:
        tag = super().put(key, data, if_absent=if_absent, if_match=if_match)
        self._modified[key] = float(int(self.now()))
        return tag

    def list(self, prefix: str, *, after: str = "", below: bool = False) -> Iterator[Listed]:
        for found in super().list(prefix, after=after, below=below):
            yield replace(found, modified=self._modified[found.key])


class TestS3(StoreContract):
    @pytest.fixture
    def url(self, s3: S3Server, aws: None) -> str:
        self.session = s3.session
        return s3.place()

    def open(self, url: str) -> Store:
        # a session that has read boto's description of S3 already: that takes longer than most of these tests
        return ObjectStore(S3Blobs(boto_session=self.session, **read_url(url.removeprefix("s3://"))))

    def open_at(self, url: str, clock: Callable[[], float]) -> Store:
        return ObjectStore(Timed(clock, boto_session=self.session, **read_url(url.removeprefix("s3://"))))


class S3Machine(StoreMachine):
    server: ClassVar[S3Server]

    def __init__(self) -> None:
        super().__init__()
        self.url = self.server.place()

    def open(self, clock: Callable[[], float]) -> Store:
        return ObjectStore(S3Blobs(boto_session=self.server.session, **read_url(self.url.removeprefix("s3://"))))


def run(server: S3Server, examples: int, steps: int) -> None:
    case = type("Machine", (S3Machine,), {"server": server}).TestCase
    case.settings = settings(
        deadline=None, max_examples=examples, stateful_step_count=steps, suppress_health_check=list(HealthCheck)
    )
    case("runTest").runTest()


def test_random_commits_beside_the_model(s3: S3Server, aws: None) -> None:
    run(s3, 5, 25)


@pytest.mark.soak
def test_many_random_commits_beside_the_model(s3: S3Server, aws: None) -> None:
    run(s3, 300, 60)
