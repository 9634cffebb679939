"""``show``: the conversation turn by turn, what is not as it should be, and the rest where it is asked for."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from strands import Agent
from tests.cli.conftest import DEFAULT, Cli
from tests.cli.programs import CLI
from tests.sessions.contents import fill

from strands_session_store import Conversation, StoreSessionManager
from strands_session_store.cli import reading, showing, terminal
from strands_session_store.sessions import Sessions
from strands_session_store.testing.models import OfflineModel, ScriptedModel

Talk = Callable[..., None]


def test_turns_have_numbers_times_tools_with_their_time_tokens_and_cost(cli: Cli, talk: Talk) -> None:
    prices = {"offline": {"input": "3", "output": "15"}}
    talk("c", "My name is Ada.", "What is the weather in Lisbon?", prices=prices)
    out = cli("show", "c").out
    assert re.search(
        r"^session c\ncreated .* · last message .* \(just now\)\n6 messages · 2 runs · .*tokens · \$0\.0", out
    )
    assert "agent default (Strands Agents): 6 messages said, 6 in context" in out
    one, two = out.split("turn 1  ")[1].split("turn 2  ")
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\n +user My name is Ada\.\n +agent .*Ada", one)
    assert re.search(r"tool weather\(city='Lisbon'\)\n +tool → .* in Lisbon  \d+\.?\d* (ms|s)\n +agent ", two)
    assert re.search(r"\d+ in, \d+ out · \$0\.0\d+ · \d+\.?\d* (ms|s) · offline\n", one)
    assert "state" not in out.partition("\nmore: ")[0] and "document" not in out  # short, unless it is asked for
    assert "cost unknown" not in out


def test_the_rest_is_shown_where_it_is_asked_for(cli: Cli, talk: Talk) -> None:
    talk("c", "My name is Ada.", "What is the weather in Lisbon?")
    out = cli("show", "c", "--all").out
    assert 'state                 {"cities_asked": ["Lisbon"]}' in out
    assert "runs (2 runs ended, 0 open)" in out and out.count("completed") == 2
    assert re.search(r"tool_call +weather +success", out)
    assert re.search(r"session +document", out) and "\nmore: " not in out
    layout = cli("show", "c", "--layout").out
    assert re.search(r"session +document", layout) and "runs (" not in layout


def test_few_turns_are_shown_and_still_numbered(cli: Cli, talk: Talk) -> None:
    talk("c", *(f"My name is Number{number}." for number in range(8)))
    out = cli("show", "c").out
    assert re.findall(r"^turn (\d+)", out, re.M) == ["4", "5", "6", "7", "8"] and "... 6 earlier messages" in out
    assert re.findall(r"^turn (\d+)", cli("show", "c", "-n", "1").out, re.M) == ["8"]
    assert re.findall(r"^turn (\d+)", cli("show", "c", "-n", "100").out, re.M)[0] == "1"


def test_a_long_conversation_is_not_read_to_number_its_turns(
    cli: Cli, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk("c", *(f"My name is Number{number}." for number in range(8)))
    monkeypatch.setattr(reading, "COUNTED", 10)
    out = cli("show", "c", "-n", "1").out
    assert "from message 14" in out and "turn " not in out.partition("\nmore: ")[0] and "Number7" in out


def test_a_turn_whose_beginning_is_too_far_back_is_left_out(
    cli: Cli, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions.create("c")
    said = [{"role": "user", "content": "go"}, *({"role": "assistant", "content": f"step {n}"} for n in range(14))]
    sessions.messages.append("c", said * 4)
    monkeypatch.setattr(reading, "COUNTED", 10)
    monkeypatch.setattr(reading, "LOOKED_AT", 20)
    out = cli("show", "c", "-n", "2").out
    assert "from message 45" in out and out.count("step 12") == 1 and "... 45 earlier messages" in out


def test_a_turn_that_is_longer_than_a_page_is_shown_whole(cli: Cli, sessions: Sessions) -> None:
    sessions.create("c")
    said = [{"role": "user", "content": "go"}, *({"role": "assistant", "content": f"step {n}"} for n in range(40))]
    sessions.messages.append("c", said)
    out = cli("show", "c", "-n", "1").out
    assert "step 0" in out and "step 39" in out and "turn 1 " in out


def test_ids_of_messages_are_those_that_fork_takes(cli: Cli, talk: Talk, sessions: Sessions) -> None:
    talk("c", "My name is Ada.", "My name is Bob.")
    first = sessions.messages.page("c", start=0, limit=2).entries[1].tracking_id
    assert first is not None
    assert first not in cli("show", "c").out and first in cli("show", "c", "--ids").out
    new = cli("fork", "c", "--at", first, "--title", "Again").out.strip()
    assert sessions.get(new).session.title == "Again" and sessions.messages.count(new) == 2
    assert f"made of c at message {first}" in cli("show", new).out


def test_a_conversation_is_shown_across_its_segments(cli: Cli) -> None:
    with Conversation("long", DEFAULT) as conversation:
        for turn in range(6):
            conversation.user_says(f"question {turn}")
            conversation.ai_responds(f"answer {turn}")
            if turn in (2, 4):
                conversation.end_segment()
    out = cli("show", "long").out
    assert re.findall(r"^turn (\d+)", out, re.M) == ["2", "3", "4", "5", "6"]
    assert all(f"answer {turn}" in out for turn in range(1, 6))
    assert "in 3 segments" in out and "summary" in out and "12 messages said" in out


def test_long_texts_are_cut_unless_all_of_them_is_wanted(cli: Cli, sessions: Sessions) -> None:
    sessions.create("c")
    sessions.messages.append("c", {"role": "user", "content": "x" * 5000})
    assert "x... (5,000 characters; --full shows them)" in cli("show", "c").out
    assert "x" * 5000 in cli("show", "c", "--full").out


def test_who_is_on_call_sees_what_is_wrong(cli: Cli, sessions: Sessions) -> None:
    def broken(messages: object) -> str:
        raise TypeError("no such tool")

    with StoreSessionManager("c", sessions.store) as manager:
        agent = Agent(model=ScriptedModel(broken), session_manager=manager, callback_handler=None)
        with pytest.raises(TypeError):
            agent("do it")
    sessions.runs.start("c", agent_id="other")
    out = cli("show", "c").out
    assert "! the last run failed: TypeError: no such tool" in out
    assert "! a run of other is open since" in out
    assert "        failed: TypeError: no such tool" in out  # and where it was
    assert len(json.loads(cli("show", "c", "--json").out)["warnings"]) == 2


def test_what_hangs_below_is_mentioned(cli: Cli, talk: Talk, sessions: Sessions) -> None:
    talk("c", "hello")
    sessions.create("a", parent_id="c", kind="sub_agent")
    sessions.fork("c", new_id="b")
    assert "below it: 1 fork, 1 sub_agent (see tree)" in cli("show", "c").out


def test_one_agent_of_several(cli: Cli, sessions: Sessions) -> None:
    with StoreSessionManager("c", sessions.store) as manager:
        for id in ("one", "two"):
            agent = Agent(model=OfflineModel(), session_manager=manager, agent_id=id, callback_handler=None)
            agent(f"My name is {id.title()}.")
    out = cli("show", "c").out
    assert "agent one" in out and "agent two" in out and out.count("turn 1 ") == 2
    only = cli("show", "c", "--agent", "two").out
    assert "agent one" not in only and "Two" in only
    assert "has no agent 'three'; there are: 'one', 'two'" in cli("show", "c", "--agent", "three", status=1).err


def test_a_graph_is_shown_with_its_nodes(cli: Cli, sessions: Sessions) -> None:
    fill(sessions)
    out = cli("show", "graph", "--user", "ada").out
    assert "multi-agent default_graph: completed\nnodes so far: one, two\n" in out and "state  {" not in out
    assert 'state  {"type": "graph"' in cli("show", "graph", "--user", "ada", "--all").out


def test_show_as_json_is_one_document(cli: Cli, talk: Talk) -> None:
    talk("c", "What is the weather in Lisbon?")
    data = json.loads(cli("show", "c", "--json").out)
    (agent,) = data["agents"]
    assert agent["state"] == {"cities_asked": ["Lisbon"]}
    assert agent["messages"]["0"]["message"]["content"] == [{"text": "What is the weather in Lisbon?"}]
    assert {(item["path"], item["kind"]) for item in data["layout"]} >= {
        ("session", "document"),
        ("agents/default/messages", "log"),
        ("messages", "counter"),
    }
    assert data["runs"][0]["usage"]["input_tokens"] > 0 and data["warnings"] == []


def test_stored_text_can_not_take_over_the_terminal(cli: Cli, sessions: Sessions) -> None:
    sessions.create("c", title="\x1b[31mred :warning:")
    sessions.messages.append("c", {"role": "user", "content": "\x1b]0;owned\x07 [bold]x[/bold] \u202eabc"})
    for command in (("show", "c"), ("ls",), ("tree", "c")):
        out = cli(*command).out
        assert "\x1b" not in out and "\x07" not in out and "\u202e" not in out
        assert "\\u001b[31mred :warning:" in out
    assert "\\u001b]0;owned\\u0007 [bold]x[/bold] \\u202eabc" in cli("show", "c").out


def test_show_names_who_has_the_lease_dead_or_alive(here: Path, cli: Cli, talk: Talk) -> None:
    child = """
import os, subprocess, sys
from strands import Agent
from strands_session_store import SQLiteSessionManager
from strands_session_store.testing import ScriptedModel

def shown(messages):
    if len(messages) == 1:
        subprocess.run(sys.argv[2:], check=True)
        return "fine"
    os.kill(os.getpid(), 9)

manager = SQLiteSessionManager("c", exclusive=True, lease_expiry=float(sys.argv[1]))
agent = Agent(model=ScriptedModel(shown), session_manager=manager, callback_handler=None)
agent("hello")
agent("die")
"""

    def die(expiry: str, *show: str) -> tuple[int, str]:
        done = subprocess.Popen([sys.executable, "-c", child, expiry, *show], stdout=subprocess.PIPE, text=True)
        return done.pid, done.communicate(timeout=120)[0]

    pid, alive = die("600", *CLI, "show", "c")
    assert re.search(rf"lease  \S+ pid {pid}, for \d+ s, last sign of life \d+ s ago\n", alive)
    holder = json.loads(cli("show", "c", "--json").out)["holder"]
    assert holder["pid"] == pid and holder["since"] <= holder["seen"] and holder["expiry"] == 600
    cli("rm", "c", "--yes")
    die("0.1", "true")
    until = time.monotonic() + 30
    while "it seems to be gone: whoever comes next takes the lease, after 0.1 s\n" not in cli("show", "c").out:
        assert time.monotonic() < until
    talk("free", "hello")
    assert "lease" not in cli("show", "free").out
    assert json.loads(cli("show", "free", "--json").out)["holder"] is None


def test_layout_of_nothing_is_a_bare_title(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.console.print(showing.layout_tree([], "empty"))
    assert capsys.readouterr().out == "empty\n"


def test_words_for_times() -> None:
    assert [terminal.took(seconds) for seconds in (0.0003, 0.012, 1.25, 600)] == ["0.30 ms", "12 ms", "1.2 s", "10 min"]
    assert [terminal.ago(0.0, now) for now in (5.0, 130.0, 7300.0, 1e6)] == [
        "just now",
        "2 min ago",
        "2 h ago",
        "11 d ago",
    ]
    assert [terminal.ago(now, 0.0) for now in (5.0, 130.0, 7300.0)] == ["in a moment", "in 2 min", "in 2 h"]
    assert terminal.when(None) == "?"
