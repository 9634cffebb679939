"""``strands-session chat``: what is said is known the next time."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Cli
from tests.cli.programs import program, terminal


def test_chat_resumes_by_id(here: Path, cli: Cli) -> None:
    first = program("chat", "c", typed="My name is Ada.\nWhat is 17 * 23?\n").stdout
    assert "session c in sqlite:///strands-sessions.db: new." in first
    assert "calculator(expression='17 * 23')" in first and "391" in first
    second = cli("chat", "c", typed="What is my name?\n").out
    assert "resumed, 6 messages restored" in second
    assert "Your name is Ada." in second


def test_chat_in_which_nothing_is_said_stores_nothing(here: Path, cli: Cli) -> None:
    assert "nothing was said or stored" in cli("chat", "c").out
    assert not any(here.iterdir())


def test_chat_keeps_users_apart(cli: Cli) -> None:
    cli("chat", "c", "--user", "ada", typed="My name is Ada.\n")
    assert ": new." in cli("chat", "c", "--user", "bob", typed="What is my name?\n").out
    assert "resumed, 2 messages restored" in cli("chat", "c", "--user", "ada").out


def test_the_store_of_the_environment_is_used(here: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRANDS_SESSION_STORE", "sqlite:///env.db")
    cli("chat", "c", typed="hello\n")
    assert (here / "env.db").exists() and "hello" in cli("show", "c").out


def test_a_bad_setting_is_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRANDS_SESSION_TIMEOUT", "soon")
    for command in (("chat", "c"), ("ls", "--store", "sqlite:///x.db")):
        done = cli(*command, status=1)
        assert "STRANDS_SESSION_TIMEOUT must be a number of seconds" in done.err and done.err.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_chat_at_a_terminal_prompts_and_ends_at_ctrl_d(here: Path) -> None:
    with terminal("chat", "c") as chat:
        chat.wait_for("you ")
        chat.type("My name is Ada.\n")
        chat.wait_for("I will remember that your name is Ada.")
        chat.type("\x04")
        chat.wait_for("2 messages in context")
        assert chat.ended() == 0
