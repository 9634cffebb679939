"""The only place where redis-py's errors become ours; and which of them are worth another try."""

from __future__ import annotations

import re
from typing import Final

from redis import exceptions, sentinel

from ...errors import Corrupt, InDoubt, StoreError, Unavailable

_CODE: Final = re.compile(r"-?([A-Z]{4,})\b")
_PASSING: Final = {
    "CLUSTERDOWN", "MOVED", "ASK", "READONLY", "MASTERDOWN", "BUSY", "NOREPLICAS", "UNBLOCKED"
}  # fmt: skip
"""Refusals that end by themselves: a start, a failover, a slot on its way, a long script of somebody else."""


class Cut(Exception):
    """No answer came. Never leaves the engine.

    Attributes:
        sent: Whether the request may have reached the server.
    """

    def __init__(self, cause: Exception, *, sent: bool) -> None:
        super().__init__(str(cause))
        self.cause, self.sent = cause, sent


def code_of(error: Exception) -> str:
    """The word a server's error begins with; also of classes of the client that cut it off, and of errors that a script
    met (which Redis 6 puts behind a sentence of its own)."""
    for kind, code in (
        (exceptions.AuthenticationError, "NOAUTH"),
        (exceptions.NoPermissionError, "NOPERM"),
        (exceptions.BusyLoadingError, "LOADING"),
        (exceptions.ReadOnlyError, "READONLY"),
        (exceptions.OutOfMemoryError, "OOM"),
        (exceptions.NoScriptError, "NOSCRIPT"),
        (exceptions.AskError, "ASK"),
        (exceptions.MovedError, "MOVED"),
        (exceptions.TryAgainError, "TRYAGAIN"),
        (exceptions.MasterDownError, "MASTERDOWN"),
        (exceptions.ClusterDownError, "CLUSTERDOWN"),
    ):
        if isinstance(error, kind):
            return code
    text = str(error)
    if "WRONGTYPE" in text:
        return "WRONGTYPE"
    if "user executing the script can't" in text:  # of a command in a script, which Redis 7 tells without a code
        return "NOPERM"
    words = _CODE.findall(text[:40]) or re.findall(r" -([A-Z]{4,}|OOM) ", text)
    if text.startswith("OOM") or "-OOM" in text:
        return "OOM"
    return words[0] if words else ""


def passing(error: Exception) -> bool:
    """Whether the server may take it when asked again."""
    return code_of(error) in _PASSING


def distrusted(error: Exception) -> bool:
    """Whether the server's certificate was refused."""
    return "CERTIFICATE_VERIFY_FAILED" in str(error)


def translate(error: Exception, key: bytes, *, doubt: bool) -> StoreError:
    """Ours for theirs, to be raised ``from`` it. ``doubt``: an earlier attempt of this commit may have been applied."""
    code = code_of(error)
    if code in ("NOAUTH", "WRONGPASS"):
        return StoreError("Redis refused the credentials; check user and password of the URL or the client")
    if code == "NOPERM":
        return StoreError(
            "Redis does not allow this user to do that; it needs EVAL, EVALSHA and the commands of our scripts "
            "(+@read +@write +@scripting +@connection; to read only: +@read +@connection +eval +evalsha +time) on the "
            "keys of the store's prefix"
        )
    if code == "WRONGTYPE":
        return Corrupt(key.decode("ascii", "replace"), "another kind of value is kept under this key")
    if code == "OOM":
        made = "Redis is out of memory (maxmemory) and takes no writes: give it more, or sessions a ttl, or drop some"
    elif code == "READONLY":
        made = "Redis answers as a read-only replica; name the primary, or use redis+sentinel:// or redis+cluster://"
    elif code == "LOADING":
        made = "Redis is starting and still loading its data; try again"
    elif distrusted(error):
        made = f"{_told(error)} If it is your own, name its authority: rediss://...?ssl_ca_certs=/path/ca.pem"
    elif isinstance(error, sentinel.MasterNotFoundError):
        made = (
            f"{_told(error)}: no Sentinel can be reached (and, with TLS, trusted), or none watches a primary so named"
        )
    elif isinstance(error, exceptions.TimeoutError | TimeoutError):
        made = "Redis did not answer in time"
    elif isinstance(error, exceptions.ConnectionError | OSError):
        made = f"Redis can not be reached: {_told(error)}"
    else:
        made = f"Redis refused: {_told(error)}"
    if doubt:
        return InDoubt(f"{made}. An earlier attempt got no answer, so the commit may have taken place; repeat it")
    return Unavailable(made)


def _told(error: Exception) -> str:
    # behind " : " redis-py lists the Sentinels, each with all its options
    return str(error).partition(" : <")[0][:200]
