"""Of commits: all or nothing, under expectations, once for each id, within limits."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest

from ...errors import ConflictError, TooLarge
from ...stores import base
from ...stores.base import (
    ABSENT,
    Add,
    Append,
    Change,
    Committed,
    Counters,
    Doc,
    DropDoc,
    Expect,
    Expected,
    Look,
    PutDoc,
    Replace,
    Space,
    Store,
    Summary,
    Trim,
)
from .binding import SPACE, Binding, SetClock, entries, fresh_id, read_all, row_of, whole

OTHER = "no.1"
BYTES = bytes(range(256))


def put(store: Store, *changes: Change, space: Space = SPACE, on: Expected = base.ANY) -> Committed:
    return store.commit(space, *changes, commit_id=fresh_id(), on=on)


def seed(store: Store, space: Space = SPACE) -> Committed:
    """A space with a document ``doc``, a log ``log`` of three entries and a counter ``n`` of 5."""
    changes = PutDoc("doc", b"d"), Append("log", [b"0", b"1", b"2"]), Add("n", 5)
    return store.commit(space, *changes, commit_id=fresh_id(), summary=Summary(b"s"))


def unchanged(store: Store, act: Callable[[], object], error: type[Exception]) -> pytest.ExceptionInfo[Exception]:
    """``act`` raises the error, and the space and its row are as before."""
    before = whole(store, SPACE), row_of(store, SPACE)
    with pytest.raises(error) as info:
        act()
    assert (whole(store, SPACE), row_of(store, SPACE)) == before
    return info


# what makes a commit fail, given the version of `doc`: change, path, expected, found
FAILING: dict[str, Callable[[str], tuple[Change, str, object, object]]] = {
    "put, absent expected": lambda v: (PutDoc("doc", b"x", ABSENT), "doc", "absent", v),
    "put, other version": lambda v: (PutDoc("doc", b"x", OTHER), "doc", OTHER, v),
    "put, version of none": lambda v: (PutDoc("none", b"x", v), "none", v, None),
    "drop, absent expected": lambda v: (DropDoc("doc", ABSENT), "doc", "absent", v),
    "drop, other version": lambda v: (DropDoc("doc", OTHER), "doc", OTHER, v),
    "drop, version of none": lambda v: (DropDoc("none", v), "none", v, None),
    "expect, absent": lambda v: (Expect("doc", ABSENT), "doc", "absent", v),
    "expect, other version": lambda v: (Expect("doc", OTHER), "doc", OTHER, v),
    "expect, version of none": lambda v: (Expect("none", v), "none", v, None),
    "append, too short": lambda v: (Append("log", [b"x"], 4), "log", 4, 3),
    "append, too long": lambda v: (Append("log", [b"x"], 2), "log", 2, 3),
    "append of nothing": lambda v: (Append("log", [], 2), "log", 2, 3),
    "append, log of none": lambda v: (Append("none", [b"x"], 1), "none", 1, 0),
    "replace, behind the end": lambda v: (Replace("log", 3, b"x"), "log", 3, None),
    "replace, log of none": lambda v: (Replace("none", 0, b"x"), "none", 0, None),
}

HOLDING: dict[str, Callable[[str], Change]] = {
    "put, any": lambda v: PutDoc("doc", b"x"),
    "put, absent": lambda v: PutDoc("none", b"x", ABSENT),
    "put, version": lambda v: PutDoc("doc", b"x", v),
    "drop, any": lambda v: DropDoc("doc"),
    "drop, any of none": lambda v: DropDoc("none"),
    "drop, absent": lambda v: DropDoc("none", ABSENT),
    "drop, version": lambda v: DropDoc("doc", v),
    "expect, absent": lambda v: Expect("none", ABSENT),
    "expect, version": lambda v: Expect("doc", v),
    "append": lambda v: Append("log", [b"x"], 3),
    "append to none": lambda v: Append("none", [b"x"], 0),
    "append of nothing": lambda v: Append("log", [], 3),
    "replace": lambda v: Replace("log", 2, b"x"),
}

# sets that are none, and arguments out of their range
ILLEGAL: dict[str, tuple[Change, ...]] = {
    "document put twice": (PutDoc("a", b""), PutDoc("a", b"")),
    "document put and dropped": (PutDoc("a", b""), DropDoc("a")),
    "document dropped twice": (DropDoc("a"), DropDoc("a")),
    "log appended to twice": (Append("a", [b""]), Append("a", [b""])),
    "log trimmed twice": (Trim("a", 1), Trim("a", 2)),
    "entry replaced twice": (Replace("log", 0, b""), Replace("log", 0, b"")),
    "counter added to twice": (Add("a", 1), Add("a", 1)),
    "negative at": (Append("log", [b""], -1),),
    "negative index": (Replace("log", -1, b""),),
    "negative before": (Trim("log", -1),),
}


class Commits(Binding):
    def test_a_commit_of_an_absent_space_creates_it(self, store: Store) -> None:
        made = put(store)
        assert made == Committed(made.incarnation, 1)
        assert store.read(SPACE) == Look(made.incarnation, 1)

    def test_all_changes_of_a_commit_are_there_behind_it(self, store: Store) -> None:
        made = seed(store)
        assert made == Committed(made.incarnation, 1, {"log": 0}, {"n": 5})
        look = whole(store, SPACE)
        assert {path: doc.data for path, doc in look.docs.items()} == {"doc": b"d"}
        assert look.logs["log"].entries == {0: b"0", 1: b"1", 2: b"2"}
        assert look.counters == {"n": 5}

    def test_any_bytes_are_kept_as_they_are(self, store: Store) -> None:
        put(store, PutDoc("all", BYTES), PutDoc("empty", b""), Append("log", [BYTES, b"", b"\xff\xfe", b"\r\n\0"]))
        look = whole(store, SPACE)
        assert [look.docs["all"].data, look.docs["empty"].data] == [BYTES, b""]
        assert list(look.logs["log"].entries.values()) == [BYTES, b"", b"\xff\xfe", b"\r\n\0"]

    def test_the_revision_counts_the_commits_from_1(self, store: Store) -> None:
        assert [put(store).revision for _ in range(3)] == [1, 2, 3]
        assert store.read(SPACE).revision == 3

    def test_a_document_has_the_version_of_the_commit_that_put_it(self, store: Store) -> None:
        first, second = put(store, PutDoc("a", b"1"), PutDoc("b", b"1")), put(store, PutDoc("b", b"2"))
        put(store, Add("n", 1))
        docs = store.read(SPACE, Doc("a"), Doc("b")).docs
        assert (docs["a"].version, docs["b"].version) == (first.version, second.version)
        assert first.version != second.version

    def test_a_dropped_document_is_absent(self, store: Store) -> None:
        seed(store)
        put(store, DropDoc("doc"))
        assert store.read(SPACE, Doc("doc")).docs == {}
        put(store, PutDoc("doc", b"again", ABSENT))

    def test_the_order_of_the_changes_is_nothing(self, store: Store) -> None:
        changes: list[Change] = [Append("log", [b"3", b"4"], 3), Trim("log", 2)]
        changes += Replace("log", 1, b"x"), Replace("log", 2, b"y")
        looks = []
        for at, order in enumerate(itertools.permutations(changes)):
            space = Space("session", "ann", f"order {at}")
            seed(store, space)
            put(store, *order, space=space)
            looks.append(whole(store, space).logs["log"])
        assert looks == [replace(looks[0], start=2, length=5, entries={2: b"y", 3: b"3", 4: b"4"})] * len(looks)

    # ------------------------------------------------------------------------------------------------- expectations

    @pytest.mark.parametrize("case", FAILING)
    def test_a_failed_expectation_raises_and_changes_nothing(self, store: Store, case: str) -> None:
        change, path, expected, found = FAILING[case](seed(store).version)
        more = PutDoc("other", b"x"), Append("other", [b"x"]), Add("n", 1), Trim("log", 1)
        for changes in ((change, *more[:3]), (*more[:3], change), (change,)):
            info = unchanged(
                store,
                lambda changes=changes: store.commit(  # type: ignore[misc]
                    SPACE, *changes, commit_id=fresh_id(), ttl=5, summary=Summary(b"other")
                ),
                ConflictError,
            )
            conflict = info.value
            assert isinstance(conflict, ConflictError)
            assert (conflict.path, conflict.expected, conflict.found) == (path, expected, found)

    @pytest.mark.parametrize("case", HOLDING)
    def test_an_expectation_that_holds_lets_the_commit_pass(self, store: Store, case: str) -> None:
        change = HOLDING[case](seed(store).version)
        assert put(store, change, Add("n", 1)).counters == {"n": 6}

    def test_expectations_look_at_the_state_before_the_commit(self, store: Store) -> None:
        put(store, PutDoc("a", b"1", ABSENT), Expect("a", ABSENT), Append("log", [b"0"], 0))
        put(store, Append("log", [b"1"], 1), Trim("log", 1), Replace("log", 0, b"x"))
        with pytest.raises(ConflictError):
            put(store, Append("log", [b"2"]), Replace("log", 2, b"x"))

    def test_a_version_that_was_replaced_holds_no_more(self, store: Store) -> None:
        first = seed(store).version
        second = put(store, PutDoc("doc", b"2", first)).version
        unchanged(store, lambda: put(store, PutDoc("doc", b"3", first)), ConflictError)
        put(store, PutDoc("doc", b"3", second))

    def test_on_absent_refuses_a_space_that_is_there(self, store: Store) -> None:
        made = put(store, on=ABSENT)
        info = unchanged(store, lambda: put(store, Add("n", 1), on=ABSENT), ConflictError)
        conflict = info.value
        assert isinstance(conflict, ConflictError)
        assert (conflict.path, conflict.expected, conflict.found) == ("", "absent", made.incarnation)

    def test_on_an_incarnation_accepts_no_other(self, store: Store) -> None:
        made = put(store)
        assert put(store, Add("n", 1), on=made.incarnation).revision == 2
        info = unchanged(store, lambda: put(store, Add("n", 1), on="other"), ConflictError)
        conflict = info.value
        assert isinstance(conflict, ConflictError)
        assert (conflict.path, conflict.expected, conflict.found) == ("", "other", made.incarnation)

    def test_on_an_incarnation_creates_nothing(self, store: Store) -> None:
        with pytest.raises(ConflictError) as info:
            put(store, Add("n", 1), on="other")
        assert (info.value.path, info.value.expected, info.value.found) == ("", "other", None)
        assert store.read(SPACE) == Look(None) and row_of(store, SPACE) is None

    @pytest.mark.parametrize("change", [Expect("a", OTHER), Append("a", [b""], 1), Replace("a", 0, b"")], ids=str)
    def test_a_failed_first_commit_leaves_neither_space_nor_row(self, store: Store, change: Change) -> None:
        with pytest.raises(ConflictError):
            store.commit(SPACE, PutDoc("b", b""), change, commit_id=fresh_id(), summary=Summary(b"s"))
        assert store.read(SPACE) == Look(None) and row_of(store, SPACE) is None

    # ---------------------------------------------------------------------------------------------------- repetition

    def test_a_commit_repeated_under_its_id_is_applied_once_and_returns_the_first_result(self, store: Store) -> None:
        changes = PutDoc("doc", b"x", ABSENT), Append("log", [b"x", b"y"], 0), Add("n", 7), Add("m", -1)
        first = store.commit(SPACE, *changes, commit_id="id", on=ABSENT)
        assert not first.repeated
        state = whole(store, SPACE)
        again = store.commit(SPACE, *changes, commit_id="id", on=ABSENT)
        assert again == replace(first, repeated=True)
        assert whole(store, SPACE) == state

    def test_an_id_is_looked_at_before_the_expectations(self, store: Store) -> None:
        put(store)
        first = store.commit(SPACE, PutDoc("doc", b"x", ABSENT), Append("log", [b"x"], 0), commit_id="id")
        put(store, PutDoc("doc", b"y"), Append("log", [b"y"]), Add("n", 3))
        state = whole(store, SPACE)
        again = store.commit(SPACE, PutDoc("doc", b"x", ABSENT), Append("log", [b"x"], 0), commit_id="id", on="other")
        assert again == replace(first, repeated=True)
        assert whole(store, SPACE) == state

    def test_an_id_is_known_after_64_later_commits(self, store: Store) -> None:
        first = store.commit(SPACE, Append("log", [b"x"]), Add("n", 1), commit_id="id")
        for _ in range(64):
            put(store, Append("log", [b"y"]), Add("n", 1))
        again = store.commit(SPACE, Append("log", [b"x"]), Add("n", 1), commit_id="id")
        assert again == replace(first, repeated=True)
        assert whole(store, SPACE).counters == {"n": 65}

    def test_an_id_is_known_after_64_later_commits_however_long_they_took(self, timed: Store, clock: SetClock) -> None:
        made = []
        for number in range(200):
            clock.now += 3600
            made.append(timed.commit(SPACE, Add("n", 1), commit_id=f"{number}"))
            if number >= 64:
                again = timed.commit(SPACE, Add("n", 1), commit_id=f"{number - 64}")
                assert again == replace(made[number - 64], repeated=True)

    def test_an_id_is_known_for_2_minutes_however_many_commits_they_saw(self, timed: Store, clock: SetClock) -> None:
        made = []
        for number in range(400):
            clock.now += 0.5
            made.append(timed.commit(SPACE, Add("n", 1), commit_id=f"{number}"))
            if number >= 239:
                again = timed.commit(SPACE, Add("n", 1), commit_id=f"{number - 239}")
                assert again == replace(made[number - 239], repeated=True)

    def test_a_repetition_moves_neither_ttl_nor_row(self, timed: Store, clock: SetClock) -> None:
        timed.commit(SPACE, commit_id="id", ttl=100, summary=Summary(b"first"))
        clock.now += 90
        row = row_of(timed, SPACE)
        assert timed.commit(SPACE, commit_id="id", ttl=100, summary=Summary(b"second")).repeated
        assert row_of(timed, SPACE) == row
        clock.now += 10
        assert timed.read(SPACE) == Look(None)

    def test_a_commit_that_failed_is_not_known_by_its_id(self, store: Store) -> None:
        seed(store)
        with pytest.raises(ConflictError):
            store.commit(SPACE, Append("log", [b"x"], 0), commit_id="id")
        assert store.commit(SPACE, Append("log", [b"x"], 3), commit_id="id").indices == {"log": 3}

    def test_an_id_of_one_space_means_nothing_to_another(self, store: Store) -> None:
        other = Space("session", "ann", "two")
        store.commit(SPACE, Add("n", 1), commit_id="id")
        assert not store.commit(other, Add("n", 1), commit_id="id").repeated

    def test_a_dropped_space_has_no_ids(self, store: Store) -> None:
        store.commit(SPACE, Add("n", 1), commit_id="id")
        store.drop(SPACE)
        assert not store.commit(SPACE, Add("n", 1), commit_id="id").repeated

    def test_commit_ids_may_be_any_text_of_64_characters(self, store: Store) -> None:
        names = "x" * 64, "X" * 64, "doc", "log", "a:b", "a/b", "..", "*", " ", "%", "\u4f1a" * 64, "\U0001f600", "'"
        for name in names:
            assert not store.commit(SPACE, Add("n", 1), commit_id=name).repeated
        for name in names:
            assert store.commit(SPACE, Add("n", 1), commit_id=name).repeated

    # ------------------------------------------------------------------------------------------------------ counters

    def test_a_counter_adds_up_from_0(self, store: Store) -> None:
        values = [put(store, Add("n", delta), Add("m", -delta)).counters for delta in (3, -10, 0)]
        assert values == [{"n": 3, "m": -3}, {"n": -7, "m": 7}, {"n": -7, "m": 7}]
        assert store.read(SPACE, Counters(["n", "m", "none"])).counters == {"n": -7, "m": 7, "none": 0}

    def test_a_counter_is_exact_as_far_as_int64_goes(self, store: Store) -> None:
        for start, step in ((2**53, 1), (-(2**53), -1), (2**63 - 2, 1), (1 - 2**63, -1)):
            name = f"from {start}"
            assert put(store, Add(name, start)).counters == {name: start}
            assert put(store, Add(name, step)).counters == {name: start + step}
            assert store.read(SPACE, Counters([name])).counters == {name: start + step}

    @pytest.mark.parametrize("sign", [1, -1])
    def test_a_counter_past_int64_is_refused_and_changes_nothing(self, store: Store, sign: int) -> None:
        put(store, Add("n", sign * (2**63 - 1)), Append("log", [b"0"]), PutDoc("doc", b"1"))
        changes = PutDoc("doc", b"2"), Append("log", [b"1"]), Add("m", 1), Trim("log", 1), Replace("log", 0, b"x")
        unchanged(store, lambda: put(store, *changes, Add("n", sign * 2)), TooLarge)
        unchanged(store, lambda: put(store, Add("n", sign * 2), *changes), TooLarge)
        unchanged(store, lambda: put(store, Add("m", sign * 2**63 + sign)), TooLarge)

    # -------------------------------------------------------------------------------------------------------- limits

    @pytest.mark.parametrize("case", ILLEGAL)
    def test_what_is_no_legal_set_is_refused_and_changes_nothing(self, store: Store, case: str) -> None:
        seed(store)
        unchanged(store, lambda: put(store, Add("n", 1), *ILLEGAL[case]), ValueError)

    def test_arguments_out_of_their_range_are_refused_and_change_nothing(self, store: Store) -> None:
        seed(store)
        for commit_id in ("", "x" * 65):
            unchanged(store, lambda id=commit_id: store.commit(SPACE, Add("n", 1), commit_id=id), ValueError)  # type: ignore[misc]
        for ttl in (0, -1, float("nan"), float("inf")):
            unchanged(store, lambda ttl=ttl: store.commit(SPACE, commit_id="id", ttl=ttl), ValueError)  # type: ignore[misc]

    def test_the_largest_entry_and_document_are_kept(self, store: Store) -> None:
        large = BYTES * (base.MAX_ENTRY // 256)
        put(store, PutDoc("doc", large))
        put(store, Append("log", [large]))
        assert whole(store, SPACE).docs["doc"].data == large
        assert entries(store, SPACE) == [large]

    def test_as_many_changes_as_allowed_are_kept(self, store: Store) -> None:
        half = base.MAX_CHANGES // 2
        put(store, Append("log", [b"%d" % at for at in range(half)]), *(PutDoc(f"{at}", b"") for at in range(half)))
        assert entries(store, SPACE) == [b"%d" % at for at in range(half)]
        assert len(whole(store, SPACE).docs) == half
        put(store, *(Replace("log", at, b"x") for at in range(half)), *(DropDoc(f"{at}") for at in range(half)))
        look = whole(store, SPACE)
        assert not look.docs and set(look.logs["log"].entries.values()) == {b"x"}
        put(store, *(Add(f"{at}", at) for at in range(half)))
        names = [f"{at}" for at in range(half)]
        assert read_all(store, SPACE, Counters(names)).counters == {name: int(name) for name in names}

    def test_what_passes_a_limit_is_refused_and_changes_nothing(self, store: Store) -> None:
        seed(store)
        large = bytes(base.MAX_ENTRY)
        unchanged(store, lambda: put(store, Append("log", [large + b"x"])), TooLarge)
        unchanged(store, lambda: put(store, PutDoc("doc", large + b"x")), TooLarge)
        unchanged(store, lambda: put(store, Replace("log", 0, large + b"x")), TooLarge)
        unchanged(store, lambda: put(store, Append("log", [large, large]), PutDoc("doc", b"x")), TooLarge)
        unchanged(store, lambda: put(store, Append("log", [b""] * base.MAX_CHANGES), Add("n", 1)), TooLarge)
        summary = Summary(bytes(4097))
        unchanged(store, lambda: store.commit(SPACE, commit_id="id", summary=summary), TooLarge)
