"""Of reads: what is absent reads as empty, and what does not fit into one read is asked for in another."""

from __future__ import annotations

import pytest

from ...errors import StoreError
from ...stores import base
from ...stores.base import Add, Append, Counters, Doc, Docs, Log, LogView, Look, PutDoc, Query, Space, Store, Want
from .binding import SPACE, Binding, fresh_id, read_all, rows
from .commits import put, seed

NAMES = (
    "a",
    "a/",
    "a/b",
    "a/b/c",
    "a/c",
    "aa",
    "a%",
    "a_",
    "a*",
    "a?",
    "[a]",
    "A",
    "b",
    "\u00e9",
    "e\u0301",
    "\U0001f600",
    "\uffff",
)


def follow(store: Store, *wants: Want) -> list[Look]:
    """The reads it takes to get all; each within the bound, each with something new."""
    looks = [store.read(SPACE, *wants)]
    while looks[-1].more:
        assert len(looks) < 10, f"more leads nowhere: {looks[-1].more}"
        looks.append(store.read(SPACE, *looks[-1].more))
    for look in looks:
        sizes = [len(doc.data) for doc in look.docs.values()]
        sizes += [len(data) for log in look.logs.values() for data in log.entries.values()]
        assert 1 <= len(sizes) <= base.READ_ENTRIES
        assert len(sizes) == 1 or sum(sizes) <= base.READ_BYTES
    return looks


class Reads(Binding):
    def test_an_absent_space_reads_as_empty(self, store: Store) -> None:
        wants = Doc("a"), Docs(""), Log("log", [(0, None)], last=3, since="n"), Counters(["n"])
        assert store.read(SPACE, *wants) == Look(None)

    def test_what_is_absent_in_a_space_reads_as_empty(self, store: Store) -> None:
        made = put(store)
        look = store.read(SPACE, Doc("a"), Docs("a"), Log("log", last=3), Counters(["n"]))
        assert look == Look(made.incarnation, 1, {}, {"log": LogView(0, 0, {})}, {"n": 0})

    def test_a_read_of_nothing_tells_incarnation_and_revision(self, store: Store) -> None:
        made = seed(store)
        assert store.read(SPACE) == Look(made.incarnation, 1)

    def test_a_read_changes_nothing(self, store: Store) -> None:
        store.read(SPACE, Doc("a"), Log("log"), Counters(["n"]))
        assert rows(store, Query(SPACE.kind, SPACE.owner)) == []
        assert store.commit(SPACE, commit_id=fresh_id(), on=base.ABSENT).revision == 1

    def test_documents_are_found_by_prefix_in_order_of_path(self, store: Store) -> None:
        put(store, *(PutDoc(name, name.encode()) for name in NAMES))
        for prefix in ("", *NAMES, "a/b/", "c", "*", "%", "["):
            docs = store.read(SPACE, Docs(prefix)).docs
            assert list(docs) == sorted(name for name in NAMES if name.startswith(prefix))
            assert all(doc.data == name.encode() for name, doc in docs.items())

    def test_a_prefix_folds_neither_case_nor_normal_form(self, store: Store) -> None:
        twins = ("a1", "A1"), ("\u00e91", "e\u03011"), ("\u00e91", "\u00c91")
        for at, names in enumerate(twins):
            space = Space("session", "ann", f"{at}")
            put(store, *(PutDoc(name, b"") for name in names), space=space)
            for name in names:
                assert list(store.read(space, Docs(name[:-1])).docs) == [name]

    def test_documents_can_be_asked_for_from_behind_a_path_on(self, store: Store) -> None:
        put(store, *(PutDoc(name, b"") for name in NAMES))
        for prefix in ("", "a", "a/"):
            for after in ("", "a/b", "a/bb", "zz"):
                docs = store.read(SPACE, Docs(prefix, after)).docs
                assert list(docs) == sorted(name for name in NAMES if name.startswith(prefix) and name > after)

    def test_a_document_asked_for_twice_is_there_once(self, store: Store) -> None:
        seed(store)
        look = store.read(SPACE, Docs(""), Doc("doc"), Docs("d"), Doc("doc"))
        assert list(look.docs) == ["doc"] and look.more == ()

    def test_names_of_documents_logs_and_counters_are_apart(self, store: Store) -> None:
        put(store, *(PutDoc(name, b"doc " + name.encode()) for name in NAMES))
        put(store, *(Append(name, [b"log " + name.encode()]) for name in NAMES))
        put(store, *(Add(name, at) for at, name in enumerate(NAMES, 1)))
        look = read_all(
            store, SPACE, *(Doc(name) for name in NAMES), *(Log(name, last=9) for name in NAMES), Counters(NAMES)
        )
        for at, name in enumerate(NAMES, 1):
            assert look.docs[name].data == b"doc " + name.encode()
            assert look.logs[name] == LogView(0, 1, {0: b"log " + name.encode()})
            assert look.counters[name] == at

    def test_a_log_past_the_bound_comes_newest_first_and_more_asks_for_the_rest(self, store: Store) -> None:
        count = base.READ_ENTRIES * 2 + 10
        put(store, Append("log", [b"%d" % at for at in range(count)]))
        looks = follow(store, Log("log", [(0, None)]))
        assert len(looks) == 3
        assert all(look.logs["log"].length == count for look in looks)
        found = [list(look.logs["log"].entries.items()) for look in reversed(looks)]
        assert [item for part in found for item in part] == [(at, b"%d" % at) for at in range(count)]

    def test_more_asks_for_what_was_left_out_of_several_spans(self, store: Store) -> None:
        count = base.READ_ENTRIES * 2
        put(store, Append("log", [b"%d" % at for at in range(count)]))
        looks = follow(store, Log("log", [(0, 700), (800, 1500)], last=10))
        found = [list(look.logs["log"].entries) for look in reversed(looks)]
        assert [at for part in found for at in part] == [*range(700), *range(800, 1500), *range(count - 10, count)]
        assert len(looks) == 2

    def test_bytes_are_bounded_but_one_entry_always_comes(self, store: Store) -> None:
        large, small = bytes(base.READ_BYTES // 2), b"x"
        for entry in (large + b"1", large + large + b"2", small, large, large):
            put(store, Append("log", [entry]))
        looks = follow(store, Log("log", [(0, None)]))
        assert [list(look.logs["log"].entries) for look in looks] == [[3, 4], [2], [1], [0]]

    def test_documents_past_the_bound_come_in_order_and_more_asks_for_the_rest(self, store: Store) -> None:
        names = [f"doc/{at:04}" for at in range(base.READ_ENTRIES + 200)]
        put(store, *(PutDoc(name, name.encode()) for name in names))
        looks = follow(store, Docs("doc/"))
        assert [path for look in looks for path in look.docs] == names and len(looks) == 2

    def test_what_is_asked_for_first_is_left_out_last(self, store: Store) -> None:
        put(store, Append("log", [b"x"] * base.READ_ENTRIES), PutDoc("a", b"a"), PutDoc("b", b"b"), Add("n", 3))
        look = store.read(SPACE, Doc("a"), Log("log", [(0, None)]), Doc("b"), Counters(["n"]))
        assert list(look.docs) == ["a"] and look.counters == {"n": 3}
        assert list(look.logs["log"].entries) == list(range(1, base.READ_ENTRIES))
        rest = store.read(SPACE, *look.more)
        assert list(rest.docs) == ["b"] and list(rest.logs["log"].entries) == [0] and not rest.more

    def test_a_closed_store_says_so(self, store: Store) -> None:
        put(store)
        store.close()
        store.close()
        for verb in (
            lambda: store.read(SPACE),
            lambda: put(store),
            lambda: store.list(Query("session")),
            lambda: store.drop(SPACE),
        ):
            with pytest.raises(StoreError, match="closed"):
                verb()

    def test_a_store_that_was_never_used_can_be_closed(self, url: str) -> None:
        self.open(url).close()
        with self.open(url) as store:
            assert store.read(Space("session", None, "none")) == Look(None)
