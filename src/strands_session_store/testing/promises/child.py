"""A process that does to the store at a URL what its arguments say, and tells its parent how far it is."""

from __future__ import annotations

import random
import sys

from ...stores import open_store
from ...stores.base import Add, Append, Counters, Log, PutDoc, Store, Summary, new_commit_id
from .binding import SPACE


def length(store: Store) -> None:
    print(store.read(SPACE, Log("log")).logs["log"].length)


def append(store: Store, number: int, count: int) -> None:
    """Wait for a line, then append one entry a commit."""
    print("ready", flush=True)
    sys.stdin.readline()
    for at in range(count):
        store.commit(SPACE, Append("log", [b"%d %d" % (number, at)]), Add("n", 1), commit_id=new_commit_id())
    print("done", flush=True)


def grow(store: Store) -> None:
    """Commit until killed: documents, logs and a counter that all hold the number of commits. Each is acknowledged."""
    count = store.read(SPACE, Counters(["n"])).counters.get("n", 0)
    print(count, flush=True)
    while True:
        count += 1
        number, padding = b"%d" % count, bytes(random.choice((10, 1000, 30_000, 200_000)))
        changes = PutDoc("a", number), PutDoc("b", number), Append("other", [number], count - 1), Add("n", 1)
        store.commit(
            SPACE,
            *changes,
            Append("log", [number + b" " + padding], count - 1),
            commit_id=new_commit_id(),
            summary=Summary(number),
        )
        print(count, flush=True)


if __name__ == "__main__":
    verb, url, *numbers = sys.argv[1:]
    with open_store(url) as store:
        if verb == "append":
            append(store, *map(int, numbers))
        else:
            {"length": length, "grow": grow}[verb](store)
