"""`export`, `import` and `copy`: what they take, how far they are, and what was done."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import (
    EveryoneOption,
    Existing,
    ExistingOption,
    IdsOption,
    JsonOption,
    StoreOption,
    UserOption,
    opened,
    timeout,
)
from .terminal import Tell, console, many, print_json, progress, repeatable, size

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..sessions import Exported, Imported, Step

commands = typer.Typer()
PANEL = "Move"
AGAIN = "the same command goes on: what is there already is not written again"


@commands.command(rich_help_panel=PANEL)
def export(
    file: Annotated[Path, typer.Argument(dir_okay=False, show_default=False)],
    store: StoreOption = None,
    user: UserOption = None,
    everyone: EveryoneOption = False,
    ids: IdsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write sessions to a file of JSON lines, which is there once it is whole."""
    _one_selection(everyone, user, ids)
    with (
        opened(store) as sessions,
        repeatable(f"there is no {file}; repeat the command"),
        progress("Exporting") as tell,
    ):
        done = sessions.archive.export(file, user, everyone=everyone, ids=ids or None, progress=_moving(tell))
    _report(done, as_json, "Exported", f"to {file}")


@commands.command(name="import", rich_help_panel=PANEL)
def import_(
    file: Annotated[Path, typer.Argument(dir_okay=False, show_default=False)],
    store: StoreOption = None,
    user: Annotated[str | None, typer.Option("--user", metavar="USER_ID", help="Only what is this user's.")] = None,
    on_existing: ExistingOption = Existing.ERROR,
    as_json: JsonOption = False,
) -> None:
    """Write the sessions of an exported file to a store. Interrupted, it is repeated and goes on."""
    only = {} if user is None else {"user_id": user}
    with opened(store, make=True) as sessions, repeatable(AGAIN), progress("Importing") as tell:
        done = sessions.archive.import_(file, **only, on_existing=on_existing.value, progress=_moving(tell))
    _report(done, as_json, "Imported", f"from {file}")


@commands.command(rich_help_panel=PANEL)
def copy(
    target: Annotated[str, typer.Argument(metavar="TARGET_URL", show_default=False)],
    store: StoreOption = None,
    user: UserOption = None,
    everyone: EveryoneOption = False,
    ids: IdsOption = None,
    on_existing: ExistingOption = Existing.ERROR,
    as_json: JsonOption = False,
) -> None:
    """Write sessions to another store. Interrupted, it is repeated and goes on."""
    from ..stores import open_store, redact

    _one_selection(everyone, user, ids)
    with (
        opened(store) as sessions,
        open_store(target, timeout=timeout()) as there,
        repeatable(AGAIN),
        progress("Copying") as tell,
    ):
        done = sessions.archive.copy(
            there, user, everyone=everyone, ids=ids or None, on_existing=on_existing.value, progress=_moving(tell)
        )
    _report(done, as_json, "Copied", f"to {redact(target)}")


# ------------------------------------------------------------------------------------------------------------- private


def _one_selection(everyone: bool, user: str | None, ids: list[str] | None) -> None:
    if everyone and (user is not None or ids):
        raise typer.BadParameter("--all takes the sessions of all users; leave --user and --id out")


def _moving(tell: Tell) -> Callable[[Step], None]:
    def moved(step: Step) -> None:
        tell(step.done, step.of, f"{many(step.entries, 'log entry', 'log entries')}, {size(step.bytes)}")

    return moved


def _report(done: Exported | Imported, as_json: bool, verb: str, where: str) -> None:
    if as_json:
        print_json(asdict(done))
    else:
        console.print(f"{verb} {_told(done, where)}", markup=False, soft_wrap=True)


def _told(done: Exported | Imported, where: str) -> str:
    """``2 sessions and 1 user (12 log entries, 3,456 B) to x.jsonl; 3 there already.``"""
    out = many(done.sessions, "session")
    if done.users:
        out += f" and {many(done.users, 'user')}"
    out += f" ({many(done.entries, 'log entry', 'log entries')}, {size(done.bytes)}) {where}"
    counts = asdict(done)
    rest = {
        "same": "there already",
        "skipped": "there with other content, left alone",
        "replaced": "in the place of others",
        "expired": "expired",
    }
    out += "".join(f"; {counts[name]:,} {what}" for name, what in rest.items() if counts.get(name))
    return f"{out}."
