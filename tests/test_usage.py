"""Sums over model calls are exact, and an entry tells all that was counted with it."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_session_store import codec, layout, usage
from strands_session_store.calls import counted
from strands_session_store.ids import MAX_ESCAPED, escape
from strands_session_store.prices import Prices
from strands_session_store.records import PICO, Counted, Message, UsageKey
from strands_session_store.records import Usage as RunUsage
from strands_session_store.stores.base import Add
from strands_session_store.usage import Totals

NOON = 1_795_176_000.0
"""Of November 20, 2026."""

numbers = st.integers(0, 10**12)
totals = st.builds(Totals, numbers, numbers, numbers, numbers, numbers, numbers, numbers, numbers)


@given(st.lists(totals), st.randoms())
def test_sums_do_not_depend_on_their_order(parts: list[Totals], random: Any) -> None:
    shuffled = random.sample(parts, len(parts))
    assert sum(parts, Totals()) == sum(shuffled, Totals())
    assert sum(parts, Totals()) - sum(shuffled, Totals()) == Totals()


@given(totals, totals, st.sampled_from(["", "usage/2026-11-20/m/llm"]))
def test_counters_hold_totals(one: Totals, two: Totals, path: str) -> None:
    counters: dict[str, int] = {}
    for change in [*one.adds(path), *two.adds(path)]:
        assert isinstance(change, Add) and change.counter in layout.usage_counters(path)
        counters[change.counter] = counters.get(change.counter, 0) + change.delta
    assert Totals.of(counters, path) == one + two


def test_a_cost_is_none_where_one_is_unknown() -> None:
    known = Totals(10, 5, calls=1, known_cost=15 * PICO // 10)
    unknown = Totals(1, 1, calls=1, unpriced=1)
    assert (known.cost, known.dollars, known.tokens) == (15 * PICO // 10, Decimal("1.5"), 15)
    both = known + unknown
    assert (both.cost, both.dollars, both.known_cost, both.known_dollars) == (
        None,
        None,
        15 * PICO // 10,
        Decimal("1.5"),
    )
    assert Totals().cost == 0
    assert unknown.usage().cost is None and both.usage().cost == 15 * PICO // 10
    assert Totals().usage() == RunUsage()


@given(st.integers(-(10**40), 10**40))
def test_dollars_are_exact_whatever_the_context(pico: int) -> None:
    with localcontext() as context:
        context.prec = 5
        found = usage.to_dollars(pico)
    with localcontext() as context:
        context.prec = 60
        assert found * PICO == pico and found.as_tuple().exponent == -12


# ---------------------------------------------------------------------------------------------------- what is reported


def saying(**tokens: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": [{"text": "12345678"}], "metadata": {"usage": tokens}}


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ({"inputTokens": 10, "outputTokens": 3, "totalTokens": 13}, (10, 3, 0, 0)),
        # OpenAI, Gemini, LiteLLM: the cache's are among the input
        ({"inputTokens": 10, "outputTokens": 3, "totalTokens": 13, "cacheReadInputTokens": 7}, (10, 3, 7, 0)),
        # Anthropic, Bedrock: they are not, and the total has them
        (
            {
                "inputTokens": 10,
                "outputTokens": 3,
                "totalTokens": 40,
                "cacheReadInputTokens": 7,
                "cacheWriteInputTokens": 20,
            },
            (37, 3, 7, 20),
        ),
        ({"inputTokens": 1, "outputTokens": 1, "totalTokens": 2, "cacheReadInputTokens": 5}, (6, 1, 5, 0)),
        ({"inputTokens": 5, "outputTokens": 0}, (5, 0, 0, 0)),
        ({"inputTokens": 5.0, "outputTokens": True}, (5, 0, 0, 0)),
        ({"inputTokens": -5, "outputTokens": 2}, (0, 2, 0, 0)),
        ({"inputTokens": 10**13, "outputTokens": 2}, (0, 2, 0, 0)),
        # what Strands keeps of a model that reports nothing
        ({"inputTokens": 0, "outputTokens": 0, "totalTokens": 0}, None),
        ({"inputTokens": "n/a", "outputTokens": float("nan")}, None),
        ({}, None),
    ],
)
def test_what_models_report_of_caches_is_brought_to_one_meaning(tokens: dict[str, Any], expected: Any) -> None:
    assert usage.reported(saying(**tokens)) == expected


@pytest.mark.parametrize("metadata", [None, [], {"usage": None}, {"usage": 5}, "x"])
def test_metadata_is_anybodys(metadata: Any) -> None:
    assert usage.reported({"role": "assistant", "content": [], "metadata": metadata}) is None
    assert usage.reported({}) is None


PRICES = Prices({"m": {"input": "3", "output": "15", "cache_read": "0.3"}})


def test_a_report_comes_before_an_estimate() -> None:
    answer = saying(inputTokens=10, outputTokens=3, totalTokens=20, cacheReadInputTokens=7)
    found = counted(answer, [saying(inputTokens=99)], "m", at=NOON, prices=PRICES)
    cost = (10 * 3_000_000) + (7 * 300_000) + (3 * 15_000_000)
    assert found == Counted(model="m", cost=cost, tokens=(17, 3, 7, 0), day="2026-11-20")


def test_without_a_report_the_answer_and_what_it_heard_are_estimated() -> None:
    answer = {"role": "assistant", "content": [{"text": "x" * 40}]}
    heard = [{"role": "user", "content": [{"text": "x" * 400}]}, {"role": "user", "content": [{"text": "x" * 4}]}]
    found = counted(answer, heard, "m", at=NOON, prices=PRICES, source="system")
    assert found.tokens is not None and found.tokens[2:] == (0, 0)
    assert found.tokens == (101, 10, 0, 0)  # characters / 4: no vocabulary is at hand here
    assert found.estimated and found.source == "system" and found.cost == 101 * 3_000_000 + 10 * 15_000_000


@pytest.mark.parametrize("model", [None, "", 5, ["m"]])
def test_a_model_without_an_id_is_unknown_and_has_no_price(model: Any) -> None:
    found = counted(saying(inputTokens=1, outputTokens=1), [], model, at=NOON, prices=PRICES)
    assert (found.model, found.cost) == ("unknown", None)


# ------------------------------------------------------------------------------------------------- entries, and keys


calls = st.builds(
    Counted,
    model=st.text(min_size=1).map(usage.model_id),
    cost=st.none() | numbers,
    tokens=st.tuples(numbers, numbers, numbers, numbers),
    estimated=st.booleans(),
    source=st.sampled_from(["user", "llm", "system"]),
    day=st.sampled_from(["2026-11-20", "2026-11-19"]),
)
messages = st.sampled_from(
    [
        {"role": "assistant", "content": [{"text": "hi"}], "tracking_id": "t"},
        {"content": [], "role": "assistant", "tracking_id": "t"},  # in another order it is no array
        {**saying(inputTokens=10, outputTokens=3, totalTokens=40, cacheReadInputTokens=27), "tracking_id": "t"},
    ]
)


@given(calls, messages, st.none() | st.just(NOON), st.none() | st.just(NOON + 1))
def test_an_entry_tells_all_that_was_counted(call: Counted, message: Any, at: Any, redacted: Any) -> None:
    reported = usage.reported(message)
    for whole in (call, call.model_copy(update={"tokens": reported or call.tokens, "estimated": False})):
        entry = Message(message=message, at=at, redacted=redacted, usage=usage.kept(whole, message, at))
        data = codec.dump(entry)
        assert codec.load(Message, data, "p") == entry
        assert usage.whole(codec.load(Message, data, "p")) == whole
        _, kept = codec.load_message(data, "p")
        assert kept is not None and codec.counted(kept, "p") == entry.usage


def test_what_a_message_says_itself_is_not_kept_twice() -> None:
    answer = saying(inputTokens=10, outputTokens=3, totalTokens=13)
    call = counted(answer, [], "m", at=NOON, prices=PRICES)
    entry = Message(message=answer, at=NOON, usage=usage.kept(call, answer, NOON))
    assert codec.dump(entry).endswith(b',null,["m",75000000]]')
    assert usage.whole(Message(message=answer, at=NOON)) is None
    assert codec.load_message(codec.dump(Message(message=answer, at=NOON)), "p")[1] is None


@given(st.text() | st.text("\U00010000a\x1f.-", min_size=10, max_size=300))
def test_any_model_id_has_a_place_of_its_own(model: str) -> None:
    named = usage.model_id(model)
    assert 0 < len(escape(named)) <= MAX_ESCAPED
    assert usage.model_id(named) == named
    assert layout.usage("2026-11-20", named, "llm").count("/") == 3


def test_long_ids_stay_apart() -> None:
    one, two = usage.model_id("x" * 500 + "a"), usage.model_id("x" * 500 + "b")
    assert one != two and one.startswith("x" * 150)


def test_days_are_those_of_utc() -> None:
    assert [usage.day_of(at) for at in (NOON, NOON + 43_199, NOON + 43_200)] == ["2026-11-20"] * 2 + ["2026-11-21"]
    key = UsageKey(day="2026-11-20", model="us.m:0", source="llm")
    assert usage.path_of(key) == "usage/2026-11-20/us.m!3a0/llm"
    assert layout.usage_counters(usage.path_of(key))[0] == "usage/2026-11-20/us.m!3a0/llm/input_tokens"
