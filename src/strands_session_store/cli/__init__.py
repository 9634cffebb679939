"""Sessions in a terminal: a face over `Sessions`, and agents to talk to. Needs the extra ``cli``."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_LONELY = "strands.types.exceptions"


def main() -> None:
    """Entry point ``strands-session``."""
    try:
        _strands_later()
        try:
            from .app import run
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in ("typer", "rich"):
                raise
            sys.exit(
                "strands-session needs Typer and Rich; install them with: pip install 'strands-session-store[cli]'"
            )
        run()
    except KeyboardInterrupt:  # before or behind a command
        sys.exit(130)


def _strands_later() -> None:
    """Load the one module of Strands that our errors need, by itself: importing it as usual runs all of Strands, which
    is half of what this program takes to start, and only `chat` and `demo` need the rest. These import it as usual."""
    found = importlib.util.find_spec("strands")
    if _LONELY in sys.modules or found is None or not found.submodule_search_locations:
        return
    path = Path(found.submodule_search_locations[0], *_LONELY.split(".")[1:]).with_suffix(".py")
    spec = importlib.util.spec_from_file_location(_LONELY, path)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules[_LONELY] = module
    try:
        spec.loader.exec_module(module)
    except (ImportError, OSError):  # of a version that has it elsewhere, or in which it needs others
        del sys.modules[_LONELY]
