"""The face towards Strands."""

from .convenience import RedisSessionManager, S3SessionManager, SQLiteSessionManager
from .manager import StoreSessionManager
from .session import Durability

__all__ = ["Durability", "RedisSessionManager", "S3SessionManager", "SQLiteSessionManager", "StoreSessionManager"]
