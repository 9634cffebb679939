"""What an engine may be able to do: look at itself and where it keeps its data, as an operator would.

Here is also what several engines would each find out in the same way: of clocks, of disks and of files.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Level: TypeAlias = Literal["ok", "note", "problem"]
"""``problem``: data can be lost, or something does not work. ``note``: good to know, or could not be told."""

CLOCK_NOTE: Final = 5.0
"""Seconds by which clocks may differ; leases compare no clocks, so more is odd, not wrong."""
CLOCK_PROBLEM: Final = 60.0
"""Seconds after which sessions expire, and are listed, at visibly wrong times."""
_ROOM_PROBLEM: Final = 100 * 10**6
_ROOM_NOTE: Final = 10**9
_NETWORKED: Final = ("nfs", "cifs", "smb", "9p", "afs", "ceph", "fuse.sshfs", "fuse.s3fs", "glusterfs", "lustre")
_MOUNTS: Final = "/proc/self/mountinfo"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. Texts name no credentials and nothing that is stored."""

    name: str
    """What was looked at; the same each time."""
    level: Level
    found: str
    """How it is, in a sentence without a full stop."""
    remedy: str = ""
    """What to do about it; "" where there is nothing to do."""


class Diagnosing(ABC):
    """A store that can tell how it is."""

    @abstractmethod
    def diagnose(self) -> Sequence[Finding]:
        """What there is to say of the engine and its place, in the order in which it is best read. Nothing that is
        stored is changed; a file or object of its own, to see whether writing works, is gone at the end. What this user
        has no right to look at is a finding too.

        Raises:
            StoreError: The engine can not be reached, or closed.
        """


def clock(ahead: float, exact: float = 0.0) -> Finding:
    """
    Args:
        ahead: Seconds that the engine's clock is ahead of this machine's.
        exact: To how many seconds that is known.
    """
    off = max(0.0, abs(ahead) - exact)
    level: Level = "ok" if off <= CLOCK_NOTE else "note" if off <= CLOCK_PROBLEM else "problem"
    if level == "ok":
        return Finding("clock", level, f"the engine's clock and this machine's differ by less than {CLOCK_NOTE:g} s")
    way = "ahead of" if ahead > 0 else "behind"
    return Finding(
        "clock",
        level,
        f"the engine's clock is {abs(ahead):,.0f} s {way} this machine's",
        "have both machines set their clocks by NTP; sessions expire, and are sorted, by the engine's",
    )


def room(path: str) -> Finding:
    """Free space on the disk that has a path, which is there."""
    free = shutil.disk_usage(path).free
    level: Level = "problem" if free < _ROOM_PROBLEM else "note" if free < _ROOM_NOTE else "ok"
    remedy = "" if level == "ok" else "free some space; a disk that is full takes no commits"
    return Finding("disk", level, f"{_size(free)} free on its disk", remedy)


def rights(path: str, *, folder: bool = False) -> list[Finding]:
    """Who may read and write a file, or a directory, which is there."""
    found = os.stat(path)
    mode, what = stat.S_IMODE(found.st_mode), "directory" if folder else "file"
    spelled = f"{stat.filemode(found.st_mode)} ({mode:o})"
    remedy = f"take that right from others: chmod o-rwx {path!r}"
    out = []
    if sys.platform == "win32":
        pass  # its rights are not in these bits
    elif not _open_to_others(os.path.dirname(os.path.realpath(path))) or not mode & (stat.S_IROTH | stat.S_IWOTH):
        out.append(Finding("permissions", "ok", f"other users of this machine have no access: {what} {spelled}"))
    elif mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        out.append(
            Finding("permissions", "problem", f"every user of this machine may change the {what}: {spelled}", remedy)
        )
    else:
        out.append(Finding("permissions", "note", f"every user of this machine may read the {what}: {spelled}", remedy))
    needed = os.W_OK | (os.X_OK if folder else 0)
    if not os.access(path, needed, effective_ids=os.access in os.supports_effective_ids):
        out.append(
            Finding(
                "writing",
                "note",
                f"this user may not write the {what}",
                "reading goes on without; to write, be its owner",
            )
        )
    return out


def file_system(path: str) -> list[Finding]:
    """A problem if the path is on a file system of the network, as far as the system tells."""
    try:
        with open(_MOUNTS, encoding="utf-8", errors="replace") as lines:
            kind = mounted_as(os.path.realpath(path), lines.read())
    except OSError:  # no Linux
        return []
    if not kind.startswith(_NETWORKED):
        return []
    return [
        Finding(
            "file system",
            "problem",
            f"it is on a file system of the network ({kind}), whose locks can not be relied on",
            "move it to a local disk; for several machines there are servers",
        )
    ]


def mounted_as(path: str, mounts: str) -> str:
    """The type of the file system that has a path; "" if that is not told. ``mounts``: as Linux's mountinfo."""
    best, kind = "", ""
    for line in mounts.splitlines():
        mount, _, rest = line.partition(" - ")
        fields = mount.split()
        if len(fields) > 4 and rest:
            at = fields[4].replace("\\040", " ")
            if (path == at or path.startswith(at.rstrip("/") + "/")) and len(at) >= len(best):
                best, kind = at, rest.split()[0]
    return kind


def _open_to_others(folder: str) -> bool:
    """Whether other users of this machine come as far as into this directory."""
    while True:
        if not os.stat(folder).st_mode & stat.S_IXOTH:
            return False
        above = os.path.dirname(folder)
        if above == folder:
            return True
        folder = above


def _size(count: int) -> str:
    return f"{count / 10**9:,.1f} GB" if count >= 10**9 else f"{count / 10**6:,.0f} MB"
