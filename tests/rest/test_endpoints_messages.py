"""Messages over HTTP: added, read, changed, taken away; what an agent would make of them; every status."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from strands import Agent, tool

from strands_session_store import Sessions, StoreSessionManager
from strands_session_store.stores.base import Store
from strands_session_store.testing.models import ScriptedModel, ToolCall

from .conftest import name_of, on_sqlite
from .test_endpoints_sessions import ALL, age, make, problem, say

MESSAGES = f"{ALL}/s/messages"


def contents(http: httpx.Client, **params: Any) -> list[str]:
    answer = http.get(MESSAGES, params=params)
    assert answer.status_code == 200, answer.text
    return [one["content"] for one in answer.json()["items"]]


def test_a_message_of_each_role_is_told_as_it_was_sent(ada: httpx.Client) -> None:
    make(ada)
    call = {"tool_call_id": "call-1", "tool_name": "weather"}
    sent: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": "Ist es warm? ☀",
            "extra_data": {"stars": 5, "tags": ["a", None], "deep": {"b": 0.5}},
        },
        {"role": "assistant", "content": "I look."},
        {"role": "tool", "content": "21 °C", **call, "extra_data": {"source": "x"}},
        {"role": "tool", "content": "x", "tool_call_id": "call-2", "tool_name": None},
        {"role": "user", "content": "x" * 200_000, "message_id": "mine", "extra_data": None},
    ]
    told = []
    for index, message in enumerate(sent):
        answer = ada.post(MESSAGES, json=message)
        assert answer.status_code == 201, answer.text
        one = answer.json()
        assert answer.headers["location"] == f"{MESSAGES}/{one['message_id']}"
        assert ada.get(answer.headers["location"]).json() == one
        told.append(dict(one))
        at = one.pop("created_at")
        assert one.pop("updated_at") == at and abs(age(at)) < 60
        assert one.pop("message_id") == message.get("message_id") or "message_id" not in message
        is_tool = message["role"] == "tool"
        assert one == {
            "session_id": "s",
            "index": index,
            "role": message["role"],
            "content": message["content"],
            "tool_calls": [],
            "tool_call_id": message.get("tool_call_id"),
            "tool_name": message.get("tool_name"),
            "tool_status": "success" if is_tool else None,
            "extra_data": message.get("extra_data"),
            "is_redacted": False,
            "blocks": None,
        }
    assert ada.get(MESSAGES).json()["items"] == told
    assert ada.get(f"{ALL}/s").json()["messages_count"] == len(sent)
    assert ada.get(MESSAGES, params={"role": "tool"}).json()["items"] == told[3:5]
    assert ada.get(MESSAGES, params={"role": "system"}).json()["items"] == told[:1]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({}, "role"),
        ({"role": "user"}, "content"),
        ({"content": "x"}, "role"),
        ({"role": "user", "content": ""}, "content"),
        ({"role": "user", "content": None}, "content"),
        ({"role": "user", "content": ["x"]}, "content"),
        ({"role": "human", "content": "x"}, "role"),
        ({"role": "User", "content": "x"}, "role"),
        ({"role": "tool", "content": "x"}, "tool_call_id"),
        ({"role": "tool", "content": "x", "tool_call_id": ""}, "tool_call_id"),
        ({"role": "tool", "content": "x", "tool_call_id": "x" * 256}, "tool_call_id"),
        ({"role": "tool", "content": "x", "tool_call_id": "x", "tool_name": "x" * 256}, "tool_name"),
        ({"role": "user", "content": "x", "tool_call_id": "x"}, "tool_call_id"),
        ({"role": "assistant", "content": "x", "tool_name": "x"}, "tool_name"),
        ({"role": "user", "content": "x", "extra_data": []}, "extra_data"),
        ({"role": "user", "content": "x", "extra_data": {"": 1}}, "extra_data"),
        ({"role": "user", "content": "x", "extra_data": {"rest_api": 1}}, "rest_api"),
        ({"role": "user", "content": "x", "message_id": ""}, "message_id"),
        ({"role": "user", "content": "x", "message_id": "a\tb"}, "message_id"),
        ({"role": "user", "content": "x", "message_id": "x" * 181}, "message_id is too long"),
        ({"role": "user", "content": "x", "blocks": []}, "blocks"),
        ([{"role": "user", "content": "x"}], "body"),
    ],
    ids=str,
)
@on_sqlite
def test_what_is_no_message_is_refused_by_its_place(ada: httpx.Client, message: Any, words: str) -> None:
    make(ada)
    problem(ada.post(MESSAGES, json=message), 422, words)
    assert contents(ada) == []


def test_one_with_an_id_of_its_own_is_said_once(ada: httpx.Client) -> None:
    make(ada)
    first = say(ada, "one", message_id="m")
    problem(ada.post(MESSAGES, json={"role": "user", "content": "one", "message_id": "m"}), 409, "'m'")
    problem(ada.post(f"{ALL}/none/messages", json={"role": "user", "content": "x"}), 404, "'none'")
    assert ada.get(MESSAGES).json()["items"] == [first]
    other = ada.post(MESSAGES, params={"agentId": "other"}, json={"role": "user", "content": "b", "message_id": "m"})
    assert other.status_code == 201 and other.headers["location"] == f"{MESSAGES}/m?agentId=other"
    assert ada.get(other.headers["location"]).json() == other.json()
    assert (contents(ada), contents(ada, agentId="other"), contents(ada, agentId="none")) == (["one"], ["b"], [])


def test_a_message_is_changed_in_what_it_says_and_in_what_is_noted_on_it(ada: httpx.Client) -> None:
    make(ada)
    first = say(ada, "secret", message_id="m", extra_data={"a": 1, "b": 2})
    noted = ada.patch(f"{MESSAGES}/m", json={"extra_data": {"b": 3, "c": None}})
    assert noted.status_code == 200
    assert noted.json() == first | {"extra_data": {"a": 1, "b": 3, "c": None}}
    changed = ada.patch(f"{MESSAGES}/m", json={"content": "[redacted]"}).json()
    assert changed == noted.json() | {
        "content": "[redacted]",
        "is_redacted": True,
        "updated_at": changed["updated_at"],
    }
    both = ada.patch(f"{MESSAGES}/m", json={"content": "other", "extra_data": {"d": "e"}}).json()
    assert (both["content"], both["extra_data"]["d"]) == ("other", "e")
    assert ada.patch(f"{MESSAGES}/m", json={}).json() == both == ada.get(f"{MESSAGES}/m").json()
    assert ada.patch(f"{MESSAGES}/m", json={"content": None, "extra_data": None}).json() == both
    for bad in ({"content": ""}, {"role": "user"}, {"extra_data": {"rest_api": {}}}, {"extra_data": 5}, []):
        problem(ada.patch(f"{MESSAGES}/m", json=bad), 422)
    assert ada.get(f"{MESSAGES}/m").json() == both
    assert "secret" not in ada.get(f"{ALL}/s/export").text
    for path in (f"{MESSAGES}/none", f"{ALL}/none/messages/m", f"{MESSAGES}/m?agentId=other"):
        problem(ada.patch(path, json={"content": "x"}), 404)
        problem(ada.get(path), 404)
        problem(ada.delete(path), 404)


def test_a_changed_message_keeps_its_role(ada: httpx.Client) -> None:
    make(ada)
    call = {"tool_call_id": "c", "tool_name": "t"}
    for role, more in (("system", {}), ("assistant", {}), ("user", {}), ("tool", call)):
        before = ada.post(MESSAGES, json={"role": role, "content": "x", **more}).json()
        after = ada.patch(f"{MESSAGES}/{before['message_id']}", json={"content": "y"}).json()
        assert {key for key in after if after[key] != before[key]} <= {"content", "is_redacted", "updated_at"}
        assert after["content"] == "y"


def test_a_message_is_taken_away_and_what_follows_keeps_its_place(ada: httpx.Client) -> None:
    make(ada)
    ids = [say(ada, text)["message_id"] for text in ("one", "two", "three")]
    answer = ada.delete(f"{MESSAGES}/{ids[1]}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert [(one["index"], one["content"]) for one in ada.get(MESSAGES).json()["items"]] == [(0, "one"), (2, "three")]
    problem(ada.get(f"{MESSAGES}/{ids[1]}"), 404, ids[1])
    problem(ada.delete(f"{MESSAGES}/{ids[1]}"), 404, ids[1])
    assert ada.get(f"{ALL}/s").json()["messages_count"] == 2
    assert "two" not in ada.get(f"{ALL}/s/export").text


def test_all_messages_are_taken_away_of_one_agent_or_of_all(ada: httpx.Client) -> None:
    make(ada)
    for text in ("one", "two", "three"):
        say(ada, text)
    other = {"agentId": "other"}
    for _ in range(2):
        ada.post(MESSAGES, params=other, json={"role": "user", "content": "x"})
    # by a name that is misspelled all would be gone
    problem(ada.delete(f"{ALL}/s/clear-messages", params={"agent_id": "other"}), 422, "query.agent_id")
    cleared = ada.delete(f"{ALL}/s/clear-messages", params=other)
    assert (cleared.status_code, cleared.json()) == (200, {"deleted_count": 2})
    assert (len(contents(ada)), contents(ada, **other)) == (3, [])
    assert ada.delete(f"{ALL}/s/clear-messages").json() == {"deleted_count": 3}
    assert ada.delete(f"{ALL}/s/clear-messages").json() == {"deleted_count": 0}
    problem(ada.delete(f"{ALL}/none/clear-messages"), 404, "'none'")
    assert say(ada, "again")["index"] == 3
    assert contents(ada) == ["again"]


def test_what_an_agent_said_is_told_with_its_tools_and_its_blocks(ada: httpx.Client, store: Store) -> None:
    @tool
    def weather(city: str) -> dict[str, Any]:
        """The weather."""
        return {"status": "success", "content": [{"json": {"degrees": 21, "icon": b"\x00\xff"}}, {"text": "warm"}]}

    call = ToolCall("weather", {"city": "Lisbon"}, id="call-1")
    with StoreSessionManager("s", store, user_id=name_of(ada)) as manager:
        agent = Agent(
            model=ScriptedModel([[call], "It is warm."]),
            tools=[weather],
            session_manager=manager,
            callback_handler=None,
        )
        agent([{"text": "Is it warm?"}, {"image": {"format": "png", "source": {"bytes": b"\x89PNG"}}}])
    asked, called, result, answered = ada.get(MESSAGES, params={"withBlocks": True}).json()["items"]
    assert (asked["role"], asked["content"]) == ("user", "Is it warm?")
    assert asked["blocks"][1] == {"image": {"format": "png", "source": {"bytes": "iVBORw=="}}}
    assert called["tool_calls"] == [{"id": "call-1", "name": "weather", "input": {"city": "Lisbon"}}]
    assert (called["role"], called["content"]) == ("assistant", "")
    assert (result["role"], result["tool_call_id"], result["tool_status"]) == ("tool", "call-1", "success")
    assert result["content"] == '{"degrees": 21, "icon": "AP8="}\nwarm'
    assert (answered["role"], answered["content"]) == ("assistant", "It is warm.")
    one = ada.get(f"{MESSAGES}/{asked['message_id']}", params={"withBlocks": True}).json()
    assert one == asked and ada.get(f"{MESSAGES}/{asked['message_id']}").json() == asked | {"blocks": None}


def test_an_agent_goes_on_behind_what_was_added(ada: httpx.Client, store: Store) -> None:
    make(ada)
    say(ada, "My name is Ada.")
    ada.post(MESSAGES, json={"role": "assistant", "content": "Hello Ada."})
    with StoreSessionManager("s", store, user_id=name_of(ada)) as manager:
        agent = Agent(model=ScriptedModel(["Ada."]), session_manager=manager, callback_handler=None)
        assert [one["content"] for one in agent.messages] == [[{"text": "My name is Ada."}], [{"text": "Hello Ada."}]]
        agent("What is my name?")
    assert contents(ada) == ["My name is Ada.", "Hello Ada.", "What is my name?", "Ada."]


def test_what_is_no_text_in_utf_8_is_told_all_the_same(ada: httpx.Client, store: Store) -> None:
    """A model, or a tool, may give half of a character. Whoever reads the session later is not to pay for it."""
    make(ada)
    said = {
        "role": "user",
        "content": [{"text": "a\ud800b"}],
        "metadata": {"custom": {"k\udfff": ["\ud83d\ude00", "\ud800"]}},
    }
    Sessions(store).messages.append("s", said, name_of(ada))
    for params in ({}, {"withBlocks": True}):
        (one,) = ada.get(MESSAGES, params=params).json()["items"]
        assert one["content"] == "a\ufffdb" and one["extra_data"] == {"k\ufffd": ["😀", "\ufffd"]}
    for bad in ('"\\ud800"', '["\\ud800"]', '{"\\udc00": 1}', "NaN", "[Infinity]", "1e999", '{"a": -Infinity}'):
        body = f'{{"role": "user", "content": "x", "extra_data": {{"a": {bad}}}}}'
        answer = ada.post(MESSAGES, content=body, headers={"Content-Type": "application/json"})
        problem(answer, 422, "extra_data")
    assert len(contents(ada)) == 1
