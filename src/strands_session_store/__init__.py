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
    from .async_conversation import AsyncConversation
    from .async_sessions import AsyncSessions
    from .conversation import Conversation
    from .errors import (
        AlreadyExistsError,
        BudgetExceededError,
        ConflictError,
        InDoubt,
        InvalidIdError,
        NotFoundError,
        SessionBusyError,
        SessionNotFoundError,
        StoreError,
        TooLarge,
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
    from .prompts import build_prompt
    from .saying import Used
    from .segments import SegmentAfter
    from .sessions import Sessions
    from .stores import open_store
    from .stores.base import Store

__all__ = [
    "AlreadyExistsError",
    "AsyncConversation",
    "AsyncSessions",
    "BudgetExceededError",
    "ConflictError",
    "Conversation",
    "DirectorySessionManager",
    "InDoubt",
    "InvalidIdError",
    "NotFoundError",
    "Prices",
    "RedisSessionManager",
    "S3SessionManager",
    "SQLiteSessionManager",
    "SegmentAfter",
    "SessionBusyError",
    "SessionNotFoundError",
    "Sessions",
    "Store",
    "StoreError",
    "StoreSessionManager",
    "TooLarge",
    "Unavailable",
    "Used",
    "__version__",
    "build_prompt",
    "open_store",
]

_HOMES: Final = {
    "AlreadyExistsError": ".errors",
    "AsyncConversation": ".async_conversation",
    "AsyncSessions": ".async_sessions",
    "BudgetExceededError": ".errors",
    "ConflictError": ".errors",
    "Conversation": ".conversation",
    "DirectorySessionManager": ".plugin",
    "InDoubt": ".errors",
    "InvalidIdError": ".errors",
    "NotFoundError": ".errors",
    "Prices": ".prices",
    "RedisSessionManager": ".plugin",
    "S3SessionManager": ".plugin",
    "SQLiteSessionManager": ".plugin",
    "SegmentAfter": ".segments",
    "SessionBusyError": ".errors",
    "SessionNotFoundError": ".errors",
    "Sessions": ".sessions",
    "Store": ".stores.base",
    "StoreError": ".errors",
    "StoreSessionManager": ".plugin",
    "TooLarge": ".errors",
    "Unavailable": ".errors",
    "Used": ".saying",
    "build_prompt": ".prompts",
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
