"""No authentication, for one's own machine: everybody is an administrator, so nobody else may be let in.

Rule. A request is refused that does not come from this machine, came through a proxy, or was made by a web page of
      another site: its name for this machine is not one of the machine's own (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Final

from starlette.requests import Request

from .callers import Caller, Refused

_PROXIED: Final = re.compile("forwarded|x-forwarded-.*|x-real-ip|via")


class NoAuth:
    """Everybody on this machine."""

    schemes: Final[dict[str, Any]] = {}

    def __init__(self, user_id: str | None = None) -> None:
        """``user_id``: whose sessions are made and found where a request names no other; None: those without owner."""
        self._caller = Caller(user_id, admin=True)

    def __call__(self, request: Request) -> Caller:
        host = "" if request.client is None else request.client.host
        if not is_loopback(host) or any(map(_PROXIED.fullmatch, request.headers)):
            raise Refused("without authentication only this machine is served; have the server tell its callers")
        if not is_loopback(_host(request.headers.get("host", ""))):
            raise Refused("without authentication the server is to be called localhost, 127.0.0.1 or [::1]")
        if not is_loopback(_host(request.headers.get("origin", "http://localhost").partition("://")[2])):
            raise Refused("without authentication no web page of another site is served")
        return self._caller


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine's own, for itself alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _host(header: str) -> str:
    """Without a port."""
    return header[: header.find("]") + 1] if header.startswith("[") else header.partition(":")[0]
