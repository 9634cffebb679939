"""Users: made, changed, listed, erased with all they own."""

from __future__ import annotations

from typing import Any

import pytest

from strands_session_store import SessionNotFoundError
from strands_session_store.errors import AlreadyExistsError, UserNotFoundError
from strands_session_store.sessions import Receipt, Sessions, indexed

from .test_details import talk


def test_a_user_is_made_read_and_changed(sessions: Sessions) -> None:
    made = sessions.users.create("ada", username="ada", email="ada@example.com", metadata={"plan": "pro"})
    assert sessions.users.get("ada") == made
    assert sessions.users.metadata("ada").all() == {"plan": "pro"}
    with pytest.raises(AlreadyExistsError, match="ada"):
        sessions.users.create("ada", email="other@example.com")
    changed = sessions.users.update("ada", first_name="Ada", last_name="Lovelace")
    assert (changed.username, changed.email, changed.first_name) == ("ada", "ada@example.com", "Ada")
    assert sessions.users.update("ada", email=None).email is None
    off = sessions.users.deactivate("ada")
    assert not off.active and (off.updated or 0) > (changed.updated or 0)
    assert sessions.users.activate("ada").active


def test_an_unknown_user_is_told_whatever_is_asked(sessions: Sessions) -> None:
    sessions.create("s", "eve")  # owns a session, has no record
    for call in (
        lambda: sessions.users.get("eve"),
        lambda: sessions.users.update("eve", email="e"),
        lambda: sessions.users.deactivate("eve"),
        lambda: sessions.users.metadata("eve").all(),
        lambda: sessions.users.metadata("eve").set("a", 1),
    ):
        with pytest.raises(UserNotFoundError, match="eve"):
            call()


def test_users_are_listed_newest_first(sessions: Sessions) -> None:
    names = [f"u{at}" for at in range(7)]
    for name in names:
        sessions.users.create(name)
    sessions.users.deactivate("u3")
    found, cursor = [], None
    while True:
        page = sessions.users.list(limit=3, cursor=cursor)
        found += [one.user_id for one in page.users]
        if (cursor := page.cursor) is None:
            break
    assert found == names[::-1]
    assert [one.user_id for one in sessions.users.list(active=False).users] == ["u3"]
    with pytest.raises(ValueError, match="limit"):
        sessions.users.list(limit=0)


def test_users_are_skipped_and_counted(sessions: Sessions) -> None:
    for at in range(9):
        sessions.users.create(f"u{at}")
        if at % 2:
            sessions.users.deactivate(f"u{at}")
    sessions.create("s", "u1")  # no user of its own

    def listed(**options: Any) -> tuple[list[str], int | None, bool, str | None]:
        page = sessions.users.list(**options)
        return [one.user_id for one in page.users], page.total, page.exact, page.cursor

    names = [f"u{at}" for at in range(9)][::-1]
    found, *rest, cursor = listed(offset=2, limit=3)
    assert (found, rest) == (names[2:5], [9, True])
    assert listed(cursor=cursor) == (names[5:], None, True, None)
    assert listed(offset=7, limit=3) == (names[7:], 9, True, None)
    assert listed(offset=9) == listed(offset=99) == ([], 9, True, None)
    found, *rest, cursor = listed(offset=1, limit=2, active=False)
    assert (found, rest) == (["u5", "u3"], [4, True])
    assert listed(cursor=cursor, active=False) == (["u1"], None, True, None)
    assert listed(active=True, limit=2)[0] == ["u8", "u6"]  # a page is filled


def test_counting_users_ends_at_its_bound(memory: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    for at in range(9):
        memory.users.create(f"u{at}")
    memory.users.deactivate("u8")
    monkeypatch.setattr(indexed, "LOOKED_AT", 5)
    page = memory.users.list(offset=1, limit=2, active=True)
    assert ([one.user_id for one in page.users], page.total, page.exact) == (["u6", "u5"], 4, False)
    assert [one.user_id for one in memory.users.list(cursor=page.cursor, active=True).users] == [
        "u4",
        "u3",
        "u2",
        "u1",
        "u0",
    ]
    with pytest.raises(ValueError, match="offset=5 is further than the 5 users"):
        memory.users.list(offset=5, active=True)
    for options, named in (({"offset": -1}, "offset"), ({"offset": 0, "cursor": "x"}, "offset and cursor")):
        with pytest.raises(ValueError, match=named):
            memory.users.list(**options)  # type: ignore[arg-type]


def test_a_user_is_erased_with_a_receipt(sessions: Sessions) -> None:
    sessions.users.create("ada", metadata={"a": 1})
    sessions.create("s1", "ada", title="one", state={"x": 1})
    sessions.create("s2", "ada", parent_id="s1")
    talk(sessions, "s3", "ada")
    sessions.create("s1", "bob")
    stored = [one for id in ("s1", "s2", "s3") for one in sessions.layout_tree(id, "ada")]
    seen: list[Receipt] = []
    receipt = sessions.erase_user("ada", seen.append)
    assert receipt.existed
    assert sorted(receipt.sessions) == ["s1", "s2", "s3"]
    # the user's own two beside what the sessions had
    assert receipt.documents == sum(one.kind == "document" for one in stored) + 2
    assert receipt.entries == sum(one.entries or 0 for one in stored)
    assert receipt.bytes > sum(one.bytes or 0 for one in stored)
    assert [len(one.sessions) for one in seen] == [1, 2, 3]
    assert sessions.users.delete("ada") == Receipt()
    for ask in (lambda: sessions.users.get("ada"), lambda: sessions.get("s1", "ada")):
        with pytest.raises((UserNotFoundError, SessionNotFoundError)):
            ask()
    assert sessions.list("ada").sessions == ()
    assert sessions.get("s1", "bob")


@pytest.mark.parametrize(
    ("argument", "value"), [("email", "x" * 321), ("username", 7), ("first_name", "x" * 256), ("last_name", "\ud800")]
)
def test_wrong_arguments_are_named(memory: Sessions, argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=argument):
        memory.users.create("ada", **{argument: value})
    assert memory.users.list().users == ()
