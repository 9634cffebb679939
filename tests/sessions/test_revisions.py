"""A session's revision tells whether its own record is as it was, and a change can be made to expect it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from strands_session_store import ConflictError, SessionNotFoundError
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Store
from strands_session_store.testing.wrapping import Call, Wrapped

from .test_details import talk


def revision(sessions: Sessions) -> str:
    found = sessions.get("s", "ada").revision
    assert found is not None
    assert sessions.list("ada", ids=["s"]).sessions[0].revision == found
    return found


def test_a_revision_moves_with_the_record_and_not_with_messages(sessions: Sessions) -> None:
    sessions.create("p", "ada")
    sessions.create("s", "ada")
    seen = [revision(sessions)]
    changes: list[Callable[[], Any]] = [
        lambda: sessions.update("s", "ada", title="a"),
        lambda: sessions.update("s", "ada", title="a"),
        lambda: sessions.update("s", "ada", agent_instructions="Be kind."),
        lambda: sessions.deactivate("s", "ada"),
        lambda: sessions.metadata("s", "ada").set("a", 1),
        lambda: sessions.metadata("s", "ada").set_managed("n", "a", 1),
        lambda: sessions.state("s", "ada").set("a", 1),
        lambda: sessions.move("s", "p", "ada"),
    ]
    for change in changes:
        change()
        seen.append(revision(sessions))
    assert len(set(seen)) == len(seen)
    talk(sessions, "s", "ada")
    sessions.messages.append("s", {"role": "user", "content": "hi"}, "ada")
    sessions.create("child", "ada", parent_id="s")
    assert revision(sessions) == seen[-1]
    assert {one.revision for one in sessions.list("ada").sessions} == {None}


def test_a_change_is_made_only_to_what_is_as_expected(sessions: Sessions) -> None:
    sessions.create("s", "ada", title="a", agent_instructions="b")
    first = revision(sessions)
    assert sessions.update("s", "ada", title="A", expected=first).title == "A"
    second, before = revision(sessions), sessions.get("s", "ada")
    for attempt in (
        lambda: sessions.update("s", "ada", title="x", agent_instructions="x", expected=first),
        lambda: sessions.deactivate("s", "ada", expected=first),
        lambda: sessions.activate("s", "ada", expected="no revision"),
        lambda: sessions.update("s", "ada", expected=""),
    ):
        with pytest.raises(ConflictError) as caught:
            attempt()
        assert (caught.value.path, caught.value.found) == ("session", second)
    assert caught.value.expected == ""
    assert sessions.get("s", "ada") == before
    assert not sessions.deactivate("s", "ada", expected=second).active
    assert sessions.activate("s", "ada", expected=revision(sessions)).active
    sessions.delete("s", "ada")
    with pytest.raises(SessionNotFoundError):
        sessions.update("s", "ada", title="x", expected=second)
    sessions.create("s", "ada")
    with pytest.raises(ConflictError):  # of another life
        sessions.update("s", "ada", title="x", expected=second)


class Meanwhile(Wrapped):
    """Has something done by others right before the first commit."""

    def __init__(self, store: Store, act: Callable[[], object]) -> None:
        super().__init__(store)
        self.act, self.calls = act, list[str]()

    def _ask(self, call: Call, engine: Callable[[], Any]) -> Any:
        self.calls.append(call.verb)
        if call.verb == "commit" and self.calls.count("commit") == 1:
            self.act()
        return engine()


def test_one_that_is_changed_in_between_is_refused_at_once_and_others_decide_anew(sessions: Sessions) -> None:
    sessions.create("s", "ada")
    for act in (
        lambda: sessions.update("s", "ada", title="theirs"),
        lambda: (sessions.delete("s", "ada"), sessions.create("s", "ada", title="theirs")),
    ):
        store = Meanwhile(sessions.store, act)
        with pytest.raises(ConflictError):
            Sessions(store).update("s", "ada", title="mine", expected=revision(sessions))
        assert (sessions.get("s", "ada").session.title, store.calls) == ("theirs", ["read", "commit"])
    store = Meanwhile(sessions.store, lambda: sessions.update("s", "ada", title="theirs"))
    assert Sessions(store).update("s", "ada", description="mine").title == "theirs"


@pytest.mark.parametrize("value", [7, True, b"x", ["x"]])
def test_what_is_no_revision_is_named(memory: Sessions, value: Any) -> None:
    memory.create("s", "ada")
    for call in (memory.update, memory.activate, memory.deactivate):
        with pytest.raises(ValueError, match="expected must be the revision"):
            call("s", "ada", expected=value)
