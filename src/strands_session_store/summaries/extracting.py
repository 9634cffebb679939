"""A summary of the conversation's own sentences, without a model. Deterministic, and linear in what was said.

Rule 1. Nothing is invented: a line is a label and a sentence as it was said, cut and marked where it is long.
Rule 2. No list of words that don't count, so no language is at an advantage. A term weighs what tf-idf says, with its
        frequency damped: (1 + log tf) * log((N + 1) / df) over N sentences. What stands in most sentences weighs next
        to nothing, in any language; so does what was said once among much.
Rule 3. A sentence scores the mean weight of its terms, where few count as `FEW`: none wins by being short.
Rule 4. The summary before has half of what may be taken, and what the new messages leave of the other half. It stands
        for all that was said before, they for one stretch of it: so what is old fades by no more than half each time,
        and is never dropped whole. Where it is too long, its lines are chosen by the same score.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from .. import tokens
from ..turns import whole_turns
from .asking import outcome
from .base import Summarize, blocks, one_line, said, shown
from .sentences import MARK, asks, clipped, sentences, shortened, terms

FEW: Final = 8
"""Terms."""
TOPICS: Final = 6
"""Groups of a summary by topic."""
MISSES: Final = 50
"""Sentences in a row that don't fit any more, after which no other is tried."""

Kind = Literal["user", "question", "answer", "tool", "said", "shown"]


class Item(NamedTuple):
    """A sentence that may be quoted."""

    kind: Kind
    """A ``question`` is a user's; an ``answer`` is of the last message of a turn; ``shown`` is the name of an image or
    document."""
    label: str
    text: str
    turn: int
    terms: frozenset[str]

    @property
    def line(self) -> str:
        return f"{self.label}: {shortened(self.text)}"


def extractive(to: Summarize) -> str:
    """A summary in sentences that were said, each behind a label that tells by whom.

    ``basic``: those that score best, the first and the last ones before others. ``key_points``: a list; first of each
    turn what the user asked and what scores best of the rest, what tools gave, and what scores best of the answer.
    ``topic_based``: grouped under terms that are frequent in few turns. ``query_focused``: those that share terms with
    the query before others. In each the sentences stand in their order, and others where there is room.

    Returns:
        At most ``to.max_tokens``; never empty: `MARK` where nothing was said in words.
    """
    items = _items(to.messages)
    previous = (to.previous or "").strip()
    before = [line for line in previous.splitlines() if line.strip()]
    old = [frozenset(terms(line)) for line in before]
    weights = _weights([*(item.terms for item in items), *old])
    scores = [_score(item.terms, weights) for item in items]
    takes = tokens.count(previous)[0] + 1 if before else 0
    share = max(to.max_tokens - takes, to.max_tokens // 2)
    new = _new(to, items, scores, weights, share)
    if not before:
        return new or MARK
    left = to.max_tokens - (tokens.count(new)[0] + 1 if new else 0)
    if takes - 1 > left:
        previous = _condensed(before, old, [_score(of, weights) for of in old], left)
    return clipped(f"{previous}\n{new}" if new else previous, to.max_tokens)


# ------------------------------------------------------------------------------------------------- what may be quoted


def _items(messages: Sequence[Mapping[str, Any]]) -> list[Item]:
    """Every sentence once, where it was said first."""
    found: dict[tuple[str, str], Item] = {}
    for at, turn in enumerate(whole_turns(messages)):
        names: dict[Any, str] = {}
        last = max((i for i, message in enumerate(turn) if message.get("role") == "assistant"), default=-1)
        for i, message in enumerate(turn):
            user = message.get("role") == "user"
            label = "User" if user else "Assistant"
            for block in blocks(message):
                for text in said(block):
                    for sentence in sentences(text):
                        kind: Kind = "question" if asks(sentence) else "user"
                        _add(found, kind if user else "answer" if i == last else "said", label, sentence, at)
                for name in shown(block):
                    found.setdefault((label, name), Item("shown", label, name, at, frozenset()))
                use, result = block.get("toolUse"), block.get("toolResult")
                if isinstance(use, Mapping):
                    names[str(use.get("toolUseId"))] = one_line(use.get("name"))
                if isinstance(result, Mapping):
                    name = f"Tool {names.get(str(result.get('toolUseId')), '')}".rstrip()
                    failed = " failed" if result.get("status") == "error" else ""
                    for sentence in sentences(outcome(block)):
                        if _add(found, "tool", name + failed, sentence, at):
                            break  # what it begins with says what came of it
    return list(found.values())


def _add(found: dict[tuple[str, str], Item], kind: Kind, label: str, sentence: str, turn: int) -> bool:
    """Whether it has terms; then it is among them."""
    its = frozenset(terms(shortened(sentence)))
    if its:
        found.setdefault((label, sentence), Item(kind, label, sentence, turn, its))
    return bool(its)


def _weights(said: Sequence[Iterable[str]]) -> dict[str, float]:
    """What each term weighs (Rule 2). A sentence has few terms twice: in how many it stands is its frequency."""
    counts = Counter(term for of in said for term in of)
    return {term: (1 + math.log(n)) * math.log((len(said) + 1) / n) for term, n in counts.items()}


def _score(of: frozenset[str], weights: Mapping[str, float]) -> float:
    # fsum is exact, so the order of a set, which is another in every process, makes no difference
    return math.fsum(weights[term] for term in of) / max(len(of), FEW)


# ------------------------------------------------------------------------------------------------------------- styles


def _new(to: Summarize, items: Sequence[Item], scores: Sequence[float], weights: Mapping[str, float], room: int) -> str:
    """The summary of what is new."""
    if to.style == "topic_based":
        groups = _topics(items, weights)
        first = _first(items, lambda i: (groups[i] is None, items[i].kind == "shown", -scores[i]))
        return _text(items, first, room, "- ", groups)
    if to.style == "key_points":
        last = items[-1].turn if items else 0
        best = _best(items, scores, "user") | _best(items, scores, "answer")
        points = {i for i, item in enumerate(items) if item.kind in ("question", "tool") or i in best}
        first = _first(items, lambda i: (i not in points, items[i].turn not in (0, last), -scores[i]))
        return _text(items, first, room, "- ")
    if to.style == "query_focused":
        query = set(terms(to.asked))
        counts = Counter(term for item in items for term in item.terms & query)
        shared = [math.fsum(math.log((len(items) + 1) / counts[t]) for t in item.terms & query) for item in items]
        first = _first(items, lambda i: (-shared[i], -scores[i]))
        return _text(items, first, room)
    ends = _ends(items)
    first = _first(items, lambda i: (i not in ends, items[i].kind == "shown", -scores[i]))
    return _text(items, first, room)


def _first(items: Sequence[Item], key: Any) -> list[int]:
    return sorted(range(len(items)), key=key)


def _ends(items: Sequence[Item]) -> set[int]:
    """What a user said first and last, and the begin and end of the last answer."""
    users = [i for i, item in enumerate(items) if item.kind in ("user", "question")]
    answers = [i for i, item in enumerate(items) if item.kind == "answer" and item.turn == items[-1].turn]
    return {*users[:1], *users[-1:], *answers[:1], *answers[-1:]}


def _best(items: Sequence[Item], scores: Sequence[float], kind: Kind) -> set[int]:
    """The best sentence of the kind in each turn."""
    best: dict[int, int] = {}
    for i, item in enumerate(items):
        if item.kind == kind and (item.turn not in best or scores[i] > scores[best[item.turn]]):
            best[item.turn] = i
    return set(best.values())


def _topics(items: Sequence[Item], weights: Mapping[str, float]) -> list[str | None]:
    """The topic of each item; None: it has none.

    Topics are terms that stand in several sentences of few turns. Words that serve the grammar are spread over all
    turns as chance has it, those of a subject come together: residual idf (Church and Gale), the idf of a term less the
    one that chance would give it, tells them apart in any language. Where there are few turns, so does their length:
    what is used most is short (Zipf). It is taken in bytes, which makes two characters of Chinese a word.
    """
    count = 1 + max((item.turn for item in items), default=0)
    counts = Counter(term for item in items for term in item.terms)
    spread = Counter(term for _, term in {(item.turn, term) for item in items for term in item.terms})

    def clumped(term: str) -> float:
        chance = -math.log(-math.expm1(-counts[term] / count))
        length = math.log(len(term.encode("utf-8", "replace")))
        return (math.log(count / spread[term]) - chance) * weights[term] * length

    several = [term for term, n in counts.items() if n > 1 and len(term) > 1 and not term.isdigit()]
    rank = {term: i for i, term in enumerate(sorted(several, key=lambda term: (-clumped(term), term))[:TOPICS])}
    return [min(item.terms & rank.keys(), key=rank.__getitem__, default=None) for item in items]


# ----------------------------------------------------------------------------------------------------------- what fits


def _text(
    items: Sequence[Item], first: Sequence[int], room: int, mark: str = "", groups: Sequence[str | None] | None = None
) -> str:
    """As many lines as there is room for, those of ``first`` before others, in the order of the conversation."""
    chosen: list[int] = []
    opened: set[str | None] = set()
    left, missed = room, 0
    for i in first:
        takes = tokens.count(mark + items[i].line)[0] + 1  # the line's end
        if groups is not None and groups[i] not in opened:
            takes += tokens.count(_heading(groups[i]))[0] + 1
        if takes <= left:
            left, missed = left - takes, 0
            chosen.append(i)
            if groups is not None:
                opened.add(groups[i])
        elif (missed := missed + 1) == MISSES:
            break
    if not chosen:
        return clipped(mark + items[first[0]].line, room) if first else ""
    return clipped(_arranged(items, chosen, mark, groups), room)  # lines can take more together than one by one


def _arranged(items: Sequence[Item], chosen: Iterable[int], mark: str, groups: Sequence[str | None] | None) -> str:
    lines: dict[str | None, list[str]] = {}
    for i in sorted(chosen):
        group = None if groups is None else groups[i]
        lines.setdefault(group, [] if groups is None else [_heading(group)]).append(mark + items[i].line)
    return "\n".join(line for group in lines.values() for line in group)


def _heading(group: str | None) -> str:
    return f"# {MARK if group is None else group}"


def _condensed(lines: Sequence[str], said: Sequence[frozenset[str]], scores: Sequence[float], room: int) -> str:
    """The best lines of the summary before, in their order; a heading stays where a line below it does."""
    heading: dict[int, int] = {}
    at: int | None = None
    for i, line in enumerate(lines):
        if line.startswith("# "):
            at = i
        elif at is not None:
            heading[i] = at
    headings = set(heading.values())
    worded = [i for i in range(len(lines)) if said[i] and i not in headings]
    chosen: set[int] = set()
    left, missed = room, 0
    for i in sorted(worded, key=lambda i: -scores[i]):
        new = {i, heading.get(i, i)} - chosen
        takes = sum(tokens.count(lines[j])[0] + 1 for j in new)
        if takes <= left:
            left, missed = left - takes, 0
            chosen |= new
        elif (missed := missed + 1) == MISSES:
            break
    return clipped("\n".join(lines[i] for i in sorted(chosen) or worded or range(len(lines))), room)
