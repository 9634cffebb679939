"""A BidiAgent's transcripts: reserved when they begin, replaced when they are complete, back after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from strands import Agent, tool
from strands.bidi import BidiAgent
from strands.bidi.models.model import BidiModel, ConnectionTimeoutError
from strands.bidi.types.events import (
    BidiResponseStartEvent,
    BidiResponseStopEvent,
    BidiToolUseBlocksEvent,
    BidiTranscriptDeltaEvent,
    BidiTranscriptStartEvent,
    BidiTranscriptStopEvent,
)

from strands_session_store import StoreSessionManager, Unavailable
from strands_session_store.sessions import Sessions
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import ScriptedModel


class Talking(BidiModel):
    """Says what it is told to; an exception in the script is raised by the connection."""

    def __init__(self, script: list[Any]) -> None:
        self.script, self.replayed, self.sent = list(script), [], []  # type: ignore[var-annotated]

    def update_config(self, **config: Any) -> None: ...

    def get_config(self) -> Any:
        return {"model_id": "talking"}

    async def start(self, system_prompt: Any = None, tools: Any = None, messages: Any = None, **kwargs: Any) -> None:
        self.replayed.append(list(messages or []))

    async def stop(self) -> None: ...

    async def send(self, content: Any) -> None:
        self.sent.append(content)

    async def receive(self) -> AsyncIterator[Any]:
        while self.script:
            event = self.script.pop(0)
            if isinstance(event, Exception):
                raise event
            yield event
        await asyncio.Event().wait()


def spoken(role: Any, text: str, id: str) -> list[Any]:
    start = BidiTranscriptStartEvent(role, id)
    return [start, BidiTranscriptDeltaEvent(text, role, id), BidiTranscriptStopEvent(role, id)]


END = BidiResponseStopEvent("r")


def said(store: FaultyStore) -> list[Any]:
    return [entry.message for entry in Sessions(store).messages.page("s").entries.values()]


async def talk(agent: BidiAgent, ends: int = 1) -> None:
    """Until the model has ended this many responses."""
    await agent.start()
    try:
        async for event in agent.receive():
            if event.get("type") == "bidi_response_stop":
                ends -= 1
                if not ends:
                    return
    finally:
        await agent.stop()


def agent_of(store: FaultyStore, script: list[Any], tools: Any = (), **options: Any) -> BidiAgent:
    manager = StoreSessionManager("s", store, **options)
    return BidiAgent(model=Talking(script), tools=list(tools), session_manager=manager)


@pytest.mark.parametrize("durability", ["message", "background", "turn"])
def test_transcripts_take_the_place_that_was_kept_for_them(store: FaultyStore, durability: Any) -> None:
    """The user's transcript begins first and ends last."""
    user, answer = spoken("user", "hello there", "1"), spoken("assistant", "good day", "2")
    script = [user[0], BidiResponseStartEvent("r"), *answer, *user[1:], END]

    async def main() -> BidiAgent:
        agent = agent_of(store, script, durability=durability)
        agent.state.set("mood", "fine")
        await talk(agent)
        return agent

    agent = asyncio.run(main())
    assert [m["content"] for m in said(store)] == [[{"text": "hello there"}], [{"text": "good day"}]]
    assert said(store) == agent.messages and [m["role"] for m in said(store)] == ["user", "assistant"]
    assert Sessions(store).get("s").counters["messages"] == 2

    async def resume() -> None:
        again = agent_of(store, [BidiResponseStartEvent("r"), *spoken("assistant", "welcome back", "1"), END])
        assert again.messages == agent.messages and again.state.get("mood") == "fine"
        await talk(again)
        assert [m["content"] for m in again.model.replayed[0]] == [m["content"] for m in agent.messages]
        assert said(store) == again.messages and len(again.messages) == 3

    asyncio.run(resume())


def test_a_placeholder_is_stored_when_the_process_ends_before_its_text(store: FaultyStore) -> None:
    async def main() -> None:
        agent = agent_of(store, [])
        agent.model.script = [spoken("user", "lost", "1")[0], *spoken("assistant", "kept", "2"), END]
        await agent.start()
        async for event in agent.receive():
            if event.get("type") == "bidi_response_stop":
                break
        assert [m.get("tracking_id") for m in said(store)] == [m["tracking_id"] for m in agent.messages]
        before = list(agent.messages)
        again = agent_of(store, [])  # as another process would find it
        assert again.messages == before
        await agent.stop()

    asyncio.run(main())


@pytest.mark.parametrize("durability", ["message", "turn"])
def test_state_set_between_messages_is_stored_at_a_restart_of_the_connection(
    store: FaultyStore, durability: Any
) -> None:
    seen: list[Any] = []

    async def main() -> None:
        script = [
            *spoken("user", "one", "1"),
            ConnectionTimeoutError("8 minutes"),
            *spoken("assistant", "two", "2"),
            END,
        ]
        agent = agent_of(store, script, durability=durability)
        await agent.start()
        try:
            async for event in agent.receive():
                kind = event.get("type")
                if kind == "bidi_transcript_block":
                    agent.state.set("turns", (agent.state.get("turns") or 0) + 1)
                if kind == "bidi_connection_restart":
                    (overview,) = Sessions(store).agents("s")
                    seen.append(overview.agent.state)
                if kind == "bidi_response_stop":
                    break
        finally:
            await agent.stop()
        assert said(store) == agent.messages

    asyncio.run(main())
    assert seen == [{"turns": 1}]
    (overview,) = Sessions(store).agents("s")
    assert overview.agent.state == {"turns": 2}


@pytest.mark.parametrize("by_agent", [False, True])
def test_tool_calls_of_a_conversation_are_messages_and_events(store: FaultyStore, by_agent: bool) -> None:
    @tool
    def look() -> str:
        """Look."""
        return "seen"

    looking: Any = look
    if by_agent:
        looking = Agent(model=ScriptedModel(["seen"]), name="look", callback_handler=None).as_tool()
    use: Any = {"toolUseId": "use-1", "name": "look", "input": {"input": "look"} if by_agent else {}}

    async def main() -> BidiAgent:
        agent = agent_of(store, [BidiToolUseBlocksEvent([use])], [looking], sub_sessions=True)
        await agent.start()

        async def listen() -> None:
            async for _ in agent.receive():
                pass

        listening = asyncio.create_task(listen())
        try:
            for _ in range(20_000):
                if agent.model.sent:
                    break
                await asyncio.sleep(0.001)
        finally:
            await agent.stop()
            listening.cancel()
        return agent

    agent = asyncio.run(main())
    assert said(store) == agent.messages and "seen" in str(agent.messages)
    (event,) = Sessions(store).events.list("s").entries.values()
    assert (event.name, event.tool_use_id, event.status, event.run_id) == ("look", "use-1", "success", None)
    below = [node.session.session_id for node in Sessions(store).children("s")]
    assert below == ([event.data["session_id"]] if by_agent else [])
    assert all(Sessions(store).messages.page(id).length == 2 for id in below)


def test_a_stop_that_can_not_be_stored_says_so_and_keeps_it(store: FaultyStore) -> None:
    async def main() -> Any:
        agent = agent_of(store, [*spoken("user", "hello", "1"), END])
        await agent.start()
        async for event in agent.receive():
            if event.get("type") == "bidi_response_stop":
                break
        agent.state.set("late", True)
        store.plan("commit", before=Unavailable("down"))
        with pytest.raises(Unavailable):
            await agent.stop()
        return agent

    agent = asyncio.run(main())
    agent._session_manager.close()
    (overview,) = Sessions(store).agents("s")
    assert overview.agent.state == {"late": True}
