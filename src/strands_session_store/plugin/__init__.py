"""The face towards Strands."""

from .convenience import RedisSessionManager, SQLiteSessionManager
from .manager import StoreSessionManager
from .session import Durability

__all__ = ["Durability", "RedisSessionManager", "SQLiteSessionManager", "StoreSessionManager"]
