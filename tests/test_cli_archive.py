"""``strands-session export | import | copy``, as a user meets them."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest
from tests.test_cli import CLI, here, run  # noqa: F401  (a fixture)

from strands_session_store.sessions import Sessions

from .sessions.contents import fill


@pytest.fixture
def source(here: Path) -> str:  # noqa: F811
    url = f"sqlite:///{here}/source.db"
    with Sessions(url) as sessions:
        fill(sessions)
    return url


def test_export_import_and_copy(source: str, here: Path) -> None:  # noqa: F811
    out = run("export", "a.jsonl", "--all", "--store", source)
    assert out.stdout.startswith("Exported 5 sessions and 1 user (") and out.stdout.endswith(" to a.jsonl.\n")
    assert out.stderr == ""  # no bar where no terminal is
    target = ("--store", f"sqlite:///{here}/target.db")
    done = json.loads(run("import", "a.jsonl", "--user", "ada", "--json", *target).stdout)
    assert (done["sessions"], done["users"], done["same"]) == (3, 1, 0)
    assert " from a.jsonl; 4 there already.\n" in run("import", "a.jsonl", *target).stdout
    told = json.loads(run("export", "b.jsonl", "--user", "ada", "--id", "s", "--id", "graph", "--json", *target).stdout)
    assert told["sessions"] == 2 and told["digest"] in Path("b.jsonl").read_text()
    third = f"sqlite:///{here}/third.db"
    assert "Copied 5 sessions and 1 user" in run("copy", third, "--all", *target).stdout
    with Sessions(third) as there:
        there.update("s", "bob", title="changed")
    refused = run("copy", third, "--all", *target, status=1)
    assert "'s' of user 'bob' already, with other content" in refused.stderr and refused.stdout == ""
    assert (
        "1 there with other content, left alone" in run("copy", third, "--all", "--on-existing", "skip", *target).stdout
    )
    assert "1 in the place of others" in run("copy", third, "--all", "--on-existing", "replace", *target).stdout


def test_at_a_terminal_there_is_a_bar(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    control, terminal = pty.openpty()
    command = [*CLI, "copy", f"{small}.copy", "--all", "--store", small, "--json"]
    with os.fdopen(control, "rb", buffering=0) as seen:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=terminal, timeout=60, check=True)
        os.close(terminal)
        bar = b""
        try:
            while part := seen.read(4096):
                bar += part
        except OSError:  # the other end is closed
            pass
    assert json.loads(done.stdout)["sessions"] == 1
    assert b"Copying" in bar and b"log entries" in bar


@pytest.fixture
def small(here: Path) -> str:  # noqa: F811
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
def test_errors_are_one_line(small: str, here: Path, args: tuple[str, ...], says: str) -> None:  # noqa: F811
    err = run(*args, "--store", small, status=1).stderr
    assert says in err and err.count("\n") == 1 and "secret" not in err
    assert [path.name for path in here.iterdir() if "x.jsonl" in path.name] == []


def test_all_is_not_of_one_user(small: str) -> None:
    for args in (("export", "x.jsonl", "--all", "--user", "ada"), ("copy", "memory://", "--all", "--id", "s")):
        assert "--all takes the sessions of all users" in run(*args, "--store", small, status=2).stderr
