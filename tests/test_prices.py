"""Prices: exact in any order, None where unknown, and never a reason to refuse a message."""

from __future__ import annotations

import random
import subprocess
import sys
from decimal import Decimal
from typing import Any

import genai_prices
import pytest
from genai_prices.data import providers
from hypothesis import given
from hypothesis import strategies as st

from strands_session_store.prices import MILLION, MOST, Prices, to_pico
from strands_session_store.records import PICO, Usage

ONE = Usage(input_tokens=1, output_tokens=1)
CALLS = 1_000_000


def dollars(model: str, provider: str | None = None, **tokens: int) -> Decimal:
    """As genai-prices says."""
    return genai_prices.calc_price(genai_prices.Usage(**tokens), model, provider_id=provider).total_price


# ------------------------------------------------------------------------------------------------------------ exactness


@pytest.mark.parametrize(
    ("inward", "outward"),
    [("3", "15"), ("0.0375", "0.15"), ("0.006875", "0.000001"), (Decimal("2.5"), 10)],
)
def test_a_million_calls_of_one_token_sum_to_the_exact_price(inward: Any, outward: Any) -> None:
    prices = Prices({"mine": {"input": inward, "output": outward}})
    one_by_one = sum(cost for _ in range(CALLS) if (cost := prices.cost("mine", ONE)) is not None)
    assert Decimal(one_by_one) / PICO == Decimal(inward) + Decimal(outward)
    assert one_by_one == prices.cost("mine", Usage(input_tokens=CALLS, output_tokens=CALLS))


PUBLISHED = ["gpt-4o-mini", "claude-3-5-haiku-latest", "gemini-1.5-flash-8b", "amazon.nova-micro-v1:0"]


@pytest.mark.parametrize("model", PUBLISHED)
def test_published_prices_of_one_token_calls_sum_to_the_exact_price(model: str) -> None:
    """The price of one token is looked up each time; 3,000 times here, a million in the soak."""
    assert_exact(model, 3_000)


@pytest.mark.soak
@pytest.mark.parametrize("model", PUBLISHED)
def test_a_million_published_prices_sum_to_the_exact_price(model: str) -> None:
    assert_exact(model, CALLS)


def assert_exact(model: str, calls: int) -> None:
    prices = Prices()
    took = Usage(input_tokens=1, output_tokens=1, cache_read_input_tokens=1)  # the finest price of Nova Micro
    one_by_one = sum(prices.cost(model, took) for _ in range(calls))  # type: ignore[misc]
    provider = "aws" if "nova" in model else None
    exact = dollars(model, provider, input_tokens=1, output_tokens=1, cache_read_tokens=1) * calls
    assert Decimal(one_by_one) / PICO == exact > 0


def test_published_prices_are_finer_than_nano_dollars_and_no_finer_than_pico_dollars() -> None:
    """Why costs are counted in pico-dollars. What has 16 decimals comes out of floating point."""
    decimals = [
        -Decimal(str(price)).normalize().as_tuple().exponent  # type: ignore[operator]
        for provider in providers
        for model in provider.models
        for found in (model.prices if isinstance(model.prices, list) else [model.prices])
        for name, price in vars(getattr(found, "prices", found)).items()
        if name.endswith("_mtok") and isinstance(price, Decimal)
    ]
    assert any(3 < n <= 6 for n in decimals)
    assert not any(6 < n < 14 for n in decimals)


# ------------------------------------------------------------------------------------------------ which model is meant


@pytest.mark.parametrize(
    ("model", "provider", "place"),
    [
        ("gpt-4o", None, "openai"),
        ("gpt-5-mini", None, "openai"),
        ("claude-sonnet-4-20250514", None, "anthropic"),
        ("claude-sonnet-4-20250514", "anthropic", "anthropic"),
        ("gemini-2.5-flash", None, "google"),
        ("gemini-2.5-flash", "google", "google"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", None, "aws"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws", "aws"),
        ("global.anthropic.claude-sonnet-4-20250514-v1:0", None, "aws"),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", None, "aws"),
        ("eu.amazon.nova-pro-v1:0", None, "aws"),
        ("us.meta.llama3-3-70b-instruct-v1:0", None, "aws"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "aws",
            "aws",
        ),
        ("openai/gpt-4o", None, "litellm"),
        ("anthropic/claude-sonnet-4-5", "litellm", "litellm"),
        ("bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", "litellm", "aws"),
    ],
)
def test_ids_of_models_as_strands_spells_them_have_a_price(model: str, provider: str | None, place: str) -> None:
    expected = dollars(model, place, input_tokens=1000, output_tokens=100)
    found = Prices().cost(model, Usage(input_tokens=1000, output_tokens=100), provider=provider)
    assert found is not None and Decimal(found) / PICO == expected > 0


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("unknown", None),
        ("offline", None),
        ("", None),
        ("llama3.1", "ollama"),
        ("deepseek-r1:7b", "ollama"),  # runs here: what DeepSeek takes for one of that name is not its price
        ("qwen3:8b", "ollama"),
        ("gpt-4o", "aws"),
        ("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdef", "aws"),
        ("\ud800 \x00 " * 100, None),
    ],
)
def test_an_unknown_model_costs_none_each_time(model: str, provider: str | None) -> None:
    prices = Prices()
    assert [prices.cost(model, ONE, provider=provider) for _ in range(3)] == [None] * 3


# ------------------------------------------------------------------------------------------------ caches, tiers, times


def test_what_a_cache_gave_is_a_part_of_the_input() -> None:
    model = "claude-sonnet-4-20250514"
    took = Usage(input_tokens=1000, output_tokens=0, cache_read_input_tokens=600, cache_write_input_tokens=300)
    found = Prices().cost(model, took)
    plain, read, write = (
        dollars(model, input_tokens=1000, **{kind: 1000} if kind else {})
        for kind in ("", "cache_read_tokens", "cache_write_tokens")
    )
    assert found is not None and Decimal(found) / PICO == (100 * plain + 600 * read + 300 * write) / 1000
    assert read < plain < write


def test_a_long_context_has_its_own_price() -> None:
    prices, model = Prices(), "gemini-2.5-pro"
    short, long = (prices.cost(model, Usage(input_tokens=n, output_tokens=0)) for n in (200_000, 200_001))
    assert short is not None and long is not None and long > 1.5 * short
    # what makes a context long are all of its tokens
    cached = prices.cost(model, Usage(input_tokens=200_001, cache_read_input_tokens=200_000))
    assert cached == PICO * dollars(model, input_tokens=200_001, cache_read_tokens=200_000)


def test_the_price_is_that_of_its_day() -> None:
    """o3 became cheaper on June 10, 2025."""
    prices = Prices()
    before, after = (prices.cost("o3", ONE, at=at) for at in (1_748_736_000.0, 1_751_328_000.0))
    assert before is not None and after is not None and before > after


# --------------------------------------------------------------------------------------------------------- one's own


def test_own_prices_come_first_and_others_stay() -> None:
    prices = Prices({"gpt-4o": {"input": "1", "output": "2", "cache_read": "0.5"}})
    took = Usage(input_tokens=10, output_tokens=5, cache_read_input_tokens=4, cache_write_input_tokens=3)
    assert prices.cost("gpt-4o", took) == MILLION * 3 + MILLION * 10 + 500_000 * 4 + MILLION * 3
    assert prices.cost("gpt-4o-mini", ONE) == Prices().cost("gpt-4o-mini", ONE)
    assert Prices({}, published=False).cost("gpt-4o-mini", ONE) is None
    assert Prices({"free": {"input": 0, "output": 0}}).cost("free", ONE) == 0


def test_a_callable_is_asked_instead() -> None:
    asked: list[tuple[str, Usage]] = []

    def ask(model: str, usage: Usage) -> str | None:
        asked.append((model, usage))
        return "0.000000000001" if model == "mine" else None

    prices = Prices(ask)
    assert [prices.cost("mine", ONE), prices.cost("gpt-4o", ONE)] == [1, None]
    assert asked == [("mine", ONE), ("gpt-4o", ONE)]


@pytest.mark.parametrize("answer", ["a lot", "-1", "NaN", "Infinity", "1e400", [], Decimal(MOST + 1) / PICO])
def test_an_answer_that_can_not_be_meant_is_unknown(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    prices = Prices(lambda model, usage: answer)
    assert [prices.cost("mine", ONE) for _ in range(3)] == [None] * 3
    assert len(caplog.records) <= 1


def test_a_callable_that_raises_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    def ask(model: str, usage: Usage) -> None:
        raise RuntimeError("no prices today")

    prices = Prices(ask)
    assert [prices.cost("mine", ONE) for _ in range(3)] == [None] * 3
    assert caplog.text.count("no prices today") == 1


@pytest.mark.parametrize("own", [True, False])
def test_figures_that_contradict_each_other_have_no_price(own: bool) -> None:
    prices = Prices({"claude-sonnet-4-5": {"input": "1", "output": "1"}} if own else None)
    assert prices.cost("claude-sonnet-4-5", Usage(input_tokens=5, cache_read_input_tokens=6)) is None


@given(st.builds(Usage, *[], input_tokens=st.integers(0, 10**12), output_tokens=st.integers(0, 10**12)))
def test_no_call_comes_near_int64(usage: Usage) -> None:
    cost = Prices({"mine": {"input": "3", "output": "15"}}).cost("mine", usage)
    assert cost is None or 0 <= cost <= MOST < 2**63 // 1_000


@pytest.mark.parametrize(
    ("own", "named"),
    [
        ({"m": {"input": 0.1, "output": 1}}, "prices['m']['input'] must be a number of dollars a million tokens"),
        ({"m": {"input": "1", "output": "-1"}}, "got '-1'"),
        ({"m": {"input": "1", "output": "0.0000001"}}, "at most 6 decimals"),
        ({"m": {"input": "1", "output": "NaN"}}, "got 'NaN'"),
        ({"m": {"input": "1", "output": "1e99"}}, "0 to 1,000,000"),
        ({"m": {"input": True, "output": "1"}}, "got True"),
        ({"m": {"input": "1"}}, "must have input and output"),
        ({"m": {"input": "1", "output": "1", "cached": "1"}}, "cache_read and cache_write"),
        ({"m": "1"}, "prices['m'] must have"),
        ({"": {"input": "1", "output": "1"}}, "a model id is meant"),
        ("gpt-4o", "prices must be a mapping"),
    ],
)
def test_prices_that_can_not_be_meant_are_refused(own: Any, named: str) -> None:
    with pytest.raises(ValueError, match="prices") as error:
        Prices(own)
    assert named in str(error.value)


def test_dollars_are_whole_pico_dollars() -> None:
    assert [to_pico("max_cost", value) for value in ("1.5", Decimal("0.000000000001"), 2)] == [
        15 * PICO // 10,
        1,
        2 * PICO,
    ]
    with pytest.raises(ValueError, match=r"max_cost must be a number of dollars, .* got 0\.5"):
        to_pico("max_cost", 0.5)


# ------------------------------------------------------------------------------------------------------------- network


WITHOUT = """
import sys, logging
logging.basicConfig(stream=sys.stdout, level="INFO", format="LOG %(message)s")
if sys.argv[1] == "hidden":
    sys.modules["genai_prices"] = None
sys.addaudithook(lambda event, args: event.startswith("socket.") and print("NETWORK", event))
from strands_session_store.prices import Prices
from strands_session_store.records import Usage
print("BEFORE", "genai_prices" in sys.modules)
for _ in range(3):
    print("COST", Prices().cost("gpt-4o", Usage(input_tokens=1)))
"""


@pytest.mark.parametrize("hidden", ["hidden", "there"])
def test_genai_prices_is_loaded_when_it_is_needed_and_never_asks_the_network(hidden: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, hidden],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "NETWORK" not in done.stdout and done.returncode == 0, done.stderr
    if hidden == "hidden":
        assert done.stdout.count("COST None") == 3
        assert done.stdout.count("pip install 'strands-session-store[prices]'") == 1
    else:
        assert done.stdout.count("COST None") == 0
        assert "BEFORE False" in done.stdout


def test_sums_do_not_depend_on_their_order() -> None:
    prices, seed = Prices(), random.Random(6)
    calls = [Usage(input_tokens=seed.randrange(10**6), output_tokens=seed.randrange(10**5)) for _ in range(300)]
    costs = [prices.cost("gpt-4o-mini", usage) for usage in calls]
    whole = Usage(
        input_tokens=sum(usage.input_tokens or 0 for usage in calls),
        output_tokens=sum(usage.output_tokens or 0 for usage in calls),
    )
    assert sum(costs) == PICO * dollars(
        "gpt-4o-mini", input_tokens=whole.input_tokens, output_tokens=whole.output_tokens
    )  # type: ignore
