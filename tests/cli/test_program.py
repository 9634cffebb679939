"""The program as such: how it ends, what it writes where, what it is made of."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.cli.conftest import DEFAULT, Cli
from tests.cli.programs import CLI, ESCAPES, PATIENCE, program, terminal

from strands_session_store.cli import options
from strands_session_store.cli.app import GROUPS, app
from strands_session_store.sessions import Sessions

VISIBLE = {
    *("demo", "chat", "ls", "show", "tree", "usage", "doctor"),
    *("fork", "rm", "erase-user", "gc", "export", "import", "copy"),
}


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("show", "nope", "--store", "sqlite:///x.db"), "there is no session 'nope'"),
        (("show", "nope"), "there is no strands-sessions.db in this directory"),
        (("doctor",), "there is no strands-sessions.db in this directory"),
        (("ls", "--store", "s3://me:hunter2@example/0"), "s3://***@example/0"),
        (("chat", "c", "--store", "postgres://me:hunter2@example/0"), "there is no engine for postgres://"),
        (("doctor", "--store", "postgres://me:hunter2@example/0"), "there is no engine for postgres://"),
        (("gc", "--store", "sqlite:///x.db"), "sqlite:///x.db cleans up by itself; gc is for directories and S3"),
        (("chat", "c", "--store", "file://c"), "write file:///absolute/directory"),
        (("chat", "c", "--store", "sqlite:///no/such/dir/x.db"), "x.db"),
        (("tree", "c", "--store", "redis://me:hunter2@127.0.0.1:1/0"), "Redis can not be reached"),
        (("usage", "--store", "redis://me:hunter2@127.0.0.1:1/0"), "Redis can not be reached"),
        (("chat", ""), "session_id is empty"),
        (("chat", "c", "--model", "anthropic"), "no model 'anthropic'"),
    ],
)
def test_errors_are_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], says: str) -> None:
    monkeypatch.setenv("STRANDS_SESSION_TIMEOUT", "0.2")
    done = cli(*args, status=1)
    assert says in done.err
    assert done.err.count("\n") == 1 and done.err.startswith("strands-session: ")
    assert "hunter2" not in done.out + done.err


def test_errors_are_one_line_of_a_process_too(here: Path) -> None:
    done = program("show", "nope", "--store", "sqlite:///x.db", status=1)
    assert done.stderr == "strands-session: there is no session 'nope'\n" and done.stdout == ""
    assert program("show", status=2).stdout == ""


def test_a_url_in_the_wrong_place_is_told_without_its_password(cli: Cli) -> None:
    url = "redis://me:hunter2@127.0.0.1:1/0"
    for args in ((url,), ("ls", url), ("show", "c", url), ("rm", "c", "--children", url), ("ls", "--since", url)):
        done = cli(*args, status=2)
        assert "redis://***@127.0.0.1" in done.err, args
        assert "hunter2" not in done.out + done.err
    assert "hunter2" not in cli("ls", "--limit", url, status=2).err


def test_what_the_service_refuses_is_wrong_usage(cli: Cli) -> None:
    done = cli("ls", "--kind", "", "--store", "memory://", status=2)
    assert done.err.startswith("strands-session: kind must be a word") and done.err.count("\n") == 1


def test_a_terminal_may_know_less_than_stored_texts(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Sessions(DEFAULT) as sessions:
        sessions.create("c", title="\u0422\u0440\u0430")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    assert "\\u0422\\u0440\\u0430" in program("ls").stdout


def test_looking_around_leaves_no_file(here: Path, cli: Cli) -> None:
    for args in (("ls",), ("show", "c"), ("tree", "c"), ("usage",), ("doctor",)):
        cli(*args, status=1)
        cli(*args, "--store", f"sqlite:///{here}/x.db", status=int(args[0] in ("show", "tree")))
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("module", ["typer", "rich"])
def test_a_missing_extra_says_what_to_install(here: Path, module: str) -> None:
    code = f"import sys; sys.modules[{module!r}] = None; from strands_session_store.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'strands-session-store[cli]'" in done.stderr and "Traceback" not in done.stderr


def test_every_command_has_its_place_in_help_and_those_that_answer_have_json(cli: Cli) -> None:
    out = cli("--help").out
    shown = set(re.findall(r"^│ ([a-z-]+) ", out, re.M)) - {"--help", "--install-completion", "--show-completion"}
    assert shown >= VISIBLE and "delete" not in shown and "Show completion" in out and "Install completion" in out
    made = {
        command.name or getattr(command.callback, "__name__", "").rstrip("_").replace("_", "-"): command
        for group in GROUPS
        for command in group.commands.registered_commands
    }
    assert made.keys() >= VISIBLE and made["delete"].hidden
    for name in VISIBLE:
        takes = "as_json" in getattr(made[name].callback, "__annotations__", {})
        assert takes == (name not in ("demo", "chat")) and made[name].rich_help_panel, name
    assert app.info.no_args_is_help


def test_a_reader_who_goes_away_is_no_error(here: Path) -> None:
    with Sessions(DEFAULT) as sessions:
        sessions.create("c")
        sessions.messages.append("c", [{"role": "user", "content": "x" * 1000} for _ in range(200)])
    for args in (("show", "c", "-n", "1000", "--full"), ("show", "c", "-n", "1000", "--json")):
        with subprocess.Popen([*CLI, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.read(10)
            process.stdout.close()
            assert process.stderr.read() == b"" and process.wait(PATIENCE) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_ctrl_c_in_a_long_work_says_that_it_can_be_repeated(here: Path) -> None:
    with Sessions(DEFAULT) as sessions:
        for number in range(400):
            sessions.create(f"s{number}", "ada")
    with terminal("erase-user", "ada") as asked:
        asked.wait_for("Type the user's id to go on:")
        asked.interrupt()
        assert asked.ended() == 130 and "\nstrands-session: interrupted; nothing was erased\n" in asked.text
    with terminal("erase-user", "ada", "--yes") as erasing:
        erasing.wait_for("Erasing")
        erasing.interrupt()
        assert erasing.ended() == 130
        assert "interrupted; what is erased is gone; the same command erases the rest" in erasing.text
        assert "Traceback" not in erasing.text
    program("erase-user", "ada", "--yes")
    with Sessions(DEFAULT) as sessions:
        assert sessions.list("ada").sessions == ()


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_colours_are_for_terminals_that_want_them(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Sessions(DEFAULT) as sessions:
        sessions.create("c")
        sessions.messages.append("c", {"role": "user", "content": "hello"})
    colour = re.compile(rb"\x1b\[[0-9;]*3[0-7][0-9;]*m")
    with terminal("show", "c") as plain:
        assert plain.ended() == 0 and "hello" in plain.text and not colour.search(plain.shown)
    with terminal("show", "c", env={"NO_COLOR": ""}) as coloured:
        assert coloured.ended() == 0 and "hello" in coloured.text and colour.search(coloured.shown)
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.delenv("COLUMNS")
    piped = program("show", "c").stdout
    assert not ESCAPES.search(piped.encode()) and "hello" in piped


def test_commands_that_need_no_agent_start_without_strands_and_help_without_the_service(here: Path) -> None:
    code = """
import json, sys
from strands_session_store.cli import main
sys.argv = ["strands-session", *sys.argv[1:]]
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""

    def loaded(*args: str) -> set[str]:
        done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=True)
        return set(json.loads(done.stderr))

    ls = loaded("ls", "--store", f"sqlite:///{here}/x.db")
    assert {name for name in ls if name.startswith("strands.")} == {"strands.types.exceptions"}
    assert "strands_session_store.sessions" in ls
    assert not {"strands_session_store.sessions", "pydantic", "strands.agent"} & loaded("--help")


def test_what_was_loaded_of_strands_alone_is_strands_own(here: Path) -> None:
    code = """
from strands_session_store.cli import _strands_later
_strands_later()
from strands_session_store.errors import StoreError
from strands import Agent
from strands.types.exceptions import SessionException
import strands.types.exceptions as same
from strands.types import exceptions
assert issubclass(StoreError, SessionException) and same.SessionException is SessionException
assert exceptions is same
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_the_shell_completes_commands(here: Path) -> None:
    env = {
        **os.environ,
        "_STRANDS_SESSION_COMPLETE": "complete_bash",
        "COMP_WORDS": "strands-session er",
        "COMP_CWORD": "1",
    }
    code = "import sys; sys.argv = ['strands-session']; from strands_session_store.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stdout.split() == ["erase-user"]


def test_the_time_out_of_the_environment_holds_for_all_commands(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(options.TIMEOUT, "0.3")
    began = time.monotonic()
    assert "127.0.0.1:1" in cli("ls", "--store", "redis://127.0.0.1:1/0", status=1).err
    assert time.monotonic() - began < 5
    for wrong in ("0", "-1", "inf", "nan", "soon"):
        monkeypatch.setenv(options.TIMEOUT, wrong)
        assert "must be a number of seconds above 0" in cli("ls", "--store", "memory://", status=1).err
