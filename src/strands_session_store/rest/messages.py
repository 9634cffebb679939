"""The messages of a session, its ended segments' among them: listed, added, read, changed, taken away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from .. import records
from ..sessions.searching import texts
from . import shapes, views
from .asked import (
    LOCATION,
    SESSION,
    SESSIONS,
    AgentId,
    CreatedAfter,
    CreatedBefore,
    Cursor,
    Ids,
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
)
from .paths import ID
from .problems import arguments, documented
from .sessions import unix

router: Final = APIRouter(prefix=SESSIONS, tags=["messages"])

MESSAGE: Final = f"{SESSION}/messages/{{message_id:{ID}}}"
MessageId = Annotated[
    str,
    Path(
        min_length=1,
        max_length=shapes.MAX_ID,
        pattern=shapes.NO_CONTROL,
        description="Of the message.",
        examples=["q-1"],
    ),
]
WithBlocks = Annotated[bool, Query(alias="withBlocks", description="With their content as Strands has it.")]


@router.get(f"{SESSION}/messages", summary="List messages", responses=documented(404))
async def list_messages(
    session_id: SessionId,
    request: Request,
    response: Response,
    sessions: Service,
    owner: Owner,
    agent_id: AgentId = "default",
    ids: Ids = None,
    role: Annotated[shapes.Role | None, Query(description="Only those of this role.")] = None,
    search: Annotated[
        str | None,
        Query(alias="searchString", max_length=1000, description="In texts, and in what tools were given and gave."),
    ] = None,
    ignore_case: IgnoreCase = True,
    created_after: CreatedAfter = None,
    created_before: CreatedBefore = None,
    updated_after: UpdatedAfter = None,
    updated_before: UpdatedBefore = None,
    order_by: Annotated[
        Literal["created_at"], Query(alias="orderBy", description="As they were said; there is no other order.")
    ] = "created_at",
    sort_order: SortOrder = "asc",
    page: PageNumber = None,
    size: PageSize = 50,
    cursor: Cursor = None,
    blocks: WithBlocks = False,
) -> shapes.Page[shapes.MessageTold]:
    """Oldest first. With a filter one call looks at 10,000 messages; `next` goes on."""
    offset = offset_of(page, size, cursor)
    created, updated = (unix(created_after), unix(created_before)), (unix(updated_after), unix(updated_before))
    matching = _matching(ids, role, search or None, ignore_case, created, updated)
    with arguments():
        found = await sessions.messages.list(
            session_id,
            owner,
            agent_id=agent_id,
            matching=matching,
            descending=sort_order == "desc",
            limit=size,
            offset=offset,
            cursor=cursor,
        )
    items = [views.message(one.index, one.entry, session_id, blocks=blocks) for one in found.messages]
    return paged(request, response, items, size, offset=offset, total=found.total, next=found.cursor, exact=found.exact)


@router.post(
    f"{SESSION}/messages",
    status_code=201,
    summary="Add a message",
    responses={201: {"headers": LOCATION}, **documented(404, 409, 413)},
)
async def add_message(
    session_id: SessionId,
    sent: shapes.Message,
    request: Request,
    response: Response,
    sessions: Service,
    owner: Owner,
    agent_id: AgentId = "default",
) -> shapes.MessageTold:
    """Puts it behind what was said; no agent answers. An agent that goes on in the session knows it."""
    with arguments():
        (said,) = await sessions.messages.append(session_id, views.sent(sent), owner, agent_id=agent_id)
    told = views.message(said.index, said.entry, session_id, blocks=False)
    located(request, response, told.message_id)
    return told


@router.get(MESSAGE, summary="A message", responses=documented(404))
async def get_message(
    session_id: SessionId,
    message_id: MessageId,
    sessions: Service,
    owner: Owner,
    agent_id: AgentId = "default",
    blocks: WithBlocks = False,
) -> shapes.MessageTold:
    """It is looked for from the end: the further back it is, the more it costs."""
    said = await sessions.messages.get(session_id, message_id, owner, agent_id=agent_id)
    return views.message(said.index, said.entry, session_id, blocks=blocks)


@router.patch(MESSAGE, summary="Change a message", responses=documented(404, 409, 413))
async def change_message(
    session_id: SessionId,
    message_id: MessageId,
    sent: shapes.MessageChange,
    sessions: Service,
    owner: Owner,
    agent_id: AgentId = "default",
) -> shapes.MessageTold:
    """Two steps where both are given; interrupted between them, it can be repeated."""
    with arguments():
        if sent.content is not None:
            await sessions.messages.redact(session_id, message_id, owner, text=sent.content, agent_id=agent_id)
        if sent.extra_data:
            await sessions.messages.edit_metadata(
                session_id, message_id, views.extra_sent(sent.extra_data), owner, agent_id=agent_id
            )
    said = await sessions.messages.get(session_id, message_id, owner, agent_id=agent_id)
    return views.message(said.index, said.entry, session_id, blocks=False)


@router.delete(
    MESSAGE, status_code=204, response_class=Response, summary="Take a message away", responses=documented(404, 409)
)
async def delete_message(
    session_id: SessionId, message_id: MessageId, sessions: Service, owner: Owner, agent_id: AgentId = "default"
) -> None:
    """Erases what it said, in history and context. What it cost stays counted."""
    await sessions.messages.remove(session_id, message_id, owner, agent_id=agent_id)


@router.delete(f"{SESSION}/clear-messages", summary="Take all messages away", responses=documented(404, 409))
async def clear_messages(
    session_id: SessionId,
    sessions: Service,
    owner: Owner,
    agent_id: Annotated[
        str | None,
        Query(
            alias="agentId",
            min_length=1,
            max_length=shapes.MAX_ID,
            pattern=shapes.NO_CONTROL,
            description="Only this agent's; without it those of all.",
        ),
    ] = None,
) -> shapes.Deleted:
    return shapes.Deleted(deleted_count=await sessions.messages.clear(session_id, owner, agent_id=agent_id))


def _matching(
    ids: list[str] | None,
    role: str | None,
    text: str | None,
    ignore_case: bool,
    created: tuple[float | None, float | None],
    updated: tuple[float | None, float | None],
) -> Callable[[records.Message], bool] | None:
    """Which messages are wanted; None: all."""
    if (ids, role, text, *created, *updated) == (None,) * 7:
        return None
    wanted = None if ids is None else frozenset(ids)
    looked_for = text.casefold() if text is not None and ignore_case else text

    def matches(entry: records.Message) -> bool:
        if wanted is not None and entry.tracking_id not in wanted:
            return False
        if role is not None and views.role(entry.message) != role:
            return False
        if not _within(entry.at, created) or not _within(entry.redacted or entry.at, updated):
            return False
        if looked_for is None:
            return True
        said = texts(entry.message)
        return any(looked_for in (one.casefold() if ignore_case else one) for one in said)

    return matches


def _within(at: float | None, bounds: tuple[float | None, float | None]) -> bool:
    after, before = bounds
    if at is None:
        return bounds == (None, None)
    return (after is None or at >= after) and (before is None or at < before)
