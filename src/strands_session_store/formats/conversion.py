"""What a conversion gives, and how it says what a dialect can not hold.

Law: nothing is dropped silently. All that does not come back as it was is listed in ``lost``, and is one of two:

missing     Words, bytes, ids or calls that are not there. By default they are refused (FormatError, which lists them);
            with ``strict=False`` they are left out.
kept        It is there, and said otherwise: JSON as text, a text document as a text, at another place; or all that is
            missing is a mark on it: what a file is called, that a tool failed, that a text is a refusal or to be
            guarded, where a cache ends and for how long, how closely to look. It never refuses.

Rule 1. A message's tracking id and its ``metadata.usage`` and ``metadata.metrics`` say something about it, not in it:
        no dialect has them, and they are left out without a word. ``metadata.custom`` is said.
Rule 2. What is handed over is never changed, and shares nothing mutable with what is returned.
Rule 3. What has the wrong shape (a content that is no list, a text that is a number) is a FormatError with its place,
        also with ``strict=False``.
Rule 4. Roles alternate in Strands: messages of one role in a row are joined into one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..errors import FormatError
from ..messages import Message

Messages: TypeAlias = Sequence[Mapping[str, Any]] | Mapping[str, Any]
"""A message, or a list of them."""
System: TypeAlias = str | Sequence[Mapping[str, Any]] | None
"""A system prompt as Strands takes it: a text, or content blocks; an empty one is none."""
Dialect: TypeAlias = dict[str, Any]
"""A message (item, content) of a dialect: what JSON can say, but for the bytes that its Python client takes."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What a dialect can not hold, or not as it was."""

    place: str
    """Where it stood in what was handed over, as ``messages[3].content[1].document``."""
    why: str
    kept: bool = False
    """Whether all that is said is there all the same, in another form."""

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
    """All that does not come back as it was; unless ``strict=False``, only what is kept in another form."""


@dataclass(frozen=True, slots=True)
class Restored:
    """A conversation in Strands' terms."""

    messages: list[Message]
    """Roles alternate as they did; without tracking ids."""
    system: list[dict[str, Any]] = field(default_factory=list)
    """The system prompt as Strands' content blocks (``[{"text": ...}]``); empty: there was none."""
    lost: tuple[Loss, ...] = ()
    """As in `Converted`."""


class Losses:
    """Collects what can not be held."""

    def __init__(self, dialect: str, *, strict: bool) -> None:
        self._dialect, self._strict = dialect, strict
        self._lost: list[Loss] = []

    def add(self, place: str, why: str, *, kept: bool = False) -> None:
        self._lost.append(Loss(place, why, kept))

    def done(self) -> tuple[Loss, ...]:
        """What was listed.

        Raises:
            FormatError: Something is missing, and it was to be refused.
        """
        if self._strict and (missing := [loss for loss in self._lost if not loss.kept]):
            told = "; ".join(map(str, missing[:5])) + (f"; and {len(missing) - 5} more" * (len(missing) > 5))
            raise FormatError(
                f"{self._dialect} can not hold {told}. With strict=False it is left out, and listed", missing
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
