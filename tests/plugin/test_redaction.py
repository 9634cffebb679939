"""What was redacted is nowhere any more, whenever the redaction comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from strands import Agent, tool
from strands.agent.conversation_manager import SummarizingConversationManager
from strands.hooks import BeforeModelCallEvent, MessageAddedEvent
from strands.multiagent import GraphBuilder
from strands.types.exceptions import EventLoopException

from strands_session_store import SQLiteSessionManager, StoreError, StoreSessionManager, Unavailable, codec
from strands_session_store.errors import InDoubt
from strands_session_store.layout import session_space
from strands_session_store.records import Message
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Append, Docs, Log, PutDoc, Replace
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import Reply, ScriptedModel, ToolCall

from .children import build

SECRET = "the secret word is xyzzy"
REDACTED = Reply("I can not talk of that.", redact_user="[redacted]")


def everything(store: FaultyStore) -> bytes:
    """All bytes of the session."""
    logs = ["agents/default/messages", "agents/default/variants", "runs", "events"]
    look = store.store.read(session_space("s", None), Docs(""), *(Log(log, spans=[(0, None)]) for log in logs))
    documents = [doc.data for doc in look.docs.values()]
    return b"\n".join([*documents, *(data for view in look.logs.values() for data in view.entries.values())])


def sent(store: FaultyStore) -> list[bytes]:
    """What each commit would have written."""
    out = []
    for call in store.calls:
        parts: list[bytes] = []
        for change in call.args if call.verb == "commit" else ():
            match change:
                case Append(_, entries):
                    parts += entries
                case PutDoc(_, data) | Replace(_, _, data):
                    parts.append(data)
        out.append(b"\n".join(parts))
    return out


@pytest.mark.parametrize("durability", ["background", "turn"])
@pytest.mark.parametrize("fault", ["none", "down", "in doubt", "before", "after"])
def test_the_text_is_nowhere_at_the_end(store: FaultyStore, durability: Any, fault: str) -> None:
    """Its append is queued, in flight, in doubt or stored when the redaction comes."""
    agent, manager = build(store, "s", ["hi", REDACTED, "fine"], durability=durability)
    agent("hello")
    match fault:
        case "down":
            store.plan("commit", before=Unavailable("down"))
        case "in doubt":
            store.plan("commit", after=InDoubt("no answer"))
        case "before" | "after" if durability == "background":
            held = store.plan("commit", hang=fault)  # type: ignore[arg-type]
            agent.hooks.add_callback(BeforeModelCallEvent, lambda event: _ignore(held.reached.wait(5)))
            # the answer is added behind the redaction
            agent.hooks.add_callback(MessageAddedEvent, lambda event: held.release() if said_by_model(event) else None)
    agent(SECRET)
    manager.flush()
    assert b"xyzzy" not in everything(store)
    history = [e.message for e in Sessions(store).messages.page("s").entries.values()]
    assert history == agent.messages and history[2]["content"] == [{"text": "[redacted]"}]
    agent("go on")
    again, _ = build(store, "s")
    assert again.messages == agent.messages
    assert b"xyzzy" not in everything(store)


def said_by_model(event: MessageAddedEvent) -> bool:
    return event.message["role"] == "assistant"


def _ignore(_: object) -> None:
    """For a hook, which returns nothing."""


def test_the_text_is_nowhere_when_the_turn_is_over(store: FaultyStore) -> None:
    agent, _ = build(store, "s", ["hi", REDACTED, "fine"])
    agent("hello")
    agent(SECRET)
    assert any(b"xyzzy" in data for data in sent(store)), "it was stored before the model had its say"
    assert b"xyzzy" not in everything(store)
    assert [e.redacted is not None for e in Sessions(store).messages.page("s").entries.values()] == [
        False,
        False,
        True,
        False,
    ]
    again, _ = build(store, "s")
    assert again.messages == agent.messages


def test_a_redaction_of_what_is_still_queued_is_never_sent(store: FaultyStore) -> None:
    agent, _ = build(store, "s", ["hi", REDACTED], durability="turn")
    agent("hello")
    agent(SECRET)
    assert not any(b"xyzzy" in data for data in sent(store))
    assert b"[redacted]" in everything(store)


@pytest.mark.parametrize("error", [Unavailable("down"), InDoubt("no answer")])
def test_a_redaction_while_the_store_is_down_comes_through_later(store: FaultyStore, error: Exception) -> None:
    """The prompt is stored; the redaction of it is what can not be written."""
    agent, manager = build(store, "s", ["hi", REDACTED, "fine"])
    agent("hello")
    store.plan("commit", at=2, before=error, times=None)
    with pytest.raises((StoreError, EventLoopException)):
        agent(SECRET)
    with pytest.raises(Unavailable):
        manager.flush()
    store.heal()
    manager.flush()
    assert b"xyzzy" not in everything(store)


def test_redacted_tool_results_and_repeated_prompts(store: FaultyStore) -> None:
    agent, _ = build(store, "s", [ToolCall("echo", {"text": "harmless"}), REDACTED, REDACTED, "fine"])
    agent("use the tool")
    prompt = [{"role": "user", "content": [{"text": SECRET}]}]
    agent(prompt)  # type: ignore[arg-type]
    agent("go on")
    assert b"xyzzy" not in everything(store)
    again, _ = build(store, "s")
    assert again.messages == agent.messages


def test_before_store_keeps_what_it_returns(store: FaultyStore) -> None:
    def scrub(message: Any) -> Any:
        for block in message["content"]:
            if "text" in block:
                block["text"] = block["text"].replace("xyzzy", "*****")
        return message

    agent, _ = build(store, "s", ["I heard xyzzy", "fine"], before_store=scrub)
    agent(SECRET)
    assert agent.messages[0]["content"] == [{"text": SECRET}]  # it was given a copy
    assert not any(b"xyzzy" in data for data in sent(store)) and b"*****" in everything(store)


@pytest.mark.parametrize("durability", ["message", "background", "turn"])
def test_before_store_that_raises_stores_nothing_unscrubbed_and_nothing_is_lost(
    store: FaultyStore, durability: Any
) -> None:
    broken = [True]

    def scrub(message: Any) -> Any:
        if broken and "xyzzy" in str(message):
            raise LookupError("the scrubber's dictionary is missing")
        return message

    agent, manager = build(store, "s", lambda messages: "fine", before_store=scrub, durability=durability)
    agent("hello")
    if durability == "message":
        with pytest.raises(StoreError, match="LookupError") as caught:
            agent(SECRET)
        assert isinstance(caught.value.__cause__, LookupError)
    else:
        agent(SECRET)
    with pytest.raises(StoreError, match="dictionary is missing"):
        manager.flush()
    assert not any(b"xyzzy" in data for data in sent(store)) and manager.pending > 0
    broken.clear()
    agent("go on")
    assert manager.pending == 0
    assert [e.message for e in Sessions(store).messages.page("s").entries.values()] == agent.messages
    assert SECRET in str(agent.messages)


def test_what_came_before_an_unscrubbable_message_is_stored_all_the_same(store: FaultyStore) -> None:
    def scrub(message: Any) -> Any:
        if "xyzzy" in str(message):
            raise LookupError("the scrubber's dictionary is missing")
        return message

    agent, manager = build(store, "s", ["the word is xyzzy"], before_store=scrub, durability="turn")
    agent("tell me")
    with pytest.raises(StoreError, match="dictionary is missing"):
        manager.flush()
    assert [e.message for e in Sessions(store).messages.page("s").entries.values()] == agent.messages[:1]


def test_a_summary_is_scrubbed_wherever_it_is_kept(tmp_path: Path) -> None:
    def scrub(message: Any) -> Any:
        for block in message["content"]:
            if "text" in block:
                block["text"] = block["text"].replace("4711-0815", "****")
        return message

    path = tmp_path / "summary.db"
    manager = SQLiteSessionManager("s", path, before_store=scrub)
    window = SummarizingConversationManager(summary_ratio=0.8, preserve_recent_messages=1)
    model = ScriptedModel(lambda messages: "the number is 4711-0815")
    agent = Agent(model=model, session_manager=manager, conversation_manager=window, callback_handler=None)
    agent("my number is 4711-0815")
    agent("again")
    window.reduce_context(agent)
    agent("and again")
    manager.close()
    assert "4711-0815" in str(agent.messages[0])
    assert b"4711-0815" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())
    window = SummarizingConversationManager(summary_ratio=0.8, preserve_recent_messages=1)
    again = SQLiteSessionManager("s", path)
    resumed = Agent(model=model, session_manager=again, conversation_manager=window, callback_handler=None)
    assert len(resumed.messages) == len(agent.messages)
    assert window.get_state()["summary_message"] == resumed.messages[0]


@pytest.mark.parametrize("returned", [None, "text", {"role": "user"}])
def test_before_store_that_returns_no_message_stores_nothing_unreadable(store: FaultyStore, returned: Any) -> None:
    """As one does that edits the message in place and forgets to return it."""
    wrong = [True]
    agent, manager = build(
        store, "s", lambda messages: "fine", before_store=lambda message: returned if wrong else message
    )
    with pytest.raises(StoreError, match="before_store returned"):
        agent("hello")
    assert build(store, "s")[0].messages == []
    wrong.clear()
    manager.flush()
    assert build(store, "s")[0].messages == agent.messages


def test_before_store_can_not_change_what_a_message_is_known_by(store: FaultyStore) -> None:
    agent, _ = build(
        store, "s", ["hi"], before_store=lambda message: {"role": message["role"], "content": message["content"]}
    )
    agent("hello")
    assert [m["tracking_id"] for m in build(store, "s")[0].messages] == [m["tracking_id"] for m in agent.messages]


@pytest.mark.parametrize("how", ["redacted", "scrubbed"])
def test_the_text_of_a_tools_error_is_nowhere_but_in_its_result(store: FaultyStore, how: str) -> None:
    @tool
    def fails() -> str:
        """Fails."""
        raise LookupError(SECRET)

    def scrub(message: Any) -> Any:
        return {**message, "content": [{"text": "scrubbed"}]}

    agent, _ = build(
        store,
        "s",
        [ToolCall("fails"), REDACTED if how == "redacted" else "fine"],
        tools=[fails],
        before_store=scrub if how == "scrubbed" else None,
    )
    agent("use the tool")
    assert b"LookupError" in everything(store) and b"xyzzy" not in everything(store)


@pytest.mark.parametrize("durability", ["message", "background", "turn"])
def test_what_a_node_was_told_is_redacted_in_its_history(store: FaultyStore, durability: Any) -> None:
    """A node's agent has no session manager that Strands could tell."""
    node = Agent(model=ScriptedModel([REDACTED, "fine"]), callback_handler=None)
    builder = GraphBuilder()
    builder.add_node(node, "node")
    builder.set_execution_timeout(60)
    builder.set_graph_id("g")
    builder.set_session_manager(StoreSessionManager("s", store, durability=durability))
    builder.build()(SECRET)
    log = "multi_agents/g/nodes/node/messages"
    view = store.store.read(session_space("s", None), Log(log, spans=[(0, None)])).logs[log]
    assert [codec.load(Message, data, log).message for data in view.entries.values()] == node.messages
    assert "[redacted]" in str(node.messages)
