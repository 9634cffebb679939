"""All that was said in a conversation as a list, on every engine: through its segments, without what was removed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from strands_session_store import SegmentAfter
from strands_session_store.errors import InvalidCursorError
from strands_session_store.sessions import MessagePage, Sessions, conversation_listing
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.testing.wrapping import Call, Wrapped

AFTER = SegmentAfter(summarize=lambda to: "a summary", keep_turns=0)


def say(sessions: Sessions, first: int, behind: int) -> None:
    """Messages with their numbers for text and id."""
    messages = [
        {"role": ("user", "assistant")[i % 2], "content": str(i), "tracking_id": f"id-{i}"}
        for i in range(first, behind)
    ]
    sessions.messages.append("s", messages, "ada")


def conversation(sessions: Sessions, *ends: int, removed: Any = ()) -> list[str]:
    """One whose segments end before these messages, the last one with what goes on; what is left of it."""
    sessions.create("s", "ada")
    for first, end in zip((0, *ends), ends):
        say(sessions, first, end)
        if end != ends[-1]:
            assert sessions.segments.end("s", "ada", after=AFTER) is not None
    for number in removed:
        sessions.messages.remove("s", f"id-{number}", "ada")
    return [str(number) for number in range(ends[-1]) if number not in removed]


def texts(page: MessagePage) -> list[str]:
    return [one.entry.message["content"][0]["text"] for one in page.messages]


def walk(sessions: Sessions, first: MessagePage, **options: Any) -> list[str]:
    """All pages from one on, joined. None but the last is empty or told to be the last."""
    found, page = texts(first), first
    while page.cursor is not None:
        page = sessions.messages.list("s", "ada", cursor=page.cursor, **options)
        assert page.total is None
        found += texts(page)
    return found


def even(said: Any) -> bool:
    return int(said.message["content"][0]["text"]) % 2 == 0


ENDS = (4, 10, 16, 21)
HOLES: dict[str, tuple[int, ...]] = {
    "none": (),
    "in what goes on": (16, 18),
    "in what has ended": (4, 5, 7, 9),
    "everywhere": (0, 3, 4, 12, 13, 20),
    "a whole segment": (*range(4, 10), 15),
}


def check(sessions: Sessions, left: list[str], limits: Any, offsets: Any) -> None:
    """What is left is what is listed, either way, all or some, from wherever."""
    for descending in (False, True):
        wanted = left[::-1] if descending else left
        for matching in (None, even):
            of = wanted if matching is None else [one for one in wanted if int(one) % 2 == 0]
            options: dict[str, Any] = {"descending": descending, "matching": matching}
            for limit in limits:
                page = sessions.messages.list("s", "ada", limit=limit, **options)
                assert (texts(page), page.total, page.exact) == (of[:limit], None, True)
                assert walk(sessions, page, limit=limit, **options) == of
            for offset in offsets:
                page = sessions.messages.list("s", "ada", offset=offset, limit=4, **options)
                assert (texts(page), page.total, page.exact) == (of[offset : offset + 4], len(of), True)
                assert (page.cursor is None) == (offset + 4 >= len(of))
                assert walk(sessions, page, limit=4, **options) == of[offset:]


def test_a_conversation_is_listed_through_its_segments(sessions: Sessions) -> None:
    left = conversation(sessions, *ENDS, removed=(3, 12, 20))
    check(sessions, left, [5], [0, 7, 14])


@pytest.mark.parametrize("engine", ["memory", "sqlite"])
@pytest.mark.parametrize("holes", HOLES)
def test_every_page_is_the_part_of_the_list_that_it_says(engine: str, holes: str, tmp_path: Path) -> None:
    with Sessions("memory://" if engine == "memory" else f"sqlite:///{tmp_path}/sessions.db") as sessions:
        left = conversation(sessions, *ENDS, removed=HOLES[holes])
        check(sessions, left, [1, 2, 5, 21, 50], range(len(left) + 2))


def test_one_in_which_nothing_was_said_since_is_listed_as_well(memory: Sessions) -> None:
    left = conversation(memory, 4, 8, removed=[5])
    assert memory.segments.end("s", "ada", after=AFTER) is not None
    check(memory, left, [1, 7], range(8))
    for descending in (False, True):
        assert memory.messages.list("s", "ada", limit=7, descending=descending).cursor is None


def test_messages_are_where_the_conversation_has_them(sessions: Sessions) -> None:
    conversation(sessions, 2, 4, removed=[1])
    page = sessions.messages.list("s", "ada", offset=0)
    assert page.messages == sessions.segments.full_history("s", "ada").messages
    assert [one.index for one in page.messages] == [0, 2, 3]
    chain = sessions.segments.chain("s", "ada")
    assert [one.session_id for one in page.messages] == [chain[0].session.session_id, "s", "s"]


def test_what_was_erased_counts_nowhere_and_what_is_not_there_is_empty(sessions: Sessions) -> None:
    conversation(sessions, 4, 8)
    listed = sessions.messages.list
    for options in ({}, {"offset": 0}, {"offset": 3}, {"offset": 0, "matching": even}):
        page = listed("s", "ada", agent_id="nobody", **options)  # type: ignore[arg-type]
        assert (page.messages, page.cursor, page.total) == ((), None, 0 if "offset" in options else None)
    sessions.messages.clear("s", "ada")
    assert (listed("s", "ada").messages, listed("s", "ada", offset=0).total) == ((), 0)
    say(sessions, 8, 12)
    sessions.messages.remove("s", "id-9", "ada")
    for descending in (False, True):
        of = ["8", "10", "11"][:: -1 if descending else 1]
        assert texts(listed("s", "ada", descending=descending)) == of
        page = listed("s", "ada", descending=descending, offset=1, limit=1)
        assert (texts(page), page.total) == (of[1:2], 3)
        assert walk(sessions, page, descending=descending) == of[1:]


def test_a_segment_that_was_deleted_is_left_out(memory: Sessions) -> None:
    conversation(memory, *ENDS)
    chain = memory.segments.chain("s", "ada")
    for number in (0, 2):
        memory.delete(chain[number].session.session_id, "ada")
    left = [*map(str, range(4, 10)), *map(str, range(16, 21))]
    for descending in (False, True):
        of = left[::-1] if descending else left
        assert (
            walk(memory, memory.messages.list("s", "ada", limit=2, descending=descending), descending=descending) == of
        )
        for offset in range(13):
            page = memory.messages.list("s", "ada", offset=offset, limit=3, descending=descending)
            assert (texts(page), page.total) == (of[offset : offset + 3], 11)
            assert walk(memory, page, descending=descending) == of[offset:]


def test_a_cursor_holds_where_a_segment_ends_meanwhile(sessions: Sessions) -> None:
    conversation(sessions, 4, 10)
    for descending in (False, True):
        first = sessions.messages.list("s", "ada", limit=3, descending=descending)
        second = sessions.messages.list("s", "ada", limit=3, descending=descending, cursor=first.cursor)
        assert sessions.segments.end("s", "ada", after=AFTER) is not None
        say(sessions, 20, 22)
        found = texts(first) + walk(sessions, second, descending=descending, limit=3)
        wanted = sessions.segments.full_history("s", "ada", start=0).messages
        said = [one.entry.message["content"][0]["text"] for one in wanted]
        # what was said since comes last, or was before
        assert found == (said[-3::-1] if descending else said)


class Counted(Wrapped):
    """Counts what the engine is asked, and the entries that it gave."""

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.verbs: list[str] = []
        self.entries = 0

    def _ask(self, call: Call, engine: Callable[[], Any]) -> Any:
        self.verbs.append(call.verb)
        answer = engine()
        if call.verb == "read":
            self.entries += sum(len(view.entries) for view in answer.logs.values())
        return answer

    def since(self) -> tuple[int, int]:
        told = len(self.verbs), self.entries
        self.verbs, self.entries = [], 0
        return told


def test_an_offset_walks_no_history(memory: Sessions) -> None:
    memory.create("s", "ada")
    for first in range(0, 12_000, 4_000):
        say(memory, first, first + 4_000)
    store = Counted(memory.store)
    listed = Sessions(store).messages.list
    for descending in (False, True):
        for offset in (0, 5_000, 11_950):
            page = listed("s", "ada", offset=offset, descending=descending)
            assert (page.total, len(page.messages), store.since()) == (12_000, 50, (2, 50))
        listed("s", "ada", offset=12_000, descending=descending)
        assert store.since() == (1, 0)
        listed("s", "ada", descending=descending)
        assert store.since() == (1, 50)
    memory.messages.remove("s", "id-7000", "ada")
    for descending in (False, True):
        for offset, most in ((100, 151), (11_900, 151), (11_949, 150), (6_000, 6_100)):
            page = listed("s", "ada", offset=offset, descending=descending)
            calls, entries = store.since()
            assert page.total == 11_999 and entries <= most and calls <= 2 + entries / 1_000 + 1


def test_of_many_segments_only_those_that_are_shown_are_read(memory: Sessions) -> None:
    counts = []
    for count in (10, 40):
        sessions = Sessions(MemoryStore())
        conversation(sessions, *range(4, 4 * count + 1, 4), removed=[5])
        store = Counted(sessions.store)
        listed = Sessions(store).messages.list
        for options in ({"offset": 1}, {"offset": 15}, {"offset": 15, "descending": True}, {}):
            page = listed("s", "ada", limit=2, **options)  # type: ignore[arg-type]
            assert len(page.messages) == 2
            counts.append(store.since())
    assert counts[:4] == counts[4:]
    assert max(entries for _, entries in counts) <= 7


def test_a_call_with_a_filter_ends_at_its_bound(memory: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation_listing, "LOOKED_AT", 1_500)
    conversation(memory, 500, 2_600, removed=[1])
    store = Counted(memory.store)
    listed = Sessions(store).messages.list
    page = listed("s", "ada", matching=lambda said: False)
    assert page.messages == () and page.cursor is not None
    assert store.since()[1] < 1_500 + 1_000
    assert walk(memory, page, matching=lambda said: said.tracking_id == "id-2599") == ["2599"]
    store.since()
    page = listed("s", "ada", matching=even, offset=2, limit=3)
    assert (texts(page), page.total, page.exact) == (["4", "6", "8"], 750, False)
    calls, entries = store.since()
    assert calls <= 5 and entries < 1_500 + 1_000
    assert walk(memory, page, matching=even, limit=1_000) == [str(one) for one in range(4, 2_600, 2)]
    page = listed("s", "ada", matching=even, offset=748, limit=3)
    assert (texts(page), page.total, page.exact) == (["1496", "1498"], 750, False)
    assert texts(listed("s", "ada", matching=even, limit=2, cursor=page.cursor)) == ["1500", "1502"]
    with pytest.raises(ValueError, match="offset=751"):
        listed("s", "ada", matching=even, offset=751)
    # no more than these: then the total is all
    monkeypatch.setattr(conversation_listing, "LOOKED_AT", 2_600)
    for descending in (False, True):
        page = listed("s", "ada", matching=even, offset=1_299, descending=descending)
        assert (len(page.messages), page.total, page.exact, page.cursor) == (1, 1_300, True, None)
        assert listed("s", "ada", matching=even, offset=1_301, descending=descending).messages == ()


def test_a_page_is_filled_however_much_was_removed(memory: Sessions) -> None:
    conversation(memory, 60, removed=range(1, 58))
    assert texts(memory.messages.list("s", "ada", limit=2)) == ["0", "58"]
    page = memory.messages.list("s", "ada", limit=2, offset=1)
    assert (texts(page), page.cursor) == (["58", "59"], None)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1_001}, "limit"),
        ({"offset": -1}, "offset"),
        ({"offset": True}, "offset"),
        ({"offset": 0, "cursor": "x"}, "offset and cursor"),
        ({"descending": "yes"}, "descending"),
        ({"matching": "text"}, "matching"),
        ({"agent_id": ""}, "agent_id"),
    ],
)
def test_wrong_arguments_are_named(memory: Sessions, options: dict[str, Any], named: str) -> None:
    memory.create("s", "ada")
    with pytest.raises(ValueError, match=named):
        memory.messages.list("s", "ada", **options)


def test_a_cursor_that_is_none_is_told(memory: Sessions) -> None:
    conversation(memory, 4, 8)
    up, down = (memory.messages.list("s", "ada", limit=1, descending=way).cursor for way in (False, True))
    listed = memory.messages.list
    for cursor in ("", "x", "agents/default/messages/newer/x", "agents/other/messages/newer/1", down):
        with pytest.raises(InvalidCursorError, match="cursor"):
            listed("s", "ada", cursor=cursor)
    with pytest.raises(InvalidCursorError, match="descending=False"):
        listed("s", "ada", cursor=up, descending=True)
    with pytest.raises(InvalidCursorError):
        listed("s", "ada", cursor=up, agent_id="other")
