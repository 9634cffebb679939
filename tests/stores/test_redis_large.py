"""RedisStore with what is too large for a script: named by the script, fetched by itself, of the same state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

pytest.importorskip("redis")

from tests.stores.servers import Servers

from strands_session_store.stores import open_store
from strands_session_store.stores.base import Append, Doc, Docs, Log, PutDoc, Replace, Space, new_commit_id
from strands_session_store.stores.redis.links import Wire
from strands_session_store.stores.redis.reads import PART
from strands_session_store.stores.redis.scripts import Ask

SPACE = Space("session", "ann", "one")


@pytest.mark.parametrize("topology", ["standalone", "cluster"])
def test_large_items_come_back_among_small_ones(topology: str, request: pytest.FixtureRequest) -> None:
    servers: Servers = request.getfixturevalue(topology)
    large = bytes(range(256)) * (PART // 256) + b"!"
    entries = [b"first", large, b"", large[::-1], b"last"]
    with open_store(servers.url) as store:
        store.commit(
            SPACE, Append("log", entries[:3]), PutDoc("a", b"a"), PutDoc("b", large), commit_id=new_commit_id()
        )
        store.commit(SPACE, Append("log", entries[3:]), PutDoc("c", b"c"), commit_id=new_commit_id())
        wants: tuple[Doc | Docs | Log, ...] = Doc("a"), Docs(""), Log("log", last=5)
        docs: dict[str, bytes] = {}
        found: dict[int, bytes] = {}
        while wants:
            look = store.read(SPACE, *wants)
            docs |= {path: doc.data for path, doc in look.docs.items()}
            found |= look.logs["log"].entries if "log" in look.logs else {}
            wants = look.more  # type: ignore[assignment]
    assert docs == {"a": b"a", "b": large, "c": b"c"}
    assert [found[index] for index in range(5)] == entries


def test_a_large_item_is_of_the_state_that_all_else_is_of(standalone: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [PART + 1, PART + 2, PART + 3]
    url = standalone.url
    with open_store(url) as store, open_store(url) as other:

        def write(size: int) -> None:
            change = Append("log", [b"x" * size]) if size == PART + 1 else Replace("log", 0, b"x" * size)
            other.commit(SPACE, change, PutDoc("size", b"%d" % size), commit_id=new_commit_id())

        write(sizes.pop(0))
        send = Wire.send

        def torn(wire: Wire, connection: Any, asks: Sequence[Ask], **options: Any) -> None:
            """Another one's commit comes between the script and the fetching of what it named."""
            if len(asks) == 3 and sizes:
                send(wire, connection, asks[:1], **options)
                write(sizes.pop(0))
                asks = asks[1:]
            send(wire, connection, asks, **options)

        monkeypatch.setattr(Wire, "send", torn)
        look = store.read(SPACE, Doc("size"), Log("log", last=1))
        assert not sizes
        if look.more:  # it is left for a read of its own
            look = store.read(SPACE, *look.more, Doc("size"))
        assert len(look.logs["log"].entries[0]) == int(look.docs["size"].data)
