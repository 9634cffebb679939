"""How servers of Redis are: what they may throw away, what a restart or failover loses, how much room there is.

What a server says of itself (INFO, CONFIG GET, TIME) is judged here by plain functions; `diagnose` asks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

import redis
from redis import exceptions, sentinel

from ..diagnosing import Finding, clock
from .links import Link
from .translate import Cut, code_of, translate

Info: TypeAlias = Mapping[str, Any]
"""INFO, all its sections together; what a server does not tell is absent."""

_OLDEST: Final = (6, 2)
_FULL: Final = 0.9
_FILLING: Final = 0.75
_SECTIONS: Final = ("server", "memory", "persistence", "replication", "cluster")
_INFO_REMEDY: Final = "let this user call INFO and CONFIG GET (+info +config|get), or ask who runs the server"


def diagnose(link: Link, wait_replicas: int) -> list[Finding]:
    """See `Diagnosing.diagnose`.

    Args:
        link: To the servers.
        wait_replicas: For how many replicas each commit waits.
    """
    out = [Finding("driver", "ok", f"redis-py {redis.__version__}")]
    try:
        servers = link.servers()
        told = {name: _ask(client) for name, client in servers.items()}
    except Cut as cut:
        raise translate(cut.cause, b"", doubt=False) from cut
    except (exceptions.ConnectionError, exceptions.TimeoutError, exceptions.AuthenticationError, OSError) as error:
        raise translate(error, b"", doubt=False) from error
    by_server: dict[str, list[Finding]] = {}
    for name, (info, config, ahead) in told.items():
        found = [clock(ahead)] if ahead is not None else []
        if not info:
            found.append(Finding("server", "note", "it does not tell this user how it is", _INFO_REMEDY))
        else:
            judges = [version(info), eviction(info), *persistence(info, config), memory(info)]
            found = [*judges, *replication(info, wait_replicas, clustered=len(servers) > 1), *found]
        by_server[name] = found
    out += together(by_server)
    if len(servers) > 1:
        out += cluster([info for info, _, _ in told.values()])
    out += [_sentinels(client) for client in servers.values() if _watched(client)]
    return out


def together(by_server: Mapping[str, Sequence[Finding]]) -> list[Finding]:
    """What is the same of several servers once, with their names where it is not so of all."""
    places: dict[Finding, list[str]] = {}
    for name, found in by_server.items():
        for one in found:
            places.setdefault(one, []).append(name)
    out = [
        one if len(names) == len(by_server) else replace(one, found=f"{', '.join(sorted(names))}: {one.found}")
        for one, names in places.items()
    ]
    order = list(dict.fromkeys(one.name for one in out))
    return sorted(out, key=lambda one: order.index(one.name))


def version(info: Info) -> Finding:
    valkey = info.get("valkey_version")
    name = f"Valkey {valkey}" if valkey else f"Redis {info.get('redis_version', '?')}"
    mode = info.get("server_mode") or info.get("redis_mode") or "standalone"
    numbers = str(info.get("redis_version", "")).split(".")[:2]
    if all(number.isdecimal() for number in numbers) and tuple(map(int, numbers)) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        return Finding("server", "problem", f"{name}, {mode}", f"use Redis {oldest} or later, or Valkey")
    return Finding("server", "ok", f"{name}, {mode}")


def eviction(info: Info) -> Finding:
    """Whether the server may throw sessions away when its memory is full."""
    policy, most = info.get("maxmemory_policy"), int(info.get("maxmemory", 0))
    if policy is None:
        return Finding("eviction", "note", "the server does not tell its eviction policy", _INFO_REMEDY)
    if policy == "noeviction":
        return Finding("eviction", "ok", "nothing is thrown away to make room (noeviction)")
    whose = "any session" if str(policy).startswith("allkeys") else "a session that has an expiry"
    remedy = "CONFIG SET maxmemory-policy noeviction; keep caches in another server"
    if not most:
        found = f"{policy}: {whose} would be thrown away to make room, once there is a maxmemory; there is none"
        return Finding("eviction", "note", found, remedy)
    return Finding("eviction", "problem", f"{policy}: {whose} is thrown away when memory is full", remedy)


def persistence(info: Info, config: Info) -> list[Finding]:
    """What a restart of the server loses."""
    if "aof_enabled" not in info:
        return [Finding("persistence", "note", "the server does not tell whether it writes to a disk", _INFO_REMEDY)]
    out = []
    for field, what in (("aof_last_write_status", "append to the AOF"), ("rdb_last_bgsave_status", "snapshot")):
        if info.get(field, "ok") != "ok":
            found = f"the last {what} failed, so a restart loses what came since"
            out.append(Finding("persistence", "problem", found, "look into the server's log and at its disk"))
    if int(info["aof_enabled"]):
        synced = config.get("appendfsync")
        if synced == "no":
            found = "commits are appended to a file (AOF), but when that reaches the disk is left to the system"
            return [*out, Finding("persistence", "note", found, "CONFIG SET appendfsync everysec, or always")]
        lost = {"always": "nothing", "everysec": "about a second"}.get(str(synced), "a second or so")
        return [*out, Finding("persistence", "ok", f"commits are appended to a file (AOF); a crash loses {lost}")]
    remedy = "CONFIG SET appendonly yes, and the same in its configuration file"
    if "save" not in config:
        found = "there is no AOF; whether snapshots are taken is not told to this user"
        return [*out, Finding("persistence", "note", found, remedy)]
    if config["save"]:
        found = f"only snapshots are taken (save {config['save']}): a crash loses what came since the last one"
        return [*out, Finding("persistence", "note", found, remedy)]
    return [
        *out,
        Finding("persistence", "problem", "nothing is written to a disk: a restart loses every session", remedy),
    ]


def memory(info: Info) -> Finding:
    if "used_memory" not in info:
        return Finding("memory", "note", "the server does not tell its memory", _INFO_REMEDY)
    used, most = int(info["used_memory"]), int(info.get("maxmemory", 0))
    if not most:
        of = int(info.get("total_system_memory", 0))
        return Finding("memory", "ok", f"{_mb(used)} used; no maxmemory{f', {_mb(of)} in the machine' if of else ''}")
    share = used / most
    level = "problem" if share > _FULL else "note" if share > _FILLING else "ok"
    remedy = "give it more memory, give sessions a ttl, or delete some" if share > _FILLING else ""
    return Finding("memory", level, f"{_mb(used)} of {_mb(most)} used ({share:.0%})", remedy)  # type: ignore[arg-type]


def replication(info: Info, wait_replicas: int, *, clustered: bool = False) -> list[Finding]:
    """Whether the server takes writes, and what a failover may lose."""
    role, replicas = info.get("role"), int(info.get("connected_slaves", 0))
    if role == "slave":
        if clustered:
            return []  # it stands in for its primary
        found = f"this is a replica of {info.get('master_host')}:{info.get('master_port')}: it takes no writes"
        return [Finding("replication", "problem", found, "name the primary, or use redis+sentinel://")]
    if role is None:
        return [Finding("replication", "note", "the server does not tell its replicas", _INFO_REMEDY)]
    if not replicas:
        if wait_replicas:
            found = f"commits wait for {wait_replicas} replicas, and there are none: each is in doubt"
            return [Finding("replication", "problem", found, "start them, or leave out wait_replicas")]
        return [Finding("replication", "ok", "a primary without replicas")]
    shown = f"a primary with {replicas} replica{'s' if replicas > 1 else ''}"
    if wait_replicas > replicas:
        found = f"{shown}, and commits wait for {wait_replicas}: each is in doubt"
        return [Finding("replication", "problem", found, "start more, or lower wait_replicas")]
    if not wait_replicas:
        found = f"{shown}, which commits do not wait for: a failover may lose the last ones"
        return [Finding("replication", "note", found, "agents that live write them again; to wait: ?wait_replicas=1")]
    return [Finding("replication", "ok", f"{shown}; commits wait for {wait_replicas}")]


def cluster(infos: Sequence[Info]) -> list[Finding]:
    """Whether a Cluster serves all slots, as its nodes tell (CLUSTER INFO)."""
    states = {str(info["cluster_state"]) for info in infos if "cluster_state" in info}
    nodes = f"{len(infos)} nodes, {sum(info.get('role') == 'master' for info in infos)} of them primaries"
    if not states:
        return [Finding("cluster", "note", f"{nodes}; its state is not told to this user", _INFO_REMEDY)]
    if states != {"ok"}:
        return [
            Finding("cluster", "problem", f"{nodes}; some slots are not served", "redis-cli --cluster check HOST:PORT")
        ]
    return [Finding("cluster", "ok", f"{nodes}; all slots are served")]


# ------------------------------------------------------------------------------------------------------------- private


def _ask(client: Any) -> tuple[Info, Info, float | None]:
    """INFO, some of the configuration, and how far the server's clock is ahead; of each what this user may see."""
    info: dict[str, Any] = {}
    for section in _SECTIONS:
        info |= _plain(_allowed(lambda section=section: client.info(section)) or {})  # type: ignore[misc]
    if info.get("cluster_enabled"):
        info |= _plain(_allowed(lambda: client.execute_command("CLUSTER INFO")) or {})
    config = _plain(_allowed(lambda: client.config_get("save")) or {})
    config |= _plain(_allowed(lambda: client.config_get("appendfsync")) or {})
    sent = time.time()
    told = _allowed(client.time)
    received = time.time()
    ahead = None if told is None else int(told[0]) + int(told[1]) / 1e6 - (sent + received) / 2
    return info, config, ahead


def _allowed(call: Callable[[], Any]) -> Any:
    """The answer; None where this user may not ask, or the server knows no such question.

    Raises:
        exceptions.ConnectionError, exceptions.TimeoutError, OSError
    """
    try:
        return call()
    except exceptions.ResponseError as error:
        if code_of(error) in ("NOAUTH", "LOADING"):
            raise
        return None


def _plain(told: Any) -> dict[str, Any]:
    """A mapping of texts, whatever the client's decoding makes of it."""
    if isinstance(told, bytes):
        told = told.decode("utf-8", "replace")
    if isinstance(told, str):
        told = dict(line.split(":", 1) for line in told.split("\r\n") if ":" in line)
    return {_text(name): _text(value) if isinstance(value, bytes) else value for name, value in told.items()}


def _text(found: Any) -> str:
    return found.decode("utf-8", "replace") if isinstance(found, bytes) else str(found)


def _watched(client: Any) -> bool:
    return isinstance(client.connection_pool, sentinel.SentinelConnectionPool)


def _sentinels(client: Any) -> Finding:
    """How many Sentinels watch the primary, and whether they could decide on a failover."""
    pool: Any = client.connection_pool
    answered = 0
    needed = 1
    for one in pool.sentinel_manager.sentinels:
        try:
            told = one.sentinel_masters()[pool.service_name]
        except (exceptions.RedisError, KeyError, OSError):
            continue
        answered, needed = answered + 1, max(needed, int(told["quorum"]))
        known = int(told["num-other-sentinels"]) + 1
        if known >= needed:
            return Finding("sentinel", "ok", f"{known} of them, of whom {needed} have to agree on a failover")
    if not answered:
        return Finding(
            "sentinel", "problem", "none of the Sentinels answers", "start them; without any there is no failover"
        )
    return Finding("sentinel", "problem", f"too few Sentinels: {needed} have to agree on a failover", "start more")


def _mb(count: int) -> str:
    return f"{count / 10**6:,.0f} MB"
