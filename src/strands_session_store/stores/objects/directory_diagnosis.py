"""How a directory is, as a place for objects: who may read and write it, how much room there is, what a sync takes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from ...errors import StoreError
from ..diagnosing import Finding, file_system, rights, room

_SLOW: Final = 0.1
"""Seconds of a sync; a commit takes two."""
_FEW: Final = 10_000
"""Files that can still be made."""


def diagnose(path: Path, write: Callable[[], AbstractContextManager[None]]) -> list[Finding]:
    """See `Diagnosing.diagnose`.

    Args:
        path: Of the directory.
        write: Writes a file of its own into it and syncs it; it is gone behind the block.
    """
    there = next(at for at in (path, *path.parents) if at.is_dir())
    if there != path:
        made = Finding("directory", "note", f"there is no {str(path)!r} yet; the first commit makes it")
        return [made, *rights(str(there), folder=True), *file_system(str(there)), room(str(there))]
    out = [Finding("directory", "ok", repr(str(path)))]
    out += [*rights(str(path), folder=True), *file_system(str(path)), room(str(path)), *_files(path)]
    if not os.access(path, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        return out
    began = time.monotonic()
    try:
        with write():
            took = time.monotonic() - began
    except (StoreError, OSError) as error:
        out.append(Finding("sync", "problem", f"a file could not be written and synced: {error}", "mend that first"))
        return out
    slow = took > _SLOW
    remedy = "each commit takes two syncs: use a faster disk, or an engine that is a server" if slow else ""
    out.append(
        Finding("sync", "note" if slow else "ok", f"a file is synced to the disk in {1000 * took:,.1f} ms", remedy)
    )
    return out


def _files(path: Path) -> list[Finding]:
    """Whether there is room for many more files, where the file system has a number of them."""
    if not hasattr(os, "statvfs"):
        return []
    told = os.statvfs(path)
    if not told.f_files or told.f_favail >= _FEW:
        return []
    found = f"the file system has room for {told.f_favail:,} more files"
    return [Finding("files", "problem", found, "remove files; `gc` deletes what expired")]
