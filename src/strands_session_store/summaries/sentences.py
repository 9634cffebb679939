"""Sentences and terms of a text in any language, and a text cut at the end of one.

Rule 1. No list of words and no dictionary: what is written tells where a sentence ends, and counting, which words
        matter.
Rule 2. Linear in the text, whatever stands in it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from .. import tokens

MARK: Final = "…"
"""Stands where something was left out."""
LONG: Final = 400
"""Characters of a sentence that an extract quotes: what is longer is code, a table, or a script without full stops."""

# A full stop ends a sentence where a blank follows; those of Chinese and Japanese do anyway.
_CLOSING: Final = "\"')\\]\u2019\u201d\xbb\u300d\u300f\uff09"
_ENDS: Final = re.compile(
    f"(?<=[.!?\u2026\u0964\u0965\u0589\u1362\u061f\u06d4])[{_CLOSING}]*(?=\\s)|(?<=[\u3002\uff01\uff1f\uff61])[{_CLOSING}]*"
)
_QUESTION: Final = re.compile(f"[?\u037e\u055e\u061f\u1367\uff1f][{_CLOSING}]*$")
_WORDS: Final = re.compile(
    "[^\\s\x00-/:-@\\[-`{-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf\u060c\u061b\u061f\u06d4\u0964\u0965"
    "\u2000-\u206f\u3000-\u303f\uff00-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]+"
)
# Scripts that are written without blanks: two neighbouring characters are a term there.
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text in order, each as it stands there. A line's end ends one. What has no words is passed
    over, and a single word joins what follows it in its line: "1." or "Dr." is no sentence."""
    for line in text.splitlines():
        begin = 0
        for end in [*(found.end() for found in _ENDS.finditer(line)), len(line)]:
            words = len(_WORDS.findall(line, begin, end))
            if words != 1 or end == len(line) or _UNSPACED.search(line, begin, end):
                if words:
                    yield line[begin:end].strip()
                begin = end


def asks(sentence: str) -> bool:
    """Whether it is written as a question."""
    return _QUESTION.search(sentence) is not None


def terms(text: str) -> list[str]:
    """The terms of a text, in order: its words in lower case, and pairs of characters where there are no blanks."""
    found: list[str] = []
    for word in _WORDS.findall(text.casefold()):
        if word.isascii() or not _UNSPACED.search(word):
            found.append(word)
            continue
        found += filter(None, _UNSPACED.split(word))
        for run in _UNSPACED.findall(word):
            found += [run[i : i + 2] for i in range(max(len(run) - 1, 1))]
    return found


def shortened(sentence: str, most: int = LONG) -> str:
    """The sentence, or as many characters of it, to the end of a word, and the mark."""
    return sentence if len(sentence) <= most else _ended(sentence, most)


def clipped(text: str, max_tokens: int) -> str:
    """As much of a text as so many tokens hold: to the end of a sentence, or else of a word, and a mark.

    The text as it is where it fits. Empty where not even the mark does.
    """
    if tokens.count(text)[0] <= max_tokens:
        return text
    fits, over = 0, min(len(text), max(max_tokens, 1))
    while over < len(text) and _fits(text[:over], max_tokens):  # few tokens are longer: so the rest is not read
        fits, over = over, min(2 * over, len(text))
    while over - fits > 1:
        middle = (fits + over) // 2
        fits, over = (middle, over) if _fits(text[:middle], max_tokens) else (fits, middle)
    while fits:
        ends = [found.end() for found in _ENDS.finditer(text, 0, fits)]
        if ends and ends[-1] > fits // 2 and _fits(cut := f"{text[: ends[-1]].rstrip()} ", max_tokens):
            return cut + MARK
        if _fits(cut := _ended(text, fits)[: -len(MARK)], max_tokens):
            return cut + MARK
        fits = fits * 9 // 10  # a cut elsewhere can make a token more
    return MARK if _fits("", max_tokens) else ""


def _fits(text: str, max_tokens: int) -> bool:
    return tokens.count(text + MARK)[0] <= max_tokens


def _ended(text: str, most: int) -> str:
    """As many characters, to the end of a word where that is not far, never before a combining mark; and the mark."""
    kept = text[:most]
    if not text[most : most + 1].isspace():
        blank = next((i for i in range(len(kept) - 1, max(most - 40, 0), -1) if kept[i].isspace()), None)
        if blank is not None:
            kept = kept[:blank]
        else:
            while kept and _joins(text[len(kept) : len(kept) + 1]) and most - len(kept) < 40:
                kept = kept[:-1]
    kept = kept.rstrip()
    return f"{kept} {MARK}" if text[len(kept) : len(kept) + 1].isspace() else kept + MARK


def _joins(character: str) -> bool:
    return character == "\u200d" or unicodedata.category(character or " ").startswith("M")
