"""A turn as a stream of events: followed, cut, gone on with, at the same server and at another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest
from strands import tool
from tests.stores import servers
from tests.stores.servers import until

from strands_session_store import Sessions, open_store
from strands_session_store.rest import conversation
from strands_session_store.stores.base import Store
from strands_session_store.testing.models import Reply, ScriptedModel, ToolCall

from .serving import client, served
from .talking import KEYS, TALK, Held, prompt, said, stream, talking


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/s.db") as opened:
        yield opened


def ada(url: str) -> httpx.Client:
    return client(url, KEYS["ada"])


def text(events: Any) -> str:
    """What a client has of the answer: a start has it forget what came before."""
    out = ""
    for _, type, data in events:
        out = "" if type == "start" else out + data["text"] if type == "delta" else out
    return out


@tool
def tram(stop: str) -> str:
    """When the tram comes.

    Args:
        stop: Where.
    """
    return f"at noon at {stop}"


def test_a_turn_is_told_as_it_goes_on(store: Store) -> None:
    script = [Reply("Let me see.", tools=[ToolCall("tram", {"stop": "Rossio"})], reasoning="A tram."), "At noon."]
    with served(talking(store, ScriptedModel(script), [tram])) as url, ada(url) as http:
        with stream(http, prompt("when?", id="p-1")) as events:
            told = list(events)
        types = [type for _, type, _ in told]
        assert types == ["start", "reasoning", "reasoning", *["delta"] * 3, "tool_call", "tool_result", *["delta"] * 2,
                         "result"] or types == ["start", "reasoning", *["delta"] * 3, "tool_call", "tool_result",
                                                *["delta"] * 2, "result"]  # fmt: skip
        assert text(told) == "Let me see.At noon."
        calls = [data for _, type, data in told if type.startswith("tool")]
        assert calls[0] == {"id": calls[0]["id"], "name": "tram", "input": {"stop": "Rossio"}}
        assert calls[1] == {"id": calls[0]["id"], "status": "success", "content": "at noon at Rossio"}
        result = told[-1][2]
        assert result["response"] == "At noon." and result["messages_count"] == 4 and result["prompt_id"] == "p-1"
        assert result == http.post(TALK, json=prompt("when?", id="p-1")).json(), "as without a stream"
        assert told[0][2] == {name: result[name] for name in ("session_id", "session_uuid", "prompt_id")}
        assert [id.rsplit("/", 1)[1] for id, _, _ in told] == [str(n) for n in range(len(told))]


def test_what_is_streamed_is_sent_at_once_and_a_silence_has_comments(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "PING", 0.05)
    model = Held(lambda messages: "one two")
    with served(talking(store, model)) as url, ada(url) as http:
        headers = {"Accept": "text/event-stream"}
        with http.stream("POST", TALK, json=prompt("hello"), headers=headers) as answer:
            lines = answer.iter_lines()
            assert next(line for line in lines if line.startswith(":"))
            model.let()
            assert next(line for line in lines if "one" in line)
            assert model.words == 1
            model.let()
            assert any("result" in line for line in lines)


@pytest.mark.parametrize("late", [False, True], ids=["under way", "after its end"])
def test_a_stream_that_is_cut_goes_on_behind_the_last_event(store: Store, late: bool) -> None:
    model = Held(lambda messages: "one two three four")
    with served(talking(store, model)) as url, ada(url) as http:
        body = prompt("count", session_id=None)
        model.let(2)
        with stream(http, body) as events:
            seen = list(islice(events, 3))
        assert text(seen) == "one two"
        session = seen[0][2]["session_id"]
        if late:
            model.let(2)
            until(lambda: len(said(http, session)) == 2)
        with stream(http, body, seen[-1][0]) as events:
            if not late:
                model.let(2)
            rest = list(events)
        assert text([*seen, *rest]) == "one two three four" and rest[-1][1] == "result"
        assert [type for _, type, _ in rest] == ["delta", "delta", "result"]
        assert said(http, session) == [("user", "count"), ("assistant", "one two three four")]
    assert len(model.calls) == 1


@pytest.mark.parametrize("late", [False, True], ids=["under way", "after its end"])
def test_another_server_tells_the_result_of_a_stream_that_was_cut(store: Store, late: bool) -> None:
    model = Held(lambda messages: "one two three")
    with served(talking(store, model)) as url, served(talking(store, model)) as other:
        with ada(url) as http, ada(other) as elsewhere, ThreadPoolExecutor(1) as pool:
            body = prompt("count", session_id=None)
            model.let(1)
            with stream(http, body) as events:
                seen = list(islice(events, 2))
            session = seen[0][2]["session_id"]

            def rest() -> list[Any]:
                with stream(elsewhere, body, seen[-1][0]) as events:
                    return list(events)

            if late:
                model.let(2)
                until(lambda: len(said(http, session)) == 2)
            waits = pool.submit(rest)
            if not late:
                until(lambda: Sessions(store).get(session, "ada").holder.waiting == 1)  # type: ignore[union-attr]
                model.let(2)
            told = waits.result(30)
            assert [type for _, type, _ in told] == ["start", "result"]
            assert told[-1][2]["response"] == "one two three"
            assert len(said(http, session)) == 2
    assert len(model.calls) == 1


def test_nobody_else_goes_on_with_a_stream(store: Store) -> None:
    model = ScriptedModel(lambda messages: "a secret")
    with served(talking(store, model)) as url, ada(url) as http, client(url, KEYS["bob"]) as bob:
        body = prompt("tell me", session_id=None)
        with stream(http, body) as events:
            told = list(events)
        for asked in (body, body | {"session_id": told[0][2]["session_id"]}):
            answer = bob.post(TALK, json=asked, headers={"Last-Event-ID": told[1][0]})
            assert answer.status_code == 404 and "a secret" not in answer.text
        assert bob.get("/api/agent-sessions").json()["total"] == 0 and len(model.calls) == 1


def test_a_turn_that_fails_ends_its_stream_with_a_problem(store: Store) -> None:
    script = [Reply("It is", error=RuntimeError("secret")), "It is noon."]
    with served(talking(store, ScriptedModel(script))) as url, ada(url) as http:
        with stream(http, prompt("when?", id="p-1")) as events:
            told = list(events)
        assert told[-1][1] == "problem" and told[-1][2]["status"] == 502 and "secret" not in str(told)
        with stream(http, prompt("when?", id="p-1"), told[-2][0]) as events:
            again = list(events)
        assert again[0][1] == "start" and text([*told, *again]) == "It is noon."
        assert said(http) == [("user", "when?"), ("assistant", "It is noon.")]


def test_what_is_wrong_before_a_turn_begins_is_a_status(store: Store) -> None:
    with served(talking(store)) as url, ada(url) as http:
        headers = {"Accept": "text/event-stream"}
        http.post("/api/agent-sessions", json={"session_id": "c"})
        http.put("/api/agent-sessions/c/deactivate")
        answer = http.post(TALK, json=prompt("hello"), headers=headers)
        assert answer.status_code == 409 and answer.headers["content-type"] == "application/problem+json"
        for seen in ("nonsense", "c/p/m/-1", "c/p/m", f"c/p/m/{10**30}", "%00/p/m/1", "c//m/1"):
            answer = http.post(TALK, json=prompt("hello"), headers=headers | {"Last-Event-ID": seen})
            assert answer.status_code == 422 and "Last-Event-ID" in answer.json()["detail"]
        for other in (prompt("hello", "d"), prompt("hello", id="q")):
            answer = http.post(TALK, json=other, headers=headers | {"Last-Event-ID": "c/p/m/1"})
            assert answer.status_code == 422 and "Last-Event-ID" in answer.json()["detail"]


SERVER = """
import sys
from tests.rest.serving import served
from tests.rest.talking import *
from strands_session_store.testing.models import ScriptedModel

class Stuck(ScriptedModel):
    async def stream(self, *args, **kwargs):
        async for event in super().stream(*args, **kwargs):
            yield event
            if "contentBlockDelta" in event:
                await asyncio.sleep(3600)

model = Stuck(lambda messages: "one two three")
with served(talking(sys.argv[1], model, manager_options={"lease_expiry": 1})) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("engine", ["sqlite", "redis"])
def test_a_turn_of_a_server_that_was_killed_is_had_at_another_one(tmp_path: Path, engine: str) -> None:
    with servers.ended(servers.standalone(tmp_path / "redis")) as redis:
        url = redis.url if engine == "redis" else f"sqlite:///{tmp_path}/s.db"
        command = [sys.executable, "-c", SERVER, url]
        root = Path(__file__).parents[2]
        env = os.environ | {"PYTHONPATH": str(root)}
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, text=True) as process:
            try:
                assert process.stdout is not None
                first = process.stdout.readline().strip()
                body = prompt("count", session_id=None)
                with ada(first) as http, stream(http, body) as events:
                    seen = list(islice(events, 2))
                    process.send_signal(signal.SIGKILL)
                    process.wait()
            finally:
                process.kill()
        assert text(seen) == "one"
        model = ScriptedModel(lambda messages: "one two three")
        options = {"lease_expiry": 1}
        with served(talking(url, model, manager_options=options)) as second, ada(second) as http:
            with stream(http, body, seen[-1][0]) as events:
                rest = list(events)
            assert rest[0][1] == "start" and text([*seen, *rest]) == "one two three"
            assert said(http, seen[0][2]["session_id"]) == [("user", "count"), ("assistant", "one two three")]
