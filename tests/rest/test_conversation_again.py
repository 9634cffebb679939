"""A prompt that is sent again, here and at another server: said once, and answered as it was, whatever the turn was
like, and whatever became of the session since."""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel
from strands import Agent, ToolContext, tool

from strands_session_store import Sessions, open_store
from strands_session_store.rest import live
from strands_session_store.stores.base import Store
from strands_session_store.testing.models import Reply, ScriptedModel, ToolCall

from .serving import client, served
from .talking import KEYS, TALK, prompt, said, say, stream, talking


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/s.db") as opened:
        yield opened


@contextlib.contextmanager
def two(store: Store, *args: Any, **options: Any) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """Ada's clients at two servers of one store."""
    with contextlib.ExitStack() as stack:
        urls = [stack.enter_context(served(talking(store, *args, **options))) for _ in range(2)]
        here, there = [stack.enter_context(client(url, KEYS["ada"])) for url in urls]
        yield here, there


@tool
def tram(stop: str) -> str:
    """When the tram comes.

    Args:
        stop: Where.
    """
    return f"at noon at {stop}"


@tool(context=True)
def pay(amount: int, tool_context: ToolContext) -> str:
    """Pay.

    Args:
        amount: Dollars.
    """
    tool_context.agent.state.set("tries", (tool_context.agent.state.get("tries") or 0) + 1)
    return f"paid {amount}: {tool_context.interrupt('approval', reason={'amount': amount})}"


def test_a_turn_may_be_longer_than_what_is_looked_at_first(store: Store) -> None:
    model = ScriptedModel([*(ToolCall("tram", {"stop": str(n)}) for n in range(60)), "at last"])
    with two(store, model, [tram]) as (here, there):
        first = say(here, "go", id="p-1")
        assert say(there, "go", id="p-1") == first and first["messages_count"] == 122


def test_it_has_its_answer_as_it_was_with_why_the_agent_stopped(store: Store) -> None:
    model = ScriptedModel(
        [ToolCall("tram", {"stop": "Rossio"}), "at noon", Reply("It is cut", stop_reason="max_tokens")]
    )
    with two(store, model, [tram]) as (here, there):
        first = say(here, "when?", id="p-1")
        assert first["stop_reason"] == "end_turn" and say(there, "when?", id="p-1") == first
        cut = say(here, "and why?", id="p-2")
        assert (cut["stop_reason"], cut["response"]) == ("max_tokens", "It is cut")
        assert say(there, "and why?", id="p-2") == cut
        assert say(there, "when?", id="p-1")["message_id"] == first["message_id"]


def test_an_answer_of_a_structure_is_had_again(store: Store) -> None:
    class Colour(BaseModel):
        name: str

    model = ScriptedModel(
        [Reply(structured=Colour(name="türkis")), "I would say teal.", Reply(structured=Colour(name="teal"))]
    )

    def make(request: Any) -> Agent:
        manager = request.session_manager
        return Agent(model=model, session_manager=manager, structured_output_model=Colour, callback_handler=None)

    with two(store, agent_factory=make) as (here, there):
        for id in ("p-1", "p-2"):  # of the second, the model had to be asked for it
            first = say(here, "which?", id=id)
            assert first["response"].startswith('{"name":"t') and say(there, "which?", id=id) == first
    assert len(model.calls) == 3


def test_what_is_scrubbed_before_it_is_stored_is_the_same_prompt(store: Store) -> None:
    def scrub(message: Any) -> Any:
        for block in message["content"]:
            block["text"] = block["text"].replace("4711", "****")
        return message

    model = ScriptedModel(lambda messages: "noted")
    with two(store, model, manager_options={"before_store": scrub}) as (here, there):
        first = say(here, "my number is 4711", id="p-1")
        assert say(there, "my number is 4711", id="p-1") == first
        assert said(there) == [("user", "my number is ****"), ("assistant", "noted")]


def test_what_was_redacted_or_taken_away_is_told_nowhere(store: Store) -> None:
    model = ScriptedModel(lambda messages: f"answer {len(messages)}")
    with two(store, model) as (here, there):
        url = "/api/agent-sessions/c"
        first = say(here, "a secret", id="p-1")
        here.patch(f"{url}/messages/p-1", json={"content": "(nothing)"})
        here.patch(f"{url}/messages/{first['message_id']}", json={"content": "(removed)"})
        for one in (here, there):
            assert say(one, "a secret", id="p-1")["response"] == "(removed)"
        # what is gone is said anew, once
        assert here.delete(f"{url}/clear-messages").status_code == 200
        anew = say(here, "a secret", id="p-1")
        assert anew["response"] == "answer 1" and say(there, "a secret", id="p-1") == anew
        assert said(here) == [("user", "a secret"), ("assistant", "answer 1")]
        assert here.delete(url).status_code == 204
        last = say(here, "a secret", id="p-1")
        assert last["session_uuid"] != anew["session_uuid"] and len(said(here)) == 2
    assert len(model.calls) == 3


def test_a_stream_is_not_gone_on_with_in_a_session_that_was_deleted(store: Store) -> None:
    with two(store) as (here, there):
        body = prompt("hello", session_id=None)
        with stream(here, body) as events:
            told = list(events)
        session = told[0][2]["session_id"]
        here.delete(f"/api/agent-sessions/{session}")
        for one in (here, there):
            answer = one.post(TALK, json=body, headers={"Last-Event-ID": told[1][0], "Accept": "text/event-stream"})
            assert answer.status_code == 404 and "auto_create" not in answer.text
        assert here.get("/api/agent-sessions").json()["total"] == 0


def test_what_was_told_before_the_prompt_is_said_once_by_its_ids(store: Store) -> None:
    messages: list[dict[str, Any]] = []
    model = ScriptedModel(lambda given: f"answer {len(given)}")
    with two(store, model) as (here, there):
        for n in range(3):  # as a client does that keeps the conversation itself
            messages.append({"role": "user", "content": f"prompt {n}", "message_id": f"p-{n}"})
            for one in (here, there):
                answer = one.post(TALK, json={"session_id": "c", "messages": messages}).json()
                assert answer["response"] == f"answer {2 * n + 1}"
            messages.append({"role": "assistant", "content": answer["response"], "message_id": answer["message_id"]})
        assert said(here) == [(one["role"], one["content"]) for one in messages]
        other = [messages[0] | {"content": "something else"}, {"role": "user", "content": "so?"}]
        refused = here.post(TALK, json={"session_id": "c", "messages": other})
        assert refused.status_code == 409 and "'p-0'" in refused.json()["detail"]
        twice = here.post(TALK, json={"session_id": "c", "messages": [other[1] | {"message_id": "q"}] * 2})
        assert twice.status_code == 422 and len(said(here)) == 6


def test_what_an_agent_was_interrupted_in_is_told_again_and_its_tools_are_not_called(store: Store) -> None:
    model = ScriptedModel([[ToolCall("pay", {"amount": 7}), ToolCall("pay", {"amount": 8})], "It is paid."])
    with two(store, model, [pay]) as (here, there):
        asked = say(here, "pay", id="p-1")
        assert asked["stop_reason"] == "interrupt" and len(asked["interrupts"]) == 2
        assert say(there, "pay", id="p-1") == asked

        def tries() -> Any:
            (agent,) = Sessions(store).agents("c", "ada")
            return agent.agent.state["tries"]

        assert tries() == 2
        first, second = ({"interrupt_id": one["id"], "response": "yes"} for one in asked["interrupts"])
        wrong = [first, {"interrupt_id": "v1:nonsense", "response": "yes"}]
        refused = here.post(TALK, json={"session_id": "c", "interrupt_responses": wrong})
        assert refused.status_code == 409 and "v1:nonsense" in refused.json()["detail"]
        half = here.post(TALK, json={"session_id": "c", "interrupt_responses": [second]}).json()
        assert half["interrupts"] == [asked["interrupts"][0]], "what was refused was answered by nobody"
        body = {"session_id": "c", "interrupt_responses": [first]}
        with stream(here, body) as events:
            told = list(events)
        assert told[-1][1] == "result" and told[-1][2]["response"] == "It is paid."
        count = tries()
        with stream(there, body, told[0][0]) as events:  # cut, and gone on with at another server
            again = list(events)
        assert [type for _, type, _ in again] == ["start", "result"] and again[-1][2] == told[-1][2]
        assert say(there, "pay", id="p-1")["response"] == "It is paid." and tries() == count
    assert len(model.calls) == 2


def test_turns_are_kept_within_bounds_and_then_told_by_the_store(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "KEPT_BYTES", 20_000)
    model = ScriptedModel(lambda messages: "word " * 20)
    app = talking(store, model)
    with served(app) as url, client(url, KEYS["ada"]) as here:
        with stream(here, prompt("hello", id="p-0")) as events:
            told = list(events)
        with stream(here, prompt("hello", id="p-0"), told[5][0]) as events:
            assert list(events) == told[6:]
        first = weakref.ref(app.state.face.conversations._turns.get(("ada", "c", "p-0")))
        for n in range(1, 9):
            say(here, f"hello {n}", id=f"p-{n}")
        assert 1 < len(app.state.face.conversations._turns) < 8
        gc.collect()
        assert first() is None
        with stream(here, prompt("hello", id="p-0"), told[5][0]) as events:
            again = list(events)
        assert [type for _, type, _ in again] == ["start", "result"]
        assert again[-1][2]["response"] == told[-1][2]["response"]
    assert len(model.calls) == 9
