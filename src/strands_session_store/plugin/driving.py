"""Does what `taking` decides, off the event loop: looks, commits and waits, one step after the other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Protocol, TypeVar

from .. import layout
from ..errors import ConflictError, StoreError
from ..stores.base import Change, Committed, Doc, Look, Space, Store, Ttl, new_commit_id
from .taking import Answer, Ask, Step, Taken, Try, Wait, queue_of, queueing

logger = logging.getLogger(__name__)

T = TypeVar("T")

TRIES = 5
"""How often the queue may change while one leaves it."""


class Waiting(Protocol):
    """How a thread's answer is waited for, for so many seconds longer than a store may take for one call."""

    async def __call__(self, future: Future[T], longer: float, /) -> T: ...


class Driver:
    """Of one session's lease."""

    def __init__(
        self,
        store: Store,
        space: Space,
        ttl: Ttl,
        *,
        took: Callable[[Committed, int], None],
        given_up: Callable[[], object],
    ) -> None:
        """``took``: told of the commit that takes the lease, and its epoch, in the thread that made it. ``given_up``:
        called when a commit that may take it is not waited for any more."""
        self._store, self._space, self._ttl, self._took, self._given_up = store, space, ttl, took, given_up

    async def drive(self, steps: Generator[Step, Answer, Taken], waiting: Waiting) -> Taken:
        """Take the steps to their end.

        Raises:
            As `taking`; and what the store says.
        """
        answer: Answer = None
        waits = False
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                taken: Taken = end.value
                return taken
            if isinstance(step, Wait):
                if not waits:
                    logger.info("session_id=<%s>, holder=<%s> | waiting for the lease", self._space.id, step.behind)
                waits = True
                await asyncio.sleep(step.seconds)
                answer = None
                continue
            doing = self._store.offload.submit(self._do, step)
            try:
                answer = await waiting(doing, 0)
            except BaseException:  # cancelled, or overdue: it may be taken yet, and then for nobody
                doing.add_done_callback(lambda _: self._aside(self._given_up))
                raise

    def commit(self, incarnation: str | None, *changes: Change) -> Committed:
        """Commit to the session of this incarnation, which is known. Blocks."""
        assert incarnation is not None
        return self._store.commit(self._space, *changes, commit_id=new_commit_id(), on=incarnation, ttl=self._ttl)

    def leave_queue(self, name: str) -> None:
        """Have this one waited for no more; for nobody who waits. When it fails, those behind wait a moment longer."""
        self._aside(lambda: self._leave_queue(name))

    def _leave_queue(self, name: str) -> None:
        for _ in range(TRIES):
            look = self._store.read(self._space, Doc(layout.LEASE_WANTED))
            wanted = look.docs.get(layout.LEASE_WANTED)
            queue = queue_of(wanted)
            if name not in queue:
                return
            with contextlib.suppress(ConflictError):
                self.commit(look.incarnation, queueing(wanted, [other for other in queue if other != name]))
                return

    def _do(self, step: Ask | Try) -> Look | Committed | ConflictError:
        if isinstance(step, Ask):
            return self._store.read(self._space, *map(Doc, (layout.LEASE, layout.LEASE_BEAT, layout.LEASE_WANTED)))
        try:
            committed = self._store.commit(
                self._space, *step.changes, commit_id=new_commit_id(), on=step.on, ttl=self._ttl
            )
        except ConflictError as conflict:
            return conflict
        if step.epoch is not None:
            self._took(committed, step.epoch)
        return committed

    def _aside(self, call: Callable[[], object]) -> None:
        """Do it on the pool, for nobody who waits."""

        def quietly() -> None:
            with contextlib.suppress(StoreError):
                call()

        with contextlib.suppress(RuntimeError):  # the interpreter is ending
            self._store.offload.submit(quietly)
