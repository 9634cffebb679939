"""Listings of the port: by the page, with the complaint about a cursor told as ours, and whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

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


def every(store: Store, query: Query) -> Iterator[Row]:
    """All rows from the query's cursor on, page by page as they are read."""
    while True:
        page = listed(store, query)
        yield from page.rows
        if page.cursor is None:
            return
        query = replace(query, cursor=page.cursor)


def behind(query: Query, row: Row) -> str:
    """The cursor that goes on behind this row."""
    time = row.created if query.order.value == "created" else row.updated
    return write_cursor(query.order, time, *row.space.key[1:])
