"""What was done in a session, what it took, and users, over HTTP; and whether the server is well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from strands import Agent, tool

from strands_session_store import Sessions, StoreSessionManager, records
from strands_session_store.stores.base import Store
from strands_session_store.testing.models import Reply, ScriptedModel, ToolCall

from .conftest import As, name_of, on_sqlite
from .serving import client
from .test_endpoints_lists import followed, ids, listed
from .test_endpoints_sessions import ALL, NONE, age, make, problem, say

RUNS, EVENTS = f"{ALL}/s/runs", f"{ALL}/s/events"
TOOK = {"inputTokens": 100, "outputTokens": 20, "totalTokens": 120}


@tool
def weather(city: str) -> str:
    """The weather."""
    if city == "Atlantis":
        raise ValueError("it is under water")
    return "warm"


def talk(store: Store, user: str, session_id: str, *turns: list[str | ToolCall]) -> None:
    """Turns of an agent: calls of a tool, all at once, and at its end a text."""
    replies: list[Reply] = []
    for *calls, text in turns:
        replies += [Reply(tools=calls, usage=TOOK)] if calls else []
        replies.append(Reply(text, usage=TOOK))
    with StoreSessionManager(session_id, store, user_id=user) as manager:
        agent = Agent(model=ScriptedModel(replies), tools=[weather], session_manager=manager, callback_handler=None)
        for _ in turns:
            agent("hello")


@pytest.fixture(scope="module")
def readers() -> Iterator[dict[str, httpx.Client]]:
    """By the server's URL."""
    found: dict[str, httpx.Client] = {}
    yield found
    for one in found.values():
        one.close()


@pytest.fixture
def reader(url: str, store: Store, readers: dict[str, httpx.Client]) -> httpx.Client:
    """A user with sessions that no test changes: five turns in one, one turn in another below it."""
    if url in readers:
        return readers[url]
    made = readers[url] = client(url, **{"X-User": "reader"})
    calls = [ToolCall("weather", {"city": name}, id=f"call-{name}") for name in ("Lisbon", "Atlantis")]
    make(made)
    talk(store, "reader", "s", ["one"], [*calls, "two"], ["three"], ["four"], ["five"])
    sessions = Sessions(store)
    for n in range(3):
        note = records.Event(type="custom", source="user", name=f"note {n}", data={"n": n})
        sessions.events.append("s", note, "reader")
    made.headers["X-Run"] = sessions.runs.start("s", "reader", agent_id="default").run_id
    make(made, "below", parent_id="s")
    talk(store, "reader", "below", ["six"])
    return made


def test_runs_are_the_latest_oldest_first(reader: httpx.Client) -> None:
    page = listed(reader, RUNS)
    runs = page["items"]
    assert (page["limit"], page["offset"], page["total"], page["next"]) == (50, 0, 5, None)
    assert [one["started_at"] for one in runs] == sorted(one["started_at"] for one in runs)
    first, second = runs[0], runs[1]
    assert abs(age(first.pop("started_at"))) < 600 and age(first.pop("ended_at")) < 600 and first.pop("run_id")
    assert first == {
        "agent_id": "default",
        "multi_agent_id": None,
        "status": "completed",
        "stop_reason": "end_turn",
        "messages_count": 2,
        "model": "scripted",
        "input_tokens": 100,
        "output_tokens": 20,
        "cost": None,
        "error": None,
        "metadata": None,
    }
    assert (second["messages_count"], second["input_tokens"]) == (4, 200)
    assert [one for page in reversed(list(followed(reader, RUNS, pageSize=2))) for one in ids(page, "run_id")] == [
        one["run_id"] for one in listed(reader, RUNS)["items"]
    ]
    assert listed(reader, RUNS, status="failed")["items"] == []
    assert len(listed(reader, RUNS, status="completed", agentId="default")["items"]) == 5
    assert listed(reader, RUNS, agentId="other")["items"] == []
    (active,) = reader.get(f"{RUNS}/active").json()
    assert (active["run_id"], active["status"], active["ended_at"]) == (reader.headers["x-run"], "open", None)
    for bad in ({"status": "open"}, {"agentId": ""}, {"cursor": "x"}, {"pageSize": 0}, {"currentPage": 1}):
        problem(reader.get(RUNS, params=bad), 422, next(iter(bad)).replace("cursor", "cursor 'x'"))
    problem(reader.get(f"{ALL}/none/runs/active"), 404, "'none'")


def test_events_are_the_latest_oldest_first(reader: httpx.Client) -> None:
    page = listed(reader, EVENTS)
    assert (page["limit"], page["total"], page["next"]) == (50, 5, None)
    by_name = {one["tool_use_id"] or one["name"]: one for one in page["items"]}
    assert set(by_name) == {"call-Lisbon", "call-Atlantis", "note 0", "note 1", "note 2"}
    called = by_name["call-Atlantis"]
    assert (called["type"], called["name"], called["status"], called["attempt"]) == ("tool_call", "weather", "error", 1)
    assert called["error"] == "ValueError" and called["milliseconds"] >= 0 and called["run_id"]
    note = by_name["note 2"]
    assert abs(age(note.pop("at"))) < 600
    assert note == {
        "type": "custom",
        "source": "user",
        "run_id": None,
        "agent_id": None,
        "parent": None,
        "name": "note 2",
        "tool_use_id": None,
        "status": None,
        "error": None,
        "milliseconds": None,
        "attempt": None,
        "data": {"n": 2},
    }
    for params, count in (
        ({"type": "tool_call"}, 2),
        ({"type": "custom"}, 3),
        ({"type": "summary"}, 0),
        ({"source": "user"}, 3),
        ({"source": "llm"}, 2),
        ({"runId": called["run_id"]}, 2),
        ({"agentId": "default"}, 2),
        ({"agentId": "other"}, 0),
        ({"type": "custom", "source": "llm"}, 0),
    ):
        assert len(listed(reader, EVENTS, **params)["items"]) == count, params
        assert sum(len(page) for page in followed(reader, EVENTS, pageSize=1, **params)) == count
    for bad in ({"type": "x"}, {"source": "x"}, {"runId": ""}, {"cursor": "x"}):
        problem(reader.get(EVENTS, params=bad), 422)


def test_what_a_session_took_alone_and_with_what_is_below_it(reader: httpx.Client) -> None:
    def took(path: str, **params: Any) -> dict[str, Any]:
        answer = reader.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def told(calls: int) -> dict[str, Any]:
        return NONE | {
            "input_tokens": 100 * calls,
            "output_tokens": 20 * calls,
            "calls": calls,
            "unpriced_calls": calls,
            "cost": None,
        }

    usage = f"{ALL}/s/usage"
    assert took(usage) == {"total": told(6), "by": None}
    assert took(usage, subtree=True)["total"] == told(7)
    assert took(usage, by="model") == {"total": told(6), "by": {"scripted": told(6)}}
    assert took(usage, by="source", subtree=True)["by"]["llm"] == told(7)
    (day,) = took(usage, by="day")["by"]
    assert reader.get(f"{ALL}/s").json()["usage"] == told(6)
    assert took("/api/usage") == {"total": told(7), "by": None}
    assert took("/api/usage", by="day") == {"total": told(7), "by": {day: told(7)}}
    assert took("/api/usage", since=day, until=day) == {"total": told(7), "by": None}
    assert took("/api/usage", until="2020-01-01") == {"total": NONE, "by": None}
    assert took("/api/usage", by="model", since="2999-12-31") == {"total": NONE, "by": {}}
    for bad in ({"by": "week"}, {"since": "2026-02-30"}, {"since": "2026-1-1"}, {"until": "1764000000"}, {"until": ""}):
        problem(reader.get("/api/usage", params=bad), 422, next(iter(bad)))
    problem(reader.get(usage, params={"subtree": "maybe"}), 422, "subtree")
    problem(reader.get(usage, params={"since": day}), 422, "there is no such parameter")


def test_nothing_was_done_in_a_new_session(ada: httpx.Client) -> None:
    make(ada)
    assert listed(ada, RUNS) == listed(ada, EVENTS)
    assert (listed(ada, RUNS)["items"], listed(ada, RUNS)["next"]) == ([], None)
    assert ada.get(f"{RUNS}/active").json() == []
    assert ada.get(f"{ALL}/s/usage").json() == {"total": NONE, "by": None}


# --------------------------------------------------------------------------------------------------------------- users


def test_a_user_makes_changes_and_erases_their_own_record(ada: httpx.Client) -> None:
    mine = f"/api/users/{name_of(ada)}"
    problem(ada.get(mine), 404, name_of(ada))
    problem(ada.patch(mine, json={"username": "x"}), 404)
    sent = {"user_id": name_of(ada), "username": "Ada", "email": "a@b.c", "first_name": "A", "last_name": None}
    answer = ada.post("/api/users", json=sent)
    assert answer.status_code == 201 and answer.headers["location"] == mine
    told = answer.json()
    assert abs(age(told["created_at"])) < 60 and told["created_at"] == told["updated_at"]
    assert told == sent | {"is_active": True, "created_at": told["created_at"], "updated_at": told["updated_at"]}
    assert ada.get(mine).json() == told
    problem(ada.post("/api/users", json=sent), 409, name_of(ada))
    changed = ada.patch(mine, json={"username": None, "last_name": "L" * 255, "is_active": False}).json()
    assert changed == told | {
        "username": None,
        "last_name": "L" * 255,
        "is_active": False,
        "updated_at": changed["updated_at"],
    }
    assert ada.patch(mine, json={}).status_code == 200
    for bad in ({"username": "x" * 256}, {"email": "x" * 321}, {"is_active": None}, {"user_id": "x"}, {"username": 5}):
        problem(ada.patch(mine, json=bad), 422, next(iter(bad)))
    make(ada)
    say(ada, "hello")
    gone = ada.delete(mine)
    assert gone.status_code == 200
    assert gone.json()["sessions"] == ["s"] and gone.json()["entries"] >= 1 and gone.json()["bytes"] > 0
    problem(ada.get(mine), 404)
    problem(ada.get(f"{ALL}/s"), 404)
    problem(ada.delete(mine), 404, name_of(ada))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"user_id": ""},
        {"user_id": "a\nb"},
        {"user_id": "x" * 181},
        {"user_id": 5},
        {"user_id": "x", "admin": True},
        [],
    ],
)
@on_sqlite
def test_what_is_no_user_is_refused(as_: As, body: Any) -> None:
    problem(as_("root").post("/api/users", json=body), 422)


def test_an_administrator_has_to_do_with_all_users(as_: As, ada: httpx.Client) -> None:
    root, hers = as_("root"), f"/api/users/{name_of(ada)}"
    assert root.post("/api/users", json={"user_id": name_of(ada)}).status_code == 201
    make(ada)
    assert root.patch(hers, json={"username": "Ada"}).json() == ada.get(hers).json() == root.get(hers).json()
    assert root.delete(hers).json()["sessions"] == ["s"]
    assert listed(ada)["total"] == 0


# -------------------------------------------------------------------------------------------------------------- health


def test_anybody_may_ask_how_the_server_is(url: str) -> None:
    with client(url) as nobody:
        for path in ("/healthz", "/readyz"):
            answer = nobody.get(path)
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
            assert answer.headers["cache-control"] == "no-store"
            head = nobody.head(path)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["content-length"] == answer.headers["content-length"]
