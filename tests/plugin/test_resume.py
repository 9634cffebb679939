"""What comes back beside the messages: interrupts, model state, state set late; in another process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from strands import Agent, ToolContext, tool
from strands.agent.conversation_manager import SlidingWindowConversationManager
from strands.hooks import AfterInvocationEvent, HookOrder

from strands_session_store import ConflictError, StoreSessionManager, Unavailable, layout, open_store
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Store, Trim
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import ScriptedModel, ToolCall

from .children import Parent


@pytest.fixture
def store() -> Iterator[Store]:
    with open_store("memory://") as opened:
        yield opened


@tool(context=True)
def ask(tool_context: ToolContext) -> str:
    """Ask."""
    return f"they said {tool_context.interrupt('approval', reason='may I')}"


def agent_of(store: Store, script: Any, **options: Any) -> Agent:
    model = ScriptedModel(script, stateful=options.pop("stateful", False))
    manager = StoreSessionManager("s", store)
    return Agent(model=model, tools=[ask], session_manager=manager, callback_handler=None, **options)


def test_an_interrupt_is_answered_in_another_process(processes: Parent, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/interrupt.db"
    asking = processes.start("interrupted", url=url, session="s")
    (interrupt,) = asking.hear()
    asking.kill()
    answering = processes.start("answer", url=url, session="s", interrupt=interrupt)
    messages = answering.hear()
    assert answering.ended() == 0
    assert [m["role"] for m in messages] == ["user", "assistant", "user", "assistant"]
    assert "they said yes" in str(messages[2]) and messages[3]["content"] == [{"text": "done"}]
    with open_store(url) as store:
        history = [e.message for e in Sessions(store).messages.page("s").entries.values()]
        assert history == messages


def test_interrupts_survive_several_restarts_unanswered(store: Store) -> None:
    first = agent_of(store, [ToolCall("ask")])
    (interrupt,) = first("go").interrupts
    for _ in range(3):
        again = agent_of(store, ["done"])
        assert again.messages == first.messages
        assert again._interrupt_state.to_dict() == first._interrupt_state.to_dict()
    again([{"interruptResponse": {"interruptId": interrupt.id, "response": "no"}}])
    assert "they said no" in str(again.messages)
    assert not agent_of(store, [])._interrupt_state.activated


def test_a_stateful_model_gets_its_state_back_and_its_messages_are_recorded(store: Store) -> None:
    first = agent_of(store, ["one", "two"], stateful=True)
    first("hello"), first("again")
    assert first.messages == [] and first._model_state
    second = agent_of(store, ["three"], stateful=True)
    assert second.messages == [] and second._model_state == first._model_state
    second("and again")
    assert isinstance(second.model, ScriptedModel)
    assert second.model.calls[0].model_state == first._model_state
    said = [e.message["content"][0]["text"] for e in Sessions(store).messages.page("s").entries.values()]
    assert said == ["hello", "one", "again", "two", "and again", "three"]


@pytest.mark.parametrize("order", [HookOrder.SDK_FIRST, HookOrder.DEFAULT, HookOrder.SDK_LAST - 1])
def test_state_set_by_a_hook_at_the_end_of_the_turn_is_stored(store: Store, order: int) -> None:
    first = agent_of(store, ["fine"])
    first.hooks.add_callback(AfterInvocationEvent, lambda event: event.agent.state.set("late", 1), order=order)
    first("hello")
    assert agent_of(store, []).state.get("late") == 1


def test_state_set_behind_our_last_hook_is_stored_by_the_next_turn_or_flush(store: Store) -> None:
    first = agent_of(store, lambda messages: "fine")
    first("hello")
    first.state.set("between", 1)
    first("again")
    assert agent_of(store, []).state.get("between") == 1
    first = agent_of(store, lambda messages: "fine")
    first.state.delete("between")
    assert first._session_manager is not None
    first._session_manager.flush()
    assert agent_of(store, []).state.get() == {}


def test_state_may_be_replaced(store: Store) -> None:
    from strands.agent.state import AgentState

    first = agent_of(store, lambda messages: "fine", state={"a": 1})
    first("hello")
    first.state = AgentState({"b": 2})
    first("again")
    assert agent_of(store, []).state.get() == {"b": 2}


def test_what_an_application_erased_is_left_out(store: Store) -> None:
    first = agent_of(store, lambda messages: "fine")
    for prompt in ("one", "two", "three"):
        first(prompt)
    space = layout.session_space("s", None)
    store.commit(space, Trim(layout.history("default"), 2), commit_id="erase")
    second = agent_of(store, lambda messages: "fine")
    assert second.messages == first.messages[2:]
    second("four")
    assert agent_of(store, []).messages == second.messages
    assert list(Sessions(store).messages.page("s").entries) == list(range(2, 8))


def test_what_code_says_of_the_system_prompt_wins(store: Store) -> None:
    agent_of(store, ["fine"], system_prompt="as it was")("hello")
    second = agent_of(store, ["fine"], system_prompt="as it is now")
    second("hello")
    assert isinstance(second.model, ScriptedModel)
    assert second.model.calls[0].system_prompt == "as it is now"


def test_an_agent_new_to_its_session_is_built_without_reading_when_loaded_ahead(store: Store) -> None:
    faulty = FaultyStore(store)
    agent_of(faulty, ["fine"])("hello")

    async def main() -> None:
        manager = await StoreSessionManager.open("s", faulty, agent_ids=["other"])
        reads = faulty.count("read")
        Agent(model=ScriptedModel([]), agent_id="other", session_manager=manager, callback_handler=None)
        assert faulty.count("read") == reads

    asyncio.run(main())


def test_a_session_deleted_under_an_agent_that_has_to_read_on_is_a_conflict(store: Store) -> None:
    """A snapshot from before the resume was loaded: what the resume left out is looked up, and is no longer there."""

    def agent() -> Agent:
        return agent_of(store, lambda messages: "fine", conversation_manager=SlidingWindowConversationManager(2))

    first = agent()
    first("one")
    early = [dict(message) for message in first.messages]
    for _ in range(30):
        first("more")
    again = agent()
    again.messages[:] = early  # type: ignore[assignment]
    Sessions(store).delete("s")
    with pytest.raises(ConflictError, match="deleted"):
        again("go on")


def resumed_long(store: Store, **options: Any) -> tuple[Agent, list[Any], int]:
    """An agent whose resume left most of the history out, the first messages of it, and its length."""

    def agent(**options: Any) -> Agent:
        manager = StoreSessionManager("s", store, **options)
        window = SlidingWindowConversationManager(2)
        model = ScriptedModel(lambda messages: "fine")
        return Agent(model=model, session_manager=manager, conversation_manager=window, callback_handler=None)

    first = agent()
    first("one")
    early = [dict(message) for message in first.messages]
    for _ in range(30):
        first("more")
    return agent(**options), early, Sessions(store).messages.page("s").length


def test_old_messages_that_a_hook_brings_back_behind_a_run_are_not_said_again(store: Store) -> None:
    agent, early, length = resumed_long(store)
    agent.hooks.add_callback(AfterInvocationEvent, lambda event: agent.messages.__setitem__(slice(None), early))
    agent("go on")
    history = Sessions(store).messages.page("s", limit=1000)
    ids = [entry.message["tracking_id"] for entry in history.entries.values()]
    assert len(set(ids)) == len(ids) == length + 2


@pytest.mark.parametrize("durability", ["background", "turn"])
def test_a_turn_that_does_not_wait_for_the_store_does_not_fail_with_its_reads(store: Store, durability: Any) -> None:
    faulty = FaultyStore(store)
    agent, early, length = resumed_long(faulty, durability=durability)
    agent.messages[:] = early
    faulty.plan("read", before=Unavailable("down"), times=None)
    agent("go on")
    faulty.heal()
    agent("and on")
    history = Sessions(store).messages.page("s", limit=1000)
    ids = [entry.message["tracking_id"] for entry in history.entries.values()]
    assert len(set(ids)) == len(ids) == length + 4 and history.entries[length].message["content"] == [{"text": "go on"}]


def test_a_prompt_with_an_id_has_the_history_read_unless_it_is_known_to_be_new(store: Store) -> None:
    faulty = FaultyStore(store)
    agent, _, length = resumed_long(faulty)
    session_manager = agent._session_manager
    assert isinstance(session_manager, StoreSessionManager)

    def asked(id: str) -> int:
        """How many reads it takes."""
        before = faulty.count("read")
        agent([{"role": "user", "content": [{"text": "go on"}], "tracking_id": id}])
        return faulty.count("read") - before

    session_manager.expect("new", "other")
    without = asked("new")
    assert asked("other") == without
    assert asked("unknown") == without + 1
    history = Sessions(store).messages.page("s", limit=1000)
    ids = [entry.message["tracking_id"] for entry in history.entries.values()]
    assert ids[length::2] == ["new", "other", "unknown"] and len(set(ids)) == len(ids) == length + 6
