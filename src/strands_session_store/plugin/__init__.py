"""The face towards Strands."""

from .convenience import DirectorySessionManager, RedisSessionManager, S3SessionManager, SQLiteSessionManager
from .manager import StoreSessionManager
from .session import Durability

__all__ = [
    "DirectorySessionManager",
    "Durability",
    "RedisSessionManager",
    "S3SessionManager",
    "SQLiteSessionManager",
    "StoreSessionManager",
]
