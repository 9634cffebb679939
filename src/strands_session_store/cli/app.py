"""The program: its groups of commands, and how it ends.

Rule 1. It ends with 0 when what was asked is done, 1 for an error of the store or a finding that is not good, 2 for
        arguments that can not be, 130 for Ctrl-C. What may be repeated behind that says so.
Rule 2. Errors are one line on stderr, never a traceback; credentials in URLs are hidden.
Rule 3. What a command takes is said in a module that imports nothing heavy, what it does is imported when it is called:
        so help and the shell's completion come at once.
Rule 4. Environment variables are read in `options`.
"""

from __future__ import annotations

import io
import os
import re
import sys
from typing import Any, Final

import typer
from typer.core import TyperGroup

from ..errors import StoreError
from ..stores import DEFAULT, redact
from . import archiving, changing, checking, erasing, looking, serving, talking
from .terminal import complain

GROUPS = (talking, looking, checking, changing, erasing, archiving, serving)
"""Modules whose ``commands`` are those of the program, in the order in which help shows them."""


_URL: Final = re.compile(r"[a-z0-9+]+://[^\s'\")]+", re.IGNORECASE)


class _Commands(TyperGroup):
    """A reader who goes away, as ``| head`` does, is no error; wrong usage is told without passwords."""

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except BrokenPipeError:  # engines and models translate theirs, so it is of what is written here
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except Exception as error:
            # what was typed in the wrong place may be a URL with a password
            if isinstance(message := getattr(error, "message", None), str):
                vars(error)["message"] = _URL.sub(lambda found: redact(found[0]), message)
            raise


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=f"Sessions of Strands agents. Kept in {DEFAULT}, unless --store or STRANDS_SESSION_STORE names another.",
)
for group in GROUPS:
    app.add_typer(group.commands)


def run() -> None:
    """Run the command that the arguments name, and end the process."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may know less than stored texts
    try:
        app()
    except StoreError as error:
        complain(str(error))
        sys.exit(1)
    except ValueError as error:  # an argument that the service refuses; it names it
        complain(str(error))
        sys.exit(2)
