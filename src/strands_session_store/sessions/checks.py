"""Arguments of the service, checked before anything is read or written. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from .. import ids
from ..errors import Unserializable
from .shapes import MAX_PAGE

MAX_TITLE: Final = 255
MAX_DESCRIPTION: Final = 1_000
MAX_INSTRUCTIONS: Final = 100_000
"""Characters."""
MAX_REASON: Final = 500


class Unset(enum.Enum):
    """Stands for an argument that was not given, where None means "none"."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET

LIMITS: Final = {
    "title": MAX_TITLE,
    "description": MAX_DESCRIPTION,
    "agent_name": MAX_TITLE,
    "agent_instructions": MAX_INSTRUCTIONS,
    "username": MAX_TITLE,
    "email": 320,
    "first_name": MAX_TITLE,
    "last_name": MAX_TITLE,
    "reason": MAX_REASON,
    "parent": MAX_TITLE,
    "name": MAX_TITLE,
    "tool_use_id": MAX_TITLE,
}


def text(argument: str, value: object) -> None:
    """A text, or None, that is no longer than its limit.

    Raises:
        ValueError: It is not.
    """
    if value is None or value is UNSET:
        return
    if not isinstance(value, str):
        raise ValueError(f"{argument} must be a text or None, not {type(value).__name__}")
    if len(value) > LIMITS[argument]:
        raise ValueError(f"{argument} has {len(value):,} characters, the limit is {LIMITS[argument]:,}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{argument} holds a lone surrogate at position {error.start}; remove it") from None


def words(argument: str, value: object, *, empty: bool = False) -> str:
    """A text, of any length."""
    if not isinstance(value, str) or not (value or empty):
        raise ValueError(f"{argument} must be a text{'' if empty else ' that is not empty'}, got {value!r:.80}")
    return value


def flag(argument: str, value: object) -> None:
    if value is not UNSET and not isinstance(value, bool):
        raise ValueError(f"{argument} must be True or False, got {value!r}")


def revision(argument: str, value: object) -> None:
    """An `Overview.revision`, or None. Whether there ever was such a one only the store knows."""
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{argument} must be the revision of an Overview, a text, or None; got {value!r:.80}")


def kind(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 64 or not value.isprintable():
        raise ValueError(f"kind must be a word of 1 to 64 printable characters, got {value!r}")
    return value


def limit(value: object, most: int = MAX_PAGE) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ValueError(f"limit must be 1 to {most:,}, got {value!r}")
    return value


def mapping(argument: str, value: object) -> None:
    """A dict or the like whose keys are texts."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{argument} must be a dict whose keys are texts, got {value!r:.80}")
    for key in value:
        if not isinstance(key, str) or not key:
            raise ValueError(f"a key of {argument} must be a text that is not empty, got {key!r:.80}")


def one_of(argument: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{argument} must be one of {', '.join(known)}; got {value!r}")


def index(argument: str, value: object) -> None:
    """A number that is not negative, or None."""
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise ValueError(f"{argument} must be a whole number from 0 on, or None, got {value!r}")


def seconds(argument: str, value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 10**10:
        raise ValueError(f"{argument} must be a number of seconds above 0 and below 10,000,000,000, got {value!r}")
    return float(value)


def moment(argument: str, value: object) -> None:
    """A Unix time, or None."""
    if value is not None and (not isinstance(value, int | float) or isinstance(value, bool) or value != value):
        raise ValueError(f"{argument} must be a Unix time in seconds, as time.time() has it, or None; got {value!r}")


def owner(user_id: str | None) -> str | None:
    return None if user_id is None else ids.check("user_id", user_id)


def refuse(place: str, kind: str) -> None:
    """For `codec`: what can not be kept is an error."""
    raise Unserializable(
        f"{place} is a {kind}, which can not be stored; use JSON values, bytes, tuples, sets, dates, Decimal or UUID"
    )
