"""What a conversion gives, and how it says what a dialect can not hold.

Law: nothing is dropped silently. By default what can not be held is refused (FormatError, which lists all of it); with
``strict=False`` it is left out and listed in ``lost``.

Rule 1. A message's tracking id and its ``metadata.usage`` and ``metadata.metrics`` say something about it, not in it:
        no dialect has them, and they are left out without a word. ``metadata.custom`` is said.
Rule 2. What is handed over is never changed, and shares nothing mutable with what is returned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..errors import FormatError
from ..messages import Message

Dialect: TypeAlias = dict[str, Any]
"""A message (item, content) of a dialect: what JSON can say, but for the bytes that its Python client takes."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What a dialect can not hold."""

    place: str
    """Where it stood in what was handed over, as ``messages[3].content[1].document``."""
    why: str

    def __str__(self) -> str:
        return f"{self.place}: {self.why}"


@dataclass(frozen=True, slots=True)
class Converted:
    """A conversation in a dialect."""

    messages: list[Dialect]
    """One message of Strands can be several here, and several one."""
    system: Any = None
    """The system prompt, in the form of the dialect, where it stands beside the messages there; None: there is none, or
    it is among them."""
    lost: tuple[Loss, ...] = ()
    """Empty unless ``strict=False``."""


@dataclass(frozen=True, slots=True)
class Restored:
    """A conversation in Strands' terms."""

    messages: list[Message]
    """Roles alternate as they did; without tracking ids."""
    system: list[dict[str, Any]] = field(default_factory=list)
    """The system prompt as Strands' content blocks (``[{"text": ...}]``); empty: there was none."""
    lost: tuple[Loss, ...] = ()
    """Empty unless ``strict=False``."""


class Losses:
    """Collects what can not be held."""

    def __init__(self, dialect: str, *, strict: bool) -> None:
        self._dialect, self._strict = dialect, strict
        self._lost: list[Loss] = []

    def add(self, place: str, why: str) -> None:
        self._lost.append(Loss(place, why))

    def done(self) -> tuple[Loss, ...]:
        """What was lost.

        Raises:
            FormatError: Something was, and it was to be refused.
        """
        if self._lost and self._strict:
            told = "; ".join(map(str, self._lost[:5])) + (f"; and {len(self._lost) - 5} more" * (len(self._lost) > 5))
            raise FormatError(
                f"{self._dialect} can not hold {told}. With strict=False it is left out, and listed", self._lost
            )
        return tuple(self._lost)


def several(messages: object) -> list[Mapping[str, Any]]:
    """The messages, where one may stand for a list of one.

    Raises:
        ValueError: They are none.
    """
    if isinstance(messages, Mapping):
        return [messages]
    if isinstance(messages, str | bytes) or not isinstance(messages, Sequence):
        raise ValueError(f"messages must be a message or a list of them, not {type(messages).__name__}")
    for i, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise ValueError(f"messages[{i}] must be a dict, not {type(message).__name__}")
    return list(messages)
