"""The commands: what they take, and what they do when something is not there. What is shown is spelled in `pages`.

Rule 1. Errors of the store are one line on stderr and exit code 1, never a traceback; credentials in URLs are hidden.
Rule 2. With ``--json`` stdout is one JSON document.
Rule 3. Environment variables are read here: STRANDS_SESSION_STORE, where ``--store`` is not given.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ..errors import SessionNotFoundError, StoreError
from ..sessions import Sessions
from ..stores import DEFAULT, open_store, redact
from ..stores.collecting import Collecting
from . import archiving, pages
from .pages import console

"""As for StoreSessionManager."""

StoreOption = Annotated[
    str | None,
    typer.Option("--store", metavar="URL", envvar="STRANDS_SESSION_STORE", help="Where sessions are kept."),
]
UserOption = Annotated[str | None, typer.Option("--user", metavar="USER_ID", help="Owner of the session.")]
ModelOption = Annotated[
    str,
    typer.Option("--model", metavar="MODEL", help="offline, bedrock[:id], openai:id, anthropic:id or ollama:id."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="As one JSON document.")]
SessionArgument = Annotated[str, typer.Argument(metavar="SESSION_ID", show_default=False)]

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=f"Sessions of Strands agents. Kept in {DEFAULT}, unless --store or STRANDS_SESSION_STORE names another.",
)


def run() -> None:
    """Run the command that the arguments name, and end the process."""
    try:
        app()
    except StoreError as error:
        pages.complain(str(error))
        sys.exit(1)


@app.command()
def demo(model: ModelOption = "offline", store: StoreOption = None) -> None:
    """A conversation that survives kill -9: two processes, one session, everything proven."""
    from .demo import play

    raise SystemExit(0 if play(store or DEFAULT, model) else 1)


@app.command()
def chat(
    session_id: SessionArgument, model: ModelOption = "offline", store: StoreOption = None, user: UserOption = None
) -> None:
    """Talk to an agent; what was said before is known. Ctrl-D ends."""
    from .chat import talk

    talk(session_id, store or DEFAULT, user, model)


@app.command(name="ls")
def list_sessions(
    store: StoreOption = None,
    user: UserOption = None,
    everyone: Annotated[bool, typer.Option("--all", help="Of all users.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on behind an earlier page.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List sessions, last used first."""
    if everyone and user is not None:
        raise typer.BadParameter("--all lists the sessions of all users; leave --user out")
    with _sessions(store) as sessions:
        page = sessions.list(user, limit=limit, cursor=cursor, everyone=everyone, order="updated")
    if as_json:
        print(json.dumps(pages.page_as_data(page), indent=2))
    elif page.sessions:
        pages.show_page(page)
    else:
        console.print(f"No sessions{f' of user {user!r}' if user else ''} here.", markup=False)


@app.command()
def show(
    session_id: SessionArgument,
    store: StoreOption = None,
    user: UserOption = None,
    last: Annotated[int, typer.Option("--last", "-n", min=1, max=1000, help="How many messages of each agent.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Show a session: what is stored where, messages, state, runs, tool calls, counters."""
    with _sessions(store) as sessions:
        whole = pages.gather(sessions, session_id, user, last)
    if as_json:
        print(json.dumps(pages.session_as_data(whole), indent=2))
    else:
        pages.show_session(whole)


@app.command()
def delete(
    session_id: SessionArgument,
    store: StoreOption = None,
    user: UserOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Erase a session, whole."""
    with _sessions(store) as sessions:
        found = sessions.get(session_id, user)
        below = () if yes else sessions.children(session_id, user)
        segments = (one.counters["messages"] for one in below if one.session.segment is not None)  # erased with it
        count = found.counters["messages"] + sum(segments)
        if not yes and not typer.confirm(f"Erase session {session_id!r} with {pages.many(count, 'message')}?"):
            raise SystemExit(1)
        gone = sessions.delete(session_id, user)
    if not gone.existed:
        raise SessionNotFoundError(f"session {session_id!r} was gone already")
    console.print(
        f"Erased {pages.many(gone.documents, 'document')} and {pages.many(gone.entries, 'log entry', 'log entries')}, "
        f"{pages.size(gone.bytes)}."
    )


@app.command()
def gc(
    store: StoreOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete what expired and what killed processes left: in a directory or on S3, which do not clean up alone."""
    with _sessions(store) as sessions:
        if not isinstance(sessions.store, Collecting):
            raise StoreError(f"{redact(store or DEFAULT)} cleans up by itself; gc is for directories and S3")
        done = sessions.store.gc(dry_run=dry_run)
    if as_json:
        print(json.dumps(asdict(done), indent=2))
    else:
        pages.show_collected(done, dry_run)
    for key in done.corrupt:
        pages.complain(f"{key} can not be read; it was left alone")
    if done.corrupt:
        raise SystemExit(1)


EveryoneOption = Annotated[bool, typer.Option("--all", help="All sessions of all users, and the users.")]
IdsOption = Annotated[list[str] | None, typer.Option("--id", metavar="SESSION_ID", help="Only this; may be repeated.")]
ExistingOption = Annotated[
    archiving.Existing,
    typer.Option("--on-existing", help="When one is there with other content: stop, skip or replace it."),
]


@app.command()
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
    with _sessions(store) as sessions, archiving.shown("Exporting") as tell:
        done = sessions.archive.export(file, user, everyone=everyone, ids=ids or None, progress=tell)
    archiving.report(done, as_json, "Exported", f"to {file}")


@app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(dir_okay=False, show_default=False)],
    store: StoreOption = None,
    user: Annotated[str | None, typer.Option("--user", metavar="USER_ID", help="Only what is this user's.")] = None,
    on_existing: ExistingOption = archiving.Existing.ERROR,
    as_json: JsonOption = False,
) -> None:
    """Write the sessions of an exported file to a store. Interrupted, it is repeated and goes on."""
    only = {} if user is None else {"user_id": user}
    with open_store(store or DEFAULT) as opened, archiving.shown("Importing") as tell:
        done = Sessions(opened).archive.import_(file, **only, on_existing=on_existing.value, progress=tell)
    archiving.report(done, as_json, "Imported", f"from {file}")


@app.command()
def copy(
    target: Annotated[str, typer.Argument(metavar="TARGET_URL", show_default=False)],
    store: StoreOption = None,
    user: UserOption = None,
    everyone: EveryoneOption = False,
    ids: IdsOption = None,
    on_existing: ExistingOption = archiving.Existing.ERROR,
    as_json: JsonOption = False,
) -> None:
    """Write sessions to another store. Interrupted, it is repeated and goes on."""
    _one_selection(everyone, user, ids)
    with _sessions(store) as sessions, archiving.shown("Copying") as tell:
        done = sessions.archive.copy(
            target, user, everyone=everyone, ids=ids or None, on_existing=on_existing.value, progress=tell
        )
    archiving.report(done, as_json, "Copied", f"to {redact(target)}")


def _one_selection(everyone: bool, user: str | None, ids: list[str] | None) -> None:
    if everyone and (user is not None or ids):
        raise typer.BadParameter("--all takes the sessions of all users; leave --user and --id out")


@contextmanager
def _sessions(url: str | None) -> Iterator[Sessions]:
    """The service over the store at a URL."""
    name = DEFAULT.removeprefix("sqlite:///")
    # in the wrong directory "no sessions" would be misleading
    if url is None and not Path(name).exists():
        raise StoreError(f"there is no {name} in this directory; name a store with --store or STRANDS_SESSION_STORE")
    with open_store(url or DEFAULT) as store:
        yield Sessions(store)
