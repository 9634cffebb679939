"""``strands-session demo``: what it proves, and that its suggestions work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Cli
from tests.cli.programs import PATIENCE, files, program, terminal

from strands_session_store.cli import demo


def test_demo_proves_that_a_killed_process_is_resumed_and_what_it_suggests_works(here: Path) -> None:
    out = program("demo").stdout
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
    assert files(here) == {"strands-sessions.db"}
    commands = [line.split("  #")[0].strip() for line in out.partition("\nnext\n")[2].splitlines()]
    assert [re.findall(r"\b(chat|show|usage|rm)\b", c)[0] for c in commands] == ["chat", "show", "usage", "rm"]
    said = []
    for command, typed in zip(commands, ("What is my name?\n", "", "", "y\n")):
        done = subprocess.run(
            command, shell=True, input=typed, capture_output=True, text=True, encoding="utf-8", timeout=PATIENCE
        )
        assert done.returncode == 0, done.stdout + done.stderr
        said.append(done.stdout)
    assert "resumed, 8 messages restored" in said[0] and "Your name is Ada." in said[0]
    assert "10 messages said, 10 in context" in said[1]
    assert "5 calls" in said[2]
    assert "Erased 1 session" in said[3]


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_ctrl_c_ends_both_processes_without_a_word_from_the_other(here: Path) -> None:
    with terminal("demo") as demo:
        demo.wait_for("begins")
        demo.interrupt()
        assert demo.ended() == 130
        assert "interrupted; nothing has to be undone" in demo.text and "Traceback" not in demo.text


def test_demo_takes_a_store_and_repeats_it_in_what_it_suggests(here: Path, cli: Cli) -> None:
    url = f"sqlite:///{here}/other.db"
    assert f"--store {url}" in cli("demo", "--store", url).out.partition("\nnext\n")[2]
    assert files(here) == {"other.db"}


def test_a_proof_that_fails_is_named_and_ends_in_failure(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "KNOWN", ("Grace",))  # nobody said so
    done = cli("demo", status=1)
    assert "FAILED  this does not hold: it knows what was said before: Grace" in done.out
    assert done.err == "strands-session: 1 of 6 proofs failed\n"


def test_demo_refuses_a_store_that_can_not_survive(cli: Cli) -> None:
    assert "memory:// ends with its process" in cli("demo", "--store", "memory://", status=1).err


def test_demo_says_what_is_wrong_with_the_model(cli: Cli) -> None:
    done = cli("demo", "--model", "gpt", status=1)
    assert "no model 'gpt'; there are offline, bedrock[:id], openai:id" in done.err
