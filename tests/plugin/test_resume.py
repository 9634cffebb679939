"""What comes back beside the messages: interrupts, model state, state set late; in another process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from strands import Agent, ToolContext, tool
from strands.hooks import AfterInvocationEvent, HookOrder

from strands_session_store import StoreSessionManager, layout, open_store
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Store, Trim
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
        history = [e.message for e in Sessions(store).history("s", "default").entries.values()]
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
    said = [e.message["content"][0]["text"] for e in Sessions(store).history("s", "default").entries.values()]
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
    assert list(Sessions(store).history("s", "default").entries) == list(range(2, 8))


def test_what_code_says_of_the_system_prompt_wins(store: Store) -> None:
    agent_of(store, ["fine"], system_prompt="as it was")("hello")
    second = agent_of(store, ["fine"], system_prompt="as it is now")
    second("hello")
    assert isinstance(second.model, ScriptedModel)
    assert second.model.calls[0].system_prompt == "as it is now"
