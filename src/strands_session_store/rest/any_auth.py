"""Callers by whichever of several ways they came."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from .callers import Auth, Caller, Refused, called


class AnyAuth:
    """The first of several that knows the caller."""

    def __init__(self, *auths: Auth) -> None:
        if not auths or not all(map(callable, auths)):
            raise ValueError(
                f"AnyAuth needs one or more ways to tell who calls, each of which is callable; got {auths!r:.80}"
            )
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
