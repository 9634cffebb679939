"""What routes ask of a request: the service, who calls, whose sessions are meant, and which page of a list.

Rule 1. Whose sessions are meant goes to the service as it is, for every call: it is the service that does not find what
        is another's. Here is only decided who may name somebody else.
Rule 2. What is asked for by ``Depends`` is a coroutine function, though it awaits nothing: FastAPI runs any other on a
        thread of its own, which costs more than all else that is done for a request here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias, TypeVar

from fastapi import Depends, Header, Path, Query, Request, Response

from ..async_sessions import AsyncSessions
from . import shapes
from .callers import Auth, Caller, called
from .conversing import Conversations
from .limits import Rate
from .paths import ID, shown
from .problems import Problem

T = TypeVar("T")

SESSIONS: Final = "/agent-sessions"
SESSION: Final = f"/{{session_id:{ID}}}"
"""Of routes below that."""


@dataclass(frozen=True)
class Face:
    """What an app is made of."""

    sessions: AsyncSessions
    auth: Auth
    rate: Rate
    conversations: Conversations | None
    """None: there is no agent to talk to."""


def face_of(request: Request) -> Face:
    face: Face = request.app.state.face
    return face


async def service(request: Request) -> AsyncSessions:
    return face_of(request).sessions


async def caller(request: Request) -> Caller:
    """
    Raises:
        Refused: Nobody that is known.
        Problem: It is one request too many.
    """
    face = face_of(request)
    found = await called(face.auth, request)
    request.state.user_id = found.user_id
    await face.rate.spend(found)
    return found


Calling: TypeAlias = Annotated[Caller, Depends(caller)]


async def owner(
    caller: Calling,
    user_id: Annotated[
        str | None,
        Query(max_length=shapes.MAX_ID, description="Whose; for administrators. Empty: the sessions without an owner."),
    ] = None,
) -> str | None:
    """Whose sessions are meant.

    Raises:
        Problem: Another user's, by one who is no administrator.
    """
    if user_id is None or user_id == caller.user_id:
        return caller.user_id
    if not caller.admin:
        raise Problem(403, "naming another user needs the scope 'admin'")
    return user_id or None


async def administrator(caller: Calling) -> Caller:
    """
    Raises:
        Problem: The caller is none.
    """
    if not caller.admin:
        raise Problem(403, "this needs the scope 'admin'")
    return caller


Service: TypeAlias = Annotated[AsyncSessions, Depends(service)]
Owner: TypeAlias = Annotated[str | None, Depends(owner)]
Administrator: TypeAlias = Annotated[Caller, Depends(administrator)]
SessionId: TypeAlias = Annotated[
    str, Path(min_length=1, max_length=shapes.MAX_ID, pattern=shapes.NO_CONTROL, description="Of the session.")
]
AgentId: TypeAlias = Annotated[
    str,
    Query(
        alias="agentId",
        min_length=1,
        max_length=shapes.MAX_ID,
        pattern=shapes.NO_CONTROL,
        description="Whose history, where a session has several agents.",
    ),
]
IfMatch: TypeAlias = Annotated[
    str | None, Header(alias="If-Match", description="The ETag that the session has to have still.")
]
PageNumber: TypeAlias = Annotated[
    int | None,
    Query(alias="currentPage", ge=1, le=shapes.MAX_PAGE_NUMBER, description="From 1 on. Not together with cursor."),
]
PageSize: TypeAlias = Annotated[int, Query(alias="pageSize", ge=1, le=shapes.MAX_PAGE_SIZE)]
Cursor: TypeAlias = Annotated[str | None, Query(max_length=2000, description="`next` of another page.")]


def offset_of(page: int | None, size: int, cursor: str | None) -> int | None:
    """How many entries come before a page; None: the cursor says where it is.

    Raises:
        Problem: Both do.
    """
    if cursor is not None and page is not None:
        raise Problem(422, "currentPage and cursor both say where the page is; give one of them")
    return None if cursor is not None else ((page or 1) - 1) * size


def paged(
    request: Request,
    response: Response,
    items: list[T],
    limit: int,
    *,
    offset: int | None,
    total: int | None,
    next: str | None,
    exact: bool = True,
) -> shapes.Page[T]:
    """A page, with a link to the next one in the answer's header."""
    if next is not None:
        url = request.url.remove_query_params("currentPage").include_query_params(cursor=next)
        response.headers["Link"] = f'<{shown(request.scope)}?{url.query}>; rel="next"'
    return shapes.Page(items=items, limit=limit, offset=offset, total=total, total_is_exact=exact, next=next)


def revision(etag: str | None) -> str | None:
    """Of an If-Match: None where it names none, as ``*`` does.

    Raises:
        Problem: It is no ETag of ours.
    """
    if etag is None or etag.strip() == "*":
        return None
    told = etag.strip()
    if not (len(told) > 2 and told[0] == told[-1] == '"'):
        raise Problem(412, "If-Match names no ETag that a session of this server had; get the session again")
    return told[1:-1]
