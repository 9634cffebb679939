"""What the lease, and the look before an invocation, add to the requests of an invocation. Counted, never timed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("redis")
pytest.importorskip("boto3")
pytest.importorskip("moto")

from tests.stores import servers
from tests.stores.s3_proxy import S3Proxy
from tests.stores.s3_server import ENVIRONMENT, S3Server
from tests.stores.servers import Server

from strands_session_store import open_store
from strands_session_store.plugin import Durability
from strands_session_store.stores.redis.links import Wire
from strands_session_store.testing.models import Line, ToolCall

from .children import build


class Place:
    """A server, and how many round trips it was asked for."""

    def __init__(self, url: str, count: Callable[[], int]) -> None:
        self.url, self.count = url, count

    def costs(self, *, calls: int = 1, hands: int = 1, **options: Any) -> int:
        """Round trips of an invocation with so many tool calls, one after the other.

        Args:
            calls: How many.
            hands: Managers that take turns; each has a store of its own, as in a process of its own.
            **options: Of the managers.
        """

        def script(messages: list[Any]) -> Line:
            said = [block for message in messages[::-1] for block in message["content"]]
            done = next(at for at, block in enumerate(said) if block.get("text") == "go") // 2
            return "done" if done == calls else ToolCall("add", {"a": 1, "b": 2})

        with ExitStack() as stack:
            stores = [stack.enter_context(open_store(self.url)) for _ in range(hands)]
            made = [build(store, f"{calls} {hands} {options}", script, **options) for store in stores]
            found = set[int]()
            for turn in range(3 * hands + 2):
                before = self.count()
                made[turn % hands][0]("go")
                if turn >= 3 * hands:  # it is known by then who writes, and all connections are open
                    found.add(self.count() - before)
            for _, manager in made:
                manager.close()
        assert len(found) == 1, found
        return found.pop()


@pytest.fixture(params=["redis", "s3"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Place]:
    if request.param == "redis":
        sent, send = [0], Wire.send

        def counted(wire: Wire, *args: Any, **options: Any) -> None:
            sent[0] += 1
            send(wire, *args, **options)

        monkeypatch.setattr(Wire, "send", counted)
        with servers.ended(Server(tmp_path).start()) as server:
            yield Place(server.url, lambda: sent[0])
        return
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    s3: S3Server = request.getfixturevalue("s3")
    proxy = S3Proxy(s3.port)
    yield Place(f"s3://{s3.bucket()}?endpoint_url={proxy.url}", lambda: len(proxy.seen))
    proxy.close()


@pytest.mark.parametrize(("durability", "messages"), [("message", 2), ("turn", 0)])
def test_a_look_is_one_round_trip_and_so_is_the_lease_however_much_is_said(
    place: Place, durability: Durability, messages: int
) -> None:
    found = []
    for calls in (1, 4):
        least = place.costs(calls=calls, durability=durability, on_stale="conflict")
        assert place.costs(calls=calls, durability=durability) == least + 1
        assert place.costs(calls=calls, durability=durability, exclusive=True) == least + 1
        found.append(least)
    assert found[1] - found[0] == 3 * messages  # a tool use and its result; the lease's part is none of it
    assert found[0] == (5 if messages else 1)


def test_a_lease_that_goes_from_hand_to_hand_adds_two_round_trips_to_the_reload(place: Place) -> None:
    assert place.costs(hands=2, exclusive=True) == place.costs(hands=2) + 2
