"""`fork` and `gc`: what they take, and what they say."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import StoreError
from .options import AgentOption, JsonOption, SessionArgument, StoreOption, UserOption, opened, url_of
from .terminal import complain, console, many, print_json, progress, repeatable, size

if TYPE_CHECKING:
    from ..stores.collecting import Collected

commands = typer.Typer()
PANEL = "Change"


@commands.command(rich_help_panel=PANEL)
def fork(
    session_id: SessionArgument,
    store: StoreOption = None,
    user: UserOption = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="MESSAGE_ID", help="The last message it has: see show --ids.")
    ] = None,
    agent: AgentOption = None,
    new_id: Annotated[
        str | None, typer.Option("--new-id", metavar="SESSION_ID", help="Its id; else one is drawn.")
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="Its title; else that of the source.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a new session of another one, as it was at a message; prints its id."""
    from ..sessions import UNSET
    from .showing import record_as_data

    if agent is not None and at is None:
        raise typer.BadParameter("--agent says whose message --at is; give both")
    with opened(store) as sessions, repeatable("a fork that is half made is no session; make it again"):
        made = sessions.fork(
            session_id, user, at=at, agent_id=agent, new_id=new_id, title=UNSET if title is None else title
        )
    if as_json:
        print_json(record_as_data(made))
    else:
        print(made.session_id)


@commands.command(rich_help_panel=PANEL)
def gc(
    store: StoreOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete what expired and what killed processes left: in a directory or on S3, which do not clean up alone."""
    from ..stores import redact
    from ..stores.collecting import Collecting

    with opened(store) as sessions:
        if not isinstance(sessions.store, Collecting):
            raise StoreError(f"{redact(url_of(store))} cleans up by itself; gc is for directories and S3")
        with repeatable("what is deleted is gone; the same command goes on"), progress("Looking") as tell:
            done = sessions.store.gc(
                dry_run=dry_run, progress=lambda so_far: tell(0, None, f"{so_far.expired + so_far.objects:,} found")
            )
    if as_json:
        print_json(asdict(done))
    else:
        _show_collected(done, dry_run)
    for key in done.corrupt:
        complain(f"{key} can not be read; it was left alone")
    if done.corrupt:
        raise typer.Exit(1)


def _show_collected(done: Collected, dry_run: bool) -> None:
    parts = [
        many(done.expired, "expired session"),
        f"{many(done.objects, 'unnamed object')} ({size(done.bytes)})",
        many(done.tombstones, "tombstone"),
        many(done.rows, "index row"),
    ]
    console.print(f"{'Would delete' if dry_run else 'Deleted'} {', '.join(parts)}.")
    if done.restored:
        console.print(f"{'Would put' if dry_run else 'Put'} back {many(done.restored, 'index row')} that was missing.")
