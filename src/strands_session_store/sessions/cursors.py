"""A listing of the port, with its complaint about a cursor told as ours."""

from __future__ import annotations

from ..errors import InvalidCursorError
from ..stores.base import Page, Query, Row, Store
from ..stores.paging import read_cursor, write_cursor


def listed(store: Store, query: Query) -> Page:
    """One page.

    Raises:
        InvalidCursorError: The cursor is none of this listing.
    """
    try:
        read_cursor(query)
    except ValueError as error:
        raise InvalidCursorError(f"{error}; hand on the cursor of the page before, with the same order") from None
    return store.list(query)


def behind(query: Query, row: Row) -> str:
    """The cursor that goes on behind this row."""
    time = row.created if query.order.value == "created" else row.updated
    return write_cursor(query.order, time, *row.space.key[1:])
