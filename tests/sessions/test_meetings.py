"""Where parts of the service meet: what one of them leaves, the other goes on from."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from strands import Agent
from strands.types.exceptions import EventLoopException

from strands_session_store import StoreError, StoreSessionManager, codec, layout, records
from strands_session_store.errors import AlreadyExistsError, InDoubt, SessionNotFoundError, Unavailable
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Add, Append, Counters, Log, PutDoc, Store, new_commit_id
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import Reply, ScriptedModel
from strands_session_store.usage import Totals

from ..plugin.test_multi_agent import graph

USED = {"usage": {"inputTokens": 10, "outputTokens": 3, "totalTokens": 13}}


def said(*ids: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": f"text of {id}", "tracking_id": id} for id in ids]


def shown(sessions: Sessions, session: str = "s") -> list[str]:
    return [one.message["tracking_id"] for one in sessions.messages.page(session).entries.values()]


# ------------------------------------------------------------------------------------------------------------- forks


def test_what_a_fork_of_a_cleared_session_is_made_of_can_be_gone_back_to(memory: Sessions) -> None:
    """What was cleared is not in the trace any more; the fork has the rest of it."""
    memory.create("s")
    memory.messages.append("s", said("a", "b", "c"))
    memory.rewind("s", "b")
    memory.rewind("s", "a")
    memory.messages.clear("s")
    memory.messages.append("s", said("d", "e"))
    memory.fork("s", at="e", new_id="fork")
    memory.rewind("fork", "d")
    memory.messages.append("fork", said("f"))
    memory.fork("fork", at="d", new_id="fork of it")
    assert (shown(memory, "fork"), shown(memory, "fork of it")) == (["d", "e", "f"], ["d"])


def test_runs_of_the_application_are_its_own_in_a_fork(memory: Sessions) -> None:
    memory.create("s")
    memory.messages.append("s", said("a"))
    ended = memory.runs.complete("s", memory.runs.start("s", run_id="ended").run_id)
    memory.runs.start("s", run_id="open", metadata={"job": 7})
    memory.runs.start("s", run_id="of the agent", agent_id="default")
    memory.messages.append("s", said("b", "c"))
    memory.runs.complete("s", "of the agent")
    last = memory.messages.get("s", "c").entry.at
    while records.now() <= last:
        pass
    memory.runs.start("s", run_id="too late")
    memory.messages.append("s", said("d"))
    memory.fork("s", at="b", new_id="fork")
    assert list(memory.runs.list("fork").entries.values()) == [ended]
    assert {run.run_id for run in memory.runs.active("fork")} == {"open", "of the agent"}
    assert memory.runs.get("fork", "open").metadata == {"job": 7}
    assert memory.runs.complete("fork", "of the agent").messages == 1
    memory.runs.cancel("fork", "open")
    assert memory.get("fork").counters["runs"] == 3


def test_a_fork_of_a_graph_has_paid_nothing(memory: Sessions) -> None:
    script = ScriptedModel(lambda messages: Reply("x", usage=USED["usage"]))  # type: ignore[arg-type]
    with StoreSessionManager("s", memory.store) as manager:
        built = graph(manager)
        for node in built.nodes.values():
            node.executor.model = script  # type: ignore[union-attr]
        built("go")
    assert memory.usage.session("s").calls == 3
    memory.fork("s", new_id="fork")
    assert memory.usage.session("fork").calls == 0
    for stored in memory.layout_tree("fork"):
        if stored.path.endswith("/messages"):
            look = memory.store.read(layout.session_space("fork", None), Log(stored.path, [(0, None)]))
            for data in look.logs[stored.path].entries.values():
                assert codec.load(records.Message, data, stored.path).usage is None


# -------------------------------------------------------------------------------------------------------- lost answers


@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize("operation", ["redact", "remove", "edit_metadata", "clear", "rewind", "append"])
def test_an_answer_that_is_lost_is_asked_for_again(operation: str, lost: int) -> None:
    """Each commit is repeated under its id: what it did is done once, and told."""
    store = FaultyStore(MemoryStore())
    sessions = Sessions(store)
    sessions.create("s")
    sessions.messages.append("s", said("a", "b", "c"))
    store.plan("commit", at=lost, times=2, after=InDoubt("no answer"))
    match operation:
        case "redact":
            sessions.messages.redact("s", "b")
        case "remove":
            sessions.messages.remove("s", "b")
        case "edit_metadata":
            assert sessions.messages.edit_metadata("s", "b", {"n": 1}) == {"n": 1}
        case "clear":
            assert sessions.messages.clear("s") == 3
        case "rewind":
            sessions.rewind("s", "b")
        case "append":
            sessions.messages.append("s", said("d"))
    store.heal()
    assert len(sessions.events.list("s", type="rewind").entries) == (operation == "rewind")
    assert sessions.messages.count("s") == {"remove": 2, "clear": 0, "append": 4}.get(operation, 3)


class Vanishing(FaultyStore):
    """The session is deleted before its nth read."""

    def __init__(self, store: Store, after: int) -> None:
        super().__init__(store)
        self.after = after

    def read(self, space: Any, *wants: Any) -> Any:
        self.after -= 1
        if self.after == 0:
            self.store.drop(layout.session_space("s", None))
        return super().read(space, *wants)


@pytest.mark.parametrize("after", range(1, 7))
@pytest.mark.parametrize("operation", ["rewind", "fork", "redact", "clear"])
def test_a_session_that_is_deleted_meanwhile_is_none(operation: str, after: int) -> None:
    store = Vanishing(MemoryStore(), 0)
    sessions = Sessions(store)
    sessions.create("s")
    sessions.messages.append("s", said("a", "b", "c"))
    sessions.rewind("s", "b")
    store.after = after
    try:
        match operation:
            case "rewind":
                sessions.rewind("s", "b")
            case "fork":
                sessions.fork("s", at="b", new_id="fork")
            case "redact":
                sessions.messages.redact("s", "b")
            case "clear":
                sessions.messages.clear("s")
    except SessionNotFoundError:
        assert store.after <= 0
    else:
        assert store.after > 0


# -------------------------------------------------------------------------------------------------------------- others


def test_messages_without_an_agent_are_cleared(memory: Sessions) -> None:
    """Its process was killed between the commits of its first, large, turn."""
    memory.create("s")
    space, log = layout.session_space("s", None), layout.history("default")
    entries = [codec.dump(records.Message(message=dict(one, content=[{"text": "x"}]))) for one in said("a", "b")]
    writer = PutDoc(layout.writer("default"), codec.dump_document(records.Writer(writer_id="w", host="h", pid=1)))
    memory.store.commit(space, writer, Append(log, entries), Add("messages", 2), commit_id=new_commit_id())
    assert memory.messages.clear("s") == 2
    assert shown(memory) == [] and memory.messages.count("s") == 0
    assert memory.messages.clear("s") == 0
    memory.messages.append("s", said("c"))
    assert shown(memory) == ["c"]


def test_what_is_on_its_way_into_a_store_was_not_spent_there(memory: Sessions) -> None:
    answer = {"role": "assistant", "content": "x", "metadata": USED}
    memory.create("s", "ann")
    memory.messages.append("s", answer, "ann", model="m")
    target = FaultyStore(MemoryStore())
    there = Sessions(target)
    there.create("other", "ann")
    there.messages.append("other", answer, "ann", model="m")
    # as if the process had been killed before the session's own document was written, and could take nothing back
    target.plan("commit", at=2, times=None, before=Unavailable("down"))
    target.plan("drop", times=None, before=Unavailable("down"))
    with pytest.raises(Unavailable):
        memory.archive.copy(there, "ann", ids=["s"])
    target.heal()
    look = target.read(layout.session_space("s", "ann"), Counters(["calls"]))
    assert look.counters["calls"] == 1  # half of it is there
    assert there.usage.user("ann").calls == 1
    assert there.usage.user_by("ann", "model")["m"].calls == 1


@pytest.mark.parametrize("durability", ["message", "background", "turn"])
def test_usage_is_told_apart_although_the_turn_that_told_of_it_was_lost(durability: Any) -> None:
    """What another wrote in the meantime has a turn be lost; with it the document of its day, model and source."""
    store = FaultyStore(MemoryStore())
    sessions, truth = Sessions(store), Sessions(store.store)
    sessions.create("s")
    model = ScriptedModel(lambda messages: Reply("x", usage=USED["usage"]), model_id="m")
    with StoreSessionManager("s", store, durability=durability, timeout=5) as manager:
        agent = Agent(model=model, session_manager=manager, callback_handler=None, retry_strategy=None)
        for at in range(1, 6):
            store.plan("commit", at=at, times=None, before=Unavailable("down"))
            model.update_config(model_id=f"m{at}")
            with contextlib.suppress(StoreError, EventLoopException):
                agent("lost")
            truth.messages.append("s", said(f"between {at}"))
            store.heal()
            with contextlib.suppress(StoreError):
                manager.flush()
            with contextlib.suppress(StoreError, EventLoopException):
                agent("again")
        manager.flush()
    assert sum(truth.usage.session_by("s", "model").values(), Totals()) == truth.usage.session("s")
    assert truth.usage.session("s").calls == sum(
        one.message["role"] == "assistant" for one in truth.messages.page("s", limit=1000).entries.values()
    )


def test_a_lease_under_which_nothing_was_said_is_no_session(memory: Sessions) -> None:
    """While it is held a session is about to be made; what is left of it is in nobody's way."""
    manager = StoreSessionManager("s", memory.store, exclusive=True)

    async def nothing() -> None:
        async with manager.lease():
            with pytest.raises(AlreadyExistsError):
                memory.create("s")

    asyncio.run(nothing())
    memory.create("s", title="mine", expires_in=60)
    with pytest.raises(AlreadyExistsError):
        memory.create("s")
    Agent(model=ScriptedModel(["hello"]), session_manager=manager, callback_handler=None)("hi")
    found = memory.get("s")
    assert (found.session.title, found.counters["messages"], found.expires is None) == ("mine", 2, False)
    manager.close()
