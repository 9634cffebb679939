"""Reading dicts and JSON that others wrote, so that nothing is overlooked. Pure.

Law: a field that nobody took can not be held. What is missing or of another type is an error that names the place.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar, overload

from ..errors import FormatError
from .conversion import Losses

T = TypeVar("T")
D = TypeVar("D")
_NAMES: dict[type, str] = {
    str: "a text",
    bytes: "bytes",
    bool: "true or false",
    int: "a whole number",
    dict: "a dict",
    Mapping: "a dict",
}


class Fields:
    """The fields of a dict, each taken once. Null says the same as absence. As a context: what is left is lost."""

    def __init__(self, value: object, place: str, losses: Losses) -> None:
        self._left = {k: v for k, v in mapping(value, place).items() if v is not None}
        self.place, self.losses = place, losses

    def __enter__(self) -> Fields:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            for name in self._left:
                self.lose(name, "there is nothing for it")

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def __iter__(self) -> Iterator[str]:
        """The names of those not taken yet."""
        return iter(tuple(self._left))

    def lose(self, name: str, why: str, *, kept: bool = False) -> None:
        self.losses.add(f"{self.place}.{name}", why, kept=kept)

    def ignore(self, *names: str) -> None:
        """Not said in the message, but about it (Rule 1 of `conversion`)."""
        for name in names:
            self._left.pop(name, None)

    def any(self, name: str) -> Any:
        """A value of any type; None: there is none."""
        return self._left.pop(name, None)

    @overload
    def take(self, name: str, kind: type[T]) -> T: ...
    @overload
    def take(self, name: str, kind: type[T], default: D) -> T | D: ...
    def take(self, name: str, kind: type[T], default: object = ...) -> object:
        """A value of that type.

        Raises:
            FormatError: It is of another type; or absent, and there is no default.
        """
        value = self._left.pop(name, None)
        if value is not None:
            return typed(value, kind, f"{self.place}.{name}")
        if default is ...:
            raise FormatError(f"{self.place}.{name} is missing")
        return default

    def inner(self, name: str) -> Fields:
        """The fields of a dict that must be there."""
        return Fields(self.take(name, Mapping), f"{self.place}.{name}", self.losses)  # type: ignore[type-abstract]

    def items(self, name: str) -> list[tuple[str, Any]]:
        """What is in a list, with the place of each; absent: nothing."""
        return listed(self._left.pop(name, ()), f"{self.place}.{name}")


def typed(value: object, kind: type[T], place: str) -> T:
    """The value, which must be of that type.

    Raises:
        FormatError: It is not.
    """
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise FormatError(f"{place} must be {_NAMES.get(kind, kind.__name__)}, not {type(value).__name__}")
    return value


def mapping(value: object, place: str) -> Mapping[str, Any]:
    return typed(value, Mapping, place)  # type: ignore[type-abstract]


def text(value: object, place: str) -> str:
    return typed(value, str, place)


def listed(value: object, place: str) -> list[tuple[str, Any]]:
    """What is in a list, with the place of each.

    Raises:
        FormatError: It is no list.
    """
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise FormatError(f"{place} must be a list, not {type(value).__name__}")
    return [(f"{place}[{i}]", item) for i, item in enumerate(value)]


def rest(value: Mapping[str, Any], known: Collection[str], place: str, losses: Losses) -> None:
    """What is not known of a dict is lost, where it says anything."""
    for key in value:
        if key not in known and value[key] is not None:
            losses.add(f"{place}.{key}", "there is nothing for it")


# ---------------------------------------------------------------------------------------------------------------- JSON


def is_json(value: object) -> bool:
    """Whether JSON says exactly this: no bytes, no tuple, no key that is no text, no NaN."""
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (TypeError, ValueError, RecursionError):
        return False


def json_as_text(value: object, place: str, losses: Losses) -> str | None:
    """JSON of a result, as the text of one. None: JSON can not say it, and it is lost."""
    if not is_json(value):
        losses.add(place, "JSON can not say it")
        return None
    losses.add(place, "that it is JSON; it is said as text", kept=True)
    return json.dumps(value, ensure_ascii=False)


def tool_input(value: object, place: str, losses: Losses) -> dict[str, Any]:
    """The input of a call. What is no JSON object is lost; the call stays, since its result does."""
    if isinstance(value, dict) and is_json(value):
        return value
    losses.add(place, f"it must be a JSON object, not {type(value).__name__}; an empty one stands for it")
    return {}


def json_object(said: str) -> dict[str, Any]:
    """The object in a JSON text; a text that is blank has none, and is an empty one.

    Raises:
        ValueError: It is no JSON, no object, or says a name twice.
    """
    if not said.strip():
        return {}
    try:
        value = json.loads(said, object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON ({error})") from None
    if not isinstance(value, dict):
        raise ValueError(f"it is no JSON object ({type(value).__name__})")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(out := dict(pairs)) < len(pairs):
        raise ValueError("a name is there twice")
    return out


def _refuse(constant: str) -> Any:
    raise ValueError(constant)
