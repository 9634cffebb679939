"""A conversation in the terminal: read a line, let the agent answer, until the input ends."""

from __future__ import annotations

import sys

from rich.text import Text

from ..stores import redact
from .agents import agent_of, ask, model_named, session
from .spoken import say, say_message
from .terminal import console, dim, many


def talk(session_id: str, store: str, user_id: str | None, model: str) -> None:
    """Talk until Ctrl-D (or Ctrl-C at the prompt).

    Raises:
        StoreError: The session can not be read or written, or the model does not answer.
    """

    def on_event(**event: object) -> None:
        if isinstance(message := event.get("message"), dict):
            say_message(message, prompts=False)

    with session(session_id, store, user_id) as manager:
        agent = agent_of(manager, model_named(model), on_event)
        count = len(agent.messages)
        before = f"resumed, {many(count, 'message')} restored" if count else "new"
        note = f"session {session_id} in {redact(store)}: {before}. Model: {model}. Ctrl-D ends."
        dim(note)
        while (prompt := _prompt()) is not None:
            if prompt.strip():
                ask(agent, prompt)
        count = len(agent.messages)
    dim(f"{many(count, 'message')} in context" if count else "nothing was said or stored")


def _prompt() -> str | None:
    """A line; None at the end."""
    try:
        if sys.stdin.isatty():
            return console.input(Text("    you ", "bold cyan"))
        line = input()
        say("you", line)
        return line
    except (EOFError, KeyboardInterrupt):
        console.print()
        return None
