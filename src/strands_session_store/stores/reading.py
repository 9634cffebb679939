"""A read as a whole, also where the port's bound takes several: all of it from one state of the space, or nothing."""

from __future__ import annotations

from dataclasses import replace

from ..errors import Unavailable
from .base import LogView, Look, Space, Store, Want

TRIES = 5


def read_whole(store: Store, space: Space, *wants: Want) -> Look:
    """As `Store.read`, without its bound. One round trip as long as that suffices.

    Raises:
        Unavailable: The space was being changed the whole time.
    """
    for _ in range(TRIES):
        look = first = store.read(space, *wants)
        while look.more and (step := store.read(space, *look.more)).revision == first.revision:
            if step.incarnation != first.incarnation:
                break
            look = _join(look, step)
        if not look.more:
            return look
    raise Unavailable(f"{space.kind} {space.id!r} changed during each of {TRIES} attempts to read it; try again")


def _join(look: Look, step: Look) -> Look:
    logs = dict(look.logs)
    for name, view in step.logs.items():
        entries = {**logs[name].entries, **view.entries} if name in logs else view.entries
        logs[name] = LogView(view.start, view.length, dict(sorted(entries.items())))
    return replace(
        look, docs={**look.docs, **step.docs}, logs=logs, counters={**look.counters, **step.counters}, more=step.more
    )
