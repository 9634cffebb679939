"""Who may talk to the file, and when: a transaction is a ``with`` block, and the only place where SQLite's errors end.

A call borrows a connection and gives it back, so there are as many as calls at the same time, not as threads. Writers
of one process queue on a lock; processes wait for each other by trying again at random moments, because SQLite's own
busy wait starves some of them. Before a fork every connection is closed: SQLite's locks do not survive one.

Who only reads needs no right to write, makes no file that is not there, and changes none.
"""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar
from urllib.parse import quote

from ...errors import Corrupt, InDoubt, StoreError, Unavailable
from .schema import check_format, is_empty, prepare, tune

T = TypeVar("T")

_PAUSE = 0.0005
_LONGEST_PAUSE = 0.02
_MOST_IDLE = 8
_FORK_SECONDS = 10.0
"""How long a fork waits for the transactions of other threads to end."""


class Connections:
    """Connections to the database at ``path``, opened when needed.

    Args:
        path: Absolute.
        timeout: Seconds to wait for other writers.
    """

    def __init__(self, path: str, timeout: float) -> None:
        self.path = path
        self._timeout = timeout
        self._writer = threading.Lock()
        self._gate = threading.Condition()
        self._idle: list[sqlite3.Connection] = []
        self._busy = 0
        self._forking = self._closed = False
        _all.add(self)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """One state of the database, whatever others write meanwhile; None where nothing was written yet."""
        with self._translated():
            try:
                with self._borrowed(self._open_to_read) as db, self._transaction(db, "BEGIN"):
                    yield db
                    if isinstance(db, _Still) and db.state != self._state():
                        raise Unavailable(f"{self.path!r} was written while it was read; try again")
            except _Nothing:
                yield None

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction of the only writer. Committed at the end of the block, rolled back when it raises."""
        if not self._writer.acquire(timeout=self._timeout):
            raise Unavailable(f"{self.path!r}: other threads kept writing for {self._timeout:g} s; nothing was written")
        try:
            with self._translated(), self._borrowed(self._open) as db, self._transaction(db, "BEGIN IMMEDIATE"):
                yield db
        finally:
            self._writer.release()

    def close(self) -> None:
        """Close what is idle now, and what is in use when it is given back. Repeatable."""
        with self._gate:
            self._closed = True
            self._close_idle()
            self._gate.notify_all()

    @contextmanager
    def _transaction(self, db: sqlite3.Connection, begin: str) -> Iterator[None]:
        def start() -> None:
            try:
                db.execute(begin)
                # also takes a reader's snapshot, which may be refused while another process recovers the WAL
                check_format(db, self.path)
            except BaseException:
                _roll_back(db)
                raise

        self._patiently(start)
        try:
            yield
        except BaseException:
            _roll_back(db)
            raise
        try:
            db.execute("COMMIT")
        except BaseException as error:
            _roll_back(db)
            if "I/O error" in str(error):
                # the last frame may be in the WAL although it could not be synced: a crash now might bring it to life
                raise InDoubt(f"{self.path!r}: {error} while committing; repeat the commit under its id") from error
            raise

    @contextmanager
    def _borrowed(self, fresh: Callable[[], sqlite3.Connection]) -> Iterator[sqlite3.Connection]:
        db = self._take(fresh)
        sound = True
        try:
            yield db
        except (sqlite3.Error, InDoubt):
            sound = False  # one that failed is not used again
            raise
        finally:
            self._give_back(db, sound)

    def _take(self, fresh: Callable[[], sqlite3.Connection]) -> sqlite3.Connection:
        with self._gate:
            self._gate.wait_for(lambda: not self._forking)
            if self._closed:
                raise StoreError(f"the SQLiteStore of {self.path!r} was closed; make another")
            self._busy += 1
            if self._idle:
                return self._idle.pop()
        try:
            return self._patiently(fresh)
        except BaseException:
            self._give_back(None, False)
            raise

    def _give_back(self, db: sqlite3.Connection | None, sound: bool) -> None:
        with self._gate:
            self._busy -= 1
            sound = sound and not isinstance(db, _Still)
            if db is not None and sound and not self._closed and len(self._idle) < _MOST_IDLE:
                self._idle.append(db)
            elif db is not None:
                db.close()
            self._gate.notify_all()

    def _open(self) -> sqlite3.Connection:
        return self._connect("rwc", lambda db: prepare(db, self.path))

    def _open_to_read(self) -> sqlite3.Connection:
        """Raises: _Nothing"""
        state = self._state()
        if state is None and os.path.isdir(os.path.dirname(self.path)):
            raise _Nothing
        try:
            return self._connect("rw", self._check)
        except sqlite3.OperationalError as error:
            # SQLite wants to make a WAL also in order to read. Where it can't, and there is none, nobody has the file
            # open, and it is all there is: it may be read as it lies there, until somebody opens it
            if _is_busy(error) or state is None or state[-1]:
                raise
        still = self._connect("ro&immutable=1", self._check, _Still)
        assert isinstance(still, _Still)
        still.state = state
        return still

    def _check(self, db: sqlite3.Connection) -> None:
        if is_empty(db, self.path):
            raise _Nothing
        tune(db)  # it is lent to writers too

    def _connect(
        self,
        mode: str,
        ready: Callable[[sqlite3.Connection], None],
        kind: type[sqlite3.Connection] = sqlite3.Connection,
    ) -> sqlite3.Connection:
        # no waiting of SQLite's own; a connection is used by many threads, by one at a time
        db = sqlite3.connect(
            f"file:{quote(self.path)}?mode={mode}",
            uri=True,
            timeout=0,
            isolation_level=None,
            check_same_thread=False,
            factory=kind,
        )
        try:
            ready(db)
        except BaseException:
            _roll_back(db)
            db.close()
            raise
        return db

    def _state(self) -> tuple[int, int, int, bool] | None:
        """What changes when somebody writes: of the file, and whether there is a WAL; None where there is no file."""
        try:
            told = os.stat(self.path)
        except OSError:
            return None
        return told.st_ino, told.st_size, told.st_mtime_ns, os.path.exists(f"{self.path}-wal")

    def _patiently(self, attempt: Callable[[], T]) -> T:
        """What ``attempt`` returns, tried again while other processes are in the way. It must have no effect then."""
        pause, deadline = _PAUSE, time.monotonic() + self._timeout
        while True:
            try:
                return attempt()
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or time.monotonic() > deadline:
                    raise
            time.sleep(random.random() * pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._explain(error) from error

    def _explain(self, error: sqlite3.Error) -> StoreError:
        # by SQLite's fixed texts: Python 3.10 does not give its codes
        text, path = str(error), self.path
        if _is_busy(error):
            return Unavailable(f"{path!r}: other processes kept it locked for {self._timeout:g} s; nothing was written")
        if "not a database" in text or "malformed" in text:
            return Corrupt(path, f"SQLite says: {text}; put a backup in its place or choose another path")
        if "is full" in text:
            return Unavailable(f"{path!r}: {text}; free some space and try again (nothing was written)")
        parent = os.path.dirname(path)
        if not os.path.isdir(parent):
            return StoreError(f"{path!r} can not be opened: there is no directory {parent!r}; create it")
        if os.path.isdir(path):
            return StoreError(f"{path!r} is a directory; name a file in it")
        if "unable to open" in text or "readonly" in text:
            return StoreError(
                f"{path!r} can not be opened for writing ({text}); SQLite needs to write to the file and to create "
                f"others beside it: let this user write to {parent!r} and all files there"
            )
        if isinstance(error, sqlite3.OperationalError):
            return Unavailable(f"{path!r}: {text}; nothing was written")
        return StoreError(f"{path!r}: {text}; nothing was written")

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def before_fork(self) -> None:
        self._gate.acquire()
        self._forking = True
        self._gate.wait_for(lambda: self._busy == 0, _FORK_SECONDS)
        self._close_idle()

    def after_fork(self) -> None:
        self._forking = False
        self._gate.notify_all()
        self._gate.release()

    def after_fork_in_child(self) -> None:
        # the threads that held these do not exist here
        self._writer = threading.Lock()
        self._gate = threading.Condition()
        self._busy, self._forking = 0, False


class _Nothing(Exception):
    """There is no database yet."""


class _Still(sqlite3.Connection):
    """To a file as it lies there; for one transaction.

    Attributes:
        state: Of the file, before.
    """

    state: tuple[int, int, int, bool]


def _is_busy(error: sqlite3.Error) -> bool:
    return "is locked" in str(error) or "locking protocol" in str(error)


def _roll_back(db: sqlite3.Connection) -> None:
    # SQLite may have done so already; and a failure here must not hide the one that led here
    with suppress(sqlite3.Error):
        if db.in_transaction:
            db.execute("ROLLBACK")


_all: weakref.WeakSet[Connections] = weakref.WeakSet()
_held: list[Connections] = []
_one_fork = threading.Lock()


def _before_fork() -> None:
    _one_fork.acquire()
    _held.extend(_all)
    for connections in _held:
        connections.before_fork()


def _after_fork(in_child: bool) -> None:
    while _held:
        connections = _held.pop()
        if in_child:
            connections.after_fork_in_child()
        else:
            connections.after_fork()
    _one_fork.release()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=lambda: _after_fork(in_child=False),
        after_in_child=lambda: _after_fork(in_child=True),
    )
