"""Conversations without Strands, on every engine: what is said is kept once and in order, through segments, whoever
says it and whatever fails."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, get_args

import pytest
from strands import Agent
from strands.agent.conversation_manager import NullConversationManager, SlidingWindowConversationManager
from tests.forked import Forge

from strands_session_store import (
    AlreadyExistsError,
    AsyncConversation,
    ConflictError,
    Conversation,
    InDoubt,
    SegmentAfter,
    SessionBusyError,
    StoreSessionManager,
    Unavailable,
    growing,
    records,
    tokens,
)
from strands_session_store.async_sessions import AsyncSessions
from strands_session_store.conversation import Kept, Used
from strands_session_store.errors import InvalidIdError, Unserializable
from strands_session_store.sessions import Sessions
from strands_session_store.stores import open_store
from strands_session_store.stores.base import Store
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.summaries import Summarize
from strands_session_store.testing import faults
from strands_session_store.testing.faults import FaultyStore, When
from strands_session_store.testing.models import ScriptedModel

LIMIT = 2_000
SMALL = SegmentAfter(max_tokens=LIMIT)
TURNS = SegmentAfter(max_tokens=None, max_turns=2, keep_turns=1)


def opened(store: Store | str, session_id: str = "c", **options: Any) -> Conversation:
    return Conversation(session_id, store, **{"user_id": "u", "segment_after": SMALL, **options})


def everything(chat: Conversation, limit: int = 37) -> list[Any]:
    """All that was said, paged forth; the same as paged back."""
    forth: list[Any] = []
    page = chat.full_history(start=0, limit=limit)
    forth += page.messages
    while page.newer is not None:
        page = chat.full_history(cursor=page.newer, limit=limit)
        forth += page.messages
    page = chat.full_history(limit=limit)
    back = [*page.messages]
    while page.older is not None:
        page = chat.full_history(cursor=page.older, limit=limit)
        back = [*page.messages, *back]
    assert forth == back
    assert [one.index for one in forth] == list(range(len(forth)))
    return forth


def texts(messages: Any) -> list[str]:
    """The first words of each message, or what a tool was asked and gave."""
    out = []
    for message in messages:
        for block in (message if isinstance(message, dict) else message.entry.message)["content"]:
            if "text" in block:
                out.append(block["text"].partition(" |")[0])
            elif "toolUse" in block:
                out.append(f"use {block['toolUse']['input']}")
            elif "toolResult" in block:
                out.append(f"result {block['toolResult']['content']}")
    return out


def check_valid(messages: list[Any]) -> None:
    """As any model takes it."""
    roles = [message["role"] for message in messages]
    assert roles == [("user", "assistant")[i % 2] for i in range(len(roles))]
    asked: list[str] = []
    for message in messages:
        uses = [block["toolUse"]["toolUseId"] for block in message["content"] if "toolUse" in block]
        given = [block["toolResult"]["toolUseId"] for block in message["content"] if "toolResult" in block]
        assert sorted(given) == sorted(asked)
        asked = uses
    assert not asked


class Clock:
    """The time that a memory store, and whoever looks for the time, is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = time.time()
        monkeypatch.setattr(records, "now", lambda: round(self.now, 3))
        monkeypatch.setattr(growing, "time", SimpleNamespace(monotonic=lambda: self.now))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def say_turn(chat: Conversation, n: int) -> list[str]:
    """A turn, with tools now and then; what was said in it."""
    said = [f"question {n}"]
    chat.user_says(f"question {n} | " + "please " * 20)
    if n % 3 == 0:
        chat.tool_used("look", {"n": n}, {"found": n}, text=f"looking {n}")
        said += [f"looking {n}", f"use {{'n': {n}}}", f"result [{{'json': {{'found': {n}}}}}]"]
    if n % 5 == 0:
        kept = chat.ai_responds([{"toolUse": {"toolUseId": f"t{i}", "name": "f", "input": {"i": i}}} for i in range(2)])
        chat.tools_answered({use["toolUseId"]: f"gave {use['input']['i']}" for use in kept.uses}, failed=["t1"])
        said += [f"use {{'i': {i}}}" for i in range(2)] + [f"result [{{'text': 'gave {i}'}}]" for i in range(2)]
    chat.ai_responds(f"answer {n} | " + "well " * 60, model="m")
    return [*said, f"answer {n}"]


# ----------------------------------------------------------------------------------------------------- on every engine


def test_sixty_turns_through_segments_each_by_another_who_resumes(store: Store) -> None:
    said: list[str] = []
    live: list[Any] = []
    for n in range(60):
        chat = opened(store, title="T")
        assert chat.messages() == live
        said += say_turn(chat, n)
        live = chat.messages()
        check_valid(live)
        assert sum(tokens.count(message)[0] for message in live) <= LIMIT
    assert texts(everything(chat)) == said
    chain = chat.chain()
    assert len(chain) >= 3
    assert [one.number for one in chain] == list(range(1, len(chain) + 1))
    assert [one.end for one in chain[:-1]] == [one.start for one in chain[1:]]
    assert chain[-1].session.session_id == "c" and chain[-1].session.title == "T"
    stats = chat.stats()
    assert (stats.segments, stats.messages) == (len(chain), chain[-1].start + chain[-1].messages)
    assert stats.usage.calls == 60 + 20 + 12
    assert stats.last_summary is not None and stats.last_summary in live[1]["content"][0]["text"]


def test_nothing_is_there_before_the_first_message_which_makes_it_in_one_commit(store: Store) -> None:
    faulty = FaultyStore(store)
    chat = opened(faulty)
    assert (chat.messages(), chat.chain(), chat.full_history().messages, chat.stats().messages) == ([], (), (), 0)
    assert chat.end_segment() is None
    assert faulty.count("commit") == 0
    chat.user_says("hi", name="ada", metadata={"channel": "web"})
    assert faulty.count("commit") == 1
    (message,) = opened(store).messages()
    assert message["content"] == [{"text": "hi"}]
    assert message["metadata"]["custom"] == {"name": "ada", "channel": "web"}
    assert Sessions(store).get("c", "u").counters["messages"] == 1


def test_a_segment_ends_by_hand_and_where_it_is_due(store: Store) -> None:
    chat = opened(store, segment_after=None)
    for n in range(4):
        chat.user_says(f"q {n}")
        chat.ai_responds(f"a {n}")
    segments = Sessions(store).segments
    assert segments.end("c", "u", if_due=True) is None
    assert segments.end("c", "u", agent_id="another") is None
    ended = segments.end("c", "u", after=SegmentAfter(max_turns=4, keep_turns=2), if_due=True)
    assert ended is not None and ended.segment is not None
    assert (ended.segment.start, ended.segment.end, ended.parent_id, ended.kind) == (0, 4, "c", "segment")
    assert texts(chat.messages())[-4:] == ["q 2", "a 2", "q 3", "a 3"]
    chat.user_says("q 4")
    assert chat.end_segment() is None  # its turn is not over
    chat.ai_responds("a 4")
    by_hand = chat.end_segment()
    assert by_hand is not None and by_hand.segment is not None and by_hand.segment.number == 2
    assert texts(everything(chat)) == [f"{who} {n}" for n in range(5) for who in "qa"]
    check_valid(chat.messages())


def test_two_at_once_keep_all_that_either_says(store: Store) -> None:
    one, two = (opened(store, segment_after=SegmentAfter(max_tokens=1_000)) for _ in range(2))
    failed: list[BaseException] = []

    def talk(chat: Conversation, name: str) -> None:
        try:
            for n in range(12):
                chat.user_says(f"{name} asks {n} | " + "so " * 40)
                chat.ai_responds(f"{name} hears {n} | " + "and " * 40)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=talk, args=(chat, name)) for chat, name in ((one, "ada"), (two, "bob"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    said = texts(everything(one))
    for name in ("ada", "bob"):
        expected = [f"{name} {does} {n}" for n in range(12) for does in ("asks", "hears")]
        assert [text for text in said if text.startswith(name)] == expected
    assert len(said) == 48
    check_valid(two.messages())
    two.user_says("and now?")
    assert two.ai_responds("we go on").ended is not None or len(one.chain()) > 1


CHILD = """
import sys
from strands_session_store import Conversation, SegmentAfter
url, name = sys.argv[1:]
with Conversation("c", url, user_id="u", segment_after=SegmentAfter(1_000)) as chat:
    for n in range(1_000):
        chat.user_says(f"{name} asks {n} | " + "so " * 60)
        print(f"{name} asks {n}", flush=True)
        chat.ai_responds(f"{name} hears {n} | " + "and " * 60)
        print(f"{name} hears {n}", flush=True)
"""


def test_processes_that_are_killed_lose_nothing_that_was_acknowledged(tmp_path: Path, forge: Forge) -> None:
    url = f"sqlite:///{tmp_path}/chats.db"
    told: dict[str, list[str]] = {}
    for stop in (7, 18, 31):
        names = [f"{name}{stop}" for name in ("ada", "bob")]
        with contextlib.ExitStack() as stack:
            children = [stack.enter_context(forge.talk("-c", CHILD, url, name)) for name in names]
            for name, child in zip(names, children):
                assert child.output is not None
                told[name] = [child.output.readline().strip() for _ in range(stop)]
                assert all(told[name])
                child.kill()
            for name, child in zip(names, children):
                assert child.output is not None
                told[name] += child.output.read().splitlines()
    with open_store(url) as store:
        chat = opened(store, segment_after=1_000)
        said = texts(everything(chat))
        for name, acknowledged in told.items():
            own = [text for text in said if text.startswith(f"{name} ")]
            assert own[: len(acknowledged)] == acknowledged
            assert len(own) <= len(acknowledged) + 1
        check_valid(chat.messages())
        chat.user_says("and now?")
        chat.ai_responds("we go on")
        assert texts(everything(chat)) == [*said, "and now?", "we go on"]
        chain = chat.chain()
        assert len(chain) > 1
        assert [one.end for one in chain[:-1]] == [one.start for one in chain[1:]]


# ------------------------------------------------------------------------------------------------ with Strands' agents


def built(store: Store, replies: Any, **options: Any) -> Agent:
    manager = StoreSessionManager("c", store, user_id="u", **options)
    manage = NullConversationManager()
    return Agent(
        model=ScriptedModel(replies), session_manager=manager, callback_handler=None, conversation_manager=manage
    )


def test_a_strands_agent_goes_on_with_it_and_back(store: Store) -> None:
    said: list[str] = []
    for n in range(12):
        if n % 2:
            agent = built(
                store, [f"agent {n} | " + "hm " * 200], segment_after=SegmentAfter(1_000, summarize="extractive")
            )
            before = opened(store).messages()
            assert texts(agent.messages) == texts(before)
            agent(f"prompt {n} | " + "so " * 100)
            said += [f"prompt {n}", f"agent {n}"]
            assert texts(opened(store).messages()) == texts(agent.messages)
        else:
            chat = opened(store, segment_after=1_000)
            said += say_turn(chat, n)
    assert texts(everything(opened(store))) == said
    assert len(opened(store).chain()) > 2


def test_what_a_conversation_manager_left_is_what_is_shown() -> None:
    store = MemoryStore()
    manager = StoreSessionManager("c", store, user_id="u")
    window = SlidingWindowConversationManager(window_size=4)
    model = ScriptedModel(lambda messages: f"{len(messages)} heard")
    agent = Agent(model=model, session_manager=manager, callback_handler=None, conversation_manager=window)
    for n in range(6):
        agent(f"q {n}")
    chat = opened(store)
    assert texts(chat.messages()) == texts(agent.messages)
    assert len(chat.messages()) < 6
    chat.user_says("and?")
    assert texts(chat.messages())[-1] == "and?"
    assert len(everything(chat)) == 13


def test_a_context_that_reaches_far_back_is_read_in_two() -> None:
    faulty = FaultyStore(MemoryStore())
    manager = StoreSessionManager("c", faulty, user_id="u")
    window = SlidingWindowConversationManager(window_size=4, pin_first=1)
    model = ScriptedModel(lambda messages: "heard")
    agent = Agent(model=model, session_manager=manager, callback_handler=None, conversation_manager=window)
    for n in range(60):
        agent(f"q {n}")
    chat = opened(faulty)
    before = faulty.count("read")
    shown = chat.messages()
    assert faulty.count("read") == before + 2
    assert texts(agent.messages)[0] == texts(shown)[0] == "q 0"


def test_it_waits_for_no_interrupt_and_no_lease() -> None:
    store = MemoryStore()
    chat = opened(store)
    manager = StoreSessionManager("c", store, user_id="u", exclusive=True)

    async def held() -> None:
        async with manager.lease():
            with pytest.raises(SessionBusyError):
                chat.user_says("hi")

    asyncio.run(held())
    chat.user_says("hi")  # the lease of who has said nothing is there, the session is not
    assert texts(chat.messages()) == ["hi"]


# --------------------------------------------------------------------------------------------------------- repetitions


def test_an_id_of_ones_own_is_stored_once_whoever_repeats_it() -> None:
    store = MemoryStore()
    first = opened(store, segment_after=TURNS).user_says("pay 5", id="order-1")
    assert opened(store).user_says("pay 5", id="order-1").said == first.said
    for n in range(20):
        opened(store, segment_after=TURNS).ai_responds(f"a {n}", id=f"a-{n}")
        opened(store, segment_after=TURNS).user_says(f"q {n}", id=f"q-{n}")
    assert len(opened(store).chain()) > 5
    assert opened(store).user_says("pay 5", id="order-1").said == first.said
    with pytest.raises(AlreadyExistsError, match=r"order-1.*something else"):
        opened(store).user_says("pay 6", id="order-1")
    with pytest.raises(AlreadyExistsError):
        opened(store).ai_responds("pay 5", id="order-1")
    assert len(everything(opened(store))) == 41


def test_whatever_commit_fails_a_call_made_again_is_stored_once() -> None:
    store = MemoryStore()
    fates = [
        {"before": Unavailable("no")},
        {"after": InDoubt("no answer"), "times": 3},
        {"after": InDoubt("no answer")},
    ]
    for number, fate in enumerate(fates):
        met = 0
        for at in range(1, 30):
            faulty = FaultyStore(store)
            id = f"c{number}-{at}"
            plan = faulty.plan("commit", at=at, **fate)  # type: ignore[arg-type]
            chat = opened(faulty, id, segment_after=TURNS)
            said = []
            for n in range(3):
                for act, text in (
                    (chat.user_says, f"question {n}"),
                    (_tool(chat, n), ""),
                    (chat.ai_responds, f"a {n}"),
                ):
                    kept = until_stored(act, text)
                    said += texts(kept.said)
            assert texts(everything(opened(store, id))) == said
            assert len(said) == 12
            check_valid(chat.messages())
            met += plan.reached.is_set()
            if not plan.reached.is_set():
                break
        else:
            raise AssertionError("there is no end of commits")
        assert met >= 9 + 5 * (number > 0)


def _tool(chat: Conversation, n: int) -> Callable[[str], Kept]:
    return lambda text: chat.tool_used("f", {"n": n}, [n], status="error")


def until_stored(act: Callable[[str], Kept], text: str) -> Kept:
    for _ in range(3):
        try:
            return act(text)
        except Unavailable:
            pass
    raise AssertionError("not stored")


def test_words_said_again_are_said_again() -> None:
    faulty = FaultyStore(MemoryStore())
    chat = opened(faulty)
    chat.user_says("yes")
    chat.user_says("yes")
    assert len(everything(chat)) == 2
    faulty.plan("commit", after=InDoubt("no answer"), times=3)
    with pytest.raises(InDoubt):
        chat.user_says("yes")
    chat.ai_responds("well")
    chat.user_says("yes")
    assert texts(everything(chat)) == ["yes", "yes", "yes", "well", "yes"]


def test_in_doubt_through_the_end_of_a_segment_by_another() -> None:
    faulty = FaultyStore(MemoryStore())
    chat, other = opened(faulty, segment_after=None), opened(faulty.store)
    chat.user_says("q")
    faulty.plan("commit", after=InDoubt("no answer"), times=3)
    with pytest.raises(InDoubt):
        chat.ai_responds("a")
    assert Sessions(faulty.store).segments.end("c", "u", after=SegmentAfter(keep_turns=0)) is not None
    chat.ai_responds("a")
    assert texts(everything(other)) == ["q", "a"]


# --------------------------------------------------------------------------------------------------- segments that fail


def test_a_summary_that_fails_is_an_event_and_is_tried_again() -> None:
    store = MemoryStore()
    failing = True

    def summarize(to: Summarize) -> str:
        if failing:
            raise RuntimeError("the model is down")
        return f"{len(to.messages)} messages, and {to.previous}"

    chat = opened(store, segment_after=SegmentAfter(max_tokens=None, max_turns=2, summarize=summarize))
    for n in range(4):
        chat.user_says(f"q {n}")
        assert chat.ai_responds(f"a {n}").ended is None
    with pytest.raises(RuntimeError):
        chat.end_segment()
    events = Sessions(store).events.list("c", "u", type="summary").entries.values()
    assert {(event.status, event.error) for event in events} == {("error", "RuntimeError")}
    assert len(events) >= 3
    assert len(events) == 4  # by hand, and once after each answer
    failing = False
    assert chat.user_says("q 4").ended is None
    assert chat.ai_responds("a 4").ended is not None
    assert texts(everything(chat)) == [f"{who} {n}" for n in range(5) for who in "qa"]
    assert chat.stats().last_summary == "8 messages, and None"


def test_a_summary_that_fails_is_told_by_its_own_error() -> None:
    faulty = FaultyStore(MemoryStore())

    def summarize(to: Summarize) -> str:
        faulty.plan("commit", before=Unavailable("down"), times=None)
        raise RuntimeError("the model is down")

    after = SegmentAfter(max_turns=2, summarize=summarize)
    chat = opened(faulty, segment_after=after)
    chat.user_says("q")
    chat.ai_responds("a")
    with pytest.raises(RuntimeError, match="the model is down"):
        chat.end_segment()
    faulty.heal()
    with pytest.raises(RuntimeError, match="the model is down"):
        Sessions(faulty).segments.end("c", "u", after=after)


def test_no_summary_is_asked_for_where_it_can_not_end() -> None:
    """A process runs the session: that is told before a model is paid."""
    asked: list[Summarize] = []

    def summarize(to: Summarize) -> str:
        asked.append(to)
        return "so far"

    store = MemoryStore()
    after = SegmentAfter(max_turns=2, summarize=summarize)
    chat = opened(store, segment_after=after)
    chat.user_says("q")
    chat.ai_responds("a")
    manager = StoreSessionManager("c", store, user_id="u", exclusive=True)

    async def held() -> None:
        async with manager.lease():
            for end in (chat.end_segment, lambda: Sessions(store).segments.end("c", "u", after=after)):
                with pytest.raises(SessionBusyError):
                    end()

    asyncio.run(held())
    assert asked == []


def test_a_segment_in_which_something_is_said_meanwhile_goes_on() -> None:
    store = MemoryStore()
    other = opened(store, segment_after=None)
    interrupting = True

    def summarize(to: Summarize) -> str:
        if interrupting:
            other.user_says("wait")
        return "so far"

    chat = opened(store, segment_after=SegmentAfter(max_tokens=None, max_turns=1, keep_turns=0, summarize=summarize))
    chat.user_says("q")
    assert chat.ai_responds("a").ended is None
    other.ai_responds("b")
    with pytest.raises(ConflictError):
        chat.end_segment()
    interrupting = False
    other.ai_responds("c")
    assert chat.end_segment() is not None
    assert texts(everything(chat)) == ["q", "a", "wait", "b", "wait", "c"]


def test_what_others_have_said_counts() -> None:
    store = MemoryStore()
    chat, other = opened(store), opened(store, segment_after=None)
    chat.user_says("q")
    assert chat.ai_responds("a").ended is None  # how large it is by now is known
    for n in range(10):
        other.user_says(f"other q {n} | " + "so " * 100)
        other.ai_responds(f"other a {n} | " + "and " * 100)
    chat.user_says("q")
    assert chat.ai_responds("a").ended is not None


def test_it_ends_before_what_would_be_too_much() -> None:
    chat = opened(MemoryStore())
    for n in range(4):
        chat.user_says(f"q {n} | " + "so " * 150)
        chat.ai_responds(f"a {n} | " + "and " * 100)
    ended = chat.user_says("large " * 800).ended or opened(chat.store).user_says("x").ended
    assert ended is not None
    assert sum(tokens.count(message)[0] for message in chat.messages()) <= LIMIT
    again = opened(chat.store)
    again.ai_responds("a")
    assert len(again.chain()) >= 2


def test_what_ended_lives_as_long_as_the_conversation() -> None:
    store = MemoryStore()
    chat = opened(store, ttl=1_000.0, segment_after=TURNS)
    for n in range(5):
        chat.user_says(f"q {n}")
        chat.ai_responds(f"a {n}")
    later = opened(store, ttl=5_000.0)
    later.user_says("q")
    later.ai_responds("a")
    *ended, goes_on = [Sessions(store).get(one.session.session_id, "u").expires or 0 for one in chat.chain()]
    assert len(ended) > 1 and 4_900 < goes_on - time.time() < 5_001
    assert all(goes_on <= expires < goes_on + 1_251 for expires in ended)
    Sessions(store).set_expiry("c", 100, "u")  # what was kept for longer is not
    last = opened(store, ttl=1_000.0)
    last.user_says("q")
    last.ai_responds("a")
    *ended, goes_on = [Sessions(store).get(one.session.session_id, "u").expires or 0 for one in chat.chain()]
    assert all(goes_on <= expires for expires in ended)


def test_what_ended_is_kept_also_where_nobody_answers(clock: Clock) -> None:
    store = MemoryStore(lambda: clock.now)
    chat = opened(store, ttl=1_000.0, segment_after=TURNS)
    for n in range(5):
        chat.user_says(f"q {n}")
        chat.ai_responds(f"a {n}")
    clock.now += 900
    chat.user_says("is there anybody?")
    clock.now += 900
    assert texts(everything(chat))[:2] == ["q 0", "a 0"]


def test_what_ended_by_hand_is_kept_as_what_did_before(clock: Clock) -> None:
    """It was given what the conversation had left, which is less than what those before have."""
    store = MemoryStore(lambda: clock.now)
    chat = opened(store, ttl=1_000.0, segment_after=TURNS)
    for n in range(5):
        chat.user_says(f"q {n}")
        chat.ai_responds(f"a {n}")
    clock.now += 100
    assert Sessions(store).segments.end("c", "u") is not None
    clock.now += 100
    opened(store, ttl=1_000.0).user_says("q 5")
    clock.now += 950
    assert [text[0] for text in texts(everything(chat))] == ["q", "a"] * 5 + ["q"]


def test_costs_are_those_of_its_model() -> None:
    prices = {"m": {"input": "1", "output": "2"}}
    chat = opened(MemoryStore(), prices=prices)
    chat.user_says("q")
    chat.tool_used("f", {}, "out", model="m", usage={"inputTokens": 10, "outputTokens": 1})
    chat.ai_responds("a", model="m", usage={"inputTokens": 3, "outputTokens": 4}, source="user")
    usage = chat.stats().usage
    assert (usage.calls, usage.input_tokens, usage.output_tokens, usage.cost) == (2, 13, 5, 23_000_000)


# ------------------------------------------------------------------------------------------------------- what is shown


def test_what_several_say_in_succession_is_one_message() -> None:
    store = MemoryStore()
    chat = opened(store)
    chat.ai_responds("hello")  # before the user: no model takes that
    chat.user_says("one")
    chat.user_says("two")
    use = {"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}
    chat.ai_responds([{"text": "hm"}, use, {"toolUse": {"toolUseId": "never", "name": "f", "input": {}}}])
    chat.user_says("wait")
    chat.tools_answered({"t": "done", "unknown": "?"})
    assert texts(chat.messages()) == ["one", "two", "hm", "use {}", "result [{'text': 'done'}]", "wait"]
    check_valid(chat.messages())
    chat.ai_responds([use])
    assert texts(chat.messages())[-1] == "wait"
    assert len(everything(chat)) == 7


def test_tools_give_texts_json_or_blocks() -> None:
    chat = opened(MemoryStore())
    image = {"image": {"format": "png", "source": {"bytes": b"\\x89"}}}
    outputs: list[Any] = ["text", {"a": 1}, [1, 2], [], None, [{"text": "x"}, image], [{"a": 1}], True]
    chat.user_says("go")
    chat.tools_used([Used("f", {"i": i}, output) for i, output in enumerate(outputs)])
    results = [block["toolResult"]["content"] for block in chat.messages()[-1]["content"]]
    assert results == [
        [{"text": "text"}],
        [{"json": {"a": 1}}],
        [{"json": [1, 2]}],
        [{"json": []}],
        [{"json": None}],
        [{"text": "x"}, image],
        [{"json": [{"a": 1}]}],
        [{"json": True}],
    ]


@pytest.mark.parametrize(
    ("act", "error", "says"),
    [
        (lambda chat: chat.user_says(" "), ValueError, "must not be empty"),
        (lambda chat: chat.user_says(5), ValueError, "text or a list of content blocks, got 5"),
        (lambda chat: chat.user_says({"role": "user"}), ValueError, "format"),
        (lambda chat: chat.user_says([]), ValueError, "content"),
        (lambda chat: chat.user_says([5]), ValueError, r"content'\]\[0\]"),
        (lambda chat: chat.user_says([{"text": object()}]), ValueError, "text"),
        (lambda chat: chat.user_says([{"x": object()}]), Unserializable, "x"),
        (lambda chat: chat.user_says("a", name=""), ValueError, "name"),
        (lambda chat: chat.user_says("a", metadata=["x"]), ValueError, "metadata"),
        (lambda chat: chat.user_says("a", id=""), InvalidIdError, "id"),
        (lambda chat: chat.user_says("a", format="klingon"), ValueError, "format must be one of.*klingon"),
        (lambda chat: chat.user_says([{"type": "text", "text": "a"}]), ValueError, "vendor's terms.*Name its format"),
        (lambda chat: chat.ai_responds("a", format="anthropic"), ValueError, "a text has no format, got 'a'"),
        (lambda chat: chat.ai_responds("a", usage={"inputTokens": 1}), ValueError, "usage must have"),
        (lambda chat: chat.ai_responds("a", usage={"inputTokens": -1, "outputTokens": 0}), ValueError, "usage"),
        (lambda chat: chat.ai_responds("a", source="me"), ValueError, "source"),
        (lambda chat: chat.ai_responds("a", model=5), ValueError, "model"),
        (lambda chat: chat.tool_used("", {}, "x"), ValueError, "name"),
        (lambda chat: chat.tool_used("f", "{}", "x"), ValueError, "input of tool 'f' must be a dict"),
        (lambda chat: chat.tool_used("f", {}, object()), Unserializable, "json"),
        (lambda chat: chat.tool_used("f", {}, "x", status="bad"), ValueError, "status must be one of success, error"),
        (lambda chat: chat.tool_used("f", {}, "x", text=""), ValueError, "text"),
        (lambda chat: chat.tools_used([]), ValueError, "uses"),
        (lambda chat: chat.tools_used([{"name": "f"}]), ValueError, "Used"),
        (lambda chat: chat.tools_used([Used("f", {}, 1, id="a")] * 2), ValueError, "same id"),
        (lambda chat: chat.tools_answered({}), ValueError, "answers"),
        (lambda chat: chat.tools_answered({"a": 1}, failed=["b"]), ValueError, "failed"),
        (lambda chat: chat.user_says([{"toolUse": {}}]), ValueError, "toolUse"),
        (lambda chat: chat.ai_responds([{"toolResult": {}}]), ValueError, "toolResult"),
        (lambda chat: chat.user_says([{"text": " "}]), ValueError, "must not be empty"),
        (lambda chat: chat.user_says("a", metadata={1: 2}), ValueError, "key of metadata"),
        (lambda chat: chat.user_says("a", format=[]), ValueError, "format must be one of"),
        (lambda chat: chat.user_says("a", strict="no"), ValueError, "strict"),
        (lambda chat: chat.ai_responds("a", usage={"inputTokens": 10**13, "outputTokens": 0}), ValueError, "usage"),
        (lambda chat: chat.tools_answered({"a": 1}, failed=None), ValueError, "failed"),
        (lambda chat: chat.tools_answered({"a": 1}, failed=[[]]), ValueError, "failed"),
        (lambda chat: chat.messages([]), ValueError, "format must be one of"),
        (lambda chat: chat.messages("openai_chat", strict=1), ValueError, "strict"),
        (lambda chat: chat.prompt(max_tokens=9, model=5), ValueError, "model"),
        (lambda chat: Sessions(chat.store).segments.end("c", "u", after="x"), ValueError, "^after must be"),
        (lambda chat: chat.messages("klingon"), ValueError, "format must be one of"),
        (lambda chat: chat.messages(system="x"), ValueError, "system is for a dialect"),
        (lambda chat: chat.full_history(limit=0), ValueError, "limit"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_written(act: Any, error: type[Exception], says: str) -> None:
    faulty = FaultyStore(MemoryStore())
    with pytest.raises(error, match=says):
        act(opened(faulty))
    assert faulty.count("commit") == 0


async def _awaited(to: Summarize) -> str:
    return "so far"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"segment_after": True}, "segment_after"),
        ({"segment_after": 10}, "max_tokens"),
        ({"store": 5}, "store URL.*5"),
        ({"segment_after": SegmentAfter(summarize=_awaited)}, "awaited"),
        ({"segment_after": SegmentAfter(summarize=5)}, "summarize=5"),
        ({"ttl": 0}, "ttl"),
        ({"title": 5}, "title"),
        ({"agent_id": ""}, "agent_id"),
        ({"user_id": ""}, "user_id"),
        ({"prices": 5}, "prices"),
    ],
)
def test_options_are_looked_at_before_the_store_is_opened(options: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=says):
        Conversation("c", **{"store": f"file://{tmp_path}/never", **options})
    assert not (tmp_path / "never").exists()


def test_the_store_is_the_environments_and_is_closed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STRANDS_SESSION_STORE", f"sqlite:///{tmp_path}/chats.db")
    with Conversation("c") as chat:
        chat.user_says("hi")
    assert texts(Conversation("c").messages()) == ["hi"]
    with open_store(f"sqlite:///{tmp_path}/chats.db") as store, Conversation("c", store) as chat:
        chat.close()
        assert texts(Conversation("c", store).messages()) == ["hi"]


# ------------------------------------------------------------------------------------------------------------ awaitable


async def a_turn(chat: AsyncConversation, n: int) -> list[str]:
    await chat.user_says(f"question {n} | " + "please " * 30)
    said = [f"question {n}"]
    if n % 3 == 0:
        kept = await chat.tool_used("look", {"n": n}, {"found": n})
        said += texts(kept.said)
    await chat.ai_responds(f"answer {n} | " + "well " * 60)
    return [*said, f"answer {n}"]


def test_awaited_it_is_the_same(store: Store) -> None:
    async def talk() -> list[str]:
        said: list[str] = []
        live: list[Any] = []
        for n in range(20):
            chat = AsyncConversation("c", store, user_id="u", segment_after=SegmentAfter(1_000, summarize=_awaited))
            assert await chat.messages() == live
            said += await a_turn(chat, n)
            live = await chat.messages()
            check_valid(live)
        assert (await chat.chain())[-1].number == (await chat.stats()).segments > 3
        assert (await chat.stats()).last_summary == "so far"
        assert (await chat.full_history(limit=1)).length == len(said)
        assert await chat.end_segment() is not None
        assert await chat.end_segment() is None or (await chat.messages())[1]["content"] == [{"text": "so far"}]
        assert await AsyncSessions(store).segments.end("c", "u") is None
        return said

    said = asyncio.run(talk())
    assert texts(everything(opened(store))) == said


def test_the_loop_goes_on_while_a_store_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "HELD_SECONDS", 10.0)
    faulty = FaultyStore(MemoryStore())

    async def beside(verb: Literal["read", "commit"], call: Callable[[], Awaitable[Any]]) -> None:
        """A call whose first read or commit ends only when the loop has gone on meanwhile."""
        held = faulty.plan(verb, hang="before")
        calling = asyncio.ensure_future(call())
        while not held.reached.is_set() and not calling.done():
            await asyncio.sleep(0.001)
        held.release()
        await calling
        assert held.reached.is_set()

    async def talk() -> None:
        async with AsyncConversation("c", faulty, segment_after=TURNS) as chat:
            for verb in get_args(Literal["read", "commit"]):
                await beside(verb, lambda: chat.user_says("q"))
                await beside(verb, lambda: chat.ai_responds("a"))
            await beside("read", chat.messages)
            await beside("read", chat.full_history)
            await beside("read", chat.stats)
            await beside("commit", chat.end_segment)

    asyncio.run(talk())


def test_a_call_that_is_not_waited_for_is_stored_once_when_it_is_made_again() -> None:
    faulty = FaultyStore(MemoryStore())

    async def talk(id: str, when: When) -> None:
        summarizing = asyncio.Event()

        async def forever(to: Summarize) -> str:
            summarizing.set()
            await asyncio.Event().wait()
            return ""

        after = SegmentAfter(summarize=forever, max_turns=1, keep_turns=0)
        chat = AsyncConversation(id, faulty, user_id="u", segment_after=after)
        held = faulty.plan("commit", hang=when)
        first = asyncio.create_task(chat.user_says("hi"))
        while not held.reached.is_set() and not first.done():
            await asyncio.sleep(0.001)
        await cancelled(first)
        again = asyncio.create_task(chat.user_says("hi"))
        await asyncio.sleep(0)  # it has begun
        held.release()
        await again
        for _ in range(2):
            answering = asyncio.create_task(chat.ai_responds("ho"))
            await asyncio.wait_for(summarizing.wait(), 30)  # so it is stored
            summarizing.clear()
            await cancelled(answering)

    async def cancelled(task: asyncio.Task[Any]) -> None:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    for when in get_args(When):
        asyncio.run(talk(when, when))
        assert texts(everything(opened(faulty.store, when))) == ["hi", "ho"]


def test_turns_to_keep_are_a_number() -> None:
    with pytest.raises(ValueError, match="keep_turns must be a whole number from 0 on, got None"):
        SegmentAfter(keep_turns=None)  # type: ignore[arg-type]
