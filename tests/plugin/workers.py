"""What the processes of the tests of leases do: one of many that run a session, and one stopped in the midst."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from strands import tool
from strands.hooks import BeforeInvocationEvent
from strands.types.exceptions import EventLoopException

from strands_session_store import StoreError, codec, layout, open_store
from strands_session_store.records import Lease
from strands_session_store.stores.base import Append, Change, PutDoc
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import Reply, ScriptedModel, ToolCall
from strands_session_store.testing.wrapping import Call, Wrapped

from .children import build, with_tools

T = TypeVar("T")


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


class Stopping(Wrapped):
    """Calls ``stop`` before a commit that is looked for, once."""

    def __init__(self, url: str, stop: Callable[[], None]) -> None:
        super().__init__(open_store(url))
        self._stop = stop
        self.before: Callable[[Any], bool] = lambda changes: False

    def _ask(self, call: Call, engine: Callable[[], T]) -> T:
        if call.verb == "commit" and self.before(call.args):
            self.before = lambda changes: False
            self._stop()
        return engine()


def says(changes: Sequence[Change]) -> bool:
    """Whether a commit stores a message."""
    return any(isinstance(change, Append) and change.log == layout.history("default") for change in changes)


def lets_go(changes: Sequence[Change]) -> bool:
    """Whether a commit gives the lease back."""
    return any(
        isinstance(change, PutDoc) and change.path == layout.LEASE and codec.load(Lease, change.data, "").holder is None
        for change in changes
    )


def be_stopped(said: Connection, url: str, session: str, where: str, **options: Any) -> None:
    """For each prompt it is told, have a turn, and say its messages, or (error, text). In the turn of the prompt
    "stop" it says ("there",) at ``where`` (tool, model, first commit, last commit) and waits for a word."""
    armed = False

    def stop() -> None:
        nonlocal armed
        if armed:
            armed = False
            said.send(("there",))
            said.recv()

    @tool
    def wait_there() -> str:
        """Waits."""
        if where == "tool":
            stop()
        return "waited"

    def script(messages: Any) -> Any:
        if where == "model":
            stop()
        answers = any("toolResult" in block for block in messages[-1]["content"])
        return "That is done." if answers else ToolCall("wait_there")

    store = Stopping(url, stop)
    agent, _ = build(store, session, script, tools=[wait_there], exclusive=True, **options)
    said.send(("ready",))
    while (prompt := said.recv()) is not None:
        if prompt == "stop":
            armed, store.before = True, {"first commit": says, "last commit": lets_go}.get(where, store.before)
        try:
            agent(prompt)
            said.send(agent.messages)
        except (StoreError, EventLoopException) as error:
            said.send(_told(error))


def end_in_a_turn(said: Connection, url: str, session: str, how: str, durability: str, **options: Any) -> None:
    """Say ("there",) in the midst of a turn, and when told to, end the process: with the turn under way on another
    thread, or by it."""

    def script(messages: Any) -> str:
        said.send(("there",))
        said.recv()
        if how == "exit":
            sys.exit(3)
        if how == "error":
            raise RuntimeError("unhandled, as it was meant to be")
        return "fine"

    # a global, as in a script: it lives until the interpreter ends
    globals()["kept"] = agent, _ = build(url, session, script, exclusive=True, durability=durability, **options)
    agent("go")


def fork_and_hang(said: Connection, url: str, session: str, at: int, vanishes: float) -> None:
    """Fork a session in small commits, and hang in one of them; says that it does. What it leaves vanishes in time."""
    from strands_session_store.sessions import building, forks

    setattr(building, "BATCH_CHANGES", 3)  # noqa: B010
    setattr(building, "HALF_MADE_SECONDS", vanishes)  # noqa: B010
    store = FaultyStore(open_store(url))
    held = store.plan("commit", at=at, hang="before")
    threading.Thread(
        target=forks.fork,
        args=(store, layout.session_space(session, None), layout.session_space("copy", None)),
        kwargs={"named": lambda record: record},
        daemon=True,
    ).start()
    held.reached.wait()
    said.send("hangs")
    said.recv()


def end_a_segment_and_hang(said: Connection, url: str, session: str, nth: int, when: str, pieces: bool) -> None:
    """Four turns, and with each from the second on a segment ends; hang before or after the nth commit of the last end.
    Says how many commits an end takes, and then that it hangs."""
    from strands_session_store.segments import SegmentAfter
    from strands_session_store.sessions import building

    if pieces:
        setattr(building, "BATCH_CHANGES", 3)  # noqa: B010
    store = FaultyStore(open_store(url))
    after = SegmentAfter(max_tokens=None, max_turns=2, summarize="extractive")
    agent, _ = build(store, session, lambda messages: "hi", segment_after=after)
    agent("turn 1")
    agent("turn 2")
    before = len(store.calls)
    agent("turn 3")
    took = [call for call in store.calls[before:] if call.verb == "commit"]
    own = 4  # what was edited, prompt, answer, end of the run
    said.send(len(took) - own)
    held = store.plan("commit", at=own + nth, hang=when)  # type: ignore[arg-type]
    threading.Thread(target=agent, args=("turn 4",), daemon=True).start()
    held.reached.wait()
    said.send("hangs")
    said.recv()
