"""Real processes for the tests of this directory: one that has everything imported forks the others, so each is cheap.

Run as a program it is that process: for each line on its input it forks a child, which connects to the test and runs
one function of this file, or of `workers`. The child talks over its connection; what it has sent arrives even when it
is killed.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterable
from multiprocessing.connection import Client, Connection, Listener, wait
from typing import Any

from strands import Agent, ToolContext, tool
from strands.agent.conversation_manager import NullConversationManager
from strands.hooks import HookOrder, MessageAddedEvent
from strands.types.exceptions import EventLoopException
from tests.forked import end
from tests.stores.s3_server import ENVIRONMENT

from strands_session_store import StoreError, StoreSessionManager, Unavailable, open_store
from strands_session_store.errors import InDoubt
from strands_session_store.stores.base import Store
from strands_session_store.testing.faults import FaultyStore, Plan
from strands_session_store.testing.models import Line, ScriptedModel, ToolCall

PATIENCE = 30.0
"""Seconds after which a condition that was waited for has failed."""


def wait_for(condition: Callable[[], Any], what: str = "the condition") -> Any:
    """The condition's value, once it is true."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < end, f"{what} did not come within {PATIENCE:g} s"
        time.sleep(0.001)
    return value


# ------------------------------------------------------------------------------------------------------ for the tests


class Child:
    """A process that runs one function of this file."""

    def __init__(self, parent: Parent, pid: int, connection: Connection) -> None:
        self._parent, self.pid, self._connection = parent, pid, connection

    def hear(self) -> Any:
        """The next thing it says.

        Raises:
            EOFError: It has ended.
        """
        assert self._connection.poll(PATIENCE), f"the child said nothing for {PATIENCE:g} s"
        said = self._connection.recv()
        if isinstance(said, tuple) and said[:1] == ("crashed",):
            raise AssertionError(f"the child crashed: {said[1]}")
        return said

    def hear_all(self) -> list[Any]:
        """What it says until it ends."""
        heard: list[Any] = []
        try:
            while True:
                heard.append(self.hear())
        except (EOFError, ConnectionResetError):
            return heard

    def tell(self, something: Any) -> None:
        self._connection.send(something)

    def ask(self, something: Any) -> Any:
        self.tell(something)
        return self.hear()

    def kill(self) -> None:
        """SIGKILL, and gone when this returns."""
        os.kill(self.pid, signal.SIGKILL)
        self.ended()

    def ended(self) -> int:
        """Wait for its end; its exit status (negative: the signal that ended it)."""
        return int(self._parent.ask({"wait": self.pid}))

    def close(self) -> None:
        self._connection.close()


def heard(children: Iterable[Child], seconds: float = PATIENCE) -> list[Child]:
    """Those of the children that have said something, or have ended; none when none does so in time."""
    talking = {child._connection: child for child in children}
    return [talking[ready] for ready in wait(list(talking), seconds)]  # type: ignore[index]


class Parent:
    """The process that forks the children."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="children")
        self._listener = Listener(f"{self._directory.name}/socket")
        env = {**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-W", "error", __file__, str(self._listener.address)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self._children: list[Child] = []

    def start(self, name: str, /, **arguments: Any) -> Child:
        """A new process that runs the function of this name."""
        pid = int(self.ask({"run": name, "arguments": arguments}))
        child = Child(self, pid, self._listener.accept())
        self._children.append(child)
        return child

    def ask(self, request: dict[str, Any]) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()

    def rest(self) -> None:
        """Close the connections of the children of one test; those still there end by that."""
        for child in self._children:
            child.close()
        self._children.clear()

    def close(self) -> None:
        self.rest()
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        self._process.stdout.close()
        self._listener.close()
        self._directory.cleanup()


# --------------------------------------------------------------------------------------------------- the conversation


@tool
def add(a: int, b: int) -> int:
    """The sum of two numbers."""
    return a + b


@tool
def echo(text: str) -> str:
    """The text again."""
    return text


def with_tools(messages: Iterable[Any]) -> Line:
    """Two tools at once for each prompt, then an answer."""
    *_, last = messages
    if any("toolResult" in block for block in last["content"]):
        return "That is done."
    return [ToolCall("add", {"a": 1, "b": 2}), ToolCall("echo", {"text": "x"})]


def build(store: Store | str, session: str, script: Any = with_tools, **options: Any) -> tuple[Agent, Any]:
    """An agent that never forgets, and its session manager."""
    agent_id, tools = options.pop("agent_id", None), options.pop("tools", [add, echo])
    manager = StoreSessionManager(session, store, **options)
    agent = Agent(
        model=ScriptedModel(script),
        tools=tools,
        agent_id=agent_id,
        session_manager=manager,
        conversation_manager=NullConversationManager(),
        callback_handler=None,
    )
    return agent, manager


def unpaired(messages: list[Any]) -> list[str]:
    """Tool uses without exactly one result in the next message, and results without a use in the one before."""
    found: list[str] = []
    for before, message in zip([{"content": []}, *messages], [*messages, {"content": []}]):
        uses = sorted(b["toolUse"]["toolUseId"] for b in before["content"] if "toolUse" in b)
        results = sorted(b["toolResult"]["toolUseId"] for b in message["content"] if "toolResult" in b)
        if uses != results:
            found.append(f"{uses} != {results}")
    return found


# ------------------------------------------------------------------------------------------------- what children do


def converse(said: Connection, url: str, session: str, turns: int) -> None:
    """A conversation; says the id of each message once it is acknowledged."""
    agent, _ = build(url, session)
    agent.hooks.add_callback(
        MessageAddedEvent, lambda event: said.send(event.message["tracking_id"]), order=HookOrder.SDK_LAST
    )
    for turn in range(turns):
        agent(f"turn {turn}")


def go_on(said: Connection, url: str, session: str, turns: int) -> None:
    """Resume; says what was restored, then the messages after one more turn and after all."""
    agent, _ = build(url, session)
    said.send([m["tracking_id"] for m in agent.messages])
    agent("and again")
    said.send(agent.messages)
    for turn in range(turns):
        agent(f"turn {turn}")
    said.send(agent.messages)


def obey(said: Connection, url: str, session: str, **options: Any) -> None:
    """Build an agent, then: a prompt is said to it, ``None`` ends. Says None, or the error's type and text."""
    agent, _ = build(url, session, **options)
    said.send([m["tracking_id"] for m in agent.messages])
    while (prompt := said.recv()) is not None:
        try:
            agent(prompt)
            said.send(None)
        except Exception as error:
            said.send((type(error).__name__, str(error)))


@tool(context=True)
def ask(tool_context: ToolContext) -> str:
    """Ask the user."""
    return f"they said {tool_context.interrupt('approval', reason='may I')}"


def interrupted(said: Connection, url: str, session: str) -> None:
    """Ask the user something; says the ids of the interrupts."""
    agent, _ = build(url, session, [ToolCall("ask")], tools=[ask])
    said.send([interrupt.id for interrupt in agent("go").interrupts or ()])
    said.recv()


def answer(said: Connection, url: str, session: str, interrupt: str) -> None:
    """Answer it; says the messages."""
    agent, _ = build(url, session, ["done"], tools=[ask])
    agent([{"interruptResponse": {"interruptId": interrupt, "response": "yes"}}])
    said.send(agent.messages)


def end_with_pending(said: Connection, url: str, session: str, how: str, durability: str) -> None:
    """Say something that the store does not take, have it healed, and end the process."""
    store = FaultyStore(open_store(url))
    store.plan("commit", before=Unavailable("down"), times=None)
    # a global, as in a script: it lives until the interpreter ends
    globals()["kept"] = agent, manager = build(store, session, ["fine"], durability=durability)
    agent("remember me")
    if how == "terminated, as an exit":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    store.heal()
    said.send(manager.pending)
    if how.startswith("terminated"):
        said.recv()
    if how == "exit":
        sys.exit(3)
    if how == "error":
        raise RuntimeError("unhandled, as it was meant to be")


class _Told(logging.Handler):
    """Sends what is logged."""

    def __init__(self, said: Connection) -> None:
        super().__init__()
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        self._said.send((record.levelname, record.getMessage()))


def end_in_faults(
    said: Connection, url: str, session: str, durability: str, fault: str, at: int, turns: int = 2
) -> None:
    """Some turns on a store with a fault, then the end. Says the id of each message when its hook has returned, then
    "done" and the ids of all, and from then on what is logged, as (level, text)."""
    store = FaultyStore(open_store(url))
    globals()["kept"] = agent, manager = build(store, session, durability=durability)
    agent.hooks.add_callback(
        MessageAddedEvent, lambda event: said.send(event.message["tracking_id"]), order=HookOrder.SDK_LAST
    )
    held = fail(store, fault, at)
    if held is not None:
        manager._session.timeout = 0.05
    for turn in range(turns):
        with contextlib.suppress(StoreError, EventLoopException):
            agent(f"turn {turn}")
    said.send(("done", [m["tracking_id"] for m in agent.messages]))
    logging.getLogger("strands_session_store").addHandler(_Told(said))
    if held is not None:
        threading.Timer(0.05, held.release).start()
    sys.exit(3)


def fail(store: FaultyStore, fault: str, at: int = 1) -> Plan | None:
    """Have the commits of a store fail from the ``at``th on. Returns what a commit hangs at, to be released."""
    match fault:
        case "down, then healed":
            store.plan("commit", at=at, before=Unavailable("down"))
        case "answer lost":
            store.plan("commit", at=at, after=InDoubt("no answer"))
        case "hangs":
            return store.plan("commit", at=at, hang="before")
        case "down for good":
            store.plan("commit", at=at, times=None, before=Unavailable("down"))
        case "answers lost for good":
            store.plan("commit", at=at, times=None, after=InDoubt("no answer"))
    return None


def end_while_hanging(said: Connection, url: str, session: str) -> None:
    """End the process while a commit is under way on the pool."""
    store = FaultyStore(open_store(url))
    held = store.plan("commit", hang="before")
    globals()["kept"] = agent, manager = build(store, session, ["fine"], durability="turn", timeout=0.05)
    agent("remember me")
    assert held.reached.wait(PATIENCE)
    said.send(manager.pending)
    threading.Timer(0.05, held.release).start()


def fork_after_use(said: Connection, url: str, session: str) -> None:
    """One process forks after its first turn; parent and child both go on."""
    agent, manager = build(url, session, lambda messages: "ok", on_stale="conflict")
    agent("before the fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python >= 3.12: there are threads. That is the point
        child = os.fork()
    if child == 0:
        try:
            agent("in the child")
            said.send(("child", os.getpid(), None))
        except Exception as error:
            said.send(("child", os.getpid(), str(error)))
        manager.close()
        os._exit(0)
    os.waitpid(child, 0)
    try:
        agent("in the parent")
        said.send(("parent", os.getpid(), None))
    except Exception as error:
        said.send((type(error).__name__, os.getpid(), str(error)))


# ------------------------------------------------------------------------------------------------------- the program


def serve(address: str) -> None:
    from tests.plugin import workers

    for driver in ("redis", "boto3"):  # or each child would import it anew
        with contextlib.suppress(ImportError):
            importlib.import_module(driver)
    functions = {**vars(workers), **globals()}
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        elif (answer := os.fork()) == 0:
            sys.stdin.close()
            os.dup2(2, 1)  # its own output is not an answer
            said = Client(address)
            try:
                functions[request["run"]](said, **request["arguments"])
            except (EOFError, BrokenPipeError):  # the test is over
                os._exit(0)
            except Exception as error:
                if "meant" not in str(error):
                    said.send(("crashed", repr(error)))
                raise
            end(0)
        print(answer, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])
