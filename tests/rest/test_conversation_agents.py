"""What an agent_factory may do to a server: nothing that is not told, lost, or in the way of others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from strands import Agent
from tests.stores.servers import until

from strands_session_store import open_store
from strands_session_store.rest import Limits
from strands_session_store.rest.conversing import Asked
from strands_session_store.stores.base import Store
from strands_session_store.testing.models import ScriptedModel

from .serving import client, served
from .talking import KEYS, TALK, Held, prompt, said, say, stream, talking


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/s.db") as opened:
        yield opened


def ada(url: str) -> httpx.Client:
    return client(url, KEYS["ada"])


def model() -> ScriptedModel:
    return ScriptedModel(lambda messages: f"answer {len(messages)}")


def others(request: Any) -> Any:
    return Agent(model=model(), agent_id="other", session_manager=request.session_manager, callback_handler=None)


def forgetful(request: Any) -> Any:
    return Agent(model=model(), callback_handler=None)


@pytest.mark.parametrize(
    ("factory", "why"),
    [(others, "create_app(agent_id='other')"), (forgetful, "session_manager"), (lambda _: "hello", "got str")],
)
def test_an_agent_whose_words_would_be_stored_nowhere_or_never_found_says_none(
    store: Store, factory: Any, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    with served(talking(store, agent_factory=factory)) as url, ada(url) as http:
        assert why not in str(say(http, "hello", id="p-1", status=500))
        found = http.get("/api/agent-sessions/c/messages", params={"agentId": "other"})
        assert said(http) == [] and found.json()["items"] == []
    assert why in caplog.text, "the log says what to do"


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()])
def test_whatever_a_factory_raises_its_place_is_free_again_and_the_server_lives(
    store: Store, error: BaseException
) -> None:
    errors = [error, error]

    def make(request: Any) -> Agent:
        if errors:
            raise errors.pop()
        return Agent(model=model(), session_manager=request.session_manager, callback_handler=None)

    with served(talking(store, agent_factory=make, limits=Limits(conversations=1))) as url, ada(url) as http:
        for _ in range(2):
            say(http, "hello", id="p-1", status=500)
        assert say(http, "hello", id="p-1")["response"] == "answer 1"
        assert len(said(http)) == 2


def test_a_factory_that_blocks_holds_up_nobody(store: Store) -> None:
    blocked, free = threading.Event(), threading.Event()

    def make(request: Any) -> Agent:
        blocked.set()
        assert free.wait(30)
        return Agent(model=model(), session_manager=request.session_manager, callback_handler=None)

    with served(talking(store, agent_factory=make)) as url, ada(url) as http, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(say, http, "hello")
        assert blocked.wait(30)
        try:
            assert http.get("/healthz", timeout=5).status_code == 200
        finally:
            free.set()
        assert asked.result(30)["response"] == "answer 1"


def test_an_error_before_an_agent_speaks_is_a_status_also_of_a_stream(store: Store) -> None:
    with served(talking(store, agent_factory=forgetful)) as url, ada(url) as http:
        answer = http.post(TALK, json=prompt("hello"), headers={"Accept": "text/event-stream"})
        assert answer.status_code == 500 and answer.headers["content-type"] == "application/problem+json"


def test_half_of_a_character_ends_no_stream(store: Store) -> None:
    with served(talking(store, ScriptedModel(lambda messages: "one \ud83d two"))) as url, ada(url) as http:
        with stream(http, prompt("hello", id="p-1")) as events:
            told = list(events)
        assert told[-1][1] == "result" and told[-1][2]["response"] == "one \ufffd two"
        assert "".join(data["text"] for _, type, data in told if type == "delta") == "one \ufffd two"
        assert said(http)[1] == ("assistant", "one \ufffd two")


@pytest.mark.parametrize("option", [{"tll": 60}, {"ttl": -1}, {"max_cost": "many"}, {"durability": "never"}])
def test_options_of_session_managers_that_can_not_be_meant_are_refused_at_once(option: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(option))):
        talking("memory://", manager_options=option)


def test_an_app_that_ends_begins_no_turn(store: Store) -> None:
    speaker = Held(lambda messages: "one")
    app = talking(store, speaker)
    conversations = app.state.face.conversations

    async def closing() -> None:
        caller: Any = None

        def asked(text: str) -> Asked:
            message = {"role": "user", "content": [{"text": text}], "tracking_id": text}
            return Asked([message], [], text, repeats=True, session_id="c")

        turn = await conversations.turn(caller, "ada", asked("first"), 30)
        ending = asyncio.create_task(conversations.close(30))
        await asyncio.sleep(0)
        with pytest.raises(Exception, match="the server ends"):
            await conversations.turn(caller, "ada", asked("second"), 30)
        speaker.let()
        await ending
        assert (await turn.answer).response == "one"
        assert not conversations._at_work

    asyncio.run(closing())


def test_places_are_counted_whatever_becomes_of_those_who_asked(store: Store) -> None:
    speaker = Held(lambda messages: "one two")
    app = talking(store, speaker, limits=Limits(conversations=2, conversations_per_user=2))
    with served(app) as url, ada(url) as http, ThreadPoolExecutor(4) as pool:
        for n in range(3):
            # one who goes away in mid-stream, and two who ask for the same
            with stream(http, prompt("hello", f"s-{n}", id="p")) as events:
                assert next(events)[1] == "start"
                asked = [pool.submit(say, http, "hello", f"s-{n}", id="p") for _ in range(2)]
            speaker.let(2)
            assert {one.result(30)["response"] for one in asked} == {"one two"}
        until(lambda: not app.state.face.conversations._at_work)
        assert len(speaker.calls) == 3
