"""Redis and Valkey: standalone, Sentinel, Cluster. One round trip a commit, one a read."""

from .store import RedisStore

__all__ = ["RedisStore"]
