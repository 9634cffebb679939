"""Ids: every legal one is spelled in one way that leads back to it and to no other."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_session_store.errors import InvalidIdError, StoreError
from strands_session_store.ids import MAX_ESCAPED, NO_OWNER, check, escape, unescape
from strands_session_store.testing.promises.hostile import HOSTILE

any_text = st.text(st.characters(exclude_categories=("Cs",)))
tricky = st.one_of(st.sampled_from(HOSTILE), st.text("aA.-!/:%6152e\u00e9", min_size=1), any_text)


@given(tricky)
def test_escaping_can_be_reversed(text: str) -> None:
    assert unescape(escape(text)) == text


@given(tricky, tricky)
def test_two_ids_never_meet_also_where_case_is_folded(one: str, other: str) -> None:
    if one != other:
        assert escape(one).casefold() != escape(other).casefold()


@given(tricky)
def test_an_escaped_id_is_safe_in_keys_and_paths(text: str) -> None:
    name = escape(text)
    assert re.fullmatch(r"([a-z0-9_.-]|![0-9a-f]{2})*", name)
    assert not name.startswith((".", "-"))
    assert not name.endswith(".")
    assert name != NO_OWNER


def test_plain_ids_stand_for_themselves() -> None:
    for plain in ("user-123", "a.b_c-d", "0", "x" * 180):
        assert escape(plain) == plain


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("-", "!2d"),
        (".", "!2e"),
        ("..", "!2e!2e"),
        ("a.", "a!2e"),
        (".a", "!2ea"),
        ("A", "!41"),
        ("a/b", "a!2fb"),
        ("!", "!21"),
        ("\u00e9", "!c3!a9"),
    ],
)
def test_spelling(text: str, name: str) -> None:
    assert escape(text) == name


def test_hostile_ids_are_legal_and_different() -> None:
    assert [check("id", text) for text in HOSTILE] == list(HOSTILE)
    assert len({escape(text) for text in HOSTILE}) == len(HOSTILE)


def test_the_limit_is_180_bytes_escaped() -> None:
    assert MAX_ESCAPED == 180
    for fits, passes in (("a" * 180, "a" * 181), ("A" * 60, "A" * 61), ("\u00e9" * 30, "\u00e9" * 30 + "a")):
        assert check("id", fits) == fits
        with pytest.raises(InvalidIdError, match=r"session_id is too long: .* the limit is 180"):
            check("session_id", passes)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("", "agent_id is empty"),
        (None, "agent_id must be a string, not NoneType"),
        (7, "agent_id must be a string, not int"),
        (b"a", "agent_id must be a string, not bytes"),
        ("a\nb", r"agent_id holds a control character \(U\+000A\) at position 1"),
        ("\0", r"agent_id holds a control character \(U\+0000\) at position 0"),
        ("ab\x85", r"agent_id holds a control character \(U\+0085\) at position 2"),
        ("a\ud800", r"agent_id holds a lone surrogate \(U\+D800\) at position 1"),
    ],
)
def test_a_refusal_names_the_argument_and_what_is_wrong(value: object, says: str) -> None:
    with pytest.raises(InvalidIdError, match=says) as info:
        check("agent_id", value)
    assert isinstance(info.value, ValueError)
    assert isinstance(info.value, StoreError)


@given(st.text(st.one_of(st.characters(), st.sampled_from(string.printable)), max_size=200))
def test_what_check_passes_has_a_name_within_the_limit(text: str) -> None:
    try:
        check("id", text)
    except InvalidIdError:
        return
    assert 1 <= len(escape(text)) <= MAX_ESCAPED
    assert unescape(escape(text)) == text
