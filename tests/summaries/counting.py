"""Two ways in which tokens are counted: by characters, and by an encoding in which texts take more together."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import tiktoken
from tiktoken import registry

from strands_session_store import tokens

HOWS = ["characters", "glue"]
# a line's end takes the first letter of a label away from the token that the label is by itself
_MERGES = [b"\nU", b"\nA", b"\nT", b"\n-", b"\n#", b"Us", b"er", b"User", b"As", b"si", b"st", b"Assi", b"- ", b"# "]


@functools.cache
def _glue() -> tiktoken.Encoding:
    ranks = {bytes([n]): n for n in range(256)} | {merge: 256 + i for i, merge in enumerate(_MERGES)}
    return tiktoken.Encoding("glue", pat_str=r"[\s\S]+", mergeable_ranks=ranks, special_tokens={})


@contextmanager
def counting(how: str) -> Iterator[None]:
    """How `tokens.count` counts where no model is told."""
    known = registry.ENCODINGS.pop(tokens.DEFAULT_ENCODING, None)
    if how == "glue":
        registry.ENCODINGS[tokens.DEFAULT_ENCODING] = _glue()
    tokens._encoding.cache_clear()
    try:
        assert tokens.count("User")[0] == 1
        yield
    finally:
        registry.ENCODINGS.pop(tokens.DEFAULT_ENCODING, None)
        if known is not None:
            registry.ENCODINGS[tokens.DEFAULT_ENCODING] = known
        tokens._encoding.cache_clear()
