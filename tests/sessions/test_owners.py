"""Whatever is asked of another user's session: it is not there, in the words in which an absent one is not."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from strands_session_store import SessionNotFoundError, records
from strands_session_store.sessions import Sessions
from strands_session_store.sessions.access import Part

HELLO = {"role": "user", "content": "hello", "tracking_id": "m"}
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "extend_expiry": (5,),
    "set_expiry": (5,),
    "move": (None,),
    "rewind": ("m",),
    "messages.append": (HELLO,),
    "messages.edit_metadata": ("m", {"a": 1}),
    "messages.get": ("m",),
    "messages.redact": ("m",),
    "messages.remove": ("m",),
    "messages.search": ("hello",),
    "runs.cancel": ("r",),
    "runs.complete": ("r",),
    "runs.edit_metadata": ("r", {"a": 1}),
    "runs.fail": ("r", "an error"),
    "runs.get": ("r",),
    "runs.interrupt": ("r",),
    "runs.tool_calls": ("r",),
    "runs.usage": ("r",),
    "events.append": (records.Event(type="custom", source="user"),),
    "usage.session_by": ("model",),
    "usage.subtree_by": ("model",),
}
"""What a method is given besides the session's id and its owner."""
ELSEWHERE = {"create", "delete", "run", "metadata", "state"}
"""These don't look for a session, or not by themselves."""


def calls(sessions: Sessions) -> dict[str, Callable[..., Any]]:
    """Every method that is told a session id and an owner."""
    found = {}
    places = {"": sessions, **{f"{n}.": part for n, part in vars(sessions).items() if isinstance(part, Part)}}
    for prefix, place in places.items():
        for name, method in inspect.getmembers(place, inspect.ismethod):
            parameters = inspect.signature(method).parameters
            if name[0] != "_" and name not in ELSEWHERE and {"session_id", "user_id"} <= parameters.keys():
                found[prefix + name] = method
    return found


def test_foreign_is_told_as_absent_is(sessions: Sessions) -> None:
    sessions.create("s", "ada")
    sessions.messages.append("s", HELLO, "ada")
    sessions.runs.start("s", "ada", run_id="r")
    before = sessions.layout_tree("s", "ada")
    tried = calls(sessions)
    assert len(tried) > 35
    for name, method in tried.items():
        told = []
        for session_id, owner in (("s", "bob"), ("t", "bob"), ("s", None)):
            order = [p for p in inspect.signature(method).parameters]
            given = dict(zip([p for p in order if p not in ("session_id", "user_id")], ARGUMENTS.get(name, ())))
            with pytest.raises(SessionNotFoundError) as caught:
                method(session_id=session_id, user_id=owner, **given)
            told.append(str(caught.value).replace(repr(session_id), "?").replace(" of user 'bob'", ""))
        assert len(set(told)) == 1, (name, told)
    assert sessions.layout_tree("s", "ada") == before


def test_metadata_state_and_runs_of_another_are_not_there(sessions: Sessions) -> None:
    sessions.create("s", "ada")
    for ask in (
        lambda: sessions.metadata("s", "bob").all(),
        lambda: sessions.metadata("s", "bob").get_managed("n", "k"),
        lambda: sessions.state("s", "bob").set("a", 1),
        lambda: sessions.run("s", "bob").__enter__(),
        lambda: sessions.update("s", "bob", title="mine", expected=sessions.get("s", "ada").revision),
        lambda: sessions.messages.list("s", "bob", offset=0),
        lambda: sessions.messages.list("s", "bob", offset=0, matching=bool),
    ):
        with pytest.raises(SessionNotFoundError):
            ask()
    assert not sessions.delete("s", "bob").existed
    assert sessions.list("bob").sessions == sessions.list("bob", ids=["s"]).sessions == ()
    assert sessions.usage.user("bob").calls == 0
