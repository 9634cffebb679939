"""The command line in this process, for what it prints; `programs` has it as processes of their own."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest
from strands import Agent
from tests.cli.programs import clean

from strands_session_store import StoreSessionManager
from strands_session_store.cli import terminal
from strands_session_store.cli.app import run
from strands_session_store.sessions import Sessions
from strands_session_store.testing.models import OfflineModel


class Done(NamedTuple):
    out: str
    err: str


Cli: TypeAlias = Callable[..., Done]
DEFAULT = "sqlite:///strands-sessions.db"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to be in, without settings of the machine."""
    clean(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cli(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command, checks its exit code, and returns what it printed."""

    def call(*args: str, typed: str = "", status: int = 0) -> Done:
        monkeypatch.setattr(sys, "argv", ["strands-session", *args])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        monkeypatch.setattr(terminal.console, "width", terminal.PIPED)  # whatever it was where it was imported
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run()
        done = Done(*capsys.readouterr())
        assert (ended.value.code or 0) == status, done.out + done.err
        return done

    return call


@pytest.fixture
def sessions(here: Path) -> Iterator[Sessions]:
    """Of the default store, in the directory."""
    with Sessions(DEFAULT) as opened:
        yield opened


@pytest.fixture
def talk(sessions: Sessions) -> Callable[..., None]:
    """Has an agent with the tools of `chat` answer prompts in a session."""
    from strands_session_store.cli.agents import calculator, weather

    def talk(session_id: str, *prompts: str, user_id: str | None = None, **options: object) -> None:
        with StoreSessionManager(session_id, sessions.store, user_id=user_id, **options) as manager:  # type: ignore[arg-type]
            agent = Agent(
                model=OfflineModel(), tools=[weather, calculator], session_manager=manager, callback_handler=None
            )
            for prompt in prompts:
                agent(prompt)

    return talk
