"""Events are appended and listed, on every engine."""

from __future__ import annotations

from typing import Any

import pytest
from strands import Agent

from strands_session_store import SessionNotFoundError, StoreSessionManager
from strands_session_store.errors import InDoubt, InvalidCursorError, InvalidIdError, TooLarge, Unserializable
from strands_session_store.records import Event
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Store
from strands_session_store.testing import FaultyStore
from strands_session_store.testing.models import ScriptedModel


def test_events_of_every_type_are_appended_and_found(sessions: Sessions) -> None:
    sessions.create("s", "ada")
    types = ("tool_call", "summary", "reference", "context_bridge", "custom")
    given = [
        Event(
            type=type,
            source=("user", "llm", "system")[at % 3],
            run_id=f"r{at % 2}",
            parent=f"m{at}",
            agent_id="eve",
            name=f"n{at}",
            data={"at": at, "bytes": b"\x00", "nested": [{"x": (1, None)}]},
        )
        for at, type in enumerate(types)
    ]
    assert sessions.events.append("s", given[0], "ada") == (0,)
    assert sessions.events.append("s", given[1:], "ada") == (1, 2, 3, 4)
    assert sessions.events.append("s", [], "ada") == ()
    page = sessions.events.list("s", "ada")
    assert list(page.entries.values()) == given and (page.older, page.newer, page.length) == (None, None, 5)

    def found(**asked: Any) -> list[int]:
        return list(sessions.events.list("s", "ada", **asked).entries)

    assert [found(type=type) for type in types] == [[0], [1], [2], [3], [4]]
    assert (found(source="user"), found(source="llm"), found(source="system")) == ([0, 3], [1, 4], [2])
    assert (found(run_id="r0"), found(parent="m3"), found(agent_id="eve")) == ([0, 2, 4], [3], [0, 1, 2, 3, 4])
    assert (found(run_id="r0", source="llm"), found(agent_id="bob")) == ([4], [])
    newest = sessions.events.list("s", "ada", limit=2)
    older = sessions.events.list("s", "ada", limit=2, cursor=newest.older)
    assert (list(newest.entries), list(older.entries)) == ([3, 4], [1, 2])
    assert list(sessions.events.list("s", "ada", limit=2, cursor=older.newer).entries) == [3, 4]
    assert list(sessions.events.list("s", "ada", run_id="r0", limit=2, start=0).entries) == [0, 2]


def test_another_users_events_are_not_there(sessions: Sessions) -> None:
    sessions.create("s", "ada")
    for owner, session_id in (("bob", "s"), (None, "s"), ("ada", "t")):
        with pytest.raises(SessionNotFoundError):
            sessions.events.append(session_id, Event(type="custom"), owner)
        with pytest.raises(SessionNotFoundError):
            sessions.events.list(session_id, owner)
    assert sessions.events.list("s", "ada").length == 0


def test_events_in_doubt_are_repeated_and_kept_once(store: Store) -> None:
    faulty = FaultyStore(store)
    sessions = Sessions(faulty)
    sessions.create("s")
    faulty.plan("commit", after=InDoubt("no answer"), times=2)
    assert sessions.events.append("s", [Event(type="custom"), Event(type="custom")]) == (0, 1)
    assert sessions.events.list("s").length == 2


@pytest.mark.parametrize(
    ("event", "error", "named"),
    [
        (Event(type="tool"), ValueError, "type must be one of tool_call, summary, reference, context_bridge, custom"),
        (Event(type="rewind"), ValueError, "type must be one of"),
        (Event(type="custom", source="model"), ValueError, "source must be one of user, llm, system"),
        (Event(type="custom", run_id=""), InvalidIdError, "run_id"),
        (Event(type="custom", agent_id="a\nb"), InvalidIdError, "agent_id"),
        (Event(type="custom", parent="x" * 256), ValueError, "parent"),
        (Event(type="custom", name="\ud800"), ValueError, "name"),
        (Event(type="custom", data={"deep": {"er": object()}}), Unserializable, "er"),
        (Event(type="custom", data="x" * 17_000_000), TooLarge, "events"),
        ("an event", ValueError, "Event"),
    ],
)
def test_what_is_no_event_is_refused_and_none_of_its_fellows_stored(
    memory: Sessions, event: Any, error: type[Exception], named: str
) -> None:
    memory.create("s")
    with pytest.raises(error, match=named):
        memory.events.append("s", [Event(type="custom"), event])
    assert memory.events.list("s").length == 0


def test_wrong_questions_are_named(memory: Sessions) -> None:
    memory.create("s")
    with pytest.raises(ValueError, match="1,000"):
        memory.events.append("s", [Event(type="custom")] * 1001)
    with pytest.raises(ValueError, match="type must be one of"):
        memory.events.list("s", type="tool-call")
    with pytest.raises(ValueError, match="source must be one of"):
        memory.events.list("s", source="model")  # type: ignore[arg-type]
    with pytest.raises(InvalidCursorError, match="events"):
        memory.events.list("s", cursor="runs/older/3")
    assert memory.events.list("s", type="rewind").entries == {}


def test_a_filter_looks_at_so_many_and_goes_on(memory: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.create("s")
    parents = {3: "m", 450: "m"}
    memory.events.append("s", [Event(type="custom", parent=parents.get(at)) for at in range(900)])
    monkeypatch.setattr("strands_session_store.sessions.entries.LOOKED_AT", 500)
    counted = FaultyStore(memory.store)
    events = Sessions(counted).events

    def walk(up: bool) -> list[tuple[list[int], int]]:
        told, place = [], {"start": 0} if up else {}
        while True:
            before = counted.count("read")
            page = events.list("s", parent="m", **place)
            told.append((list(page.entries), counted.count("read") - before))
            cursor = page.newer if up else page.older
            if cursor is None:
                return told
            place = {"cursor": cursor}

    assert walk(up=False) == [([450], 2), ([3], 2)]  # 600, then the other 300: in reads of 200, 400
    assert walk(up=True) == [([3, 450], 2), ([], 2)]


def test_a_live_agent_is_not_disturbed(memory: Sessions) -> None:
    manager = StoreSessionManager("s", memory.store)
    agent = Agent(model=ScriptedModel(["a", "b"]), session_manager=manager, callback_handler=None)
    agent("one")
    memory.events.append("s", Event(type="reference", source="user", parent=agent.messages[-1]["tracking_id"]))
    agent("two")
    assert memory.get("s").counters["messages"] == 4
    assert memory.events.list("s", parent=agent.messages[1]["tracking_id"]).length == 1
