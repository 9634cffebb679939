"""A URL becomes a client whose own retries are off; nothing is connected before the first verb.

    redis://user:password@host:6379/0      rediss://... (TLS)       unix:///run/redis.sock?db=0
    redis+cluster://h1:6379,h2:6379/       rediss+cluster://...     any nodes of it; the rest is found
    redis+sentinel://h1:26379,h2/name/0    rediss+sentinel://...    the Sentinels, the name of the primary, the database

User and password are those of the data's servers; in a password, escape what a URL can not hold. In the query: prefix,
wait_replicas, wait_timeout of the store; sentinel_username and sentinel_password; all else is redis-py's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlencode

import redis
from redis import cluster, connection, sentinel
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
    scheme, mark, rest = url.partition("://")
    scheme = scheme.lower()
    rest, _, query = rest.partition("?")
    found = Address(scheme, query=dict(parse_qsl(query, keep_blank_values=True)))
    for name, kind in _OWN.items():
        if name in found.query:
            try:
                found.options[name] = kind(found.query.pop(name))
            except ValueError:
                raise InvalidUrlError(f"{scheme}://: {name} must be a {kind.__name__}") from None
    if not mark:
        raise InvalidUrlError(f"{scheme}: a URL of Redis has :// behind its scheme")
    if scheme == "unix":
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
    return found


def _host(scheme: str, text: str, standard: int) -> tuple[str, int]:
    name, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon:
        name, port = text, str(standard)
    if not port.isdigit() or not name:
        raise InvalidUrlError(f"{scheme}://: a host is written name, name:port or [address]:port")
    return name.strip("[]"), int(port)


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
    off: dict[str, Any] = {"retry": Retry(NoBackoff(), 0), "retry_on_error": [], "retry_on_timeout": False}
    try:
        if found.scheme in ("redis", "rediss", "unix"):
            if len(found.hosts) > 1:
                raise InvalidUrlError(
                    f"{found.scheme}://: one host; for several, redis+cluster:// or redis+sentinel://"
                )
            place = url.partition("?")[0] + ("?" + urlencode(found.query) if found.query else "")
            return Single(redis.Redis.from_url(place, **{**common, **off})), found.options
        login: dict[str, Any] = {"username": found.username, "password": found.password}
        if found.scheme.startswith("rediss+"):
            login["ssl"] = True
        # redis-py's own options keep the types that it gives them in its own URLs
        more = {name: value for name, value in _parse("redis://h?" + urlencode(found.query)).items() if name != "host"}
        if found.scheme.endswith("+cluster"):
            if not found.hosts or found.path not in ([], ["0"]):
                raise InvalidUrlError(
                    f"{found.scheme}://: write {found.scheme}://host1:6379,host2:6379/ (it has one database)"
                )
            nodes = [_Node(host, port) for host, port in found.hosts]
            settings = {**common, **login, **more}
            return Cluster(lambda: _cluster(nodes, settings)), found.options
        if found.scheme.endswith("+sentinel"):
            if (
                not found.hosts
                or not 1 <= len(found.path) <= 2
                or (not found.path[-1:][0].isdigit() and len(found.path) == 2)
            ):
                raise InvalidUrlError(
                    f"{found.scheme}://: write {found.scheme}://host1:26379,host2:26379/name-of-primary/0"
                )
            guard = {
                name: more.pop(f"sentinel_{name}") for name in ("username", "password") if f"sentinel_{name}" in more
            }
            settings = {**common, **off, **login, "db": int(found.path[1]) if len(found.path) == 2 else 0, **more}
            sentinels = _Sentinel(found.hosts, sentinel_kwargs={**common, **guard}, **settings)
            return Single(sentinels.master_for(found.path[0])), found.options
    except InvalidUrlError:
        raise
    except (ValueError, TypeError) as error:
        # what redis-py says of a URL may hold the URL
        raise InvalidUrlError(f"{found.scheme}://: redis-py can not use an option or a number of this URL") from error
    raise InvalidUrlError(f"{found.scheme}:// is no scheme of Redis")


def _cluster(nodes: list[Any], settings: dict[str, Any]) -> redis.RedisCluster:
    return redis.RedisCluster(startup_nodes=nodes, **settings)


def link_over(client: redis.Redis | redis.RedisCluster) -> Link:
    """Over a client that somebody else made."""
    return Cluster(lambda: client) if isinstance(client, redis.RedisCluster) else Single(client)
