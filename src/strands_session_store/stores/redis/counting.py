"""How many rows a listing has: names from the index, by the thousand, and whether their spaces are there. What a row
shows is not read, which is most of what a listing costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from ..base import Query
from .index import ask_page, found_in, key_of
from .scripts import THERE, Ask

STEP: Final = 1000
"""Rows at a time: so many hold up the server for 2 ms."""


def count(
    ask: Callable[[Sequence[Ask]], list[Any]], prefix: bytes, query: Query, most: int | None, *, apart: bool
) -> tuple[int, bool]:
    """See `Counting.count`; of a listing that is not below a parent, as a space says itself whether it is there still.

    Args:
        ask: The server.
        prefix: Of all keys.
        query: The listing.
        most: Where to stop.
        apart: Whether spaces are asked for one by one, as in a Cluster.
    """
    counted, behind = 0, None
    while True:
        (reply,) = ask([ask_page(prefix, query, behind, STEP)])
        keys = [key_of(prefix, query, name) for name in reply[::3]]
        if keys:
            counted += sum(ask([Ask(THERE, (key,), ()) for key in keys] if apart else [Ask(THERE, tuple(keys), ())]))
        if len(keys) < STEP:
            return counted, True
        if most is not None and counted >= most:
            return counted, False
        (last,) = found_in(query, reply[-3:])
        behind = last.time(query.order), *last.space.key[1:]
