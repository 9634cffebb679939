"""The proof that a session survives its process: talk to one, kill it, and see what a second one has.

Everything printed as ``ok`` was compared: what the first process held when it was killed, as it reported it itself,
with what the second one holds before anything is said to it, and with the history in the store.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.text import Text

from .. import codec
from ..errors import StoreError
from ..sessions import Sessions
from ..stores import DEFAULT, open_store, redact
from ..stores.base import Capability
from .showing import layout_tree
from .spoken import say_message
from .terminal import complain, console, heading, many, plain

TELLING = "Hello! My name is Ada and my favourite colour is teal."
ASKING = "What is the weather in Lisbon?"
RECALLING = "What is my name, what is my favourite colour, and what was the weather in Lisbon?"
KNOWN = ("Ada", "teal")
KILLED = ("SIGKILL", "TerminateProcess")


def play(store: str, model: str) -> bool:
    """Talk, kill, resume, compare. Prints as it goes.

    Returns:
        Whether all held.

    Raises:
        StoreError: A process could not do its part.
    """
    with open_store(store) as opened:
        if Capability.PERSISTENT not in opened.capabilities:
            raise StoreError(f"{redact(store)} ends with its process, so nothing could survive; name another --store")
    session_id = f"demo-{secrets.token_hex(2)}"
    about = "offline, no key needed; try --model bedrock or openai:<id>" if model == "offline" else model
    console.print(Text(f"session {session_id} in {redact(store)}; model: {about}"))

    with Talker(session_id, store, model) as first:
        heading(f"process {first.pid} begins")
        first.held()
        for prompt in (TELLING, ASKING):
            left = first.say(prompt)
        status = first.kill()
    heading(f"process {first.pid} was ended by {status}, between two turns")

    with Talker(session_id, store, model) as second:
        heading(f"process {second.pid} resumes session {session_id}")
        restored = second.held()
        with open_store(store) as opened:
            sessions = Sessions(opened)
            history = [entry.message for entry in sessions.messages.page(session_id, limit=1000).entries.values()]
            proofs = [
                (f"process {first.pid} had no chance to save anything at its end: {status}", status in KILLED),
                (
                    f"{many(len(restored['messages']), 'message')} restored, equal to those it held",
                    bool(restored["messages"]) and restored["messages"] == left["messages"],
                ),
                (f"agent state restored: {restored['state']}", restored["state"] == left["state"] != {}),
                (
                    f"conversation manager restored: {restored['conversation_manager']['__name__']}",
                    restored["conversation_manager"] == left["conversation_manager"],
                ),
                ("the history has every message once, in order", history == left["messages"]),
            ]
            held = [_prove(text, proof) for text, proof in proofs]
            answer = second.say(RECALLING)["answer"]
            held.append(_prove(f"it knows what was said before: {', '.join(KNOWN)}", all(k in answer for k in KNOWN)))
            second.end()
            heading("what is stored, and where")
            console.print(layout_tree(sessions.layout_tree(session_id), f"{redact(store)}: session {session_id}"))
    _next(session_id, store, model)
    if not all(held):
        complain(f"{held.count(False)} of {len(held)} proofs failed")
    return all(held)


class Talker:
    """A process with an agent in it (`agents.main`), as its parent sees it. Killed at the end, if it is still there."""

    def __init__(self, session_id: str, store: str, model: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "strands_session_store.cli.agents", session_id, model],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "STRANDS_SESSION_STORE": store},
            start_new_session=True,  # Ctrl-C is for the demo alone, which ends this one
        )
        self.pid = self._process.pid
        self._seen = 0
        self._before = 0

    def held(self) -> dict[str, Any]:
        """What it reports next: messages, state, conversation manager, and after a turn the answer.

        Raises:
            StoreError: It ended instead.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise StoreError(f"process {self.pid} ended with status {self._process.wait()} before it answered")
        report: dict[str, Any] = codec.decode(line)
        if "error" in report:
            raise StoreError(report["error"])
        self._before, self._seen = self._seen, len(report["messages"])
        return report

    def say(self, prompt: str) -> dict[str, Any]:
        """One turn, printed. When this returns, the process has acknowledged it."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended; `held` says how
            self._process.stdin.write(codec.encode(prompt) + b"\n")
            self._process.stdin.flush()
        report = self.held()
        for message in report["messages"][self._before :]:
            say_message(message)
        return report

    def kill(self) -> str:
        """End it without a warning. Returns by what it was ended."""
        if os.name == "nt":
            self._process.kill()
            self._process.wait()
            return "TerminateProcess"
        os.kill(self.pid, signal.SIGKILL)
        status = self._process.wait()
        return signal.Signals(-status).name if status < 0 else f"itself, with status {status}"

    def end(self) -> None:
        """Let it close its session and end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        if status := self._process.wait():
            raise StoreError(f"process {self.pid} ended with status {status}")

    def __enter__(self) -> Talker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
        # Popen closes its pipes and waits
        self._process.__exit__(kind, error, at)


def _prove(text: str, holds: bool) -> bool:
    mark = ("   ok   ", "bold green") if holds else ("FAILED  this does not hold: ", "bold red")
    console.print(Text.assemble(mark, plain(text)))
    return holds


def _next(session_id: str, store: str, model: str) -> None:
    """The commands to try next, such that they work as they stand."""
    options = ""
    if store != os.environ.get("STRANDS_SESSION_STORE", DEFAULT):
        # a password is not printed; the reader has it
        options = f" --store {shlex.quote(store) if redact(store) == store else 'URL'}"
    chat_options = options + (f" --model {shlex.quote(model)}" if model != "offline" else "")
    heading("next")
    for line, why in (
        (f"chat {session_id}{chat_options}", "go on talking"),
        (f"show {session_id}{options}", "look closer"),
        (f"usage {session_id}{options}", "what it took"),
        (f"rm {session_id}{options}", "leave nothing behind"),
    ):
        console.print(Text.assemble(f"  {_program()} {line}  ", (f"# {why}", "dim")), soft_wrap=True)


def _program() -> str:
    """How this program can be called from here."""
    here = Path(sys.argv[0])
    if here.name != "strands-session":
        return f"{shlex.quote(sys.executable)} -m strands_session_store.cli"
    if (found := shutil.which("strands-session")) and Path(found).resolve() == here.resolve():
        return "strands-session"
    near = os.path.relpath(here)
    return shlex.quote(near if not near.startswith("..") else str(here.absolute()))
