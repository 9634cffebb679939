"""The face towards Strands."""

from .manager import SQLiteSessionManager, StoreSessionManager
from .session import Durability

__all__ = ["Durability", "SQLiteSessionManager", "StoreSessionManager"]
