"""Servers that the tests of a module share. A test is a user of its own there, so it finds nothing of another's."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import httpx
import pytest
from starlette.requests import Request

from strands_session_store.rest import Caller, Limits, Refused
from strands_session_store.stores import open_store
from strands_session_store.stores.base import Store

# pytest finds fixtures by name; servers are those of the engines' tests
from ..stores.conftest import *  # noqa: F403
from .serving import client, served
from .talking import talking

As = Callable[..., httpx.Client]
_numbers = itertools.count()


def by_name(request: Request) -> Caller:
    """Who names oneself is believed."""
    if (name := request.headers.get("x-user")) is None:
        raise Refused("no X-User")
    return Caller(name, admin=name.startswith("root"))


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Of all tests of a module, once for each engine."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('rest')}/s.db"
    else:
        pytest.importorskip("redis")
        url = request.getfixturevalue("standalone").url
    with open_store(url) as opened:
        yield opened


@pytest.fixture(scope="module")
def url(store: Store) -> Iterator[str]:
    """Of a server that many tests share."""
    with served(talking(store, auth=by_name, limits=Limits(rate=None))) as served_at:
        yield served_at


@pytest.fixture
def as_(url: str) -> Iterator[As]:
    """Makes clients: of a user of one's own, of ``"root"``, who is an administrator, or of whoever is named."""
    made: list[httpx.Client] = []

    def make(name: str | None = None) -> httpx.Client:
        headers = {"X-User": f"user-{next(_numbers)}" if name is None else name}
        made.append(client(url, **headers))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def ada(as_: As) -> httpx.Client:
    """A user whom no other test knows."""
    return as_()


def name_of(http: httpx.Client) -> str:
    return http.headers["x-user"]
