"""Sentences and terms of any language; a text that is cut says so."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strands_session_store import tokens
from strands_session_store.summaries import clipped
from strands_session_store.summaries.sentences import asks, sentences, shortened, terms

from . import talk
from .counting import HOWS, counting


@given(talk.texts)
def test_sentences_stand_in_the_text_in_their_order(text):
    at = 0
    for sentence in sentences(text):
        assert sentence == sentence.strip() and len(sentence.splitlines()) == 1
        at = text.index(sentence, at) + len(sentence)


@given(
    st.lists(st.sampled_from(["Rome is old", "你好世界", "x", "3.14", "Dr"]), max_size=20), st.sampled_from("。.?\n")
)
def test_no_word_is_lost(words, end):
    text = "".join(word + end + " " for word in words)
    assert sorted(term for sentence in sentences(text) for term in terms(sentence)) == sorted(terms(text))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("One is here. Two is there! Is three?", ["One is here.", "Two is there!", "Is three?"]),
        ('He said "it is." Then he left. 3.14 is pi.', ['He said "it is."', "Then he left.", "3.14 is pi."]),
        ("1. Open the door\n2. Close it\n\n---\n", ["1. Open the door", "2. Close it"]),
        ("Dr. Who is here. No.", ["Dr. Who is here.", "No."]),
        ("你好吗？我很好。「是的。」再见！", ["你好吗？", "我很好。", "「是的。」", "再见！"]),
        ("यह एक है। वह दो है॥ बस", ["यह एक है।", "वह दो है॥", "बस"]),
        ("هل أنت هنا؟ نعم أنا هنا.", ["هل أنت هنا؟", "نعم أنا هنا."]),
        ("a\u2028b c\rd e", ["a", "b c", "d e"]),
        ("", []),
    ],
)
def test_where_sentences_end(text, found):
    assert list(sentences(text)) == found


def test_terms():
    assert terms("The Straße, the_end: 3 x_1!") == ["the", "strasse", "the", "end", "3", "x", "1"]
    assert terms("हिन्दी में") == ["हिन्दी", "में"], "a combining mark is part of its word"
    assert terms("米兰餐厅 PC机") == ["米兰", "兰餐", "餐厅", "pc", "机"]
    assert terms("… — «»。！") == []


def test_questions():
    assert all(map(asks, ["Is it?", 'He: "is it?"', "是吗？", "هل؟", "Τι;"[:-1] + "\u037e"]))
    assert not any(map(asks, ["It is.", "a? b", ""]))


@pytest.mark.parametrize("how", HOWS)
@given(text=st.one_of(talk.texts, st.text(min_size=200)), max_tokens=st.integers(0, 60))
@settings(max_examples=150)
def test_a_clipped_text_is_its_begin_marked_and_never_too_long(how, text, max_tokens):
    with counting(how):
        found = clipped(text, max_tokens)
        assert tokens.count(found)[0] <= max_tokens
        if tokens.count(text)[0] <= max_tokens:
            assert found == text
        else:
            mark = tokens.count("…")[0]
            assert found.endswith("…") if max_tokens >= mark else found == ""
            assert text.startswith(found[:-1].rstrip(" "))


def test_it_is_cut_at_the_end_of_a_sentence_or_else_of_a_word():
    text = "The first sentence is here. The second sentence is longer than the first sentence was."
    assert clipped(text, 10) == "The first sentence is here. …"
    assert clipped(text, 18) == "The first sentence is here. The second sentence is longer than the …"
    assert clipped("word " * 100, 4) == "word word word …"
    assert clipped("a" * 100, 4) == "a" * 15 + "…"
    assert clipped("a\u0301" * 100, 4) == "a\u0301" * 7 + "…", "an accent stays with its letter"
    assert shortened("some words " * 100, 20) == "some words some …"


def test_clipping_reads_what_it_needs(monkeypatch):
    read: list[int] = []
    count = tokens.count
    monkeypatch.setattr(tokens, "count", lambda text: read.append(len(text)) or count(text))
    assert 3_900 < len(clipped("some words " * 100_000, 1_000)) <= 4_000
    assert read[0] == 1_100_000 and max(read[1:]) < 10_000 and len(read) < 30
