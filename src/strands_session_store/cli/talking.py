"""`demo` and `chat`: what they take."""

from __future__ import annotations

import typer

from .options import ModelOption, SessionArgument, StoreOption, UserOption, url_of
from .terminal import repeatable

commands = typer.Typer()
PANEL = "Talk"


@commands.command(rich_help_panel=PANEL)
def demo(model: ModelOption = "offline", store: StoreOption = None) -> None:
    """A conversation that survives kill -9: two processes, one session, everything proven."""
    from .demo import play

    with repeatable("nothing has to be undone; the demo begins a new session each time"):
        proven = play(url_of(store), model)
    raise typer.Exit(0 if proven else 1)


@commands.command(rich_help_panel=PANEL)
def chat(
    session_id: SessionArgument, model: ModelOption = "offline", store: StoreOption = None, user: UserOption = None
) -> None:
    """Talk to an agent; what was said before is known. Ctrl-D ends."""
    from .chat import talk

    with repeatable("what was said so far is stored, the same command goes on from there"):
        talk(session_id, url_of(store), user, model)
