"""Callers by whichever of several ways they came."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from .callers import Auth, Caller, Refused, called


class AnyAuth:
    """The first of several that knows the caller."""

    def __init__(self, *auths: Auth) -> None:
        if not auths:
            raise ValueError("AnyAuth needs at least one way to tell who calls")
        self._auths = auths
        self.schemes: dict[str, Any] = {}
        for auth in auths:
            self.schemes |= getattr(auth, "schemes", {})

    async def __call__(self, request: Request) -> Caller:
        refused: list[str] = []
        for auth in self._auths:
            try:
                return await called(auth, request)
            except Refused as error:
                refused.append(error.why)
        raise Refused("; ".join(dict.fromkeys(refused)))
