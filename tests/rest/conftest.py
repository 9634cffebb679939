"""Servers that the tests of a module share. A test is a user of its own there, so it finds nothing of another's."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Place:
    """An engine, and a server of it that many tests share."""

    store: Store
    url: str


@pytest.fixture(scope="module")
def places(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Place]]:
    """By engine. All are kept to the end of the module, as its tests come in any order."""
    with contextlib.ExitStack() as stack:

        class Places(dict[str, Place]):
            def __missing__(self, engine: str) -> Place:
                if engine == "sqlite":
                    url = f"sqlite:///{tmp_path_factory.mktemp('rest')}/s.db"
                else:
                    pytest.importorskip("redis")
                    url = request.getfixturevalue("standalone").url
                store = stack.enter_context(open_store(url))
                app = talking(store, auth=by_name, limits=Limits(rate=None))
                self[engine] = Place(store, stack.enter_context(served(app)))
                return self[engine]

        yield Places()


@pytest.fixture(params=["sqlite", "redis"])
def place(request: pytest.FixtureRequest, places: dict[str, Place]) -> Place:
    return places[request.param]


on_sqlite = pytest.mark.parametrize("place", ["sqlite"], indirect=True)
"""Of a test that has nothing to do with an engine."""


@pytest.fixture
def store(place: Place) -> Store:
    return place.store


@pytest.fixture
def url(place: Place) -> str:
    return place.url


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
