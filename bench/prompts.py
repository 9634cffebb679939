"""What a prompt of a long history costs, beside reading all of it: Redis on its wire, S3 by the bucket of `service`."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, get_args

from bench import redis_server
from bench.service import Bucket
from bench.wire import Wire
from strands_session_store import codec, layout, open_store, records, rows
from strands_session_store.prompts import Name
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Append, PutDoc, Store, new_commit_id
from strands_session_store.stores.objects import ObjectStore

MESSAGES = 10_000

Op = Callable[[Sessions], object]
OPS: dict[str, Op] = {
    **{name: lambda s, name=name: s.prompt("talk", strategy=name) for name in get_args(Name)},
    "conversation, of 50 turns": lambda s: s.prompt("talk", max_turns=50),
    "all messages": lambda s: s.prompt("talk", strategy=lambda history: list(history.oldest())),
}


def prompts(messages: int = MESSAGES) -> list[list[Any]]:
    """A row for each strategy: round trips and kB of Redis, requests and kB of S3."""
    table: dict[str, list[Any]] = {name: [name] for name in OPS}
    if redis_server.possible():
        with redis_server.server() as port:
            wire = Wire(port)
            with open_store(f"redis://127.0.0.1:{wire.port}/0") as store:
                fill(store, messages)
                Sessions(store).get("talk")  # connects
                for name, op in OPS.items():
                    wire.reset()
                    op(Sessions(store))
                    table[name] += [wire.trips, wire.down / 1000]
    else:
        table = {name: [name, None, None] for name in OPS}
    bucket = Bucket()
    with ObjectStore(bucket) as store:
        fill(store, messages)
    for name, op in OPS.items():
        bucket.asked.clear()
        bucket.got = 0
        with ObjectStore(bucket) as store:  # it has no page at hand
            op(Sessions(store))
        table[name] += [bucket.asked.total(), bucket.got / 1000]
    return list(table.values())


def fill(store: Store, messages: int) -> None:
    """A session as its agent makes it, with a tool call in each turn and a commit for it: 0.5 kB a message."""
    record, drawn = records.Session(session_id="talk", created=1.5e9), random.Random(1)

    def text() -> str:
        return drawn.randbytes(250).hex()  # does not compress as repeated words do

    space, own = layout.session_space("talk", None), PutDoc(layout.SESSION, codec.dump_document(record))
    store.commit(space, own, commit_id=new_commit_id(), summary=rows.summary(record))
    for at in range(0, messages, 4):
        use = {"toolUseId": f"use-{at}", "name": "look", "input": {"at": at}}
        result = {"toolUseId": f"use-{at}", "status": "success", "content": [{"text": text()}]}
        blocks = ({"text": text()}, {"toolUse": use}, {"toolResult": result}, {"text": text()})
        said = [
            {"role": ("user", "assistant")[i % 2], "content": [block], "tracking_id": f"message-{at + i}"}
            for i, block in enumerate(blocks)
        ]
        entries = [codec.dump(records.Message(message=message, at=1.5e9 + at)) for message in said]
        store.commit(space, Append(layout.history("default"), entries), commit_id=new_commit_id())
