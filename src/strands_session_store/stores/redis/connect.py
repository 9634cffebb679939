"""A URL becomes a client whose own retries are off; nothing is connected before the first verb.

    redis://user:password@host:6379/0      rediss://... (TLS)       unix:///run/redis.sock?db=0
    redis+cluster://h1:6379,h2:6379/       rediss+cluster://...     any nodes of it; the rest is found
    redis+sentinel://h1:26379,h2/name/0    rediss+sentinel://...    the Sentinels, the name of the primary, the database

User and password are those of the data's servers; in a password, escape what a URL can not hold. With TLS, it is with
all servers, Sentinels too. In the query: prefix, wait_replicas, wait_timeout of the store; sentinel_username and
sentinel_password; all else is redis-py's, e.g. ssl_ca_certs=/path/ca.pem.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlencode

import redis
from redis import cluster, connection, exceptions, sentinel
from redis.backoff import NoBackoff
from redis.retry import Retry

from ...errors import InvalidUrlError
from .cluster import Cluster
from .links import Link, Single

HEALTH_CHECK_SECONDS: Final = 30
"""A connection that was idle for longer is asked for a sign of life before it is used."""

# some versions of redis-py have types for these, some have not
_Node: Any = cluster.ClusterNode
_Sentinel: Any = sentinel.Sentinel
_parse: Any = connection.parse_url

SCHEMES: Final = (
    "redis", "rediss", "unix", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel"
)  # fmt: skip

_FILES: Final = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
_OWN: Final[Mapping[str, type]] = {"prefix": str, "wait_replicas": int, "wait_timeout": float}


@dataclass
class Address:
    """A URL, taken apart."""

    scheme: str
    hosts: list[tuple[str, int]] = field(default_factory=list)
    path: list[str] = field(default_factory=list)
    username: str | None = None
    password: str | None = None
    query: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    """The store's own."""


def read_url(url: str) -> Address:
    """Raises: InvalidUrlError, which shows nothing of the URL but its scheme."""
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    if scheme not in SCHEMES:
        raise InvalidUrlError(f"a URL of Redis begins with one of {', '.join(f'{known}://' for known in SCHEMES)}")
    rest, _, query = rest.partition("?")
    found = Address(scheme, query=dict(parse_qsl(query, keep_blank_values=True)))
    for name, kind in _OWN.items():
        if name in found.query:
            try:
                found.options[name] = kind(found.query.pop(name))
            except ValueError:
                raise InvalidUrlError(f"{scheme}://: {name} must be a {kind.__name__}") from None
    if scheme == "unix":
        if not rest.rpartition("@")[2].startswith("/"):
            raise InvalidUrlError("unix://: the path is an absolute one, so three slashes: unix:///run/redis.sock")
        return found
    place, _, path = rest.partition("/")
    found.path = [unquote(part) for part in path.split("/") if part]
    user, at, place = place.rpartition("@")
    if at:
        name, _, password = user.partition(":")
        found.username, found.password = unquote(name) or None, unquote(password) or None
    standard = 26379 if "sentinel" in scheme else 6379
    for host in place.split(","):
        if host:
            found.hosts.append(_host(scheme, host, standard))
    _check(found)
    return found


def _host(scheme: str, text: str, standard: int) -> tuple[str, int]:
    name, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon:
        name, port = text, str(standard)
    if not port.isdigit() or not name:
        raise InvalidUrlError(
            f"{scheme}://: a host is written name, name:port or [address]:port; in a password, / ? # @ and % are "
            "written %2F %3F %23 %40 and %25"
        )
    return name.strip("[]"), int(port)


def _check(found: Address) -> None:
    """Raises: InvalidUrlError"""
    scheme, hosts, path = found.scheme, found.hosts, found.path
    if scheme.endswith("+cluster"):
        if not hosts or path not in ([], ["0"]):
            raise InvalidUrlError(f"{scheme}://: write {scheme}://host1:6379,host2:6379/ (it has one database)")
    elif scheme.endswith("+sentinel"):
        if not hosts or not path or not all(part.isdecimal() for part in path[1:]) or len(path) > 2:
            raise InvalidUrlError(f"{scheme}://: write {scheme}://host1:26379,host2:26379/name-of-primary/0")
    elif len(hosts) > 1:
        raise InvalidUrlError(f"{scheme}://: one host; for several, redis+cluster:// or redis+sentinel://")
    elif path and not (len(path) == 1 and path[0].isdecimal()):  # redis-py takes any other word for 0
        raise InvalidUrlError(f"{scheme}://: behind the host stands the number of a database: {scheme}://host:6379/0")
    for name in found.query:
        if name in _FILES and not os.path.exists(found.query[name]):
            raise InvalidUrlError(f"{scheme}://: there is no {found.query[name]!r}, which {name} names")


def link_to(url: str, timeout: float) -> tuple[Link, dict[str, Any]]:
    """How to reach it, and the options of the store that the URL holds.

    Raises:
        InvalidUrlError
    """
    found = read_url(url)
    common: dict[str, Any] = {
        "socket_connect_timeout": min(5.0, timeout / 2),
        # one attempt must leave time for another
        "socket_timeout": min(5.0, timeout / 2),
        "health_check_interval": HEALTH_CHECK_SECONDS,
    }
    if found.options.get("wait_replicas"):
        common["socket_timeout"] += found.options.get("wait_timeout", 1.0)
    try:
        return _link(url, found, common), found.options
    except (ValueError, TypeError, exceptions.RedisError):
        # not even as the cause: what redis-py says of a URL may hold the URL
        names = ", ".join(sorted(found.query))
        among = f" (there are {names})" if names and "@" not in url.partition("?")[2] else ""
        raise InvalidUrlError(
            f"{found.scheme}://: redis-py can not use an option{among} or a number of this URL"
        ) from None


def _link(url: str, found: Address, common: Mapping[str, Any]) -> Link:
    """Raises: ValueError, TypeError, RedisError"""
    off: dict[str, Any] = {"retry": Retry(NoBackoff(), 0), "retry_on_error": []}
    if found.scheme in ("redis", "rediss", "unix"):
        place = f"{found.scheme}://{url.partition('://')[2].partition('?')[0]}?{urlencode(found.query)}"
        client = redis.Redis.from_url(place, **common, **off)
        _try(client.connection_pool.connection_class, client.connection_pool.connection_kwargs)
        return Single(client)
    login: dict[str, Any] = {"username": found.username, "password": found.password}
    # redis-py's own options keep the types that it gives them in its own URLs
    more = {name: value for name, value in _parse("redis://h?" + urlencode(found.query)).items() if name != "host"}
    tls = {name: value for name, value in more.items() if name.startswith("ssl_")}
    if found.scheme.startswith("rediss+"):
        login["ssl"] = tls["ssl"] = True
    if found.scheme.endswith("+cluster"):
        nodes = [_Node(host, port) for host, port in found.hosts]
        settings = {**common, **login, **more}
        own = {"ssl", "max_connections", *inspect.signature(redis.RedisCluster.__init__).parameters}
        kind = connection.SSLConnection if "ssl" in login else connection.Connection
        _try(kind, {name: value for name, value in settings.items() if name not in own})
        return Cluster(lambda: _cluster(nodes, settings))
    guard = {name: more.pop(f"sentinel_{name}") for name in ("username", "password") if f"sentinel_{name}" in more}
    settings = {**common, **off, **login, "db": int(found.path[1]) if len(found.path) == 2 else 0, **more}
    # TLS is for all that the URL leads to
    sentinels = _Sentinel(found.hosts, sentinel_kwargs={**common, **off, **tls, **guard}, **settings)
    client = sentinels.master_for(found.path[0])
    _try(client.connection_pool.connection_class, client.connection_pool.connection_kwargs)
    return Single(client)


def _try(kind: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Make a connection without connecting it: an option that does not exist would be found out by the first verb.

    Raises:
        TypeError, ValueError, RedisError
    """
    kind(**options)


def _cluster(nodes: list[Any], settings: dict[str, Any]) -> redis.RedisCluster:
    return redis.RedisCluster(startup_nodes=nodes, **settings)


def link_over(client: redis.Redis | redis.RedisCluster) -> Link:
    """Over a client that somebody else made."""
    return Cluster(lambda: client) if isinstance(client, redis.RedisCluster) else Single(client)
