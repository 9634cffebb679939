"""What one process has of all its sessions: for its end, for a fork, and for what dropped session managers left.

Law: a finalizer runs in the midst of anything, also where a lock is held that it would need; so it only appends.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING

from ..errors import StoreError
from ..stores.base import Space, Store

if TYPE_CHECKING:
    from .session import BareSession
    from .writer import Writer

live: weakref.WeakSet[BareSession] = weakref.WeakSet()
_left: deque[Writer] = deque()
"""Of session managers that were dropped. Whoever stores next in this process tries them once, its end once more."""
_tried: list[Writer] = []
_moving = threading.Lock()
"""Held while writers move from the one to the other; never by a finalizer."""
LEFT = 1_000
"""So many writers may be left by dropped session managers: a server has one a request. From there on what fails is
raised in every mode, at the end of the invocation."""


def dropped(writer: Writer) -> None:
    """For a finalizer: nobody else has this writer any more."""
    if not writer.over:
        _left.append(writer)


def much_is_left() -> bool:
    """Whether dropped session managers left so much that what fails has to be raised in every mode."""
    return sum(not writer.over for writer in _tried) >= LEFT


def store_what_is_left() -> None:
    with _moving:  # whoever waits for it finds in `_tried` what another thread took out of `_left`
        found = [_left.popleft() for _ in range(len(_left))]
        if found:
            _tried[:] = [*(writer for writer in _tried if not writer.over), *found]
    for writer in found:
        writer.start()


def store_what_is_left_of(space: Space, timeout: float) -> None:
    """Before a session is read: what a dropped session manager of it left has to be in it, or it would be written
    behind the reader's back, and one of the two would be refused."""
    store_what_is_left()  # all of them are in `_tried` then, which no finalizer touches
    for writer in list(_tried):
        if writer.space == space and not writer.over:
            with contextlib.suppress(StoreError):  # it is logged; the reader's own read tells of a store that is down
                writer.drain_here(timeout)


def _alive(store: Store, space: Space) -> list[BareSession]:
    while True:
        with contextlib.suppress(RuntimeError):  # another thread made a session while we looked
            return [session for session in list(live) if session.store is store and session.space == space]


def spread(store: Store, space: Space, loss: object) -> None:
    """The engine has lost something of a space: whoever writes to it here looks what it was of his."""
    for session in _alive(store, space):
        session.note(loss)
        for writer in session.writers:
            if writer.idle:  # the others look before their next commit
                writer.start()


def put_back(store: Store, space: Space, timeout: float) -> bool:
    """Have written again what the engine has lost of a space. Blocks. Whether this process had it, all of it."""
    sessions, loss = _alive(store, space), object()
    for session in sessions:
        session.note(loss)
    behind = [writer for session in sessions for writer in session.writers if writer.behind]
    try:
        for writer in behind:
            writer.drain_here(timeout)
    except StoreError:  # it is logged
        return False
    return bool(behind)


def _at_exit() -> None:
    sessions = list(live)
    for writer in [*(writer for session in sessions for writer in session.writers), *_left, *_tried]:
        writer.leave()
    for session in sessions:
        session.let_go_here()


def _forked() -> None:
    global _moving
    _moving = threading.Lock()  # another thread may have held it
    _left.clear()
    _tried.clear()
    for session in list(live):
        session.forked()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forked)
