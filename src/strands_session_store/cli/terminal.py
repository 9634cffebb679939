"""The terminal: what is written to it, asked there, and shown while something takes long.

Rule 1. Stored text is data. It is shown without interpreting markup, and control characters are made visible, so that
        no message can take over a terminal.
Rule 2. stdout has what was asked for, and with ``--json`` nothing but JSON. Complaints, questions and progress are on
        stderr, progress only where that is a terminal.
Rule 3. Into a pipe no colours are written and no line is cut; a reader who goes away is no error.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final, TypeAlias

import typer
from rich.console import Console
from rich.text import Text

from ..errors import StoreError

PIPED: Final = 10_000
"""Columns where there is no terminal, and COLUMNS does not say how many."""

Tell: TypeAlias = Callable[[int, "int | None", str], None]
"""Told how many are done, of how many (None: not known), and what else there is to say."""


class _Terminal(Console):
    def on_broken_pipe(self) -> None:
        raise  # Rich calls this where it has caught the BrokenPipeError, and would end the process with 1


def _made() -> Console:
    made = _Terminal(highlight=False, emoji=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = PIPED
    return made


console = _made()


def complain(text: str) -> None:
    """One line on stderr."""
    print(f"strands-session: {plain(text).replace(chr(10), ' ')}", file=sys.stderr)


def print_json(data: Any, *, line: bool = False) -> None:
    """One JSON document; with ``line`` in one line, which is written at once."""
    print(json.dumps(data, indent=None if line else 2), flush=line)


def ask(question: str) -> str | None:
    """A line that is typed in answer; None at the end of the input.

    Raises:
        KeyboardInterrupt
    """
    line = ""
    try:
        print(f"{plain(question)} ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
    finally:
        if not line:
            print(file=sys.stderr)
    return line.rstrip("\n") if line else None


def agreed(question: str) -> bool:
    """Whether it was answered with yes."""
    return (ask(f"{question} [y/N]") or "").strip().casefold() in ("y", "yes")


# ------------------------------------------------------------------------------------------------------------ long work


@contextlib.contextmanager
def repeatable(remedy: str) -> Iterator[None]:
    """Work that Ctrl-C may end anywhere: then one line says so and what to do, and the program ends with 130."""
    try:
        yield
    except KeyboardInterrupt:
        complain(f"interrupted; {remedy}")
        raise typer.Exit(130) from None


@contextlib.contextmanager
def progress(what: str) -> Iterator[Tell]:
    """A bar around a block, and what moves it. What the system says of files, and of wrong values, becomes one line.

    Raises:
        StoreError: A file can not be read or written, or an argument will not do.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    on = Console(stderr=True, highlight=False, emoji=False)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[so_far]}"), TimeElapsedColumn())
    with Progress(*columns, console=on, disable=not on.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=None, so_far="")

        def tell(done: int, of: int | None, so_far: str) -> None:
            bar.update(task, completed=done, total=of, so_far=so_far)

        try:
            yield tell
        except (StoreError, BrokenPipeError):
            raise
        except OSError as error:
            raise StoreError(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from error
        except ValueError as error:
            raise StoreError(str(error)) from error


# ---------------------------------------------------------------------------------------------------------- small parts


def plain(text: str) -> str:
    """``text`` with control characters made visible, newlines and tabs excepted."""
    return "".join(
        c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs") else f"\\u{ord(c):04x}" for c in text
    )


def short(text: str, limit: int = 400) -> str:
    """On one line, and not longer than that."""
    text = plain(text).replace("\n", " ")
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text):,} characters)"


def many(count: int, one: str, more: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def size(count: int) -> str:
    return f"{count:,} B" if count < 10_000 else f"{count / 1000:,.0f} kB"


def when(at: float | None, *, seconds: bool = False) -> str:
    """Local time; ``?`` when unknown."""
    return "?" if at is None else datetime.fromtimestamp(at).strftime(f"%Y-%m-%d %H:%M{':%S' if seconds else ''}")


def ago(at: float, now: float | None = None) -> str:
    """``5 min ago``, ``in 2 h``; to the largest unit."""
    away = (time.time() if now is None else now) - at
    for seconds, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if abs(away) >= seconds:
            return f"{away // seconds:,.0f} {unit} ago" if away > 0 else f"in {-away // seconds:,.0f} {unit}"
    return "just now" if away >= 0 else "in a moment"


def took(seconds: float) -> str:
    """A duration: ``0.30 ms``, ``12 ms``, ``1.2 s``, ``3 min``."""
    if seconds < 0.01:
        return f"{1000 * seconds:.2f} ms"
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:,.0f} min"


def heading(text: str) -> None:
    console.print()
    console.print(Text(plain(text), "bold"))


def dim(text: str) -> None:
    console.print(Text(plain(text), "dim"))
