"""Tool calls of an assistant message are run with the application's functions, answered in its shape, and recorded."""

from __future__ import annotations

import asyncio
import copy
import enum
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel
from strands import Agent

from strands_session_store import SessionNotFoundError, Unavailable, records
from strands_session_store.errors import InvalidIdError, ToolEventsError
from strands_session_store.sessions import Sessions
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.testing import FaultyStore
from strands_session_store.testing.models import ScriptedModel
from strands_session_store.tools import Tools

SHAPES = ("openai", "anthropic", "strands")
RUNS = ("run", "run_async")


@pytest.fixture
def sessions() -> Sessions:
    made = Sessions(MemoryStore())
    made.create("s")
    return made


def asks(shape: str, *calls: tuple[str, Any], id: str = "m1") -> dict[str, Any]:
    """An assistant message with these calls, whose ids are c0, c1 ..."""
    named = [(f"c{at}", name, arguments) for at, (name, arguments) in enumerate(calls)]
    if shape == "openai":
        each = [
            {"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for id, name, arguments in named
        ]
        return {"role": "assistant", "content": None, "tool_calls": each, "id": id}
    if shape == "anthropic":
        blocks: list[Any] = [{"type": "tool_use", "id": id, "name": name, "input": args} for id, name, args in named]
        return {"id": id, "role": "assistant", "content": [{"type": "text", "text": "let me see"}, *blocks]}
    blocks = [{"toolUse": {"toolUseId": id, "name": name, "input": args}} for id, name, args in named]
    return {"role": "assistant", "content": [{"text": "let me see"}, *blocks], "tracking_id": id}


def run(how: str, tools: Tools, *args: Any, **options: Any) -> list[dict[str, Any]]:
    if how == "run":
        return tools.run(*args, **options)
    return asyncio.run(tools.run_async(*args, **options))


def events(sessions: Sessions) -> list[records.Event]:
    return list(sessions.events.list("s").entries.values())


class Flaky:
    """Fails so many times, then answers."""

    def __init__(self, times: int, error: BaseException | None = None) -> None:
        self.times, self.calls, self.error = times, 0, error or ConnectionError("try again")

    def __call__(self, **arguments: Any) -> Any:
        self.calls += 1
        if self.calls <= self.times:
            raise self.error
        return {"call": self.calls, **arguments}


@pytest.mark.parametrize("how", RUNS)
def test_answers_have_the_shape_that_was_asked_in_and_the_models_ids(sessions: Sessions, how: str) -> None:
    async def later(city: str) -> dict[str, str]:
        await asyncio.sleep(0)
        return {"weather": f"fine in {city}"}

    def broken() -> None:
        raise ValueError("no such room")

    tools = Tools(sessions, {"later": later, "broken": broken, "word": lambda: "a word", "list": lambda: [1, None]})
    calls = (("later", {"city": "Köln"}), ("broken", {}), ("word", {}), ("list", {}))
    given = {shape: asks(shape, *calls) for shape in SHAPES}
    kept = copy.deepcopy(given)
    answers = {shape: run(how, tools, "s", given[shape]) for shape in SHAPES}
    assert given == kept
    texts = ['{"weather": "fine in Köln"}', "ValueError: no such room", "a word", "[1, null]"]
    assert answers["openai"] == [
        {"role": "tool", "tool_call_id": f"c{at}", "content": text if at != 1 else json.dumps({"error": text})}
        for at, text in enumerate(texts)
    ]
    blocks: list[dict[str, Any]] = [
        {"type": "tool_result", "tool_use_id": f"c{at}", "content": text} for at, text in enumerate(texts)
    ]
    blocks[1]["is_error"] = True
    assert answers["anthropic"] == [{"role": "user", "content": blocks}]
    contents: list[Any] = [{"json": {"weather": "fine in Köln"}}, *({"text": text} for text in texts[1:])]
    results = [
        {"toolResult": {"toolUseId": f"c{at}", "status": "error" if at == 1 else "success", "content": [content]}}
        for at, content in enumerate(contents)
    ]
    assert answers["strands"] == [{"role": "user", "content": results}]


def test_strands_goes_on_with_its_answers(sessions: Sessions) -> None:
    asked = asks("strands", ("add", {"a": 1, "b": 2}))
    answer = Tools(sessions, {"add": lambda a, b: a + b}).run("s", asked)
    model = ScriptedModel(["three"])
    agent = Agent(
        model=model,
        messages=[{"role": "user", "content": [{"text": "1 + 2?"}]}, asked, *answer],  # type: ignore[list-item]
        callback_handler=None,
    )
    assert str(agent([])).strip() == "three"  # type: ignore[arg-type]
    seen = model.calls[0].messages[-1]["content"][0]["toolResult"]
    assert (seen["toolUseId"], seen["status"], seen["content"]) == ("c0", "success", [{"text": "3"}])


def test_messages_of_client_libraries_are_taken_as_they_are(sessions: Sessions) -> None:
    class Function(BaseModel):
        name: str
        arguments: str

    class ToolCall(BaseModel):
        id: str
        type: str = "function"
        function: Function

    class Completion(BaseModel):
        id: str | None = None
        role: str = "assistant"
        tool_calls: list[ToolCall] | None = None

    class Use(BaseModel):
        type: str = "tool_use"
        id: str
        name: str
        input: Any

    tools = Tools(sessions, {"f": lambda x=0: x})
    message = Completion(tool_calls=[ToolCall(id="a", function=Function(name="f", arguments=""))])
    assert tools.run("s", message) == [{"role": "tool", "tool_call_id": "a", "content": "0"}]
    assert tools.run("s", {"role": "assistant", "content": [Use(id="b", name="f", input={"x": 7})]}) == [
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "b", "content": "7"}]}
    ]
    assert [event.tool_use_id for event in events(sessions)] == ["a", "b"]
    before = len(events(sessions))
    for without in (Completion(), {"role": "assistant", "content": "hi"}, {"content": [{"text": "hi"}]}):
        assert tools.run("nowhere", without) == []
    assert len(events(sessions)) == before


@pytest.mark.parametrize("how", RUNS)
def test_each_try_is_an_event_whose_parent_is_the_message(sessions: Sessions, how: str) -> None:
    flaky, never = Flaky(2), Flaky(9)
    tools = Tools(sessions, {"flaky": flaky, "never": never}, attempts=3, pause=0)
    message = asks("strands", ("flaky", {"x": 1}), ("never", {}))
    (answer,) = run(how, tools, "s", message, run_id="r", agent_id="eve")
    first, second = (block["toolResult"] for block in answer["content"])
    assert first["content"] == [{"json": {"call": 3, "x": 1}}]
    assert (second["status"], second["content"]) == ("error", [{"text": "ConnectionError: try again"}])
    told = [(e.name, e.tool_use_id, e.attempt, e.status, e.error) for e in events(sessions)]
    assert told == [
        ("flaky", "c0", 1, "error", "ConnectionError"),
        ("flaky", "c0", 2, "error", "ConnectionError"),
        ("flaky", "c0", 3, "success", None),
        ("never", "c1", 1, "error", "ConnectionError"),
        ("never", "c1", 2, "error", "ConnectionError"),
        ("never", "c1", 3, "error", "ConnectionError"),
    ]
    for event in events(sessions):
        assert (event.type, event.source, event.parent) == ("tool_call", "llm", "m1")
        assert (event.run_id, event.agent_id) == ("r", "eve")
        assert event.milliseconds is not None and event.milliseconds >= 0
    assert "try again" not in str(events(sessions))
    assert len(sessions.events.list("s", parent="m1", run_id="r", type="tool_call").entries) == 6


def test_nothing_is_tried_again_unless_it_is_asked_for(sessions: Sessions) -> None:
    for options, tried in (({}, 1), ({"attempts": 3, "retry_on": KeyError}, 1), ({"attempts": 2}, 2)):
        flaky = Flaky(9)
        Tools(sessions, {"f": flaky}, pause=0, **options).run("s", asks("openai", ("f", {})))  # type: ignore[arg-type]
        assert flaky.calls == tried


def test_a_function_that_changes_its_arguments_gets_them_anew(sessions: Sessions) -> None:
    seen: list[list[int]] = []

    def greedy(items: list[int]) -> int:
        seen.append(list(items))
        items.clear()
        if len(seen) == 1:
            raise OSError
        return len(seen)

    message = asks("anthropic", ("greedy", {"items": [1, 2]}))
    Tools(sessions, {"greedy": greedy}, attempts=2, pause=0).run("s", message)
    assert seen == [[1, 2], [1, 2]] and message["content"][1]["input"] == {"items": [1, 2]}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_can_not_be_called_is_answered_as_an_error(sessions: Sessions, shape: str) -> None:
    called: list[object] = []

    def book(room: str, *, nights: int = 1) -> None:
        called.append(room)

    tools = Tools(sessions, {"book": book}, attempts=3)
    message = asks(shape, ("cook", {}), ("book", {"rum": 1}), ("book", [1]), ("x" * 999 + "\ud800", {}))
    answer = json.dumps(tools.run("s", message))
    for text in ("there is no tool 'cook'; there are: book", "missing a required argument", "must be a JSON object"):
        assert text in answer
    assert not called
    assert [(e.status, e.error, e.attempt) for e in events(sessions)] == [
        ("error", "LookupError", None),
        ("error", "TypeError", None),
        ("error", "TypeError", None),
        ("error", "LookupError", None),
    ]


@pytest.mark.parametrize("arguments", ["{", "[1]", '{"x": NaN}', "[" * 100_000, "null"])
def test_arguments_that_are_no_json_object_are_answered_as_an_error(sessions: Sessions, arguments: str) -> None:
    message = asks("openai", ("f", {}))
    message["tool_calls"][0]["function"]["arguments"] = arguments
    (answer,) = Tools(sessions, {"f": lambda **given: given}).run("s", message)
    assert "must be a JSON object" in answer["content"]


def test_what_succeeded_may_be_used_again_for_the_same_arguments(sessions: Sessions) -> None:
    flaky, other = Flaky(1), Flaky(0)
    tools = Tools(sessions, {"flaky": flaky, "other": other}, cached=["flaky"])

    def ask(name: str, arguments: dict[str, Any]) -> Any:
        return tools.run("s", asks("strands", (name, arguments)))[0]["content"][0]["toolResult"]

    assert ask("flaky", {"a": 1, "b": {"c": 2, "d": 3}})["status"] == "error"  # not kept
    first = ask("flaky", {"a": 1, "b": {"c": 2, "d": 3}})
    first["content"][0]["json"]["call"] = "changed by the application"
    assert ask("flaky", {"b": {"d": 3, "c": 2}, "a": 1})["content"] == [
        {"json": {"call": 2, "a": 1, "b": {"c": 2, "d": 3}}}
    ]
    assert flaky.calls == 2
    for different in ({"a": 1.0, "b": {"c": 2, "d": 3}}, {"a": True, "b": {"c": 2, "d": 3}}, {"a": 1}):
        ask("flaky", different)
    assert flaky.calls == 5
    ask("other", {}), ask("other", {})
    assert other.calls == 2
    assert [e.data for e in events(sessions) if e.attempt is None] == [{"cached": True}]


def test_results_that_are_kept_are_bounded(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strands_session_store.tools.KEPT", 2)
    flaky = Flaky(0)
    tools = Tools(sessions, {"f": flaky}, cached=["f"])
    for x in (1, 2, 1, 3, 1, 2):  # 3 puts 2 out, which was used longest ago
        tools.run("s", asks("openai", ("f", {"x": x})))
    assert flaky.calls == 4


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    when: datetime


class Odd:
    def __init__(self, text: str | None) -> None:
        self.text = text

    def __str__(self) -> str:
        if self.text is None:
            raise OSError("can not be told")
        return self.text


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, None),
        ({"a": (1, 2), "b": {3}, "c": Decimal("1.50")}, {"a": [1, 2], "b": [3], "c": "1.50"}),
        (Point(1, datetime(2026, 1, 2, tzinfo=timezone.utc)), {"x": 1, "when": "2026-01-02T00:00:00Z"}),
        ([Colour.RED, b"\xff\x00"], ["red", "_wA="]),
        ({"x": float("inf"), "y": [float("nan")]}, {"x": "inf", "y": ["nan"]}),
        ([Odd("1/3")], [{"type": "Odd", "text": "1/3"}]),
        ({1: 2}, {"1": 2}),
    ],
)
def test_results_are_json(sessions: Sessions, value: Any, told: Any) -> None:
    (answer,) = Tools(sessions, {"f": lambda: value}).run("s", asks("openai", ("f", {})))
    assert json.loads(answer["content"]) == told


def test_a_result_that_can_not_be_told_is_an_error_and_no_second_try(sessions: Sessions) -> None:
    circle: list[Any] = []
    circle.append(circle)
    for value in (circle, Odd(None)):
        calls: list[int] = []
        tools = Tools(sessions, {"f": lambda: (calls.append(1), value)[1]}, attempts=3, pause=0)  # noqa: B023
        (answer,) = tools.run("s", asks("anthropic", ("f", {})))
        assert answer["content"][0]["is_error"] and calls == [1]
    assert [e.status for e in events(sessions)] == ["error", "error"]


@pytest.mark.parametrize("how", RUNS)
def test_errors_are_raised_where_that_is_asked_for_and_recorded_all_the_same(sessions: Sessions, how: str) -> None:
    error, after = ValueError("to the application"), Flaky(0)
    tools = Tools(sessions, {"fine": Flaky(0), "broken": Flaky(9, error), "after": after}, on_error="raise")
    with pytest.raises(ValueError, match="to the application") as caught:
        run(how, tools, "s", asks("openai", ("fine", {}), ("broken", {}), ("after", {})))
    assert caught.value is error and after.calls == 0
    assert [(e.name, e.status) for e in events(sessions)] == [("fine", "success"), ("broken", "error")]


@pytest.mark.parametrize("how", RUNS)
def test_one_read_and_one_commit_a_message(sessions: Sessions, how: str) -> None:
    counted = FaultyStore(sessions.store)
    tools = Tools(Sessions(counted), {"f": Flaky(2)}, attempts=3, pause=0)
    run(how, tools, "s", asks("openai", *[("f", {"x": at}) for at in range(5)]))
    assert (counted.count("read"), counted.count("commit")) == (1, 1)
    assert len(events(sessions)) == 7


@pytest.mark.parametrize("how", RUNS)
def test_nothing_is_run_before_all_that_is_given_was_found_good(sessions: Sessions, how: str) -> None:
    function = Flaky(0)
    tools = Tools(sessions, {"f": function})
    message = asks("openai", ("f", {}), ("f", {}))
    twice = copy.deepcopy(message)
    twice["tool_calls"][1]["id"] = "c0"
    mixed = {**asks("anthropic", ("f", {})), "tool_calls": message["tool_calls"]}
    nameless = copy.deepcopy(message)
    nameless["tool_calls"][1]["function"]["name"] = None
    custom = copy.deepcopy(message)
    custom["tool_calls"][1]["type"] = "custom"
    for args, options, error, named in (
        (("nowhere", message), {}, SessionNotFoundError, "nowhere"),
        (("s", message, "bob"), {}, SessionNotFoundError, "bob"),
        (("s", message), {"run_id": ""}, InvalidIdError, "run_id"),
        (("s", message), {"parent": "x" * 256}, ValueError, "parent"),
        (("s", twice), {}, ValueError, "one id"),
        (("s", mixed), {}, ValueError, "several shapes"),
        (("s", nameless), {}, ValueError, "name"),
        (("s", custom), {}, ValueError, "custom"),
        (("s", "a text"), {}, ValueError, "message"),
        (("s", asks("openai", *[("f", {})] * 1001)), {}, ValueError, "1,000 are the limit"),
    ):
        with pytest.raises(error, match=named):
            run(how, tools, *args, **options)  # type: ignore[arg-type]
    assert function.calls == 0 and not events(sessions)


@pytest.mark.parametrize("how", RUNS)
def test_where_events_can_not_be_stored_the_answers_are_not_lost(sessions: Sessions, how: str) -> None:
    faulty = FaultyStore(sessions.store)
    tools = Tools(Sessions(faulty), {"f": Flaky(0)})
    faulty.plan("commit", before=Unavailable("away"))
    with pytest.raises(ToolEventsError, match="away") as caught:
        run(how, tools, "s", asks("openai", ("f", {})))
    assert caught.value.answers == [{"role": "tool", "tool_call_id": "c0", "content": '{"call": 1}'}]
    faulty.plan("commit", before=Unavailable("away"))
    raising = Tools(Sessions(faulty), {"f": Flaky(9)}, on_error="raise")
    with pytest.raises(ConnectionError):
        run(how, raising, "s", asks("openai", ("f", {})))


def test_an_interrupted_call_is_recorded(sessions: Sessions) -> None:
    tools = Tools(sessions, {"fine": Flaky(0), "stop": Flaky(9, KeyboardInterrupt())}, attempts=3)
    with pytest.raises(KeyboardInterrupt):
        tools.run("s", asks("openai", ("fine", {}), ("stop", {})))
    assert [(e.name, e.status, e.error) for e in events(sessions)] == [
        ("fine", "success", None),
        ("stop", "cancelled", "KeyboardInterrupt"),
    ]


@pytest.mark.parametrize("kind", ["async", "thread"])
def test_a_cancelled_task_records_what_was_tried(sessions: Sessions, kind: str) -> None:
    begun, let_go = threading.Event(), threading.Event()

    async def waits() -> None:
        begun.set()
        await asyncio.sleep(60)

    def blocks() -> None:
        begun.set()
        let_go.wait(60)

    functions: dict[str, Callable[..., Any]] = {"fine": Flaky(0), "slow": waits if kind == "async" else blocks}

    async def cancelled() -> None:
        tools = Tools(sessions, functions)
        task = asyncio.create_task(tools.run_async("s", asks("openai", ("fine", {}), ("slow", {}))))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        let_go.set()

    asyncio.run(cancelled())
    assert [(e.name, e.status) for e in events(sessions)] == [("fine", "success"), ("slow", "cancelled")]


@pytest.mark.parametrize("how", RUNS)
def test_a_function_that_ends_an_iteration_has_failed(sessions: Sessions, how: str) -> None:
    (answer,) = run(how, Tools(sessions, {"f": lambda: next(iter([]))}), "s", asks("openai", ("f", {})))
    assert "StopIteration" in json.loads(answer["content"])["error"]


def test_an_event_loop_is_not_waited_for_in_itself(sessions: Sessions) -> None:
    async def later() -> str:
        return "later"

    class Later:
        async def __call__(self) -> str:
            return "later"

    async def wrong(function: Callable[[], Any]) -> None:
        Tools(sessions, {"later": function}).run("s", asks("openai", ("later", {})))

    for function in (later, Later()):
        with pytest.raises(RuntimeError, match="await run_async"):
            asyncio.run(wrong(function))
    assert not events(sessions)
    for how in RUNS:
        assert run(how, Tools(sessions, {"l": Later()}), "s", asks("openai", ("l", {})))[0]["content"] == "later"


def test_a_sync_function_may_have_a_loop_of_its_own(sessions: Sessions) -> None:
    async def inner() -> str:
        return "inner"

    for how in RUNS:
        tools = Tools(sessions, {"f": lambda: asyncio.run(inner())})
        assert run(how, tools, "s", asks("openai", ("f", {})))[0]["content"] == "inner"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"functions": {"f": 7}}, r"functions\['f'\]"),
        ({"attempts": 0}, "attempts"),
        ({"attempts": 11}, "attempts"),
        ({"pause": -1}, "pause"),
        ({"cached": ["g"]}, "cached"),
        ({"cached": "f"}, "cached"),
        ({"on_error": "tell"}, "on_error"),
    ],
)
def test_options_out_of_range_are_named(sessions: Sessions, options: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Tools(sessions, **{"functions": {"f": str}, **options})
