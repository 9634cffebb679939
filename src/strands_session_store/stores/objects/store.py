"""The engine over objects: a commit is one conditional put of the space's head.

1. What is too much for the head is sealed first, in objects that never change; then the head that names them is put
   (see `sealing`). So whatever ends a process, a head names only what is there.
2. The place decides: a head is put only in the place of the one it was made from. When that is refused, or not
   answered, the head is read again: it tells by the commit's id whether it was done; else the expectations are judged
   anew.
3. A head that names sealed objects is never put where there is nothing: a tombstone is put there first. So once what is
   in that place was replaced or removed, a writer that slept can name nothing that was deleted meanwhile.
4. What an old head named and the present one does not can be deleted at any time. What no head ever named may be about
   to be named: see `sweeping`.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import ClassVar, Final, NamedTuple

from ...errors import ConflictError, Corrupt, InDoubt, StoreError, TooLarge, Unavailable
from ..base import (
    ANY,
    KEEP,
    Capability,
    Change,
    Committed,
    Dropped,
    Expected,
    Look,
    Page,
    Query,
    Space,
    Store,
    Summary,
    Ttl,
    Want,
)
from ..checks import check_commit, check_query, check_space
from ..collecting import Collected, Collecting, Tell
from ..diagnosing import Diagnosing, Finding
from . import cells, names
from .blobs import Blobs, Refused, Sealing, Tag
from .cache import Turns
from .changes import decide, new_life
from .head import Head, Tombstone
from .known import Heads, Known, SealedObjects
from .listing import listing
from .looking import Missing, look
from .repeats import Block, Done
from .sealing import Lines, Vanished, seal
from .sweeping import SWEEP_EVERY, collect, fenced, old_objects
from .tries import Tries

_SLOW: Final = 600.0
"""Seconds that a creation takes at most before its rows are put again: rows are pruned when they are an hour old."""


class _Commit(NamedTuple):
    changes: tuple[Change, ...]
    id: str
    on: Expected
    ttl: Ttl
    summary: Summary | None


class _Remembered(Exception):
    """The head can not decide this, because it is not fresh."""


class ObjectStore(Store, Collecting, Diagnosing):
    """Spaces in objects at a place: a directory, or a bucket of S3. Any number of processes may share it.

    What a verb costs, in requests:
    commit  one put. Another one for each `Sealing.tail` bytes of entries, and a get for a space that this process did
            not read or write last. A space is created by two puts more, or three if it has a parent; to move one below
            another parent takes one put and one delete more.
    read    one get; and, all at once, one for each sealed object that it needs.
    list    by ``created``: one for every 1,000 rows of the page, of the owner or below the parent; from the latest on,
            as long as there are more than 1,000 rows, a few more, until it is found where the page begins: see
            `windows`. By ``updated``: a list for every 1,000 heads and folders of the owner. And a get for each row of
            the page. With ``everyone``, for all owners.
    drop    a get, a put, a list and a delete for every 1,000 sealed objects.

    Args:
        blobs: The place; closed by `close`.
        timeout: Seconds that a verb goes on trying while others change the same space.
        sealing: What is too much for a head; None: as the place says.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.PERSISTENT, Capability.SHARED})
    # each takes 2 ms of CPU a commit, and an event loop beside them waits for all that are at it: with 16, 50 agents
    # whose turns ended at once held it up for 150 to 250 ms, with 4 for 30 to 60 (no session: 15 to 60; 2 busy cores)
    workers: ClassVar[int] = 4

    def __init__(self, blobs: Blobs, *, timeout: float = 30.0, sealing: Sealing | None = None) -> None:
        self._blobs, self._timeout = blobs, timeout
        self._limits = sealing or blobs.sealing
        self._closed = False
        self._begin()

    def __repr__(self) -> str:
        return f"ObjectStore({self._blobs!r})"

    def read(self, space: Space, *wants: Want) -> Look:
        self._ready()
        lost: tuple[Tag | None, str] | None = None
        while True:
            known = self._heads.fetch(space)
            head = known.head(self._blobs.now())
            if head is None:
                return Look(None)
            try:
                return self._look(names.folder(space, head.incarnation), head, wants)
            except Vanished as vanished:
                # merged into another or dropped while it was read
                lost = _lost(known.tag, vanished, lost)

    def commit(
        self,
        space: Space,
        *changes: Change,
        commit_id: str,
        on: Expected = ANY,
        ttl: Ttl = KEEP,
        summary: Summary | None = None,
    ) -> Committed:
        check_commit(changes, commit_id, ttl, summary)
        self._ready()
        commit = _Commit(changes, commit_id, on, ttl, summary)
        tries = Tries(f"{space.kind} {space.id!r}", self._timeout)
        lost: tuple[Tag | None, str] | None = None
        with self._turns.turn(names.head(space)), tries.judged():
            known = self._heads.remembered(space)
            fresh = False
            while True:
                if known is None:
                    known, fresh = self._heads.fetch(space), True
                    tries.saw(known.tag)
                try:
                    return self._attempt(space, known, commit, fresh, tries)
                except Refused:
                    tries.pause()
                except Vanished as vanished:
                    lost = _lost(known.tag, vanished, lost) if fresh else None
                except (_Remembered, ConflictError, TooLarge, Corrupt):
                    # a head that is only remembered is no ground for refusing
                    if fresh:
                        raise
                known = None

    def list(self, query: Query) -> Page:
        check_query(query)
        self._ready()
        return listing(self._blobs, query)

    def drop(self, space: Space, *, on: Expected = ANY) -> Dropped:
        self._ready()
        tries = Tries(f"{space.kind} {space.id!r}", self._timeout)
        with self._turns.turn(names.head(space)), tries.judged():
            return self._drop(space, on, tries)

    def gc(self, *, dry_run: bool = False, progress: Tell | None = None) -> Collected:
        self._ready()
        return collect(self._blobs, lambda space, incarnation: self.drop(space, on=incarnation), dry_run, progress)

    def diagnose(self) -> Sequence[Finding]:
        self._ready()
        return self._blobs.diagnose() if isinstance(self._blobs, Diagnosing) else ()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._blobs.close()
        super().close()

    # ------------------------------------------------------------------------------------------------------- reading

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._turns = Turns()
        self._heads = Heads(self._blobs)
        self._sealed = SealedObjects(self._blobs)

    def _ready(self) -> None:
        if self._closed:
            raise StoreError(f"{self!r} was closed; make another")
        # in a forked child locks may be held for ever
        if self._pid != os.getpid():
            self._begin()

    def _look(self, folder: str, head: Head, wants: tuple[Want, ...]) -> Look:
        pages: dict[str, Lines] = {}
        documents: dict[str, bytes] = {}
        while True:
            try:
                with self.offload.computing:
                    return look(head, folder, wants, pages, documents)
            except Missing as missing:
                more = self._sealed.load(missing.pages, missing.documents)
                pages |= more[0]
                documents |= more[1]

    def _done(self, folder: str, head: Head, commit_id: str) -> Done | None:
        """The commit with this id, if the head knows it."""
        for latest in head.recent:
            if latest.id == commit_id:
                return latest
        closed = [folder + block.name for block in head.blocks if block.name is not None and not block.opened]
        data = self._sealed.load((), closed)[1]
        return next((done for block in head.blocks if (done := _open(folder, block, data).get(commit_id))), None)

    # ------------------------------------------------------------------------------------------------------- writing

    def _attempt(self, space: Space, known: Known, commit: _Commit, fresh: bool, tries: Tries) -> Committed:
        """The commit, on the ground of what is known.

        Raises:
            Refused: It has to be tried again on what is there by now, if that does not know it.
            Vanished: Likewise.
            _Remembered: It has to be tried on what is there by now.
        """
        now = self._blobs.now()
        head = known.head(now)
        before = head or new_life(now, commit.summary)
        folder = names.folder(space, before.incarnation)
        if head is not None and (done := self._done(folder, head, commit.id)):
            if not fresh:
                raise _Remembered
            indices, counters = dict(done.indices), dict(done.counters)
            # found after a put of ours that was not answered, it is ours
            return Committed(head.incarnation, done.revision, indices, counters, repeated=not tries.doubted)
        check_space(head.incarnation if head else None, commit.on)
        step = decide(before, commit.changes, commit.id, now, commit.ttl, commit.summary)
        rows = _rows(space, step.head) - (_rows(space, head) if head else set())
        self._put_rows(rows)
        tag = known.tag

        def put(name: str, data: bytes) -> None:
            nonlocal tag
            if tag is None:
                tag = self._heads.put(space, Tombstone(now), None, tries)
            with _unnamed():
                self._sealed.put(folder + name, data)

        def load(keys: Collection[str]) -> Mapping[str, Lines]:
            return self._sealed.load(keys)[0]

        after, full = seal(step.head, step.replaced, self._limits, folder, load, put)
        stray: Iterable[str] = ()
        if full and now - max(before.swept[0], before.created) >= SWEEP_EVERY:
            with suppress(Unavailable):
                stray = old_objects(self._blobs, space)
                after = fenced(after, now)
        self._heads.put(space, after, tag, tries)
        if self._blobs.now() - now > _SLOW:
            self._put_rows(rows)
        self._clean(space, known.state, after, stray)
        return step.result

    def _put_rows(self, rows: Iterable[str]) -> None:
        with _unnamed():
            for row in rows:
                self._blobs.put(row, b"")

    def _clean(self, space: Space, before: Head | Tombstone | None, after: Head, stray: Iterable[str]) -> None:
        """Delete what is named no more. It can wait: what stays is swept some day."""
        named = _objects(space, after) | _rows(space, after)
        gone = set(stray)
        if isinstance(before, Head):
            gone |= _objects(space, before) | _rows(space, before)
        if gone := gone - named:
            with suppress(StoreError):
                self._sealed.delete(gone)

    def _drop(self, space: Space, on: Expected, tries: Tries) -> Dropped:
        target: Head | None = None
        receipt = Dropped()
        while True:
            known = self._heads.fetch(space)
            tries.saw(known.tag)
            if target is not None and not (
                isinstance(known.state, Head) and known.state.incarnation == target.incarnation
            ):
                # by a put of ours that was not answered, or by another process
                receipt = receipt if tries.doubted else Dropped()
                break
            if not isinstance(known.state, Head):
                if isinstance(known.state, Tombstone):
                    self._erase(space, known.state)
                return Dropped()
            target = known.state
            now = self._blobs.now()
            if head := known.head(now):
                check_space(head.incarnation, on)
            receipt = _receipt(head) if head else Dropped()
            try:
                stone = Tombstone(now, target.incarnation, target.created, target.parent, moved=target.moved)
                self._heads.put(space, stone, known.tag, tries)
                break
            except Refused:
                tries.pause()
        self._erase(space, target)
        return receipt

    def _erase(self, space: Space, ended: Head | Tombstone) -> None:
        """Delete what a life that has ended left: a later one has a folder and rows of its own."""
        if life := _life(ended):
            sealed = [found.key for found in self._blobs.list(names.folder(space, life), below=True)]
            self._blobs.delete([*_rows(space, ended), *sealed])


@contextmanager
def _unnamed() -> Iterator[None]:
    """Puts of what no head names yet: unanswered, they have changed nothing."""
    try:
        yield
    except InDoubt as error:
        raise Unavailable(f"{error}; nothing was committed") from error


def _objects(space: Space, head: Head) -> set[str]:
    folder = names.folder(space, head.incarnation)
    return {folder + name for name in head.objects()}


def _life(state: Head | Tombstone) -> str:
    return state.incarnation if isinstance(state, Head) else state.life


def _rows(space: Space, state: Head | Tombstone) -> set[str]:
    """Keys of the rows of its life."""
    return set(names.rows_of(space, _life(state), state.created, state.parent, state.moved))


def _open(folder: str, block: Block, data: Mapping[str, bytes]) -> Mapping[str, Done]:
    key = folder + (block.name or "commits")
    try:
        return block.open(data.get(key))
    except (ValueError, KeyError, TypeError, IndexError, zlib.error) as error:
        raise Corrupt(key, f"it holds no commit ids ({error})") from error


def _lost(tag: Tag | None, vanished: Vanished, before: tuple[Tag | None, str] | None) -> tuple[Tag | None, str]:
    """What to remember of an object that is not there; Corrupt when the same head names it the second time."""
    if before == (tag, vanished.key):
        raise Corrupt(vanished.key, "it is not there, although the head of its space names it") from None
    return tag, vanished.key


def _receipt(head: Head) -> Dropped:
    pages = sum(page.size for log in head.logs.values() for page in log.pages)
    tails = sum(cells.size(cell) for log in head.logs.values() for cell in log.tail)
    return Dropped(
        True,
        len(head.docs),
        sum(log.length - log.start for log in head.logs.values()),
        sum(doc.size for doc in head.docs.values()) + pages + tails,
    )
