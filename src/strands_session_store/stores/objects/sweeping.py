"""What is named by nothing is deleted; nothing that may still be named is.

A writer seals objects first and names them then. One that was killed in between leaves them unnamed; one that only
sleeps may still name them, by putting its head in the place of what it saw there. So before unnamed objects are
deleted, what is in that place is replaced by another, or there is nothing in it (then no head that names anything can
be put). The sleeper is refused, and seals anew.

What is younger than an hour, by the clock of the place, is left alone: its writer is probably awake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from typing import Final, NamedTuple, TypeAlias, TypeVar

from ...errors import ConflictError, Corrupt, InDoubt
from ..base import Dropped, Space
from ..collecting import Collected, Tell
from . import names
from .blobs import Blob, Blobs, Listed, Refused
from .head import Head, Tombstone, dump, parse

SWEEP_EVERY: Final = 86_400.0
"""Seconds between two looks of a space's writers for what is unnamed."""
AGE: Final = 3_600.0
"""Seconds after which an unnamed object or row is swept."""
_TOMBSTONE: Final = 86_400.0
"""Seconds that a tombstone is kept."""
_AT_ONCE: Final = 64
_KINDS: Final = ("session", "user")

Item = TypeVar("Item")
Drop: TypeAlias = Callable[[Space, str], Dropped]
"""Erases a space, if it is this incarnation or has expired."""


def old_objects(blobs: Blobs, space: Space) -> list[str]:
    """Keys of what the space has sealed, or began to, that are old enough to be swept if nothing names them."""
    until = blobs.now() - AGE
    return [found.key for found in blobs.list(names.folder(space), below=True) if found.modified <= until]


def fenced(head: Head, now: float) -> Head:
    """The same head in other bytes."""
    return replace(head, swept=(now, head.swept[1] + 1))


def collect(blobs: Blobs, drop: Drop, dry_run: bool, progress: Tell | None = None) -> Collected:
    """See `Collecting.gc`."""
    sweep = _Sweep(blobs, drop, dry_run, progress)
    for kind in _KINDS:
        owners = {*blobs.folders(f"{kind}s/"), *blobs.folders(f"index/{kind}s/")}
        for owner in sorted(owners):
            sweep.owner(kind, owner)
    if not dry_run:
        blobs.tidy()
    return sweep.collected


class _Place(NamedTuple):
    """A space as a listing of keys shows it: its head's, or its folder's."""

    id: str
    sealed: Sequence[Listed]
    """What is old enough to be swept."""


@dataclass(slots=True)
class _Sweep:
    blobs: Blobs
    drop: Drop
    dry_run: bool
    progress: Tell | None = None
    collected: Collected = field(default_factory=Collected)

    def owner(self, kind: str, owner: str) -> None:
        """All spaces of one owner, then its rows."""
        lives: dict[str, Head] = {}
        places = self._places(names.heads(kind, owner))
        while some := list(islice(places, _AT_ONCE)):
            keys = {names.head(names.space(kind, owner, place.id)): place for place in some}
            found = self.blobs.get(list(keys))
            for key, place in keys.items():
                space = names.space(kind, owner, place.id)
                try:
                    head = self._space(space, key, found.get(key), place.sealed)
                except Corrupt as error:
                    self._count(corrupt=(error.path,))
                    continue
                if head is not None:
                    # only what its row says of it: there may be very many
                    lives[place.id] = Head(head.incarnation, 0, head.created, 0.0, parent=head.parent, moved=head.moved)
            if self.progress is not None:
                self.progress(self.collected)
        self._rows(kind, owner, lives)

    def _places(self, prefix: str) -> Iterator[_Place]:
        until = self.blobs.now() - AGE
        folders: set[str] = set()

        def where(found: Listed) -> tuple[str, bool]:
            name, mark, _ = found.key[len(prefix) :].partition("/")
            return name, bool(mark)

        for (name, deeper), listed in groupby(self.blobs.list(prefix, below=True), where):
            if deeper and name.endswith(names.FOLDER):
                id = name[: -len(names.FOLDER)]
                folders.add(id)
                yield _Place(id, [found for found in listed if found.modified <= until])
            elif not deeper and name.endswith(names.HEAD):
                id = name[: -len(names.HEAD)]
                if id in folders:
                    folders.discard(id)  # it came with its folder
                else:
                    yield _Place(id, ())

    def _space(self, space: Space, key: str, blob: Blob | None, sealed: Sequence[Listed]) -> Head | None:
        """Sweep one space; its head, if it is there."""
        state = parse(key, blob.data) if blob is not None else None
        now = self.blobs.now()
        if isinstance(state, Head) and not state.alive(now):
            self._count(expired=1)
            if not self.dry_run:
                with suppress(ConflictError):  # made again meanwhile
                    self.drop(space, state.incarnation)
            return None
        named: set[str] = set()
        if isinstance(state, Head):
            folder = names.folder(space, state.incarnation)
            named = {folder + name for name in state.objects()}
        elif isinstance(state, Tombstone):
            if now - state.dropped < _TOMBSTONE:
                return None
            assert blob is not None
            if not self.dry_run and not self.blobs.remove(key, blob.tag):
                return None
            self._count(tombstones=1)
        stray = [found for found in sealed if found.key not in named]
        if stray and self._fence(key, blob, state, now):
            self._count(objects=len(stray), bytes=sum(found.size for found in stray))
            self._delete([found.key for found in stray])
        return state if isinstance(state, Head) else None

    def _fence(self, key: str, blob: Blob | None, state: Head | Tombstone | None, now: float) -> bool:
        """Whether nobody can name now what was not named by this state."""
        if self.dry_run or blob is None or not isinstance(state, Head):
            return True
        try:
            self.blobs.put(key, dump(fenced(state, now)), if_match=blob.tag)
        except (Refused, InDoubt):
            return False  # somebody is at it: another time
        return True

    def _rows(self, kind: str, owner: str, lives: dict[str, Head]) -> None:
        """Rows of no space are deleted, spaces of no row get theirs back."""
        until = self.blobs.now() - AGE
        missing = {id: set(_rows(names.space(kind, owner, id), head)) for id, head in lives.items()}
        stray: list[tuple[str, str]] = []
        for prefix in (names.rows(kind, owner), f"index/{kind}s/{owner}/below/"):
            for found in self.blobs.list(prefix, below=True):
                row = names.read_row(found.key)
                if row is not None and row.id in missing and found.key in missing[row.id]:
                    missing[row.id].discard(found.key)
                elif row is not None and found.modified <= until:
                    stray.append((found.key, row.id))
        for some in _batches(stray):
            spaces = {id: names.space(kind, owner, id) for _, id in some}
            # it may have been made since, or moved
            heads = self._heads(map(names.head, spaces.values()))
            gone = [key for key, id in some if not _is_of(heads, spaces[id], key)]
            self._count(rows=len(gone))
            self._delete(gone)
        for places in _batches([id for id, keys in missing.items() if keys]):
            heads = self._heads(names.head(names.space(kind, owner, id)) for id in places)
            for id in places:
                space = names.space(kind, owner, id)
                head = heads.get(names.head(space))
                # one that was moved meanwhile has its new row
                if head is not None and missing[id] & (there := set(_rows(space, head))):
                    self._count(restored=1)
                    for key in missing[id] & there if not self.dry_run else ():
                        self.blobs.put(key, b"")

    def _heads(self, keys: Iterable[str]) -> dict[str, Head | None]:
        """The heads that are there; None for one that can not be read."""
        found: dict[str, Head | None] = {}
        for key, blob in self.blobs.get(list(dict.fromkeys(keys))).items():
            try:
                if isinstance(state := parse(key, blob.data), Head):
                    found[key] = state
            except Corrupt:
                found[key] = None
        return found

    def _delete(self, keys: Sequence[str]) -> None:
        if keys and not self.dry_run:
            self.blobs.delete(keys)

    def _count(self, *, corrupt: tuple[str, ...] = (), **more: int) -> None:
        was = self.collected
        counts = {name: getattr(was, name) + number for name, number in more.items()}
        self.collected = replace(was, corrupt=was.corrupt + corrupt, **counts)


def _rows(space: Space, head: Head) -> list[str]:
    return names.rows_of(space, head.incarnation, head.created, head.parent, head.moved)


def _is_of(heads: Mapping[str, Head | None], space: Space, row: str) -> bool:
    """Whether this key is that of a row of the space that is there; of one that can not be read it may be."""
    key = names.head(space)
    return key in heads and ((head := heads[key]) is None or row in _rows(space, head))


def _batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    return (items[at : at + _AT_ONCE] for at in range(0, len(items), _AT_ONCE))
