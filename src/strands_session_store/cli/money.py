"""Tokens and dollars, as they are shown: what is not known is never shown as nothing. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ..usage import Totals

UNKNOWN = "unknown"


def dollars(amount: Decimal) -> str:
    """``$12.35``, ``$0.0123``, ``$0.0000375``: cents, or below a dollar three digits that say something."""
    if amount == 0:
        return "$0"
    exponent = -2 if amount >= 1 else min(-2, amount.adjusted() - 2)
    return f"${amount.quantize(Decimal(1).scaleb(exponent)):,f}"


def cost(totals: Totals) -> str:
    """``$0.0123``, or with ``+ ?`` behind it where some calls have no known price; ``unknown`` where none has; ``-``
    where nothing was called."""
    if not totals.calls:
        return "-"
    if totals.unpriced == totals.calls:
        return UNKNOWN
    return dollars(totals.known_dollars) + (" + ?" if totals.unpriced else "")


def tokens(totals: Totals) -> str:
    """All of them; ``~`` where some were estimated; ``-`` where nothing was called."""
    return f"{'~' if totals.estimated else ''}{totals.tokens:,}" if totals.calls else "-"


def notes(totals: Totals) -> list[str]:
    """What the marks mean, where there are any."""
    out = []
    if totals.estimated:
        out.append(
            f"~ tokens of {totals.estimated:,} of {totals.calls:,} calls are estimates: their models reported none"
        )
    if totals.unpriced:
        whose = (
            "no call's price is known"
            if totals.unpriced == totals.calls
            else (f"the price of {totals.unpriced:,} of {totals.calls:,} calls is not known")
        )
        out.append(f"? {whose}; see docs/usage.md for prices of your own")
    return out


def as_data(totals: Totals) -> dict[str, Any]:
    """For ``--json``. Money is a text, in dollars, exact; None where the price of a call is not known."""
    return {
        "input_tokens": totals.input_tokens,
        "output_tokens": totals.output_tokens,
        "cache_read_input_tokens": totals.cache_read_input_tokens,
        "cache_write_input_tokens": totals.cache_write_input_tokens,
        "calls": totals.calls,
        "estimated_calls": totals.estimated,
        "unpriced_calls": totals.unpriced,
        "cost": None if totals.dollars is None else f"{totals.dollars.normalize():f}",
        "known_cost": f"{totals.known_dollars.normalize():f}",
    }
