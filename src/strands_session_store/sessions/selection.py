"""Which sessions and users are meant: those of one owner, some of these, or all there are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from .. import ids as _ids
from .. import layout
from ..stores.base import Order, Query, Space, Store
from . import cursors
from .checks import owner
from .ended import segments_of
from .shapes import MAX_PAGE


def selected(
    store: Store, user_id: str | None, everyone: bool, ids: Collection[str] | None
) -> tuple[Iterator[Space], int | None]:
    """The spaces, users first, oldest first; and how many they are, if that is known without walking them.

    Those of an owner, or of all, are told by the index: some may be gone, or in the making. Those named by ``ids`` are
    told as they were named, each with its segments behind it, also those that have ended since.

    Raises:
        ValueError: The arguments contradict each other.
    """
    user_id = owner(user_id)
    if everyone and (user_id is not None or ids is not None):
        raise ValueError("everyone=True takes all sessions of all users; user_id and ids must be None with it")
    if ids is None:
        return _all(store, user_id, everyone), None
    if isinstance(ids, str):
        raise ValueError(f"ids must be a collection of session ids, not one text: {ids!r}")
    named = [layout.session_space(_ids.check("ids", id), user_id) for id in dict.fromkeys(ids)]
    return _with_segments(store, named), None


def _with_segments(store: Store, named: Iterable[Space]) -> Iterator[Space]:
    for space in named:
        yield space
        yield from segments_of(store, space)


def _all(store: Store, user_id: str | None, everyone: bool) -> Iterator[Space]:
    if everyone:
        yield from _listed(store, Query("user"))
    elif user_id is not None:
        yield layout.user_space(user_id)
    yield from _listed(store, Query("session", user_id, everyone=everyone))


def _listed(store: Store, query: Query) -> Iterator[Space]:
    # oldest first: so the order of a list by creation is the same where they are written
    query = replace(query, order=Order.CREATED, descending=False, limit=MAX_PAGE)
    return (row.space for row in cursors.every(store, query))
