"""Sessions to a file, from a file, and from store to store; all verified by a digest of their content.

Rule 1. A session is exported from one state of it. It is imported whole, or not at all.
Rule 2. What is there with the same content is left alone, so what was interrupted is repeated to its end.
Rule 3. Memory is bounded by a page, not by a session.
Rule 4. Who runs a session (its lease) stays behind. Who wrote it last goes along: a session manager that goes on in
        another store is fenced there as it would be here.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Final, Literal, TypeAlias, TypeVar

from .. import __version__, codec, layout, records
from ..errors import AlreadyExistsError, ArchiveError, SessionBusyError
from ..stores.base import Doc, Space, Store
from . import archive_format as form
from .access import Part
from .archive_format import Begin, End, Header, Sealing, Total
from .building import make_way
from .checks import UNSET, Unset, owner
from .incoming import Incoming
from .inside import holder
from .outgoing import Found, digested, find, insist
from .pieces import Digest
from .selection import selected
from .shapes import Exported, Imported, Step

OnExisting: TypeAlias = Literal["error", "skip", "replace"]
S = TypeVar("S", Exported, Imported)

SPOOL: Final = 8 * 2**20
"""Bytes of a session that are kept in memory until it is read whole; of a larger one a temporary file has them."""


Tell: TypeAlias = Callable[[Step], None]
"""Called for each page. What it raises ends the work, as an interruption would."""


class Archive(Part):
    """Export, import, copy."""

    def export(
        self,
        file: str | os.PathLike[str],
        user_id: str | None = None,
        *,
        everyone: bool = False,
        ids: Collection[str] | None = None,
        progress: Tell | None = None,
    ) -> Exported:
        """Write sessions, and the user's record, to a file of JSON lines (docs/archive.md). The file is there once it
        is whole: an older one of that name stays until then.

        Costs three reads a session, four where it is named by ``ids``, and one more for each page of 1,000 entries or
        8 MiB. A session that changes while it is read is read anew.

        Args:
            file: Where to. Who makes it may read it, nobody else.
            user_id: Whose sessions; None: those of nobody.
            everyone: All sessions of all users.
            ids: Only these sessions of the user, with their segments and without the user's record.
            progress: Told how far it is.

        Raises:
            SessionNotFoundError: One of ``ids`` is not there. No file was made.
            Unavailable: A session changed all the time. No file was made.
            OSError: The file can not be written.
        """
        spaces, of = selected(self.store, user_id, everyone, ids)
        path = Path(file)
        if path.exists() and not path.is_file():
            raise ValueError(f"file must be the path of a file; {str(path)!r} is something else")
        with _whole(path) as out:
            sealing = Sealing()
            out.write(sealing.line(form.write(Header(records.now(), __version__))))
            done = Exported()
            for number, space in enumerate(spaces, 1):
                with tempfile.SpooledTemporaryFile(max_size=SPOOL) as spool:
                    told = insist(space, lambda: self._spool(space, spool))  # noqa: B023
                    if told is None:
                        self._missing(space, ids)
                        continue
                    begin, end = told
                    out.write(sealing.line(form.write(begin)))
                    spool.seek(0)
                    for line in spool:
                        out.write(sealing.line(line[:-1]))
                    out.write(sealing.line(form.write(end)))
                done = _plus(done, space, end)
                if progress is not None:
                    progress(Step(number, of, done.entries, done.bytes))
            total = Total(done.sessions, done.users, done.documents, done.entries, done.bytes)
            out.write(sealing.line(form.write(total), last=True))
        return replace(done, digest=sealing.sum())

    def import_(
        self,
        file: str | os.PathLike[str],
        *,
        user_id: str | Unset | None = UNSET,
        on_existing: OnExisting = "error",
        progress: Tell | None = None,
    ) -> Imported:
        """Write what is in an archive to this store, each session and user as it was, under the same ids.

        The file is read through once before anything is written. Each session is written in commits of at most 4 MiB,
        read back, and made visible by a last commit. What is there with the same content is left alone, so an import
        that was interrupted is repeated: it goes on where it was.

        An index has the times at which a store came to know a session, so lists are in order of the import; `created`
        and `updated` of the session itself are as they were. A session that was to expire does, at the same time.

        Args:
            file: Made by `export`.
            user_id: Only what is this user's (None: nobody's); not given: all.
            on_existing: When a session or user is there with other content: "error"; "skip": leave it alone; "replace":
                erase it, then write the archived one.
            progress: Told how far it is.

        Raises:
            ArchiveError: The file is no archive, or not as it was written. Nothing was written.
            AlreadyExistsError: See ``on_existing``. What came before it in the file is there.
            SessionBusyError: What was to be replaced is run by a living process (``exclusive=True``).
            ConflictError: Another process writes the same session at the same time.
            OSError: The file can not be read.
        """
        _check(on_existing)
        if user_id is not UNSET:
            user_id = owner(user_id)
        with open(file, "rb") as source:
            size = os.fstat(source.fileno()).st_size
            for _ in form.unsealed(source.readline):
                pass
            source.seek(0)
            done, incoming, expires = Imported(), None, None
            try:
                for number, line in form.lines(source.readline):
                    match line:
                        case Total():
                            pass
                        case Begin(space):
                            expires = line.expires
                            if user_id is UNSET or _owner(space) == user_id:
                                there = digested(self.store, space)
                                done, incoming = self._admit(done, line, there, on_existing)
                        case End():
                            if incoming is not None:
                                if incoming.digest.hexdigest() != line.digest:
                                    raise ArchiveError(
                                        number, f"has another digest than what is before it: {line.id!r}"
                                    )
                                incoming.finish(expires)
                                done, incoming = _plus(done, incoming.space, incoming.digest), None
                        case piece:
                            if incoming is not None:
                                incoming.add(piece)
                    if progress is not None:
                        now = incoming.digest if incoming is not None else Digest()
                        progress(Step(source.tell(), size, done.entries + now.entries, done.bytes + now.bytes))
            except BaseException:
                if incoming is not None:
                    incoming.abandon()
                raise
        return done

    def copy(
        self,
        target: Part | Store | str,
        user_id: str | None = None,
        *,
        everyone: bool = False,
        ids: Collection[str] | None = None,
        on_existing: OnExisting = "error",
        progress: Tell | None = None,
    ) -> Imported:
        """Write sessions, and the user's record, to another store. As an export and an import, without a file: each
        session is read back from the target before it is visible there, and a copy that was interrupted is repeated.

        Args:
            target: Its `Sessions`, the store, or a URL for `open_store`.
            user_id: As for `export`, like ``everyone`` and ``ids``.
            on_existing: As for `import_`.
            progress: Told how far it is.

        Raises:
            ValueError: The target is this store.
            SessionNotFoundError: One of ``ids`` is not there. What came before it was copied.
            AlreadyExistsError, SessionBusyError, ConflictError: As for `import_`.
            Unavailable: A session changed all the time.
        """
        _check(on_existing)
        spaces, of = selected(self.store, user_id, everyone, ids)
        with _opened(target) as store:
            there = Archive(store)
            done = Imported()
            for number, space in enumerate(spaces, 1):

                def tell(digest: Digest, number: int = number) -> None:
                    if progress is not None:
                        progress(Step(number - 1, of, done.entries + digest.entries, done.bytes + digest.bytes))  # noqa: B023

                after = insist(space, lambda: self._copy(there, space, done, on_existing, tell))  # noqa: B023
                if after is None:
                    self._missing(space, ids)
                    continue
                done = after
                if progress is not None:
                    progress(Step(number, of, done.entries, done.bytes))
        return done

    # ------------------------------------------------------------------------------------------------------- private

    def _missing(self, space: Space, ids: Collection[str] | None) -> None:
        """What was listed may be gone by now, as may a segment; what was named has to be there."""
        if ids is not None and space.id in ids:
            self._session(space.id, space.owner).look()

    def _spool(self, space: Space, spool: IO[bytes]) -> tuple[Begin, End] | None:
        """Write the lines of a space's pieces; None: there is none."""
        spool.seek(0)
        spool.truncate()
        found = find(self.store, space)
        if found is None:
            return None
        digest = Digest()
        for piece in found.pieces():
            digest.add(piece)
            spool.write(form.write(piece) + b"\n")
        whole = digest.hexdigest()
        return (
            Begin(space, _parent(found), found.expires, whole),
            End(space.id, digest.documents, digest.entries, digest.bytes, whole),
        )

    def _copy(
        self, target: Archive, space: Space, done: Imported, on_existing: OnExisting, tell: Callable[[Digest], None]
    ) -> Imported | None:
        found = find(self.store, space)
        if found is None:
            return None
        there = digested(target.store, space)
        if there is not None and there[0].incarnation == found.incarnation:
            raise ValueError("target must be another store than the one that is copied from")
        begin = Begin(space, _parent(found), found.expires, found.digest() if there is not None else "")
        done, incoming = target._admit(done, begin, there, on_existing)
        if incoming is None:
            return done
        try:
            for piece in found.pieces():
                incoming.add(piece)
                tell(incoming.digest)
            incoming.finish(found.expires)
        except BaseException:
            incoming.abandon()
            raise
        return _plus(done, space, incoming.digest)

    def _admit(
        self, done: Imported, begin: Begin, there: tuple[Found, str] | None, on_existing: OnExisting
    ) -> tuple[Imported, Incoming | None]:
        """What is to be written, if it is; and what is to be said of it else. ``there``: what is, with its digest."""
        space = begin.space
        if begin.expires is not None and begin.expires <= time.time():
            return replace(done, expired=done.expired + 1), None
        if there is None and on_existing != "replace":
            make_way(self.store, space)
        elif there is None:
            self._refuse_busy(space)
            self.store.drop(space)
        elif there[1] == begin.digest:
            return replace(done, same=done.same + 1), None
        elif on_existing == "skip":
            return replace(done, skipped=done.skipped + 1), None
        elif on_existing == "error":
            of = "" if space.owner is None else f" of user {space.owner!r}"
            raise AlreadyExistsError(
                f"there is a {space.kind} {space.id!r}{of} already, with other content; nothing of it was written. "
                'on_existing="skip" leaves such alone, "replace" erases them'
            )
        else:
            self._refuse_busy(space)
            self.store.drop(space, on=there[0].incarnation)
            done = replace(done, replaced=done.replaced + 1)
        return done, Incoming(self.store, space, begin.parent)

    def _refuse_busy(self, space: Space) -> None:
        has = holder(self.store.read(space, *map(Doc, layout.LEASES)))
        if has is not None and has.lives:
            raise SessionBusyError(
                f"session {space.id!r} is run by {has.host} pid {has.pid}; it was not replaced. Try again when it ended"
            )


def _check(on_existing: object) -> None:
    if on_existing not in ("error", "skip", "replace"):
        raise ValueError(f'on_existing must be "error", "skip" or "replace", got {on_existing!r}')


def _owner(space: Space) -> str | None:
    return space.id if space.kind == "user" else space.owner


def _parent(found: Found) -> str | None:
    if found.space.kind == "user":
        return None
    return codec.load(records.Session, found.own, layout.SESSION).parent_id


def _plus(done: S, space: Space, of: Digest | End) -> S:
    """With one more."""
    users = int(space.kind == "user")
    return replace(
        done,
        sessions=done.sessions + 1 - users,
        users=done.users + users,
        documents=done.documents + of.documents,
        entries=done.entries + of.entries,
        bytes=done.bytes + of.bytes,
    )


@contextlib.contextmanager
def _opened(target: Part | Store | str) -> Iterator[Store]:
    """The store; closed behind it, if it was opened here."""
    if isinstance(target, str):
        from ..stores import open_store

        with open_store(target) as store:
            yield store
    else:
        yield target.store if isinstance(target, Part) else target


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its name once it is whole."""
    out = tempfile.NamedTemporaryFile(  # noqa: SIM115
        dir=path.parent, prefix=f".{path.name}.", suffix=".part", delete=False
    )
    try:
        with out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.replace(out.name, path)
    except BaseException:
        os.unlink(out.name)
        raise
