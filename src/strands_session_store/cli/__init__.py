"""Sessions in a terminal: a face over `Sessions`, and agents to talk to. Needs the extra ``cli``."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point ``strands-session``."""
    try:
        from .app import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("typer", "rich"):
            raise
        sys.exit("strands-session needs Typer and Rich; install them with: pip install 'strands-session-store[cli]'")
    run()
