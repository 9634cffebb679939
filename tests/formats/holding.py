"""What every conversion promises, of any conversation."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.formats.conversations import Message, lost_without_a_word, said
from tests.formats.planted import containers, texts

from strands_session_store.errors import FormatError
from strands_session_store.formats.conversion import Converted, Restored


def check(to: Callable[..., Converted], back: Callable[..., Restored], messages: list[Message]) -> list[Message]:
    """That nothing is lost without a word, what is held comes back equal, and what was handed over is as it was.

    Returns:
        What of the conversation the dialect can hold.
    """
    before = copy.deepcopy(messages)
    converted = to(messages, strict=False)
    found = texts(converted.messages)
    found_in = "\n".join(text for text in found if isinstance(text, str))

    def is_there(value: str | bytes) -> bool:
        said = value if isinstance(value, str) else value.decode(errors="replace")
        # OpenAI's signatures are an id and encrypted content there
        parts = said.split(":", 1) if said.startswith("rs_") else [said]
        return value in found or all(part in found_in for part in parts)

    assert lost_without_a_word(messages, is_there, converted.lost) == []

    held = back(converted.messages, strict=False)
    assert messages == before
    assert not containers(messages) & containers(converted.messages)
    assert not containers(converted.messages) & containers(held.messages)
    # where a message is left out, its neighbours are joined; an image at an address has a format that is guessed
    assert converted.lost or all(loss.kept and loss.why.startswith("which format it has") for loss in held.lost)
    assert roles_alternate(held.messages)

    listed(to, messages)
    if not converted.lost:
        assert held.messages == said(messages)
    again = to(held.messages)  # strictly
    assert back(again.messages).messages == held.messages
    return held.messages


def listed(convert: Callable[..., Any], messages: Any, **options: Any) -> list[str]:
    """The places that are listed, with ~ before what is kept in another form; and only what is missing is refused."""
    converted = convert(messages, strict=False, **options)
    missing = tuple(loss for loss in converted.lost if not loss.kept)
    if missing:
        with pytest.raises(FormatError) as error:
            convert(messages, **options)
        assert error.value.lost == missing
        assert all(str(loss) in str(error.value) for loss in missing[:5])
    else:
        assert convert(messages, **options) == converted
    return ["~" * loss.kept + loss.place for loss in converted.lost]


def below(prefix: str, place: str) -> str:
    return "~" * place.startswith("~") + prefix + place.removeprefix("~")


def roles_alternate(messages: list[Message]) -> bool:
    return all(a["role"] != b["role"] for a, b in itertools.pairwise(messages))


def as_json(value: Any) -> Any:
    """As it arrives over the network."""
    return json.loads(json.dumps(value))
