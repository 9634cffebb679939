"""What docs/costs.md states, for the tests that count it."""

from __future__ import annotations

from pathlib import Path

DOCUMENT = Path(__file__).parents[1] / "docs" / "costs.md"


def stated(head: str) -> dict[str, list[str]]:
    """The rows of the table whose first column has this name."""
    table = DOCUMENT.read_text().split(f"\n| {head} |")[1].split("\n\n")[0]
    rows = (line.strip().strip("|").split("|") for line in table.splitlines()[2:])
    return {name.strip(): [cell.strip() for cell in cells] for name, *cells in rows}
