"""Sessions: listed, made, read, changed, deleted; their tree, forks, export."""

from __future__ import annotations

import os
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from starlette.background import BackgroundTask
from starlette.responses import FileResponse

from ..errors import ConflictError, SessionNotFoundError
from ..sessions.checks import UNSET
from ..sessions.shapes import Overview
from . import shapes, views
from .asked import (
    LOCATION,
    SESSION,
    SESSIONS,
    Active,
    CreatedAfter,
    CreatedBefore,
    Cursor,
    Ids,
    IfMatch,
    IgnoreCase,
    Owner,
    PageNumber,
    PageSize,
    Service,
    SessionId,
    SortOrder,
    UpdatedAfter,
    UpdatedBefore,
    located,
    offset_of,
    paged,
    revision,
)
from .problems import Problem, arguments, documented

router: Final = APIRouter(prefix=SESSIONS, tags=["sessions"])

ETAG: Final[dict[str, Any]] = {
    "ETag": {
        "description": "Of what can be changed of the session: its fields, not its messages. For If-Match.",
        "schema": {"type": "string"},
    }
}
ONE: Final[dict[int | str, dict[str, Any]]] = {200: {"headers": ETAG}}


def unix(moment: datetime | None) -> float | None:
    """A time without a zone is in UTC."""
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


@router.get("", summary="List sessions", responses=documented())
async def list_sessions(
    request: Request,
    response: Response,
    sessions: Service,
    owner: Owner,
    ids: Ids = None,
    search: Annotated[
        str | None, Query(alias="searchString", max_length=1000, description="In session_name and description.")
    ] = None,
    ignore_case: IgnoreCase = True,
    created_after: CreatedAfter = None,
    created_before: CreatedBefore = None,
    updated_after: UpdatedAfter = None,
    updated_before: UpdatedBefore = None,
    is_active: Active = None,
    kind: Annotated[shapes.Kind | None, Query(description="Only those of this kind.")] = None,
    parent_id: Annotated[shapes.Id | None, Query(alias="parentId", description="Only those directly below it.")] = None,
    order_by: Annotated[
        Literal["created_at", "updated_at"],
        Query(alias="orderBy", description="updated_at: by the last message or change, to within a minute."),
    ] = "created_at",
    sort_order: SortOrder = "desc",
    page: PageNumber = None,
    size: PageSize = 20,
    cursor: Cursor = None,
) -> shapes.Page[shapes.SessionTold]:
    """Newest first. A page by its number counts them all, and costs looking at those before it; one by `cursor` costs
    what it shows, and neither loses nor doubles a session that did not change meanwhile."""
    offset = offset_of(page, size, cursor)
    with arguments():
        found = await sessions.list(
            owner,
            parent_id=parent_id,
            active=is_active,
            kind=kind,
            ids=ids,
            text=search or None,
            ignore_case=ignore_case,
            created_after=unix(created_after),
            created_before=unix(created_before),
            updated_after=unix(updated_after),
            updated_before=unix(updated_before),
            order="updated" if order_by == "updated_at" else "created",
            descending=sort_order == "desc",
            limit=size,
            cursor=cursor,
            offset=offset,
        )
    items = [views.listed(one) for one in found.sessions]
    return paged(request, response, items, size, offset=offset, total=found.total, next=found.cursor, exact=found.exact)


@router.post(
    "",
    status_code=201,
    summary="Make a session",
    responses={201: {"headers": ETAG | LOCATION}, **documented(404, 409, 413)},
)
async def create_session(
    sent: shapes.NewSession, request: Request, response: Response, sessions: Service, owner: Owner
) -> shapes.SessionTold:
    with arguments():
        made = await sessions.create(
            sent.session_id,
            owner,
            title=sent.session_name,
            description=sent.description,
            agent_name=sent.agent_name,
            agent_instructions=sent.agent_instructions,
            kind=sent.kind,
            parent_id=sent.parent_id,
            metadata=sent.metadata,
            expires_in=sent.expires_in,
        )
    located(request, response, made.session_id)
    return _told(await sessions.get(made.session_id, owner), response)


@router.get(SESSION, summary="A session", responses={**ONE, **documented(404)})
async def get_session(session_id: SessionId, response: Response, sessions: Service, owner: Owner) -> shapes.SessionTold:
    return _told(await sessions.get(session_id, owner), response)


@router.patch(SESSION, summary="Change a session", responses={**ONE, **documented(404, 409, 412, 413)})
async def change_session(
    session_id: SessionId,
    sent: shapes.SessionChange,
    response: Response,
    sessions: Service,
    owner: Owner,
    if_match: IfMatch = None,
) -> shapes.SessionTold:
    names = {"session_name": "title", "is_active": "active"}
    given = {names.get(name, name): getattr(sent, name) for name in sent.model_fields_set}
    return await _updated(session_id, response, sessions, owner, if_match, given)


@router.put(f"{SESSION}/activate", summary="Mark as active", responses={**ONE, **documented(404, 409, 412)})
async def activate_session(
    session_id: SessionId, response: Response, sessions: Service, owner: Owner, if_match: IfMatch = None
) -> shapes.SessionTold:
    return await _updated(session_id, response, sessions, owner, if_match, {"active": True})


@router.put(f"{SESSION}/deactivate", summary="Mark as inactive", responses={**ONE, **documented(404, 409, 412)})
async def deactivate_session(
    session_id: SessionId, response: Response, sessions: Service, owner: Owner, if_match: IfMatch = None
) -> shapes.SessionTold:
    """No agent answers in a session that is inactive."""
    return await _updated(session_id, response, sessions, owner, if_match, {"active": False})


@router.delete(
    SESSION, status_code=204, response_class=Response, summary="Delete a session", responses=documented(404, 409, 412)
)
async def delete_session(
    session_id: SessionId,
    sessions: Service,
    owner: Owner,
    if_match: IfMatch = None,
    children: Annotated[
        Literal["refuse", "cascade", "detach"],
        Query(description="What happens when there are others below it: 409, delete them too, or leave them alone."),
    ] = "refuse",
) -> None:
    """Erases it whole: messages, state, runs, events."""
    if if_match is not None:
        # looked at before, not with it: what is changed in between is deleted as well
        _expect(await sessions.get(session_id, owner), if_match)
    gone = await sessions.delete(session_id, owner, children=children)
    if not gone.existed:
        raise SessionNotFoundError(f"there is no session {session_id!r}")


@router.get(f"{SESSION}/tree", summary="A session and all below it", responses=documented(404))
async def session_tree(session_id: SessionId, sessions: Service, owner: Owner) -> shapes.TreeTold:
    """Costs a listing for each session in it."""
    return shapes.TreeTold(items=[views.node(one) for one in await sessions.tree(session_id, owner)])


@router.post(
    f"{SESSION}/fork",
    status_code=201,
    summary="A new session that goes on from here",
    responses={201: {"headers": ETAG | LOCATION}, **documented(404, 409, 413)},
)
async def fork_session(
    session_id: SessionId, sent: shapes.Fork, request: Request, response: Response, sessions: Service, owner: Owner
) -> shapes.SessionTold:
    """It hangs below the session, and has what the session had right after a message; what that took stays there."""
    title = sent.session_name if "session_name" in sent.model_fields_set else UNSET
    with arguments():
        made = await sessions.fork(session_id, owner, at=sent.at, new_id=sent.session_id, title=title)
    located(request, response, made.session_id, up=2)
    return _told(await sessions.get(made.session_id, owner), response)


@router.get(
    f"{SESSION}/export",
    summary="A session as a file",
    response_class=FileResponse,
    responses={
        200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}, "description": "JSON lines."},
        **documented(404),
    },
)
async def export_session(session_id: SessionId, sessions: Service, owner: Owner) -> FileResponse:
    """An archive that `strands-session import` reads; verified by digests."""
    folder = tempfile.mkdtemp(prefix="strands-session-")
    path = Path(folder, "session.jsonl")

    def remove() -> None:
        path.unlink(missing_ok=True)
        os.rmdir(folder)

    try:
        await sessions.archive.export(path, owner, ids=[session_id])
    except BaseException:
        remove()
        raise
    return FileResponse(
        path, media_type="application/x-ndjson", filename="session.jsonl", background=BackgroundTask(remove)
    )


# ------------------------------------------------------------------------------------------------------------- private


async def _updated(
    session_id: str,
    response: Response,
    sessions: Service,
    owner: str | None,
    if_match: str | None,
    given: dict[str, Any],
) -> shapes.SessionTold:
    expected = revision(if_match)
    try:
        with arguments():
            await sessions.update(session_id, owner, expected=expected, **given)
    except ConflictError as error:
        if expected is None:
            raise
        raise Problem(412, "the session was changed since; get it again") from error
    return _told(await sessions.get(session_id, owner), response)


def _expect(found: Overview, if_match: str) -> None:
    expected = revision(if_match)
    if expected not in (None, found.revision):
        raise Problem(412, "the session was changed since; get it again")


def _told(found: Overview, response: Response) -> shapes.SessionTold:
    if found.revision is not None:
        response.headers["ETag"] = f'"{found.revision}"'
    return views.session(found)
