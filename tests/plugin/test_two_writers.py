"""Two processes, or two managers of one, that write one session: nothing is mixed, nothing acknowledged is lost."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import socket
import weakref
from pathlib import Path

import pytest
from strands import Agent
from strands.hooks import AfterInvocationEvent

from strands_session_store import ConflictError, StoreSessionManager, open_store
from strands_session_store.layout import session_space
from strands_session_store.plugin import Durability
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Store
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import ScriptedModel

from .children import Child, Parent, build, wait_for


def _texts(store: Store, session: str = "shared", agent: str = "default") -> list[str]:
    entries = Sessions(store).messages.page(session, agent_id=agent, limit=1000).entries.values()
    return [entry.message["content"][0]["text"] for entry in entries if "text" in entry.message["content"][0]]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/shared.db"


def test_the_later_commit_of_two_processes_conflicts_and_names_both(processes: Parent, url: str) -> None:
    first, second = (processes.start("obey", url=url, session="shared", on_stale="conflict") for _ in range(2))
    first.hear(), second.hear()
    assert first.ask("from the first") is None
    kind, text = second.ask("from the second")
    assert kind == "ConflictError"
    for child in (first, second):
        assert f"{socket.gethostname()} pid {child.pid} " in text
    assert "nothing was written" in text
    assert first.ask("again from the first") is None
    with open_store(url) as store:
        assert _texts(store) == ["from the first", "That is done.", "again from the first", "That is done."]


def test_an_agent_that_met_a_conflict_goes_on_from_what_is_stored(processes: Parent, url: str) -> None:
    stale = processes.start("obey", url=url, session="shared", on_stale="conflict")
    stale.hear()
    assert stale.ask("one") is None
    fresh = processes.start("obey", url=url, session="shared", on_stale="conflict")
    assert len(fresh.hear()) == 4
    assert fresh.ask("two") is None
    kind, text = stale.ask("three")
    assert kind == "ConflictError" and f"pid {fresh.pid} " in text and f"pid {stale.pid} " in text
    assert stale.ask("four") is None
    anew = processes.start("obey", url=url, session="shared")
    assert len(anew.hear()) == 12
    with open_store(url) as store:
        assert _texts(store)[::2] == ["one", "two", "four"]


@pytest.mark.parametrize("round", range(3))
def test_two_that_create_one_session_at_once(processes: Parent, url: str, round: int) -> None:
    children = [processes.start("obey", url=url, session="shared", on_stale="conflict") for _ in range(2)]
    for child in children:
        child.hear()
    for child in children:
        child.tell(f"by {child.pid}")
    answers = [child.hear() for child in children]
    assert {answer and answer[0] for answer in answers} == {None, "ConflictError"}
    winner = children[answers.index(None)]
    assert winner.ask("more") is None
    with open_store(url) as store:
        assert _texts(store)[::2] == [f"by {winner.pid}", "more"]


def test_two_agents_of_one_session_in_two_processes_both_go_on(processes: Parent, url: str) -> None:
    names = ("left", "right")
    children = {name: processes.start("obey", url=url, session="shared", agent_id=name) for name in names}
    for child in children.values():
        child.hear()
    for turn in range(5):  # both create the session at once, then interleave as they like
        for child in children.values():
            child.tell(f"turn {turn}")
        assert [child.hear() for child in children.values()] == [None, None]
    with open_store(url) as store:
        for name in names:
            assert _texts(store, agent=name)[::2] == [f"turn {turn}" for turn in range(5)]
        overview = Sessions(store).get("shared")
        assert overview.agents == names and overview.counters["messages"] == 40 and overview.counters["runs"] == 10


def test_nothing_acknowledged_is_lost_when_two_fight_for_one_agent(processes: Parent, url: str) -> None:
    acknowledged: list[str] = []
    for round in range(4):
        children: list[Child] = [processes.start("obey", url=url, session="shared") for _ in range(2)]
        for child in children:
            child.hear()
        for turn in range(2):
            for at, child in enumerate(children):
                child.tell(f"{round}.{turn}.{at}")
            for at, child in enumerate(children):
                if child.hear() is None:
                    acknowledged.append(f"{round}.{turn}.{at}")
    with open_store(url) as store:
        said = [text for text in _texts(store) if text != "That is done."]
    assert sorted(said) == sorted(set(said))
    # a prompt whose turn then met a conflict may be there, too: it was stored before the other took over
    assert [text for text in said if text in acknowledged] == sorted(acknowledged, key=said.index)
    assert set(acknowledged) <= set(said) and acknowledged


def test_a_session_that_was_deleted_is_not_resurrected(processes: Parent, url: str) -> None:
    live = processes.start("obey", url=url, session="shared")
    live.hear()
    assert live.ask("one") is None
    with open_store(url) as store:
        Sessions(store).delete("shared")
        kind, text = live.ask("two")
        assert kind == "ConflictError" and "deleted or has expired" in text and "nothing was written" in text
        assert store.read(session_space("shared", None)).incarnation is None


def test_a_session_that_was_deleted_and_made_anew_is_another(processes: Parent, url: str) -> None:
    live = processes.start("obey", url=url, session="shared")
    live.hear()
    assert live.ask("one") is None
    with open_store(url) as store:
        Sessions(store).delete("shared")
        other = processes.start("obey", url=url, session="shared")
        assert other.hear() == []
        assert other.ask("anew") is None
        kind, text = live.ask("two")
        assert kind == "ConflictError" and "deleted and made anew" in text
        assert _texts(store)[::2] == ["anew"]


def test_a_session_that_expired_under_a_live_agent_is_not_resurrected() -> None:
    now = [1_000.0]
    with MemoryStore(clock=lambda: now[0]) as store:
        agent, _ = build(store, "shared", ttl=60)
        agent("one")
        now[0] += 59
        agent("two")  # each commit begins the time anew
        now[0] += 61
        with pytest.raises(ConflictError, match="deleted or has expired"):
            agent("three")
        assert store.read(session_space("shared", None)).incarnation is None


def test_a_parent_and_its_forked_child_are_two_writers(processes: Parent, url: str) -> None:
    forked = processes.start("fork_after_use", url=url, session="shared")
    who, child, problem = forked.hear()
    assert (who, problem) == ("child", None) and child != forked.pid
    kind, parent, text = forked.hear()
    assert (kind, parent) == ("ConflictError", forked.pid)
    assert set(map(int, re.findall(r"pid (\d+)", text))) == {child, parent}
    assert forked.ended() == 0
    with open_store(url) as store:
        assert _texts(store)[::2] == ["before the fork", "in the child"]


def test_also_a_change_of_state_alone_conflicts() -> None:
    """No log tells: only the writer document does."""
    with MemoryStore() as store:
        build(store, "shared")[0]("one")
        (first, its), (second, others) = build(store, "shared"), build(store, "shared")
        first.state.set("whose", "the first's")
        second.state.set("whose", "the second's")
        its.flush()
        with pytest.raises(ConflictError, match="agents/default/writer"):
            others.flush()
        its.flush()
        assert build(store, "shared")[0].state.get("whose") == "the first's"


def test_two_managers_in_one_process_are_two_writers_too() -> None:
    with MemoryStore() as store:
        (first, _), (second, _) = (build(store, "shared", on_stale="conflict") for _ in range(2))
        first("one")
        with pytest.raises(ConflictError, match=rf"pid {os.getpid()} .* pid {os.getpid()} ") as caught:
            second("two")
        assert len(set(re.findall(r"pid \d+ \((\S+)\)", str(caught.value)))) == 2
        assert _texts(store) == ["one", "That is done."]


@pytest.mark.parametrize("durability", ["message", "turn"])  # of "background" the number of commits varies
def test_what_was_refused_is_not_tried_again_by_later_requests(durability: Durability) -> None:
    """A server has a manager a request: of each that met a conflict, the rest was kept for ever, and tried by all
    later requests of the session."""

    with FaultyStore(MemoryStore()) as store:

        def request() -> int:
            """Returns how many calls it took."""
            before = store.count("read") + store.count("commit")
            agent, manager = build(store, "shared", lambda messages: "fine", durability=durability)
            agent("in time")
            manager.close()
            return store.count("read") + store.count("commit") - before

        request()
        cost = request()
        for _ in range(3):
            agent, manager = build(store, "shared", lambda messages: "fine", durability=durability, on_stale="conflict")
            request()
            with pytest.raises(ConflictError):
                agent("too late")
            with pytest.raises(ConflictError):
                manager.close()
            gone = weakref.ref(manager._session)
            del agent, manager
            # a thread of the pool may be on its way out with the last reference
            wait_for(lambda gone=gone: gc.collect() >= 0 and gone() is None)
        assert request() == cost


@pytest.mark.parametrize("durability", ["message", "background", "turn"])
def test_an_agent_that_is_refused_does_not_hold_up_the_others_of_its_manager(durability: Durability) -> None:
    def agent_of(manager: StoreSessionManager, agent_id: str) -> Agent:
        model = ScriptedModel(lambda messages: "fine")
        return Agent(model=model, agent_id=agent_id, session_manager=manager, callback_handler=None)

    with MemoryStore() as store:
        manager = StoreSessionManager("s", store, durability=durability, on_stale="conflict")
        ada, eve = agent_of(manager, "ada"), agent_of(manager, "eve")
        ada("one"), eve("one")
        agent_of(StoreSessionManager("s", store), "ada")("two")
        with pytest.raises(ConflictError):
            ada("three")
        eve("three")
        assert Sessions(store).messages.page("s", agent_id="eve").length == len(eve.messages) == 4
        with pytest.raises(ConflictError):
            manager.flush()


@pytest.mark.parametrize("engine", ["memory", "sqlite"])
def test_what_the_first_changed_while_the_second_was_built_is_not_written_over(engine: str, tmp_path: Path) -> None:
    """The first had taken the agent over long before: its writer document says nothing, only what it changed does."""
    with open_store("memory://" if engine == "memory" else f"sqlite:///{tmp_path}/s.db") as store:
        first, its = build(store, "shared")
        first("one")
        second, others = build(store, "shared")
        first.state.set("whose", "the first's")
        its.flush()
        second.state.set("whose", "the second's")
        with pytest.raises(ConflictError, match="agents/default/agent"):
            others.flush()
        assert build(store, "shared")[0].state.get("whose") == "the first's"


def test_a_run_that_ends_between_anothers_look_and_its_takeover_is_recorded_once() -> None:
    with MemoryStore() as store:
        first, _ = build(store, "shared")
        second: list[Agent] = []
        first.hooks.add_callback(AfterInvocationEvent, lambda event: second.append(build(store, "shared")[0]))
        first("one")
        with contextlib.suppress(ConflictError):
            second[0]("two")
        runs = [run.run_id for run in Sessions(store).runs.list("shared").entries.values()]
        assert len(runs) == len(set(runs))
