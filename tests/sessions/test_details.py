"""A session is made, looked at, changed and ended, on every engine; one that the plugin made is like any other."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

import pytest
from strands import Agent

from strands_session_store import InvalidIdError, SessionNotFoundError, StoreSessionManager
from strands_session_store.errors import AlreadyExistsError, ConflictError, Unserializable
from strands_session_store.sessions import Sessions
from strands_session_store.testing.models import ScriptedModel

from ..plugin.children import wait_for


def talk(sessions: Sessions, session_id: str = "s", user_id: str | None = None, **options: object) -> Agent:
    with StoreSessionManager(session_id, sessions.store, user_id=user_id, **options) as manager:  # type: ignore[arg-type]
        agent = Agent(model=ScriptedModel(["ok"] * 9), session_manager=manager, callback_handler=None)
        agent("hello")
    return agent


def test_a_session_is_made_with_all_it_can_have(sessions: Sessions) -> None:
    sessions.create("p", "ada")
    made = sessions.create(
        "s",
        "ada",
        title="Träume",
        description="of Lisbon",
        agent_name="guide",
        agent_instructions="Be kind.",
        kind="chat",
        parent_id="p",
        metadata={"a": 1},
        state={"b": datetime(2026, 1, 1, tzinfo=timezone.utc)},
        expires_in=3600,
    )
    found = sessions.get("s", "ada")
    assert found.session == made
    assert (made.title, made.description, made.agent_name, made.kind) == ("Träume", "of Lisbon", "guide", "chat")
    assert (made.parent_id, made.active, made.updated) == ("p", True, None)
    assert found.instructions == "Be kind."
    assert found.expires is not None and abs(found.expires - time.time() - 3600) < 60
    assert sessions.metadata("s", "ada").all() == {"a": 1}
    assert sessions.state("s", "ada").all() == {"b": datetime(2026, 1, 1, tzinfo=timezone.utc)}


def test_ids_are_drawn_and_unique_for_their_owner(sessions: Sessions) -> None:
    drawn = {sessions.create(user_id="ada").session_id for _ in range(3)}
    assert len(drawn) == 3
    for owner in (None, "ada", "bob"):
        sessions.create("s", owner)
        with pytest.raises(AlreadyExistsError, match="'s'"):
            sessions.create("s", owner, title="again")
    assert sessions.get("s").session.title is None


def test_another_users_session_is_not_there(sessions: Sessions) -> None:
    sessions.create("s", "ada")
    told = set()
    for owner, id in (("bob", "s"), ("bob", "t"), ("ADA", "s"), (None, "s")):
        with pytest.raises(SessionNotFoundError) as caught:
            sessions.get(id, owner)
        told.add(str(caught.value).replace(repr(owner), "?").replace(repr(id), "?").replace(" of user ?", ""))
        for call in (
            lambda: sessions.update(id, owner, title="mine"),  # noqa: B023
            lambda: sessions.metadata(id, owner).set("a", 1),  # noqa: B023
            lambda: sessions.state(id, owner).all(),  # noqa: B023
            lambda: sessions.tree(id, owner),  # noqa: B023
            lambda: sessions.move(id, None, owner),  # noqa: B023
            lambda: sessions.set_expiry(id, 9, owner),  # noqa: B023
        ):
            with pytest.raises(SessionNotFoundError):
                call()
        assert not sessions.delete(id, owner).existed
    assert len(told) == 1  # foreign and absent are told in the same words
    assert sessions.get("s", "ada").session.updated is None


def test_an_update_changes_what_is_given_and_moves_updated(sessions: Sessions) -> None:
    sessions.create("s", title="a", description="b", agent_instructions="c")
    first = sessions.update("s", title="A")
    assert (first.title, first.description) == ("A", "b")
    second = sessions.update("s", description=None, agent_instructions=None, kind="chat")
    assert (second.title, second.description, second.kind) == ("A", None, "chat")
    assert sessions.get("s").instructions is None
    times = [first.updated, second.updated, sessions.deactivate("s").updated]
    assert not sessions.get("s").session.active
    times.append(sessions.activate("s").updated)
    assert sessions.get("s").session.active
    assert times == sorted(set(times))  # type: ignore[type-var]
    assert sessions.get("s").updated == times[-1]


def test_metadata_namespaces_and_state_are_apart_and_move_updated(sessions: Sessions) -> None:
    sessions.create("s")
    sessions.users.create("ada")
    session, user = sessions.metadata("s"), sessions.users.metadata("ada")
    for metadata, updated in (
        (session, lambda: sessions.get("s").session.updated),
        (user, lambda: sessions.users.get("ada").updated),
    ):
        seen = [updated() or 0.0]
        for change in (
            lambda: metadata.set("a", {"x": [1, None]}),  # noqa: B023
            lambda: metadata.merge({"b": 2, "c": 3}),  # noqa: B023
            lambda: metadata.remove("b", "no such key"),  # noqa: B023
            lambda: metadata.set_managed("billing", "plan", "pro"),  # noqa: B023
        ):
            change()
            seen.append(updated() or 0.0)
            assert seen[-1] > seen[-2]
        assert metadata.all() == {"a": {"x": [1, None]}, "c": 3}
        assert (metadata.get("a"), metadata.get("b"), metadata.get("b", 9)) == ({"x": [1, None]}, None, 9)
        assert metadata.get_managed("billing", "plan") == "pro"
        assert metadata.get_managed("other", "plan", "none") == "none"
        metadata.remove_managed("billing", "plan")
        assert metadata.managed("billing").all() == {}
    state = sessions.state("s")
    state.set("a", 1)
    assert state.has("a") and not state.has("b")
    assert sessions.metadata("s").get("a") == {"x": [1, None]}
    state.remove("a")
    assert state.all() == {}


def test_what_can_not_be_kept_is_refused_by_its_key(sessions: Sessions) -> None:
    sessions.create("s")
    with pytest.raises(Unserializable, match="deep"):
        sessions.metadata("s").set("deep", {"er": object()})
    with pytest.raises(InvalidIdError, match="namespace"):
        sessions.metadata("s").set_managed("", "a", 1)
    assert sessions.get("s").session.updated is None


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("title", "x" * 256),
        ("title", 7),
        ("description", "x" * 1001),
        ("agent_name", "x" * 256),
        ("kind", ""),
        ("expires_in", -1),
        ("expires_in", True),
        ("title", "\ud800"),
        ("metadata", [1]),
        ("state", {7: 1}),
    ],
)
def test_wrong_arguments_are_named_and_nothing_is_written(sessions: Sessions, argument: str, value: object) -> None:
    with pytest.raises(ValueError, match=argument):
        sessions.create("s", **{argument: value})  # type: ignore[arg-type]
    with pytest.raises(SessionNotFoundError):
        sessions.get("s")


def test_what_is_no_dict_of_texts_is_refused_by_name(memory: Sessions) -> None:
    memory.create("s")
    values = memory.metadata("s")
    for call, named in (
        (lambda: values.merge(None), "values"),  # type: ignore[arg-type]
        (lambda: values.set(5, 1), "a key of values .* 5"),  # type: ignore[arg-type]
        (lambda: memory.users.create("ada", metadata=7), "metadata"),  # type: ignore[arg-type]
        (lambda: memory.runs.edit_metadata("s", "r", None), "values"),  # type: ignore[arg-type]
        (lambda: memory.messages.edit_metadata("s", "m", 7), "values"),  # type: ignore[arg-type]
        (lambda: memory.events.append("s", {"type": "custom"}), "records.Event, not dict"),  # type: ignore[arg-type]
    ):
        with pytest.raises(ValueError, match=named):
            call()
    assert values.all() == {}


def test_changes_of_many_at_once_all_hold(sessions: Sessions) -> None:
    sessions.create("s")
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(sessions.metadata("s").set, f"k{i}", i) for i in range(12)]:
            done.result()
    assert sessions.metadata("s").all() == {f"k{i}": i for i in range(12)}


def test_expiry_is_set_extended_and_cleared(sessions: Sessions) -> None:
    sessions.create("s")
    assert sessions.get("s").expires is None
    with pytest.raises(ValueError, match="never expires"):
        sessions.extend_expiry("s", 5)
    sessions.set_expiry("s", 100)
    sessions.extend_expiry("s", 1000)
    found = sessions.get("s").expires
    assert found is not None and abs(found - time.time() - 1100) < 60
    sessions.clear_expiry("s")
    assert sessions.get("s").expires is None


def test_an_expired_session_is_not_there_and_its_id_is_free(sessions: Sessions) -> None:
    sessions.create("s", expires_in=0.2)

    def gone() -> bool:
        try:
            sessions.get("s")
        except SessionNotFoundError:
            return True
        return False

    wait_for(gone, "the session's end")
    assert sessions.list().sessions == ()
    sessions.create("s", title="anew")


def test_a_session_manager_leaves_the_expiry_as_it_is(sessions: Sessions) -> None:
    sessions.create("s", expires_in=1000)
    talk(sessions)
    found = sessions.get("s").expires
    assert found is not None and abs(found - time.time() - 1000) < 60
    talk(sessions, "s", ttl=5000)
    found = sessions.get("s").expires
    assert found is not None and abs(found - time.time() - 5000) < 60


def test_what_the_plugin_made_is_a_session_like_any_other(sessions: Sessions) -> None:
    agent = talk(sessions, "s", "ada")
    sessions.update("s", "ada", title="talk")
    sessions.metadata("s", "ada").set("a", 1)
    sessions.set_expiry("s", 1000, "ada")
    assert [one.session.title for one in sessions.list("ada", text="TAL").sessions] == ["talk"]
    agent("again")  # the agent that is live is not disturbed
    assert sessions.get("s", "ada").counters["messages"] == 4
    assert sessions.get("s", "ada").session.title == "talk"


def test_the_plugin_goes_on_in_what_was_made_here(sessions: Sessions) -> None:
    made = sessions.create("s", "ada", title="t", parent_id=None, metadata={"a": 1})
    agent = talk(sessions, "s", "ada", auto_create=False)
    assert len(agent.messages) == 2
    found = sessions.get("s", "ada")
    assert (found.session, found.agents) == (made, ("default",))
    assert sessions.metadata("s", "ada").all() == {"a": 1}


def test_a_change_that_never_comes_first_is_a_conflict(sessions: Sessions) -> None:
    sessions.create("s")
    found, other = sessions._session("s", None), Sessions(sessions.store)
    tried = 0

    def decide(record: object, look: object) -> object:
        nonlocal tried
        tried += 1
        other.update("s", title=str(tried))
        return record, []

    with pytest.raises(ConflictError):
        found.alter(decide)  # type: ignore[arg-type]
    assert tried > 5
    assert sessions.get("s").session.title == str(tried)
