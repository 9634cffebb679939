"""Values to bytes and back, exactly; and what is kept of what has no encoding."""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from strands_session_store import codec, records
from strands_session_store.errors import Corrupt


class Colour(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Opaque:
    pass


def exactly(a: Any, b: Any) -> bool:
    """Equal, of equal types all the way down, where NaN is NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return len(a) == len(b) and all(exactly(x, y) for p in zip(a.items(), b.items()) for x, y in zip(*p))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(exactly, a, b))
    if isinstance(a, float):
        return (a != a and b != b) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, Decimal):
        return str(a) == str(b)
    if isinstance(a, dt.datetime | dt.time):
        return a == b and a.isoformat() == b.isoformat()
    return bool(a == b)


text = st.text(st.characters(codec=None), max_size=6) | st.sampled_from(
    ["$", "v", "__bytes_encoded__", "data", "\ud83d\ude00"]
)
offsets = st.none() | st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23)).map(
    lambda d: dt.timezone(dt.timedelta(minutes=d // dt.timedelta(minutes=1)))
)
hashable = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | text
    | st.binary(max_size=4)
    | st.datetimes(timezones=offsets)
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids(),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=5,
)
values = st.recursive(
    hashable | st.floats() | st.decimals(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(text, inner, max_size=4)
        | st.dictionaries(hashable, inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.sets(hashable, max_size=3)
        | inner.map(lambda v: {"$": v})
        | inner.map(lambda v: {"$": "dict", "v": v})
        | inner.map(lambda v: {"__bytes_encoded__": True, "data": v})
    ),
    max_leaves=12,
)


@settings(max_examples=600, deadline=None, derandomize=True)
@given(values)
@example({"$": "tuple", "v": [1]})
@example({"$": None})
@example({"__bytes_encoded__": False})
@example({"\ud800": "\udc00", "a": ["\ud83d\ude00"]})
@example(10**5000)
@example(-(2**256))
@example({1: "a", "1": "b"})
@example({"a": float("nan"), "b": -0.0})
@example(dt.datetime(2024, 1, 1, fold=1))
@example(dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(seconds=1, microseconds=2))))
@example(Decimal("sNaN"))
def test_values_come_back_exactly(value: Any) -> None:
    lost: list[str] = []
    found = codec.decode(codec.encode(value, lost=lambda place, kind: lost.append(place)))
    assert not lost
    assert exactly(found, value), f"{found!r} != {value!r}"


@settings(max_examples=200, deadline=None, derandomize=True)
@given(values)
def test_a_record_comes_back_and_its_bytes_are_json(value: Any) -> None:
    record = records.Message(message={"role": "user", "content": [{"json": value}]}, at=1.5)
    data = codec.dump(record)
    json.loads(data)
    found = codec.load(records.Message, data, "somewhere")
    assert exactly(found.message, record.message)
    assert (found.at, found.redacted) == (1.5, None)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.dictionaries(
        st.sampled_from(["metadata", "tracking_id", "m", "role"]) | st.text(max_size=3), values, max_size=4
    ),
    values
    | st.lists(st.fixed_dictionaries({"text": st.text()} | {}, optional={"cachePoint": st.none()}), max_size=2)
    | st.text(),
    st.none() | st.floats(0, 2e9),
    st.none() | st.floats(0, 2e9),
)
def test_a_message_of_any_shape_comes_back(more: dict[str, Any], content: Any, at: Any, redacted: Any) -> None:
    record = records.Message(message={"role": "user", "content": content, **more}, at=at, redacted=redacted)
    found = codec.load(records.Message, codec.dump(record), "somewhere")
    assert exactly(found.message, record.message)
    assert (found.at, found.redacted) == (at, redacted)


def test_a_message_is_kept_without_names() -> None:
    message = {"role": "user", "content": [{"text": "hi"}], "tracking_id": "t1"}
    assert codec.dump(records.Message(message=message, at=1.5)) == b'["user","hi","t1",1.5]'
    more = {"role": "user", "content": [{"text": "hi"}], "metadata": {"usage": 3}, "tracking_id": "t1"}
    assert (
        codec.dump(records.Message(message=more, redacted=2.0))
        == b'["user","hi","t1",null,{"metadata":{"usage":3}},2.0]'
    )
    two = {"role": "assistant", "content": [{"text": "a"}, {"text": "b"}]}
    assert codec.dump(records.Message(message=two)) == b'["assistant",[{"text":"a"},{"text":"b"}]]'


def test_bytes_look_as_in_strands_own_files() -> None:
    assert json.loads(codec.encode({"bytes": b"hi"})) == {"bytes": {"__bytes_encoded__": True, "data": "aGk="}}


def test_plain_values_are_plain_json() -> None:
    value = {"role": "user", "content": [{"text": "é\u2028"}], "n": [1, 1.5, None, True]}
    assert codec.encode(value) == json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (bytearray(b"x"), b"x"),
        ({Colour.RED: Level.HIGH}, {"red": 3}),
        (type("Text", (str,), {})("t"), "t"),
        (type("Number", (float,), {})("nan"), float("nan")),
        (type("Pair", (tuple,), {})((1, 2)), (1, 2)),
        (type("Mapping", (dict,), {})(a=1), {"a": 1}),
        (type("Items", (list,), {})([1]), [1]),
    ],
)
def test_subclasses_come_back_as_their_plain_value(value: Any, plain: Any) -> None:
    assert exactly(codec.decode(codec.encode(value)), plain)


@pytest.mark.parametrize(
    ("value", "kept", "places"),
    [
        (Opaque(), "<not stored: Opaque>", ["top"]),
        ({"a": [1, Opaque()]}, {"a": [1, "<not stored: Opaque>"]}, ["top['a'][1]"]),
        ({1: {"x": Opaque()}}, {1: {"x": "<not stored: Opaque>"}}, ["top[1]['x']"]),
        ((Opaque(), b""), ("<not stored: Opaque>", b""), ["top[0]"]),
        ({"f": test_plain_values_are_plain_json, "c": Opaque}, None, ["top['f']", "top['c']"]),
        ({"c": 1j}, {"c": "<not stored: complex>"}, ["top['c']"]),
    ],
)
def test_what_has_no_encoding_is_named_and_a_placeholder_is_kept(value: Any, kept: Any, places: list[str]) -> None:
    lost: list[tuple[str, str]] = []
    found = codec.decode(codec.encode(value, lost=lambda place, kind: lost.append((place, kind)), place="top"))
    assert [place for place, _ in lost] == places
    assert kept is None or found == kept


def test_what_is_cyclic_or_too_deep_ends_in_a_placeholder() -> None:
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    lost: list[str] = []
    data = codec.encode(cyclic, lost=lambda place, kind: lost.append(kind))
    assert lost == ["list"]
    assert b"<not stored: list>" in data
    deep: Any = "end"
    for _ in range(codec.MAX_DEPTH):
        deep = [deep]
    assert codec.decode(codec.encode(deep)) == deep


def test_without_a_listener_nothing_is_raised() -> None:
    assert codec.decode(codec.encode({"a": Opaque()})) == {"a": "<not stored: Opaque>"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'["user"]',
        b'["user","hi","t1","no number"]',
        b'["user","hi","t1",1.5,"no object"]',
        b"null",
        b"\xff\xfe",
        b'{"m": 1',
        b'{"$": "no such tag", "v": 1}',
        b'{"m": {"$": "datetime", "v": "yesterday"}}',
        b'{"m": {"$": "datetime", "v": 3}}',
        b'{"m": {"$": "tuple"}}',
        b'{"m": {"$": "int", "v": "0xzz"}}',
        b'{"m": {"$": "decimal", "v": "one"}}',
        b'{"m": {"$": "dict", "v": [[[1], 2]]}}',
        b'{"m": {"$": ["unhashable"], "v": 1}}',
        b'{"m": {"__bytes_encoded__": true}}',
        b'{"m": {"__bytes_encoded__": true, "data": "a"}}',
        b'{"m": {"__bytes_encoded__": true, "data": 5}}',
        b'{"t": "no number"}',
        b'{"format": "1"}',
        b"[" * 100_000,
    ],
)
def test_bytes_that_are_no_record_are_corrupt_and_the_path_is_named(data: bytes) -> None:
    with pytest.raises(Corrupt, match=r"(?s)'agents/a/messages\[3\]'.*nothing was overwritten") as caught:
        codec.load(records.Message, data, "agents/a/messages[3]")
    assert caught.value.path == "agents/a/messages[3]"


def test_a_newer_format_is_not_read_and_both_versions_are_named() -> None:
    data = codec.dump_document(records.Context(spans=[])).replace(b'"format":1', b'"format":2')
    with pytest.raises(Corrupt, match="format 2, this version reads up to 1; upgrade"):
        codec.load(records.Context, data, "agents/a/context")


def test_a_document_names_its_format_first_and_leaves_out_what_is_unknown() -> None:
    assert codec.dump_document(records.Context(spans=[])) == b'{"format":1,"spans":[]}'
    assert codec.dump(records.Message(message={"a": 1})) == b'{"m":{"a":1}}'


def test_fields_of_a_later_version_are_left_out() -> None:
    assert codec.load(records.Context, b'{"format":1,"spans":[],"later":1}', "x") == records.Context(spans=[])


def test_the_default_of_a_time_is_not_taken_for_the_time() -> None:
    """A field whose default is drawn when the record is made is always written."""
    session = records.Session(session_id="s")
    assert codec.load(records.Session, codec.dump(session), "x") == session


def test_ids_of_the_record_are_not_payload() -> None:
    agent = records.Agent(agent_id="a", state={"u": UUID(int=1)})
    assert codec.load(records.Agent, codec.dump_document(agent), "x") == agent
