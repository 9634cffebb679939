"""A session manager with read_only=True: agents are restored as ever and go on, and nothing of that is written."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest

from strands_session_store import (
    SessionNotFoundError,
    SQLiteSessionManager,
    StoreError,
    StoreSessionManager,
    layout,
    open_store,
)
from strands_session_store.layout import session_space
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Docs, Log, Look, Store
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.stores.read_only import ReadOnlyStore
from strands_session_store.testing.faults import FaultyStore

from .children import build
from .test_multi_agent import graph, killed_before, progress, said

WRITING = "commit", "drop"
LOGS = layout.history("default"), layout.variants("default"), layout.RUNS, layout.EVENTS


def kept(store: Store, session: str = "s") -> Look:
    return store.read(session_space(session, None), Docs(""), *(Log(log, spans=[(0, None)]) for log in LOGS))


def written(store: FaultyStore) -> list[Any]:
    return [call for call in store.calls if call.verb in WRITING]


def talked(store: Store | str) -> Any:
    """The agent of a session that is there."""
    agent, manager = build(store, "s")
    agent("add two numbers")
    agent.state.set("mood", "good")
    manager.close()
    return agent


def not_to_be_called(message: Any) -> Any:
    raise AssertionError("a message was about to be stored")


@pytest.mark.parametrize("durability", ["message", "background", "turn"])
def test_an_agent_is_restored_and_goes_on_in_memory(store: FaultyStore, durability: Any) -> None:
    first = talked(store)
    before, commits = kept(store), len(written(store))
    options = {"durability": durability, "ttl": 60, "before_store": not_to_be_called, "read_only": True}
    agent, manager = build(store, "s", **options)
    assert agent.messages == first.messages and agent.state.get() == {"mood": "good"}
    for _ in range(2):
        agent("add two more")
        agent.state.set("mood", "better")
        agent.messages[0]["content"] = [{"text": "edited by hand"}]
        agent.tool.add(a=1, b=2)
        # what Strands calls beside its hooks
        manager.redact_latest_message(agent.messages[-1], agent)
        manager.sync_agent(agent)
        manager.append_message(agent.messages[-1], agent)
        manager.flush()
        asyncio.run(manager.aflush())
        assert manager.pending == 0 and manager._session.writers == []
    assert len(agent.messages) > len(first.messages) + 4
    manager.close()
    asyncio.run(manager.aclose())
    assert len(written(store)) == commits and kept(store) == before


def test_a_writer_is_not_taken_over(store: FaultyStore) -> None:
    writer, manager = build(store, "s")
    writer("hello")
    reader, reading = build(store, "s", read_only=True)
    reader("hello from elsewhere")
    writer("hello again")
    reading.close()
    manager.close()
    assert build(store, "s")[0].messages == writer.messages


def test_writing_is_impossible_also_for_who_tries(store: FaultyStore) -> None:
    talked(store)
    before, commits = kept(store), len(written(store))
    with StoreSessionManager("s", store, read_only=True) as manager:
        assert isinstance(manager.store, ReadOnlyStore)
        with pytest.raises(StoreError, match="can not drop session 's': with read_only=True nothing is written"):
            manager.delete_session()
        with pytest.raises(StoreError, match="can not commit to session 's': with read_only=True nothing is written"):
            manager.store.commit(session_space("s", None), commit_id="1")
    assert len(written(store)) == commits and kept(store) == before


def test_a_store_that_only_reads_implies_it(store: FaultyStore) -> None:
    first = talked(store)
    commits = len(written(store))
    agent, manager = build(ReadOnlyStore(store), "s")
    agent("hello")
    manager.close()
    length = len(first.messages)
    assert len(agent.messages) > length and agent.messages[:length] == first.messages
    assert len(written(store)) == commits
    assert manager.store.engine is store


@pytest.mark.parametrize("auto_create", [True, False])
def test_a_session_that_is_not_there_is_not_found(store: FaultyStore, auto_create: bool) -> None:
    talked(store)
    commits = len(written(store))
    says = "there is no session 'other' of user 'ann'; with read_only=True none is made; check session_id"
    options = {"user_id": "ann", "auto_create": auto_create, "read_only": True}
    with pytest.raises(SessionNotFoundError, match=says):
        build(store, "other", **options)
    with pytest.raises(SessionNotFoundError, match=says):
        asyncio.run(StoreSessionManager.open("other", store, **options))
    with pytest.raises(SessionNotFoundError, match=says):
        graph(StoreSessionManager("other", store, **options))
    assert len(written(store)) == commits


def test_what_is_loaded_ahead_is_not_read_again(store: FaultyStore) -> None:
    first = talked(store)

    async def main() -> None:
        async with await StoreSessionManager.open("s", store, read_only=True) as manager:
            reads = len(store.calls)
            agent, _ = build_with(manager)
            assert agent.messages == first.messages
            await agent.invoke_async("hello")
            assert len(store.calls) == reads

    asyncio.run(main())


def build_with(manager: Any) -> Any:
    from strands import Agent

    from strands_session_store.testing.models import ScriptedModel

    model = ScriptedModel(lambda messages: "fine")
    return Agent(model=model, session_manager=manager, callback_handler=None), manager


def test_two_agents_with_one_id_are_still_an_error(store: FaultyStore) -> None:
    talked(store)
    manager = StoreSessionManager("s", store, read_only=True)
    build_with(manager)
    with pytest.raises(StoreError, match="agent_id 'default' must be unique"):
        build_with(manager)


def test_a_graph_goes_on_where_it_was_and_nothing_is_recorded(store: FaultyStore) -> None:
    killed = graph(StoreSessionManager("s", store))
    killed_before(killed, "c", store)
    before, commits = kept(store), len(written(store))
    assert len(Sessions(store).runs.active("s")) == 1  # whose end nobody saw: it stays open
    with StoreSessionManager("s", store, read_only=True) as manager:
        resumed = graph(manager)
        now, stored = resumed.serialize_state(), progress(store)
        now["completed_nodes"].sort(), stored["completed_nodes"].sort()  # they come out of a set
        assert now == stored
        done = resumed("go on")
        assert [at.node_id for at in done.execution_order] == ["a", "b", "c"]
        manager.sync_multi_agent(resumed)
        manager.flush()
        assert manager.pending == 0
    assert [len(said(store, name)) for name in "abc"] == [2, 2, 0]
    assert len(written(store)) == commits and kept(store) == before


def test_a_store_that_was_opened_for_it_is_released(tmp_path: Path) -> None:
    talked(f"sqlite:///{tmp_path}/db")
    shared = open_store(f"sqlite:///{tmp_path}/db")
    for manager, closes in (
        (SQLiteSessionManager("s", tmp_path / "db", read_only=True), True),
        (StoreSessionManager("s", shared, read_only=True), False),
    ):
        agent, _ = build_with(manager)
        assert agent.messages
        manager.close()
        manager.close()
        if closes:
            with pytest.raises(StoreError, match="was closed"):
                manager.store.read(session_space("s", None))
        else:
            assert manager.store.read(session_space("s", None)).incarnation
    shared.close()


def test_what_a_dropped_manager_of_this_process_left_is_restored_too(store: FaultyStore) -> None:
    agent, manager = build(store, "s", durability="background")
    agent("hello")
    agent.state.set("mood", "good")
    manager.sync_agent(agent)
    messages = agent.messages
    del agent, manager
    gc.collect()
    restored, _ = build(store, "s", read_only=True)
    assert restored.messages == messages and restored.state.get("mood") == "good"


@pytest.mark.parametrize("option", [{"exclusive": True}, {"on_conflict": "rebase", "durability": "turn"}])
def test_what_only_a_writer_can_mean_is_refused(option: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"read_only=True") as caught:
        StoreSessionManager("s", "memory://", read_only=True, **option)
    assert next(iter(option)) in str(caught.value)


def test_a_reader_is_brought_up_to_date_when_it_asks() -> None:
    with MemoryStore() as store:
        live, _ = build(store, "s")
        live("one")
        reader, manager = build(store, "s", read_only=True)
        reader("aside")
        live("two")
        manager.reload(reader)
        assert reader.messages == live.messages
