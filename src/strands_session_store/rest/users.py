"""Users: records of those who own sessions. Each may see, change and erase their own; the others are for
administrators."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Request, Response

from ..errors import UserNotFoundError
from . import shapes, views
from .asked import (
    LOCATION,
    Active,
    Administrator,
    Calling,
    Cursor,
    PageNumber,
    PageSize,
    Service,
    located,
    offset_of,
    paged,
)
from .paths import ID
from .problems import Problem, arguments, documented

router: Final = APIRouter(prefix="/users", tags=["users"])

USER: Final = f"/{{user_id:{ID}}}"


async def whose_record(
    caller: Calling,
    user_id: Annotated[
        str,
        Path(
            min_length=1,
            max_length=shapes.MAX_ID,
            pattern=shapes.NO_CONTROL,
            description="Of the user.",
            examples=["ada"],
        ),
    ],
) -> str:
    """
    Raises:
        Problem: Another user, for one who is no administrator.
    """
    if user_id != caller.user_id and not caller.admin:
        raise Problem(403, "other users are for those with the scope 'admin'")
    return user_id


Whose = Annotated[str, Depends(whose_record)]


@router.get("", summary="List users", responses=documented())
async def list_users(
    request: Request,
    response: Response,
    sessions: Service,
    admin: Administrator,
    is_active: Active = None,
    page: PageNumber = None,
    size: PageSize = 50,
    cursor: Cursor = None,
) -> shapes.Page[shapes.UserTold]:
    """Newest first. For administrators."""
    offset = offset_of(page, size, cursor)
    with arguments():
        found = await sessions.users.list(active=is_active, limit=size, cursor=cursor, offset=offset)
    items = [views.user(one) for one in found.users]
    return paged(request, response, items, size, offset=offset, total=found.total, next=found.cursor, exact=found.exact)


@router.post(
    "",
    status_code=201,
    summary="Make the record of a user",
    responses={201: {"headers": LOCATION}, **documented(409, 413)},
)
async def create_user(
    sent: shapes.NewUser, request: Request, response: Response, sessions: Service, caller: Calling
) -> shapes.UserTold:
    user_id = await whose_record(caller, sent.user_id)
    with arguments():
        made = await sessions.users.create(user_id, **sent.model_dump(exclude={"user_id"}))
    located(request, response, user_id)
    return views.user(made)


@router.get(USER, summary="A user", responses=documented(404))
async def get_user(whose: Whose, sessions: Service) -> shapes.UserTold:
    return views.user(await sessions.users.get(whose))


@router.patch(USER, summary="Change a user", responses=documented(404, 409, 413))
async def change_user(whose: Whose, sent: shapes.UserChange, sessions: Service) -> shapes.UserTold:
    given = {name: getattr(sent, name) for name in sent.model_fields_set}
    if "is_active" in given:
        given["active"] = given.pop("is_active")
    with arguments():
        return views.user(await sessions.users.update(whose, **given))


@router.delete(USER, summary="Erase a user", responses=documented(404))
async def erase_user(whose: Whose, sessions: Service) -> shapes.Erased:
    """Erases the record and every session with all that is in it. Interrupted, it can be repeated."""
    gone = await sessions.erase_user(whose)
    if not gone.existed:
        raise UserNotFoundError(f"there is no user {whose!r}, and no session of one")
    return shapes.Erased(sessions=list(gone.sessions), documents=gone.documents, entries=gone.entries, bytes=gone.bytes)
