"""`ls`, `show`, `tree`, `usage`: what they take."""

from __future__ import annotations

import enum
import time
from typing import Annotated

import typer

from . import moments
from .options import (
    AgentOption,
    JsonOption,
    SessionArgument,
    SinceOption,
    StoreOption,
    UntilOption,
    UserOption,
    opened,
)
from .terminal import print_json

commands = typer.Typer()
PANEL = "Look"


class Order(str, enum.Enum):
    """What `ls` sorts by."""

    CREATED = "created"
    UPDATED = "updated"


class By(str, enum.Enum):
    """What `usage` tells apart."""

    DAY = "day"
    MODEL = "model"
    SOURCE = "source"
    USER = "user"
    SESSION = "session"


@commands.command(name="ls", rich_help_panel=PANEL)
def list_sessions(
    store: StoreOption = None,
    user: UserOption = None,
    everyone: Annotated[bool, typer.Option("--all", help="Of all users.")] = False,
    text: Annotated[str | None, typer.Option("--text", help="With this in title or description.")] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="Of this kind: session, fork, segment, sub_agent ...")
    ] = None,
    active: Annotated[bool | None, typer.Option("--active/--inactive", help="Only those that are, or are not.")] = None,
    parent: Annotated[
        str | None, typer.Option("--parent", metavar="SESSION_ID", help="Directly below this one.")
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    order: Annotated[Order, typer.Option(help="By which time; --since and --until are of it, too.")] = Order.UPDATED,
    ascending: Annotated[bool, typer.Option("--ascending", help="Oldest first.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on behind an earlier page.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List sessions, last used first."""
    from . import listing
    from .terminal import console

    if everyone and (user is not None or parent is not None):
        raise typer.BadParameter("--all lists the sessions of all users; leave --user and --parent out")
    after, before = _times(since, until)
    with opened(store) as sessions:
        page = sessions.list(
            user,
            everyone=everyone,
            parent_id=parent,
            active=active,
            kind=kind,
            text=text,
            **{f"{order.value}_after": after, f"{order.value}_before": before},  # type: ignore[arg-type]
            order=order.value,
            descending=not ascending,
            limit=limit,
            cursor=cursor,
        )
    if as_json:
        print_json(listing.page_as_data(page))
    elif page.sessions or page.cursor is not None:
        listing.show_page(page, everyone=everyone, order=order.value)
    else:
        filtered = any(given is not None for given in (text, kind, active, parent, after, before))
        whose = f" of user {user!r}" if user else "" if everyone else " without a user (--all: of all users)"
        console.print(f"No {'such ' if filtered else ''}sessions{whose} here.", markup=False)


@commands.command(rich_help_panel=PANEL)
def show(
    session_id: SessionArgument,
    store: StoreOption = None,
    user: UserOption = None,
    last: Annotated[int, typer.Option("--last", "-n", min=1, max=1000, help="How many turns of each agent.")] = 5,
    agent: AgentOption = None,
    full: Annotated[bool, typer.Option("--full", help="Texts as long as they are.")] = False,
    ids: Annotated[bool, typer.Option("--ids", help="With the ids of messages, which fork --at takes.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Also state, runs, tool calls, and what is stored.")
    ] = False,
    layout: Annotated[bool, typer.Option("--layout", help="Also what is stored, by path.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on showing what is said, until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.05, max=3600, help="Seconds between two looks with --follow.")] = 1.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="As one JSON document; with --follow a line a message.")
    ] = False,
) -> None:
    """Show a session: who, when, how much, and the last turns of its conversation."""
    from . import following, showing
    from .reading import gather
    from .spoken import CUT

    with opened(store) as sessions:
        began = time.time()
        whole = gather(sessions, session_id, user, last, agent, layout=everything or layout or (as_json and not follow))
        if as_json and not follow:
            print_json(showing.as_data(whole))
        elif not as_json:
            showing.show(whole, everything=everything, layout=layout, full=full, ids=ids, hint=not follow)
        if not follow:
            return
        seen = {told.agent.agent.agent_id: told.length for told in whole.told}
        follower = following.Follower(sessions, session_id, user, agent, seen, whole.overview.session.created)
        if as_json:
            for told in whole.told:
                for said in (said for turn in told.turns for said in turn.messages):
                    following.tell_json(following.Heard(told.agent.agent.agent_id, said))
            following.follow(follower, following.tell_json, every)
        else:
            latest = {told.agent.agent.agent_id: told.turns[-1] for told in whole.told if told.turns}
            calls = following.calls_since(follower, began)
            cut = None if full or everything else CUT
            screen = following.Screen(latest, calls, cut, ids, several=len(whole.told) > 1)
            following.follow(follower, screen.say, every)


@commands.command(rich_help_panel=PANEL)
def tree(
    session_id: SessionArgument, store: StoreOption = None, user: UserOption = None, as_json: JsonOption = False
) -> None:
    """Draw a session and all that hangs below it, with messages, tokens and cost."""
    from . import listing

    with opened(store) as sessions:
        nodes = sessions.tree(session_id, user)
    if as_json:
        print_json(listing.tree_as_data(nodes))
    else:
        listing.show_tree(nodes)


@commands.command(rich_help_panel=PANEL)
def usage(
    session_id: Annotated[
        str | None,
        typer.Argument(metavar="[SESSION_ID]", show_default=False, help="Without one: of all of the user's."),
    ] = None,
    store: StoreOption = None,
    user: UserOption = None,
    below: Annotated[bool, typer.Option("--below", help="With all sessions below it.")] = False,
    everyone: Annotated[bool, typer.Option("--all", help="Of all users.")] = False,
    by: Annotated[list[By] | None, typer.Option("--by", help="A table each; may be repeated.")] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    as_json: JsonOption = False,
) -> None:
    """What model calls took: tokens and dollars, by day (UTC), model and source."""
    from . import spending
    from .terminal import progress

    if everyone and (user is not None or session_id is not None):
        raise typer.BadParameter("--all is of all users; leave the session and --user out")
    if below and session_id is None:
        raise typer.BadParameter("--below goes with a session; a user's usage has all sessions anyway")
    tables = [one.value for one in by or ()] or ["day", "model", "source", *["user"] * everyone]
    if everyone and "session" in tables:
        raise typer.BadParameter("--by session is of one user's sessions; leave --all out")
    now = time.time()
    try:
        days = [None if text is None else moments.day(text, now) for text in (since, until)]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    with opened(store) as sessions, progress("Adding up") as tell:
        report = sessions.usage.report(
            user,
            session_id=session_id,
            below=below,
            everyone=everyone,
            by=tables,  # type: ignore[arg-type]
            since=days[0],
            until=days[1],
            progress=lambda done: tell(done, None, f"{done:,} sessions"),
        )
    if as_json:
        print_json(spending.as_data(report))
    else:
        whose = "all users" if everyone else f"user {user!r}" if user is not None else "sessions without a user"
        if session_id is not None:
            whose = f"session {session_id!r}{' and all below it' if below else ''}"
        spending.show(report, whose)


def _times(since: str | None, until: str | None) -> tuple[float | None, float | None]:
    """
    Raises:
        BadParameter
    """
    now = time.time()
    try:
        return (
            None if since is None else moments.moment(since, now),
            None if until is None else moments.moment(until, now, end=True),
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
