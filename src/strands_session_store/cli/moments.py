"""Points in time as they are typed. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Final

_AGO: Final = re.compile(r"(\d{1,6})([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")


def moment(text: str, now: float, *, end: bool = False) -> float:
    """Unix time of a day, a time (local, where it has no zone), or so long ago: ``30m``, ``12h``, ``7d``.

    Args:
        text: What was typed.
        now: Unix time.
        end: Whether a day stands for its end instead of its beginning.

    Raises:
        ValueError: It is none; says what would do.
    """
    if (match := _AGO.fullmatch(text)) is not None:
        return now - timedelta(**{_UNITS[match[2]]: int(match[1])}).total_seconds()
    try:
        found = datetime.fromisoformat(text.removesuffix("Z") + ("+00:00" if text.endswith("Z") else ""))
        if end and _DAY.fullmatch(text):
            found += timedelta(days=1)
        return found.timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"{text!r:.80} is no time; write 2026-11-20, 2026-11-20T09:30, or 30m, 12h, 7d for ago"
        ) from None


def day(text: str, now: float) -> str:
    """The UTC day of it: of a day itself.

    Raises:
        ValueError
    """
    at = moment(text, now)
    return text if _DAY.fullmatch(text) else datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%d")
