"""Of spaces: no two meet, a life that ended never comes back, and a ttl holds for the whole."""

from __future__ import annotations

import pytest

from ...errors import ConflictError
from ...stores.base import (
    ABSENT,
    KEEP,
    Add,
    Append,
    Doc,
    DropDoc,
    Dropped,
    Expect,
    Look,
    PutDoc,
    Query,
    Space,
    Store,
    Summary,
    Trim,
    Ttl,
)
from .binding import PATIENCE, SPACE, Binding, SetClock, eventually, fresh_id, row_of, rows, whole
from .commits import put, seed, unchanged
from .hostile import HOSTILE

NEIGHBOURS = (
    *(Space("session", "ann", id) for id in HOSTILE),
    *(Space("session", None, id) for id in HOSTILE),
    *(Space("session", owner, "x") for owner in HOSTILE),
    *(Space("user", id, id) for id in HOSTILE),
)
SHORT = 0.2
"""Seconds: a ttl that a test waits out. None relies on a space being there within it."""


def mark(space: Space) -> bytes:
    return repr(space).encode()


class Spaces(Binding):
    # ----------------------------------------------------------------------------------------------------- isolation

    def test_nothing_done_to_one_space_is_visible_in_another(self, store: Store) -> None:
        for at, space in enumerate(NEIGHBOURS):
            store.commit(
                space,
                *(PutDoc("doc", mark(space), ABSENT), Append("log", [mark(space)], 0), Add("n", at)),
                commit_id="the same id",
                on=ABSENT,
                summary=Summary(mark(space)),
            )
        left = dict(enumerate(NEIGHBOURS))
        for gone in (None, range(0, len(NEIGHBOURS), 7)):
            for at in gone or ():
                # the receipt tells that none of the drops before took anything of this one
                assert store.drop(left.pop(at)) == Dropped(True, 1, 1, 2 * len(mark(NEIGHBOURS[at])))
            for at, space in left.items():
                look = whole(store, space)
                assert look.docs["doc"].data == mark(space)
                assert look.logs["log"].entries == {0: mark(space)}
                assert look.counters == {"n": at}
        for kind, owner in {(space.kind, space.owner) for space in NEIGHBOURS}:
            expected = {space: mark(space) for space in left.values() if (space.kind, space.owner) == (kind, owner)}
            listed = rows(store, Query(kind, owner, limit=1000))
            assert {row.space: row.summary for row in listed} == expected and len(listed) == len(expected)

    def test_ids_come_back_from_a_listing_as_they_were_given(self, store: Store) -> None:
        for space in NEIGHBOURS[::3]:
            put(store, space=space)
        found = [row.space for kind in ("session", "user") for row in rows(store, Query(kind, everyone=True))]
        assert sorted(found, key=repr) == sorted(NEIGHBOURS[::3], key=repr)

    def test_a_space_of_no_owner_belongs_to_no_owner_of_any_name(self, store: Store) -> None:
        put(store, space=Space("session", None, "one"))
        for owner in ("-", "None", "", "null", "!2d")[:2]:
            assert store.read(Space("session", owner, "one")) == Look(None)
            assert rows(store, Query("session", owner)) == []

    # ---------------------------------------------------------------------------------------------------------- drop

    def test_a_drop_returns_what_it_erased(self, store: Store) -> None:
        put(store, PutDoc("a", b"123"), PutDoc("b", b"4567"), PutDoc("c", b""), Append("log", [b"12", b"", b"345"]))
        put(store, Append("other", [b"6"] * 10), DropDoc("c"), Trim("log", 1), Add("n", 1))
        assert store.drop(SPACE) == Dropped(True, documents=2, entries=12, bytes=7 + 3 + 10)

    def test_a_drop_leaves_neither_space_nor_row_and_may_be_repeated(self, store: Store) -> None:
        seed(store)
        store.drop(SPACE)
        assert store.read(SPACE) == Look(None) and row_of(store, SPACE) is None
        assert store.drop(SPACE) == store.drop(Space("session", None, "never")) == Dropped()

    def test_a_drop_on_an_incarnation_takes_no_other(self, store: Store) -> None:
        made = seed(store)
        for on, expected in (("other", "other"), (ABSENT, "absent")):
            info = unchanged(store, lambda on=on: store.drop(SPACE, on=on), ConflictError)  # type: ignore[misc]
            conflict = info.value
            assert isinstance(conflict, ConflictError)
            assert (conflict.path, conflict.expected, conflict.found) == ("", expected, made.incarnation)
        assert store.drop(SPACE, on=made.incarnation).existed

    def test_a_drop_of_an_absent_space_is_never_a_conflict(self, store: Store) -> None:
        made = seed(store)
        store.drop(SPACE)
        assert store.drop(SPACE, on=made.incarnation) == store.drop(SPACE, on=ABSENT) == Dropped()

    def test_a_large_space_is_dropped_whole(self, store: Store) -> None:
        for _ in range(3):
            put(store, Append("log", [b"x" * 100] * 1000), *(PutDoc(f"{at}", b"12") for at in range(500)))
        assert store.drop(SPACE) == Dropped(True, 500, 3000, 500 * 2 + 3000 * 100)

    # --------------------------------------------------------------------------------------------------------- lives

    def test_a_space_made_again_is_empty(self, store: Store) -> None:
        first = seed(store)
        store.drop(SPACE)
        second = put(store, on=ABSENT)
        assert second.incarnation != first.incarnation and second.revision == 1
        look = whole(store, SPACE)
        assert (dict(look.docs), look.logs["log"].length, look.counters) == ({}, 0, {"n": 0})
        row = row_of(store, SPACE)
        assert row is not None and row.summary is None

    def test_nothing_of_an_earlier_life_ever_matches(self, store: Store) -> None:
        earlier = [seed(store)]
        for _ in range(5):
            store.drop(SPACE)
            for made in earlier:
                with pytest.raises(ConflictError):
                    put(store, PutDoc("doc", b"x"), on=made.incarnation)
            assert store.read(SPACE) == Look(None)
            now = seed(store)
            for made in earlier:
                assert made.version != now.version
                for changes in ((Expect("doc", made.version),), (PutDoc("doc", b"x", made.version),)):
                    unchanged(store, lambda changes=changes: put(store, *changes), ConflictError)  # type: ignore[misc]
                unchanged(store, lambda made=made: put(store, on=made.incarnation), ConflictError)  # type: ignore[misc]
                unchanged(store, lambda made=made: store.drop(SPACE, on=made.incarnation), ConflictError)  # type: ignore[misc]
            earlier.append(now)

    # ----------------------------------------------------------------------------------------------------------- ttl

    def test_an_expired_space_is_absent_to_every_verb(self, store: Store) -> None:
        made = seed(store)
        store.commit(SPACE, commit_id="last", ttl=SHORT)
        eventually(lambda: store.read(SPACE, Doc("doc")) == Look(None))
        assert row_of(store, SPACE) is None
        assert rows(store, Query("session", everyone=True)) == []
        assert store.drop(SPACE, on="other") == Dropped()
        with pytest.raises(ConflictError):
            put(store, on=made.incarnation)
        assert store.read(SPACE) == Look(None)
        assert not store.commit(SPACE, commit_id="last", on=ABSENT).repeated

    def test_a_space_made_again_after_it_expired_is_empty_and_does_not_expire(self, store: Store) -> None:
        first = seed(store)
        put(store, Append("log", [b"x"] * 500), *(PutDoc(f"{at}", b"") for at in range(300)))
        store.commit(SPACE, commit_id="last", ttl=SHORT)
        eventually(lambda: store.read(SPACE) == Look(None))
        second = put(store, Append("log", [b"new"], 0), PutDoc("doc", b"new", ABSENT))
        assert second.incarnation != first.incarnation and second.revision == 1
        for _ in range(20):  # whatever erases the earlier life works beside the later one
            put(store, Add("n", 1))
        look = whole(store, SPACE)
        assert look.logs["log"].entries == {0: b"new"} and list(look.docs) == ["doc"]
        assert look.counters == {"n": 20}

    def test_a_read_tells_when_the_space_ends(self, timed: Store, clock: SetClock) -> None:
        put(timed)
        assert timed.read(SPACE).expires is None
        ttls: list[tuple[Ttl, float | None]] = [(100.0, 100.0), (KEEP, 100.0), (0.5, 0.5), (None, None), (KEEP, None)]
        for ttl, expected in (*ttls, (1e9, 1e9)):
            began = clock.now
            timed.commit(SPACE, commit_id=fresh_id(), ttl=ttl)
            for _ in range(2):
                expires = timed.read(SPACE, Doc("doc")).expires
                assert expires == (None if expected is None else pytest.approx(began + expected, rel=0, abs=0.002))
                clock.now += 0.25
            clock.now = began
        put(timed, space=Space("session", "ann", "absent"), on=ABSENT)
        assert timed.read(Space("session", "ann", "absent")).expires is None

    def test_the_time_at_which_a_space_ends_stays_the_same(self, store: Store) -> None:
        made = store.commit(SPACE, commit_id=fresh_id(), ttl=1000)
        first = store.read(SPACE).expires
        assert first is not None
        for _ in range(20):
            assert store.read(SPACE, Doc("doc")).expires == first
        store.commit(SPACE, commit_id=fresh_id(), on=made.incarnation, ttl=2000)
        second = store.read(SPACE).expires
        assert second is not None and 999 < second - first < 1000 + PATIENCE

    def test_a_ttl_is_of_the_whole_space_and_every_commit_may_move_it(self, timed: Store, clock: SetClock) -> None:
        timed.commit(SPACE, PutDoc("doc", b"d"), Append("log", [b"0"]), commit_id=fresh_id(), ttl=100)
        clock.now += 99
        timed.commit(SPACE, Add("n", 1), commit_id=fresh_id(), ttl=100)
        clock.now += 99
        look = whole(timed, SPACE)
        assert (list(look.docs), look.logs["log"].length, look.counters) == (["doc"], 1, {"n": 1})
        clock.now += 1
        assert timed.read(SPACE) == Look(None) and row_of(timed, SPACE) is None

    def test_keep_leaves_the_ttl_as_it_was(self, timed: Store, clock: SetClock) -> None:
        lasting = Space("session", "ann", "lasting")
        put(timed, space=lasting)
        timed.commit(SPACE, commit_id=fresh_id(), ttl=100)
        clock.now += 60
        for space in (SPACE, lasting):
            timed.commit(space, commit_id=fresh_id(), ttl=KEEP)
        clock.now += 39.5
        assert timed.read(SPACE).incarnation
        clock.now += 0.5
        assert timed.read(SPACE) == Look(None)
        assert timed.read(lasting).incarnation

    def test_no_ttl_takes_away_the_one_that_was(self, timed: Store, clock: SetClock) -> None:
        timed.commit(SPACE, commit_id=fresh_id(), ttl=100)
        timed.commit(SPACE, commit_id=fresh_id(), ttl=None)
        clock.now += 10**9
        assert timed.read(SPACE).incarnation
        assert row_of(timed, SPACE)

    def test_a_failed_commit_moves_no_ttl(self, timed: Store, clock: SetClock) -> None:
        timed.commit(SPACE, commit_id=fresh_id(), ttl=100)
        with pytest.raises(ConflictError):
            timed.commit(SPACE, Expect("doc", "other"), commit_id=fresh_id(), ttl=None)
        clock.now += 100
        assert timed.read(SPACE) == Look(None)

    def test_many_spaces_may_expire_and_no_other_is_touched(self, timed: Store, clock: SetClock) -> None:
        spaces = [Space("session", "ann", f"{at}") for at in range(60)]
        for at, space in enumerate(spaces):
            ttl = None if at % 3 == 0 else 100
            timed.commit(space, PutDoc("doc", mark(space)), Append("log", [b"x"] * 150), commit_id="id", ttl=ttl)
        clock.now += 100
        lasting = spaces[::3]
        for step in range(90):  # commits are when an engine cleans up
            put(timed, Add("n", 1), space=lasting[step % len(lasting)])
        assert {row.space for row in rows(timed, Query("session", "ann"))} == set(lasting)
        for space in spaces:
            look = whole(timed, space)
            if space not in lasting:
                assert look == Look(None)
            else:
                assert look.docs["doc"].data == mark(space) and look.logs["log"].length == 150
