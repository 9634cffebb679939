"""What several commands take, and how they come to the service."""

from __future__ import annotations

import enum
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import StoreError

if TYPE_CHECKING:
    from ..sessions import Sessions

TIMEOUT = "STRANDS_SESSION_TIMEOUT"

StoreOption = Annotated[
    str | None,
    typer.Option("--store", metavar="URL", envvar="STRANDS_SESSION_STORE", help="Where sessions are kept."),
]
UserOption = Annotated[str | None, typer.Option("--user", metavar="USER_ID", help="Owner of the session.")]
ModelOption = Annotated[
    str,
    typer.Option("--model", metavar="MODEL", help="offline, bedrock[:id], openai:id, anthropic:id or ollama:id."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="As one JSON document.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
AgentOption = Annotated[str | None, typer.Option("--agent", metavar="AGENT_ID", help="Only of this agent.")]
SessionArgument = Annotated[str, typer.Argument(metavar="SESSION_ID", show_default=False)]
SinceOption = Annotated[
    str | None, typer.Option("--since", metavar="WHEN", help="2026-11-20, 2026-11-20T09:30, or 30m, 12h, 7d ago.")
]
UntilOption = Annotated[str | None, typer.Option("--until", metavar="WHEN", help="The same; a day is meant whole.")]
EveryoneOption = Annotated[bool, typer.Option("--all", help="All sessions of all users, and the users.")]
IdsOption = Annotated[list[str] | None, typer.Option("--id", metavar="SESSION_ID", help="Only this; may be repeated.")]


class Existing(str, enum.Enum):
    """`OnExisting`, as options name it."""

    ERROR = "error"
    SKIP = "skip"
    REPLACE = "replace"


ExistingOption = Annotated[
    Existing, typer.Option("--on-existing", help="When one is there with other content: stop, skip or replace it.")
]


class Children(str, enum.Enum):
    """`sessions.tree.Children`, as options name it."""

    REFUSE = "refuse"
    CASCADE = "cascade"
    DETACH = "detach"


def url_of(store: str | None) -> str:
    """The URL that holds."""
    from ..stores import DEFAULT

    return store or DEFAULT


def timeout() -> float | None:
    """Seconds to wait for the store, by the environment; None: the engine's own.

    Raises:
        StoreError: It is no number.
    """
    if not (text := os.environ.get(TIMEOUT)):
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise StoreError(f"{TIMEOUT} must be a number of seconds above 0, got {text!r:.80}")
    return seconds


@contextmanager
def opened(store: str | None, *, make: bool = False) -> Iterator[Sessions]:
    """The service over the store at a URL.

    Args:
        store: As `StoreOption` gives it.
        make: Whether a store that is not there yet will do: it is about to be written.

    Raises:
        StoreError: Also as `is_there`, since "no sessions" would mislead in a wrong directory.
    """
    from ..sessions import Sessions
    from ..stores import open_store

    if not make:
        is_there(store)
    with open_store(url_of(store), timeout=timeout()) as found:
        yield Sessions(found)


def is_there(store: str | None) -> None:
    """
    Raises:
        StoreError: The default is meant, and there is none in this directory.
    """
    from ..stores import DEFAULT

    name = DEFAULT.removeprefix("sqlite:///")
    if not store and not Path(name).exists():
        raise StoreError(f"there is no {name} in this directory; name a store with --store or STRANDS_SESSION_STORE")
