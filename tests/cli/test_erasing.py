"""``rm`` and ``erase-user``: asked first, whole, and repeatable. ``fork`` and ``gc``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import DEFAULT, Cli

from strands_session_store import Conversation, SessionNotFoundError
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Store

Talk = Callable[..., None]


@pytest.fixture
def tree(sessions: Sessions) -> Sessions:
    """root above child above grandchild."""
    for id, parent in (("root", None), ("child", "root"), ("grandchild", "child")):
        sessions.create(id, parent_id=parent)
    sessions.messages.append("child", {"role": "user", "content": "x"})
    return sessions


def left(sessions: Sessions) -> set[str]:
    return {one.session.session_id for one in sessions.list(everyone=True).sessions}


@pytest.mark.parametrize("command", ["rm", "delete"])
def test_it_asks_and_erases(cli: Cli, talk: Talk, command: str) -> None:
    talk("c", "hello")
    for no in ("n\n", "\n", ""):
        refused = cli(command, "c", typed=no, status=1)
        assert "Erase session 'c', with 2 messages? [y/N]" in refused.err and "nothing was erased" in refused.err
    assert "hello" in cli("show", "c").out
    assert "Erased 1 session: " in cli(command, "c", typed="y\n").out
    assert "there is no session 'c'" in cli(command, "c", "--yes", status=1).err


def test_several_are_erased_and_one_that_is_not_there_stops_all(cli: Cli, tree: Sessions) -> None:
    assert "there is no session 'nope'" in cli("rm", "grandchild", "nope", "--yes", status=1).err
    assert "grandchild" in left(tree)
    assert json.loads(cli("rm", "root", "grandchild", "child", "root", "--yes", "--json").out)["sessions"] == [
        "grandchild",
        "child",
        "root",
    ]


def test_those_below_are_refused_erased_or_kept(cli: Cli, tree: Sessions) -> None:
    refused = cli("rm", "child", "--yes", status=1).err
    assert "session 'child' has others below it ('grandchild', ...); it was not erased" in refused
    assert "--children cascade" in refused and left(tree) == {"root", "child", "grandchild"}
    asked = cli("rm", "root", "--children", "cascade", status=1).err
    assert "Erase session 'root' and 2 that go with it, with 1 message?" in asked
    cli("rm", "child", "--yes", "--children", "detach")
    assert left(tree) == {"root", "grandchild"} and tree.get("grandchild").session.parent_id is None
    tree.move("grandchild", "root")
    assert "Erased 2 sessions" in cli("rm", "root", "--yes", "--children", "cascade").out and left(tree) == set()


def test_segments_go_with_their_conversation_and_are_counted(cli: Cli, sessions: Sessions) -> None:
    with Conversation("long", DEFAULT) as conversation:
        for turn in range(3):
            conversation.user_says(f"question {turn}")
            conversation.ai_responds("answer")
        conversation.end_segment()
    done = cli("rm", "long", typed="y\n")
    assert "and 1 that go with it, with 6 messages?" in done.err and "Erased 2 sessions" in done.out
    assert left(sessions) == set()


def test_a_user_is_erased_by_the_id_alone(cli: Cli, sessions: Sessions) -> None:
    sessions.users.create("ada")
    for id in ("a", "b"):
        sessions.create(id, "ada")
    sessions.create("c", "bob")
    for typed in ("y\n", "adam\n", ""):
        refused = cli("erase-user", "ada", typed=typed, status=1)
        assert "All of user 'ada' is to be erased: 2 sessions. Type the user's id" in refused.err
        assert "that is not the user's id; nothing was erased" in refused.err
    assert left(sessions) == {"a", "b", "c"}
    assert "Erased user 'ada': 2 sessions, " in cli("erase-user", "ada", typed="ada\n").out
    assert left(sessions) == {"c"}
    assert "there was nothing of user 'ada'" in cli("erase-user", "ada", "--yes", status=1).err
    assert json.loads(cli("erase-user", "bob", "--yes", "--json").out)["sessions"] == ["c"]


def test_what_ctrl_c_ends_says_so_and_is_repeated(cli: Cli, tree: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    from strands_session_store.stores.sqlite import SQLiteStore

    drop: Callable[..., object] = SQLiteStore.drop

    def interrupted(store: Store, space: object, **options: object) -> object:
        if getattr(space, "id", "") == "child":
            raise KeyboardInterrupt
        return drop(store, space, **options)

    with monkeypatch.context() as patch:
        patch.setattr(SQLiteStore, "drop", interrupted)
        done = cli("rm", "root", "--yes", "--children", "cascade", status=130)
    assert done.err == "strands-session: interrupted; what is erased is gone; the same command erases the rest\n"
    assert left(tree) == {"root", "child"}
    cli("rm", "root", "--yes", "--children", "cascade")
    assert left(tree) == set()


def test_fork_prints_the_new_id(cli: Cli, talk: Talk, sessions: Sessions) -> None:
    talk("c", "hello", user_id="ada")
    new = cli("fork", "c", "--user", "ada").out
    assert sessions.get(new.strip(), "ada").session.parent_id == "c" and new.count("\n") == 1
    assert cli("fork", "c", "--user", "ada", "--new-id", "mine").out == "mine\n"
    told = json.loads(cli("fork", "c", "--user", "ada", "--title", "T", "--json").out)
    assert told["title"] == "T" and told["origin"]["session_id"] == "c"
    assert "session 'mine' is there already" in cli("fork", "c", "--user", "ada", "--new-id", "mine", status=1).err
    assert "no message" in cli("fork", "c", "--user", "ada", "--at", "nope", status=1).err
    assert "give both" in cli("fork", "c", "--agent", "default", status=2).err
    with pytest.raises(SessionNotFoundError):
        sessions.get("mine")


def test_gc_deletes_what_a_killed_process_left(cli: Cli, here: Path) -> None:
    url = f"file://{here}/sessions"
    cli("chat", "c", "--store", url, typed="hello\n")
    left = here / "sessions/sessions/-/c.d/00/log/0-9.aaaaaaaaaaaa.jsonl"
    left.parent.mkdir(parents=True)
    left.write_text("1\n")
    assert "Deleted 0 expired sessions, 0 unnamed objects (0 B)" in cli("gc", "--store", url).out
    os.utime(left, (0, 0))
    assert json.loads(cli("gc", "--dry-run", "--json", "--store", url).out)["objects"] == 1
    assert "Would delete 0 expired sessions, 1 unnamed object (2 B)" in cli("gc", "--dry-run", "--store", url).out
    assert left.exists()
    assert "1 unnamed object (2 B), 0 tombstones" in cli("gc", "--store", url).out
    assert not left.exists() and "hello" in cli("show", "c", "--store", url).out


def test_gc_names_what_can_not_be_read_and_leaves_it(cli: Cli, here: Path) -> None:
    url = f"file://{here}/sessions"
    cli("chat", "c", "--store", url, typed="hello\n")
    head = here / "sessions/sessions/-/c.json"
    head.write_text("{")
    done = cli("gc", "--store", url, status=1)
    assert done.err == "strands-session: sessions/-/c.json can not be read; it was left alone\n"
    assert head.read_text() == "{"
