"""A URL names an engine and its data; `open_store` is the only place that knows which engines there are.

    memory://                       this process, until the store is closed
    sqlite:///data/sessions.db      a file, relative to the working directory
    sqlite:////srv/sessions.db      a file, absolute
    file:///srv/sessions            a directory, absolute; a file a session, and one for some dozen of its messages
    redis://localhost:6379/0        a server of Redis or Valkey; rediss:// with TLS, unix:///run/redis.sock
    redis+cluster://h1,h2/          a Cluster, redis+sentinel://h1,h2/service/0 what Sentinels watch (see redis.connect)
    s3://bucket/prefix?region=...   a bucket of S3, or of what speaks like it (see objects.s3.address)

Other packages add engines by entry points of the group ``strands_session_store.stores``: the name is the URL's scheme,
the object is called with the URL and the timeout and returns a `Store`. An engine is imported when it is asked for.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any, Final
from urllib.parse import unquote

from ..errors import InvalidUrlError
from .base import Store

DEFAULT: Final = "sqlite:///strands-sessions.db"
"""What faces open when nothing says which store."""
ENTRY_POINTS: Final = "strands_session_store.stores"

_URL: Final = re.compile(
    r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*)://(?P<rest>(?P<head>[^?#]*)((?P<mark>[?#])(?P<tail>.*))?)", re.DOTALL
)


def open_store(url: str, *, timeout: float | None = None) -> Store:
    """The store at ``url``. Nothing is read or written yet, and no server has to be there; the first verb does that.

    Args:
        url: See the module's docstring. The path may be percent-encoded (and must be where it holds ``?``, ``#`` or
            ``%``).
        timeout: Seconds one verb may wait for the engine; None: the engine's own default.

    Raises:
        InvalidUrlError: No engine has this scheme, or the engine can not use the rest. Credentials are not shown.
    """
    given: object = url
    if not isinstance(given, str):
        raise InvalidUrlError(f"a store URL must be a text, got {given!r:.80}; it begins with one of {_known()}")
    parts = _URL.fullmatch(url)
    if parts is None:
        raise InvalidUrlError(f"{redact(url)!r} is no store URL; it must begin with one of {_known()}")
    scheme = parts["scheme"].lower()
    if scheme in _ENGINES:
        return _ENGINES[scheme](url, parts["rest"], timeout)
    for entry in metadata.entry_points(group=ENTRY_POINTS, name=scheme):
        make: Callable[[str, float | None], Store] = entry.load()
        return make(url, timeout)
    raise InvalidUrlError(f"{redact(url)!r}: there is no engine for {scheme}://; this version knows {_known()}")


def redact(url: str) -> str:
    """``url`` as it may be shown: no user, no password, no query, no fragment.

    A password may hold anything, also ``/ ? # @`` unescaped; where it can not be told what belongs to it, more is
    hidden than need be.
    """
    parts = _URL.fullmatch(url)
    if parts is None:
        return url if re.fullmatch(r"[\w./\\ -]*", url) else "***"
    head, mark, tail = parts["head"], parts["mark"], parts["tail"]
    if mark and "@" in tail:
        return f"{parts['scheme']}://***"
    if "@" in head and not head.startswith("/"):
        head = f"***@{head.rpartition('@')[2]}"
    return f"{parts['scheme']}://{head}{mark + '***' if mark else ''}"


def _memory(url: str, rest: str, timeout: float | None) -> Store:
    if rest:
        raise InvalidUrlError(f"{redact(url)!r}: memory:// takes nothing behind it")
    from .memory import MemoryStore

    return MemoryStore()


def _sqlite(url: str, rest: str, timeout: float | None) -> Store:
    path = unquote(rest[1:])
    if not rest.startswith("/") or not path:
        raise InvalidUrlError(f"{redact(url)!r}: write sqlite:///relative.db or sqlite:////absolute.db")
    if "?" in rest or "#" in rest:
        raise InvalidUrlError(f"{redact(url)!r}: sqlite takes no options; write ? as %3F and # as %23 in a path")
    from .sqlite import SQLiteStore

    return SQLiteStore(path) if timeout is None else SQLiteStore(path, timeout=timeout)


def _file(url: str, rest: str, timeout: float | None) -> Store:
    path = unquote(rest)
    if not rest.startswith("/") or not path.strip("/"):
        raise InvalidUrlError(f"{redact(url)!r}: write file:///absolute/directory")
    if "?" in rest or "#" in rest:
        raise InvalidUrlError(f"{redact(url)!r}: file takes no options; write ? as %3F and # as %23 in a path")
    from .objects import ObjectStore
    from .objects.directory import DirectoryBlobs

    blobs = DirectoryBlobs(path)
    return ObjectStore(blobs) if timeout is None else ObjectStore(blobs, timeout=timeout)


def _redis(url: str, rest: str, timeout: float | None) -> Store:
    return redis_store(url, **{} if timeout is None else {"timeout": timeout})


def redis_store(url: str | None = None, *, client: Any = None, **options: Any) -> Store:
    """A store on Redis, by URL or over a ready client.

    Args:
        url: See the module's docstring.
        client: A `redis.Redis` or `redis.RedisCluster`, whatever its decode_responses; `close` leaves it open.
        **options: Of `RedisStore`: prefix, timeout, wait_replicas, wait_timeout.

    Raises:
        InvalidUrlError: The engine can not use the URL, or redis-py is not installed.
        ValueError: An option is out of its range.
    """
    shown = "a store over a Redis client" if url is None else repr(redact(url))
    with _needs("redis", "redis", shown):
        from .redis import RedisStore
    if client is not None:
        return RedisStore(client, **options)
    try:
        return RedisStore.from_url(str(url), **options)
    except InvalidUrlError:
        raise
    except ValueError as error:
        raise InvalidUrlError(f"{shown}: {error}") from error


def _s3(url: str, rest: str, timeout: float | None) -> Store:
    try:
        with _needs("boto3", "s3", repr(redact(url))):
            from .objects.s3 import read_url
        options = read_url(rest)
        return s3_store(**options) if timeout is None else s3_store(**options, timeout=timeout)
    except InvalidUrlError:
        raise
    except ValueError as error:
        raise InvalidUrlError(f"{redact(url)!r}: {error}") from error


def s3_store(bucket: str, prefix: str = "", *, timeout: float = 30.0, **options: Any) -> Store:
    """A store in a bucket of S3, or of a service that speaks like it.

    Args:
        bucket: Its name.
        prefix: Of all keys; "" for none.
        timeout: Seconds that a verb may take.
        **options: Of `S3Blobs`: region_name, endpoint_url, boto_session, boto_client_config, profile_name, put_options,
            compress, conditional_writes.

    Raises:
        InvalidUrlError: boto3 is not installed.
        ValueError: An option is out of its range.
    """
    with _needs("boto3", "s3", f"a store in the bucket {bucket!r}"):
        from .objects.s3 import S3Blobs
    from .objects import ObjectStore

    return ObjectStore(S3Blobs(bucket, prefix, timeout=timeout, **options), timeout=timeout)


@contextlib.contextmanager
def _needs(package: str, extra: str, what: str) -> Iterator[None]:
    """An import inside that misses ``package`` becomes an error that says what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise InvalidUrlError(f"{what} needs {package}: pip install strands-session-store[{extra}]") from error


_REDIS: Final = ("redis", "rediss", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel", "unix")

_ENGINES: Final[dict[str, Callable[[str, str, float | None], Store]]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "file": _file,
    "s3": _s3,
    **dict.fromkeys(_REDIS, _redis),
}


def _known() -> str:
    found = {entry.name for entry in metadata.entry_points(group=ENTRY_POINTS)}
    return ", ".join(f"{scheme}://" for scheme in sorted(found | set(_ENGINES)))
