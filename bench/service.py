"""What a call of the service costs, in a store with few and with many sessions: round trips on Redis, requests on S3.

Redis is counted on the wire. For S3 the engine is given a bucket in memory whose verbs are counted as the requests they
would be: 100,000 sessions take hours to put into an S3 of the tests.
"""

from __future__ import annotations

import bisect
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from bench import redis_server
from bench.wire import Wire
from strands_session_store import codec, layout, open_store, records, rows
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import PutDoc, Store, new_commit_id
from strands_session_store.stores.objects import ObjectStore
from strands_session_store.stores.objects.blobs import Blob, Blobs, Listed, Refused

OWNER = "ada"
BELOW = 100
"""Sessions below one parent, five of them in a chain."""

Op = Callable[[Sessions], object]


def service(sizes: tuple[int, ...]) -> list[list[Any]]:
    """A row for each call: its cost on each engine and for each number of sessions the owner has."""
    table: dict[str, list[Any]] = {}
    for engine in ("redis", "s3"):
        for size in sizes:
            with _counted(engine) as counted:
                if counted is None:
                    for name in OPS:
                        table.setdefault(name, []).append(None)
                    continue
                store, cost = counted
                fill(store, size)
                sessions = Sessions(store)
                _prepare(sessions)
                for name, op in OPS.items():  # connections, scripts and what is checked once
                    if not name.startswith("erase"):
                        op(sessions)
                for name, op in OPS.items():
                    cost(reset=True)
                    op(sessions)
                    table.setdefault(name, []).append(cost())
    return [[name, *costs] for name, costs in table.items()]


def fill(store: Store, size: int) -> None:
    """So many sessions of one owner, as `Sessions.create` makes them, and another user with 20."""
    for owner, count in ((OWNER, size), ("bob", 20)):
        for at in range(count):
            record = records.Session(session_id=f"s{at:06}", user_id=owner, title=f"session {at}")
            store.commit(
                layout.session_space(record.session_id, owner),
                PutDoc(layout.SESSION, codec.dump_document(record)),
                commit_id=new_commit_id(),
                summary=rows.summary(record),
            )


def _prepare(sessions: Sessions) -> None:
    sessions.create("root", OWNER)
    for at in range(BELOW):
        parent = f"c{at - 1}" if 0 < at < 5 else "root"
        sessions.create(f"c{at}", OWNER, parent_id=parent)
    sessions.create("talk", OWNER)
    said = [
        {"role": ("user", "assistant")[at % 2], "content": f"{at} " * 50, "tracking_id": f"m{at}"} for at in range(400)
    ]
    for at in range(0, 400, 2):
        sessions.messages.append("talk", said[at : at + 2], OWNER)


def _delete_one(sessions: Sessions) -> None:
    sessions.delete(_another("s", sessions), OWNER)


def _run(sessions: Sessions) -> None:
    with sessions.run("talk", OWNER):
        pass


def _another(prefix: str, sessions: Sessions) -> str:
    """An id that was not given yet."""
    count = sessions.__dict__.setdefault("_bench_count", [9])
    count[0] += 1
    return f"{prefix}{count[0]:06}"


def _last(page: Any) -> None:
    assert len(page.entries) == 50


OPS: dict[str, Op] = {
    "get": lambda s: s.get("s000001", OWNER),
    "create": lambda s: s.create(user_id=OWNER),
    "create, below a parent": lambda s: s.create(user_id=OWNER, parent_id="s000002"),
    "update": lambda s: s.update("s000001", OWNER, title="new"),
    "metadata: get": lambda s: s.metadata("s000001", OWNER).get("a"),
    "metadata: set": lambda s: s.metadata("s000001", OWNER).set("a", 1),
    "list: 50 newest": lambda s: _page(s.list(OWNER), 50),
    "list: 50 oldest": lambda s: _page(s.list(OWNER, descending=False), 50),
    "list: 50 used last": lambda s: _page(s.list(OWNER, order="updated"), 50),
    "list: the 50 after a page": lambda s: _page(s.list(OWNER, cursor=_cursor(s)), 50),
    "list: 50 of a parent": lambda s: _page(s.list(OWNER, parent_id="root"), 50),
    "children (96)": lambda s: s.children("root", OWNER),
    "tree (101)": lambda s: s.tree("root", OWNER),
    "ancestors (5)": lambda s: s.ancestors("c4", OWNER),
    "move": lambda s: s.move("c9", "c8" if s.get("c9", OWNER).session.parent_id == "root" else "root", OWNER),
    "total, session": lambda s: s.usage.session("s000001", OWNER),
    "total, subtree (101)": lambda s: s.usage.subtree("root", OWNER),
    "total, user of 20 sessions": lambda s: s.usage.user("bob"),
    "by model, session": lambda s: s.usage.session_by("talk", "model", OWNER),
    "messages: the last 50 of 400": lambda s: _last(s.messages.page("talk", OWNER, limit=50)),
    "messages: get, 10 from the end": lambda s: s.messages.get("talk", "m390", OWNER),
    "messages: 50 before one 200 back": lambda s: s.messages.page("talk", OWNER, before="m200", limit=50),
    "messages: list, 50 behind 200": lambda s: s.messages.list("talk", OWNER, offset=200),
    "messages: append": lambda s: s.messages.append("talk", {"role": "user", "content": "x"}, OWNER),
    "messages: append 100": lambda s: s.messages.append("talk", [{"role": "user", "content": "x"}] * 100, OWNER),
    "messages: count": lambda s: s.messages.count("talk", OWNER),
    "messages: edit, 10 from the end": lambda s: s.messages.edit_metadata("talk", "m390", {"a": 1}, OWNER),
    "messages: redact": lambda s: s.messages.redact("talk", "m380", OWNER),
    "messages: search 400": lambda s: s.messages.search("talk", "nowhere", OWNER),
    "run: start and complete": _run,
    "event": lambda s: s.events.append("talk", records.Event(type="custom", source="system"), OWNER),
    "fork (400 messages), whole": lambda s: s.fork("talk", OWNER),
    "fork, at a message": lambda s: s.fork("talk", OWNER, at="m390"),
    "rewind": lambda s: s.rewind("talk", "m390", OWNER),
    "delete": _delete_one,
    "erase a user of 20 sessions": lambda s: s.erase_user("bob"),
}


def _cursor(sessions: Sessions) -> str:
    found: list[str] = sessions.__dict__.setdefault("_bench_cursor", [])
    if not found:
        found.append(str(sessions.list(OWNER).cursor))
    return found[0]


def _page(page: Any, size: int) -> None:
    assert len(page.sessions) == size, len(page.sessions)


@contextmanager
def _counted(engine: str) -> Iterator[tuple[Store, Callable[..., int]] | None]:
    """A store, and what tells how often its server was asked since it was reset."""
    if engine == "redis":
        if not redis_server.possible():
            yield None
            return
        with redis_server.server() as port:
            wire = Wire(port)

            def trips(reset: bool = False) -> int:
                found = wire.trips
                if reset:
                    wire.reset()
                return found

            with open_store(f"redis://127.0.0.1:{wire.port}/0") as store:
                yield store, trips
        return
    bucket = Bucket()

    def requests(reset: bool = False) -> int:
        found = bucket.asked.total()
        if reset:
            bucket.asked.clear()
        return found

    with ObjectStore(bucket) as store:
        yield store, requests


class Bucket(Blobs):
    """Objects in memory. Counts what would be requests to S3: of a get one for each object, of a list one for each
    1,000 names that were read; and the bytes that were got."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, float]] = {}
        self.keys: list[str] = []
        self.asked: Counter[str] = Counter()
        self.got = 0

    def get(self, keys: Sequence[str]) -> Mapping[str, Blob]:
        self.asked["get"] += len(keys)
        there = [(key, self.objects[key][0]) for key in keys if key in self.objects]
        self.got += sum(len(data) for _, data in there)
        return {key: Blob(data, _tag(data)) for key, data in there}

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_match: str | None = None) -> str:
        self.asked["put"] += 1
        there = _tag(self.objects[key][0]) if key in self.objects else None
        if (if_absent and there is not None) or (if_match is not None and if_match != there):
            raise Refused
        if there is None:
            bisect.insort(self.keys, key)
        self.objects[key] = data, time.time()
        return _tag(data)

    def list(self, prefix: str, *, after: str = "", below: bool = False) -> Iterator[Listed]:
        at = bisect.bisect_right(self.keys, max(after, prefix))
        self.asked["list"] += 1
        read = 0
        while at < len(self.keys) and (key := self.keys[at]).startswith(prefix):
            rest = key[len(prefix) :]
            if read and read % 1000 == 0:
                self.asked["list"] += 1
            read += 1
            if below or "/" not in rest:
                yield Listed(key, len(self.objects[key][0]), self.objects[key][1])
                at += 1
            else:  # S3 gives such a folder as one name
                folder = prefix + rest.partition("/")[0]
                at = bisect.bisect_left(self.keys, folder + "0")  # what follows the slash

    def folders(self, prefix: str) -> Iterator[str]:
        self.asked["list"] += 1
        below = (key[len(prefix) :] for key in self.keys if key.startswith(prefix))
        yield from dict.fromkeys(rest.partition("/")[0] for rest in below if "/" in rest)

    def delete(self, keys: Sequence[str]) -> None:
        self.asked["delete"] += 1
        for key in keys:
            if self.objects.pop(key, None) is not None:
                del self.keys[bisect.bisect_left(self.keys, key)]

    def now(self) -> float:
        return time.time()

    def close(self) -> None:
        pass


def _tag(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()
