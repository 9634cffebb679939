"""The command line, as a user meets it: real processes, what they print, what they leave behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from strands_session_store import Conversation
from strands_session_store.cli import demo, pages

CLI = [sys.executable, "-m", "strands_session_store.cli"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to be in, without settings of the machine."""
    for name in ("STRANDS_SESSION_STORE", "STRANDS_SESSION_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args: str, typed: str = "", status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*CLI, *args], input=typed, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def chat(session_id: str, *prompts: str, options: tuple[str, ...] = ()) -> str:
    return run("chat", session_id, *options, typed="".join(f"{p}\n" for p in prompts)).stdout


# ---------------------------------------------------------------------------------------------------------------- demo


def test_demo_proves_that_a_killed_process_is_resumed(here: Path) -> None:
    out = run("demo").stdout
    assert "FAILED" not in out
    assert len(re.findall(r"^ +ok  ", out, re.M)) == 6
    assert "was ended by SIGKILL" in out
    assert "model: offline, no key needed" in out
    assert "weather(city='Lisbon')" in out
    assert re.search(r"├── agents\n│   └── default\n", out)
    assert re.search(r"messages +log, 8 entries", out)
    # two processes, and neither is this one
    pids = set(re.findall(r"process (\d+)", out))
    assert len(pids) == 2 and str(os.getpid()) not in pids
    assert {path.name.removesuffix("-wal").removesuffix("-shm") for path in here.iterdir()} == {"strands-sessions.db"}


def test_commands_that_demo_prints_work_as_they_stand(here: Path) -> None:
    out = run("demo").stdout
    commands = [line.split("  #")[0].strip() for line in out.partition("\nnext\n")[2].splitlines()]
    assert [re.findall(r"\b(chat|show|delete)\b", c)[0] for c in commands] == ["chat", "show", "delete"]
    said = []
    for command, typed in zip(commands, ("What is my name?\n", "", "y\n")):
        done = subprocess.run(
            command, shell=True, input=typed, capture_output=True, text=True, encoding="utf-8", timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        said.append(done.stdout)
    assert "resumed, 8 messages restored" in said[0] and "Your name is Ada." in said[0]
    assert "10 messages said, 10 in context" in said[1]
    assert "Erased" in said[2]


def test_demo_takes_a_store_and_repeats_it_in_what_it_suggests(here: Path) -> None:
    url = f"sqlite:///{here}/other.db"
    out = run("demo", "--store", url).stdout
    assert f"--store {url}" in out.partition("\nnext\n")[2]
    assert (here / "other.db").exists() and not (here / "strands-sessions.db").exists()


def test_a_proof_that_fails_is_named_and_ends_in_failure(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "KNOWN", ("Grace",))  # nobody said so
    assert demo.play("sqlite:///x.db", "offline") is False
    shown = capsys.readouterr()
    assert "FAILED  this does not hold: it knows what was said before: Grace" in shown.out
    assert shown.err == "strands-session: 1 of 6 proofs failed\n"


def test_demo_refuses_a_store_that_can_not_survive(here: Path) -> None:
    assert "memory:// ends with its process" in run("demo", "--store", "memory://", status=1).stderr


def test_demo_says_what_is_wrong_with_the_model(here: Path) -> None:
    done = run("demo", "--model", "gpt", status=1)
    assert "no model 'gpt'; there are offline, bedrock[:id], openai:id" in done.stderr


# ---------------------------------------------------------------------------------------------------------------- chat


def test_chat_resumes_by_id(here: Path) -> None:
    first = chat("c", "My name is Ada.", "What is 17 * 23?")
    assert "session c in sqlite:///strands-sessions.db: new." in first
    assert "calculator(expression='17 * 23')" in first and "391" in first
    second = chat("c", "What is my name?")
    assert "resumed, 6 messages restored" in second
    assert "Your name is Ada." in second


def test_chat_in_which_nothing_is_said_stores_nothing(here: Path) -> None:
    assert "nothing was said or stored" in chat("c")
    assert not any(here.iterdir())


def test_chat_keeps_users_apart(here: Path) -> None:
    chat("c", "My name is Ada.", options=("--user", "ada"))
    assert ": new." in chat("c", "What is my name?", options=("--user", "bob"))
    assert "resumed, 2 messages restored" in chat("c", options=("--user", "ada"))


def test_stored_text_can_not_take_over_the_terminal(here: Path) -> None:
    chat("c", "\x1b]0;owned\x07 [bold]x[/bold] \u202eabc")
    out = run("show", "c").stdout
    assert "\x1b" not in out and "\x07" not in out and "\u202e" not in out
    assert "\\u001b]0;owned\\u0007 [bold]x[/bold] \\u202eabc" in out


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_chat_at_a_terminal_prompts_and_ends_at_ctrl_d(here: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen([*CLI, "chat", "c"], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""

    def wait_for(text: bytes) -> None:
        nonlocal shown
        end = time.monotonic() + 60
        while text not in shown:
            assert time.monotonic() < end, shown
            try:
                shown += os.read(ours, 4096)
            except OSError:  # Linux's end of file for a terminal whose other side is closed
                break
        assert text in shown, shown

    try:
        wait_for(b"you ")
        os.write(ours, b"My name is Ada.\n")
        wait_for(b"I will remember that your name is Ada.")
        os.write(ours, b"\x04")
        wait_for(b"2 messages in context")
        assert process.wait(60) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()
        os.close(ours)


# ----------------------------------------------------------------------------------------------------- ls, show, delete


def test_ls_lists_and_pages(here: Path) -> None:
    for name in ("one", "two", "three"):
        chat(name, "hello")
    out = run("ls").stdout
    assert all(name in out for name in ("one", "two", "three"))
    first = json.loads(run("ls", "--json", "--limit", "2").stdout)
    second = json.loads(run("ls", "--json", "--cursor", first["cursor"]).stdout)
    found = [s["session_id"] for s in first["sessions"] + second["sessions"]]
    assert sorted(found) == ["one", "three", "two"] and second["cursor"] is None
    assert first["sessions"][0]["counters"]["messages"] == 2


def test_ls_is_of_one_user_unless_of_all(here: Path) -> None:
    chat("mine", "hello", options=("--user", "ada"))
    chat("nobodys", "hello")
    assert [s["session_id"] for s in json.loads(run("ls", "--user", "ada", "--json").stdout)["sessions"]] == ["mine"]
    assert [s["session_id"] for s in json.loads(run("ls", "--json").stdout)["sessions"]] == ["nobodys"]
    assert len(json.loads(run("ls", "--all", "--json").stdout)["sessions"]) == 2
    assert "leave --user out" in run("ls", "--all", "--user", "ada", status=2).stderr


def test_show_has_messages_state_runs_events_and_the_layout(here: Path) -> None:
    chat("c", "My name is Ada.", "What is the weather in Lisbon?")
    out = run("show", "c").stdout
    assert "agent default (Strands Agents): 6 messages said, 6 in context" in out
    assert 'state                 {"cities_asked": ["Lisbon"]}' in out
    assert "My name is Ada." in out and "weather(city='Lisbon')" in out
    assert "runs (2 runs ended, 0 open)" in out and out.count("completed") == 2
    assert re.search(r"tool_call +weather +success", out)
    assert re.search(r"session +document", out)
    assert "... 4 earlier messages" in run("show", "c", "-n", "2").stdout


def test_show_as_json_is_one_document(here: Path) -> None:
    chat("c", "What is the weather in Lisbon?")
    data = json.loads(run("show", "c", "--json").stdout)
    (agent,) = data["agents"]
    assert agent["state"] == {"cities_asked": ["Lisbon"]}
    assert agent["messages"]["0"]["message"]["content"] == [{"text": "What is the weather in Lisbon?"}]
    assert {(item["path"], item["kind"]) for item in data["layout"]} >= {
        ("session", "document"),
        ("agents/default/messages", "log"),
        ("messages", "counter"),
    }
    assert data["runs"][0]["usage"]["input_tokens"] > 0


def test_show_names_who_has_the_lease_dead_or_alive(here: Path) -> None:
    program = """
import os, subprocess, sys
from strands import Agent
from strands_session_store import SQLiteSessionManager
from strands_session_store.testing import ScriptedModel

def shown(messages):
    if len(messages) == 1:
        subprocess.run([sys.executable, "-m", "strands_session_store.cli", "show", "c"], check=True)
        return "fine"
    os.kill(os.getpid(), 9)

manager = SQLiteSessionManager("c", exclusive=True, lease_expiry=float(sys.argv[1]))
agent = Agent(model=ScriptedModel(shown), session_manager=manager, callback_handler=None)
agent("hello")
print("free", flush=True)
agent("die")
"""
    done = subprocess.Popen([sys.executable, "-c", program, "600"], stdout=subprocess.PIPE, text=True)
    alive, _ = done.communicate(timeout=120)
    assert re.search(rf"lease  \S+ pid {done.pid}, for \d+ s, last sign of life \d+ s ago\n", alive)
    holder = json.loads(run("show", "c", "--json").stdout)["holder"]
    assert holder["pid"] == done.pid and holder["since"] <= holder["seen"] and holder["expiry"] == 600
    run("delete", "c", "--yes")
    subprocess.run([sys.executable, "-c", program, "0.1"], stdout=subprocess.PIPE, check=False)
    assert "it seems to be gone: whoever comes next takes the lease, after 0.1 s\n" in run("show", "c").stdout
    chat("free", "hello")
    assert "lease" not in run("show", "free").stdout
    assert json.loads(run("show", "free", "--json").stdout)["holder"] is None


def test_delete_asks_and_erases(here: Path) -> None:
    chat("c", "hello")
    run("delete", "c", typed="n\n", status=1)
    assert "hello" in run("show", "c").stdout
    assert "Erased" in run("delete", "c", typed="y\n").stdout
    assert "there is no session 'c'" in run("delete", "c", "--yes", status=1).stderr


def test_segments_are_told_apart_and_counted_with_their_conversation(here: Path) -> None:
    with Conversation("long", "sqlite:///strands-sessions.db") as talk:
        for turn in range(3):
            talk.user_says(f"question {turn}")
            talk.ai_responds("answer")
        ended = talk.end_segment()
    assert ended is not None
    listed = {s["session_id"]: s["kind"] for s in json.loads(run("ls", "--json").stdout)["sessions"]}
    assert listed == {"long": "session", ended.session_id: "segment"}
    assert "segment" in run("ls").stdout.split("kind")[1]
    assert "with 6 messages?" in run("delete", "long", typed="y\n").stdout
    assert "No sessions" in run("ls").stdout


def test_gc_deletes_what_a_killed_process_left(here: Path) -> None:
    url = f"file://{here}/sessions"
    run("chat", "c", "--store", url, typed="hello\n")
    left = here / "sessions/sessions/-/c.d/00/log/0-9.aaaaaaaaaaaa.jsonl"
    left.parent.mkdir(parents=True)
    left.write_text("1\n")
    assert "Deleted 0 expired sessions, 0 unnamed objects (0 B)" in run("gc", "--store", url).stdout
    os.utime(left, (0, 0))
    assert json.loads(run("gc", "--dry-run", "--json", "--store", url).stdout)["objects"] == 1
    assert "Would delete 0 expired sessions, 1 unnamed object (2 B)" in run("gc", "--dry-run", "--store", url).stdout
    assert left.exists()
    assert "1 unnamed object (2 B), 0 tombstones" in run("gc", "--store", url).stdout
    assert not left.exists() and "hello" in run("show", "c", "--store", url).stdout


def test_gc_names_what_can_not_be_read_and_leaves_it(here: Path) -> None:
    url = f"file://{here}/sessions"
    run("chat", "c", "--store", url, typed="hello\n")
    head = here / "sessions/sessions/-/c.json"
    head.write_text("{")
    done = run("gc", "--store", url, status=1)
    assert done.stderr == "strands-session: sessions/-/c.json can not be read; it was left alone\n"
    assert head.read_text() == "{"


# -------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("show", "nope", "--store", "sqlite:///x.db"), "there is no session 'nope'"),
        (("show", "nope"), "there is no strands-sessions.db in this directory"),
        (("ls", "--store", "s3://me:hunter2@example/0"), "s3://***@example/0"),
        (("chat", "c", "--store", "postgres://me:hunter2@example/0"), "there is no engine for postgres://"),
        (("gc", "--store", "sqlite:///x.db"), "sqlite:///x.db cleans up by itself; gc is for directories and S3"),
        (("chat", "c", "--store", "file://c"), "write file:///absolute/directory"),
        (("chat", "c", "--store", "sqlite:///no/such/dir/x.db"), "x.db"),
        (("chat", ""), "session_id is empty"),
        (("chat", "c", "--model", "anthropic"), "no model 'anthropic'"),
    ],
)
def test_errors_are_one_line(here: Path, args: tuple[str, ...], says: str) -> None:
    done = run(*args, status=1)
    assert says in done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("strands-session: ")
    assert "hunter2" not in done.stdout + done.stderr


def test_a_bad_setting_is_one_line(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRANDS_SESSION_TIMEOUT", "soon")
    assert "STRANDS_SESSION_TIMEOUT must be a number of seconds" in run("chat", "c", status=1).stderr


def test_looking_around_leaves_no_file(here: Path) -> None:
    run("ls", status=1)
    run("show", "c", status=1)
    assert list(here.iterdir()) == []


def test_the_store_of_the_environment_is_used(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRANDS_SESSION_STORE", "sqlite:///env.db")
    chat("c", "hello")
    assert (here / "env.db").exists() and "hello" in run("show", "c").stdout


@pytest.mark.parametrize("module", ["typer", "rich"])
def test_a_missing_extra_says_what_to_install(here: Path, module: str) -> None:
    code = f"import sys; sys.modules[{module!r}] = None; from strands_session_store.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'strands-session-store[cli]'" in done.stderr and "Traceback" not in done.stderr


def test_layout_of_nothing_is_a_bare_title(capsys: pytest.CaptureFixture[str]) -> None:
    pages.console.print(pages.layout_tree([], "empty"))
    assert capsys.readouterr().out == "empty\n"
