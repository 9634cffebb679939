"""Messages are changed under agents that are live: these go on from what is stored, and never write over it."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from strands import Agent, ToolContext, tool
from strands.agent.conversation_manager import (
    NullConversationManager,
    SlidingWindowConversationManager,
    SummarizingConversationManager,
)

from strands_session_store import ConflictError, SessionBusyError, StoreSessionManager, codec, layout, records
from strands_session_store.errors import InterruptPendingError
from strands_session_store.plugin.repair import repaired
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import PutDoc, new_commit_id
from strands_session_store.testing.models import ScriptedModel, ToolCall

MANAGERS: dict[str, Callable[[], Any]] = {
    "null": NullConversationManager,
    "window": lambda: SlidingWindowConversationManager(5),
    "summary": lambda: SummarizingConversationManager(0.6, 2, proactive_compression={"compression_threshold": 0.05}),
}
MODES: dict[str, dict[str, Any]] = {"shared": {}, "exclusive": {"exclusive": True}, "turn": {"durability": "turn"}}
OPERATIONS = ("append", "edit", "redact", "remove", "clear")


@tool
def long() -> str:
    """Returns much."""
    return "secret " * 400


@tool(context=True)
def ask(tool_context: ToolContext) -> str:
    """Asks a human."""
    return str(tool_context.interrupt("question", reason="why"))


def script(messages: Any) -> Any:
    """Calls the tool where it is asked to, else says how much it has heard. Refuses what a provider would refuse."""
    check_pairs(messages)
    last = messages[-1]["content"][-1]
    return ToolCall("long") if "tool" in last.get("text", "") else f"heard {len(messages)}"


def check_pairs(messages: Any) -> None:
    for before, message in zip([{"content": []}, *messages], messages):
        assert message["content"], f"an empty message: {messages}"
        uses = [b["toolUse"]["toolUseId"] for b in before["content"] if "toolUse" in b]
        results = [b["toolResult"]["toolUseId"] for b in message["content"] if "toolResult" in b]
        assert sorted(uses) == sorted(results), f"no pair: {before} {message}"


def agent_of(
    sessions: Sessions, kind: str = "null", model: Any = None, tools: Any = (long, ask), **options: Any
) -> Agent:
    return Agent(
        model=model or ScriptedModel(script, context_window_limit=400),
        tools=[*tools],
        conversation_manager=MANAGERS[kind](),
        session_manager=StoreSessionManager("s", sessions.store, **options),
        callback_handler=None,
    )


def change(sessions: Sessions, operation: str, pick: random.Random) -> str:
    """One change of a message that is there; its id."""
    entries = list(sessions.messages.page("s", limit=1000).entries.values())
    id = pick.choice(entries).message["tracking_id"] if entries else ""
    match operation:
        case "append":
            # behind a user's message Strands puts the next prompt into the same one
            role = "assistant" if pick.random() < 0.8 else "user"
            sessions.messages.append("s", {"role": role, "content": f"from outside {pick.random()}"})
        case "clear":
            sessions.messages.clear("s")
        case "edit" if id:
            sessions.messages.edit_metadata("s", id, {"mark": pick.random()})
        case "redact" if id:
            sessions.messages.redact("s", id)
        case "remove" if id:
            sessions.messages.remove("s", id)
    return id


def check(sessions: Sessions, kind: str, live: Agent) -> None:
    restored = agent_of(sessions, kind)
    assert restored.messages == repaired(live.messages)  # type: ignore[arg-type]
    stored = {entry.message["tracking_id"]: entry.message for entry in _all(sessions).values()}
    assert sessions.messages.count("s") == sessions.messages.count("s", agent_id="default") == len(_all(sessions))
    assert live.messages[-1] == stored[live.messages[-1]["tracking_id"]]


def _all(sessions: Sessions) -> dict[int, records.Message]:
    found: dict[int, records.Message] = {}
    page = sessions.messages.page("s", start=0, limit=1000)
    found |= page.entries
    assert page.newer is None
    return found


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", MANAGERS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_live_agent_goes_on_from_what_is_stored(memory: Sessions, operation: str, kind: str, mode: str) -> None:
    pick = random.Random(f"{operation} {kind} {mode}")
    live = agent_of(memory, kind, **MODES[mode])
    for round in range(4):
        for turn in range(2):
            live(f"prompt {round} {turn}" + " tool" * (turn == 0))
        id = change(memory, operation, pick)
        # as it is restored now, the next invocation begins
        expected = agent_of(memory, kind).messages
        if operation == "clear":
            assert expected == []
        elif operation == "remove":
            assert id not in [message.get("tracking_id") for message in expected]
        heard: list[Any] = []
        live.model = ScriptedModel(lambda m, heard=heard: heard.append([*m]) or script(m), context_window_limit=400)  # type: ignore[func-returns-value]
        live(f"next {round}")
        prompted = next(i for i, m in enumerate(heard[0]) if {"text": f"next {round}"} in m["content"])
        if kind == "null":
            joined = [*heard[0][:prompted], _until(heard[0][prompted], f"next {round}")]
            assert [_said(m) for m in joined if m["content"]] == [_said(m) for m in expected]
        check(memory, kind, live)
    if operation == "redact":
        assert memory.messages.search("s", "[redacted]").found


def _until(message: Any, prompt: str) -> Any:
    """What was in the message before the prompt was put into it."""
    return {**message, "content": message["content"][: message["content"].index({"text": prompt})]}


def _said(message: Any) -> Any:
    return message["role"], message["content"]


@pytest.mark.parametrize("kind", MANAGERS)
@pytest.mark.parametrize("seed", range(8))
def test_any_changes_between_any_turns(memory: Sessions, kind: str, seed: int) -> None:
    pick = random.Random(f"{kind} {seed}")
    live = agent_of(memory, kind, exclusive=pick.random() < 0.3)
    live("begin tool")
    redacted: set[str] = set()
    for _ in range(10):
        for _ in range(pick.randrange(4)):
            operation = pick.choice(
                ["append", "append", "edit", "redact", "remove", "remove", "clear"][: pick.choice([6, 7])]
            )
            id = change(memory, operation, pick)
            if operation == "redact":
                redacted.add(id)
        if pick.random() < 0.3:
            live._session_manager.close()
            live = agent_of(memory, kind)
        live(pick.choice(["hello", "tool"]))
        check(memory, kind, live)
        for index, entry in _all(memory).items():
            assert (entry.message["tracking_id"] in redacted) == (entry.redacted is not None), index


# ------------------------------------------------------------------------------------------------------- tool pairs


@pytest.mark.parametrize("operation", ["redact", "remove"])
@pytest.mark.parametrize("which", [1, 2])
@pytest.mark.parametrize("last", [True, False])
def test_tool_pairs_stay_whole(memory: Sessions, operation: str, which: int, last: bool) -> None:
    live = agent_of(memory)
    live("tool")
    if last:  # of what was said, the tool's result is the last
        memory.messages.remove("s", live.messages[-1]["tracking_id"])
    id = live.messages[which]["tracking_id"]
    getattr(memory.messages, operation)("s", id)
    assert bool(memory.messages.search("s", "secret").found) == (which == 1)
    resumed = agent_of(memory)
    live("go on")  # the script refuses what is no pair
    memory.messages.append("s", {"role": "assistant", "content": "between"})
    if (operation, which, last) == ("remove", 2, True):
        # Agent answers a use at the end before it is invoked, so a stale one meets the conflict before it is reloaded
        with pytest.raises(ConflictError):
            resumed("go on")
    resumed("go on")
    check(memory, "null", resumed)


# ------------------------------------------------------------------------------------------------- what a context shows


def test_a_redaction_reaches_what_the_context_shows_otherwise(memory: Sessions) -> None:
    live = agent_of(memory)
    live("tool")
    for edit in ("first secret", "second secret"):
        live.messages[2]["content"][0]["toolResult"]["content"] = [{"text": edit}]
        live("next")
    assert len(_raw(memory, layout.variants("default"))) == 2
    memory.messages.edit_metadata("s", live.messages[2]["tracking_id"], {"seen": True})
    restored = agent_of(memory)
    assert restored.messages[2]["metadata"]["custom"] == {"seen": True}
    assert restored.messages[2]["content"][0]["toolResult"]["content"] == [{"text": "second secret"}]
    memory.messages.redact("s", live.messages[2]["tracking_id"])
    for log in (layout.history("default"), layout.variants("default")):
        assert b"secret" not in b"".join(_raw(memory, log))
    live("and now")
    assert live.messages[2]["content"][0]["toolResult"]["content"] == [{"text": "[redacted]"}]
    memory.messages.remove("s", live.messages[2]["tracking_id"])
    assert b"redacted" not in b"".join(_raw(memory, layout.variants("default")))
    live("and now")
    check(memory, "null", live)


def test_a_summary_can_be_redacted_and_removed(memory: Sessions) -> None:
    for operation in ("redact", "remove"):
        live = agent_of(memory, "summary")
        for _ in range(6):
            live("tool")
        variants = [codec.load(records.Variant, data, "") for data in _raw(memory, layout.variants("default"))]
        ids = [v.message["tracking_id"] for v in variants if v.of is None and v.message is not None]
        shown = [id for id in ids if id in [m["tracking_id"] for m in live.messages]]
        count = memory.messages.count("s")
        getattr(memory.messages, operation)("s", shown[0])
        assert memory.messages.count("s") == count
        live("next")
        check(memory, "summary", live)


def test_a_message_said_twice_is_redacted_twice(memory: Sessions) -> None:
    live = agent_of(memory)
    prompt: Any = [{"role": "user", "content": [{"text": "secret"}]}]
    live(prompt)
    live(prompt)
    memory.messages.redact("s", prompt[0]["tracking_id"])
    assert not memory.messages.search("s", "secret").found
    assert len(memory.messages.search("s", "[redacted]").found) == 2
    memory.messages.remove("s", prompt[0]["tracking_id"])
    assert memory.messages.count("s") == 2
    live("next")
    check(memory, "null", live)


def _raw(sessions: Sessions, log: str) -> list[bytes]:
    from strands_session_store.stores.base import Log

    look = sessions.store.read(layout.session_space("s", None), Log(log, spans=[(0, None)]))
    return [*look.logs[log].entries.values()]


# -------------------------------------------------------------------------------------------------------- who runs it


def test_nothing_is_changed_while_a_process_runs_the_session(memory: Sessions) -> None:
    refused: list[str] = []
    before: list[Any] = []

    def meddle(messages: Any) -> str:
        before.append(memory.layout_tree("s"))
        ids = [entry.message["tracking_id"] for entry in _all(memory).values()]
        for operation, call in {
            "append": lambda: memory.messages.append("s", {"role": "user", "content": "x"}),
            "edit": lambda: memory.messages.edit_metadata("s", ids[0], {"a": 1}),
            "redact": lambda: memory.messages.redact("s", ids[0]),
            "remove": lambda: memory.messages.remove("s", ids[0]),
            "clear": lambda: memory.messages.clear("s"),
        }.items():
            with pytest.raises(SessionBusyError, match=r"'s'.* pid \d+.*Try again"):
                call()
            refused.append(operation)
        before.append(memory.layout_tree("s"))
        return "ok"

    live = agent_of(memory, model=ScriptedModel(meddle), exclusive=True)
    live("hello")
    assert refused == list(OPERATIONS) and before[0] == before[1]
    for operation in OPERATIONS:
        change(memory, operation, random.Random(1))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_holder_that_is_gone_keeps_nobody_out_and_one_that_wakes_writes_nothing(
    memory: Sessions, operation: str
) -> None:
    """As if its process had been stopped for an hour: its signs are old, and it goes on all the same."""

    def meddle(messages: Any) -> str:
        if len(messages) > 3:
            return "ok"
        look = memory._session("s", None).look(*map(_doc, (layout.LEASE, layout.LEASE_BEAT)))
        lease = codec.load(records.Lease, look.docs[layout.LEASE].data, "")
        old = codec.dump_document(lease.model_copy(update={"at": lease.at - 3600}))
        memory.store.commit(
            layout.session_space("s", None),
            PutDoc(layout.LEASE, old),
            PutDoc(layout.LEASE_BEAT, codec.dump_document(records.LeaseBeat(at=lease.at - 3600))),
            commit_id=new_commit_id(),
        )
        change(memory, operation, random.Random(1))
        return "lost"

    agent_of(memory)("before")
    live = agent_of(memory, model=ScriptedModel(meddle), exclusive=True, lease_expiry=600)
    with pytest.raises(Exception, match=r"conflict|was written|taken over") as caught:
        live("hello")
    assert isinstance(caught.value, ConflictError) or isinstance(caught.value.__cause__, ConflictError)
    assert not memory.messages.search("s", "lost").found


def _doc(path: str) -> Any:
    from strands_session_store.stores.base import Doc

    return Doc(path)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_invocation_under_way_without_a_lease_meets_a_conflict_and_goes_on_anew(
    memory: Sessions, operation: str
) -> None:
    agent_of(memory)("before")
    live = agent_of(
        memory, model=ScriptedModel(lambda m: (change(memory, operation, random.Random(2)) and "lost") or "lost")
    )
    with pytest.raises(Exception, match="was written") as caught:
        live("hello")
    assert isinstance(caught.value, ConflictError) or isinstance(caught.value.__cause__, ConflictError)
    assert not memory.messages.search("s", "lost").found
    live.model = ScriptedModel(script)
    live("again")
    check(memory, "null", live)


def test_on_stale_raise_and_conflict_tell_it(memory: Sessions) -> None:
    for on_stale in ("raise", "conflict"):
        live = agent_of(memory, on_stale=on_stale)
        live("hello")
        memory.messages.remove("s", live.messages[0]["tracking_id"])
        with pytest.raises(Exception, match=r"was written by|another process") as caught:
            live("next")
        assert isinstance(caught.value, ConflictError) or isinstance(caught.value.__cause__, ConflictError)
        live._session_manager.reload(live)
        live("next")
        check(memory, "null", live)


def test_an_agent_that_was_built_before_it_was_made_here_has_what_was_appended(memory: Sessions) -> None:
    memory.create("s")
    live = agent_of(memory)
    memory.messages.append("s", [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])
    live("hello")
    assert [m["content"][0]["text"] for m in live.messages] == ["a", "b", "hello", "heard 3"]
    check(memory, "null", live)


def test_appending_at_once_loses_and_doubles_nothing(sessions: Sessions) -> None:
    sessions.create("s")

    def add(at: int) -> None:
        for i in range(4):
            sessions.messages.append("s", {"role": "user", "content": f"{at}.{i}", "tracking_id": f"{at}.{i}"})

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(add, range(3)))
    found = [entry.message["tracking_id"] for entry in _all(sessions).values()]
    assert sorted(found) == [f"{at}.{i}" for at in range(3) for i in range(4)]
    assert all([id for id in found if id[0] == str(at)] == [f"{at}.{i}" for i in range(4)] for at in range(3))
    assert sessions.messages.count("s") == 12


# ---------------------------------------------------------------------------------------------------------- the context


def test_what_is_appended_is_in_a_context_that_ended_elsewhere(memory: Sessions) -> None:
    live = agent_of(memory)
    live("hello")
    live("more")
    live.messages.pop()
    live._session_manager.flush()
    memory.messages.append("s", {"role": "assistant", "content": "from outside"})
    assert [m["content"][0]["text"] for m in agent_of(memory).messages] == ["hello", "heard 1", "more", "from outside"]
    live("next")
    check(memory, "null", live)


def test_an_interrupt_keeps_its_messages(memory: Sessions) -> None:
    live = agent_of(memory, model=ScriptedModel([ToolCall("ask"), "thanks"]))
    interrupts = live("go").interrupts
    assert interrupts
    asking = live.messages[-1]["tracking_id"]
    with pytest.raises(InterruptPendingError, match="Answer it first"):
        memory.messages.append("s", {"role": "user", "content": "x"})
    for operation in ("redact", "remove"):
        with pytest.raises(InterruptPendingError, match=asking):
            getattr(memory.messages, operation)("s", asking)
    assert live([{"interruptResponse": {"interruptId": interrupts[0].id, "response": "yes"}}]).stop_reason == "end_turn"
    memory.messages.redact("s", asking)

    live = agent_of(memory, model=ScriptedModel([ToolCall("ask"), "fine"]))
    assert live("go").interrupts
    memory.messages.clear("s")
    resumed = agent_of(memory, model=ScriptedModel(["fine"]))
    assert (resumed.messages, resumed._interrupt_state.activated) == ([], False)
    resumed("hello")
    check(memory, "null", resumed)


def test_clear_is_of_one_agent_or_of_all_and_keeps_state(memory: Sessions) -> None:
    for id in ("a", "b", "c"):
        with StoreSessionManager("s", memory.store) as manager:
            agent = Agent(model=ScriptedModel(["ok"]), agent_id=id, session_manager=manager, callback_handler=None)
            agent.state.set("of", id)
            agent("hello")
    memory.messages.remove(
        "s", memory.messages.get("s", _ids(memory, "a")[0], agent_id="a").entry.message["tracking_id"], agent_id="a"
    )
    assert memory.messages.clear("s", agent_id="a") == 1
    assert (memory.messages.count("s"), memory.messages.count("s", agent_id="b")) == (4, 2)
    assert memory.messages.clear("s", agent_id="nobody") == 0
    assert memory.messages.clear("s") == 4
    assert memory.messages.clear("s") == 0
    assert [agent.agent.state for agent in memory.agents("s")] == [{"of": "a"}, {"of": "b"}, {"of": "c"}]
    assert [agent.context for agent in memory.agents("s")] == [0, 0, 0]


def _ids(sessions: Sessions, agent_id: str) -> list[str]:
    entries = sessions.messages.page("s", agent_id=agent_id).entries.values()
    return [entry.message["tracking_id"] for entry in entries]
