"""The forms in which the engine over objects keeps things: each comes back as it was, and can be read."""

from __future__ import annotations

import json
from collections.abc import Mapping

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from strands_session_store.errors import Corrupt
from strands_session_store.stores.base import Space
from strands_session_store.stores.objects import cells, names
from strands_session_store.stores.objects.head import Head, LogState, Page, Stored, Tombstone, dump, parse
from strands_session_store.stores.objects.repeats import Block, Done, note, pack, unpack
from strands_session_store.testing.promises.hostile import HOSTILE

NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ANY = st.one_of(
    st.binary(),
    st.text().map(str.encode),
    NESTED.map(lambda value: json.dumps(value).encode()),
    NESTED.map(lambda value: json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")),
    NESTED.map(lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")),
)


@given(ANY)
@example(b" 1")
@example(b"1.0")
@example(b"1.50")
@example(b"-0")
@example(b"1e400")
@example(b"1" * 5000)
@example(b'{"a":1,"a":1}')
@example(b'"\\u00e9"')
@example(b'"\\ud800"')
@example(b'{"$text":"x"}')
@example(b'{"$base64":"eA=="}')
@example(b'{"$other":1}')
@example(b"[" * 100_000)
@example(b"NaN")
@example(b"\xef\xbb\xbf1")
@example("\u2028\x7f".encode())
@example(b"\0" * 1000)
def test_any_bytes_are_one_line_of_json_and_come_back(data: bytes) -> None:
    cell = cells.encode(data)
    assert b"\n" not in cell and b"\r" not in cell
    assert cells.decode(cell) == data and cells.size(cell) == len(data)
    assert len(cell) < 2 * len(data) + 100
    # as part of a head: what is read and written again is the same
    assert cells.decode(cells.dump(json.loads(cell))) == data


def test_json_as_this_package_writes_it_stands_for_itself() -> None:
    for data in (b"{}", b'{"a":[1,2.5,null,"\xc3\xa9"]}', b'"x"', b"17"):
        assert cells.encode(data) == data
    assert json.loads(cells.encode(b"hello")) == {"$text": "hello"}


COUNTS = st.dictionaries(
    st.sampled_from(["a", "b/c", "\u00e9", "\ud800", ""]), st.integers(-(2**63), 2**63 - 1), max_size=3
)


@given(st.lists(st.tuples(st.text(min_size=1, max_size=64), st.integers(0, 10**13), COUNTS, COUNTS), max_size=6))
def test_commits_come_back_as_they_were(told: list[tuple[str, int, Mapping[str, int], Mapping[str, int]]]) -> None:
    done = [Done(id, time / 1000, 5 + at, one, two) for at, (id, time, one, two) in enumerate(told)]
    assert unpack(json.loads(json.dumps(pack(done))), 5) == done


def test_a_head_comes_back_as_it_was() -> None:
    blocks: tuple[Block, ...] = ()
    recent: tuple[Done, ...] = ()
    for number in range(1, 101):
        done = Done(f"id {number}", 1.7e9 + number, number, {"log": number}, {"n": -number})
        blocks, recent = note(blocks, recent, done)
    pages = Page(3, 5, 0, 10, 1, "abc"), Page(5, 8, 2, 0, 0, "o/0-1.d.jsonl")
    head = Head(
        "0123",
        100,
        1.7e9,
        1.7e9 + 3,
        1.8e9,
        "parent\ud800",
        b"\0summary\xff",
        (1.7e9, 3),
        {
            "a/b": Stored(3, 5, b"[1,2]"),
            "\ud800": Stored(4, 900, None, "x/y.1.bin"),
            "\u00e9": Stored(5, 0, cells.encode(b"")),
        },
        {"n": 2**63 - 1, "m": -(2**63)},
        {
            "log/\udfff": LogState(3, 9, pages, (b"1",), "log"),
            "gone": LogState(4, 4),
        },
        blocks,
        recent,
    )
    again = parse("key", dump(head))
    assert again == head
    assert isinstance(again, Head) and dump(again) == dump(head)
    assert again.objects() == {"log/3-4.abc.jsonl", "o/0-1.d.jsonl", "x/y.1.bin"}
    stone = Tombstone(1.7e9, "0123", 1.6e9, None, moved=7)
    assert parse("key", dump(stone)) == stone and dump(Tombstone(1.0)) != dump(Tombstone(1.0))
    with pytest.raises(Corrupt, match="'key'"):
        parse("key", dump(head)[:-5])


@given(st.text(st.characters(), max_size=300))
@example("a//b/../.")
@example("\ud800/\udfff")
@example("/".join("abcdefgh"))
def test_a_path_of_any_text_gives_a_name_that_is_a_path(path: str) -> None:
    folder = f"{names.folder(Space('session', 'o' * 180, 'i' * 180), 'a' * 18)}"
    for name in (names.page(names.spell(path), 0, 10**9, names.unique()), names.document(path, True)):
        key = folder + name
        assert len(key) <= 900 and key.isascii()
        for part in key.split("/"):
            assert 0 < len(part) <= 220 and not part.startswith(".") and part == part.lower()


def test_no_two_spaces_share_a_key() -> None:
    spaces = [
        Space(kind, owner, id) for kind in ("session", "user") for owner in (None, *HOSTILE[::9]) for id in HOSTILE
    ]
    keys = {names.head(space) for space in spaces} | {names.folder(space) for space in spaces}
    assert len(keys) == 2 * len(spaces)
    for space in spaces:
        assert names.space(*space.key) == space
        (row, below) = names.rows_of(space, "0123", 1.7e9, "\ud800" * 400)
        assert names.read_row(row) == names.read_row(below) == (1.7e9, space.key[2], "0123", 0)
        (same, moved) = names.rows_of(space, "0123", 1.7e9, "p", 12)
        assert same == row and names.read_row(moved) == (1.7e9, space.key[2], "0123", 12)
        assert all(len(part) <= 220 for part in below.split("/"))


@given(st.floats(1.1e9, 4e9), st.floats(1.1e9, 4e9))
def test_times_sort_as_text_and_come_back(one: float, two: float) -> None:
    first, second = names.stamp(one), names.stamp(two)
    assert float(first) == one and (first < second) == (one < two)
