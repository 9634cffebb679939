"""Tokens of a text or a message, estimated here, where no provider has told them.

Rule 1. By tiktoken's encoding for the model, else by its encoding for today's models, else characters / 4.
Rule 2. Never from the network: an encoding whose vocabulary is not at hand (loaded, in tiktoken's cache, or brought by
        an installed plugin) is not used; the log says so once a process.
Rule 3. Never fails, and takes a bounded time: a text is cut into pieces, and a long one is extrapolated.
Rule 4. Texts, reasoning, and tool uses and results (as JSON) count. Images, documents and videos count nothing: what
        they take depends on the provider and on their size in pixels or pages. Nor does what a provider puts around a
        message. So an estimate is rather too low.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, Final

from . import codec

if TYPE_CHECKING:
    import tiktoken

logger = logging.getLogger(__name__)

DEFAULT_ENCODING: Final = "o200k_base"
"""Of OpenAI's models since GPT-4o; for other providers' it is nearer than characters / 4."""
CHARACTERS: Final = "characters/4"
PIECE: Final = 4_000
"""Characters that are encoded at once. A run without blanks takes older versions of tiktoken its square in time, and a
million blanks the newest one its stack. A cut makes at most one token more."""
SAMPLE: Final = 256_000
"""Characters of a text that are encoded, which takes up to 0.1 s; a longer one counts in proportion."""


def count(what: str | Mapping[str, Any], model: str | None = None) -> tuple[int, str]:
    """About how many tokens a text or a message takes.

    Args:
        what: A text, or a message in Strands' terms.
        model: Its id; None: unknown.

    Returns:
        The tokens, and how they were found: the name of the encoding, or `CHARACTERS`.
    """
    texts = [what] if isinstance(what, str) else list(_texts(what))
    try:
        encoding = _encoding_for(model)
        if encoding is not None:
            return sum(_encoded(encoding, text) for text in texts), encoding.name
    except Exception as error:  # somebody else's plugin, a damaged vocabulary: an estimate is never worth a message
        logger.debug("tokens are estimated by their characters: %s: %s", type(error).__name__, error)
    return sum(math.ceil(len(text) / 4) for text in texts), CHARACTERS


# --------------------------------------------------------------------------------------------------------- what counts


def _texts(message: Mapping[str, Any]) -> Iterator[str]:
    content = message.get("content")
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for block in content:
            if isinstance(block, Mapping):
                yield from _block(block)


def _block(block: Mapping[str, Any]) -> Iterator[str]:
    for name, value in block.items():
        if isinstance(value, str) and name == "text":
            yield value
        elif not isinstance(value, Mapping):
            continue
        elif name == "toolUse":
            yield _json({key: value.get(key) for key in ("name", "input")})
        elif name in ("toolResult", "citationsContent"):
            yield from _items(value.get("content"))
        elif name == "reasoningContent" or name == "guardContent":
            inner = value.get("reasoningText", value.get("text"))
            if isinstance(inner, Mapping) and isinstance(text := inner.get("text"), str):
                yield text


def _items(items: Any) -> Iterator[str]:
    for item in items if isinstance(items, list) else ():
        if isinstance(item, Mapping):
            if isinstance(text := item.get("text"), str):
                yield text
            elif "json" in item:
                yield _json(item["json"])


def _json(value: Any) -> str:
    return codec.encode(value).decode()


# ----------------------------------------------------------------------------------------------------------- encodings


def _encoded(encoding: tiktoken.Encoding, text: str) -> int:
    sample = text[:SAMPLE]
    found = sum(len(encoding.encode_ordinary(sample[at : at + PIECE])) for at in range(0, len(sample), PIECE))
    return found if len(text) <= SAMPLE else math.ceil(found * len(text) / SAMPLE)


def _encoding_for(model: str | None) -> tiktoken.Encoding | None:
    name = _named(model) or DEFAULT_ENCODING
    return _encoding(name) or _encoding(DEFAULT_ENCODING)


@functools.lru_cache(maxsize=256)
def _named(model: str | None) -> str | None:
    """The name of the model's encoding, where tiktoken knows it."""
    try:
        from tiktoken.model import encoding_name_for_model
    except ImportError:
        return None
    try:
        # as routers spell it: openai/gpt-4o
        return encoding_name_for_model((model or "").rsplit("/", 1)[-1])
    except KeyError:
        return None


@functools.cache
def _encoding(name: str) -> tiktoken.Encoding | None:
    """The encoding, if its vocabulary is at hand. Kept for the process, as tiktoken keeps those it has loaded; so is
    that there is none, and the log says so once."""
    remedy = f'python -c "import tiktoken; tiktoken.get_encoding({name!r})"'
    try:
        from tiktoken import registry
    except ImportError as error:
        why, remedy = f"tiktoken is not installed ({error})", "pip install 'strands-session-store[tokens]'"
    else:
        if (found := registry.ENCODINGS.get(name)) is not None:
            return found
        try:
            registry.list_encoding_names()  # has tiktoken look for its plugins
            made = (registry.ENCODING_CONSTRUCTORS or {}).get(name)
            if made is None:
                why = "no installed version or plugin of tiktoken has it"
            elif missing := [url for url, digests in _sources(made) if not _cached(url, digests)]:
                why = f"tiktoken's cache does not have {missing[0]}, which is not downloaded here"
            else:
                return registry.get_encoding(name)
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
    logger.warning(
        "encoding=<%s> | tokens of messages whose model reports none are estimated without it: %s; to have it, run "
        "once where the network is (TIKTOKEN_CACHE_DIR says where it is kept): %s",
        *(name, why, remedy),
    )
    return None


def _sources(made: Callable[[], Any]) -> Iterator[tuple[str, frozenset[str]]]:
    """The addresses an encoding is loaded from, each with the digests that its file may have. They stand as constants
    in what makes it, or in what that calls; a plugin that has none brings its vocabulary along."""
    seen: set[int] = set()
    todo: list[Any] = [made]
    while todo:
        function = todo.pop()
        if not isinstance(function, FunctionType) or id(function) in seen or "tiktoken.load" in function.__module__:
            continue
        seen.add(id(function))
        texts = {text for text in _constants(function.__code__) if isinstance(text, str)}
        digests = frozenset(text for text in texts if len(text) == 64)
        yield from ((url, digests) for url in texts if "://" in url)
        todo += [function.__globals__.get(name) for name in function.__code__.co_names]


def _constants(code: CodeType) -> Iterator[Any]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _constants(constant)
        elif isinstance(constant, tuple):
            yield from constant
        else:
            yield constant


def _cached(url: str, digests: frozenset[str]) -> bool:
    """Whether tiktoken would find the file, and be content with it: one that is damaged it fetches anew."""
    folder = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if folder == "":  # tiktoken is told to keep none
        return False
    where = Path(folder if folder is not None else Path(tempfile.gettempdir(), "data-gym-cache"))
    try:
        data = (where / hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()).read_bytes()
    except OSError:
        return False
    return not digests or hashlib.sha256(data).hexdigest() in digests
