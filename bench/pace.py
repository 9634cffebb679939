"""How long a commit and a resume on Redis take beside the least that redis-py can do, in one run, in turns."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from bench import work
from bench.redis_server import server
from strands_session_store import codec, layout, records
from strands_session_store.plugin.loading import load
from strands_session_store.stores import open_store
from strands_session_store.stores.base import ABSENT, Add, Append, Expect, PutDoc, Store, new_commit_id

ROUNDS = 40
SESSIONS = 20


@contextmanager
def _delayed(port: int, milliseconds: float) -> Iterator[int]:
    command = [sys.executable, "-m", "bench.delay", str(port), str(milliseconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        yield int(process.stdout.readline())
        process.stdin.close()


def pace(count: int) -> list[list[Any]]:
    """Medians, in microseconds, of ``count`` commits and resumes each.

    A commit is what the manager makes of a message of 2 kB; its floor a pipeline of RPUSH and HSET with the same text.
    A resume reads and decodes a session of N messages of 300 B; its floor a pipeline of LRANGE and HGETALL, decoded.
    """
    import redis

    rows: list[list[Any]] = []
    with ExitStack() as stack:
        port = stack.enter_context(server())
        for latency in (0.0, 0.5):
            at = stack.enter_context(_delayed(port, latency)) if latency else port
            client = stack.enter_context(redis.Redis(port=at))
            client.flushall()
            store = stack.enter_context(open_store(f"redis://127.0.0.1:{at}/0"))
            for what, floor, ours in (
                ("commit, 2 kB", _raw_commit(client), _our_commit(store)),
                ("resume, 40 messages", _raw_resume(client, 40), _our_resume(store, 40)),
                ("resume, 1,000 messages", _raw_resume(client, 1000), _our_resume(store, 1000)),
            ):
                raw, own = _compare(floor, ours, count if "1,000" not in what else max(ROUNDS, count // 10))
                rows.append([what, latency, raw, own, own / raw])
    return rows


def _compare(floor: Callable[[], None], ours: Callable[[], None], count: int) -> tuple[float, float]:
    """Median microseconds of both, in short stretches by turns, so that both meet the machine in the same moods."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for each, found in zip((floor, ours), times):
            each()
            for _ in range(max(1, count // ROUNDS)):
                began = time.perf_counter()
                each()
                found.append(time.perf_counter() - began)
    return 1e6 * statistics.median(times[0]), 1e6 * statistics.median(times[1])


def _raw_commit(client: Any) -> Callable[[], None]:
    text = json.dumps({"role": "user", "content": [{"text": work.text(2000, 0)}]})

    def commit() -> None:
        with client.pipeline(transaction=False) as pipe:
            pipe.rpush("raw:messages", text)
            pipe.hset("raw:state", mapping={"state": "{}", "updated": "2026-01-01T00:00:00Z"})
            pipe.execute()

    return commit


def _our_commit(store: Store) -> Callable[[], None]:
    # by turns in many sessions: a commit looks for its id among those of the last two minutes, and no single session
    # has hundreds of them
    log, fence = layout.history("bench"), layout.writer("bench")
    message: Any = {"role": "user", "content": [{"text": work.text(2000, 0)}], "tracking_id": "x" * 36}
    entry = codec.dump(records.Message(message=message, at=time.time()))
    spaces = [layout.session_space(f"commits-{at}", None) for at in range(SESSIONS)]
    firsts = [store.commit(s, PutDoc(fence, b"{}"), commit_id=new_commit_id(), on=ABSENT, ttl=None) for s in spaces]
    count = 0

    def commit() -> None:
        nonlocal count
        length, at = divmod(count, SESSIONS)
        changes = Append(log, [entry], at=length), Add("messages", 1), Expect(fence, firsts[at].version)
        store.commit(spaces[at], *changes, commit_id=new_commit_id(), on=firsts[at].incarnation, ttl=None)
        count += 1

    return commit


def _raw_resume(client: Any, count: int) -> Callable[[], None]:
    key = f"raw:{count}"
    client.rpush(key, *[json.dumps(message) for message in work.conversation(count, 300)])
    client.hset(f"{key}:state", mapping={"state": "{}", "updated": "2026-01-01T00:00:00Z"})

    def resume() -> None:
        with client.pipeline(transaction=False) as pipe:
            messages, _ = pipe.lrange(key, 0, -1).hgetall(f"{key}:state").execute()
        assert len([json.loads(message) for message in messages]) == count

    return resume


def _our_resume(store: Store, count: int) -> Callable[[], None]:
    from strands_session_store import StoreSessionManager

    id = f"resumed-{count}"
    manager = StoreSessionManager(id, store)
    agent = work.agent(
        300,
        session_manager=manager,
        agent_id="bench",
        messages=work.conversation(count, 300),
        conversation_manager=None,
    )
    manager.sync_agent(agent)
    manager.flush()
    space = layout.session_space(id, None)

    def resume() -> None:
        assert len(load(store, space, ["bench"]).agents["bench"].history) == count

    return resume
