"""Runs, tool calls and counters: what is known of an invocation beside its messages."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from typing import Any

import pytest
from strands import Agent, ToolContext, tool
from strands.hooks import AfterToolCallEvent, BeforeInvocationEvent, BeforeToolCallEvent, MessageAddedEvent

from strands_session_store import StoreSessionManager, Unavailable, open_store
from strands_session_store.records import Event, Run, Usage
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Store
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import Reply, ScriptedModel, ToolCall


@tool
def look(at: str = "here") -> str:
    """Look."""
    return f"seen {at}"


@tool
def fail() -> str:
    """Fail."""
    raise LookupError("nothing to be seen")


@tool(context=True)
def ask(tool_context: ToolContext) -> str:
    """Ask."""
    return f"they said {tool_context.interrupt('approval', reason='may I')}"


@pytest.fixture
def store() -> Iterator[Store]:
    with open_store("memory://") as opened:
        yield opened


def agent_of(store: Store, script: Any, **options: Any) -> Agent:
    manager = StoreSessionManager("s", store)
    return Agent(
        model=ScriptedModel(script),
        tools=[look, fail, ask],
        session_manager=manager,
        callback_handler=None,
        retry_strategy=None,
        **options,
    )


def runs(store: Store) -> list[Run]:
    found = Sessions(store)
    assert found.runs.active("s") == (), "the document of an open run is gone when it has ended"
    return list(found.runs.list("s").entries.values())


def events(store: Store) -> list[Event]:
    return list(Sessions(store).events.list("s").entries.values())


def test_a_run_has_its_times_its_messages_and_the_sum_of_their_usage(store: Store) -> None:
    use = {"inputTokens": 10, "outputTokens": 3, "totalTokens": 13, "cacheReadInputTokens": 7}
    agent = agent_of(store, ["hi", Reply(tools=[ToolCall("look")], usage=use), Reply("done", usage=use)])
    agent("hello")
    began = time.time()
    agent("look")
    ended = time.time()
    first, second = runs(store)
    assert (second.status, second.stop_reason, second.agent_id) == ("completed", "end_turn", "default")
    assert second.ended is not None and began - 0.01 <= second.started <= second.ended <= ended + 0.01
    assert (first.first_message, first.messages, second.first_message, second.messages) == (0, 2, 2, 4)
    took = {"input_tokens": 20, "output_tokens": 6, "cache_read_input_tokens": 14}
    assert second.usage == Usage(**took, calls=2, unpriced=2) and second.model == "scripted"
    assert second.error is None and first.run_id != second.run_id


def test_a_run_is_a_document_while_it_is_open(store: Store) -> None:
    seen: list[Any] = []
    agent = agent_of(store, ["hi"])
    sessions = Sessions(store)
    agent.hooks.add_callback(MessageAddedEvent, lambda event: seen.append(sessions.runs.active("s")))
    agent("hello")
    assert [[run.status for run in open] for open in seen] == [["open"], ["open"]]
    (run,) = runs(store)
    assert seen[0][0].run_id == run.run_id and sessions.get("s").counters["runs"] == 1


def test_an_interrupted_run_and_the_one_that_goes_on(store: Store) -> None:
    result = agent_of(store, [ToolCall("ask")])("go")
    assert [r.status for r in runs(store)] == ["interrupted"]
    (interrupt,) = result.interrupts
    other = agent_of(store, ["thank you"])
    other([{"interruptResponse": {"interruptId": interrupt.id, "response": "yes"}}])
    assert [r.status for r in runs(store)] == ["interrupted", "completed"]
    assert "they said yes" in str(other.messages)


def test_a_failed_run_names_its_error(store: Store) -> None:
    agent = agent_of(store, [RuntimeError("the model is down " + "x" * 1000), "hi"])
    with pytest.raises(RuntimeError):
        agent("hello")
    (run,) = runs(store)
    assert run.status == "failed" and run.error is not None
    assert run.error.startswith("RuntimeError: the model is down") and len(run.error) <= 500
    agent("again")
    assert [r.status for r in runs(store)] == ["failed", "completed"]


def test_a_run_cancelled_by_the_agent_or_by_its_task(store: Store) -> None:
    agent = agent_of(store, [ToolCall("look"), "never said"])
    agent.hooks.add_callback(BeforeToolCallEvent, lambda event: agent.cancel())
    agent("go")
    agent.model = model = ScriptedModel([Reply("slow", delay=60), "hi"])

    async def cancelled() -> None:
        task = asyncio.create_task(agent.invoke_async("go on"))
        while not model.calls:  # or it is the next call that gets the slow reply
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    agent("hello")
    assert [r.status for r in runs(store)] == ["cancelled", "cancelled", "completed"]


def test_a_run_whose_end_is_never_seen_is_abandoned_at_the_next(store: Store) -> None:
    agent = agent_of(store, lambda messages: "hi")
    raised: list[bool] = []

    def fail_once(event: BeforeInvocationEvent) -> None:
        if not raised:
            raised.append(True)
            raise RuntimeError("a hook of the application")

    agent.hooks.add_callback(BeforeInvocationEvent, fail_once)
    with pytest.raises(RuntimeError):
        agent("hello")
    agent("hello")
    assert [r.status for r in runs(store)] == ["abandoned", "completed"]
    assert runs(store)[0].messages == 0 and runs(store)[0].first_message is None


def test_a_run_left_open_by_a_dead_process_is_closed_by_the_next(store: Store) -> None:
    faulty = FaultyStore(store)
    dead = agent_of(faulty, ["hi"])
    faulty.plan("commit", at=2, before=Unavailable("the process was killed behind its first commit"), times=None)
    with pytest.raises(Exception, match="was killed"):
        dead("go")
    assert len(Sessions(store).runs.active("s")) == 1
    agent_of(store, ["hello"])("go on")
    assert [(r.status, r.first_message) for r in runs(store)] == [("abandoned", None), ("completed", 1)]


def test_an_agent_called_where_an_error_is_being_handled_has_not_failed(store: Store) -> None:
    agent = agent_of(store, ["hi"])

    async def recover() -> None:
        try:
            raise ValueError("of the application")
        except ValueError:
            await agent.invoke_async("hello")

    asyncio.run(recover())
    assert [(r.status, r.error) for r in runs(store)] == [("completed", None)]


def test_tool_calls_are_events_with_what_is_known_of_them(store: Store) -> None:
    calls = [
        ToolCall("look", {"at": "the sea"}, id="use-1"),
        ToolCall("fail", id="use-2"),
        ToolCall("gone", id="use-3"),
    ]
    agent = agent_of(store, [calls, "done"])
    agent("go")
    (run,) = runs(store)
    asking = agent.messages[1]
    found = {event.tool_use_id: event for event in events(store)}
    assert len(events(store)) == len(found) == 3
    for event in found.values():
        assert event.type == "tool_call" and event.run_id == run.run_id and event.agent_id == "default"
        assert event.parent == asking["tracking_id"] and event.attempt == 1
    assert (found["use-1"].name, found["use-1"].status, found["use-1"].error) == ("look", "success", None)
    assert found["use-1"].milliseconds is not None and 0 <= found["use-1"].milliseconds < 10_000
    assert (found["use-2"].status, found["use-2"].error) == ("error", "LookupError")
    assert (found["use-3"].name, found["use-3"].status) == ("gone", "error")


def test_a_tool_call_tried_again_is_another_attempt(store: Store) -> None:
    agent = agent_of(store, [ToolCall("fail", id="use-1"), "done", ToolCall("fail", id="use-1"), "done"])
    tries: list[int] = []

    def retry(event: AfterToolCallEvent) -> None:
        tries.append(1)
        event.retry = len(tries) < 3

    agent.hooks.add_callback(AfterToolCallEvent, retry)
    agent("go")
    assert [(e.attempt, e.status) for e in events(store)] == [(1, "error"), (2, "error"), (3, "error")]
    agent("go")  # a use id of an earlier run
    assert [e.attempt for e in events(store)] == [1, 2, 3, 1]


def test_a_tool_call_cancelled_by_a_hook(store: Store) -> None:
    agent = agent_of(store, [ToolCall("look", id="use-1"), "done"])

    def cancel(event: BeforeToolCallEvent) -> None:
        event.cancel_tool = "not today"

    agent.hooks.add_callback(BeforeToolCallEvent, cancel)
    agent("go")
    assert [(e.status, e.error) for e in events(store)] == [("cancelled", None)]


def test_a_direct_tool_call_is_stored_without_a_run(store: Store) -> None:
    agent = agent_of(store, ["hi"])
    agent.tool.look(at="the sky")
    assert Sessions(store).get("s").counters["messages"] == len(agent.messages) > 0
    assert runs(store) == [] and all(e.run_id is None for e in events(store))
    agent("hello")
    assert [r.status for r in runs(store)] == ["completed"]


def test_counters_add_up_over_agents_and_processes(store: Store) -> None:
    full = {
        "inputTokens": 100,
        "outputTokens": 10,
        "totalTokens": 110,
        "cacheReadInputTokens": 50,
        "cacheWriteInputTokens": 20,
    }
    part = {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}
    agent_of(store, [Reply("a", usage=full)])("one")
    agent_of(store, [Reply("b", usage=part)])("two")
    agent_of(store, [Reply("c", usage=full)], agent_id="other")("three")
    agent = agent_of(store, ["x"])
    agent.messages.append({"role": "user", "content": [{"text": "no metadata at all"}]})
    agent.messages.append({"role": "assistant", "content": [{"text": "none either"}]})
    assert agent._session_manager is not None
    agent._session_manager.close()
    assert Sessions(store).get("s").counters == {
        "messages": 8,
        "runs": 3,
        "input_tokens": 201 + math.ceil(len("no metadata at all") / 4),
        "output_tokens": 22 + math.ceil(len("none either") / 4),
        "cache_read_input_tokens": 100,
        "cache_write_input_tokens": 40,
        "calls": 4,
        "estimated": 1,
        "unpriced": 4,
        "cost": 0,
    }
    assert [r.usage.cache_read_input_tokens for r in runs(store)] == [50, None, 50]


@pytest.mark.parametrize("tokens", ["n/a", float("nan"), float("inf"), 2**63, -1, [1], None])
@pytest.mark.parametrize("where", ["tokens", "usage", "metadata"])
def test_metadata_that_is_no_usage_is_stored_and_not_counted(store: Store, tokens: Any, where: str) -> None:
    """A message that could not be counted was taken for stored, and the session was wedged by its missing index."""
    manager = StoreSessionManager("s", store)
    agent = Agent(model=ScriptedModel(lambda messages: "fine"), session_manager=manager, callback_handler=None)
    agent("hello")
    before = dict(Sessions(store).get("s").counters)
    odd: Any = {"tokens": {"usage": {"inputTokens": tokens}}, "usage": {"usage": tokens}, "metadata": tokens}[where]
    agent.messages.append({"role": "user", "content": [{"text": "x"}], "metadata": odd})
    manager.flush()
    assert len(Sessions(store).messages.page("s").entries) == 3
    assert Sessions(store).get("s").counters == {**before, "messages": 3}
    agent("go on")
