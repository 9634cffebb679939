"""Single cases of the exact restore: what random conversations have found, and what the design names."""

from __future__ import annotations

import asyncio
import copy
import logging
from typing import Any

import pytest
from strands import Agent, ToolContext, tool
from strands.agent import _continuation
from strands.agent.conversation_manager import (
    NullConversationManager,
    SlidingWindowConversationManager,
    SummarizingConversationManager,
)
from strands.hooks import AfterInvocationEvent, BeforeModelCallEvent, HookOrder, MessageAddedEvent
from strands.types.exceptions import ContextWindowOverflowException

from strands_session_store import StoreSessionManager, codec, context, layout, records
from strands_session_store.plugin.repair import LOST
from strands_session_store.stores.base import Log
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import Reply, ScriptedModel, ToolCall

from .agents import small_presets


@tool
def long() -> str:
    """Returns much."""
    return "0123456789" * 60


@tool(context=True)
def ask(tool_context: ToolContext) -> str:
    """Asks a human."""
    return f"they said {tool_context.interrupt('question')}"


class Conversation:
    """Agents on one store; each `agent` is a new process."""

    def __init__(self) -> None:
        self.store = FaultyStore(MemoryStore())

    def agent(self, *script: Any, stateful: bool = False, **options: Any) -> Agent:
        options.setdefault("conversation_manager", NullConversationManager())
        if "context_manager" in options or stateful:
            del options["conversation_manager"]
        self.manager = StoreSessionManager("s", self.store)
        return Agent(
            model=ScriptedModel(script, stateful=stateful, context_window_limit=400),
            aux_model=ScriptedModel(lambda messages: "a summary"),
            session_manager=self.manager,
            tools=[long, ask],
            callback_handler=None,
            retry_strategy=None,
            **options,
        )

    def history(self) -> list[Any]:
        log = layout.history("default")
        entries = self.store.read(layout.session_space("s", None), Log(log, spans=[(0, None)])).logs[log].entries
        assert list(entries) == list(range(len(entries)))
        return [codec.load(records.Message, data, log).message for data in entries.values()]

    def said(self) -> list[str]:
        return [_text(message) for message in self.history()]


def _text(message: Any) -> str:
    block = message["content"][0]
    return str(block["text"]) if "text" in block else next(iter(block))


@pytest.fixture
def talk() -> Conversation:
    return Conversation()


@pytest.fixture
def nearby(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resume reads as little as if the history were long."""
    monkeypatch.setattr(context, "REACH", -3)


# --------------------------------------------------------------------------------------------- what is edited by hand


def test_a_message_deleted_between_turns_stays_deleted(talk: Conversation) -> None:
    agent = talk.agent("hello", "again")
    agent("hi")
    del agent.messages[0]
    talk.manager.flush()
    assert talk.agent().messages == agent.messages
    assert talk.said() == ["hi", "hello"]


def test_clearing_all_is_kept(talk: Conversation) -> None:
    agent = talk.agent("hello")
    agent("hi")
    agent.messages.clear()
    talk.manager.flush()
    assert talk.agent().messages == []
    assert talk.said() == ["hi", "hello"]


def test_a_trailing_message_deleted_is_not_brought_back_by_what_is_said_next(talk: Conversation) -> None:
    agent = talk.agent("hello", "what?", "fine")
    agent("hi")
    agent("uh")
    del agent.messages[-2:]
    agent("better")
    assert [_text(m) for m in agent.messages] == ["hi", "hello", "better", "fine"]
    assert talk.agent().messages == agent.messages
    assert talk.said() == ["hi", "hello", "uh", "what?", "better", "fine"]


# ------------------------------------------------------------------------------------- what was there before a resume


@pytest.mark.usefixtures("nearby")
def test_a_snapshot_from_before_the_resume_does_not_double_the_history(talk: Conversation) -> None:
    agent = talk.agent(*"abcde")
    for prompt in "12345":
        agent(prompt)
    snapshot = agent.take_snapshot(preset="session")
    del agent.messages[:-2]
    talk.manager.flush()
    agent = talk.agent("f")
    assert [_text(m) for m in agent.messages] == ["5", "e"]
    agent.load_snapshot(snapshot)
    agent("6")
    assert "".join(talk.said()) == "1a2b3c4d5e6f"
    assert talk.agent().messages == agent.messages
    assert len(agent.messages) == 12


@pytest.mark.usefixtures("nearby")
def test_a_snapshot_loaded_and_flushed_does_not_double_the_history_either(talk: Conversation) -> None:
    agent = talk.agent(*"abc")
    for prompt in "123":
        agent(prompt)
    before = copy.deepcopy(agent.messages)
    del agent.messages[:-1]
    talk.manager.flush()
    agent = talk.agent()
    agent.messages = before[:4]
    talk.manager.flush()
    assert "".join(talk.said()) == "1a2b3c"
    assert talk.agent().messages == before[:4]


@pytest.mark.usefixtures("nearby")
def test_a_resume_that_needs_no_older_message_reads_none(talk: Conversation) -> None:
    agent = talk.agent(*"abcde")
    for prompt in "12345":
        agent(prompt)
    del agent.messages[:-2]
    talk.manager.flush()
    agent = talk.agent("f", Reply("g", redact_user="[REDACTED]"))
    reads = talk.store.count("read")
    agent("6")
    agent("7")
    talk.manager.flush()
    assert talk.store.count("read") == reads + 2  # before each, whether another process went on
    assert "".join(talk.said()) == "1a2b3c4d5e6f[REDACTED]g"


@pytest.mark.usefixtures("nearby")
def test_a_prompt_used_again_after_a_resume_is_redacted_everywhere(talk: Conversation) -> None:
    prompt: Any = [{"role": "user", "content": [{"text": "my card is 4111"}]}]
    agent = talk.agent(*"abc", conversation_manager=SlidingWindowConversationManager(2))
    agent(prompt)
    agent("2")
    agent("3")
    agent = talk.agent(Reply("no", redact_user="[REDACTED]"), conversation_manager=SlidingWindowConversationManager(2))
    agent(prompt)
    assert talk.said() == ["[REDACTED]", "a", "2", "b", "3", "c", "[REDACTED]", "no"]


@pytest.mark.usefixtures("nearby")
def test_a_restored_prompt_that_is_redacted_is_redacted_where_it_was_not_read_too(talk: Conversation) -> None:
    prompt: Any = [{"role": "user", "content": [{"text": "my card is 4111"}]}]
    agent = talk.agent("a", "b", ValueError("the model is down"))
    agent(prompt)
    agent("2")
    with pytest.raises(ValueError, match="down"):
        agent(prompt)
    del agent.messages[:-1]
    talk.manager.flush()
    agent = talk.agent(Reply("no", redact_user="[REDACTED]"))
    agent(None)
    assert talk.said() == ["[REDACTED]", "a", "2", "b", "[REDACTED]", "no"]


# ------------------------------------------------------------------------------------------------ what Strands does


def test_a_continuation_merged_into_the_last_message_takes_its_place(talk: Conversation) -> None:
    agent = talk.agent("a")
    agent.hooks.add_callback(
        BeforeModelCallEvent, lambda event: _continuation.add_input(event, _continuation._ContinuationInput("more"))
    )
    agent("1")
    assert [m["content"] for m in talk.history()] == [[{"text": "1"}, {"text": "more"}], [{"text": "a"}]]
    assert talk.history() == agent.messages == talk.agent().messages


def test_a_prompt_that_left_the_window_and_is_said_again_is_a_new_entry(talk: Conversation) -> None:
    prompt: Any = [{"role": "user", "content": [{"text": "again"}]}]
    agent = talk.agent(*"abc", conversation_manager=SlidingWindowConversationManager(2))
    for _ in range(3):
        agent(prompt)
    assert talk.said() == ["again", "a", "again", "b", "again", "c"]
    assert [_text(m) for m in talk.agent().messages] == [_text(m) for m in agent.messages] == ["again", "c"]


def test_a_message_that_an_earlier_hook_took_out_is_in_the_history_only(talk: Conversation) -> None:
    agent = talk.agent("hello")

    def take_out(event: MessageAddedEvent) -> None:
        if event.message["role"] == "user":
            agent.messages[:] = [m for m in agent.messages if m is not event.message]

    agent.hooks.add_callback(MessageAddedEvent, take_out, order=HookOrder.SDK_FIRST)
    agent("secret")
    assert [_text(m) for m in agent.messages] == ["hello"]
    assert talk.said() == ["secret", "hello"]
    assert talk.agent().messages == agent.messages


def test_a_result_truncated_in_the_window_is_whole_in_the_history(talk: Conversation) -> None:
    agent = talk.agent(
        ToolCall("long"),
        ContextWindowOverflowException("too long"),
        "done",
        conversation_manager=SlidingWindowConversationManager(10),
    )
    agent("go")
    assert "[truncated: " in str(agent.messages)
    assert talk.agent(conversation_manager=SlidingWindowConversationManager(10)).messages == agent.messages
    assert "[truncated: " not in str(talk.history())


def test_state_set_by_the_last_hook_of_a_turn_is_kept(talk: Conversation) -> None:
    agent = talk.agent("hello")
    agent.hooks.add_callback(
        AfterInvocationEvent, lambda event: event.agent.state.set("late", 1), order=HookOrder.SDK_LAST
    )
    agent("hi")
    assert talk.agent().state.get() == {"late": 1}


def test_an_interrupt_is_answered_in_another_process(talk: Conversation) -> None:
    agent = talk.agent([ToolCall("long"), ToolCall("ask")])
    assert agent("go").stop_reason == "interrupt"
    resumed = talk.agent("done")
    assert resumed.messages == agent.messages
    assert resumed._interrupt_state.to_dict() == agent._interrupt_state.to_dict()
    (waiting,) = resumed._interrupt_state.interrupts
    assert resumed([{"interruptResponse": {"interruptId": waiting, "response": "yes"}}]).stop_reason == "end_turn"
    results = [block["toolResult"]["content"] for block in resumed.messages[2]["content"]]
    assert results == [[{"text": "0123456789" * 60}], [{"text": "they said yes"}]]
    again = talk.agent()
    assert again.messages == resumed.messages
    assert not again._interrupt_state.activated and not again._interrupt_state.interrupts


def test_what_a_stateful_model_was_told_is_in_the_history_and_its_state_comes_back(talk: Conversation) -> None:
    agent = talk.agent("a", "b", stateful=True)
    agent("1")
    agent("2")
    assert agent.messages == []
    resumed = talk.agent("c", stateful=True)
    assert resumed.messages == []
    assert resumed._model_state == agent._model_state != {}
    resumed("3")
    assert "".join(talk.said()) == "1a2b3c"


def test_tool_pairs_broken_in_mid_list_are_mended_and_that_is_written_back(
    talk: Conversation, caplog: pytest.LogCaptureFixture
) -> None:
    agent = talk.agent(ToolCall("long", id="use"), "done", "more")
    agent("go")
    del agent.messages[2]
    talk.manager.flush()
    mended = talk.agent("on")
    assert _text(mended.messages[2]) == "toolResult" and LOST in str(mended.messages[2])
    assert "were repaired" in caplog.text
    mended("next")
    caplog.clear()
    assert talk.agent().messages == mended.messages
    assert "repaired" not in caplog.text
    assert talk.said() == ["go", "toolUse", "toolResult", "done", "next", "on"]


# ------------------------------------------------------------------------------------------------- context management


def test_another_conversation_manager_gets_the_same_messages_and_a_log_line(
    talk: Conversation, caplog: pytest.LogCaptureFixture
) -> None:
    agent = talk.agent(
        *"abc",
        ContextWindowOverflowException("too long"),
        "d",
        conversation_manager=SummarizingConversationManager(0.8, 1),
    )
    for prompt in "1234":
        agent(prompt)
    assert "a summary" in str(agent.messages)
    with caplog.at_level(logging.WARNING):
        other = talk.agent("e", conversation_manager=SlidingWindowConversationManager(3))
    assert "stored=<SummarizingConversationManager>, now=<SlidingWindowConversationManager>" in caplog.text
    assert other.messages == agent.messages
    other("5")
    assert len(other.messages) <= 3
    assert "".join(talk.said()) == "1a2b3c4d5e"
    assert talk.agent(conversation_manager=SlidingWindowConversationManager(3)).messages == other.messages


def test_a_summary_of_long_ago_out_of_a_snapshot_is_not_taken_for_something_said(talk: Conversation) -> None:
    agent = talk.agent(
        *"ab",
        ContextWindowOverflowException("too long"),
        "c",
        "d",
        conversation_manager=SummarizingConversationManager(0.8, 1),
    )
    for prompt in "123":
        agent(prompt)
    snapshot = agent.take_snapshot(include=["messages"])
    assert "a summary" in str(snapshot.data)
    agent.conversation_manager._summary_message = None
    agent.messages.clear()
    agent("4")
    agent.load_snapshot(snapshot)
    talk.manager.flush()
    assert talk.agent(conversation_manager=SummarizingConversationManager(0.8, 1)).messages == agent.messages
    assert "".join(talk.said()) == "1a2b3c4d"


@pytest.mark.usefixtures("nearby")
def test_a_lost_stash_is_refilled_also_behind_a_pinned_first_message(
    talk: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_presets(monkeypatch.setattr)
    agent = talk.agent("a", ToolCall("long", id="use"), *"bcd", context_manager="auto")
    for prompt in "1234":
        agent(prompt)
    assert "[ref: use_0]" in str(agent.messages)
    assert "[ref: use_0]" in str(agent.messages[4])
    rest = copy.deepcopy(agent.messages[1:])
    del agent.messages[1:]
    talk.manager.flush()
    # the context is the first message, and copies that have lost their entries: the original is in between
    agent.messages += rest
    talk.manager.flush()
    resumed = talk.agent(context_manager="auto")
    stash: Any = resumed.context_manager.stash
    found = asyncio.run(stash._storage.read("use_0"))
    assert found is not None and b"0123456789" * 60 in found
