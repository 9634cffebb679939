"""``usage``: sums by day, model and source; a bar a row; unknown is never nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from tests.cli.conftest import Cli

from strands_session_store.cli import money, spending
from strands_session_store.sessions import Sessions, UsageReport
from strands_session_store.usage import Totals

Talk = Callable[..., None]
PRICES = {"offline": {"input": "3", "output": "15"}}


@pytest.fixture
def spent(sessions: Sessions, talk: Talk) -> Sessions:
    """ada's tree of two sessions, one of bob's, one of nobody's."""
    talk("root", "hello", user_id="ada", prices=PRICES)
    talk("child", "hello", "again", user_id="ada", parent_id="root", prices=PRICES)
    talk("bobs", "hello", user_id="bob", prices=PRICES)
    talk("lone", "hello")
    return sessions


def told(cli: Cli, *args: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(cli("usage", "--json", *args).out)
    return found


def test_usage_is_of_a_session_a_subtree_a_user_or_all(cli: Cli, spent: Sessions) -> None:
    usage = spent.usage
    for args, totals in (
        (("root", "--user", "ada"), usage.session("root", "ada")),
        (("root", "--user", "ada", "--below"), usage.subtree("root", "ada")),
        (("--user", "ada"), usage.user("ada")),
        ((), usage.user(None)),
        (("--all",), usage.user("ada") + usage.user("bob") + usage.user(None)),
    ):
        assert told(cli, *args)["total"] == money.as_data(totals), args
    assert told(cli)["total"] == {**money.as_data(usage.user(None)), "cost": None}
    by = told(cli, "--all")["by"]
    assert isinstance(by, dict) and list(by) == ["day", "model", "source", "user"]
    assert [row["user"] for row in by["user"]] == [None, "ada", "bob"]
    sessions = told(cli, "--user", "ada", "--by", "session")["by"]
    assert isinstance(sessions, dict) and [row["session"] for row in sessions["session"]] == ["child", "root"]
    assert told(cli, "--all", "--since", "2999-01-01")["total"] == money.as_data(Totals())
    assert told(cli, "--all", "--since", "1d", "--until", "2999-01-01") == told(cli, "--all")


def test_usage_is_drawn_as_tables_with_bars(cli: Cli, spent: Sessions) -> None:
    out = cli("usage", "--user", "ada").out
    assert re.search(
        r"usage of user 'ada': 3 calls, 2 sessions\n[\d,]+ tokens: [\d,]+ in, [\d,]+ out\ncost: \$0\.0\d+\n", out
    )
    assert re.search(r"by day\n.*\n\d{4}-\d\d-\d\d +3 .* \$0\.0\d+ +█{30}\n", out)
    assert re.search(r"by model\n.*\noffline +3 ", out) and re.search(r"by source\n.*\nllm +3 ", out)
    assert "bars: dollars; days are UTC" in out and "?" not in out
    unknown = cli("usage").out
    assert "cost: unknown" in unknown and "$0" not in unknown and "bars: tokens" in unknown
    mixed = cli("usage", "--all").out
    assert re.search(r"cost: \$0\.0\d+ \+ \?\n", mixed) and "(no user)" in mixed
    assert "? the price of 1 of 5 calls is not known" in mixed
    assert "No model calls are counted of user 'carl'." in cli("usage", "--user", "carl").out


def test_usage_says_what_can_not_be(cli: Cli) -> None:
    for args, says in (
        (("--all", "--user", "ada"), "leave the session and --user out"),
        (("c", "--all"), "leave the session and --user out"),
        (("--below",), "--below goes with a session"),
        (("--since", "soon"), "'soon' is no time"),
        (("--all", "--by", "session"), "leave --all out"),
        (("--by", "hour"), "'hour' is not one of"),
    ):
        assert says in cli("usage", *args, "--store", "sqlite:///x.db", status=2).err.replace("\n", " "), args


def test_days_on_which_nothing_was_called_have_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    table = {
        "2026-11-01": Totals(calls=1, input_tokens=8, known_cost=10**12),
        "2026-11-03": Totals(calls=2, unpriced=2),
    }
    spending.show(UsageReport(Totals(calls=3, known_cost=10**12, unpriced=2), {"day": table}, 1), "x")
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("2026-11")]
    assert [line[:4] for line in lines] == [
        ["2026-11-01", "1", "8", "$1.00"],
        ["2026-11-02", "0", "-", "-"],
        ["2026-11-03", "2", "0", "unknown"],
    ]


def test_bars_are_as_long_as_their_share_and_what_is_more_than_nothing_shows() -> None:
    assert spending.bar(1.0, 4) == "████" and spending.bar(0.5, 4) == "██" and spending.bar(0.0, 4) == ""
    assert spending.bar(0.14, 4) == "▌" and spending.bar(1e-9, 4) == "▏" and spending.bar(0.3, 4) == "█▎"
    assert spending.bar(0.5, 4, blocks=False) == "##" and spending.bar(1e-9, 4, blocks=False) == "#"


def test_money_is_dollars_to_the_digit_that_says_something() -> None:
    for amount, shown in (
        ("0", "$0"),
        ("0.0000375", "$0.0000375"),
        ("0.012345", "$0.0123"),
        ("0.5", "$0.500"),
        ("1", "$1.00"),
        ("12.3456", "$12.35"),
        ("1234567.891", "$1,234,567.89"),
    ):
        assert money.dollars(Decimal(amount)) == shown
    assert money.cost(Totals()) == "-" and money.cost(Totals(calls=1)) == "$0"
    assert money.cost(Totals(calls=1, unpriced=1)) == "unknown"
    assert money.cost(Totals(calls=2, unpriced=1, known_cost=5 * 10**11)) == "$0.500 + ?"
    assert money.tokens(Totals(calls=2, estimated=1, input_tokens=1200, output_tokens=34)) == "~1,234"
    exact = Totals(calls=1, known_cost=1)
    assert money.as_data(exact)["cost"] == "0.000000000001"
