"""What both sides of shapes are made of: ids, texts, an application's JSON."""

from __future__ import annotations

import math
import re
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

from ...sessions.checks import MAX_DESCRIPTION, MAX_INSTRUCTIONS, MAX_TITLE

MAX_ID: Final = 255
MAX_DEPTH: Final = 50
"""Of JSON that is an application's."""
MAX_PAGE_SIZE: Final = 1000
MAX_PAGE_NUMBER: Final = 1_000_000

NO_CONTROL: Final = r"^[^\x00-\x1f\x7f-\x9f]+$"
ID_NOTE: Final = (
    "Any text without control characters. It is kept in up to 180 bytes, of which a lowercase letter, digit, '-' or "
    "'_' takes one and any other byte three."
)
Id: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_ID, pattern=NO_CONTROL, description=ID_NOTE)]
Name: TypeAlias = Annotated[str, Field(max_length=MAX_TITLE)]
Description: TypeAlias = Annotated[str, Field(max_length=MAX_DESCRIPTION)]
Instructions: TypeAlias = Annotated[str, Field(max_length=MAX_INSTRUCTIONS)]
Kind: TypeAlias = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]
Role: TypeAlias = Literal["user", "assistant", "system", "tool"]


def _written(value: Any) -> Any:
    """A number would be taken for seconds since 1970."""
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d", value) is None:
        raise ValueError("a time is written as 2026-11-01T12:00:00Z")
    return value


def _day(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value) is None:
        raise ValueError("a day is written as 2026-11-01")
    return value


Day: TypeAlias = Annotated[date, BeforeValidator(_day)]
Moment: TypeAlias = Annotated[datetime, BeforeValidator(_written)]
"""Of a query. Without a zone it is in UTC; a day is its beginning."""


def _json(value: Any) -> Any:
    """
    Raises:
        ValueError: It is nested too deep for what walks it by recursion, or could not be answered as JSON.
    """
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                below += [*one, *one.values()]
            elif isinstance(one, list):
                below += one
            elif isinstance(one, float) and not math.isfinite(one):
                raise ValueError("it holds NaN or an infinite number, which JSON has not")
            elif isinstance(one, str) and not one.isascii():
                _check_text(one)
        if not below:
            return value
        level = below
    raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"it holds a text with a lone surrogate at position {error.start}") from None


AnyJson: TypeAlias = Annotated[Any, AfterValidator(_json)]
Json: TypeAlias = Annotated[
    dict[Annotated[str, Field(min_length=1)], Any],
    AfterValidator(_json),
    Field(description=f"Yours: any JSON, nested up to {MAX_DEPTH} levels."),
]
