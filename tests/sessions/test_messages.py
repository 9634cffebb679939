"""Messages are paged, found, counted, appended, edited, redacted, removed and erased, on every engine."""

from __future__ import annotations

from typing import Any

import pytest
from strands import Agent

from strands_session_store import SessionNotFoundError, StoreSessionManager, layout
from strands_session_store.errors import (
    AlreadyExistsError,
    InvalidCursorError,
    InvalidIdError,
    MessageNotFoundError,
    RunNotFoundError,
    TooLarge,
    Unserializable,
)
from strands_session_store.sessions import LogPage, Sessions
from strands_session_store.testing.models import ScriptedModel

HISTORY = layout.history("default")


def said(page: LogPage[Any]) -> list[str]:
    return [entry.message["content"][0]["text"] for entry in page.entries.values()]


def filled(sessions: Sessions, count: int = 10, **options: Any) -> list[str]:
    """A session with texts "0", "1", ... by user and assistant in turn; their ids."""
    sessions.create("s")
    messages = [
        {"role": ("user", "assistant")[i % 2], "content": str(i), "tracking_id": f"id-{i}"} for i in range(count)
    ]
    return [one.entry.message["tracking_id"] for one in sessions.messages.append("s", messages, **options)]


def built(sessions: Sessions, session_id: str = "s", **options: Any) -> Agent:
    manager = StoreSessionManager(session_id, sessions.store)
    model = ScriptedModel(lambda messages: f"{len(messages)} heard")
    return Agent(model=model, session_manager=manager, callback_handler=None, **options)


# ------------------------------------------------------------------------------------------------- on every engine


def test_the_whole_way_of_messages(sessions: Sessions) -> None:
    ids = filled(sessions)
    messages = sessions.messages
    assert said(messages.page("s", limit=3)) == ["7", "8", "9"]
    assert said(messages.page("s", before="id-4", limit=2)) == ["2", "3"]
    assert said(messages.page("s", after="id-4", limit=2)) == ["5", "6"]
    assert messages.get("s", "id-3").index == 3
    assert messages.edit_metadata("s", "id-3", {"stars": 5}) == {"stars": 5}
    messages.redact("s", "id-5")
    messages.remove("s", "id-6")
    messages.remove("s", "id-9")
    assert said(messages.page("s")) == ["0", "1", "2", "3", "4", "[redacted]", "7", "8"]
    assert (messages.count("s"), messages.count("s", agent_id="default")) == (8, 8)
    assert [found.index for found in messages.search("s", "REDACTED").found] == [5]
    agent = built(sessions)
    stored = [entry.message for entry in messages.page("s").entries.values()]
    assert agent.messages == stored and stored[3]["metadata"] == {"custom": {"stars": 5}}
    agent("more")
    assert built(sessions).messages == agent.messages
    assert list(messages.page("s").entries) == [0, 1, 2, 3, 4, 5, 7, 8, 10, 11]
    assert messages.clear("s") == 10
    assert (messages.count("s"), messages.count("s", agent_id="default")) == (0, 0)
    page = messages.page("s")
    assert (dict(page.entries), page.start, page.length) == ({}, 12, 12)
    assert built(sessions).messages == []
    agent("anew")
    assert list(messages.page("s").entries) == [12, 13]
    assert built(sessions).messages == agent.messages
    assert messages.count("s") == 2
    assert ids == [f"id-{i}" for i in range(10)]


def test_another_users_messages_are_not_there(sessions: Sessions) -> None:
    sessions.create("s", "ada")
    sessions.messages.append("s", {"role": "user", "content": "hi", "tracking_id": "m"}, "ada")
    messages = sessions.messages
    for owner in (None, "bob"):
        for call in (
            lambda: messages.page("s", owner),  # noqa: B023
            lambda: messages.get("s", "m", owner),  # noqa: B023
            lambda: messages.count("s", owner),  # noqa: B023
            lambda: messages.search("s", "hi", owner),  # noqa: B023
            lambda: messages.append("s", {"role": "user", "content": "mine"}, owner),  # noqa: B023
            lambda: messages.edit_metadata("s", "m", {"a": 1}, owner),  # noqa: B023
            lambda: messages.redact("s", "m", owner),  # noqa: B023
            lambda: messages.remove("s", "m", owner),  # noqa: B023
            lambda: messages.clear("s", owner),  # noqa: B023
        ):
            with pytest.raises(SessionNotFoundError):
                call()
    assert said(messages.page("s", "ada")) == ["hi"]


# ------------------------------------------------------------------------------------------------------------- pages


@pytest.mark.parametrize("gone", [[], [0, 3, 4, 9], list(range(10))])
@pytest.mark.parametrize("limit", [1, 3, 50])
def test_cursors_lead_through_all_of_it_both_ways(memory: Sessions, gone: list[int], limit: int) -> None:
    filled(memory)
    for index in gone:
        memory.messages.remove("s", f"id-{index}")
    wanted = [i for i in range(10) if i not in gone]
    back: list[int] = []
    page = memory.messages.page("s", limit=limit)
    assert page.newer is None
    back = [*page.entries, *back]
    while page.older is not None:
        page = memory.messages.page("s", cursor=page.older, limit=limit)
        assert len(page.entries) <= limit
        back = [*page.entries, *back]
    assert back == wanted
    page = memory.messages.page("s", start=0, limit=limit)
    forth = [*page.entries]
    assert page.older is None
    while page.newer is not None:
        page = memory.messages.page("s", cursor=page.newer, limit=limit)
        forth += page.entries
    assert forth == wanted


def test_a_page_turns_round(memory: Sessions) -> None:
    filled(memory)
    page = memory.messages.page("s", limit=3)
    assert page.older is not None
    before = memory.messages.page("s", cursor=page.older, limit=2)
    assert said(before) == ["5", "6"] and before.newer is not None
    assert said(memory.messages.page("s", cursor=before.newer, limit=3)) == said(page)
    assert memory.messages.page("s", cursor=f"{HISTORY}/older/99999999", limit=1).entries.keys() == {9}
    assert not memory.messages.page("s", cursor=f"{HISTORY}/newer/99999999").entries
    assert not memory.messages.page("s", start=10**17).entries


def test_pages_of_a_role(memory: Sessions) -> None:
    filled(memory)
    page = memory.messages.page("s", role="user", limit=3)
    assert said(page) == ["4", "6", "8"] and page.older is not None
    assert said(memory.messages.page("s", role="user", limit=3, cursor=page.older)) == ["0", "2"]
    assert said(memory.messages.page("s", role="assistant", start=3, limit=2)) == ["3", "5"]


def test_pages_of_a_run(memory: Sessions) -> None:
    opened: list[list[str]] = []

    def script(messages: Any) -> str:
        (run,) = memory.runs.active("s")
        opened.append(said(memory.messages.page("s", run_id=run.run_id)))
        return f"answer {len(opened)}"

    with StoreSessionManager("s", memory.store) as manager:
        agent = Agent(model=ScriptedModel(script), session_manager=manager, callback_handler=None)
        for prompt in ("a", "b", "c"):
            agent(prompt)
        memory.messages.append("s", {"role": "user", "content": "between"})
        agent("d")
    runs = [run.run_id for run in memory.runs.list("s").entries.values()]
    pages = [said(memory.messages.page("s", run_id=run)) for run in runs]
    assert pages == [["a", "answer 1"], ["b", "answer 2"], ["c", "answer 3"], ["d", "answer 4"]]
    assert opened == [["a"], ["b"], ["c"], ["d"]]
    assert said(memory.messages.page("s", run_id=runs[1], role="assistant")) == ["answer 2"]
    one = memory.messages.page("s", run_id=runs[1], limit=1)
    assert (said(one), one.newer) == (["answer 2"], None) and one.older is not None
    other = memory.messages.page("s", run_id=runs[1], cursor=one.older)
    assert (said(other), other.older) == (["b"], None)
    with pytest.raises(RunNotFoundError, match="nothing"):
        memory.messages.page("s", run_id="nothing")
    with pytest.raises(RunNotFoundError, match="agent_id='default'"):
        memory.messages.page("s", run_id=runs[0], agent_id="other")


def test_an_id_is_found_wherever_it_stands(memory: Sessions) -> None:
    filled(memory, 2500)
    for index in (0, 1, 1399, 2399, 2400, 2499):
        assert memory.messages.get("s", f"id-{index}").index == index
    with pytest.raises(MessageNotFoundError, match="id-2500"):
        memory.messages.get("s", "id-2500")
    with pytest.raises(MessageNotFoundError):
        memory.messages.page("s", before="nothing")


def test_what_is_asked_wrongly_is_refused_by_name(memory: Sessions) -> None:
    filled(memory)
    messages = memory.messages
    for wrong, named in (
        ({"limit": 0}, "limit"),
        ({"start": -1}, "start"),
        ({"role": "tool"}, "role"),
        ({"start": 1, "before": "id-1"}, "give one of them"),
    ):
        with pytest.raises(ValueError, match=named):
            messages.page("s", **wrong)  # type: ignore[arg-type]
    ways = ("older", "older/", "older/-1", "newer/1/2", "older/²", "newer/" + "9" * 40)
    for cursor in ("", "x", f"{layout.history('other')}/older/1", *(f"{HISTORY}/{way}" for way in ways)):
        with pytest.raises(InvalidCursorError):
            messages.page("s", cursor=cursor)
        with pytest.raises(InvalidCursorError):
            messages.search("s", "x", cursor=cursor)
    with pytest.raises(InvalidCursorError):
        messages.search("s", "x", cursor=f"{HISTORY}/newer/3")
    with pytest.raises(InvalidIdError, match="message_id"):
        messages.get("s", "")
    with pytest.raises(ValueError, match="text"):
        messages.search("s", "")


# ------------------------------------------------------------------------------------------------------------ search


def test_search_looks_into_texts_and_tools_whatever_their_case(memory: Sessions) -> None:
    memory.create("s")
    memory.messages.append(
        "s",
        [
            {"role": "user", "content": "Die STRASSE nach Lisboa"},
            {
                "role": "assistant",
                "content": [{"toolUse": {"toolUseId": "t", "name": "find", "input": {"where": ["Straße", 4711]}}}],
            },
            {
                "role": "user",
                "content": [
                    {"toolResult": {"toolUseId": "t", "content": [{"json": {"streets": {"strasse": 1.5}}}]}},
                    {"toolResult": {"toolUseId": "u", "content": [{"text": "Rua"}]}},
                ],
            },
            {"role": "assistant", "content": [{"image": {"format": "png", "source": {"bytes": b"strasse"}}}]},
        ],
    )
    search = memory.messages.search
    assert [found.index for found in search("s", "straSSe").found] == [2, 1, 0]
    assert [found.index for found in search("s", "4711").found] == [1]
    assert [found.index for found in search("s", "RUA").found] == [2]
    assert search("s", "find").found == () and search("s", "nothing").cursor is None
    assert [found.index for found in search("s", "strasse", ignore_case=False).found] == [2]
    assert [found.index for found in search("s", "Straße", ignore_case=False).found] == [1]
    assert search("s", "RUA", ignore_case=False).found == ()
    with pytest.raises(ValueError, match="ignore_case"):
        search("s", "RUA", ignore_case="no")  # type: ignore[arg-type]
    memory.messages.remove("s", search("s", "rua").found[0].entry.message["tracking_id"])
    assert [found.index for found in search("s", "strasse").found] == [1, 0]


def test_search_is_paged_and_bounded(memory: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(memory, 1200)
    first = memory.messages.search("s", "1", limit=2)
    assert [found.index for found in first.found] == [1199, 1198]
    second = memory.messages.search("s", "1", limit=2, cursor=first.cursor)
    assert [found.index for found in second.found] == [1197, 1196]
    monkeypatch.setattr("strands_session_store.sessions.entries.LOOKED_AT", 100)
    cursor, found, calls = None, [], 0
    while calls == 0 or cursor is not None:
        part = memory.messages.search("s", "1000", cursor=cursor)
        found, cursor, calls = [*found, *part.found], part.cursor, calls + 1
    assert [one.index for one in found] == [1000] and calls == 12


# ------------------------------------------------------------------------------------------------------------ append


def test_what_was_appended_is_restored_exactly(memory: Sessions) -> None:
    memory.create("s")
    given = [
        {"role": "user", "content": "hi", "metadata": {"custom": {"at": {1, 2}, "who": b"\x00"}}},
        {
            "role": "assistant",
            "content": [{"text": "let me see"}, {"toolUse": {"toolUseId": "t", "name": "clock", "input": {}}}],
        },
        {"role": "user", "content": [{"toolResult": {"toolUseId": "t", "status": "success", "content": []}}]},
        {"role": "assistant", "content": [{"reasoningContent": {"new": "kind"}}, {"text": "noon"}]},
    ]
    before = repr(given)
    added = memory.messages.append("s", given)
    assert repr(given) == before
    agent = built(memory, state={"of": "its code"})
    assert agent.messages == [one.entry.message for one in added]
    assert agent.messages[0]["content"] == [{"text": "hi"}]
    assert agent.messages[0]["metadata"] == given[0]["metadata"]  # type: ignore[comparison-overlap]
    assert len({message["tracking_id"] for message in agent.messages}) == 4
    assert agent.state.get() == {"of": "its code"}
    agent("and now?")
    again = built(memory)
    assert (again.messages, again.state.get()) == (agent.messages, {"of": "its code"})
    assert memory.messages.count("s") == 6


def test_a_repetition_with_ids_of_ones_own_is_refused_whole(memory: Sessions) -> None:
    filled(memory, 3)
    new: dict[str, Any] = {"role": "user", "content": "new"}
    with pytest.raises(AlreadyExistsError, match=r"'id-1' .* index 1"):
        memory.messages.append("s", [new, {**new, "tracking_id": "id-1"}])
    with pytest.raises(ValueError, match="'x'"):
        memory.messages.append("s", [{**new, "tracking_id": "x"}, {**new, "tracking_id": "x"}])
    assert memory.messages.count("s") == 3
    memory.messages.append("s", [new] * 100)
    memory.messages.append("s", {**new, "tracking_id": "id-1"})
    assert memory.messages.get("s", "id-1").index == 103
    memory.messages.remove("s", "id-1")
    with pytest.raises(MessageNotFoundError):
        memory.messages.get("s", "id-1")
    assert memory.messages.count("s") == 102


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ("hi", "not str"),
        ([], "messages is empty"),
        (["hi"], r"messages\[0\] must be a dict"),
        ({"content": "hi"}, r"message\['role'\]"),
        ({"role": "system", "content": "hi"}, "'system'"),
        ([{"role": "user", "content": "hi"}, {"role": "user", "content": []}], r"messages\[1\]\['content'\]"),
        ({"role": "user", "content": ["hi"]}, r"\['content'\]\[0\] must be a content block"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, "vendor's terms, of type 'image_url'"),
        ({"role": "user", "content": [{"type": "text", "text": "hi"}]}, "Name its format"),
        ({"role": "user", "content": [{"text": 1}]}, r"\['text'\]"),
        ({"role": "user", "content": [{"toolUse": {"name": "t", "input": {}}}]}, "toolUseId is None"),
        ({"role": "user", "content": [{"toolResult": {"toolUseId": "t", "content": "x"}}]}, "content is 'x'"),
        ({"role": "user", "content": [{"toolResult": {"toolUseId": "t", "content": ["x"]}}]}, "list of blocks"),
        ({"role": "user", "content": "hi", "name": "ada"}, "'name'.*custom"),
        ({"role": "user", "content": "hi", "metadata": {"custom": 1}}, "metadata"),
        ({"role": "user", "content": "hi", "tracking_id": ""}, "tracking_id"),
        (
            {"role": "user", "content": "hi", "metadata": {"custom": {"a": object()}}},
            r"\['custom'\]\['a'\] is a object",
        ),
        ({"role": "user", "content": "x" * 17_000_000}, "16,777,216"),
    ],
)
def test_what_is_no_message_is_refused_by_its_place(memory: Sessions, wrong: Any, named: str) -> None:
    memory.create("s")
    with pytest.raises((ValueError, InvalidIdError, Unserializable, TooLarge), match=named):
        memory.messages.append("s", wrong)
    assert memory.layout_tree("s") == memory.layout_tree("s")[:1]


# -------------------------------------------------------------------------------------------------------- rewriting


def test_what_is_not_there_can_not_be_changed_and_disturbs_nobody(memory: Sessions) -> None:
    filled(memory)
    memory.messages.remove("s", "id-4")
    before = memory.store.read(memory._session("s", None).space).revision
    for call in (memory.messages.redact, memory.messages.remove, memory.messages.get):
        for id in ("id-4", "nothing"):
            with pytest.raises(MessageNotFoundError, match=id):
                call("s", id)
    with pytest.raises(MessageNotFoundError):
        memory.messages.edit_metadata("s", "id-4", {"a": 1})
    with pytest.raises(Unserializable, match=r"values\['a'\]"):
        memory.messages.edit_metadata("s", "id-5", {"a": object()})
    assert memory.store.read(memory._session("s", None).space).revision == before


def test_a_tombstone_keeps_role_id_time_and_usage_and_few_bytes(memory: Sessions) -> None:
    with StoreSessionManager("s", memory.store) as manager:
        Agent(model=ScriptedModel(["secret"]), session_manager=manager, callback_handler=None)("hello")
    index, entry = next(reversed(memory.messages.page("s").entries.items()))
    memory.messages.remove("s", entry.message["tracking_id"])
    raw = b"".join(_entries(memory, "agents/default/messages"))
    assert b"secret" not in raw and b"hello" in raw
    from strands_session_store import codec, records

    left = codec.load(records.Message, _entries(memory, "agents/default/messages")[index], "")
    assert left.message == {
        "role": "assistant",
        "content": [],
        "metadata": {"usage": entry.message["metadata"]["usage"]},
        "tracking_id": entry.message["tracking_id"],
    }
    assert left.at == entry.at and left.removed is not None and left.redacted is None
    assert codec.load_message(codec.dump(left), "")[0] is None


def _entries(sessions: Sessions, log: str) -> list[bytes]:
    from strands_session_store.stores.base import Log

    look = sessions.store.read(sessions._session("s", None).space, Log(log, spans=[(0, None)]))
    return list(look.logs[log].entries.values())
