"""A conversation in the terminal: read a line, let the agent answer, until the input ends."""

from __future__ import annotations

import sys

from rich.text import Text

from ..stores import redact
from . import pages
from .agents import agent_of, ask, model_named, session
from .pages import console


def talk(session_id: str, store: str, user_id: str | None, model: str) -> None:
    """Talk until Ctrl-D (or Ctrl-C at the prompt).

    Raises:
        StoreError: The session can not be read or written, or the model does not answer.
    """

    def on_event(**event: object) -> None:
        if isinstance(message := event.get("message"), dict):
            pages.say_message(message, prompts=False)

    with session(session_id, store, user_id) as manager:
        agent = agent_of(manager, model_named(model), on_event)
        count = len(agent.messages)
        before = f"resumed, {pages.many(count, 'message')} restored" if count else "new"
        note = f"session {session_id} in {redact(store)}: {before}. Model: {model}. Ctrl-D ends."
        console.print(Text(pages.plain(note), "dim"))
        while (prompt := _prompt()) is not None:
            if prompt.strip():
                ask(agent, prompt)
        count = len(agent.messages)
    console.print(Text(f"{pages.many(count, 'message')} in context" if count else "nothing was said or stored", "dim"))


def _prompt() -> str | None:
    """A line; None at the end."""
    try:
        if sys.stdin.isatty():
            return console.input(Text("    you ", "bold cyan"))
        line = input()
        pages.say("user", line)
        return line
    except (EOFError, KeyboardInterrupt):
        console.print()
        return None
