"""Who calls: an `Auth` looks at a request and says whose it is, or refuses it.

Rule 1. What a caller may see is decided by the service, which is asked for the caller's own sessions and no others. An
        administrator may name another user.
Rule 2. A refusal says what is missing, never what would have been right.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from starlette.requests import Request

from .. import ids
from ..errors import InvalidIdError

ADMIN: Final = "admin"
"""The scope of those who may name other users, list them all, and read what they took."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever made a request."""

    user_id: str | None
    """Owner of the sessions that are made and found; None: those without an owner."""
    admin: bool = False
    """Whether other users' may be named (``?user_id=``)."""


class Refused(Exception):
    """A request that is nobody's: answered by 401.

    Attributes:
        why: For the caller; names no secret.
    """

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


Auth: TypeAlias = Callable[[Request], "Caller | Awaitable[Caller]"]
"""Says who made a request, at once or awaited. Raises `Refused` where nobody did that it knows."""


async def called(auth: Auth, request: Request) -> Caller:
    """Who made the request.

    Raises:
        Refused: Nobody that ``auth`` knows, or its user id is none.
    """
    found = auth(request)
    caller = await found if inspect.isawaitable(found) else found
    if not isinstance(caller, Caller):
        raise TypeError(f"auth must return a rest.Caller, got {type(caller).__name__}")
    if caller.user_id is not None:
        try:
            ids.check("user_id", caller.user_id)
        except InvalidIdError as error:
            raise Refused(f"the credentials name no usable user: {error}") from None
    return caller


def bearer(request: Request) -> str:
    """The token of ``Authorization: Bearer ...``.

    Raises:
        Refused: There is none.
    """
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise Refused("send your token as 'Authorization: Bearer <token>'")
    return token.strip()
