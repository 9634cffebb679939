"""What RedisStore asks of a server: round trips, commands and time, whatever else is in it."""

# ruff: noqa: E402 - what needs redis is imported once it is known to be there
from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest

redis = pytest.importorskip("redis")

from tests.stores.clock import Clocked
from tests.stores.servers import Server, Servers

from strands_session_store.stores import open_store
from strands_session_store.stores.base import (
    ABSENT,
    Add,
    Append,
    Counters,
    Doc,
    Docs,
    Log,
    PutDoc,
    Query,
    Replace,
    Space,
    Store,
    Summary,
    Trim,
    new_commit_id,
)
from strands_session_store.stores.counting import Counting
from strands_session_store.stores.redis.links import Wire

SPACE = Space("session", "ann", "one")
COMMANDS = {
    *("time", "exists", "pexpire", "persist", "pttl", "unlink"),
    *("hmget", "hget", "hset", "hdel", "hstrlen"),
    *("zadd", "zrem", "zscore", "zrangebyscore", "zrevrangebyscore"),
}
"""All that may be asked of a server's data. None walks: a keyspace, a hash or a set."""


class Trips:
    """Counts sendings: what goes out together is one round trip, to however many nodes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        send = Wire.send

        def counted(wire: Wire, *args: Any, **options: Any) -> None:
            self.count += 1
            send(wire, *args, **options)

        monkeypatch.setattr(Wire, "send", counted)

    def of(self, act: Any) -> int:
        before = self.count
        act()
        return self.count - before


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> Trips:
    return Trips(monkeypatch)


@pytest.fixture
def server(alone: Callable[..., Server]) -> Server:
    return alone()


def message(store: Store, size: int = 300, space: Space = SPACE, **options: Any) -> Any:
    changes = Append("log", [os.urandom(size)]), PutDoc("doc", b"x" * 100), Add("n", 1), Add("m", 100)
    return store.commit(space, *changes, commit_id=new_commit_id(), **options)


class Costs:
    """What each act costs a server: round trips, and how often each command is called (also by scripts)."""

    def __init__(self, admin: Any, trips: Trips) -> None:
        self.admin, self.trips = admin, trips
        self.found: dict[str, tuple[int, dict[str, int]]] = {}

    def of(self, name: str, act: Callable[[], Any]) -> None:
        self.admin.config_resetstat()
        trips = self.trips.of(act)
        stats = self.admin.info("commandstats")
        calls = {command.removeprefix("cmdstat_"): about["calls"] for command, about in stats.items()}
        self.found[name] = trips, {command: count for command, count in calls.items() if "config" not in command}


def test_costs_do_not_depend_on_what_else_is_there(alone: Callable[..., Server], trips: Trips) -> None:
    def costs(foreign: int) -> Costs:
        server = alone()
        with contextlib.closing(server.client()) as admin, open_store(server.url) as store:
            if foreign:
                admin.mset({f"strands:foreign{at}": 1 for at in range(foreign)})
            for at in range(3):  # the server knows all scripts then, the store has its connection
                message(store, space=Space("session", "bob", f"{at}"))
                store.read(Space("session", "bob", f"{at}"), Doc("doc"))
                store.list(Query("session", "bob"))
            store.drop(Space("session", "bob", "0"))
            found = Costs(admin, trips)
            found.of("create", lambda: message(store, on=ABSENT, summary=Summary(b"s", "p")))
            made = message(store)
            found.of("commit", lambda: message(store))
            found.of("commit with ttl", lambda: message(store, on=made.incarnation, ttl=1000.0))
            for _ in range(3):
                store.commit(SPACE, Append("log", [bytes(300)] * 1000), commit_id=new_commit_id())
            found.of("commit behind 3,000", lambda: message(store))
            wants = Docs(""), Doc("doc"), Log("log", last=990), Counters(["n"])
            found.of("read", lambda: store.read(SPACE, *wants))
            found.of("list", lambda: store.list(Query("session", "ann")))
            found.of("list with counters", lambda: store.list(Query("session", "ann", counters=["n", "m", "none"])))
            found.of("list all", lambda: store.list(Query("session", everyone=True)))
            found.of("drop", lambda: store.drop(SPACE))
        return found

    among_few, among_many = costs(0).found, costs(100_000).found
    assert among_few == among_many
    assert {name: count for name, (count, _) in among_few.items()} == {
        "create": 1, "commit": 1, "commit with ttl": 1, "commit behind 3,000": 1, "read": 1,
        "list": 2, "list with counters": 2, "list all": 2, "drop": 2,
    }  # fmt: skip
    assert among_few["commit"][1] == among_few["commit behind 3,000"][1]


def test_moving_the_row_costs_a_trip_once_a_minute(clocked_standalone: Clocked, trips: Trips) -> None:
    with clocked_standalone.stopped() as clock, open_store(clock.url) as store:
        message(store)
        counts = []
        for _ in range(6):
            clock.now += 30
            counts.append(trips.of(lambda: message(store)))
        assert counts == [1, 2, 1, 2, 1, 2]


def test_moving_a_space_below_another_parent_costs_one_trip_more_than_another_summary(
    server: Server, trips: Trips
) -> None:
    def tell(store: Store, data: bytes, parent: str | None) -> int:
        return trips.of(lambda: store.commit(SPACE, commit_id=new_commit_id(), summary=Summary(data, parent)))

    with open_store(server.url) as store, contextlib.closing(server.client()) as admin:
        told = ((b"1", "p"), (b"1", "p"), (b"2", "p"), (b"2", "q"), (b"3", "q"), (b"3", None), (b"3", "p"), (b"4", "q"))
        assert [tell(store, *some) for some in told] == [1, 1, 2, 3, 2, 2, 3, 3]
        assert trips.of(lambda: message(store)) == 1
        assert sorted(admin.keys("*:index")) == [
            b"strands:{session:ann:q}:index",
            b"strands:{session:ann}:index",
            b"strands:{session}:index",
        ]
        # one that knows nothing of the space yet
        with open_store(server.url) as other:
            assert tell(other, b"5", "p") == 3


def test_a_store_that_knows_nothing_of_a_space_still_needs_one(server: Server, trips: Trips) -> None:
    with open_store(server.url) as store, open_store(server.url) as other:
        assert trips.of(lambda: message(store)) == 1
        assert trips.of(lambda: message(other)) == 1
        assert trips.of(lambda: other.read(SPACE, Doc("doc"))) == 1


def test_round_trips_in_a_cluster(cluster: Servers, trips: Trips) -> None:
    with open_store(cluster.url) as store:
        message(store)
        for at in range(20):  # scripts become known to each node
            message(store, space=Space("session", "ann", f"{at}"))
        assert trips.of(lambda: message(store)) == 1
        assert trips.of(lambda: store.read(SPACE, Doc("doc"))) == 1
        # the claims go to at most two nodes at once, the commit behind them
        assert trips.of(lambda: message(store, space=Space("session", "ann", "new"), on=ABSENT)) <= 3
        # a summary touches the rows, on at most three nodes at once; a move is told to make one, then makes it
        for parent in ("p", "q"):
            message(store, summary=Summary(b"", parent))
        assert trips.of(lambda: message(store, summary=Summary(b"same", "q"))) <= 4
        assert trips.of(lambda: message(store, summary=Summary(b"same", "q"))) == 1
        assert trips.of(lambda: message(store, summary=Summary(b"same", "p"))) <= 6


def test_a_large_read_takes_several_calls_and_each_stays_within_the_part(server: Server, trips: Trips) -> None:
    with open_store(server.url) as store:
        for _ in range(8):
            store.commit(SPACE, Append("log", [os.urandom(2**17)] * 8), commit_id=new_commit_id())
        looks: list[Any] = []
        assert trips.of(lambda: looks.append(store.read(SPACE, Log("log", [(0, None)])))) == 3
        assert len(looks[0].logs["log"].entries) == 64 and not looks[0].more
        for _ in range(2):
            store.commit(SPACE, Append("log", [os.urandom(2**17)] * 8), commit_id=new_commit_id())
        looks.append(store.read(SPACE, Log("log", [(0, None)])))
        assert list(looks[1].logs["log"].entries) == list(range(16, 80))
        assert list(store.read(SPACE, *looks[1].more).logs["log"].entries) == list(range(16))


def test_nothing_is_ever_walked(server: Server) -> None:
    with contextlib.closing(server.client()) as admin, open_store(server.url) as store:
        admin.config_resetstat()
        for at in range(200):
            message(store, summary=Summary(b"%d" % at), ttl=1000.0)
        for at in range(20):
            message(store, space=Space("session", "bob", f"{at}"))
        store.commit(SPACE, Replace("log", 199, b""), Trim("log", 150), commit_id=new_commit_id())
        store.read(SPACE, Docs(""), Log("log", [(0, None)], last=3, since="n"), Counters(["n"]))
        store.list(Query("session", "bob", limit=5))
        store.list(Query("session", everyone=True))
        assert isinstance(store, Counting) and store.count(Query("session", everyone=True))[1]
        store.drop(SPACE)
        stats = admin.info("commandstats")
        used = {name.removeprefix("cmdstat_").partition("|")[0] for name in stats}
        assert used <= {"eval", "evalsha", "ping", "client", "hello", "config", "info", *COMMANDS}


def test_no_script_names_another_command() -> None:
    files = [file for file in resources.files("strands_session_store.stores.redis").iterdir() if ".lua" in file.name]
    calls = "".join(file.read_text("utf-8") for file in files)
    named = re.findall(r"redis\.p?call\('([A-Z]+)'", calls)
    assert len(named) == len(re.findall(r"redis\.p?call\b", calls)) > 20
    assert {name.lower() for name in named} <= COMMANDS


def test_a_script_is_sent_once(server: Server) -> None:
    with contextlib.closing(server.client()) as admin, open_store(server.url) as store:
        for _ in range(50):
            message(store)
        stats = admin.info("commandstats")
        assert stats["cmdstat_eval"]["calls"] <= 2 and stats["cmdstat_evalsha"]["calls"] >= 49


def test_a_list_costs_its_page(server: Server) -> None:
    with contextlib.closing(server.client()) as admin, open_store(server.url) as store:
        for at in range(300):
            message(store, space=Space("session", "ann", f"{at}"))
        admin.config_resetstat()
        page = store.list(Query("session", "ann", limit=10))
        assert len(page.rows) == 10
        stats = admin.info("commandstats")
        assert sum(value["calls"] for name, value in stats.items() if "eval" in name) <= 12


def test_counting_asks_for_names_and_for_many_spaces_at_once(server: Server, trips: Trips) -> None:
    with contextlib.closing(server.client()) as admin, open_store(server.url) as store:
        assert isinstance(store, Counting)
        for at in range(300):
            message(store, space=Space("session", "ann", f"{at}"))
        counted = []
        store.count(Query("session", "ann"))
        admin.config_resetstat()
        assert trips.of(lambda: counted.append(store.count(Query("session", "ann")))) == 2
        assert counted == [(300, True)]
        assert admin.info("commandstats")["cmdstat_evalsha"]["calls"] == 2


@pytest.mark.parametrize(("size", "most"), [(300, 1.35), (2000, 1.1)])
def test_memory_of_a_message_beside_a_plain_list(server: Server, size: int, most: float) -> None:
    with contextlib.closing(server.client()) as admin, open_store(server.url) as store:
        for _ in range(200):
            data = os.urandom(size)
            admin.rpush("raw", data)
            store.commit(
                SPACE,
                Append("log", [data]),
                PutDoc("doc", b"x" * 300),
                Add("n", 1),
                Add("m", 70),
                commit_id=new_commit_id(),
            )
        ours = admin.memory_usage("strands:{session:ann:one}", samples=0)
        raw = admin.memory_usage("raw", samples=0)
        assert ours / raw <= most, f"{ours / 200:.0f} bytes a message, raw {raw / 200:.0f}"


def test_bytes_on_the_wire(server: Server) -> None:
    with contextlib.closing(server.client()) as admin, open_store(server.url) as store:
        for _ in range(40):
            message(store, 2000)
        store.read(SPACE, Docs(""), Log("log", last=40))

        def flow() -> tuple[int, int]:
            stats = admin.info("stats")
            return stats["total_net_input_bytes"], stats["total_net_output_bytes"]

        empty, start = flow(), flow()
        store.read(SPACE, Docs(""), Log("log", last=40))
        mid = flow()
        message(store, 2000)
        end = flow()
        asking = [start[at] - empty[at] for at in (0, 1)]
        assert (mid[1] - start[1] - asking[1]) / (40 * 2000 + 100) < 1.05
        assert (end[0] - mid[0] - asking[0]) / 2100 < 1.3
