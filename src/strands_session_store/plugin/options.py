"""What a session manager's options may be: each is looked at before anything is opened."""

from __future__ import annotations

import os
import threading
from typing import get_args

from .. import ids, records
from ..errors import IllegalMoveError
from ..sessions import checks
from ..stores.base import MAX_TTL
from .budgets import Scope
from .live import OnConflict, OnStale
from .session import Durability
from .taking import OnBusy

DEFAULT_TIMEOUT = 30.0
"""Seconds. A model call takes about as long: a store that is slower than that is down."""
LEAST_LEASE = 0.01
"""Seconds. Signs of life are commits, three in an expiry."""
MAX_LEASE = 3600
"""Seconds. Whoever waits an hour for a dead process is not waiting any more."""


def check(
    *,
    durability: str,
    ttl: float | None,
    exclusive: bool,
    on_busy: str,
    lease_timeout: float,
    lease_expiry: float,
    on_stale: str,
    on_conflict: str,
    read_only: bool,
    sub_sessions: bool,
    max_tokens: int | None,
    budget_scope: str,
    user_id: str | None,
) -> None:
    """Refuse what can not be meant.

    Raises:
        ValueError: Names the option, its value, and what would do.
    """
    for name, value, choices in (
        ("durability", durability, get_args(Durability)),
        ("on_busy", on_busy, get_args(OnBusy)),
        ("on_stale", on_stale, get_args(OnStale)),
        ("on_conflict", on_conflict, get_args(OnConflict)),
        ("budget_scope", budget_scope, get_args(Scope)),
    ):
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}; got {value!r}")
    for name, flag in ("exclusive", exclusive), ("read_only", read_only), ("sub_sessions", sub_sessions):
        if not isinstance(flag, bool):  # the text "false" is true
            raise ValueError(f"{name} must be True or False; got {flag!r}")
    for name, number in ("lease_timeout", lease_timeout), ("lease_expiry", lease_expiry):
        if not _is_number(number) or not LEAST_LEASE <= number <= MAX_LEASE:
            raise ValueError(f"{name} must be a number of seconds, {LEAST_LEASE} to {MAX_LEASE:,}; got {number!r}")
    if ttl is not None and (not _is_number(ttl) or not 0 < ttl < MAX_TTL):
        raise ValueError(
            f"ttl must be a number of seconds above 0 and below {MAX_TTL:,}, or None for no expiry; got {ttl!r}"
        )
    if budget_scope == "user" and user_id is None:
        raise ValueError('budget_scope="user" limits what all sessions of a user have spent: name the user_id')
    if max_tokens is not None and (not _is_number(max_tokens) or max_tokens < 1 or max_tokens % 1):
        raise ValueError(f"max_tokens must be a whole number of 1 or more, or None for no limit; got {max_tokens!r}")
    if on_busy == "raise" and not exclusive:
        raise ValueError("on_busy='raise' is about the lease that exclusive=True takes; set that too, or leave it out")
    if on_conflict == "rebase" and durability != "turn":
        raise ValueError(
            f"on_conflict='rebase' needs durability='turn'; got {durability!r}: a turn can be put behind another's "
            "only while nothing of it is stored"
        )
    if on_conflict == "rebase" and sub_sessions:
        raise ValueError(
            "on_conflict='rebase' puts a turn behind another's whole, and sub_sessions=True stores what was said in it "
            "by agents that it called before its end; leave one out"
        )
    if read_only and (exclusive or on_conflict == "rebase"):
        option = "exclusive=True" if exclusive else "on_conflict='rebase'"
        raise ValueError(
            f"{option} is for who writes, and read_only=True (or a ReadOnlyStore) never does; leave one out"
        )


def document(
    session_id: str, user_id: str | None, parent_id: str | None, kind: str, title: str | None
) -> records.Session:
    """What the session will be, where the manager makes it.

    Raises:
        InvalidIdError, IllegalMoveError, ValueError: It can't be that.
    """
    if parent_id is not None and ids.check("parent_id", parent_id) == session_id:
        raise IllegalMoveError(f"session {session_id!r} can not be its own parent; give another parent_id")
    checks.text("title", title)
    return records.Session(
        session_id=session_id, user_id=user_id, parent_id=parent_id, kind=checks.kind(kind), title=title
    )


def _is_number(value: object) -> bool:
    """Whether it can be compared with one; a text out of a configuration can't."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def seconds(timeout: float | None) -> float:
    """The time-out that holds: the argument, else the environment's, else the default."""
    name = "timeout"
    if timeout is None and (text := os.environ.get("STRANDS_SESSION_TIMEOUT")):
        name = "STRANDS_SESSION_TIMEOUT"
        try:
            timeout = float(text)
        except ValueError:
            raise ValueError(f"{name} must be a number of seconds; got {text!r}") from None
    timeout = DEFAULT_TIMEOUT if timeout is None else timeout
    if not _is_number(timeout) or not 0 < timeout <= threading.TIMEOUT_MAX:
        raise ValueError(
            f"{name} must be a number of seconds above 0, and not past {threading.TIMEOUT_MAX:.0f}; got {timeout!r}"
        )
    return timeout
