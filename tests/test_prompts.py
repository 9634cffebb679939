"""Prompts: what each strategy picks, that any pick becomes a conversation, and that it fits."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from strands_session_store import prompts
from strands_session_store.errors import PromptError, StoreError
from strands_session_store.prompts import FAILED, History, Name, build_prompt
from strands_session_store.summaries import opening
from strands_session_store.turns import joined, parts, spelled, turns, without

from .histories import (
    IMAGE,
    Message,
    assert_valid,
    assistant,
    containers,
    messy,
    result,
    taken,
    text,
    use,
    user,
    whole,
)

NAMES: tuple[Name, ...] = get_args(Name)
FAILS = result("b", "no such file", "error")
TALK = [
    user("first"),
    assistant("one"),
    user("second"),
    assistant("two", use("a")),
    user(result("a")),
    assistant("three"),
    user("third"),
    assistant("looking", use("a"), use("b")),
    user(result("a"), FAILS),
]
"""It ends with the results of the latest answer."""


class Watched:
    """A history that knows how much of it was read."""

    def __init__(self, messages: Sequence[Message], summaries: Iterable[str] = ()) -> None:
        self.messages, self.told = messages, summaries
        self.read_newest = self.read_oldest = 0

    def newest(self) -> Iterator[Message]:
        for message in reversed(self.messages):
            self.read_newest += 1
            yield message

    def oldest(self) -> Iterator[Message]:
        for message in self.messages:
            self.read_oldest += 1
            yield message

    def summaries(self) -> Iterable[str]:
        return self.told


# ------------------------------------------------------------------------------------------------------- any history


def everything(history: History) -> list[Message]:
    return list(history.oldest())


def shuffled(history: History) -> list[Message]:
    """Somebody's, who does not care."""
    found = list(history.newest())
    return [*found[1::2], *found[::2], *found[:1]]


STRATEGIES = st.sampled_from([*NAMES, everything, shuffled])


@settings(max_examples=300)
@given(messy, STRATEGIES, st.one_of(st.none(), st.integers(1, 4000)), st.sampled_from([None, 1, 2, 10]))
def test_a_prompt_is_valid_and_fits_whatever_the_history(
    messages: list[Message], strategy: Any, max_tokens: int | None, max_turns: int | None
) -> None:
    before = copy.deepcopy(messages)
    unbounded = build_prompt(messages, strategy, max_turns=max_turns)
    try:
        prompt = build_prompt(messages, strategy, max_turns=max_turns, max_tokens=max_tokens)
    except PromptError:
        prompt = None
    assert messages == before
    assert_valid(unbounded)
    assert bool(unbounded) == bool(turns(messages[::-1])), "it is empty only where no user has said anything"
    said = [part for turn in turns(unbounded[::-1]) for part in turn if part.begins]
    if prompt is None:
        assert max_tokens is not None
        # what a user said last is at the end of what was joined
        assert taken([{"content": said[-1].content}]) > max_tokens
        return
    assert_valid(prompt)
    assert max_tokens is None or taken(prompt) <= max_tokens
    assert not set(containers(prompt)) & set(containers(messages)), "nothing is shared"
    blocks = [*(block for m in messages for block in m["content"]), *marked(messages)]
    assert all(block in blocks for m in prompt for block in m["content"]), "no block is cut"
    if said:
        last = said[-1].content[-1]
        assert any(last in m["content"] for m in prompt), "what a user said last is there"


def marked(messages: list[Message]) -> list[dict[str, Any]]:
    results = [b["toolResult"] for m in messages for b in m["content"] if "toolResult" in b]
    return [{"toolResult": {**one, "content": [text(FAILED), *one["content"]]}} for one in results]


@settings(max_examples=200)
@given(messy, st.integers(1, 3000))
def test_the_oldest_turns_are_dropped_first_and_none_in_vain(messages: list[Message], max_tokens: int) -> None:
    count = len(turns(messages[::-1]))
    prompts = [build_prompt(messages, max_turns=n) for n in range(1, count + 1)]
    fitting = [prompt for prompt in prompts if taken(prompt) <= max_tokens]
    if fitting:
        for max_turns in (None, count):
            assert build_prompt(messages, max_turns=max_turns, max_tokens=max_tokens) == fitting[-1]
        assert build_prompt(messages, everything, max_tokens=max_tokens) == fitting[-1]
    elif prompts:
        (words, *answers) = turns(messages[::-1])[-1]
        ends = [joined(spelled([words, *answers[at:]])) for at in range(1, len(answers) + 1)]
        wanted = next((end for end in ends if taken(end) <= max_tokens), None)
        if wanted is None:
            with pytest.raises(PromptError):
                build_prompt(messages, max_tokens=max_tokens)
        else:
            assert build_prompt(messages, max_tokens=max_tokens) == wanted


@settings(max_examples=100)
@given(whole)
def test_a_conversation_of_all_turns_is_the_history(messages: list[Message]) -> None:
    assert build_prompt(messages, max_turns=None) == messages


@settings(max_examples=300)
@given(messy)
@example([user("hi"), assistant("hi"), user("hi")])
@example([assistant("hi"), user("hi")])
@example([assistant("hi"), user("hi"), user("hi")])
@example([assistant("hi"), user("hi"), assistant("hi")])
def test_each_picks_what_it_says_also_where_messages_are_alike(messages: list[Message]) -> None:
    """Beside a reading of the whole history, which knows where each stands."""
    found = list(parts(messages[::-1]))[::-1]
    asked = [at for at, part in enumerate(found) if part.begins]
    answers = [at for at, part in enumerate(found) if asked and at > asked[0] and not part.begins]
    latest = answers[-1:]

    def expected(places: list[int], *, failures: bool = True) -> list[Message]:
        picked = (found[at] if failures else without(found[at], prompts._failed) for at in sorted({*places}))
        return joined(spelled(part for part in picked if part is not None))

    ends = [*asked[:1], *asked[-1:]]
    assert build_prompt(messages, "minimal") == expected([*asked[:1], *latest])
    assert build_prompt(messages, "hierarchical") == expected([*asked[:1], *latest])
    assert build_prompt(messages, "task_focused") == expected([*ends, *latest], failures=False)
    behind = [at for at in asked if latest and at < latest[0]][-1:]
    plain = build_prompt(messages, "tool_focused")
    for message in plain:
        for block in message["content"]:
            if block.get("toolResult", {}).get("status") == "error":
                assert block["toolResult"]["content"].pop(0) == text(FAILED)
    assert plain == expected([*asked[-1:], *latest, *behind])


# ---------------------------------------------------------------------------------------------------- each strategy


def test_minimal() -> None:
    assert build_prompt(TALK, "minimal") == [user("first"), *TALK[-2:]]
    assert build_prompt(TALK[:-3], "minimal") == [user("first"), assistant("three")]
    # calls that were not answered are left out, and a message that is nothing else
    assert build_prompt(TALK[:-1], "minimal") == [user("first"), assistant("looking")]
    assert build_prompt([*TALK, assistant(use("c"))], "minimal") == [user("first"), *TALK[-2:]]
    assert build_prompt(TALK[:1], "minimal") == TALK[:1]


def test_task_focused() -> None:
    asked = user("first", "third")
    assert build_prompt(TALK, "task_focused") == [asked, assistant("looking", use("a")), user(result("a"))]
    # in the order in which it was said
    assert build_prompt(TALK[:-2], "task_focused") == [user("first"), assistant("three"), user("third")]
    assert build_prompt([*TALK, user("fourth")], "task_focused") == [
        user("first"),
        assistant("looking", use("a")),
        user(result("a"), "fourth"),
    ]
    assert build_prompt(TALK[:2], "task_focused") == TALK[:2], "the first is the latest"
    failed = [user("go"), assistant(use("b")), user(FAILS)]
    assert build_prompt(failed, "task_focused") == [user("go")]


def test_tool_focused() -> None:
    failed = {"toolResult": {**FAILS["toolResult"], "content": [text(FAILED), text("no such file")]}}
    answered = [TALK[-2], user(result("a"), failed)]
    assert build_prompt(TALK, "tool_focused") == [user("third"), *answered]
    # a conversation does not begin with an answer
    wanted = [user("third"), answered[0], user(result("a"), failed, "fourth")]
    assert build_prompt([*TALK, user("fourth")], "tool_focused") == wanted
    assert build_prompt(TALK[:1], "tool_focused") == TALK[:1]


def test_conversation() -> None:
    assert build_prompt(TALK, max_turns=1) == TALK[6:]
    assert build_prompt(TALK, max_turns=2) == TALK[2:]
    assert build_prompt(TALK) == build_prompt(TALK, "conversation", max_turns=None) == TALK
    long = [message for i in range(30) for message in (user(str(i)), assistant("ok"))]
    assert build_prompt(long) == long[-20:]


def test_hierarchical() -> None:
    history = Watched(TALK, ["of the parent", " ", "of ten segments"])
    openings = [opening(told) for told in ("of the parent", "of ten segments")]
    assert build_prompt(history, "hierarchical") == [*openings[0], *openings[1], *build_prompt(TALK, "minimal")]
    assert build_prompt(Watched([], ["a summary"]), "hierarchical") == []
    # the oldest are dropped first
    room = taken([*openings[1], *build_prompt(TALK, "minimal")])
    assert build_prompt(history, "hierarchical", max_tokens=room)[:2] == openings[1]
    assert build_prompt(history, "hierarchical", max_tokens=room - 1) == build_prompt(TALK, "minimal")


@pytest.mark.parametrize("strategy", NAMES)
@pytest.mark.parametrize("history", [[], [assistant("hi")], [user(" ")], [user(result("a"))]])
def test_where_no_user_says_anything_there_is_no_prompt(history: list[Message], strategy: Name) -> None:
    assert build_prompt(history, strategy, max_tokens=1) == []


# --------------------------------------------------------------------------------------------------- those of others


def test_a_strategy_is_a_function_whose_pick_becomes_a_conversation() -> None:
    def last_three(history: History) -> Iterator[Message]:
        found = [message for message, _ in zip(history.newest(), range(3))]
        yield from reversed(found)

    assert build_prompt(TALK, last_three) == TALK[-3:]
    assert build_prompt(TALK[:-2], last_three) == [user("third")], "results without their uses, and an answer, led"
    assert build_prompt(TALK, lambda history: [user("x"), user("y")]) == [user("x", "y")]
    assert build_prompt(TALK, prompts.minimal) == build_prompt(TALK, "minimal")
    with pytest.raises(PromptError):
        build_prompt(TALK, lambda history: [user("x " * 50)], max_tokens=9)


def test_a_strategy_can_not_change_the_history() -> None:
    def hostile(history: History) -> list[Message]:
        found = [*history.newest(), *history.oldest()]
        for message in found:
            message["content"].append(text("mine"))
            message["content"][0].clear()
        return found

    before = copy.deepcopy(TALK)
    build_prompt(TALK, hostile)
    assert before == TALK


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (None, "strategy 'odd' gives must be messages, oldest first, not NoneType"),
        ("hi", "must be messages, oldest first, not str"),
        (user("hi"), "must be messages, oldest first, not dict"),
        ([user("hi"), {"role": "system", "content": []}], r"gives, \[1\]\['role'\] must be 'user' or 'assistant'"),
    ],
)
def test_what_a_strategy_gives_that_is_no_message_is_an_error(given: Any, told: str) -> None:
    def odd(history: History) -> Any:
        return given

    with pytest.raises(ValueError, match=told):
        build_prompt(TALK, odd)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"strategy": "maximal"}, "strategy must be one of minimal, task_focused, .* got 'maximal'"),
        ({"strategy": None}, "got None"),
        ({"max_tokens": 0}, "max_tokens must be a whole number from 1 on, or None, got 0"),
        ({"max_tokens": True}, "got True"),
        ({"max_turns": 1.5}, "max_turns must be a whole number from 1 on, or None, got 1.5"),
        ({"history": "hi"}, "history must be a list of messages"),
        ({"history": user("hi")}, "it is a dict"),
        ({"history": [user("hi"), "hi"]}, r"history\[1\] must be a dict with role and content, not str"),
    ],
)
def test_wrong_arguments_are_named(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        build_prompt(**{"history": TALK, **given})


# -------------------------------------------------------------------------------------------------------------- fitting


def test_what_can_not_fit_names_both_numbers() -> None:
    said = user("word " * 1000)
    with pytest.raises(PromptError, match=rf"takes about {taken([said]):,} tokens, more than max_tokens=50;") as caught:
        build_prompt([*TALK, said], max_tokens=50)
    assert isinstance(caught.value, StoreError) and isinstance(caught.value, ValueError)
    assert build_prompt([*TALK, said], max_tokens=taken([said])) == [said]


def test_of_a_turn_that_is_too_long_the_latest_calls_are_kept() -> None:
    turn = [user("go")]
    for i in range(50):
        turn += [assistant(use(f"{i}")), user(result(f"{i}", "word " * 20))]
    prompt = build_prompt([user("before"), assistant("yes"), *turn], max_tokens=200)
    assert prompt[0] == user("go") and prompt[1:] == turn[-len(prompt) + 1 :]
    assert len(prompt) > 4 and taken(prompt) <= 200 < taken([*prompt, *turn[-2:]])


def test_an_image_is_never_shared_or_cut() -> None:
    history = [user("see", IMAGE)]
    prompt = build_prompt(history)
    assert prompt == history and prompt[0]["content"][1] is not IMAGE


# ------------------------------------------------------------------------------------------------------- what is read


LONG = [
    message for i in range(2500) for message in (user(f"{i}"), assistant(use("a")), user(result("a")), assistant("ok"))
]


@pytest.mark.parametrize(
    ("strategy", "newest", "oldest"),
    [
        ("minimal", 1, 1),
        ("hierarchical", 1, 1),
        ("task_focused", 4, 1),
        ("tool_focused", 4, 0),
        ("conversation", 40, 0),
    ],
)
def test_of_ten_thousand_messages_only_what_is_needed_is_read(strategy: Name, newest: int, oldest: int) -> None:
    history = Watched(LONG)
    build_prompt(history, strategy)
    assert (history.read_newest, history.read_oldest) == (newest, oldest)


def test_a_conversation_reads_no_more_than_fits() -> None:
    history = Watched(LONG)
    prompt = build_prompt(history, max_turns=None, max_tokens=100)
    assert len(prompt) <= history.read_newest <= len(prompt) + 5
