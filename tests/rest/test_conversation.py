"""An agent is spoken to over HTTP: a session found or made, one turn at a time, each prompt said once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from strands import ToolContext, tool
from tests.stores.servers import until

from strands_session_store import SegmentAfter, Sessions, StoreSessionManager, open_store
from strands_session_store.errors import InDoubt, Unavailable
from strands_session_store.rest import Limits
from strands_session_store.stores.base import Store
from strands_session_store.testing import OfflineModel
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import Reply, ScriptedModel, ToolCall

from .serving import client, served
from .talking import KEYS, TALK, Held, prompt, said, say, talking


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/s.db") as opened:
        yield opened


def ada(url: str) -> httpx.Client:
    return client(url, KEYS["ada"])


def test_a_session_is_made_then_found_and_its_agent_goes_on(store: Store) -> None:
    model = ScriptedModel(lambda messages: f"answer {len(messages)}")
    first = prompt(
        "My name is Ada.", session_name="Names", agent_name="clerk", agent_instructions="Be brief.", id="m-1"
    )
    with served(talking(store, model)) as url, ada(url) as http:
        made = http.post(TALK, json=first)
        assert made.status_code == 201
        answer = made.json()
        session = http.get("/api/agent-sessions/c").json()
        assert answer == {
            "session_id": "c",
            "session_uuid": session["session_uuid"],
            "response": "answer 1",
            "messages_count": 2,
            "session_active": True,
            "prompt_id": "m-1",
            "message_id": answer["message_id"],
            "stop_reason": "end_turn",
            "interrupts": [],
        }
        assert (session["session_name"], session["agent_name"]) == ("Names", "clerk")
        assert session["agent_instructions"] == "Be brief." == model.calls[0].system_prompt
    with served(talking(store, model)) as url, ada(url) as http:
        assert say(http, "And now?")["response"] == "answer 3"
        assert said(http) == [
            ("user", "My name is Ada."),
            ("assistant", "answer 1"),
            ("user", "And now?"),
            ("assistant", "answer 3"),
        ]
        new = http.post(TALK, json=prompt("Hello.", session_id=None)).json()
        assert len(new["session_id"]) == 32 and new["messages_count"] == 2
        last = http.get(f"/api/agent-sessions/c/messages/{answer['message_id']}").json()
        assert last["content"] == "answer 1"
    # an agent of a program's own has it as well
    from strands import Agent

    agent = Agent(model=model, session_manager=StoreSessionManager("c", store, user_id="ada"))
    assert len(agent.messages) == 4


def test_what_was_said_elsewhere_is_told_with_the_prompt(store: Store) -> None:
    model = ScriptedModel(lambda messages: "noted")
    with served(talking(store, model)) as url, ada(url) as http:
        messages = [
            {"role": "system", "content": "The user is in a hurry."},
            {"role": "user", "content": "My cat is Tilde."},
            {"role": "assistant", "content": "A fine name."},
            {"role": "user", "content": "What is it called?"},
        ]
        assert http.post(TALK, json={"session_id": "c", "messages": messages}).status_code == 201
        assert said(http) == [(m["role"], m["content"]) for m in messages] + [("assistant", "noted")]
    assert [m["content"][0]["text"] for m in model.calls[0].messages] == [m["content"] for m in messages]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"messages": []}, "give messages or interrupt_responses"),
        ({}, "give messages or interrupt_responses"),
        ({"messages": [{"role": "assistant", "content": "hi"}]}, "is an assistant's"),
        ({"messages": [{"role": "tool", "content": "hi"}]}, "needs the tool_call_id"),
        ({"messages": [{"role": "user", "content": ""}]}, "at least 1 character"),
        ({"messages": [{"role": "user", "content": "hi", "extra_data": {"rest_api": 1}}]}, "rest_api"),
        (prompt("hi", session_id="\x00"), "session_id"),
        (prompt("hi") | {"interrupt_responses": [{"interrupt_id": "i", "response": 1}]}, "one of them"),
    ],
)
def test_what_is_no_prompt_is_refused_and_nothing_is_made(store: Store, body: Any, why: str) -> None:
    with served(talking(store)) as url, ada(url) as http:
        answer = http.post(TALK, json=body)
        assert answer.status_code == 422 and why in answer.json()["detail"], answer.text
        assert http.get("/api/agent-sessions").json()["total"] == 0


def test_a_prompt_that_is_sent_again_is_said_once(store: Store) -> None:
    model = ScriptedModel(lambda messages: f"answer {len(messages)}")
    with served(talking(store, model)) as url, served(talking(store, model)) as other:
        with ada(url) as http, ada(other) as elsewhere:
            first = say(http, "hello", id="p-1")
            say(http, "and then?", id="p-2")
            for one in (http, elsewhere):
                again = say(one, "hello", id="p-1")
                assert again["response"] == first["response"] == "answer 1"
                assert again["message_id"] == first["message_id"]
            assert len(model.calls) == 2 and len(said(http)) == 4
            changed = elsewhere.post(TALK, json=prompt("something else", id="p-1"))
            assert changed.status_code == 409 and "message_id 'p-1'" in changed.json()["detail"]


def test_the_same_prompt_twice_at_once_is_one_turn(store: Store) -> None:
    model = Held(lambda messages: "one two three")
    with served(talking(store, model)) as url, served(talking(store, model)) as other:
        with ada(url) as http, ada(other) as elsewhere, ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(say, one, "hello", id="p-1") for one in (http, http, elsewhere, elsewhere)]
            model.let(3)
            answers = [one.result(30) for one in asked]
            assert {answer["response"] for answer in answers} == {"one two three"}
            assert len({answer["message_id"] for answer in answers}) == 1
            assert said(http) == [("user", "hello"), ("assistant", "one two three")]
    assert len(model.calls) == 1


def test_no_agent_answers_in_a_session_that_is_inactive_or_a_segment(store: Store) -> None:
    after = SegmentAfter(max_tokens=None, max_turns=1, keep_turns=0, summarize="extractive")
    model = ScriptedModel(lambda messages: "noted")
    with served(talking(store, model, manager_options={"segment_after": after})) as url, ada(url) as http:
        say(http, "My name is Ada.")
        ended = Sessions(store).segments.chain("c", "ada")[0].session.session_id
        refused = say(http, "hello", ended, status=409)
        assert "which has ended" in refused["detail"]
        say(http, "What is my name?")
        assert "Ada" in str(model.calls[-1].messages), "the summary says so"
        assert [text for _, text in said(http)][::2] == ["My name is Ada.", "What is my name?"]
        http.put("/api/agent-sessions/c/deactivate")
        assert "not active" in say(http, "hello", status=409)["detail"]
        http.put("/api/agent-sessions/c/activate")
        assert say(http, "hello")["messages_count"] == 6, "with those of the segments"


def test_of_two_at_once_one_waits_or_is_told_that_it_is_busy(store: Store) -> None:
    model = Held(lambda messages: f"answer {len(messages)}")
    with served(talking(store, model)) as url, served(talking(store, model)) as other:
        with ada(url) as http, ada(other) as elsewhere, ThreadPoolExecutor(2) as pool:
            first = pool.submit(say, http, "first")
            model.let(1)
            until(lambda: model.words == 1)
            busy = elsewhere.post(TALK, json=prompt("second"), headers={"Prefer": "wait=0"})
            assert busy.status_code == 409 and int(busy.headers["Retry-After"]) > 0
            assert "busy" in busy.json()["detail"]
            assert elsewhere.get("/api/agent-sessions/c").json()["is_busy"] is True
            second = pool.submit(say, elsewhere, "second")
            until(lambda: Sessions(store).get("c", "ada").holder.waiting == 1)  # type: ignore[union-attr]
            model.let(3)
            assert first.result(30)["response"] == "answer 1" and second.result(30)["response"] == "answer 3"
            assert http.get("/api/agent-sessions/c").json()["is_busy"] is False


def test_who_joins_a_prompt_that_waits_less_waits_on(store: Store) -> None:
    model = Held(lambda messages: "done")
    with served(talking(store, model)) as url, served(talking(store, model)) as other:
        with ada(url) as http, ada(other) as elsewhere, ThreadPoolExecutor(3) as pool:
            first = pool.submit(say, elsewhere, "first")
            until(lambda: len(model.calls) == 1)
            less = pool.submit(http.post, TALK, json=prompt("second", id="p"), headers={"Prefer": "wait=2"})
            until(lambda: Sessions(store).get("c", "ada").holder.waiting == 1)  # type: ignore[union-attr]
            more = pool.submit(say, http, "second", id="p")
            assert less.result(30).status_code == 409
            model.let(2)
            assert (first.result(30)["response"], more.result(30)["messages_count"]) == ("done", 4)


def test_an_agent_that_fails_keeps_what_was_said_and_the_prompt_is_answered_later(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    model = ScriptedModel([RuntimeError("secret of the provider"), "better now"])
    with served(talking(store, model)) as url, ada(url) as http:
        failed = http.post(TALK, json=prompt("hello", id="p-1"))
        assert failed.status_code == 502 and "secret" not in failed.text
        assert said(http) == [("user", "hello")]
        assert say(http, "hello", id="p-1")["response"] == "better now"
        assert said(http) == [("user", "hello"), ("assistant", "better now")]
    assert "secret of the provider" in caplog.text, "the log has it"


@pytest.mark.parametrize(("kind", "error"), [("before", Unavailable), ("after", InDoubt)])
def test_a_store_that_fails_is_told_and_the_prompt_sent_again_is_said_once(
    tmp_path: Path, kind: str, error: type[Exception]
) -> None:
    faulty = FaultyStore(open_store(f"sqlite:///{tmp_path}/s.db"))
    model = ScriptedModel(lambda messages: f"answer {len(messages)}")
    with served(talking(faulty, model)) as url, ada(url) as http:
        say(http, "before", id="p-0")
        # the lease is taken, then what was said is not stored
        failing: Any = {kind: error("it is away at 10.0.0.7"), "times": None}
        faulty.plan("commit", at=2, **failing)
        failed = http.post(TALK, json=prompt("hello", id="p-1"))
        assert failed.status_code == 503 and "10.0.0.7" not in failed.text and "Retry-After" in failed.headers
        faulty.heal()
        until(lambda: http.post(TALK, json=prompt("hello", id="p-1")).status_code == 201)
        assert [text for role, text in said(http) if role == "user"] == ["before", "hello"]
        assert [role for role, _ in said(http)] == ["user", "assistant"] * 2
    faulty.close()


@tool(context=True)
def pay(amount: int, tool_context: ToolContext) -> str:
    """Pay.

    Args:
        amount: Dollars.
    """
    return f"paid {amount}: {tool_context.interrupt('approval', reason={'amount': amount})}"


def test_an_agent_that_is_interrupted_waits_for_the_answer(store: Store) -> None:
    model = ScriptedModel([ToolCall("pay", {"amount": 7}), "It is paid."])
    with served(talking(store, model, [pay])) as url, ada(url) as http:
        asked = say(http, "pay seven")
        assert asked["stop_reason"] == "interrupt"
        (interrupt,) = asked["interrupts"]
        assert (interrupt["name"], interrupt["reason"]) == ("approval", {"amount": 7})
        assert "interrupt_responses" in say(http, "hello?", status=409)["detail"]
        answer = {"session_id": "c", "interrupt_responses": [{"interrupt_id": interrupt["id"], "response": "yes"}]}
        done = http.post(TALK, json=answer)
        assert done.status_code == 201 and done.json()["response"] == "It is paid."
        assert http.post(TALK, json=answer).status_code == 409, "it waits no more"
        tools = [one for one in said(http) if one[0] == "tool"]
        assert tools == [("tool", "paid 7: yes")]


def test_a_session_that_is_deleted_meanwhile_is_not_made_again(store: Store) -> None:
    model = Held(lambda messages: "one two")
    with served(talking(store, model)) as url, ada(url) as http, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(http.post, TALK, json=prompt("hello"))
        model.let(1)
        until(lambda: model.words == 1)
        assert http.delete("/api/agent-sessions/c").status_code == 204
        model.let(1)
        assert asked.result(30).status_code == 409
        assert http.get("/api/agent-sessions/c").status_code == 404


def test_only_so_many_conversations_at_once(store: Store) -> None:
    model = Held(lambda messages: "done")
    limits = Limits(conversations=3, conversations_per_user=2)
    with served(talking(store, model, limits=limits)) as url, ThreadPoolExecutor(3) as pool:
        with ada(url) as http, client(url, KEYS["bob"]) as bob:
            under_way = [pool.submit(say, http, "hello", f"c-{n}") for n in range(2)]
            until(lambda: len(model.calls) == 2)
            mine = http.post(TALK, json=prompt("hello", "c-3"))
            assert mine.status_code == 429 and "of your" in mine.json()["detail"] and mine.headers["Retry-After"]
            under_way.append(pool.submit(say, bob, "hello"))
            until(lambda: len(model.calls) == 3)
            his = bob.post(TALK, json=prompt("hello", "d"))
            assert his.status_code == 429 and his.headers["Retry-After"]
            model.let(3)
            for one in under_way:
                one.result(30)
            model.let(1)
            assert say(bob, "hello", "d")["response"] == "done"


def test_users_have_their_own_sessions_of_the_same_id(store: Store) -> None:
    with served(talking(store)) as url, ada(url) as http, client(url, KEYS["bob"]) as bob:
        say(http, "My name is Ada.")
        assert "Ada" not in say(bob, "What is my name?")["response"]
        assert len(said(http)) == 2


def test_the_end_of_the_server_lets_a_turn_end(store: Store) -> None:
    model = Held(lambda messages: "one two")
    with ThreadPoolExecutor(1) as pool, contextlib.ExitStack() as stack:
        with served(talking(store, model)) as url:
            http = stack.enter_context(ada(url))
            asked = pool.submit(say, http, "hello")
            until(lambda: len(model.calls) == 1)
            threading.Timer(0.2, model.let, [2]).start()
        assert asked.result(30)["response"] == "one two"
    assert Sessions(store).messages.count("c", "ada") == 2


def test_without_an_agent_there_is_nobody_to_speak_to(store: Store) -> None:
    with served(talking(store, agent_factory=None)) as url, ada(url) as http:
        assert http.post(TALK, json=prompt("hello")).status_code in (404, 405)
        assert TALK not in http.get("/openapi.json").json()["paths"]


def test_a_factory_may_be_a_coroutine_and_its_structured_answer_is_json(store: Store) -> None:
    from pydantic import BaseModel
    from strands import Agent

    class Colour(BaseModel):
        name: str

    async def make(request: Any) -> Agent:
        model = ScriptedModel(lambda messages: Reply(structured=Colour(name="teal")))
        manager = request.session_manager
        return Agent(model=model, session_manager=manager, structured_output_model=Colour, callback_handler=None)

    with served(talking(store, agent_factory=make)) as url, ada(url) as http:
        assert say(http, "which?")["response"] == '{"name":"teal"}'


def test_a_factory_that_fails_is_the_servers_failure_and_nothing_is_said(store: Store) -> None:
    def make(request: Any) -> Any:
        raise KeyError("no such model")

    with served(talking(store, agent_factory=make)) as url, ada(url) as http:
        assert say(http, "hello", status=500)
        assert said(http) == []


def test_options_that_are_the_apps_own_matter_are_refused() -> None:
    with pytest.raises(ValueError, match="manager_options has 'exclusive'"):
        talking("memory://", OfflineModel(), manager_options={"exclusive": False})
    with pytest.raises(ValueError, match="auth"):
        talking("memory://", auth=None)
