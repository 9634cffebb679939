"""A budget that is spent refuses the next invocation, before anything is written, and says what was spent."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from strands import Agent

from strands_session_store import BudgetExceededError, Prices, StoreError, StoreSessionManager, layout, open_store
from strands_session_store.stores.base import Docs, Log, Store
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import Reply, ScriptedModel

from .test_multi_agent import graph

USE = {"inputTokens": 60, "outputTokens": 40, "totalTokens": 100}
PRICES = Prices({"m": {"input": "5", "output": "5"}}, published=False)
"""A call of USE costs 0.0005 dollars."""


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FaultyStore]:
    with FaultyStore(open_store("memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/s.db")) as faulty:
        yield faulty


def build(store: Store, model: str = "m", **options: Any) -> Agent:
    manager = StoreSessionManager("s", store, prices=PRICES, **options)
    script = ScriptedModel(lambda messages: Reply("x", usage=USE), model_id=model)
    return Agent(model=script, session_manager=manager, callback_handler=None)


def everything(store: Store) -> Any:
    logs = [layout.history("default"), layout.RUNS, layout.EVENTS]
    look = store.read(layout.session_space("s", None), Docs(""), *(Log(log, [(0, None)]) for log in logs))
    return look.revision, look.docs, look.logs


@pytest.mark.parametrize("durability", ["message", "background", "turn"])
def test_tokens(store: FaultyStore, durability: Any) -> None:
    agent = build(store, durability=durability, max_tokens=200)
    agent("one")
    agent("two")
    before, messages = everything(store), list(agent.messages)
    with pytest.raises(BudgetExceededError) as caught:
        agent("three")
    error = caught.value
    assert (error.scope, error.option, error.limit, error.spent) == ("session 's'", "max_tokens", 200, 200)
    assert "session 's' has spent 200 tokens, max_tokens is 200; nothing was written" in str(error)
    assert isinstance(error, StoreError) and everything(store) == before and agent.messages == messages
    build(store, max_tokens=201)("goes on, under a higher limit")


def test_cost(store: FaultyStore) -> None:
    agent = build(store, max_cost="0.001")
    agent("one")
    agent("two")
    with pytest.raises(BudgetExceededError, match=r"has spent 0\.001 dollars, max_cost is 0\.001;") as caught:
        agent("three")
    assert (caught.value.option, caught.value.limit, caught.value.spent) == ("max_cost", *[Decimal("0.001")] * 2)


def test_a_cost_that_is_unknown_counts_as_nothing(store: FaultyStore) -> None:
    agent = build(store, "unheard of", max_cost="0.0001")
    for _ in range(3):
        agent("go on")
    with pytest.raises(BudgetExceededError):
        build(store, max_tokens=300)("go on")


def test_what_another_process_has_spent_counts(store: FaultyStore) -> None:
    agent = build(store, max_tokens=150)
    agent("one")
    build(store)("two")
    with pytest.raises(BudgetExceededError):
        agent("three")


def test_the_lease_is_let_go_of_again(store: FaultyStore) -> None:
    agent = build(store, max_tokens=100, exclusive=True)
    agent("one")
    for _ in range(2):
        with pytest.raises(BudgetExceededError):
            agent("two")
    build(store, exclusive=True, on_busy="raise")("is not busy")


def test_a_graph_has_a_budget_too(store: FaultyStore) -> None:
    def node(name: str) -> Agent:
        return Agent(model=ScriptedModel(lambda _: Reply("x", usage=USE)), name=name, callback_handler=None)

    first = graph(StoreSessionManager("s", store, max_tokens=300), make=node)
    first("go")
    with pytest.raises(BudgetExceededError):
        first("again")


def test_a_budget_costs_one_read_an_invocation(store: FaultyStore) -> None:
    counts = []
    for options in ({}, {"max_tokens": 10**6}):
        agent = build(store, on_stale="conflict", **options)
        agent("one")
        before = store.count("read")
        agent("two")
        counts.append(store.count("read") - before)
    assert counts == [0, 1]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"max_tokens": 0}, "max_tokens must be a whole number of 1 or more, or None for no limit; got 0"),
        ({"max_tokens": 1.5}, "got 1.5"),
        ({"max_tokens": "5"}, "got '5'"),
        ({"max_tokens": True}, "got True"),
        ({"max_tokens": float("inf")}, "got inf"),
        ({"max_cost": 0.5}, "max_cost must be a number of dollars"),
        ({"max_cost": "-1"}, "got '-1'"),
        ({"prices": {"m": {"input": "x", "output": "1"}}}, "prices['m']['input'] must be a number of dollars"),
        ({"prices": 5}, "prices must be a mapping"),
    ],
)
def test_limits_that_can_not_be_meant_are_refused(store: FaultyStore, options: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match="must be") as error:
        StoreSessionManager("s", store, **options)
    assert named in str(error.value)
