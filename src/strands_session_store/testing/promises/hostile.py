"""Ids and names that an engine may confuse: with each other, with its own keys, with a path or a pattern."""

from typing import Final

HOSTILE: Final = (
    *("a", "ab", "abc", "b", "A", "aB", "a:b", "a/b", "a/b/c", "a\\b", "a b", " a", "a ", "a.b", "a-b", "a_b", "a!b"),
    *(
        "*",
        "a*",
        "a?",
        "[a]",
        "a[b]",
        "{a}",
        "a}",
        "%",
        "a%",
        "a%b",
        "_",
        "a_",
        "%61",
        "!61",
        "a!3ab",
        "a%3Ab",
        "a%2Fb",
    ),
    *(".", "..", "...", "./a", "../a", "a/..", "a/../b", "/", "/a", "a/", "-", "--", "!2d", "~", "~a", "con", "nul"),
    *(
        "head.json",
        "a.json",
        "lock",
        "None",
        "null",
        "0",
        "00",
        "1",
        "-1",
        "1e3",
        "'",
        '"',
        "';--",
        "${a}",
        "$a",
        "<a>",
    ),
    *("\u00e9", "e\u0301", "\u00c9", "\u00df", "ss", "SS", "\u0131", "\u0130", "\ufb01", "fi", "\u212a", "K", "k"),
    *("\u4f1a\u8bdd", "\u4f1a", "\U0001f600", "\U0001f600\U0001f600", "\u200d", "\u202ea", "a\u00a0b", "\ufeffa"),
    *("a" * 180, "a" * 179, "a" * 179 + "b", "A" * 60, "\u4f1a" * 20),
)
"""All legal, all different; prefixes of each other, twins of case and of normal form, and as long as may be."""
