"""Sessions below sessions: moved, walked, deleted; circles and chains of any length end."""

from __future__ import annotations

import pytest

from strands_session_store import SessionNotFoundError, codec, layout, records, rows
from strands_session_store.errors import HasChildrenError, IllegalMoveError
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import PutDoc, Store, new_commit_id


def drawn(sessions: Sessions, root: str, owner: str | None = None) -> list[str]:
    return ["  " * node.depth + node.session.session_id for node in sessions.tree(root, owner)]


@pytest.fixture
def family(sessions: Sessions) -> Sessions:
    """a(b(d, e), c) of ada, and a session of hers and one of bob's that are in no tree."""
    sessions.create("a", "ada")
    for child, parent in (("b", "a"), ("c", "a"), ("d", "b"), ("e", "b")):
        sessions.create(child, "ada", parent_id=parent)
    sessions.create("lone", "ada")
    sessions.create("a", "bob")
    return sessions


def test_a_tree_is_walked_both_ways(family: Sessions) -> None:
    assert drawn(family, "a", "ada") == ["a", "  b", "    d", "    e", "  c"]
    assert [node.session.session_id for node in family.descendants("b", "ada")] == ["d", "e"]
    assert [node.session.session_id for node in family.children("a", "ada")] == ["b", "c"]
    assert [one.session_id for one in family.ancestors("e", "ada")] == ["b", "a"]
    assert family.ancestors("a", "ada") == ()
    assert drawn(family, "a", "bob") == ["a"]
    assert [one.session.session_id for one in family.list("ada", parent_id="b").sessions] == ["e", "d"]


def test_a_session_is_moved_with_all_below_it(family: Sessions) -> None:
    assert family.move("b", "lone", "ada").parent_id == "lone"
    assert drawn(family, "a", "ada") == ["a", "  c"]
    assert drawn(family, "lone", "ada") == ["lone", "  b", "    d", "    e"]
    family.move("b", None, "ada")
    assert drawn(family, "lone", "ada") == ["lone"]
    assert family.get("b", "ada").session.parent_id is None
    family.update("b", "ada", title="still nobody's")
    family.move("b", "c", "ada")
    assert drawn(family, "a", "ada") == ["a", "  c", "    b", "      d", "      e"]
    assert [one.session.session_id for one in family.list("ada", parent_id="a").sessions] == ["c"]


def test_circles_and_unknown_parents_are_refused(family: Sessions) -> None:
    for parent in ("a", "b", "d"):
        with pytest.raises(IllegalMoveError, match="'a'"):
            family.move("a", parent, "ada")
    with pytest.raises(IllegalMoveError, match="nobody"):
        family.move("a", "nobody", "ada")
    with pytest.raises(IllegalMoveError, match="'a' of user 'carl'"):
        family.create("new", "carl", parent_id="a")  # it is another user's
    with pytest.raises(IllegalMoveError):
        family.create("own", "ada", parent_id="own")
    for id, owner in (("new", "carl"), ("own", "ada")):
        with pytest.raises(SessionNotFoundError):
            family.get(id, owner)
    assert drawn(family, "a", "ada") == ["a", "  b", "    d", "    e", "  c"]


def test_a_parent_is_deleted_as_it_is_told(family: Sessions) -> None:
    with pytest.raises(HasChildrenError, match="cascade"):
        family.delete("b", "ada")
    assert family.get("b", "ada")
    receipt = family.delete("b", "ada", children="detach")
    assert (receipt.existed, receipt.sessions) == (True, ("b",))
    assert family.get("d", "ada").session.parent_id is None
    family.move("d", "c", "ada")
    receipt = family.delete("a", "ada", children="cascade")
    assert set(receipt.sessions) == {"a", "c", "d"}
    assert receipt.sessions[-1] == "a"
    assert receipt.documents >= 3 and receipt.bytes > 0
    assert sorted(one.session.session_id for one in family.list("ada").sessions) == ["e", "lone"]
    again = family.delete("a", "ada", children="cascade")
    assert (again.existed, again.sessions, again.bytes) == (False, (), 0)
    assert family.get("a", "bob")
    with pytest.raises(ValueError, match="children"):
        family.delete("e", "ada", children="all")  # type: ignore[arg-type]


def test_a_cascade_that_was_interrupted_is_repeated(family: Sessions) -> None:
    """As if the session itself had gone first: what hangs below it is still found."""
    family.store.drop(layout.session_space("a", "ada"))
    assert set(family.delete("a", "ada", children="cascade").sessions) == {"b", "c", "d", "e"}


def test_ancestors_end_where_one_is_gone(family: Sessions) -> None:
    family.store.drop(layout.session_space("b", "ada"))
    assert family.ancestors("e", "ada") == ()
    with pytest.raises(SessionNotFoundError):
        family.tree("b", "ada")


def plant(store: Store, session_id: str, parent_id: str) -> None:
    """A session with a parent that nobody checked."""
    record = records.Session(session_id=session_id, parent_id=parent_id)
    store.commit(
        layout.session_space(session_id, None),
        PutDoc(layout.SESSION, codec.dump_document(record)),
        commit_id=new_commit_id(),
        summary=rows.summary(record),
    )


def test_a_circle_in_the_data_ends_every_walk(sessions: Sessions) -> None:
    for child, parent in (("a", "c"), ("b", "a"), ("c", "b"), ("self", "self")):
        plant(sessions.store, child, parent)
    assert [one.session_id for one in sessions.ancestors("a")] == ["c", "b"]
    assert drawn(sessions, "a") == ["a", "  b", "    c"]
    assert drawn(sessions, "self") == ["self"]
    assert sessions.ancestors("self") == ()
    with pytest.raises(IllegalMoveError):
        sessions.move("a", "b")
    assert sessions.move("a", None).parent_id is None  # the way out
    plant(sessions.store, "a", "c")
    assert sorted(sessions.delete("b", children="cascade").sessions) == ["a", "b", "c"]


@pytest.mark.parametrize("deep", [1_500, pytest.param(10_000, marks=pytest.mark.soak)])
def test_a_chain_deeper_than_the_stack(memory: Sessions, deep: int) -> None:
    for at in range(deep):
        plant(memory.store, f"s{at + 1}", f"s{at}")
    plant(memory.store, "s0", "nobody")
    tree = memory.tree("s0")
    assert (len(tree), tree[-1].depth) == (deep + 1, deep)
    assert len(memory.delete("s1", children="cascade").sessions) == deep


def test_ancestors_of_a_chain_of_ten_thousand(memory: Sessions) -> None:
    for at in range(10_000):
        plant(memory.store, f"s{at + 1}", f"s{at}")
    plant(memory.store, "s0", "nobody")
    assert len(memory.ancestors("s10000")) == 10_000
    with pytest.raises(IllegalMoveError):
        memory.move("s0", "s10000")


def test_a_chain_of_some_length_on_every_engine(sessions: Sessions) -> None:
    plant(sessions.store, "s0", "nobody")
    for at in range(60):
        plant(sessions.store, f"s{at + 1}", f"s{at}")
    assert len(sessions.ancestors("s60")) == 60
    assert len(sessions.tree("s0")) == 61
    assert len(sessions.delete("s0", children="cascade").sessions) == 61


def test_who_deletes_a_tree_is_told_how_far_it_is(memory: Sessions) -> None:
    memory.create("root")
    memory.create("child", parent_id="root")
    memory.create("grandchild", parent_id="child")
    told: list[tuple[str, ...]] = []
    receipt = memory.delete("root", children="cascade", progress=lambda so_far: told.append(so_far.sessions))
    assert told == [receipt.sessions[:number] for number in (1, 2, 3)] and receipt.sessions[-1] == "root"
