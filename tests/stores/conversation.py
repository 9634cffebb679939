"""A conversation in a store, message by message; and whether it is there whole, once."""

from __future__ import annotations

from typing import Any

from strands_session_store.stores.base import Add, Append, Counters, Doc, Log, PutDoc, Space, Store, new_commit_id

SPACE = Space("session", "ann", "one")


def prefix_of(url: str) -> str:
    return url.partition("prefix=")[2] or "strands"


def key_of(url: str, space: Space = SPACE) -> str:
    """Of the hash that is the space."""
    return f"{prefix_of(url)}:{{{space.kind}:{space.owner}:{space.id}}}"


def say(store: Store, at: int, space: Space = SPACE, commit_id: str | None = None, **options: Any) -> Any:
    """One message of a conversation, which believes that there are ``at`` before it."""
    return store.commit(
        space,
        Append("log", [b"%d" % at], at),
        PutDoc("doc", b"%d" % at),
        Add("n", 1),
        commit_id=commit_id or new_commit_id(),
        **options,
    )


def told(store: Store, count: int, space: Space = SPACE) -> None:
    """The conversation is there whole, once."""
    look = store.read(space, Doc("doc"), Counters(["n"]), Log("log", [(0, None)]))
    entries = dict(look.logs["log"].entries)
    assert look.docs["doc"].data == b"%d" % (count - 1) and look.counters == {"n": count} and look.revision == count
    while look.more:
        look = store.read(space, *look.more)
        entries |= look.logs["log"].entries
    assert entries == {at: b"%d" % at for at in range(count)}
