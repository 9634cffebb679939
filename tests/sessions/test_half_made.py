"""What one is just making, and another takes for left behind: nothing that was decided is dropped."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Literal

import pytest

from strands_session_store import Conversation, SegmentAfter
from strands_session_store.errors import ConflictError, MessageNotFoundError
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Store
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.testing import faults
from strands_session_store.testing.faults import FaultyStore, Plan
from strands_session_store.testing.schedule import Schedule

from .contents import fill, shape

TURNS = 5
PATIENCE = 20.0


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held is not held for long where nobody lets go of it, as a test has failed."""
    monkeypatch.setattr(faults, "HELD_SECONDS", PATIENCE)


def opened(store: Store, **options: Any) -> Conversation:
    return Conversation("c", store, user_id="u", **{"segment_after": None, **options})


def spoken(chat: Conversation, name: str, turns: int = TURNS) -> list[str]:
    said = [f"{name} {does} {n}" for n in range(turns) for does in ("asks", "hears")]
    for asked, heard in zip(said[::2], said[1::2]):
        chat.user_says(asked)
        chat.ai_responds(heard)
    return said


def kept(store: Store) -> list[str]:
    """All that is in the conversation, in order."""
    messages = opened(store).full_history(start=0, limit=1_000).messages
    return [one.entry.message["content"][0]["text"] for one in messages]


def met(held: Plan, doing: Future[Any]) -> None:
    """Wait until a plan holds a call of what is being done."""
    while not held.reached.wait(0.001):
        assert not doing.done(), "it has ended before"


@pytest.mark.parametrize("found", ["half made", "decided", "finished"])
def test_a_segment_that_another_ends_meanwhile_is_not_dropped(found: str) -> None:
    """``found``: how far the other one is when it is found; each has come to its end when it would be dropped."""
    store = MemoryStore()
    said = spoken(opened(store), "ada")
    first, second = FaultyStore(store), FaultyStore(store)
    # the first: reads the conversation, says that it makes a segment, reads what is in its place
    before, behind = (first.plan("read", at=2, hang=when) for when in ("before", "after"))
    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(opened(first).end_segment)
        met(before, one)
        # the second: says it too, copies, decides, makes a session of it
        halt = second.plan("commit", at={"half made": 3, "decided": 4, "finished": 5}[found], hang="before")
        two = threads.submit(opened(second).end_segment)
        if found == "finished":
            assert two.result(PATIENCE) is not None
        else:
            met(halt, two)
        before.release()
        met(behind, one)
        halt.release()
        assert two.result(PATIENCE) is not None
        behind.release()
        with pytest.raises(ConflictError):
            one.result(PATIENCE)
    assert kept(store) == said
    assert [part.number for part in opened(store).chain()] == [1, 2]


def test_a_segment_that_is_half_made_is_no_session_for_who_looks_for_a_message() -> None:
    store = MemoryStore()
    said = spoken(opened(store), "ada")
    maker = FaultyStore(store)
    maker.plan("commit", at=3, stop="before")
    with pytest.raises(Exception, match="killed"):
        opened(maker).end_segment()
    sessions = Sessions(store)
    with pytest.raises(MessageNotFoundError):
        sessions.messages.redact("c", "no such message", "u")
    assert [one.session.session_id for one in sessions.list("u").sessions] == ["c"] and not sessions.children("c", "u")
    assert opened(store).end_segment() is not None
    assert kept(store) == said


@pytest.mark.parametrize("verb", ["copy", "import"])
def test_a_session_that_another_puts_there_meanwhile_is_not_dropped(
    memory: Sessions, tmp_path: Any, verb: Literal["copy", "import"]
) -> None:
    """Of the second, which found it half made, all is as it was: it may be done again."""
    fill(memory)
    memory.archive.export(tmp_path / "a", everyone=True)
    target = MemoryStore()

    def put(store: Store) -> int:
        if verb == "copy":
            return memory.archive.copy(store, everyone=True).sessions
        return Sessions(store).archive.import_(tmp_path / "a").sessions

    first, second = FaultyStore(target), FaultyStore(target)
    with ThreadPoolExecutor(2) as threads:
        finishing = first.plan("commit", at=2, hang="before")  # the first session's last
        one = threads.submit(put, first)
        met(finishing, one)
        claiming = second.plan("commit", hang="before")  # of what it has found there
        two = threads.submit(put, second)
        met(claiming, two)
        finishing.release()
        made = one.result(PATIENCE)
        claiming.release()
        with pytest.raises(ConflictError):
            two.result(PATIENCE)
    assert made == 5 and shape(Sessions(target)) == shape(memory)
    assert put(target) == 0


def meet(seeds: range, *names: str) -> None:
    """Several talk at once, and each ends segments, in the order of each seed."""
    small = SegmentAfter(max_tokens=None, max_turns=2, keep_turns=0)
    for seed in seeds:
        engine = MemoryStore()
        schedule = Schedule(seed, engine, patience=60)
        told: dict[str, list[str]] = {}

        def talk(store: Store, name: str, told: dict[str, list[str]] = told) -> None:
            told[name] = spoken(opened(store, segment_after=small), name)

        for name in names:
            schedule.actor(name, partial(talk, name=name))
        schedule.run()
        said = kept(engine)
        assert len(said) == 2 * TURNS * len(names), f"seed {seed}\n{schedule}"
        assert told == {name: [text for text in said if text.startswith(name)] for name in names}


@pytest.mark.parametrize("first", [0, 20])
def test_who_end_segments_at_once_lose_nothing_in_40_orders(first: int) -> None:
    meet(range(first, first + 20), "ada", "bob")


@pytest.mark.soak
@pytest.mark.parametrize("names", ["ab", "abc"])
def test_who_end_segments_at_once_lose_nothing_in_1000_orders(names: str) -> None:
    meet(range(100, 1_100), *names)
