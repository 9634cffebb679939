"""What the service and its HTTP layer add to a request: the routes on SQLite and on Redis, the same routes without a
store, and bare routes of FastAPI, each served by uvicorn in a process of its own (`rest_server`).

They take turns in each round, so that all of them meet the machine in the same moods; what is claimed are their ratios.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench import redis_server
from bench.load import Request, Round, load
from bench.rest_server import SIZE, TALKS, fill, name
from bench.work import text
from strands_session_store import open_store
from strands_session_store.rest import ApiKeyAuth
from strands_session_store.sessions import Sessions

LIST = "/api/agent-sessions?pageSize=20"
SESSION = "/api/agent-sessions/{}"
SAID = {"role": "user", "content": text(SIZE, "said")}

ROUTES: dict[str, Callable[[int], Request]] = {
    "list 20": lambda at: Request("GET", LIST),
    "get": lambda at: Request("GET", SESSION.format(name(at))),
    "append": lambda at: Request("POST", f"{SESSION.format(name(at))}/messages", SAID),
    "conversation": lambda at: Request(
        "POST", SESSION.format("conversation"), {"session_id": name(at), "messages": [SAID]}
    ),
}
AT_ONCE = (1, TALKS)
HEAD = [
    "route",
    "at once",
    "server",
    "requests/s",
    "p99 ms",
    "CPU ms",
    "time: x bare",
    "x without",
    "CPU: x bare",
    "x without",
]


def rest(seconds: float, rounds: int, routes: Sequence[str] = ()) -> list[list[Any]]:
    """A row for each route, number of requests at once, and server.

    Args:
        seconds: Of each round of each.
        rounds: Of these the medians are shown, also of the ratios.
        routes: Only these; none: all.
    """
    rows: list[list[Any]] = []
    with servers() as (ports, key):
        fixed = ports.pop("fixed")
        for count in AT_ONCE:
            own = measured({"fixed": fixed}, _requests("get", count, key), seconds, rounds)["fixed"]
            rows.append(
                ["(the load itself)", count, "fixed", *_medians((r.rate, r.p99, r.own) for r in own), *[None] * 4]
            )
        for route in routes or ROUTES:
            for count in AT_ONCE:
                found = measured(ports, _requests(route, count, key), seconds, rounds)
                for who, all in found.items():
                    told = _medians((r.rate, r.p99, r.cpu) for r in all)
                    beside: list[Any] = []
                    for other in ("bare", "without"):
                        pairs = zip(all, found[other])
                        beside.append(_medians((its.rate / mine.rate, mine.cpu / its.cpu) for mine, its in pairs))
                    (time, time_without), (cpu, cpu_without) = zip(*beside)
                    rows.append([route, count, who, *told, time, time_without, cpu, cpu_without])
    return rows


def measured(ports: Mapping[str, int], requests: list[bytes], seconds: float, rounds: int) -> dict[str, list[Round]]:
    """The rounds of each server."""
    found: dict[str, list[Round]] = {who: [] for who in ports}
    for port in ports.values():
        load(port, requests, seconds / 3)  # what is made once
    turn = [*ports.items()]
    for at in range(rounds):
        for who, port in turn[at % len(turn) :] + turn[: at % len(turn)]:
            found[who].append(load(port, requests, seconds))
    return found


def _medians(rows: Iterable[tuple[float, ...]]) -> list[float]:
    return [statistics.median(column) for column in zip(*rows)]


def _requests(route: str, count: int, key: str) -> list[bytes]:
    return [ROUTES[route](at).encoded({"X-API-Key": key}) for at in range(count)]


@contextmanager
def servers() -> Iterator[tuple[dict[str, int], str]]:
    """Their ports by what they are, and the key of the one who may ask them."""
    key, digest = ApiKeyAuth.create()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        urls = {"SQLite": f"sqlite:///{Path(folder, 'sessions.db')}"}
        if redis_server.possible():
            urls["Redis"] = f"redis://127.0.0.1:{stack.enter_context(redis_server.server())}/0"
        for url in urls.values():
            with open_store(url) as store:
                fill(Sessions(store))
        wanted = {"fixed": {"kind": "fixed"}, "bare": {"kind": "bare"}, "without": {"kind": "without", "key": digest}}
        wanted |= {who: {"kind": "ours", "key": digest, "url": url} for who, url in urls.items()}
        yield {who: stack.enter_context(_served(one)) for who, one in wanted.items()}, key


@contextmanager
def _served(wanted: dict[str, str]) -> Iterator[int]:
    command = [sys.executable, "-m", "bench.rest_server", json.dumps(wanted)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait(60)
