"""Of logs: indices are dense, start at 0 and never move; a view is what was asked for and exists."""

from __future__ import annotations

import pytest

from ...errors import ConflictError
from ...stores.base import Add, Append, Log, LogView, Replace, Store, Trim
from .binding import SPACE, Binding, entries
from .commits import put


def ten(store: Store) -> None:
    put(store, Append("log", [b"%d" % at for at in range(10)]))


def view(store: Store, want: Log) -> LogView:
    return store.read(SPACE, want).logs[want.log]


def seen(store: Store, want: Log) -> list[int]:
    """The indices of a view, each with its own entry."""
    found = view(store, want).entries
    assert all(data == b"%d" % index for index, data in found.items())
    return list(found)


class Logs(Binding):
    def test_entries_get_the_next_indices_from_0_on(self, store: Store) -> None:
        firsts = [put(store, Append("log", [b"x"] * count)).indices for count in (1, 3, 2)]
        assert firsts == [{"log": 0}, {"log": 1}, {"log": 4}]
        assert view(store, Log("log")) == LogView(0, 6, {})

    def test_each_log_counts_for_itself(self, store: Store) -> None:
        assert put(store, Append("a", [b"a0", b"a1"]), Append("b", [b"b0"])).indices == {"a": 0, "b": 0}
        assert put(store, Append("a", [b"a2"]), Append("b", [b"b1"])).indices == {"a": 2, "b": 1}
        assert entries(store, SPACE, "a") == [b"a0", b"a1", b"a2"] and entries(store, SPACE, "b") == [b"b0", b"b1"]

    def test_an_append_of_nothing_has_no_index(self, store: Store) -> None:
        assert put(store, Append("log", [])).indices == {}
        assert view(store, Log("log")) == LogView(0, 0, {})

    def test_an_entry_can_be_replaced_and_no_other_moves(self, store: Store) -> None:
        ten(store)
        put(store, Replace("log", 0, b"first"), Replace("log", 4, b""), Replace("log", 9, b"a longer one" * 500))
        expected = [b"first", b"1", b"2", b"3", b"", b"5", b"6", b"7", b"8", b"a longer one" * 500]
        assert entries(store, SPACE) == expected
        assert put(store, Append("log", [b"x"])).indices == {"log": 10}

    def test_trim_erases_below_and_moves_no_index(self, store: Store) -> None:
        ten(store)
        put(store, Trim("log", 4))
        assert view(store, Log("log")) == LogView(4, 10, {})
        assert seen(store, Log("log", [(0, None)])) == [4, 5, 6, 7, 8, 9]
        assert put(store, Append("log", [b"10"], 10)).indices == {"log": 10}

    def test_trim_never_moves_the_start_back(self, store: Store) -> None:
        ten(store)
        put(store, Trim("log", 4))
        put(store, Trim("log", 2))
        put(store, Trim("log", 0))
        assert view(store, Log("log")) == LogView(4, 10, {})

    def test_trim_erases_at_most_all(self, store: Store) -> None:
        ten(store)
        put(store, Trim("log", 2**62))
        assert view(store, Log("log", [(0, None)], last=5)) == LogView(10, 10, {})
        assert put(store, Append("log", [b"10"])).indices == {"log": 10}
        assert seen(store, Log("log", [(0, None)])) == [10]

    def test_trim_counts_as_before_the_commit(self, store: Store) -> None:
        ten(store)
        put(store, Append("log", [b"10", b"11"]), Trim("log", 100))
        assert view(store, Log("log")) == LogView(10, 12, {})
        assert seen(store, Log("log", [(0, None)])) == [10, 11]

    def test_trim_of_an_absent_log_is_nothing(self, store: Store) -> None:
        put(store, Trim("log", 5))
        put(store, Append("log", [b"0", b"1"]), Trim("log", 5))
        assert view(store, Log("log", last=5)) == LogView(0, 2, {0: b"0", 1: b"1"})

    def test_an_entry_that_was_erased_can_not_be_replaced(self, store: Store) -> None:
        ten(store)
        put(store, Trim("log", 4))
        put(store, Replace("log", 4, b"4"))
        with pytest.raises(ConflictError):
            put(store, Replace("log", 3, b"3"))
        assert view(store, Log("log", [(0, None)])).start == 4

    def test_an_entry_replaced_and_erased_by_one_commit_is_gone(self, store: Store) -> None:
        ten(store)
        put(store, Trim("log", 4), Replace("log", 3, b"x"), Replace("log", 4, b"4"))
        assert seen(store, Log("log", [(0, None)])) == [4, 5, 6, 7, 8, 9]

    @pytest.mark.parametrize(
        ("want", "indices"),
        [
            (Log("log"), []),
            (Log("log", [(2, 5)]), [2, 3, 4]),
            (Log("log", [(8, None)]), [8, 9]),
            (Log("log", [(8, 100)]), [8, 9]),
            (Log("log", [(10, None)]), []),
            (Log("log", [(100, 200)]), []),
            (Log("log", [(5, 5), (7, 3)]), []),
            (Log("log", [(6, 8), (1, 3)]), [1, 2, 6, 7]),
            (Log("log", [(1, 4), (2, 6), (6, 7)]), [1, 2, 3, 4, 5, 6]),
            (Log("log", [(1, 9), (3, 4)]), [1, 2, 3, 4, 5, 6, 7, 8]),
            (Log("log", last=3), [7, 8, 9]),
            (Log("log", last=100), list(range(10))),
            (Log("log", since="at 6"), [6, 7, 8, 9]),
            (Log("log", since="at 100"), []),
            (Log("log", since="at -3"), list(range(10))),
            (Log("log", since="absent"), list(range(10))),
            (Log("log", [(0, 2), (4, 5)], last=1, since="at 6"), [0, 1, 4, 6, 7, 8, 9]),
        ],
        ids=str,
    )
    def test_a_view_is_the_union_of_what_was_asked_for_ascending(
        self, store: Store, want: Log, indices: list[int]
    ) -> None:
        ten(store)
        put(store, Add("at 6", 6), Add("at 100", 100), Add("at -3", -3))
        assert seen(store, want) == indices
        assert (view(store, want).start, view(store, want).length) == (0, 10)
        put(store, Trim("log", 2))
        assert seen(store, want) == [index for index in indices if index >= 2]
        assert (view(store, want).start, view(store, want).length) == (2, 10)

    def test_a_log_asked_for_twice_shows_both(self, store: Store) -> None:
        ten(store)
        look = store.read(SPACE, Log("log", [(1, 3)]), Log("log", last=1), Log("log", [(2, 4)]))
        assert list(look.logs["log"].entries) == [1, 2, 3, 9]

    def test_an_absent_log_has_length_0(self, store: Store) -> None:
        put(store)
        assert view(store, Log("log", [(0, None), (3, 7)], last=5, since="n")) == LogView(0, 0, {})
