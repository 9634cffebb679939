"""How long one command holds up a Redis server, which does nothing else meanwhile: by its own slow log."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from bench.redis_server import server
from strands_session_store.stores import open_store
from strands_session_store.stores.base import Append, Docs, Log, PutDoc, Space, Store, Trim, Want, new_commit_id

MIB = 2**20
PIECE = 4096
"""Bytes of an entry where many make up a size."""
SPACE = Space("session", None, "one")


class Case(NamedTuple):
    what: str
    act: Callable[[], object]
    before: Callable[[], object]
    """Done before each round, not measured."""


def block(rounds: int) -> list[list[Any]]:
    """What is done, by how many scripts, and milliseconds of the longest command: median of the rounds, and worst."""
    import redis

    rows: list[list[Any]] = []
    with server() as port, redis.Redis(port=port) as client, open_store(f"redis://127.0.0.1:{port}/0") as store:
        client.config_set("slowlog-max-len", 10_000)
        for case in _cases(store):
            scripts, longest = 0, []
            for _ in range(rounds):
                case.before()
                client.config_set("slowlog-log-slower-than", 0)
                client.slowlog_reset()
                case.act()
                client.config_set("slowlog-log-slower-than", -1)
                # also what a script calls is logged, but that is shorter than the script
                log = [(entry["command"].split()[0], entry["duration"]) for entry in client.slowlog_get(-1)]
                scripts = sum(command.startswith(b"EVAL") for command, _ in log)
                longest.append(max(took for command, took in log if command not in (b"CONFIG", b"SLOWLOG")) / 1000)
            rows.append([case.what, scripts, statistics.median(longest), max(longest)])
    return rows


def _cases(store: Store) -> Iterator[Case]:
    for size in (300, 2000):
        for count in (40, 1000, 10_000):
            yield _resume(store, count, size)
    for mib in (1, 2, 4, 8, 16):
        data = os.urandom(mib * MIB)
        for shape, entries in (
            ("one entry", [data]),
            ("4 kB each", [data[at : at + PIECE] for at in range(0, len(data), PIECE)]),
        ):
            yield _commit(store, f"{mib} MiB, {shape}", entries)
            yield _read(store, f"{mib} MiB, {shape}", entries)
    for size in (300, 2000):
        filled = f"10,000 x {size:,} B", lambda size=size: _fill(store, 10_000, size)
        yield Case(f"trim of {filled[0]}", lambda: _do(store, Trim("log", 10_000)), filled[1])
        yield Case(f"drop of {filled[0]}", lambda: store.drop(SPACE), filled[1])


def _resume(store: Store, count: int, size: int) -> Case:
    return Case(
        f"resume of {count:,} x {size:,} B",
        lambda: _read_all(store, Docs(""), Log("log", last=count)),
        lambda: _fill(store, count, size),
    )


def _commit(store: Store, what: str, entries: list[bytes]) -> Case:
    return Case(f"commit of {what}", lambda: _do(store, Append("log", entries)), lambda: store.drop(SPACE))


def _read(store: Store, what: str, entries: list[bytes]) -> Case:
    def fill() -> None:
        store.drop(SPACE)
        _do(store, Append("log", entries))

    return Case(f"read of {what}", lambda: _read_all(store, Log("log", [(0, None)])), fill)


def _fill(store: Store, count: int, size: int) -> None:
    """The session made anew, of so many entries."""
    store.drop(SPACE)
    for at in range(0, count, 1000):
        entries = [os.urandom(size) for _ in range(min(1000, count - at))]
        _do(store, Append("log", entries), PutDoc("state", b"x" * 300))


def _do(store: Store, *changes: Any) -> None:
    store.commit(SPACE, *changes, commit_id=new_commit_id())


def _read_all(store: Store, *wants: Want) -> None:
    while wants:
        wants = tuple(store.read(SPACE, *wants).more)
