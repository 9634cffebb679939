"""Objects as files of a local directory: a key is a path. Several processes may share it.

1. A file is written under a hidden name beside its place, synced, and renamed into it; then the directory is synced. So
   a file is whole or not there, also after a loss of power.
2. A conditional put looks at what is there and renames under an exclusive lock on the directory, which ends with the
   process that holds it. The lock is short: nothing is written or synced under it.
3. A tag is a digest of the bytes.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import ClassVar, Final

from ...errors import InDoubt, Unavailable
from ..diagnosing import Diagnosing, Finding
from .blobs import Blob, Blobs, Listed, Refused, Sealing, Tag
from .directory_diagnosis import diagnose

_HIDDEN: Final = ".tmp-"
_LEFT_OVER: Final = 3_600.0
"""Seconds after which a hidden file is one that a killed writer left."""
_TRIES: Final = 100
"""How often a directory is made again that another process removes because it is empty."""
_REMEDY: Final = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the quota is used up; free some space",
    errno.EFBIG: "the file would be larger than the system allows; raise the limit (ulimit -f)",
    errno.EROFS: "the file system is read-only; name another directory",
    errno.EACCES: "permission denied; give this process the right to read and write there",
    errno.EPERM: "permission denied; give this process the right to read and write there",
    errno.EMFILE: "too many open files; raise the limit (ulimit -n)",
    errno.ENOTDIR: "a file is in the place of a directory; name another directory",
}


class DirectoryBlobs(Blobs, Diagnosing):
    """A directory on a local file system (a network's knows no locks that can be relied on). Made by the first put.

    Args:
        path: Of the directory.
        clock: Seconds of Unix time; also what files have as their time.
    """

    # nothing is compressed here, and a put costs no money
    sealing: ClassVar[Sealing] = Sealing(tail=24 * 1024)

    def __init__(self, path: str | os.PathLike[str], *, clock: Callable[[], float] = time.time) -> None:
        # absolute, so that a change of directory later is no change of store
        self.path = Path(os.path.abspath(path))
        self._clock = clock

    def __repr__(self) -> str:
        return f"DirectoryBlobs({str(self.path)!r})"

    def get(self, keys: Sequence[str]) -> Mapping[str, Blob]:
        found = {}
        for key in keys:
            with suppress(FileNotFoundError), _translated(self._where(key), "read"):
                data = self._where(key).read_bytes()
                found[key] = Blob(data, _tag(data))
        return found

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_match: Tag | None = None) -> Tag:
        where = self._where(key)
        conditional = if_absent or if_match is not None
        with _translated(where, "write"):
            hidden, file = self._hidden(where.parent)
            try:
                _write(file, data, self._clock())
                with _directory(where.parent) as folder:
                    # nobody removes the directory while the hidden file is in it: so all that lock it lock the same one
                    with _locked(folder, where.parent) if conditional else nullcontext():
                        if conditional and _tag_at(where) != if_match:
                            raise Refused
                        os.replace(hidden, where)
                    try:
                        _sync(folder)
                    except OSError as error:
                        raise InDoubt(f"{where} was written, but not synced to the disk: {error}") from error
            except BaseException as error:
                with suppress(OSError):
                    os.unlink(hidden)
                if isinstance(error, FileNotFoundError):
                    raise Unavailable(f"{where} was not written: somebody removed the file {hidden}") from error
                raise
        return _tag(data)

    def list(self, prefix: str, *, after: str = "", below: bool = False) -> Iterator[Listed]:
        for name, entry in self._entries(prefix):
            key = prefix + name
            if entry.is_dir(follow_symlinks=False):
                if below and not key < after[: len(key)]:
                    yield from self.list(key, after=after, below=True)
            elif key > after:
                with suppress(FileNotFoundError), _translated(Path(entry.path), "read"):
                    told = entry.stat()
                    yield Listed(key, told.st_size, told.st_mtime_ns / 1e9)

    def folders(self, prefix: str) -> Iterator[str]:
        for name, entry in self._entries(prefix):
            if entry.is_dir(follow_symlinks=False) and next(self.list(prefix + name, below=True), None) is not None:
                yield name[:-1]

    def delete(self, keys: Sequence[str]) -> None:
        for folder in {self._where(key).parent for key in keys}:
            wanted = [where for key in keys if (where := self._where(key)).parent == folder]
            with suppress(FileNotFoundError), _translated(folder, "delete in"), _directory(folder) as opened:
                for where in wanted:
                    with suppress(FileNotFoundError):
                        os.unlink(where)
                _sync(opened)
            self._prune(folder)

    def remove(self, key: str, tag: Tag) -> bool:
        where = self._where(key)
        with suppress(FileNotFoundError), _translated(where, "delete"), _directory(where.parent) as folder:
            with _locked(folder, where.parent):
                found = _tag_at(where)
                if found is not None and found != tag:
                    return False
                if found is not None:
                    os.unlink(where)
            _sync(folder)
        self._prune(where.parent)
        return True

    def tidy(self) -> None:
        for hidden in list(self.path.rglob(f"{_HIDDEN}*")):
            with suppress(OSError):
                # the time of its last change, by the system's clock
                if time.time() - hidden.stat().st_ctime > _LEFT_OVER:
                    hidden.unlink()
                    self._prune(hidden.parent)

    def now(self) -> float:
        return self._clock()

    def diagnose(self) -> Sequence[Finding]:
        return diagnose(self.path, self._written)

    @contextmanager
    def _written(self) -> Iterator[None]:
        """A hidden file is there, synced, and gone at the end."""
        with _translated(self.path, "write in"):
            hidden, file = self._hidden(self.path)
            try:
                _write(file, b"1", self._clock())
                with _directory(self.path) as folder:
                    _sync(folder)
                yield
            finally:
                os.unlink(hidden)

    def close(self) -> None:
        pass

    def _where(self, key: str) -> Path:
        parts = key.split("/")
        if not all(parts) or any(part.startswith(".") for part in parts):
            raise ValueError(f"{key!r} can be no path below {self.path}")
        return self.path.joinpath(*parts)

    def _hidden(self, folder: Path) -> tuple[str, int]:
        """A new file in the folder, which is made if need be. While it is there, nobody removes the folder."""
        hidden = os.path.join(folder, f"{_HIDDEN}{os.urandom(9).hex()}")
        for _ in range(_TRIES):
            try:
                return hidden, os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
            except FileNotFoundError:
                self._make(folder)
        raise Unavailable(f"{folder} is removed as often as it is made; try again")

    def _make(self, folder: Path) -> None:
        """Make the directory and those above it; each is synced into the one that it is in."""
        missing = [folder, *folder.parents]
        there = next(at for at, path in enumerate(missing) if path.is_dir())
        for path in reversed(missing[:there]):
            with suppress(FileExistsError, FileNotFoundError):  # made, or removed again, by another process
                os.mkdir(path)
                with _directory(path.parent) as above:
                    _sync(above)

    def _prune(self, folder: Path) -> None:
        """Remove directories that are empty, from this one upwards."""
        while folder != self.path and self.path in folder.parents:
            try:
                os.rmdir(folder)
            except OSError:
                return
            folder = folder.parent

    def _entries(self, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """What is in a directory, in the order of keys; names of directories with a slash."""
        folder = self._where(prefix[:-1]) if prefix else self.path
        found = []
        with suppress(FileNotFoundError), _translated(folder, "list"), os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    found.append((entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name, entry))
        return iter(sorted(found, key=lambda item: item[0]))


def _tag(data: bytes) -> Tag:
    return hashlib.blake2b(data, digest_size=18).hexdigest()


def _tag_at(where: Path) -> Tag | None:
    try:
        return _tag(where.read_bytes())
    except FileNotFoundError:
        return None


def _write(file: int, data: bytes, now: float) -> None:
    """Fill the file, sync and close it."""
    with open(file, "wb", buffering=0) as opened:
        view = memoryview(data)
        while view:
            view = view[opened.write(view) :]
        if os.utime in os.supports_fd:
            os.utime(file, ns=(int(now * 1e9), int(now * 1e9)))
        os.fsync(file)


@contextmanager
def _directory(path: Path) -> Iterator[int]:
    """The directory, opened: to be locked and synced."""
    if sys.platform == "win32":
        yield -1
        return
    opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield opened
    finally:
        os.close(opened)


def _sync(folder: int) -> None:
    if sys.platform != "win32":
        os.fsync(folder)


@contextmanager
def _locked(folder: int, path: Path) -> Iterator[None]:
    """Alone among threads and processes in this directory."""
    if sys.platform == "win32":
        import msvcrt

        # Windows opens no directories: a hidden file stands for it
        with open(path / ".lock", "a+b") as file:
            while True:
                with suppress(OSError):  # it gives up after 10 seconds
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                    break
            yield
    else:
        import fcntl

        fcntl.flock(folder, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(folder, fcntl.LOCK_UN)


@contextmanager
def _translated(where: Path, act: str) -> Iterator[None]:
    """Errors of the system become ours; that there is no such file is left to the caller."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        remedy = _REMEDY.get(error.errno or 0, error.strerror or str(error))
        raise Unavailable(
            f"can not {act} {where}: {remedy} ({errno.errorcode.get(error.errno or 0, 'error')})"
        ) from error
