"""Session persistence for Strands Agents.

    from strands import Agent
    from strands_session_store import SQLiteSessionManager

    agent = Agent(session_manager=SQLiteSessionManager("user-123"))

Importing this package opens and reads nothing, and loads neither Strands nor an engine: a name is loaded when it
is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .errors import (
        BudgetExceededError,
        ConflictError,
        InvalidIdError,
        SessionBusyError,
        SessionNotFoundError,
        StoreError,
        Unavailable,
    )
    from .plugin import (
        DirectorySessionManager,
        RedisSessionManager,
        S3SessionManager,
        SQLiteSessionManager,
        StoreSessionManager,
    )
    from .prices import Prices
    from .stores import open_store
    from .stores.base import Store

__all__ = [
    "BudgetExceededError",
    "ConflictError",
    "DirectorySessionManager",
    "InvalidIdError",
    "Prices",
    "RedisSessionManager",
    "S3SessionManager",
    "SQLiteSessionManager",
    "SessionBusyError",
    "SessionNotFoundError",
    "Store",
    "StoreError",
    "StoreSessionManager",
    "Unavailable",
    "__version__",
    "open_store",
]

_HOMES: Final = {
    "BudgetExceededError": ".errors",
    "ConflictError": ".errors",
    "DirectorySessionManager": ".plugin",
    "InvalidIdError": ".errors",
    "Prices": ".prices",
    "RedisSessionManager": ".plugin",
    "S3SessionManager": ".plugin",
    "SQLiteSessionManager": ".plugin",
    "SessionBusyError": ".errors",
    "SessionNotFoundError": ".errors",
    "Store": ".stores.base",
    "StoreError": ".errors",
    "StoreSessionManager": ".plugin",
    "Unavailable": ".errors",
    "open_store": ".stores",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name], __name__), name)
    globals()[name] = value  # the next use does not come here
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
