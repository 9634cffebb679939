"""Tokens are estimated by the best means at hand, in bounded time, without the network, and without ever failing."""

from __future__ import annotations

import base64
import hashlib
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st
from tiktoken import registry

from strands_session_store import tokens

URL = "https://vocabularies.invalid/tiny.tiktoken"
VOCABULARY = b"".join(base64.b64encode(bytes([n])) + b" %d\n" % n for n in range(256))

PLUGIN = f"""
from tiktoken.load import load_tiktoken_bpe

def base():
    return load_tiktoken_bpe({URL!r}, expected_hash={hashlib.sha256(VOCABULARY).hexdigest()!r})

def tiny():
    return {{"name": "tiny", "pat_str": r"\\S+|\\s+", "mergeable_ranks": base(), "special_tokens": {{}}}}

def carried():
    ranks = {{bytes([n]): n for n in range(256)}}
    return {{"name": "carried", "pat_str": r"\\S+|\\s+", "mergeable_ranks": ranks, "special_tokens": {{}}}}

ENCODING_CONSTRUCTORS = {{"tiny": tiny, "carried": carried}}
"""

OFFLINE = """
import logging, sys
from strands_session_store import tokens

def deny(event, args):
    if event.startswith("socket."):
        print("NETWORK", event)
        raise OSError(event)

sys.addaudithook(deny)
logging.basicConfig(stream=sys.stdout, format="LOG %(message)s")
tokens.DEFAULT_ENCODING = sys.argv[1]
for _ in range(3):
    print("COUNT", *tokens.count("12345678", "a model"))
"""


def offline(tmp_path: Path, name: str, *, cache: str | None = None) -> str:
    """What a process says that counts with this default encoding, beside a plugin of tiktoken's."""
    plugins = tmp_path / "plugins" / "tiktoken_ext"
    plugins.mkdir(parents=True, exist_ok=True)
    (plugins / "mine.py").write_text(PLUGIN)
    environment = {
        "PYTHONPATH": ":".join([str(plugins.parent), *sys.path]),
        "TIKTOKEN_CACHE_DIR": str(tmp_path / "cache") if cache is None else cache,
    }
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, name], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def cached(tmp_path: Path, data: bytes) -> Path:
    (tmp_path / "cache").mkdir()
    file = tmp_path / "cache" / hashlib.sha1(URL.encode()).hexdigest()
    file.write_bytes(data)
    return file


@pytest.mark.parametrize("name", ["o200k_base", "o200k_harmony", "gpt2", "tiny", "no such encoding"])
def test_what_would_be_downloaded_is_not_used_and_said_once_with_the_remedy(tmp_path: Path, name: str) -> None:
    said = offline(tmp_path, name)
    assert said.count("COUNT 2 characters/4") == 3
    assert "NETWORK" not in said
    # as a shell reads it
    assert said.count("LOG ") == 1 and f'python -c "import tiktoken; tiktoken.get_encoding({name!r})"' in said


def test_a_vocabulary_in_the_cache_is_used(tmp_path: Path) -> None:
    cached(tmp_path, VOCABULARY)
    assert offline(tmp_path, "tiny") == "COUNT 8 tiny\n" * 3
    assert "characters/4" in offline(tmp_path, "tiny", cache="")  # no cache: it would be fetched each time


def test_a_damaged_vocabulary_in_the_cache_is_neither_used_nor_replaced(tmp_path: Path) -> None:
    file = cached(tmp_path, VOCABULARY[:-1])
    said = offline(tmp_path, "tiny")
    assert "characters/4" in said and "NETWORK" not in said
    assert file.read_bytes() == VOCABULARY[:-1]


def test_a_plugin_that_brings_its_vocabulary_along_is_used(tmp_path: Path) -> None:
    assert offline(tmp_path, "carried") == "COUNT 8 carried\n" * 3


def test_without_tiktoken_characters_count(tmp_path: Path) -> None:
    hidden = "import sys; sys.modules['tiktoken'] = None\n" + OFFLINE
    done = subprocess.run(
        [sys.executable, "-c", hidden, "o200k_base"],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.count("COUNT 2 characters/4") == 3
    assert done.stdout.count("pip install 'strands-session-store[tokens]'") == 1


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The default encoding, loaded: one token a byte, and one for each of a few words."""
    ranks = {bytes([n]): n for n in range(256)} | {word: 256 + n for n, word in enumerate((b"ab", b"abab"))}
    # the pattern of o200k_base, as far as it matters: a run without blanks is one piece
    found = tiktoken.Encoding("o200k_base", pat_str=r"\s+(?!\S)|\S+|\s+", mergeable_ranks=ranks, special_tokens={})
    monkeypatch.setitem(registry.ENCODINGS, "o200k_base", found)
    tokens._encoding.cache_clear()
    yield
    tokens._encoding.cache_clear()


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("model", ["gpt-4o", "openai/gpt-4o", "gpt-5-mini", "claude-sonnet-4-5", "", None])
def test_an_encoding_that_is_loaded_is_used_for_any_model(model: str | None) -> None:
    assert tokens.count("abab xyz", model) == (1 + 1 + 3, "o200k_base")


@pytest.mark.usefixtures("loaded")
def test_the_encoding_of_a_model_that_is_not_at_hand_gives_way_to_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    assert tokens.count("abab", "gpt-4") == (1, "o200k_base")


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(
    "text",
    ["x" * 3_000_000, " " * 3_000_000 + "x", "\n" * 3_000_000, "ab" * 1_500_000, "\ud800" * 100_000, "<|endoftext|>"],
    ids=["run", "blanks", "lines", "words", "surrogates", "special"],
)
def test_a_hostile_text_takes_a_bounded_time(text: str) -> None:
    begun = time.perf_counter()
    found, how = tokens.count(text)
    assert time.perf_counter() - begun < 2 and how == "o200k_base" and found > 0


@pytest.mark.usefixtures("loaded")
def test_a_long_text_counts_in_proportion() -> None:
    assert tokens.count("x" * tokens.SAMPLE * 4) == (tokens.SAMPLE * 4, "o200k_base")
    assert tokens.count("ab" * (tokens.PIECE * 3)) == (tokens.PIECE * 3 // 2, "o200k_base")


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([{"text": "xyz"}, {"text": "x"}], 4),
        ([{"toolUse": {"toolUseId": "long id", "name": "t", "input": {"a": 1}}}], len('{"name":"t","input":{"a":1}}')),
        (
            [{"toolResult": {"toolUseId": "i", "content": [{"text": "xyz"}, {"json": {"k": [1]}}]}}],
            3 + len('{"k":[1]}'),
        ),
        ([{"reasoningContent": {"reasoningText": {"text": "xyz", "signature": "s" * 99}}}], 3),
        ([{"citationsContent": {"content": [{"text": "xyz"}], "citations": [{"title": "t"}]}}], 3),
        ([{"guardContent": {"text": {"text": "xyz", "qualifiers": ["query"]}}}], 3),
        ([{"image": {"format": "png", "source": {"bytes": b"x" * 99}}}, {"text": "x"}], 1),
        ([{"document": {"name": "n", "source": {"bytes": b"x"}}}, {"cachePoint": {"type": "default"}}], 0),
        ([{"toolResult": {"content": [{"image": {"source": {"bytes": b"x" * 99}}}]}}], 0),
        ("xyz", 3),
        (None, 0),
    ],
)
def test_what_counts_of_a_message(content: object, expected: int) -> None:
    assert tokens.count({"role": "assistant", "content": content})[0] == expected


json = st.recursive(
    st.none() | st.integers() | st.text() | st.binary() | st.floats() | st.builds(object),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
blocks = st.dictionaries(
    st.sampled_from(["text", "toolUse", "toolResult", "reasoningContent", "citationsContent", "guardContent", "image"]),
    json | st.dictionaries(st.sampled_from(["content", "text", "reasoningText", "name", "input", "json"]), json),
)


@settings(deadline=None)  # the first one loads tiktoken
@given(st.dictionaries(st.sampled_from(["role", "content"]), json | st.lists(blocks, max_size=3)))
def test_no_message_is_too_odd_to_be_counted(message: dict[str, object]) -> None:
    found, how = tokens.count(message, "gpt-4o")
    assert found >= 0 and how


def test_what_a_plugin_raises_is_no_error_of_the_message(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> dict[str, object]:
        raise RuntimeError("broken")

    registry.list_encoding_names()
    monkeypatch.setitem(registry.ENCODING_CONSTRUCTORS, "o200k_base", broken)  # type: ignore[arg-type]
    monkeypatch.delitem(registry.ENCODINGS, "o200k_base", raising=False)
    tokens._encoding.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert tokens.count("12345", "gpt-4o") == (2, "characters/4")
    tokens._encoding.cache_clear()
    assert "RuntimeError: broken" in caplog.text
