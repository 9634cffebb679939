"""Sessions go to a file and from store to store, on every engine, and are the same there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from strands_session_store import SessionNotFoundError, StoreError, layout
from strands_session_store.errors import Unavailable
from strands_session_store.sessions import Sessions, outgoing
from strands_session_store.sessions.inside import counters_of, logs_of
from strands_session_store.stores.base import Docs, Document, Look, PutDoc, Store, new_commit_id
from strands_session_store.testing.wrapping import Call, Wrapped

from .contents import OWNED, fill, shape, talking

T = TypeVar("T")


@pytest.fixture
def other(memory: Sessions) -> Sessions:
    return memory


def digests(file: Path) -> dict[tuple[str, str | None, str], str]:
    """Kind, owner and id of all that is in an archive, with the digest of its content."""
    lines = [json.loads(line) for line in file.read_bytes().splitlines()]
    begun = {(line["begin"], line["owner"], line["id"]): line["digest"] for line in lines if "begin" in line}
    ended = [line["digest"] for line in lines if "end" in line]
    assert list(begun.values()) == ended
    return begun


def test_from_every_engine_to_a_file_to_another_and_back(sessions: Sessions, other: Sessions, tmp_path: Path) -> None:
    live = fill(sessions)
    done = sessions.archive.export(tmp_path / "a", everyone=True)
    assert (done.sessions, done.users) == (5, 1)
    assert other.archive.import_(tmp_path / "a").sessions == 5
    assert shape(other) == shape(sessions)
    again = other.archive.export(tmp_path / "b", everyone=True)
    assert (again.documents, again.entries, again.bytes) == (done.documents, done.entries, done.bytes)
    assert digests(tmp_path / "b") == digests(tmp_path / "a")
    # an agent goes on with exactly what it had
    with talking(other, "s", "ada", ["here"]) as resumed:
        assert resumed.messages == live.messages and len(resumed.messages) == 6
        assert resumed.state.get() == {"x": [1.5, None]}
        assert resumed("where?").stop_reason == "end_turn"


def test_from_a_file_and_from_a_store_to_every_engine(sessions: Sessions, other: Sessions, tmp_path: Path) -> None:
    live = fill(other)
    other.archive.export(tmp_path / "a", "ada")
    first = sessions.archive.import_(tmp_path / "a")
    assert (first.sessions, first.users, first.same) == (3, 1, 0)
    # the rest comes by a copy, which leaves alone what is there
    done = other.archive.copy(sessions, everyone=True)
    assert (done.sessions, done.users, done.same) == (2, 0, 4)
    assert shape(sessions) == shape(other)
    sessions.archive.export(tmp_path / "b", everyone=True)
    other.archive.export(tmp_path / "c", everyone=True)
    assert digests(tmp_path / "b") == digests(tmp_path / "c")
    ends = sessions.get("child", "ada").expires, other.get("child", "ada").expires
    assert ends[0] is not None and ends[1] is not None and abs(ends[0] - ends[1]) < 2
    assert all(sessions.get(id, owner).expires is None for id, owner in OWNED if id != "child")
    assert [node.session.session_id for node in sessions.children("s", "ada")] == ["child"]
    listed = [one.session.session_id for one in sessions.list("ada", order="created", descending=False).sessions]
    assert listed == ["s", "child", "graph"]
    with talking(sessions, "s", "ada", ["here"]) as resumed:
        assert resumed.messages == live.messages
        assert resumed("where?").stop_reason == "end_turn"


# --------------------------------------------------------------------------------------------------- what is meant


def test_only_what_is_asked_for_is_taken(memory: Sessions, tmp_path: Path) -> None:
    fill(memory)

    def taken(*args: object, **options: object) -> list[tuple[str, str | None, str]]:
        memory.archive.export(tmp_path / "x", *args, **options)  # type: ignore[arg-type]
        return list(digests(tmp_path / "x"))

    assert taken() == [("session", None, "s")]
    assert taken("bob") == [("session", "bob", "s")]
    assert taken("ada") == [("user", None, "ada"), *(("session", "ada", id) for id in ("s", "child", "graph"))]
    assert taken("ada", ids=["graph", "s", "graph"]) == [("session", "ada", "graph"), ("session", "ada", "s")]
    assert taken("nobody") == []
    memory.archive.export(tmp_path / "all", everyone=True)
    with Sessions("memory://") as target:
        done = target.archive.import_(tmp_path / "all", user_id="ada")
        assert (done.sessions, done.users) == (3, 1)
        assert target.archive.import_(tmp_path / "all", user_id=None).sessions == 1
        assert target.list("bob").sessions == ()
    for wrong in ({"everyone": True, "user_id": "ada"}, {"everyone": True, "ids": ["s"]}, {"ids": "s"}):
        with pytest.raises(ValueError, match=r"everyone=True|ids must be"):
            memory.archive.export(tmp_path / "y", **wrong)  # type: ignore[arg-type]
    with pytest.raises(SessionNotFoundError, match="'nope' of user 'ada'"):
        memory.archive.export(tmp_path / "y", "ada", ids=["s", "nope"])
    with pytest.raises(ValueError, match="path of a file"):
        memory.archive.export(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all", "x"]


def test_nothing_that_layout_can_spell_is_left_out() -> None:
    """Whoever adds a log, document or counter of an agent has to say so to the archive."""
    spelled = {
        layout.agent("a"), layout.context("a"), layout.writer("a"), layout.history("a"), layout.variants("a"),
        layout.tail("a", "messages"), layout.tail("a", "variants"), layout.removed("a"), layout.trace("a"),
        layout.segments("a"), layout.summary("a"),
    }  # fmt: skip
    functions = {
        name for name, f in vars(layout).items() if callable(f) and "agent_id" in getattr(f, "__annotations__", {})
    }
    functions -= {"segment_space"}  # a session of its own
    of_agents = {"agent", "context", "segments", "summary", "writer", "history", "variants", "tail", "removed", "trace"}
    assert functions == of_agents, "add it to `spelled`"
    look = Look("i", 1, {layout.writer("a"): Document(b"{}", "i.1")})
    told = {*logs_of(look), *counters_of(look)}
    assert {path for path in spelled if not layout.is_known(path)} <= told


def test_what_this_version_does_not_know_is_refused(memory: Sessions, tmp_path: Path) -> None:
    memory.create("s")
    space = layout.session_space("s", None)
    memory.store.commit(space, PutDoc("later/thing", b"{}"), commit_id=new_commit_id())
    with pytest.raises(StoreError, match=r"holds 'later/thing'.* use a newer version"):
        memory.archive.export(tmp_path / "x")
    with Sessions("memory://") as target, pytest.raises(StoreError, match="later/thing"):
        memory.archive.copy(target)
    assert not any(tmp_path.iterdir())


def test_leases_stay_behind_and_writers_go_along(memory: Sessions, tmp_path: Path) -> None:
    fill(memory)
    memory.archive.export(tmp_path / "a", "ada", ids=["s"])
    for path in layout.LEASES:
        memory.store.commit(layout.session_space("s", "ada"), PutDoc(path, b"{}"), commit_id=new_commit_id())
    memory.archive.export(tmp_path / "b", "ada", ids=["s"])
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    text = (tmp_path / "b").read_text()
    assert '"lease' not in text and '"agents/default/writer"' in text


# ------------------------------------------------------------------------------------------------ while it changes


class Restless(Wrapped):
    """Changes a session behind each of the first reads of all its documents."""

    def __init__(self, store: Store, changes: int) -> None:
        super().__init__(store)
        self.changes = changes

    def _ask(self, call: Call, engine: Callable[[], T]) -> T:
        done = engine()
        if self.changes and call.space is not None and call.args[:1] == (Docs(""),):
            self.changes -= 1
            Sessions(self.store).update(call.space.id, call.space.owner, title=f"{self.changes} more")
        return done


@pytest.mark.parametrize("how", ["export", "copy"])
def test_a_session_that_changes_is_taken_from_one_state(memory: Sessions, tmp_path: Path, how: str) -> None:
    fill(memory)
    restless = Sessions(Restless(memory.store, 2))
    with Sessions("memory://") as target:
        if how == "export":
            restless.archive.export(tmp_path / "x", "ada", ids=["s"])
            done = target.archive.import_(tmp_path / "x")
        else:
            done = restless.archive.copy(target, "ada", ids=["s"])
        assert done.sessions == 1
        assert target.get("s", "ada").session == memory.get("s", "ada").session
        assert target.get("s", "ada").session.title == "0 more"
        assert target.layout_tree("s", "ada") == memory.layout_tree("s", "ada")


def test_one_that_never_rests_is_an_error(memory: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "PAUSE", 0.0)
    fill(memory)
    restless = Sessions(Restless(memory.store, 10**9))
    with pytest.raises(Unavailable, match="changed during each of 10 attempts"):
        restless.archive.export(tmp_path / "x", "ada", ids=["s"])
    with Sessions("memory://") as target:
        with pytest.raises(Unavailable, match="changed during each"):
            restless.archive.copy(target, "ada", ids=["s"])
        assert target.store.read(layout.session_space("s", "ada")).incarnation is None
    assert not any(tmp_path.iterdir())


def test_what_is_dropped_meanwhile_is_passed_over(memory: Sessions, tmp_path: Path) -> None:
    memory.create("a")
    memory.create("b")
    gone = layout.session_space("b", None)
    done = memory.archive.export(tmp_path / "x", progress=lambda step: memory.store.drop(gone) and None)
    assert done.sessions == 1


def test_expired_ones_are_not_imported(memory: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.create("s", expires_in=100)
    memory.archive.export(tmp_path / "x")
    later = time.time() + 101
    monkeypatch.setattr(time, "time", lambda: later)
    with Sessions("memory://") as target:
        done = target.archive.import_(tmp_path / "x")
        assert (done.sessions, done.expired) == (0, 1)
        with pytest.raises(SessionNotFoundError):
            target.get("s")
