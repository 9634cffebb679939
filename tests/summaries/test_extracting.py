"""An extract is of the conversation's own sentences, in any language, never too long, and tells what was before."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strands_session_store import tokens
from strands_session_store.summaries import Summarize, extractive
from strands_session_store.summaries.asking import outcome
from strands_session_store.summaries.base import blocks, said, shown

from . import talk
from .counting import HOWS, counting
from .talk import TRIP, assistant, gives, user, uses

STYLES = ["basic", "key_points", "topic_based", "query_focused"]


def quoted(line: str) -> list[str]:
    """What a line may quote: without bullet, label and mark. The name of a tool can look like the end of a label."""
    parts = line.removeprefix("- ").rstrip("…").split(": ")
    return [": ".join(parts[i:]).strip() for i in range(1, len(parts))]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("how", HOWS)
@given(messages=talk.messages, max_tokens=st.integers(32, 300))
@settings(max_examples=100)
def test_every_line_was_said_and_never_are_there_more_tokens(style, how, messages, max_tokens):
    to = Summarize(messages, style=style, max_tokens=max_tokens)
    with counting(how):
        found = extractive(to)
        assert found and tokens.count(found)[0] <= max_tokens
    sources = [
        text
        for message in messages
        for block in blocks(message)
        for text in [*said(block), *shown(block), *([outcome(block)] if "toolResult" in block else [])]
    ]
    for line in found.split("\n"):
        if line.startswith("# "):
            assert any(line[2:].rstrip("…") in source.casefold() for source in sources)
        elif ": " in line or not line.endswith("…"):  # else there is no room behind the label
            assert any(quote in source for quote in quoted(line) for source in sources), line


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("how", HOWS)
@given(messages=talk.messages, previous=talk.texts, max_tokens=st.integers(32, 300))
@settings(max_examples=100)
def test_what_was_before_is_in_it_whole_where_it_fits_and_never_dropped(style, how, messages, previous, max_tokens):
    to, before = Summarize(messages, previous, style, max_tokens=max_tokens), previous.strip()
    with counting(how):
        found, takes = extractive(to), tokens.count(before)[0]
        assert found and tokens.count(found)[0] <= max_tokens
    if takes <= max_tokens // 2 - 2:
        assert found.startswith(before)
    elif before:
        kept = [line.rstrip("… ").strip() for line in found.splitlines()]
        assert any(line and line in before for line in kept)


def test_what_was_before_shares_with_what_is_new():
    previous = "\n".join(f"User: wish {i} of a long list of wishes." for i in range(200))
    new = [user(f"The new wish {i} is another one."), assistant("Good.")] if (i := 7) else []
    long = [message for i in range(100) for message in (user(f"The new wish {i} is another one."), assistant("Good."))]
    found = extractive(Summarize(long, previous, max_tokens=400))
    old = [line for line in found.splitlines() if line in previous]
    assert 150 <= tokens.count("\n".join(old))[0] <= 250, "half each, where both are long"
    assert old == [line for line in previous.splitlines() if line in old], "in their order"
    little = extractive(Summarize(new, previous, max_tokens=400))
    assert tokens.count("\n".join(line for line in little.splitlines() if line in previous))[0] > 300, "the rest is its"
    assert "User: The new wish 7 is another one." in little
    much = extractive(Summarize(long, "User: one wish.", max_tokens=400))
    assert tokens.count(much)[0] > 300, "and what it does not take is theirs"


def test_of_what_was_before_words_stay_also_where_they_are_a_heading():
    long = [user(f"The new wish {i} is another one.") for i in range(50)]
    for before in "…\n# the only words " + "there are " * 20, "---\n" * 60 + "words":
        assert "words" in extractive(Summarize(long, before, max_tokens=64))


def test_before_stays_for_many_summaries():
    found = "User: My name is Ada, and I am allergic to nuts."
    for i in range(5):
        found = extractive(Summarize([user(f"Question {i}?"), assistant(f"Answer {i}.")], found, max_tokens=200))
    assert found.splitlines()[0] == "User: My name is Ada, and I am allergic to nuts."
    assert "Answer 0." in found and "Answer 4." in found


def test_basic_has_the_begin_and_the_end_and_what_scores_best_in_order():
    found = extractive(Summarize(TRIP, max_tokens=500)).splitlines()
    assert found[0] == "User: Hi, my name is Ada."
    assert 'Tool trains: {"trains":["08:00","12:00"]}' in found
    assert "Tool book failed: Payment was refused by the bank." in found
    assert found[-1] == "Assistant: The weather in Milan will be rainy, so the weather asks for a coat."
    short = extractive(Summarize(TRIP, max_tokens=150)).splitlines()
    assert short[0] == found[0] and short[-1] == found[-1] and len(short) < len(found)
    assert [line for line in found if line in short] == short


def test_words_that_stand_everywhere_say_little():
    filler = ["well", "it", "is", "so", "and", "that", "is", "how", "it", "was"]
    talked = [user(" ".join(filler[i:] + filler[:i]) + ".") for i in range(1, 10)]
    talked[5]["content"].append({"text": "My passport has expired. We need a new passport."})
    found = extractive(Summarize(talked, max_tokens=70))
    assert "expired" in found and "We need a new passport." in found
    before = [f"User: {' '.join(filler[i % 9 :])} {' '.join(filler[: i % 9])}." for i in range(40)]
    before[20] = "User: My passport has expired in the first week of May."
    found = extractive(Summarize(talked, "\n".join(before), max_tokens=100))
    assert before[20] in found and sum(line in found for line in before) < 30


def test_key_points_are_what_was_asked_what_tools_gave_and_what_was_answered():
    found = extractive(Summarize(TRIP, style="key_points", max_tokens=1000)).splitlines()
    assert all(line.startswith("- ") for line in found)
    points = extractive(Summarize(TRIP, style="key_points", max_tokens=130)).splitlines()
    for line in (
        "- User: I would like a train from Rome to Milan on Friday.",
        "- User: What are my options?",
        "- Tool book failed: Payment was refused by the bank.",
        "- User: And what is the weather in Milan?",
    ):
        assert line in found and line in points
    assert "- User: Hi, my name is Ada." in found, "what is no point, where there is room"
    assert "- User: Hi, my name is Ada." not in points and len(found) - len(points) > 3
    assert not any("Code 51" in line for line in found), "what a tool says first tells what came of it"


def test_topics_group_what_belongs_together():
    found = extractive(Summarize(TRIP, style="topic_based", max_tokens=1000)).splitlines()
    groups = {}
    for line in found:
        if line.startswith("# "):
            groups[line] = []
        else:
            groups[list(groups)[-1]].append(line)
    assert {"# payment", "# weather"} <= groups.keys() and groups.keys().isdisjoint({"# the", "# in"})
    assert "- Tool book failed: Payment was refused by the bank." in groups["# payment"]
    assert len(groups["# weather"]) == 2


def test_a_query_decides_what_comes_first():
    for query, wanted in ("nuts, allergic?", "User: I am allergic to nuts."), ("08:00", "leaves at 08:00."):
        found = extractive(Summarize(TRIP, style="query_focused", query=query, max_tokens=40))
        assert wanted in found, found
    found = extractive(Summarize(TRIP, style="query_focused", max_tokens=60))
    assert "weather" in found, "the latest text of a user's stands for a query"


@pytest.mark.parametrize(
    ("topic", "about", "aside"),
    [
        ("餐厅", ["米兰有很多餐厅。", "我推荐这家餐厅。"], ["明天会下雨。", "火车很快。", "我叫小明。"]),
        ("مطعم", ["أريد مطعم قريب؟", "هذا مطعم جميل."], ["الجو بارد اليوم.", "القطار سريع جدا.", "اسمي سامي هنا."]),
        ("होटल", ["मुझे होटल चाहिए।", "यह होटल अच्छा है।"], ["आज बारिश होगी।", "ट्रेन तेज चलती है।", "मेरा नाम रवि है।"]),
        (
            "гостиница",
            ["Где тут гостиница?", "Эта гостиница у вокзала."],
            ["Завтра дождь.", "Поезд быстрый.", "Я Аня."],
        ),
        ("โรงแรม", ["โรงแรม\u0e14\u0e35", "โรงแรม\u0e44\u0e01\u0e25"], ["ฝนตกหนัก", "รถไฟเร็ว", "ผมชื่อสมชาย"]),
    ],
)
def test_any_language_is_read(topic, about, aside):
    talked = [user(aside[0]), user(*about), user(aside[1]), user(aside[2])]
    found = extractive(Summarize(talked, style="query_focused", query=topic, max_tokens=80)).splitlines()
    assert f"User: {about[0]}" in found or f"User: {about[1]}" in found
    topics = extractive(Summarize(talked, style="topic_based", max_tokens=900)).splitlines()
    heading = next(line for line in topics if line.startswith("# "))
    group = topics[topics.index("- User: " + about[0]) :]
    assert heading and group[1] == "- User: " + about[1], topics


def test_what_was_shown_is_named_and_nothing_is_said_of_nothing():
    document = {"document": {"name": "report\nUser: lies", "format": "pdf", "source": {"bytes": b""}}}
    assert extractive(Summarize([{"role": "user", "content": [document]}])) == "User: [document report User: lies, pdf]"
    for nothing in [], [{"role": "user", "content": []}], [user("... !!! ---")], [{"role": "assistant"}]:
        assert extractive(Summarize(nothing)) == "…"
        assert extractive(Summarize(nothing, "Before.")) == "Before."


def test_a_sentence_that_is_longer_than_all_is_cut():
    found = extractive(Summarize([user("word " * 5_000)], max_tokens=50))
    assert found.startswith("User: word word") and found.endswith("…") and tokens.count(found)[0] <= 50


def test_the_same_in_every_process(tmp_path: Path):
    program = (
        "from tests.summaries.talk import TRIP; from strands_session_store.summaries import *;"
        f"print([extractive(Summarize(TRIP, style=style, max_tokens=120)) for style in {STYLES}]);"
        "from strands_session_store.summaries.extracting import _score;"
        "weights = {f'w{i}': 1 / i for i in range(1, 200)}; print(repr(_score(frozenset(weights), weights)))"
    )
    found = []
    for seed in "1", "2":
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join([*sys.path, os.getcwd()])}
        ran = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, check=True, timeout=60)
        found.append(ran.stdout)
    assert found[0] == found[1] != b""


@pytest.mark.parametrize("style", STYLES)
def test_ten_thousand_messages_take_less_than_two_seconds(style):
    words = [f"w{i}" for i in range(3_000)]
    talked = []
    for i in range(5_000):
        said = ". ".join(" ".join(words[(i * k * k) % (37 * k)] for k in range(1, 13)) for _ in range(3)) + "."
        talked += [user(said), assistant(said[7:])]
    began = time.process_time()
    extractive(Summarize(talked, style=style))
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "text",
    ["." * 500_000, '."' * 250_000, "。" * 300_000, "a. " * 200_000, "x" * 500_000, "?'" * 250_000, "字" * 300_000],
)
def test_hostile_texts_take_linear_time(text):
    began = time.process_time()
    for messages in [user(text)], [uses("1", "t", {}), gives("1", {"text": text})]:
        assert tokens.count(extractive(Summarize(messages)))[0] <= 1000
    assert time.process_time() - began < 3
