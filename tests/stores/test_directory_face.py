"""The face of a directory: a session survives, its files are where they should be, a path may hold anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from strands import Agent

from strands_session_store import DirectorySessionManager
from strands_session_store.testing.models import ScriptedModel


def agent_of(manager: DirectorySessionManager) -> Agent:
    return Agent(model=ScriptedModel(lambda messages: "fine"), session_manager=manager, callback_handler=None)


@pytest.mark.parametrize("name", ["sessions", "a b", "a%20b", "\u00e9?#", "a//b/../c/"])
def test_a_session_is_resumed_from_any_directory(tmp_path: Path, name: str) -> None:
    with DirectorySessionManager("s", f"{tmp_path}/{name}", durability="turn") as manager:
        first = agent_of(manager)
        first("hello")
    assert (tmp_path / name).resolve().joinpath("sessions/-/s.json").is_file()
    with DirectorySessionManager("s", tmp_path / name) as manager:
        assert agent_of(manager).messages == first.messages


def test_the_directory_is_named_when_the_manager_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with DirectorySessionManager("s", user_id="ada") as manager:
        (tmp_path / "other").mkdir()
        monkeypatch.chdir(tmp_path / "other")
        agent_of(manager)("hello")
    assert (tmp_path / "sessions/sessions/ada/s.json").is_file()
