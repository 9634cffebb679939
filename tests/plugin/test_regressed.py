"""What a server lost although it had acknowledged it is written again by whoever holds it still; where that can't be,
nothing is written, and it is said. See also test_failover."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("redis")

from strands import Agent
from strands.multiagent import GraphBuilder
from strands.types.exceptions import EventLoopException

from strands_session_store import ConflictError, StoreSessionManager, Unavailable, codec, layout, open_store, records
from strands_session_store.errors import InDoubt, Regressed
from strands_session_store.plugin import process
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Log, Store
from strands_session_store.stores.reading import read_whole
from strands_session_store.testing.models import ScriptedModel

from .children import build, wait_for
from .regressing import AGAIN, SPACE, Forgetful, fine, is_whole, texts, told


def left(store: Store, managers: int) -> None:
    """Wait until there are so many managers of the session."""
    wait_for(lambda: gc.collect() >= 0 and len(process._alive(store, SPACE)) == managers)


@pytest.fixture
def store(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Forgetful]:
    caplog.set_level(logging.WARNING, "strands_session_store")
    with Forgetful(tmp_path) as made:
        yield made
        made.heal()
    gc.collect()
    process._left.clear(), process._tried.clear()  # what a test left pending is not for the next one to try


def somebody_looks(store: Store) -> None:
    """Regressed is raised once: here to somebody who has nothing to write."""
    with pytest.raises(Regressed):
        store.read(SPACE)


def others_of(store: Forgetful) -> Store:
    """A store as another process has it: nothing was acknowledged to it."""
    return open_store(store.server.url)


@pytest.mark.parametrize("next_is", ["a message", "a state"])
@pytest.mark.parametrize("told_to", ["the writer", "somebody else"])
@pytest.mark.parametrize("lost", range(1, 8))
def test_a_loss_of_any_length_is_noticed_whoever_was_told(
    store: Forgetful, lost: int, told_to: str, next_is: str
) -> None:
    """The last commit of a turn has no message: nothing that the next one expects contradicts its loss."""
    agent, manager = build(store, "s", fine)
    agent("first")
    for n in range(3):
        agent.state.set("n", n)
        agent(f"turn {n}")
    store.forget(lost)
    if told_to == "somebody else":
        somebody_looks(store)
    if next_is == "a state":
        agent.state.set("n", "newest")
    agent("after it")
    assert manager.pending == 0
    is_whole(store, agent)
    agent("and on")
    is_whole(store, agent)


def test_what_was_written_over_since_stays_so(store: Forgetful) -> None:
    """Nobody was told, and the next commit had nothing against it: what is made again is older than that."""
    agent, manager = build(store, "s", fine)

    def redact(text: str, n: int) -> None:
        agent.messages[0]["content"][0]["text"] = text
        manager.redact_latest_message(agent.messages[0], agent)
        agent.state.set("n", n)
        manager.flush()

    agent("a secret")
    redact("half of a secret", 1)
    agent("and on")
    store.forget(4)
    somebody_looks(store)
    redact("nothing", 2)
    is_whole(store, agent)
    assert "secret" not in str(Sessions(store).messages.page("s").entries)


def test_the_redaction_of_a_message_that_was_lost(store: Forgetful) -> None:
    """Nobody was told, and an entry that is not there can't be replaced."""
    agent, manager = build(store, "s", fine)
    agent("one")
    agent("two")
    store.forget(2)
    somebody_looks(store)
    agent.messages[-1]["content"][0]["text"] = "redacted"
    manager.redact_latest_message(agent.messages[-1], agent)
    manager.flush()
    is_whole(store, agent)
    assert texts(agent.messages) == ["one", "fine", "two", "redacted"]


def test_a_second_loss_while_the_first_is_made_good(store: Forgetful) -> None:
    agent, manager = build(store, "s", fine)
    for turn in range(4):
        agent(f"turn {turn}")
    store.forget(5)
    held = store.plan("commit", at=4, hang="before")  # two of them were made again
    manager._session.timeout = 0.05
    with pytest.raises(Unavailable):
        agent("after it")
    assert held.reached.wait(10)
    store.forget(1)
    store.heal()
    manager._session.timeout = 30
    manager.flush()
    agent("and on")
    is_whole(store, agent, failed=1)


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("at", range(1, 9))
def test_an_outage_while_a_loss_is_made_good(store: Forgetful, at: int, how: str) -> None:
    agent, manager = build(store, "s", fine)
    for turn in range(2):
        agent(f"turn {turn}")
    store.forget(5)
    fault = {"before": Unavailable("down")} if how == "before" else {"after": InDoubt("no answer")}
    store.plan("commit", at=at, **fault)
    failed = 0
    try:
        agent("in the outage")
    except (Unavailable, EventLoopException):
        failed = 1
    manager.flush()
    agent("after it")
    is_whole(store, agent, failed=failed)


def test_a_commit_in_doubt_that_the_server_then_lost_takes_place_once(store: Forgetful) -> None:
    agent, manager = build(store, "s", fine)
    agent("one")
    store.plan("commit", after=InDoubt("no answer"))
    with pytest.raises(InDoubt):
        agent("two")
    store.forget(2)
    manager.flush()
    agent("three")
    is_whole(store, agent, failed=1)


def test_a_resume_finds_what_a_live_manager_still_holds(store: Forgetful, caplog: pytest.LogCaptureFixture) -> None:
    live, _ = build(store, "s", fine)
    live("one")
    live("two")
    store.forget(4)
    resumed, _ = build(store, "s", fine)
    assert resumed.messages == live.messages and len(told(caplog)) == 1
    resumed("three")
    live("four")
    assert texts(live.messages) == ["one", "fine", "two", "fine", "three", "fine", "four", "fine"]
    is_whole(store, live)


def test_who_only_reads_finds_what_a_live_manager_still_holds(store: Forgetful) -> None:
    live, manager = build(store, "s", fine)
    live("one")
    live("two")
    store.forget(4)
    restored, _ = build(store, "s", fine, read_only=True)
    assert restored.messages == live.messages
    live("three")
    manager.close()
    is_whole(store, live)


def test_a_resume_where_nobody_holds_what_was_lost_says_so_once(store: Forgetful) -> None:
    live, manager = build(store, "s", fine)
    live("one")
    live("two")
    del live, manager
    left(store, 0)
    store.forget(3)
    with pytest.raises(Regressed):
        build(store, "s", fine)
    resumed, _ = build(store, "s", fine)
    assert texts(resumed.messages) == ["one", "fine"]
    resumed("three")
    is_whole(store, resumed)


@pytest.mark.parametrize("told_to", ["the writer", "somebody else"])
@pytest.mark.parametrize(("lost", "state"), [(1, True), (2, True), (3, True), (2, False)])
def test_what_a_manager_that_is_gone_wrote_can_not_be_written_by_a_later_one(
    store: Forgetful, lost: int, state: bool, told_to: str
) -> None:
    """What the later one stores next contradicts no loss by itself."""
    earlier, its = build(store, "s", fine)
    earlier("one")
    if state:
        earlier.state.set("n", 1)
        its.flush()
    later, manager = build(store, "s", fine)
    del earlier, its
    left(store, 1)
    store.forget(lost)
    if told_to == "somebody else":
        somebody_looks(store)
    with others_of(store) as elsewhere:
        revision = elsewhere.read(SPACE).revision
        later.state.set("n", 2)
        with pytest.raises((Regressed, ConflictError), match=r"(?i)resume anew"):
            later("two")
        with pytest.raises((Regressed, ConflictError)):
            manager.flush()
        assert elsewhere.read(SPACE).revision == revision
        anew, _ = build(store, "s", fine)
        anew("three")
        assert elsewhere.read(SPACE).revision > revision


def test_an_agent_that_was_loaded_and_lost_nothing_goes_on(store: Forgetful) -> None:
    _, manager = agents = build(store, "s", fine, agent_id="ada")
    ada = agents[0]
    ada("one")
    eve = Agent(model=ScriptedModel(fine), agent_id="eve", session_manager=manager, callback_handler=None)
    store.forget(1)
    eve("one")
    ada("two")
    is_whole(store, ada, eve)


@pytest.mark.parametrize("what", ["a message", "a state"])
@pytest.mark.parametrize("before_it", [0, 1])
def test_another_who_took_over_under_the_same_number_is_not_taken_for_oneself(
    store: Forgetful, what: str, before_it: int
) -> None:
    """Versions come again after a loss: the other's writer document has the number of a lost one: of ours, or of the
    one that we had found."""

    def change(agent: Agent, manager: StoreSessionManager, n: int) -> None:
        if what == "a message":
            agent(f"message {n}")
        else:
            agent.state.set("n", n)
            manager.flush()

    build(store, "s", fine)[0]("one")
    commits = 3
    for n in range(before_it):
        change(*build(store, "s", fine), n)
    agent, manager = build(store, "s", fine)
    for n in range(3):
        change(agent, manager, n)
    store.forget(len(store._states) - commits)
    with others_of(store) as elsewhere:
        fresh, its = build(elsewhere, "s", fine)
        change(fresh, its, 5)
        for _ in range(2 if before_it or what == "a state" else 1):
            with pytest.raises((ConflictError, Regressed)) as caught:
                change(agent, manager, 6)
            assert isinstance(caught.value, Regressed if before_it else ConflictError)
        change(fresh, its, 7)
        is_whole(elsewhere, fresh)


@pytest.mark.parametrize("found", ["nothing", "an earlier one's"])
def test_a_take_over_that_was_lost_is_noticed_by_its_absence(store: Forgetful, found: str) -> None:
    """Nobody was told, and what comes next changes no log."""
    ada, _ = build(store, "s", fine, agent_id="ada")
    ada("one")
    if found == "nothing":
        _, its = built = build(store, "s", fine, agent_id="eve")
    else:
        build(store, "s", fine, agent_id="eve")[0]("one")
        _, its = built = build(store, "s", fine, agent_id="eve")
    eve, commits = built[0], len(store._states)
    eve("two")
    store.forget(len(store._states) - commits)
    somebody_looks(store)
    ada("three")  # or the next revision would tell it
    ada("four")
    eve.state.set("n", 1)
    its.flush()
    is_whole(store, ada, eve)


def test_what_is_made_again_in_another_order_gets_other_numbers_and_costs_nothing_later(store: Forgetful) -> None:
    ada, manager = build(store, "s", fine, agent_id="ada")
    eve = Agent(model=ScriptedModel(fine), agent_id="eve", session_manager=manager, callback_handler=None)
    ada("one")
    eve("one")
    ada("two")
    store.forget(6)
    reads = store.count("read")
    ada("three")
    eve("two")
    ada("four")
    assert store.count("read") == reads + 3 + 2  # one an invocation, and one each
    is_whole(store, ada, eve)


def test_what_was_made_again_is_lost_again_long_after(store: Forgetful) -> None:
    """Its first number is so far back by then that an engine may have forgotten its id."""
    ada, manager = build(store, "s", fine, agent_id="ada")
    with others_of(store) as elsewhere:
        eve, _ = build(elsewhere, "s", fine, agent_id="eve")

        def meanwhile(turns: int) -> None:
            for _ in range(turns):
                eve("meanwhile")
            store.keep()
            manager._session.note(object())  # as another manager of the process would

        ada("one")
        store.forget(1)
        meanwhile(20)
        ada("two")
        store.forget(4)
        meanwhile(3)
        ada("three")
        is_whole(store, ada, eve)


def test_another_manager_of_the_process_has_its_own_again_too(
    store: Forgetful, caplog: pytest.LogCaptureFixture
) -> None:
    ada, _ = build(store, "s", fine, agent_id="ada")
    eve, _ = build(store, "s", fine, agent_id="eve")
    ada("one")
    eve("one")
    store.forget(2)
    ada("two")
    wait_for(lambda: told(caplog))
    is_whole(store, ada, eve)


def test_nobody_is_troubled_whose_commits_are_all_there(store: Forgetful, caplog: pytest.LogCaptureFixture) -> None:
    stale, its = build(store, "s", fine)
    stale("one")
    agent, _ = build(store, "s", fine)
    agent("two")
    store.forget(2)
    agent("three")
    its.close()
    is_whole(store, agent)
    assert [record.getMessage() for record in caplog.records if AGAIN not in record.getMessage()] == []


@pytest.mark.parametrize("lost", range(1, 7))
def test_nodes_of_a_graph_have_said_what_they_said_once(store: Forgetful, lost: int) -> None:
    def graph() -> Any:
        builder = GraphBuilder()
        for name in ("first", "second"):
            builder.add_node(Agent(model=ScriptedModel(fine), callback_handler=None), name)
        builder.add_edge("first", "second")
        builder.set_max_node_executions(10)
        builder.set_session_manager(StoreSessionManager("s", store))
        return builder.build()

    def said() -> list[list[str]]:
        look = read_whole(
            store,
            SPACE,
            *(Log(layout.node_history("default_graph", [name]), [(0, None)]) for name in ("first", "second")),
        )
        return [
            texts(codec.load(records.Message, data, "history").message for data in log.entries.values())
            for log in look.logs.values()
        ]

    made = graph()
    made("one")
    store.forget(lost)
    somebody_looks(store)
    made("two")
    assert said() == [
        ["one", "fine", "two", "fine"],
        ["Original Task: one", "fine", "Original Task: two", "fine"],
    ]


def test_a_forked_child_can_not_write_what_its_parent_wrote(store: Forgetful) -> None:
    agent, manager = build(store, "s", fine)
    agent("one")
    store.forget(1)
    agent("two")

    def fork() -> None:
        """As in a child, where no thread is at it any more."""
        wait_for(lambda: not manager._session.writers[0]._draining)
        manager._session.forked()

    fork()
    agent("three")
    is_whole(store, agent)
    agent.state.set("n", 1)
    manager.flush()
    fork()
    store.forget(1)
    with pytest.raises(Regressed):
        agent("four")
