"""A prompt out of a history: what a strategy picks, as a valid conversation that takes no more tokens than it may.

Pure.

Rule 1. A strategy picks, and need not care what that looks like: a conversation is made of it here, as of a history
        that was cut, removed from or written by several (`turns`). So roles alternate, pairs of tool use and result are
        whole, and the first message is a user's. The last is that of what was picked, of either role.
Rule 2. What does not fit is left out by the whole turn, the oldest first; of the latest turn by the whole answer with
        its tool results, again the oldest first. What a user said last is always there. No message is ever cut.
Rule 3. A history is read as far as a strategy needs it. Nothing of it is changed, or shared with the prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from typing import Any, Final, Literal, Protocol, TypeAlias, cast, get_args

from . import tokens
from .errors import PromptError
from .messages import Message, same
from .summaries import opening
from .turns import Block, Part, checked, joined, parts, spelled, turns, without

MAX_TURNS: Final = 10
FAILED: Final = "[This tool call failed.]"


class History(Protocol):
    """What was said, to be read from either end."""

    def newest(self) -> Iterator[Message]:
        """The messages in Strands' terms, newest first, read as far as they are asked for."""

    def oldest(self) -> Iterator[Message]:
        """The same, oldest first."""

    def summaries(self) -> Iterable[str]:
        """Of what came before, oldest first; empty: there are none."""


Strategy: TypeAlias = Callable[[History], Iterable[Message]]
"""Picks of a history what a prompt is to hold, oldest first."""
Name: TypeAlias = Literal["minimal", "task_focused", "tool_focused", "conversation", "hierarchical"]


def build_prompt(
    history: History | Sequence[Mapping[str, Any]],
    strategy: Strategy | Name = "conversation",
    *,
    max_tokens: int | None = None,
    model: str | None = None,
    max_turns: int | None = MAX_TURNS,
) -> list[Message]:
    """The part of a history that a model is to see.

    Args:
        history: Messages in Strands' terms, oldest first, or what reads them.
        strategy: A function, or the name of one of this module.
        max_tokens: How many the prompt may take, as estimated (`tokens.count`); None: any number.
        model: Its id, for that estimate.
        max_turns: Of the strategy "conversation".

    Returns:
        Messages whose roles alternate, beginning with a user's. Empty where no user has said anything.

    Raises:
        PromptError: What the user said last alone takes more tokens than that.
        ValueError: An argument is out of its range, or what the history or the strategy gives are no messages.
    """
    _check_number("max_tokens", max_tokens)
    _check_number("max_turns", max_turns)
    if model is not None and not isinstance(model, str):
        raise ValueError(f"model must be the id of one, or None, got {model!r:.80}")
    pick = _strategy(strategy, {"max_turns": max_turns, "max_tokens": max_tokens, "model": model})
    picked = _messages(strategy, pick(_history(history)))
    found = turns(reversed(picked))
    if max_tokens is not None and found:
        found = _fitting(found, max_tokens, model)
    return joined(spelled(part for turn in found for part in turn))


# --------------------------------------------------------------------------------------------------------- strategies


def minimal(history: History) -> list[Message]:
    """The first thing a user said, and the latest message of the assistant with its tool results."""
    return spelled(_picked(history, latest=False))


def task_focused(history: History) -> list[Message]:
    """The first and the latest thing a user said, and the latest message of the assistant with those of its tool calls
    that succeeded."""
    picked = (without(part, _failed) for part in _picked(history, latest=True))
    return spelled(part for part in picked if part is not None)


def tool_focused(history: History) -> list[Message]:
    """The latest thing a user said, and the latest message of the assistant with all its tool results. A text in those
    of calls that failed says so, as some providers are not told their status.

    Where nothing was answered since, the message comes behind what it was the answer to.
    """
    since, answer, before = _latest(history)
    asked = next(before, None) if answer is not None else None
    picked = spelled(part for part in (asked, answer, *since[:1]) if part is not None)
    return [{**message, "content": [*map(_marked, message["content"])]} for message in picked]


def conversation(
    history: History, *, max_turns: int | None = MAX_TURNS, max_tokens: int | None = None, model: str | None = None
) -> list[Message]:
    """The latest ``max_turns`` turns (None: all), whole; none more once they pass ``max_tokens``."""
    found: list[Part] = []
    begun = spent = 0
    for part in parts(history.newest()):
        found.append(part)
        spent += 0 if max_tokens is None else _tokens(part, model)
        begun += part.begins
        if part.begins and (begun == max_turns or (max_tokens is not None and spent > max_tokens)):
            break
    return spelled(reversed(found))


def hierarchical(history: History) -> list[Message]:
    """The summaries of what came before, oldest first, each as the answer to a user who asks for it; then what
    `minimal` gives. Nothing where that gives nothing."""
    said = minimal(history)
    told = [message for summary in history.summaries() if summary.strip() for message in opening(summary)]
    return [*told, *said] if said else []


def _check_number(name: str, value: object) -> None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise ValueError(f"{name} must be a whole number from 1 on, or None, got {value!r}")


def _messages(strategy: object, given: object) -> list[Message]:
    """What a strategy gave, copied."""
    what = f"what the strategy {getattr(strategy, '__name__', strategy)!r:.80} gives"
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise ValueError(f"{what} must be messages, oldest first, not {type(given).__name__}")
    return [checked(f"{what}, [{i}]", message) for i, message in enumerate(given)]


def _strategy(strategy: object, options: Mapping[str, Any]) -> Strategy:
    if callable(strategy):
        return strategy
    if not isinstance(strategy, str) or strategy not in get_args(Name):
        known = ", ".join(get_args(Name))
        raise ValueError(f"strategy must be one of {known}, or a function of a history; got {strategy!r:.80}")
    return partial(conversation, **options) if strategy == "conversation" else _NAMED[strategy]


_NAMED: Final[Mapping[str, Strategy]] = {
    "minimal": minimal,
    "task_focused": task_focused,
    "tool_focused": tool_focused,
    "hierarchical": hierarchical,
}


def _latest(history: History) -> tuple[list[Part], Part | None, Iterator[Part]]:
    """What users said since the latest answer, newest first; that answer (None: there is none); and what they said
    before it, newest first."""
    since: list[Part] = []
    walk = parts(history.newest())
    for part in walk:
        if not part.begins:
            return since, part, (one for one in walk if one.begins)
        since.append(part)
    return since, None, iter(())


def _first(history: History) -> tuple[Part | None, bool]:
    """The first thing a user said, and whether there are messages before it."""
    for at, message in enumerate(history.oldest()):
        for part in parts([message]):
            if part.begins:
                return part, at > 0
    return None, False


def _picked(history: History, *, latest: bool) -> list[Part]:
    """The first thing a user said, the latest answer, and maybe the latest thing a user said, in their order.

    A history does not tell where a message stands. Only where the two a user said look the same, or something else was
    said first, is it read one turn further, to know.
    """
    since, answer, before = _latest(history)
    first, early = _first(history)
    if first is None:
        return []
    asked: list[Part] = []
    if answer is not None and early:
        asked = [*islice(before, 1)]
        if not asked:  # it is one of those
            answer = None
    words = None
    if latest:
        said = chain(since, asked, before)
        words = next(said, None)
        if words is not None and same(words.message, first.message) and next(said, None) is None:
            words = None
    picked = [first, answer, words] if since else [first, words, answer]
    return [part for part in picked if part is not None]


def _failed(result: Mapping[str, Any]) -> bool:
    return result.get("status") == "error"


def _marked(block: Block) -> Block:
    result = block.get("toolResult")
    if not isinstance(result, Mapping) or not _failed(result):
        return block
    return {**block, "toolResult": {**result, "content": [{"text": FAILED}, *(result.get("content") or ())]}}


# ------------------------------------------------------------------------------------------------------------- fitting


def _fitting(found: list[list[Part]], max_tokens: int, model: str | None) -> list[list[Part]]:
    """As much of the turns as may be, from the end (rule 2)."""
    words, *answers = found[-1]
    takes = _tokens(words, model)
    if takes > max_tokens:
        raise PromptError(
            f"the latest user message takes about {takes:,} tokens, more than max_tokens={max_tokens:,}; no message is "
            "cut, so raise it"
        )
    room = max_tokens - takes
    kept = _while_it_fits(([answer] for answer in reversed(answers)), room, model)
    latest = [words, *(answer for (answer,) in kept)]
    room -= sum(_tokens(answer, model) for answer in answers)
    return [*_while_it_fits(reversed(found[:-1]), room, model), latest]


def _while_it_fits(newest: Iterable[list[Part]], room: int, model: str | None) -> list[list[Part]]:
    """Of the groups, newest first, those before the first that does not fit, oldest first."""
    kept: list[list[Part]] = []
    for group in newest:
        room -= sum(_tokens(part, model) for part in group)
        if room < 0:
            break
        kept.append(group)
    return kept[::-1]


def _tokens(part: Part, model: str | None) -> int:
    """Also those of its results."""
    return sum(tokens.count({"content": one.content}, model)[0] for one in (part, *part.results))


# ------------------------------------------------------------------------------------------------------------- lists


class _Listed:
    """A list as a history. Gives copies, so that no strategy can change what it was handed over."""

    def __init__(self, messages: Sequence[Mapping[str, Any]]) -> None:
        self._messages = messages

    def newest(self) -> Iterator[Message]:
        return (self._at(i) for i in range(len(self._messages) - 1, -1, -1))

    def oldest(self) -> Iterator[Message]:
        return map(self._at, range(len(self._messages)))

    def summaries(self) -> Iterable[str]:
        return ()

    def _at(self, i: int) -> Message:
        return checked(f"history[{i}]", self._messages[i])


def _history(history: History | Sequence[Mapping[str, Any]]) -> History:
    if all(callable(getattr(history, name, None)) for name in ("newest", "oldest", "summaries")):
        return cast(History, history)
    if isinstance(history, Sequence) and not isinstance(history, str | bytes):
        return _Listed(history)
    raise ValueError(
        "history must be a list of messages, or have newest(), oldest() and summaries(); "
        f"it is a {type(history).__name__}"
    )
