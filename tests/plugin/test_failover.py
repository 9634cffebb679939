"""A real failover that loses commits, in the midst of a real conversation."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("redis")

from strands import Agent
from strands.hooks import AfterToolCallEvent
from tests.stores import servers
from tests.stores.failover import Failover, failover
from tests.stores.servers import Server

from strands_session_store import ConflictError, RedisSessionManager, open_store
from strands_session_store.errors import Regressed
from strands_session_store.plugin import Durability
from strands_session_store.sessions import Sessions
from strands_session_store.testing import OfflineModel
from strands_session_store.testing.models import ScriptedModel

from .children import Parent, build, wait_for
from .regressing import SPACE, fine, is_whole, texts, told

each_durability = pytest.mark.parametrize("durability", ["message", "background", "turn"])


@pytest.fixture
def lossy(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Failover]:
    caplog.set_level(logging.WARNING, "strands_session_store")
    with failover(tmp_path) as made:
        yield made


def resumed_by(url: str, *agents: Agent) -> None:
    with open_store(url, timeout=30.0) as store:
        is_whole(store, *agents)


@each_durability
def test_what_a_failover_lost_is_written_again(
    lossy: Failover, durability: Durability, caplog: pytest.LogCaptureFixture
) -> None:
    manager = RedisSessionManager("s", lossy.url, durability=durability)
    agent = Agent(model=OfflineModel(), session_manager=manager, callback_handler=None)
    agent("My name is Ada.")
    agent("I live in Lisbon.")
    lossy.forget()
    agent.state.set("mood", "good")
    agent("My dog is called Rex.")
    agent("My favourite colour is teal.")
    lossy.happen()
    assert "Rex" in str(agent("What is my dog called?"))
    assert "Ada" in str(agent("What is my name?"))
    assert manager.pending == 0
    resumed_by(lossy.url, agent)
    (warning,) = told(caplog)
    commits = {"message": 7, "turn": 2}.get(durability)
    assert "session_id=<s>" in warning and "messages=<4>" in warning
    assert commits is None or f"commits=<{commits}>" in warning
    manager.close()


@each_durability
def test_a_failover_inside_of_a_turn(lossy: Failover, durability: Durability, caplog: pytest.LogCaptureFixture) -> None:
    agent, manager = build(lossy.url, "s", durability=durability, timeout=30)
    agent("one")
    lossy.forget()
    agent("two")
    calls: list[str] = []

    def fail_over(event: AfterToolCallEvent) -> None:
        calls.append(event.tool_use["name"])
        if len(calls) == 2:
            lossy.happen()

    agent.hooks.add_callback(AfterToolCallEvent, fail_over)
    agent("three")
    assert len(calls) == 2 and len(agent.messages) == 12
    agent("four")
    resumed_by(lossy.url, agent)
    assert len(told(caplog)) == 1
    manager.close()


@each_durability
def test_all_agents_of_a_session_have_theirs_again_also_those_that_say_nothing_more(
    lossy: Failover, durability: Durability, caplog: pytest.LogCaptureFixture
) -> None:
    with RedisSessionManager("s", lossy.url, durability=durability) as manager:
        ada, eve, zoe = (
            Agent(model=ScriptedModel(fine), agent_id=name, session_manager=manager, callback_handler=None)
            for name in ("ada", "eve", "zoe")
        )
        ada("one"), eve("one"), zoe("one")
        lossy.forget()
        for turn in range(3):
            ada(f"lost {turn}"), eve(f"lost {turn}"), zoe(f"lost {turn}")
        lossy.happen()
        eve("after it")
        ada("after it")
        wait_for(lambda: manager.pending == 0 and len(told(caplog)) == 3)
        resumed_by(lossy.url, ada, eve, zoe)
        assert sum(int(text.partition("messages=<")[2].partition(">")[0]) for text in told(caplog)) == 18


@each_durability
def test_a_loss_larger_than_what_is_kept_is_said_and_nothing_is_written(
    lossy: Failover, durability: Durability, caplog: pytest.LogCaptureFixture
) -> None:
    agent, manager = build(lossy.url, "s", fine, durability=durability)
    agent("one")
    lossy.forget()
    for turn in range(70):
        agent(f"lost {turn}")
    lossy.happen()
    with open_store(lossy.url, timeout=30.0) as store:
        before = store.read(SPACE)
        for _ in range(2):  # and it stays so
            with pytest.raises(Regressed, match="resume anew") as caught:
                agent("two")
            assert "'agents/default/messages' has 2 entries of 142" in str(caught.value)
        with pytest.raises(Regressed):
            manager.close()
        assert store.read(SPACE).revision == before.revision
        assert told(caplog) == []
        anew, manager = build(lossy.url, "s", fine, durability=durability)
        assert texts(anew.messages) == ["one", "fine"]
        anew("two")
        is_whole(store, anew)
        manager.close()


def test_another_process_that_went_on_after_the_failover_is_not_mixed_with_what_was_lost(
    lossy: Failover, processes: Parent
) -> None:
    agent, manager = build(lossy.url, "s")
    agent("one")
    lossy.forget()
    agent("lost")
    agent("lost too")
    lossy.happen()
    other = processes.start("obey", url=lossy.url, session="s")
    assert len(other.hear()) == 4
    assert other.ask("two") is None
    with open_store(lossy.url) as store:
        before = store.read(SPACE)
        with pytest.raises(ConflictError, match=f"pid {other.pid} .* pid {os.getpid()} .* nothing was written"):
            agent("three")
        assert store.read(SPACE).revision == before.revision
        assert other.ask("three") is None
        said = [entry.message for entry in Sessions(store).messages.page("s", limit=1000).entries.values()]
        assert [text for text in texts(said) if text not in ("", "That is done.")] == ["one", "two", "three"]
        with pytest.raises(ConflictError):
            manager.flush()
        agent("four")  # it was told: now it goes on from there
        assert [text for text in texts(agent.messages) if text not in ("", "That is done.")] == [
            "one",
            "two",
            "three",
            "four",
        ]
        manager.close()


def test_a_session_that_was_lost_whole_is_not_made_again(lossy: Failover) -> None:
    lossy.forget()
    agent, manager = build(lossy.url, "s")
    agent("one")
    lossy.happen()
    with pytest.raises(ConflictError, match="deleted or has expired"):
        agent("two")
    with open_store(lossy.url) as store:
        manager.flush()
        assert store.read(SPACE).incarnation is None
        agent("three")  # it was told: now it begins anew
        assert texts(agent.messages)[::3] == ["three", "That is done."]
        is_whole(store, agent)
    manager.close()


@each_durability
def test_a_server_that_comes_back_with_an_older_snapshot(
    tmp_path: Path, durability: Durability, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "strands_session_store")
    with servers.ended(Server(tmp_path).start()) as server, contextlib.closing(server.client()) as admin:
        agent, manager = build(server.url, "s", durability=durability)
        agent("one")
        admin.save()
        agent("lost")
        server.stop()
        server.start()
        agent("two")
        manager.close()
        assert len(told(caplog)) == 1
        resumed_by(server.url, agent)
