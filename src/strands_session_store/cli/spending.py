"""`usage`: what model calls took, as tables with a bar a row. Nothing here reads a store."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from ..sessions import UsageReport
from ..usage import Totals
from . import money
from .terminal import PIPED, console, dim, heading, many, plain, short

WIDTH: Final = 30
"""Columns of the longest bar."""
_GAPS: Final = 62
"""Days; in a report that is not longer, days on which nothing was called have a row too."""
_PARTS: Final = " ▏▎▍▌▋▊▉"


def show(report: UsageReport, whose: str) -> None:
    """
    Args:
        report: What is to be shown.
        whose: Of what it is, for the first line.
    """
    total = report.total
    if not total.calls:
        console.print(Text(plain(f"No model calls are counted of {whose}.")))
        return
    console.print(
        Text(plain(f"usage of {whose}: {many(total.calls, 'call')}, {many(report.sessions, 'session')}"), "bold")
    )
    cached = total.cache_read_input_tokens + total.cache_write_input_tokens
    inside = f" (of these {cached:,} from or to a cache)" if cached else ""
    console.print(Text(f"{money.tokens(total)} tokens: {total.input_tokens:,} in{inside}, {total.output_tokens:,} out"))
    console.print(Text.assemble("cost: ", (money.cost(total), "bold")))
    by_cost = total.known_cost > 0
    for name, table in report.by.items():
        _show_table(name, _without_gaps(table) if name == "day" else table, by_cost=by_cost)
    console.print()
    dim(f"bars: {'dollars' if by_cost else 'tokens'}{'; days are UTC' if 'day' in report.by else ''}")
    for note in money.notes(total):
        dim(note)


def as_data(report: UsageReport) -> dict[str, Any]:
    return {
        "total": money.as_data(report.total),
        "sessions": report.sessions,
        "by": {
            name: [{name: key, **money.as_data(totals)} for key, totals in table.items()]
            for name, table in report.by.items()
        },
    }


def bar(share: float, width: int, *, blocks: bool = True) -> str:
    """A bar of that share of a width; what is more than nothing shows. ``blocks``: whether they can be written."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    if share > 0:
        eighths = max(eighths, 1)
    if not blocks:
        return "#" * max(round(eighths / 8), 1 if share > 0 else 0)
    return "█" * (eighths // 8) + (_PARTS[eighths % 8].strip())


# ------------------------------------------------------------------------------------------------------------- private


def _show_table(name: str, rows: Mapping[str | None, Totals], *, by_cost: bool) -> None:
    heading(f"by {name}")
    table = Table(box=None, pad_edge=False, show_header=True, header_style="dim")
    table.add_column(name, overflow="fold")
    for column in ("calls", "tokens", "cost"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("")
    most = max((_measure(totals, by_cost) for totals in rows.values()), default=0)
    # whatever else is in a row, of a narrow terminal; into a pipe they are as at one
    width = min(WIDTH, max(10, console.width - 50)) if console.width < PIPED else WIDTH
    blocks = console.encoding.startswith("utf")
    for key, totals in rows.items():
        share = _measure(totals, by_cost) / most if most else 0.0
        drawn = Text(bar(share, width, blocks=blocks), "green", no_wrap=True)
        label = Text("(no user)", "dim") if key is None else Text(short(key, 80))
        table.add_row(label, f"{totals.calls:,}", money.tokens(totals), money.cost(totals), drawn)
    console.print(table)


def _measure(totals: Totals, by_cost: bool) -> int:
    return totals.known_cost if by_cost else totals.tokens


def _without_gaps(table: Mapping[str | None, Totals]) -> Mapping[str | None, Totals]:
    days = [date.fromisoformat(key) for key in table if key is not None]
    if not days or (days[-1] - days[0]).days >= _GAPS:
        return table
    every = (days[0] + timedelta(days=after) for after in range((days[-1] - days[0]).days + 1))
    return {day.isoformat(): table.get(day.isoformat(), Totals()) for day in every}
