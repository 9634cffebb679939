"""The face towards Strands."""

from .convenience import DirectorySessionManager, RedisSessionManager, SQLiteSessionManager
from .manager import StoreSessionManager
from .session import Durability

__all__ = [
    "DirectorySessionManager",
    "Durability",
    "RedisSessionManager",
    "SQLiteSessionManager",
    "StoreSessionManager",
]
