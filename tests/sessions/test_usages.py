"""What was spent: by session, subtree, user; by day, model and source; what agents took and what others appended."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from strands import Agent

from strands_session_store import BudgetExceededError, SessionNotFoundError, StoreSessionManager
from strands_session_store.sessions import Sessions
from strands_session_store.testing.models import Reply, ScriptedModel
from strands_session_store.usage import Totals

from .test_listing import Counted

USE = {"inputTokens": 60, "outputTokens": 40, "totalTokens": 100}
PRICES = {"m": {"input": "5", "output": "5"}, "tiny": {"input": "0.0375", "output": "0.15"}}
COST = Decimal("0.0005")
"""Of a call of "m" that takes USE."""


def talk(sessions: Sessions, session_id: str, user_id: str | None = "ada", turns: int = 1, **options: Any) -> Agent:
    model = ScriptedModel(lambda messages: Reply("x", usage=USE), model_id=options.pop("model", "m"))
    manager = StoreSessionManager(session_id, sessions.store, user_id=user_id, prices=PRICES, **options)
    agent = Agent(model=model, session_manager=manager, callback_handler=None)
    for _ in range(turns):
        agent("hello")
    return agent


def test_totals_of_sessions_subtrees_and_users(sessions: Sessions) -> None:
    sessions.create("root", "ada")
    sessions.create("child", "ada", parent_id="root")
    talk(sessions, "root", turns=2)
    talk(sessions, "child")
    talk(sessions, "lone", model="who knows")
    talk(sessions, "root", "bob")
    assert sessions.usage.session("root", "ada").dollars == 2 * COST
    below = sessions.usage.subtree("root", "ada")
    assert (below.calls, below.tokens, below.dollars) == (3, 300, 3 * COST)
    spent = sessions.usage.user("ada")
    assert (spent.calls, spent.tokens, spent.unpriced) == (4, 400, 1)
    assert (spent.cost, spent.known_dollars) == (None, 3 * COST)  # unknown is not free
    assert sessions.usage.user("bob").calls == 1
    assert sessions.usage.user("nobody") == Totals()
    with pytest.raises(SessionNotFoundError):
        sessions.usage.session("root", "carl")
    sessions.delete("lone", "ada")
    assert sessions.usage.user("ada").dollars == 3 * COST


def test_by_day_model_and_source(sessions: Sessions) -> None:
    talk(sessions, "a")
    talk(sessions, "b", model="who knows", turns=2)
    answer = {"role": "assistant", "content": "yes", "metadata": {"usage": USE}}
    sessions.messages.append("a", answer, "ada", model="m", source="system")
    assert sessions.usage.session_by("a", "source", "ada").keys() == {"llm", "system"}
    assert sessions.usage.session_by("a", "model", "ada")["m"].calls == 2
    models = sessions.usage.user_by("ada", "model")
    assert {name: found.calls for name, found in models.items()} == {"m": 2, "who knows": 2}
    (day,) = sessions.usage.user_by("ada", "day")
    assert sum(models.values(), Totals()) == sessions.usage.user("ada")
    assert sessions.usage.user_by("ada", "day", since=day, until=day)[day].calls == 4
    assert sessions.usage.user_by("ada", "day", until="2020-01-01") == {}
    assert sessions.usage.user_by("ada", "day", since="2999-01-01") == {}
    assert sessions.usage.subtree_by("b", "model", "ada")["who knows"].unpriced == 2


@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.usage.session_by("s", "week"),
        lambda s: s.usage.user_by("ada", "hour"),
        lambda s: s.usage.user_by("ada", "day", since="yesterday"),
        lambda s: s.messages.append("s", {"role": "user", "content": "x"}, source="me"),
    ],
)
def test_wrong_arguments_are_named(memory: Sessions, call: Any) -> None:
    memory.create("s")
    with pytest.raises(ValueError, match=r"by must|since must|source must"):
        call(memory)


def test_what_others_append_is_counted_once_and_with_the_entry(sessions: Sessions) -> None:
    priced = Sessions(sessions.store, prices=PRICES)
    priced.create("s", "ada")
    priced.messages.append("s", {"role": "user", "content": "What is 1 + 1?"}, "ada")
    assert priced.usage.session("s", "ada") == Totals()  # nobody was asked yet
    (said,) = priced.messages.append("s", {"role": "assistant", "content": "Two."}, "ada", model="tiny")
    found = priced.usage.session("s", "ada")
    assert (found.calls, found.estimated) == (1, 1)
    assert found.input_tokens >= 3 and found.output_tokens >= 1  # the question, of the call before, and the answer
    assert said.entry.usage is not None and said.entry.usage.estimated
    answer = {"role": "assistant", "content": "Two.", "metadata": {"usage": USE}}
    priced.messages.append("s", [{"role": "user", "content": "Sure?"}, answer, answer], "ada", model="m")
    rest = priced.usage.session("s", "ada") - found
    assert (rest.calls, rest.tokens, rest.dollars) == (2, 200, 2 * COST)


def test_a_million_one_token_calls_sum_to_the_exact_price(memory: Sessions) -> None:
    """In the counters of a session, a thousand answers a commit; `test_prices` sums a million prices."""
    priced = Sessions(memory.store, prices=PRICES)
    priced.create("s")
    one = {"inputTokens": 1, "outputTokens": 0, "totalTokens": 1}
    answers = [{"role": "assistant", "content": "x", "metadata": {"usage": one}}] * 1_000
    for _ in range(10):
        priced.messages.append("s", answers, model="tiny")
    assert priced.usage.session("s").dollars == Decimal("0.0375") / 100


def test_budgets_of_a_subtree_and_of_a_user(sessions: Sessions) -> None:
    talk(sessions, "a", turns=2)
    sessions.create("b", "ada", parent_id="a")
    talk(sessions, "b")
    with pytest.raises(BudgetExceededError, match="what hangs below session 'a' has spent 300 tokens"):
        talk(sessions, "a", max_tokens=300, budget_scope="subtree")
    talk(sessions, "a", max_tokens=300)
    with pytest.raises(BudgetExceededError, match=r"user 'ada' has spent 0\.002 dollars"):
        talk(sessions, "new", max_cost="0.002", budget_scope="user")
    talk(sessions, "new", max_cost="0.002", budget_scope="subtree")
    with pytest.raises(ValueError, match="user_id"):
        StoreSessionManager("s", sessions.store, max_tokens=1, budget_scope="user")


def test_totals_read_no_message(memory: Sessions) -> None:
    for at in range(30):
        memory.create(f"s{at}", "ada")
        talk(memory, f"s{at}")
    store = Counted(memory.store)
    sessions = Sessions(store)
    assert sessions.usage.user("ada").calls == 30
    assert store.calls == ["list"]
    store.calls.clear()
    assert sessions.usage.session("s1", "ada").calls == 1
    assert store.calls == ["read"]
    store.calls.clear()
    sessions.usage.user_by("ada", "model", since="2999-01-01")
    assert store.calls == ["list"]


def test_a_report_has_several_tables_of_one_look(sessions: Sessions) -> None:
    talk(sessions, "a", turns=2)
    talk(sessions, "below", parent_id="a", model="who knows")
    talk(sessions, "a", "bob", model="tiny")
    sessions.create("silent", "ada")
    report, looked = sessions.usage.report, list[int]()
    mine = report("ada", by=["model", "session"], progress=looked.append)
    assert {model: spent.calls for model, spent in mine.by["model"].items()} == {"m": 2, "who knows": 1}
    assert mine.by["session"] == {id: sessions.usage.session(id, "ada") for id in ("a", "below")}
    assert mine.total == sessions.usage.user("ada") and mine.total.cost is None
    assert (mine.sessions, looked) == (2, [1, 2])  # one that called no model is not looked into
    one, tree = (report("ada", session_id="a", below=below) for below in (False, True))
    assert (one.total, one.sessions) == (sessions.usage.session("a", "ada"), 1)
    assert (tree.total, tree.sessions) == (sessions.usage.subtree("a", "ada"), 2)
    every = report(everyone=True, by=["user", "source"])
    assert {user: spent.calls for user, spent in every.by["user"].items()} == {"ada": 3, "bob": 1}
    (day,) = one.by["day"]
    assert day is not None
    assert report("ada", since=day, until=day) == report("ada")
    assert report("ada", since="2999-01-01").total == report("ada", until="1999-12-31").total == Totals()


def test_a_report_refuses_what_contradicts_itself(memory: Sessions) -> None:
    for wrong, says in (
        ({"by": "day"}, "by must be a collection"),
        ({"by": ["hour"]}, "by must be a collection"),
        ({"everyone": True, "user_id": "ada"}, "everyone=True"),
        ({"everyone": True, "by": ["session"]}, "everyone=True"),
        ({"below": True}, "below=True goes with a session_id"),
        ({"since": "yesterday"}, "since must be a day"),
        ({"until": "2026-13-01"}, "until must be a day"),
        ({"below": 1, "session_id": "s"}, "below must be"),
    ):
        with pytest.raises(ValueError, match=says):
            memory.usage.report(**wrong)  # type: ignore[arg-type]
    with pytest.raises(SessionNotFoundError):
        memory.usage.report(session_id="nope")
