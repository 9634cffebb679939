"""A session manager for each engine, which only builds its store and hands it on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote

from ..stores import redis_store, s3_store
from .manager import StoreSessionManager
from .options import seconds


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


class S3SessionManager(StoreSessionManager):
    """A session in a bucket of S3, or of a service that speaks like it and has conditional writes."""

    def __init__(
        self,
        session_id: str,
        bucket: str,
        prefix: str = "",
        *,
        region_name: str | None = None,
        endpoint_url: str | None = None,
        boto_session: Any = None,
        boto_client_config: Any = None,
        put_options: Mapping[str, Any] | None = None,
        compress: bool = True,
        conditional_writes: Literal["required", "assume-single-writer"] = "required",
        timeout: float | None = None,
        **options: Any,
    ) -> None:
        """As `StoreSessionManager`, with a bucket in the place of a store. A client of boto3 takes a moment and some
        megabytes to make: who has many sessions makes one store, ``open_store("s3://...")``, and shares it.

        Args:
            session_id: As there, like all further options.
            bucket: Its name.
            prefix: Of all keys.
            region_name: Of the bucket; None: what boto3 finds in its environment.
            endpoint_url: Of an S3-compatible service.
            boto_session: A boto3.Session to make the client of; None: one with boto3's own search for credentials.
            boto_client_config: A botocore Config.
            put_options: More arguments of put_object: ServerSideEncryption, SSEKMSKeyId, Tagging, StorageClass, ...
            compress: Whether what is larger than 1 kB is stored as gzip.
            conditional_writes: "assume-single-writer": for a service that has none; one process writes each session.
            timeout: As there.

        Raises:
            As `StoreSessionManager`; ValueError for an argument that S3 can not use. Nothing is connected yet.
        """
        timeout = seconds(timeout)
        store = s3_store(
            bucket,
            prefix,
            region_name=region_name,
            endpoint_url=endpoint_url,
            boto_session=boto_session,
            boto_client_config=boto_client_config,
            put_options=put_options,
            compress=compress,
            conditional_writes=conditional_writes,
            timeout=timeout,
        )
        super().__init__(session_id, store, timeout=timeout, **options)
        self._owns_store = True  # the store, not the session of boto3
