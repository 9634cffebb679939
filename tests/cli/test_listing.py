"""``ls`` and ``tree``: what is listed, and how it is drawn."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from decimal import Decimal

import pytest
from tests.cli.conftest import DEFAULT, Cli

from strands_session_store import Conversation
from strands_session_store.cli import moments
from strands_session_store.sessions import Sessions


def ids(cli: Cli, *args: str) -> list[str]:
    return [found["session_id"] for found in json.loads(cli("ls", "--json", *args).out)["sessions"]]


def test_ls_lists_and_pages(cli: Cli, sessions: Sessions) -> None:
    for name in ("one", "two", "three"):
        sessions.create(name)
    assert all(name in cli("ls").out for name in ("one", "two", "three"))
    first = json.loads(cli("ls", "--json", "--limit", "2").out)
    second = json.loads(cli("ls", "--json", "--cursor", first["cursor"]).out)
    found = [s["session_id"] for s in first["sessions"] + second["sessions"]]
    assert sorted(found) == ["one", "three", "two"] and second["cursor"] is None
    assert f"more: --cursor {first['cursor']}" in cli("ls", "--limit", "2").out


def test_ls_filters_and_sorts(cli: Cli, sessions: Sessions) -> None:
    sessions.create("a", title="About whales")
    sessions.create("b", parent_id="a", kind="fork")
    sessions.create("c")
    sessions.deactivate("c")
    for args, wanted in (
        (("--text", "WHALE"), ["a"]),
        (("--kind", "fork"), ["b"]),
        (("--inactive",), ["c"]),
        (("--active", "--order", "created", "--ascending"), ["a", "b"]),
        (("--parent", "a"), ["b"]),
        (("--since", "1h", "--order", "created"), ["c", "b", "a"]),
        (("--since", "2999-01-01"), []),
        (("--until", "2000-01-01", "--order", "created"), []),
        (("--until", "2999-01-01T10:00", "--since", "2000-01-01"), ["a", "b", "c"]),
    ):
        assert sorted(ids(cli, *args)) == sorted(wanted), args
    assert ids(cli, "--order", "created", "--ascending") == ["a", "b", "c"]
    out = cli("ls").out
    assert "About whales" in out and "fork" in out and "inactive" in out and "last used" in out
    assert "No such sessions" in cli("ls", "--text", "elephants").out
    assert "'soon' is no time; write 2026-11-20" in cli("ls", "--since", "soon", status=2).err


def test_ls_is_of_one_user_unless_of_all(cli: Cli, sessions: Sessions) -> None:
    sessions.create("mine", "ada")
    sessions.create("nobodys")
    assert ids(cli, "--user", "ada") == ["mine"] and ids(cli) == ["nobodys"]
    assert sorted(ids(cli, "--all")) == ["mine", "nobodys"]
    assert "ada" in cli("ls", "--all").out
    for also in ("--user", "--parent"):
        assert "leave --user and --parent out" in cli("ls", "--all", also, "ada", status=2).err
    assert "No sessions of user 'bob' here." in cli("ls", "--user", "bob").out


def test_counts_tokens_and_cost_are_shown_and_what_is_unknown_is_not_nothing(
    cli: Cli, talk: Callable[..., None], sessions: Sessions
) -> None:
    talk("free", "hello")
    talk("paid", "hello", prices={"offline": {"input": "3", "output": "15"}})
    sessions.create("silent")
    found = {one["session_id"]: one for one in json.loads(cli("ls", "--json").out)["sessions"]}
    assert found["free"]["usage"]["cost"] is None and found["free"]["usage"]["unpriced_calls"] == 1
    assert found["free"]["usage"]["known_cost"] == "0" and found["free"]["counters"]["messages"] == 2
    cost = sessions.usage.session("paid").dollars
    assert cost and Decimal(found["paid"]["usage"]["cost"]) == cost
    out = cli("ls").out
    assert "? the price of 1 of 2 calls is not known; see docs/usage.md for prices of your own\n" in out
    lines = {line.split()[0]: line.split() for line in out.splitlines() if line.strip()}
    assert lines["free"][1:5] == ["2", "1", f"{sessions.usage.session('free').tokens:,}", "unknown"]
    assert lines["paid"][4].startswith("$0.00")
    assert lines["silent"][3:5] == ["-", "-"]


def test_a_tree_is_drawn_with_what_each_took(cli: Cli, talk: Callable[..., None], sessions: Sessions) -> None:
    talk("root", "hello", prices={"offline": {"input": "3", "output": "15"}})
    talk("root-child", "hello", "again", parent_id="root", kind="sub_agent")
    sessions.create("grandchild", parent_id="root-child", title="Deep")
    sessions.create("second", parent_id="root")
    out = cli("tree", "root").out
    drawn = ["root", "├── root-child", "│   └── grandchild", "└── second"]
    assert [line.split("  ")[0] if line[0] != "│" else line[: len(drawn[2])] for line in out.splitlines()[:4]] == drawn
    assert "4 sessions, 6 messages" in out and "Deep" in out and "+ ?" in out
    told = json.loads(cli("tree", "root", "--json").out)["sessions"]
    assert [(one["session_id"], one["depth"]) for one in told] == [
        ("root", 0),
        ("root-child", 1),
        ("grandchild", 2),
        ("second", 1),
    ]
    assert "there is no session 'nope'" in cli("tree", "nope", status=1).err


def test_a_deep_tree_is_no_matter(cli: Cli, sessions: Sessions) -> None:
    sessions.create("0")
    for depth in range(1, 120):
        sessions.create(str(depth), parent_id=str(depth - 1))
    assert "120 sessions" in cli("tree", "0").out
    assert json.loads(cli("tree", "0", "--json").out)["sessions"][-1]["depth"] == 119


def test_segments_are_told_apart(cli: Cli) -> None:
    with Conversation("long", DEFAULT) as conversation:
        for turn in range(3):
            conversation.user_says(f"question {turn}")
            conversation.ai_responds("answer")
        ended = conversation.end_segment()
    assert ended is not None
    found = {s["session_id"]: s["kind"] for s in json.loads(cli("ls", "--json").out)["sessions"]}
    assert found == {"long": "session", ended.session_id: "segment"}
    assert "segment" in cli("ls").out.split("kind")[1]


def test_moments_are_days_times_and_so_long_ago() -> None:
    now = time.time()
    assert moments.moment("90m", now) == now - 5400 and moments.moment("1w", now) == now - 7 * 86_400
    day, end = moments.moment("2026-11-20", now), moments.moment("2026-11-20", now, end=True)
    assert end - day == 86_400
    assert moments.moment("2026-11-20T00:00", now, end=True) == day
    assert moments.moment("1970-01-02T00:00:00Z", now) == 86_400 == moments.moment("1970-01-02T01:00:00+01:00", now)
    assert moments.day("2026-11-20", now) == "2026-11-20" and moments.day("1d", 86_400.0) == "1970-01-01"
    for wrong in ("", "soon", "2026-13-01", "5y", "-3d", "9999999999d"):
        with pytest.raises(ValueError, match="is no time; write 2026-11-20"):
            moments.moment(wrong, now)
