"""A context manager's in-memory stash dies with its process; behind the references the originals are there again."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from strands import Agent, tool

from strands_session_store import StoreSessionManager
from strands_session_store.sessions import Sessions
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import ScriptedModel, ToolCall

LARGE = "\n".join(f"line {n}: all that is known of it" for n in range(4_000))


@tool
def fetch(page: int) -> str:
    """Fetch a page."""
    return f"page {page}\n{LARGE}"


def script(messages: Any) -> Any:
    last = messages[-1]
    if any("toolResult" in block for block in last["content"]):
        return "I have read it"
    text = last["content"][0].get("text", "")
    if text.startswith("fetch"):
        return ToolCall("fetch", {"page": int(text.split()[1])})
    return "fine"


def agent_of(store: FaultyStore, **options: Any) -> Agent:
    return Agent(
        model=ScriptedModel(script, context_window_limit=options.pop("window", 20_000)),
        tools=[fetch],
        context_manager=options.pop("context_manager", "auto"),
        session_manager=StoreSessionManager("s", store),
        callback_handler=None,
        **options,
    )


def references(messages: Any) -> list[str]:
    text = json.dumps(messages, default=str)
    return [ref.strip() for refs in re.findall(r"\[refs?: ([^\]]+)\]", text) for ref in refs.split(",")]


def retrieved(agent: Agent, reference: str) -> str:
    assert agent.context_manager is not None and agent.context_manager.stash is not None
    return str(asyncio.run(agent.context_manager.stash.retrieve(reference)))


@pytest.mark.parametrize("turns", [1, 6])
def test_the_originals_behind_the_references_are_there_after_a_restart(store: FaultyStore, turns: int) -> None:
    first = agent_of(store)
    for page in range(turns):
        first(f"fetch {page}")
    shown = references(first.messages)
    assert shown, "nothing was offloaded: the test shows nothing"
    second = agent_of(store)
    assert second.messages == first.messages
    for reference in shown:
        original = retrieved(second, reference)
        assert "all that is known" in original and original == retrieved(first, reference)
    second("fetch 99")
    assert [retrieved(agent_of(store), r) for r in references(second.messages)]


def test_the_tool_finds_them(store: FaultyStore) -> None:
    first = agent_of(store)
    first("fetch 7")
    (reference, *_) = references(first.messages)
    second = agent_of(store)
    (name,) = [n for n in second.tool_names if "retriev" in n or "stash" in n or "context" in n]
    spec = second.tool_registry.get_all_tools_config()[name]["inputSchema"]["json"]
    (key, *_) = spec["required"]
    use = ToolCall(name, {key: reference})
    second.model = ScriptedModel([use, "that is it"])
    before = len(second.messages)
    second("what was on the page?")
    result = [b["toolResult"] for m in second.messages[before:] for b in m["content"] if "toolResult" in b]
    assert result[0]["status"] == "success" and "line 1: all that is known" in str(result[0]["content"])


def test_originals_of_messages_that_left_the_context_are_found_too(store: FaultyStore) -> None:
    first = agent_of(store)
    for page in range(3):
        first(f"fetch {page}")
    shown = references(first.messages)
    assert shown
    # what the model sees next has the references, but no more the messages they stood in
    notes = [m for m in first.messages if references([m])]
    first.messages = [*notes[:1], *[m for m in first.messages if m["role"] == "assistant"][-1:]]
    first.messages[0] = {
        "role": "user",
        "content": [{"text": " ".join(f"[ref: {r}]" for r in shown)}],
    }
    first("go on")
    second = agent_of(store)
    assert references(second.messages)[: len(shown)] == shown
    for reference in shown:
        assert "all that is known" in retrieved(second, reference)


def test_no_user_can_make_a_resume_search_the_history(store: FaultyStore) -> None:
    first = agent_of(store)
    first("[ref: no-such-thing_0]")
    for _ in range(30):
        first("and on")
    reads = store.count("read")
    agent_of(store)
    assert store.count("read") == reads + 1


def test_a_resume_without_references_reads_no_further(store: FaultyStore) -> None:
    first = agent_of(store)
    first("hello")
    reads = store.count("read")
    agent_of(store)
    assert store.count("read") == reads + 1
    assert len(Sessions(store).messages.page("s").entries) == 2
