"""``strands-session`` as a process, also in a terminal of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

CLI = [sys.executable, "-m", "strands_session_store.cli"]
PATIENCE = 120.0
ESCAPES = re.compile(rb"\x1b(\[[0-9;?]*[A-Za-z]|[=>]|\][^\x07]*\x07)")


def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without settings of the machine."""
    for name in ("STRANDS_SESSION_STORE", "STRANDS_SESSION_TIMEOUT", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("PYTHONWARNINGS", "error")


def program(*args: str, typed: str = "", status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*CLI, *args], input=typed, capture_output=True, text=True, encoding="utf-8", timeout=PATIENCE
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


class Terminal:
    """A program whose input, output and errors are a terminal, but for what is said otherwise."""

    def __init__(self, *args: str, stdout: int | None = None, env: dict[str, str] | None = None) -> None:
        import pty

        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [*CLI, *args],
            stdin=theirs,
            stdout=theirs if stdout is None else stdout,
            stderr=theirs,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
        os.close(theirs)
        self.shown = b""

    def wait_for(self, text: str) -> None:
        """Read until it was shown, escape sequences left out."""
        until = time.monotonic() + PATIENCE
        while text not in self.text:
            assert time.monotonic() < until and self._read(), self.text
        assert text in self.text

    @property
    def text(self) -> str:
        return ESCAPES.sub(b"", self.shown).decode("utf-8", "replace").replace("\r\n", "\n")

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def interrupt(self) -> None:
        """As Ctrl-C does: whatever runs in the terminal."""
        os.killpg(self.process.pid, signal.SIGINT)

    def ended(self) -> int:
        """Read the rest, and the exit code."""
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def _read(self) -> bool:
        try:
            part = os.read(self._ours, 4096)
        except OSError:  # Linux's end of file for a terminal whose other side is closed
            return False
        self.shown += part
        return bool(part)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        os.close(self._ours)


@contextlib.contextmanager
def terminal(*args: str, stdout: int | None = None, env: dict[str, str] | None = None) -> Iterator[Terminal]:
    made = Terminal(*args, stdout=stdout, env=env)
    try:
        yield made
    finally:
        made.close()


def files(where: Path) -> set[str]:
    """Names of what is there, without what SQLite keeps beside a database."""
    return {path.name for path in where.iterdir() if not path.name.endswith(("-wal", "-shm"))}
