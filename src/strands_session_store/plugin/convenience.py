"""A session manager for each engine, which only builds its store and hands it on."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote

from ..stores import redis_store
from .manager import StoreSessionManager, seconds


class SQLiteSessionManager(StoreSessionManager):
    """A session in one SQLite file, which processes on one machine may share."""

    def __init__(self, session_id: str, path: str | os.PathLike[str] = "strands-sessions.db", **options: Any) -> None:
        """As `StoreSessionManager`, with the path of the file in the place of a store. It is created when missing."""
        # three slashes lead to a relative path, and a fourth begins an absolute one
        super().__init__(session_id, f"sqlite:///{quote(os.fspath(path))}", **options)


class DirectorySessionManager(StoreSessionManager):
    """A session in files of a local directory, which processes on one machine may share; readable with cat and jq."""

    def __init__(self, session_id: str, directory: str | os.PathLike[str] = "./sessions", **options: Any) -> None:
        """As `StoreSessionManager`, with a directory in the place of a store. It is created when missing."""
        super().__init__(session_id, f"file://{quote(os.path.abspath(directory))}", **options)


class RedisSessionManager(StoreSessionManager):
    """A session in Redis or Valkey: a server, a Cluster, or what Sentinels watch; no modules."""

    def __init__(
        self,
        session_id: str,
        url: str = "redis://localhost:6379/0",
        *,
        client: Any = None,
        prefix: str = "strands",
        wait_replicas: int = 0,
        wait_timeout: float = 1.0,
        timeout: float | None = None,
        **options: Any,
    ) -> None:
        """As `StoreSessionManager`, with a server in the place of a store.

        Args:
            session_id: As there, like all further options.
            url: Of the server: redis://, rediss://, unix://, redis+cluster://h1,h2/, redis+sentinel://h1,h2/service/0.
            client: Instead of a URL: a `redis.Redis` or `redis.RedisCluster`, shared, left open by `close`.
            prefix: Of every key.
            wait_replicas: A commit is acknowledged when so many replicas have it (WAIT); 0: when the primary has it.
            wait_timeout: Seconds to wait for them.
            timeout: As there.

        Raises:
            As `StoreSessionManager`. Nothing is connected yet.
        """
        timeout = seconds(timeout)
        store = redis_store(
            None if client is not None else url,
            client=client,
            prefix=prefix,
            wait_replicas=wait_replicas,
            wait_timeout=wait_timeout,
            timeout=timeout,
        )
        super().__init__(session_id, store, timeout=timeout, **options)
        self._owns_store = True  # the store; it leaves a client that it was given open
