"""``strands-session export | import | copy``, as a user meets them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Cli
from tests.cli.programs import terminal
from tests.sessions.contents import fill

from strands_session_store.sessions import Sessions


@pytest.fixture
def source(here: Path) -> str:
    url = f"sqlite:///{here}/source.db"
    with Sessions(url) as sessions:
        fill(sessions)
    return url


def test_export_import_and_copy(source: str, here: Path, cli: Cli) -> None:
    out = cli("export", "a.jsonl", "--all", "--store", source)
    assert out.out.startswith("Exported 5 sessions and 1 user (") and out.out.endswith(" to a.jsonl.\n")
    assert out.err == ""  # no bar where no terminal is
    target = ("--store", f"sqlite:///{here}/target.db")
    done = json.loads(cli("import", "a.jsonl", "--user", "ada", "--json", *target).out)
    assert (done["sessions"], done["users"], done["same"]) == (3, 1, 0)
    assert " from a.jsonl; 4 there already.\n" in cli("import", "a.jsonl", *target).out
    told = json.loads(cli("export", "b.jsonl", "--user", "ada", "--id", "s", "--id", "graph", "--json", *target).out)
    assert told["sessions"] == 2 and told["digest"] in Path("b.jsonl").read_text()
    third = f"sqlite:///{here}/third.db"
    assert "Copied 5 sessions and 1 user" in cli("copy", third, "--all", *target).out
    with Sessions(third) as there:
        there.update("s", "bob", title="changed")
    refused = cli("copy", third, "--all", *target, status=1)
    assert "'s' of user 'bob' already, with other content" in refused.err and refused.out == ""
    assert "1 there with other content, left alone" in cli("copy", third, "--all", "--on-existing", "skip", *target).out
    assert "1 in the place of others" in cli("copy", third, "--all", "--on-existing", "replace", *target).out


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_at_a_terminal_there_is_a_bar_and_stdout_has_the_answer_alone(small: str) -> None:
    with terminal("copy", f"{small}.copy", "--all", "--store", small, "--json", stdout=subprocess.PIPE) as copy:
        assert copy.ended() == 0
        assert copy.process.stdout is not None
        assert json.loads(copy.process.stdout.read())["sessions"] == 1
        copy.process.stdout.close()
        assert "Copying" in copy.text and "log entries" in copy.text


@pytest.fixture
def small(here: Path) -> str:
    url = f"sqlite:///{here}/source.db"
    with Sessions(url) as sessions:
        sessions.create("s")
    return url


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("import", "missing.jsonl"), "missing.jsonl: No such file or directory"),
        (("import", "source.db"), "line 1 of the archive is no beginning of one"),
        (("export", "none/x.jsonl"), "No such file or directory"),
        (("export", "/dev/null"), "must be the path of a file"),
        (("export", "x.jsonl", "--id", "nope"), "there is no session 'nope'"),
        (("copy", "redis://me:secret@127.0.0.1:1/0", "--all"), "Redis can not be reached"),
        (("copy", "what://me:secret@there", "--all"), "what://***@there"),
    ],
)
def test_errors_are_one_line(
    small: str, here: Path, cli: Cli, args: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRANDS_SESSION_TIMEOUT", "2")  # also of the target
    err = cli(*args, "--store", small, status=1).err
    assert says in err and err.count("\n") == 1 and "secret" not in err
    assert [path.name for path in here.iterdir() if "x.jsonl" in path.name] == []


def test_all_is_not_of_one_user(small: str, cli: Cli) -> None:
    for args in (("export", "x.jsonl", "--all", "--user", "ada"), ("copy", "memory://", "--all", "--id", "s")):
        assert "--all takes the sessions of all users" in cli(*args, "--store", small, status=2).err
