"""Counters equal a recount of the history: at any moment, whatever fails, is retried, replaced or put elsewhere."""

from __future__ import annotations

import contextlib
import tempfile
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from strands import Agent
from strands.types.exceptions import EventLoopException

from strands_session_store import StoreError, StoreSessionManager, layout, open_store
from strands_session_store.errors import InDoubt, Unavailable
from strands_session_store.plugin import encoding
from strands_session_store.prices import Prices
from strands_session_store.stores.base import Store
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import Reply, ScriptedModel, ToolCall
from strands_session_store.usage import Totals

from .children import add
from .recount import runs, totals_of
from .test_multi_agent import graph

PRICES = Prices({"m": {"input": "0.0375", "output": "0.15"}, "n": {"input": "3", "output": "15"}}, published=False)
NONE = {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0}
"""What Strands keeps of a model that reports nothing."""
PLAIN = {"inputTokens": 10, "outputTokens": 3, "totalTokens": 13}
CACHED = {
    "inputTokens": 10,
    "outputTokens": 3,
    "totalTokens": 40,
    "cacheReadInputTokens": 20,
    "cacheWriteInputTokens": 7,
}
HISTORY = [layout.history("default")]


def build(store: Store, model: ScriptedModel, **options: Any) -> Agent:
    manager = StoreSessionManager("s", store, prices=PRICES, **options)
    return Agent(model=model, session_manager=manager, tools=[add], callback_handler=None, retry_strategy=None)


def manager_of(agent: Agent) -> Any:
    return agent._session_manager


class Recount(RuleBasedStateMachine):
    """One session, its process, and now and then another one's."""

    engine = "memory"

    @initialize(durability=st.sampled_from(["message", "background", "turn", "rebase"]), scrubs=st.booleans())
    def begin(self, durability: str, scrubs: bool) -> None:
        self.directory = tempfile.TemporaryDirectory()
        url = "memory://" if self.engine == "memory" else f"sqlite:///{self.directory.name}/s.db"
        self.faulty = FaultyStore(open_store(url))
        self.options: dict[str, Any] = {"durability": durability, "timeout": 5}
        if durability == "rebase":
            self.options = {"durability": "turn", "on_conflict": "rebase", "timeout": 5}
        if scrubs:
            self.options["before_store"] = self.scrub
        self.refuses = 0
        self.lines: list[Any] = []
        self.agent = self.built(self.faulty)

    def teardown(self) -> None:
        if hasattr(self, "agent"):
            self.settle()
            self.faulty.close()
            self.directory.cleanup()

    def scrub(self, message: Any) -> Any:
        """Leaves no metadata, and fails now and then."""
        if self.refuses:
            self.refuses -= 1
            raise RuntimeError("not now")
        return {key: value for key, value in message.items() if key != "metadata"}

    def built(self, store: Store) -> Agent:
        return build(
            store,
            ScriptedModel(lambda messages: self.lines.pop() if self.lines else "fine", model_id="m"),
            **self.options,
        )

    @rule(
        use=st.sampled_from([NONE, PLAIN, CACHED]),
        model=st.sampled_from(["m", "n", "unheard of"]),
        tools=st.integers(0, 2),
        text=st.sampled_from(["hello", "x" * 300]),
    )
    def say(self, use: dict[str, int], model: str, tools: int, text: str) -> None:
        self.agent.model.update_config(model_id=model)
        self.lines = [
            Reply("answer " * 5, usage=use),
            *[Reply(tools=[ToolCall("add", {"a": 1, "b": 2})], usage=use)] * tools,
        ]
        with contextlib.suppress(StoreError, EventLoopException):
            self.agent(text)

    @rule(
        how=st.sampled_from(
            [{"before": Unavailable("down")}, {"after": InDoubt("no answer")}, {"before": InDoubt("?")}]
        ),
        times=st.integers(1, 4),
        at=st.integers(1, 4),
    )
    def fails(self, how: dict[str, Exception], times: int, at: int) -> None:
        self.faulty.plan("commit", at=at, times=times, **how)  # type: ignore[arg-type]

    @rule()
    def refused_by_the_application(self) -> None:
        self.refuses = 2

    @rule()
    def flush(self) -> None:
        with contextlib.suppress(StoreError):
            manager_of(self.agent).flush()

    @precondition(lambda self: self.agent.messages)
    @rule(at=st.integers(0, 99))
    def redact(self, at: int) -> None:
        message = self.agent.messages[at % len(self.agent.messages)]
        message["content"] = [{"text": "[redacted]"}]
        manager_of(self.agent).redact_latest_message(message, self.agent)
        with contextlib.suppress(StoreError):
            manager_of(self.agent).flush()

    @rule()
    def begins_anew(self) -> None:
        """The process ends, and what it has not stored is stored by the next one, or lost."""
        with contextlib.suppress(StoreError):
            manager_of(self.agent).close()
        with contextlib.suppress(StoreError):
            self.agent = self.built(self.faulty)

    @rule(use=st.sampled_from([NONE, CACHED]))
    def another_process_goes_on(self, use: dict[str, int]) -> None:
        self.lines = [Reply("meanwhile", usage=use)]
        with contextlib.suppress(StoreError, EventLoopException):
            agent = self.built(self.faulty.store)
            agent("and I?")
            manager_of(agent).flush()

    @rule(really=st.sampled_from([False] * 7 + [True]))
    def is_deleted(self, really: bool) -> None:
        if really:
            self.faulty.store.drop(layout.session_space("s", None))

    @rule()
    def settle(self) -> None:
        self.faulty.heal()
        self.refuses = 0
        with contextlib.suppress(StoreError):
            manager_of(self.agent).flush()

    @invariant()
    def counters_are_what_is_stored(self) -> None:
        if hasattr(self, "faulty"):
            totals_of(self.faulty.store, HISTORY)


def play(engine: str, examples: int, *, shrinks: bool = True) -> None:
    machine = type("Recount", (Recount,), {"engine": engine})
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
            database=None,
            phases=[Phase.generate, Phase.shrink] if shrinks else [Phase.generate],
        ),
    )


@pytest.mark.parametrize("engine", ["memory", "sqlite"])
def test_counters_equal_a_recount(engine: str) -> None:
    play(engine, 40)


@pytest.mark.soak
@pytest.mark.parametrize("engine", ["memory", "sqlite"])
def test_counters_equal_a_recount_for_long(engine: str) -> None:
    play(engine, 2_000)


def doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that is tried again counts again."""
    whole = encoding.Encoder.atoms

    def again(self: Any, job: Any) -> Any:
        atoms, problem = whole(self, job)
        return [[*atom, *[change for change in atom if isinstance(change, encoding.Add)]] for atom in atoms], problem

    monkeypatch.setattr(encoding.Encoder, "atoms", again)


def test_a_bug_in_counting_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    doubled(monkeypatch)
    with pytest.raises(AssertionError):
        play("memory", 120, shrinks=False)


# ------------------------------------------------------------------------------------------------------- single cases


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Any) -> Any:
    with FaultyStore(open_store("memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/s.db")) as faulty:
        yield faulty


def test_a_million_small_calls_cost_what_they_cost(store: FaultyStore) -> None:
    """By the counters of a session: exact, where floating point or nano-dollars are not. A hundred calls here; that a
    million prices sum up is in tests/test_prices.py."""
    use = {"inputTokens": 1, "outputTokens": 0, "totalTokens": 1}
    agent = build(store, ScriptedModel(lambda messages: Reply("x", usage=use), model_id="m"), durability="background")
    for _ in range(100):
        agent("y")
    found = totals_of(store, HISTORY)
    assert (found.calls, found.cost, str(found.dollars)) == (100, 3_750_000, "0.000003750000")


def test_a_run_has_what_its_calls_took(store: FaultyStore) -> None:
    replies = [
        Reply(tools=[ToolCall("add", {"a": 1, "b": 2})], usage=PLAIN),
        Reply("done", usage=CACHED),
        Reply("?", usage=NONE),
    ]
    agent = build(store, ScriptedModel(replies, model_id="m"))
    agent("go")
    agent("and?")
    first, second = runs(store)
    assert (first.model, first.usage.calls, first.usage.estimated, first.usage.unpriced) == ("m", 2, 0, 0)
    assert (first.usage.input_tokens, first.usage.cache_read_input_tokens) == (10 + 37, 20)
    assert (second.usage.calls, second.usage.estimated) == (1, 1)
    both = [first.usage.cost, second.usage.cost]
    assert None not in both and sum(both) == totals_of(store, HISTORY).cost  # type: ignore[arg-type]


def test_a_run_that_is_put_behind_anothers_is_counted_once(store: FaultyStore) -> None:
    options: dict[str, Any] = {"durability": "turn", "on_conflict": "rebase"}
    mine = build(store, ScriptedModel(lambda messages: Reply("mine", usage=NONE), model_id="m"), **options)
    theirs = build(store, ScriptedModel(lambda messages: Reply("theirs", usage=PLAIN), model_id="n"), **options)
    mine("first")
    theirs_said = []

    def between(messages: Any) -> Reply:
        if not theirs_said:
            theirs_said.append(theirs("hello"))
        return Reply("mine again", usage=NONE)

    mine.model = ScriptedModel(between, model_id="m")
    mine("second")
    found = totals_of(store, HISTORY)
    assert found.calls == 3 and len(runs(store)) == 3
    assert sum(run.usage.calls for run in runs(store)) == 3
    assert sum((run.usage.cost or 0) for run in runs(store)) == found.cost


def test_nodes_of_a_graph_are_counted(store: FaultyStore) -> None:
    def node(name: str) -> Agent:
        use = {"a": PLAIN, "b": NONE, "c": CACHED}[name]
        return Agent(
            model=ScriptedModel(lambda messages: Reply(name, usage=use), model_id="n"), name=name, callback_handler=None
        )

    graph(StoreSessionManager("s", store, prices=PRICES), make=node)("go")
    found = totals_of(store, [layout.node_history("g", [name]) for name in "abc"])
    assert (found.calls, found.estimated, found.unpriced) == (3, 1, 0)
    (run,) = runs(store)
    assert (run.usage.calls, run.usage.cost, run.model) == (3, found.cost, "n")


def test_a_turn_of_many_commits_counts_in_each_what_it_stores(store: FaultyStore) -> None:
    """Stopped behind the first of them: what is stored is counted, no more."""
    agent = build(
        store, ScriptedModel(lambda messages: Reply("x" * 2_000_000, usage=PLAIN), model_id="m"), durability="turn"
    )
    agent.messages.extend(
        {"role": role, "content": [{"text": "x" * 2_000_000}]}
        for _ in range(3)
        for role in ("user", "assistant")  # type: ignore[misc]
    )
    store.plan("commit", stop="after", at=2)
    with contextlib.suppress(StoreError, EventLoopException):
        agent("and now?")
    with contextlib.suppress(StoreError):
        manager_of(agent).flush()
    found = totals_of(store.store, HISTORY)
    assert 0 < found.calls < 4
    store.heal()
    manager_of(agent).flush()
    assert totals_of(store, HISTORY).calls == 4


def test_counting_takes_no_round_trip(store: FaultyStore) -> None:
    agent = build(store, ScriptedModel(lambda messages: Reply("x", usage=NONE), model_id="m"), on_stale="conflict")
    agent("one")
    before = len(store.calls)
    agent("two")
    assert [call.verb for call in store.calls[before:]] == ["commit"] * 3


def test_a_placeholder_keeps_what_its_call_took(store: FaultyStore) -> None:
    """A message past the limit of an entry."""
    agent = build(store, ScriptedModel([Reply("x" * (17 * 2**20), usage=PLAIN), "fine"], model_id="m"))
    with contextlib.suppress(StoreError, EventLoopException):
        agent("write much")
    agent("go on")
    assert totals_of(store, HISTORY) - Totals(calls=1) != Totals()


def test_an_old_message_that_is_redacted_keeps_what_it_took(store: FaultyStore) -> None:
    """By a process that has not read it: only an older one has."""
    build(store, ScriptedModel([Reply("secret", usage=CACHED), "fine", "fine"], model_id="m"))("one")
    before = totals_of(store, HISTORY)
    other = build(store, ScriptedModel([], model_id="n"))
    other.messages[-1]["content"] = [{"text": "[redacted]"}]
    manager_of(other).redact_latest_message(other.messages[-1], other)
    manager_of(other).flush()
    assert other.messages[-1]["role"] == "assistant" and totals_of(store, HISTORY) == before
