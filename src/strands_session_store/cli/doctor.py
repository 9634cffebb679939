"""`doctor`: whether a store can be worked with, what it would lose, and what to do about it.

What is to be said of an engine says the engine (`stores.diagnosing`); here is what is so of all: that it answers, how
fast, and by which versions.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from statistics import median
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from ..errors import StoreError
from ..stores import open_store, redact
from ..stores.base import Capability, Doc, Space, Store, new_commit_id
from ..stores.diagnosing import Diagnosing, Finding
from .terminal import console, dim, plain, took

TRIPS: Final = 5
"""Reads that are timed, behind one that opens connections."""
SLOW: Final = 0.1
"""Seconds of a read; a turn waits for about four commits, each at least as long."""
_MARKS: Final = {"ok": ("ok", "green"), "note": ("note", "yellow"), "problem": ("problem", "bold red")}


def examine(url: str, timeout: float | None, *, write: bool) -> list[Finding]:
    """All that there is to say of a store. ``write``: also commit and erase a session of its own.

    Raises:
        StoreError: The URL is none.
    """
    out = [_versions()]
    with open_store(url, timeout=timeout) as store:
        answers = _answers(store)
        out.append(answers)
        if Capability.PERSISTENT not in store.capabilities:
            found = "what is stored ends with the process that stores it"
            out.append(Finding("persistence", "note", found, "for tests only; name another store"))
        if isinstance(store, Diagnosing):
            try:
                out += store.diagnose()
            except StoreError as error:
                if answers.level != "problem":
                    out.append(Finding("engine", "problem", str(error), "see above for what works"))
        else:
            out.append(Finding("engine", "note", f"{type(store).__name__} does not tell more about itself"))
        if write and answers.level != "problem":
            out.append(_writes(store))
    return out


def show(findings: Sequence[Finding], url: str) -> None:
    console.print(Text(plain(redact(url)), "bold"))
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one in findings:
        mark, style = _MARKS[one.level]
        said = Text(plain(one.found))
        if one.remedy:
            said.append(f"\n→ {plain(one.remedy)}", "" if one.level == "problem" else "dim")
        table.add_row(Text(mark, style), Text(plain(one.name)), said)
    console.print(table)
    problems, notes = (sum(one.level == level for one in findings) for level in ("problem", "note"))
    dim(f"{problems or 'no'} problem{'' if problems == 1 else 's'}, {notes or 'no'} note{'' if notes == 1 else 's'}")


def as_data(findings: Sequence[Finding], url: str) -> dict[str, Any]:
    return {
        "store": redact(url),
        "problems": sum(one.level == "problem" for one in findings),
        "findings": [asdict(one) for one in findings],
    }


# ------------------------------------------------------------------------------------------------------------- private


def _versions() -> Finding:
    # of what is installed; importing Strands would take longer than all the rest
    told = [f"Python {platform.python_version()}"]
    told += [f"{name} {metadata.version(name)}" for name in ("strands-agents", "strands-session-store")]
    return Finding("versions", "ok", ", ".join(told))


def _answers(store: Store) -> Finding:
    """Whether it answers a read, and how fast."""
    nowhere = Space("session", None, f"doctor-{new_commit_id()}")
    times = []
    try:
        for _ in range(1 + TRIPS):
            began = time.perf_counter()
            store.read(nowhere, Doc("session"))
            times.append(time.perf_counter() - began)
    except StoreError as error:
        return Finding("reachable", "problem", str(error), "nothing can be read until that is mended")
    trip = median(times[1:])
    found = f"it answers; a read takes {took(trip)} (the first, which connects, {took(times[0])})"
    if trip > SLOW:
        return Finding("reachable", "note", found, "each message waits for as much: run the agents nearer to the store")
    return Finding("reachable", "ok", found)


def _writes(store: Store) -> Finding:
    """Whether it takes a commit, knows it again, and erases what was committed."""
    space = Space("session", None, f"doctor-{new_commit_id()}")
    id = new_commit_id()
    try:
        began = time.perf_counter()
        first = store.commit(space, commit_id=id)
        trip = time.perf_counter() - began
        again = store.commit(space, commit_id=id)
        gone = store.drop(space)
    except StoreError as error:
        return Finding("commit", "problem", str(error), "nothing can be stored until that is mended")
    if not again.repeated or again.incarnation != first.incarnation or not gone.existed:
        return Finding("commit", "problem", "it does not keep what it acknowledged", "use another store, and report it")
    return Finding("commit", "ok", f"it takes commits; one that makes a session takes {took(trip)}")
