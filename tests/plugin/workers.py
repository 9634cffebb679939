"""What the processes of the tests of leases do: one of many that run a session, and one stopped in the midst."""

from __future__ import annotations

import time
from multiprocessing.connection import Connection
from typing import Any

from strands.hooks import BeforeInvocationEvent
from strands.types.exceptions import EventLoopException

from strands_session_store import StoreError
from strands_session_store.testing.models import Reply, ScriptedModel

from .children import build, with_tools


def slowly(seconds: float) -> Any:
    """`with_tools`, by a model that takes its time."""

    def script(messages: Any) -> Reply:
        line = with_tools(messages)
        return Reply(line, delay=seconds) if isinstance(line, str) else Reply(tools=line, delay=seconds)  # type: ignore[arg-type]

    return script


def take_turns(
    said: Connection, url: str, session: str, name: str, turns: int, think: float = 0.0, **options: Any
) -> None:
    """Have so many turns of a session that others run too. Says ("ready",), waits for a word, then says of each turn
    (done, prompt, when it was asked for, began and ended, its messages) or (refused, prompt, why); at the end waits for
    a word again, and says the messages of the reloaded agent."""
    agent, manager = build(url, session, slowly(think), exclusive=True, **options)
    model, began = agent.model, [0.0]
    assert isinstance(model, ScriptedModel)
    agent.hooks.add_callback(BeforeInvocationEvent, lambda event: began.append(time.monotonic()))
    said.send(("ready",))
    said.recv()
    done = tries = 0
    while done < turns:
        prompt, tries = f"{name}.{tries}", tries + 1
        asked = time.monotonic()
        try:
            agent(prompt)
        except (StoreError, EventLoopException) as error:
            said.send(("refused", prompt, _told(error)))
            continue
        ended, done = time.monotonic(), done + 1
        first = next(at for at, m in enumerate(agent.messages) if {"text": prompt} in m["content"])
        said.send(("done", prompt, asked, began[-1], ended, agent.messages[first:]))
        model.calls.clear()
    said.recv()
    manager.reload(agent)
    said.send(agent.messages)


def _told(error: BaseException) -> tuple[str, str]:
    """Type and text of what the store said."""
    cause = error.__cause__ if isinstance(error, EventLoopException) and error.__cause__ is not None else error
    return type(cause).__name__, str(cause)
