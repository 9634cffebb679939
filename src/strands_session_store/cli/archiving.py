"""Export, import and copy in a terminal: how far it is (on stderr, where that is a terminal), and what was done."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ..errors import StoreError
from ..sessions import Exported, Imported, Step
from .pages import console, many, size


@contextmanager
def shown(what: str) -> Iterator[Callable[[Step], None]]:
    """A progress bar around a block, and what moves it. What the system says of files becomes one line.

    Raises:
        StoreError: A file can not be read or written, or an argument will not do.
    """
    on = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[so_far]}"), TimeElapsedColumn())
    with Progress(*columns, console=on, disable=not on.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=None, so_far="")

        def tell(step: Step) -> None:
            so_far = f"{many(step.entries, 'log entry', 'log entries')}, {size(step.bytes)}"
            bar.update(task, completed=step.done, total=step.of, so_far=so_far)

        try:
            yield tell
        except StoreError:
            raise
        except OSError as error:
            raise StoreError(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from error
        except ValueError as error:
            raise StoreError(str(error)) from error


class Existing(str, enum.Enum):
    """`OnExisting`, as options name it."""

    ERROR = "error"
    SKIP = "skip"
    REPLACE = "replace"


def report(done: Exported | Imported, as_json: bool, verb: str, where: str) -> None:
    """Say what was done."""
    if as_json:
        print(json.dumps(asdict(done), indent=2))
    else:
        console.print(f"{verb} {_told(done, where)}", markup=False, soft_wrap=True)


def _told(done: Exported | Imported, where: str) -> str:
    """``2 sessions and 1 user (12 log entries, 3,456 B) to x.jsonl; 3 there already.``"""
    out = many(done.sessions, "session")
    if done.users:
        out += f" and {many(done.users, 'user')}"
    out += f" ({many(done.entries, 'log entry', 'log entries')}, {size(done.bytes)}) {where}"
    if isinstance(done, Imported):
        rest = {
            "there already": done.same,
            "there with other content, left alone": done.skipped,
            "in the place of others": done.replaced,
            "expired": done.expired,
        }
        out += "".join(f"; {count:,} {what}" for what, count in rest.items() if count)
    return f"{out}."
