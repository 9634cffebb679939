"""What routes ask of a request: the service, who calls, whose sessions are meant, and which page of a list.

Rule 1. Whose sessions are meant goes to the service as it is, for every call: it is the service that does not find what
        is another's. Here is only decided who may name somebody else.
Rule 2. What is asked for by ``Depends`` is a coroutine function, though it awaits nothing: FastAPI runs any other on a
        thread of its own, which costs more than all else that is done for a request here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Header, Path, Query, Request, Response

from ..async_sessions import AsyncSessions
from . import shapes
from .callers import Auth, Caller, called
from .conversing import Conversations
from .limits import Rate
from .openapi import Document
from .paths import ID, segment, shown
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
    document: Document
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


async def known(request: Request, caller: Calling) -> None:
    """Whether the query says only what is understood: a filter whose name is misspelled would be none.

    Raises:
        Problem: It does not.
    """
    if request.query_params:
        names = set(_queried(request.scope["route"].dependant))
        for name in request.query_params:
            if name not in names:
                told = f"there is no such parameter; there is {', '.join(sorted(names)) or 'none'}"
                error = {"loc": ["query", name], "msg": told, "type": "extra_forbidden"}
                raise Problem(422, f"query.{name:.80}: {told}", errors=[error])


def _queried(dependant: Any) -> Iterator[str]:
    """The parameters that a query may have."""
    yield from (one.alias for one in dependant.query_params)
    for below in dependant.dependencies:
        yield from _queried(below)


async def owner(
    caller: Calling,
    user_id: Annotated[
        str | None,
        Query(
            max_length=shapes.MAX_ID,
            pattern=shapes.NO_CONTROL.replace("+", "*"),
            description="Whose; for administrators. Empty: the sessions without an owner.",
            examples=["ada"],
        ),
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
    str,
    Path(
        min_length=1,
        max_length=shapes.MAX_ID,
        pattern=shapes.NO_CONTROL,
        description="Of the session.",
        examples=["trip-1"],
    ),
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
_AT: Final = "2026-11-01T12:00:00Z"
CreatedAfter: TypeAlias = Annotated[
    shapes.Moment | None, Query(alias="createdAfter", description="At this time or later.", examples=[_AT])
]
CreatedBefore: TypeAlias = Annotated[
    shapes.Moment | None, Query(alias="createdBefore", description="Earlier than this.", examples=[_AT])
]
UpdatedAfter: TypeAlias = Annotated[
    shapes.Moment | None, Query(alias="updatedAfter", description="At this time or later.", examples=[_AT])
]
UpdatedBefore: TypeAlias = Annotated[
    shapes.Moment | None, Query(alias="updatedBefore", description="Earlier than this.", examples=[_AT])
]
Ids: TypeAlias = Annotated[
    list[shapes.Id] | None, Query(max_length=1000, description="Only these; given several times, as `ids=a&ids=b`.")
]
IfMatch: TypeAlias = Annotated[
    str | None, Header(alias="If-Match", description="The ETag that the session has to have still.")
]
PageNumber: TypeAlias = Annotated[
    int | None,
    Query(alias="currentPage", ge=1, le=shapes.MAX_PAGE_NUMBER, description="From 1 on. Not together with cursor."),
]
PageSize: TypeAlias = Annotated[
    int, Query(alias="pageSize", ge=1, le=shapes.MAX_PAGE_SIZE, description="How many there are on a page at most.")
]
IgnoreCase: TypeAlias = Annotated[
    bool, Query(alias="searchIgnoreCase", description="Whether searchString means capitals as well as small letters.")
]
SortOrder: TypeAlias = Annotated[
    Literal["asc", "desc"], Query(alias="sortOrder", description="Oldest first, or newest first.")
]
Active: TypeAlias = Annotated[
    bool | None, Query(alias="isActive", description="Only those that are active, or that are not.")
]
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
        others = [one for one in request.query_params.multi_items() if one[0] not in ("currentPage", "cursor")]
        query = urlencode([*others, ("cursor", next)])
        response.headers["Link"] = f'<{shown(request.scope)}?{query}>; rel="next"'
    return shapes.Page(items=items, limit=limit, offset=offset, total=total, total_is_exact=exact, next=next)


LOCATION: Final[dict[str, Any]] = {"Location": {"description": "Where it is.", "schema": {"type": "string"}}}


def located(request: Request, response: Response, id: str, *, up: int = 0) -> None:
    """Say where what was made is: below the request's path, or one that is further up, for whom the request was."""
    above = shown(request.scope).split("/")
    path = "/".join([*above[: len(above) - up], segment(id)])
    named = [one for one in request.query_params.multi_items() if one[0] in ("user_id", "agentId")]
    response.headers["Location"] = f"{path}?{urlencode(named)}" if named else path


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
