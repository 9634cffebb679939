"""`doctor`: what it takes."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import JsonOption, StoreOption, is_there, timeout, url_of
from .terminal import print_json

commands = typer.Typer()
PANEL = "Look"


@commands.command(rich_help_panel=PANEL)
def doctor(
    store: StoreOption = None,
    write: Annotated[
        bool, typer.Option("--write", help="Also make a session without content and erase it, to see that it works.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check a store: reachable, safe, sound? Ends with 1 where there is a problem, and says what to do."""
    from . import doctor as doing

    is_there(store)
    url = url_of(store)
    findings = doing.examine(url, timeout(), write=write)
    if as_json:
        print_json(doing.as_data(findings, url))
    else:
        doing.show(findings, url)
    if any(one.level == "problem" for one in findings):
        raise typer.Exit(1)
