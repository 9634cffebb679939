"""Where the rows of a listing are: three sorted sets, none of which holds more than names and times.

A space is named in the group of its owner, in that of its parent (if it has one) and in that of all. What a row shows
beside its times is read from the space itself, in the same trip that tells whether the space still exists: so an
expired, evicted or half-made space is never listed, a summary is never stale, and a commit has nothing to write here
but `updated`, once a minute. Each group is one key, in any slot.

A space that is moved below another parent is named there first, then it says so itself, then the old name goes: what
is left of that, should somebody be stopped in between, is not listed, since the space says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ... import ids
from ..base import Order, Query, Space
from .scripts import INDEX, Ask
from .spelling import spell


class Found(NamedTuple):
    """A row of a group; whether its space exists is not known yet."""

    space: Space
    name: bytes
    created: float
    updated: float

    def time(self, order: Order) -> float:
        return self.created if order is Order.CREATED else self.updated


class Group(NamedTuple):
    """The key of one group, and the space's name in it."""

    key: bytes
    name: bytes

    def ask(self, verb: bytes, *args: bytes | str | int) -> Ask:
        return Ask(INDEX, (self.key,), (verb, self.name, *args))


def groups_of(prefix: bytes, space: Space, parent: str | None) -> list[Group]:
    kind, owner, id = (part.encode() for part in space.key)
    groups = [Group(_key(prefix, b"%s:%s" % (kind, owner)), id), Group(_key(prefix, kind), name_among_all(owner, id))]
    return groups if parent is None else [*groups, group_below(prefix, space, parent)]


def group_below(prefix: bytes, space: Space, parent: str) -> Group:
    kind, owner, id = (part.encode() for part in space.key)
    return Group(_key(prefix, _below(kind, owner, parent)), id)


def name_among_all(owner: bytes, id: bytes) -> bytes:
    # a blank is below all that an escaped id may hold, so names sort as (owner, id) do
    return owner + b" " + id


def _below(kind: bytes, owner: bytes, parent: str) -> bytes:
    try:
        name = ids.escape(parent)
    except UnicodeEncodeError:  # a lone surrogate: a parent is no id that was checked. No escaped id holds a tilde
        name = "~" + spell(parent).hex()
    return b"%s:%s:%s" % (kind, owner, name.encode())


def _key(prefix: bytes, tag: bytes) -> bytes:
    # the key of a space ends with the brace, whatever its prefix
    return b"%s:{%s}:index" % (prefix, tag)


def ask_page(prefix: bytes, query: Query, behind: tuple[float, str, str] | None, limit: int) -> Ask:
    """Asks for ``limit`` rows behind the cursor."""
    kind = query.kind.encode()
    owner = (ids.NO_OWNER if query.owner is None else ids.escape(query.owner)).encode()
    if query.everyone:
        key = _key(prefix, kind)
    elif query.parent is not None:
        key = _key(prefix, _below(kind, owner, query.parent))
    else:
        key = _key(prefix, b"%s:%s" % (kind, owner))
    time, name = "", b""
    if behind is not None:
        time = repr(behind[0])
        name = name_among_all(behind[1].encode(), behind[2].encode()) if query.everyone else behind[2].encode()
    return Ask(
        INDEX,
        (key,),
        (
            b"page",
            b"c" if query.order is Order.CREATED else b"u",
            b"-" if query.descending else b"+",
            "" if query.since is None else repr(query.since),
            "" if query.until is None else repr(query.until),
            time,
            name,
            limit,
        ),
    )


def key_of(prefix: bytes, query: Query, name: bytes) -> bytes:
    """Of the space with this name in the group that is listed."""
    owner = (ids.NO_OWNER if query.owner is None else ids.escape(query.owner)).encode()
    whose = name.replace(b" ", b":") if query.everyone else b"%s:%s" % (owner, name)
    return b"%s:{%s:%s}" % (prefix, query.kind.encode(), whose)


def found_in(query: Query, reply: Sequence[bytes]) -> list[Found]:
    found = []
    for name, created, updated in zip(reply[::3], reply[1::3], reply[2::3]):
        owner, _, id = name.decode("ascii").rpartition(" ")
        whose = query.owner
        if query.everyone and owner != ids.NO_OWNER:
            whose = ids.unescape(owner)
        found.append(Found(Space(query.kind, whose, ids.unescape(id)), name, float(created), float(updated)))
    return found
