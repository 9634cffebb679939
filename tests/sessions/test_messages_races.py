"""Others write between the look and the commit of who changes messages; and what is far, or twice, is found too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from strands import Agent

from strands_session_store import StoreSessionManager, codec, layout
from strands_session_store.errors import AlreadyExistsError
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Log, Replace, new_commit_id
from strands_session_store.testing.models import ScriptedModel
from strands_session_store.testing.wrapping import Call, Wrapped

T = TypeVar("T")
SPACE = layout.session_space("s", None)


class Between(Wrapped):
    """Does something before its next commit."""

    todo: Callable[[], Any] | None = None

    def _ask(self, call: Call, engine: Callable[[], T]) -> T:
        if call.verb == "commit" and self.todo is not None:
            todo, self.todo = self.todo, None
            todo()
        return engine()


@pytest.fixture
def live(memory: Sessions) -> Agent:
    """An agent without a lease, that has written already: its commits leave the writer document as it is."""
    manager = StoreSessionManager("s", memory.store)
    agent = Agent(model=ScriptedModel(lambda m: f"heard {len(m)}"), session_manager=manager, callback_handler=None)
    agent("hello")
    return agent


def test_what_a_live_agent_says_meanwhile_stays_before_what_is_appended(memory: Sessions, live: Agent) -> None:
    between = Between(memory.store)
    between.todo = lambda: live("meanwhile")
    (added,) = Sessions(between).messages.append("s", {"role": "user", "content": "from outside"})
    assert added.index == 4
    assert memory.messages.get("s", added.entry.message["tracking_id"]).index == 4
    live("next")
    assert [m["content"][0]["text"] for m in live.messages][2:5] == ["meanwhile", "heard 3", "from outside"]


def test_an_id_that_a_live_agent_has_said_meanwhile_is_refused(memory: Sessions, live: Agent) -> None:
    between = Between(memory.store)
    prompt: Any = {"role": "user", "content": [{"text": "twice"}], "tracking_id": "mine"}
    between.todo = lambda: live([prompt])
    with pytest.raises(AlreadyExistsError, match="mine"):
        Sessions(between).messages.append("s", prompt)
    assert memory.messages.count("s") == 4


def test_an_edit_keeps_what_a_live_agent_replaced_meanwhile(memory: Sessions, live: Agent) -> None:
    id = live.messages[0]["tracking_id"]
    said = memory.messages.get("s", id)
    merged = {**said.entry.message, "content": [{"text": "hello"}, {"text": "and more"}]}

    def replace() -> None:
        data = codec.dump(said.entry.model_copy(update={"message": merged}))
        memory.store.commit(SPACE, Replace(layout.history("default"), 0, data), commit_id=new_commit_id())

    between = Between(memory.store)
    between.todo = replace
    Sessions(between).messages.edit_metadata("s", id, {"a": 1})
    assert memory.messages.get("s", id).entry.message == {**merged, "metadata": {"custom": {"a": 1}}}


@pytest.mark.parametrize("operation", ["redact", "remove"])
def test_what_is_said_again_meanwhile_is_rewritten_too(memory: Sessions, live: Agent, operation: str) -> None:
    prompt: Any = {"role": "user", "content": [{"text": "secret"}], "tracking_id": "mine"}
    live([prompt])
    between = Between(memory.store)
    between.todo = lambda: live([prompt])
    getattr(Sessions(between).messages, operation)("s", "mine")
    assert not memory.messages.search("s", "secret").found
    assert memory.messages.count("s") == (6 if operation == "redact" else 4)


def test_an_id_is_rewritten_wherever_it_stands(memory: Sessions) -> None:
    memory.create("s")
    twice = {"role": "user", "content": "secret", "tracking_id": "mine"}
    memory.messages.append("s", twice)
    memory.messages.append("s", [{"role": "user", "content": "x"}] * 2500)
    memory.messages.append("s", twice)
    memory.messages.edit_metadata("s", "mine", {"last": True})
    assert [found.entry.message.get("metadata") for found in memory.messages.search("s", "secret").found] == [
        {"custom": {"last": True}},
        None,
    ]
    memory.messages.redact("s", "mine")
    assert [found.index for found in memory.messages.search("s", "[redacted]").found] == [2501, 0]
    memory.messages.remove("s", "mine")
    assert memory.messages.count("s") == 2500


def test_clear_leaves_no_content_and_what_is_resumed_needs_nothing_that_is_gone(memory: Sessions, live: Agent) -> None:
    live.messages[0]["content"] = [{"text": "secret"}]
    live("next")
    logs = layout.history("default"), layout.variants("default")
    wants = [Log(log, spans=[(0, None)]) for log in logs]
    assert b"secret" in b"".join(memory.store.read(SPACE, *wants).logs[logs[1]].entries.values())
    memory.messages.clear("s")
    assert not any(view.entries for view in memory.store.read(SPACE, *wants).logs.values())
    reads: list[Call] = []

    class Counted(Wrapped):
        def _ask(self, call: Call, engine: Callable[[], T]) -> T:
            if call.verb == "read":
                reads.append(call)
            return engine()

    with StoreSessionManager("s", Counted(memory.store), on_stale="conflict") as manager:
        resumed = Agent(model=ScriptedModel(["a", "b"]), session_manager=manager, callback_handler=None)
        for id in ("one", "two"):  # of ids that are not known it is to be told whether they are in what was not read
            resumed([{"role": "user", "content": [{"text": "hello"}], "tracking_id": id}])
    assert len(reads) == 1
