"""The embedded default: one SQLite file, shared by threads and processes of one machine."""

from .store import SQLiteStore

__all__ = ["SQLiteStore"]
