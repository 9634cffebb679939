"""When a segment of a conversation ends, and where it is cut. Pure.

A turn is a message of the user that is no tool's result, with all that is said up to the next such (`turns`). A segment
is so many whole turns; what came before them stands at its beginning as a summary, its opening.

Rule 1. It ends after a whole turn: the answer was given, no tool is being waited for.
Rule 2. It ends before the next turn would pass its tokens. How large that will be is not known: as large as the largest
        of the segment is allowed for, and an eighth of the limit at least. Once the user has spoken that much is known,
        and an eighth is allowed for the answer. So what a model is given stays below the limit, as long as no answer,
        with all its tools, takes more than an eighth of it.
Rule 3. What is counted is all that was said in the segment, also what a conversation manager has taken out of the
        context: the summary has to stand for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, get_args

from .summaries import Style
from .turns import begins_turn

MAX_TOKENS: Final = 64_000
"""Half of 128,000, the smallest window among today's larger models: estimates are rather too low (`tokens`, rule 4),
and beside the messages there are a system prompt, tools, and the answer."""
SUMMARY: Final = 1 / 8
"""What of a segment its opening may take, at most."""
KEPT: Final = 1 / 4
"""What the turns may take that are kept, at most."""
ROOM: Final = 1 / 8
"""What is allowed for the next turn, at least."""
LEAST: Final = 1_000
"""Tokens of the smallest segment: less has no room for a summary, a question and an answer."""


@dataclass(frozen=True, slots=True)
class SegmentAfter:
    """When an agent's segment ends, and how it is summarized.

    Attributes:
        max_tokens: What a segment may take, with its opening; estimated (`tokens`). None: any number. 1,000 at least.
        max_turns: How many turns it may have. None: any number.
        summarize: Who writes the summary: a callable that is given a `summaries.Summarize` and returns a text, or an
            awaitable of one; a Strands agent, or model; "extractive": sentences out of what was said, without a model.
            None: for a session manager the agent's own model, elsewhere "extractive".
        style: Of the summary; see `summaries.Style`.
        query: What a summary of style "query_focused" is about; None: what the user asked last.
        keep_turns: How many of the last turns are also in the next segment as they were said, as far as they take no
            more than a quarter of max_tokens.
    """

    max_tokens: int | None = MAX_TOKENS
    max_turns: int | None = None
    summarize: Any = None
    style: Style = "basic"
    query: str | None = None
    keep_turns: int = 1

    def __post_init__(self) -> None:
        _check("max_tokens", self.max_tokens, LEAST)
        _check("max_turns", self.max_turns, 1)
        if self.max_tokens is None and self.max_turns is None:
            raise ValueError("max_tokens and max_turns are both None, so no segment would ever end; give one of them")
        if isinstance(self.summarize, str) and self.summarize != "extractive":
            raise ValueError(
                f'summarize must be "extractive", a callable, a Strands agent or model, or None, got {self.summarize!r}'
            )
        if self.style not in get_args(Style):
            raise ValueError(f"style must be one of {', '.join(get_args(Style))}, got {self.style!r}")
        query: object = self.query
        if query is not None and not (isinstance(query, str) and query.strip()):
            raise ValueError(f"query must be a text, or None, got {query!r}")
        if query is not None and self.style != "query_focused":
            raise ValueError(f"query is for style='query_focused', and style is {self.style!r}; leave one of them out")
        _check("keep_turns", self.keep_turns, 0, optional=False)
        if self.max_turns is not None and self.keep_turns >= self.max_turns:
            raise ValueError(
                f"keep_turns is {self.keep_turns}; it must be less than max_turns, {self.max_turns}: "
                "give keep_turns=0, or more turns"
            )

    @classmethod
    def of(cls, given: SegmentAfter | int, name: str = "segment_after") -> SegmentAfter:
        """What an option of this name means: a number is that of tokens."""
        if isinstance(given, cls):
            return given
        if isinstance(given, bool) or not isinstance(given, int):
            raise ValueError(f"{name} must be a number of tokens, or SegmentAfter(...), got {given!r:.80}")
        return cls(given)

    @property
    def summary_tokens(self) -> int:
        """What the summary may take."""
        return int((self.max_tokens or MAX_TOKENS) * SUMMARY)

    def due(self, size: Size, coming: int | None = None) -> bool:
        """Whether a segment of this size ends now.

        Args:
            size: With all turns so far.
            coming: Tokens of what the user says next; None: that is not known yet.
        """
        if not size.turns:
            return False
        if self.max_turns is not None and len(size.turns) >= self.max_turns:
            return True
        return self.max_tokens is not None and size.tokens + self._room(size, coming) > self.max_tokens

    def kept(self, size: Size) -> int:
        """How many of its last turns the next one goes on with; at least one is not among them."""
        most = (self.max_tokens or MAX_TOKENS) * KEPT
        sums = accumulate(reversed(size.turns[-self.keep_turns :] if self.keep_turns else ()))
        return min(sum(1 for taken in sums if taken <= most), max(len(size.turns) - 1, 0))

    def _room(self, size: Size, coming: int | None) -> float:
        least = (self.max_tokens or 0) * ROOM
        return max(*size.turns, least) if coming is None else coming + least


@dataclass(frozen=True, slots=True)
class Size:
    """Of a segment, in tokens."""

    opening: int
    turns: tuple[int, ...]
    """Of each turn."""

    @property
    def tokens(self) -> int:
        return self.opening + sum(self.turns)

    def with_turns(self, said: Iterable[tuple[Mapping[str, Any], int]]) -> Size:
        """With what was said since: messages, each with its tokens."""
        turns = [*self.turns]
        for message, taken in said:
            if not turns or begins_turn(message):
                turns.append(0)
            turns[-1] += taken
        return Size(self.opening, tuple(turns))


def _check(name: str, value: object, least: int, *, optional: bool = True) -> None:
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number from {least:,} on, got {value!r}")
