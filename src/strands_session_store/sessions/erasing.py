"""Erasing, whole, with a receipt. Interrupted, it is repeated: what is gone already is not told again."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .. import ids, layout, records
from ..stores.base import Order, Query, Space, Store
from . import cursors
from .access import told
from .shapes import MAX_PAGE, Receipt

Progress = Callable[[Receipt], None]
"""Told what was erased so far, after each session."""


def erase_user(store: Store, user_id: str, progress: Progress | None = None) -> Receipt:
    """Erase all that a user owns, and the user's record last: so what was interrupted can be told by it.

    Sessions that are made while it runs are erased too, as long as they come before its last look.
    """
    owner = ids.check("user_id", user_id)
    receipt = Receipt()
    while True:
        found = store.list(Query("session", owner, order=Order.CREATED, limit=MAX_PAGE)).rows
        dropped = False
        for row in found:
            gone = store.drop(row.space)
            dropped |= gone.existed
            receipt = receipt.plus(gone, row.space.id)
            if progress is not None:
                progress(receipt)
        if not dropped:
            break
    return receipt.plus(store.drop(layout.user_space(owner)))


def erase_session(
    store: Store,
    space: Space,
    segments: Iterable[Space],
    receipt: Receipt | None = None,
    progress: Progress | None = None,
) -> Receipt:
    """Erase a session, after its segments (`ending.segments_of`). Repeatable.

    Args:
        store: Where.
        space: Of the session.
        segments: Theirs.
        receipt: Of what was erased with it before.
        progress: Called with what was erased so far, after each.
    """
    receipt = receipt or Receipt()
    parts = [*segments]
    for one in (*parts, space):
        receipt = receipt.plus(store.drop(one), one.id)
        if progress is not None:
            progress(receipt)
    if parts:  # one that ended meanwhile
        query = Query("session", space.owner, parent=space.id, order=Order.CREATED, limit=MAX_PAGE)
        for row in list(cursors.every(store, query)):
            session = told(store, records.Session, row)
            if session is not None and session.segment is not None:
                receipt = receipt.plus(store.drop(row.space), row.space.id)
    return receipt
