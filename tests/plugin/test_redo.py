"""Which commits are made again: a decision, with plain values."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from strands_session_store.plugin.redo import BYTES, COMMITS, Done, Redo, TooMuch
from strands_session_store.stores.base import REPEAT_COMMITS, Add, Append, Change, DropDoc, PutDoc, Replace


def made(*revisions: int, **changes: list[Change]) -> Redo:
    """Commits whose ids are their revisions; those of the changes are named ``r<revision>``."""
    redo = Redo()
    for revision in revisions:
        redo.note(Done(f"{revision}", revision, changes.get(f"r{revision}", [])))
    return redo


def lost(redo: Redo, revision: int, known: Iterable[int] = ()) -> list[int]:
    names = {f"{each}" for each in known}
    return [done.revision for done, _ in redo.lost(revision, lambda done: done.commit_id in names)]


def test_what_has_a_higher_revision_than_the_space_is_lost_and_nobody_is_asked() -> None:
    asked: list[str] = []

    def known(done: Done) -> bool:
        asked.append(done.commit_id)
        return True

    redo = made(3, 4, 7, 8)
    assert [done.revision for done, _ in redo.lost(4, known)] == [7, 8]
    assert asked == ["4"]
    assert redo.lost(8, known) == []


def test_what_others_wrote_over_is_lost_too() -> None:
    assert lost(made(3, 4, 7, 8), 20, known=[3]) == [4, 7, 8]
    assert lost(made(3, 4, 7, 8), 20, known=[3, 4, 7]) == [8]


def test_an_id_that_an_engine_may_have_forgotten_is_not_asked_for() -> None:
    redo = made(3, 4)
    assert lost(redo, 4 + REPEAT_COMMITS) == [4]  # 4 would be known
    assert lost(redo, 5 + REPEAT_COMMITS) == []


def test_a_commit_that_was_made_on_top_of_the_loss_hides_it_not_and_is_not_undone() -> None:
    old: list[Change] = [
        PutDoc("state", b"old"),
        PutDoc("other", b"old"),
        DropDoc("run"),
        Replace("log", 1, b"old"),
        Replace("log", 2, b"old"),
        Append("runs", [b"run"]),
        Add("n", 1),
    ]
    redo = made(3, 4, 5, r5=old)
    redo.note(
        Done("on top", 4, [PutDoc("state", b"new"), PutDoc("run", b"new"), Replace("log", 1, b"new"), Add("n", 1)])
    )
    found = redo.lost(4, lambda done: done.commit_id in ("3", "on top"))
    assert [done.revision for done, _ in found] == [4, 5]
    assert found[1][1] == [old[1], *old[4:]]


@pytest.mark.parametrize("size", [0, BYTES // 10, BYTES, 2 * BYTES])
def test_what_is_kept_is_bounded_but_the_last_one_always(size: int) -> None:
    redo = Redo()
    count = COMMITS + 10
    for revision in range(1, count + 1):
        redo.note(Done(f"{revision}", revision, [PutDoc("doc", b"x" * size)]))
    kept = min(COMMITS, BYTES // size) if size else COMMITS
    kept = max(kept, 1)
    assert lost(redo, count - kept, known=[count - kept]) == list(range(count - kept + 1, count + 1))
    for revision, known in ((count - kept - 1, []), (count, [])):
        with pytest.raises(TooMuch):
            lost(redo, revision, known)


def test_what_is_noted_twice_is_kept_once() -> None:
    redo = made(1, 2)
    redo.note(Done("2", 2, []))
    assert lost(redo, 0) == [1, 2] and redo.highest == 2
