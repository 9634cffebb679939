"""What else there is in a session: runs, events, what it took."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeVar

from fastapi import APIRouter, Query, Request, Response

from .. import records
from ..sessions.runs import Ended
from ..sessions.shapes import LogPage
from ..usage import Totals
from . import shapes, views
from .asked import SESSION, SESSIONS, Cursor, Owner, PageSize, Service, SessionId, paged
from .problems import arguments, documented

router: Final = APIRouter(prefix=SESSIONS, tags=["runs, events, usage"])

R = TypeVar("R", records.Run, records.Event)
By = Annotated[Literal["day", "model", "source"] | None, Query(description="Apart for each.")]
Day = Annotated[shapes.Day | None, Query(description="In UTC, itself counted.", examples=["2026-11-01"])]
OfAgent = Annotated[shapes.Id | None, Query(alias="agentId", description="Only of this agent.")]


@router.get(f"{SESSION}/runs", summary="Runs that have ended", responses=documented(404))
async def list_runs(
    session_id: SessionId,
    request: Request,
    response: Response,
    sessions: Service,
    owner: Owner,
    status: Annotated[Ended | None, Query(description="Only those that ended so.")] = None,
    agent_id: OfAgent = None,
    size: PageSize = 50,
    cursor: Cursor = None,
) -> shapes.Page[shapes.RunTold]:
    """The latest, oldest first; `next` goes further back."""
    found = await sessions.runs.list(session_id, owner, status=status, agent_id=agent_id, limit=size, cursor=cursor)
    items = [views.run(one) for one in found.entries.values()]
    filtered = (status, agent_id) != (None, None)
    return _page(request, response, items, size, found, filtered)


@router.get(f"{SESSION}/runs/active", summary="Runs that have not ended", responses=documented(404))
async def active_runs(session_id: SessionId, sessions: Service, owner: Owner) -> list[shapes.RunTold]:
    """Under way, or their process died."""
    return [views.run(one) for one in await sessions.runs.active(session_id, owner)]


@router.get(f"{SESSION}/events", summary="Events", responses=documented(404))
async def list_events(
    session_id: SessionId,
    request: Request,
    response: Response,
    sessions: Service,
    owner: Owner,
    type: Annotated[
        Literal["tool_call", "summary", "reference", "context_bridge", "custom", "rewind"] | None,
        Query(description="Only those of this type."),
    ] = None,
    source: Annotated[records.EventSource | None, Query(description="Only those that come from it.")] = None,
    run_id: Annotated[shapes.Id | None, Query(alias="runId", description="Only of this run.")] = None,
    agent_id: OfAgent = None,
    size: PageSize = 50,
    cursor: Cursor = None,
) -> shapes.Page[shapes.EventTold]:
    """The latest, oldest first; `next` goes further back."""
    found = await sessions.events.list(
        session_id, owner, type=type, source=source, run_id=run_id, agent_id=agent_id, limit=size, cursor=cursor
    )
    items = [views.event(one) for one in found.entries.values()]
    filtered = (type, source, run_id, agent_id) != (None,) * 4
    return _page(request, response, items, size, found, filtered)


@router.get(f"{SESSION}/usage", summary="What a session took", responses=documented(404))
async def session_usage(
    session_id: SessionId,
    sessions: Service,
    owner: Owner,
    by: By = None,
    subtree: Annotated[bool, Query(description="With all sessions below it.")] = False,
) -> shapes.UsageBy:
    usage = sessions.usage
    total = await (usage.subtree if subtree else usage.session)(session_id, owner)
    apart = None if by is None else await (usage.subtree_by if subtree else usage.session_by)(session_id, by, owner)
    return shapes.UsageBy(
        total=views.usage(total), by=None if apart is None else {name: views.usage(one) for name, one in apart.items()}
    )


everywhere: Final = APIRouter(tags=["runs, events, usage"])


@everywhere.get("/usage", summary="What all sessions of a user took", responses=documented())
async def user_usage(
    sessions: Service, owner: Owner, by: By = None, since: Day = None, until: Day = None
) -> shapes.UsageBy:
    """`since` and `until` are days in UTC; the total is of these days as well."""
    if by is None and (since, until) == (None, None):
        return shapes.UsageBy(total=views.usage(await sessions.usage.user(owner)), by=None)
    with arguments():
        first, last = (None if day is None else day.isoformat() for day in (since, until))
        apart = await sessions.usage.user_by(owner, by or "day", since=first, until=last)
    total = views.usage(sum(apart.values(), Totals()))
    told = None if by is None else {name: views.usage(one) for name, one in apart.items()}
    return shapes.UsageBy(total=total, by=told)


def _page(
    request: Request,
    response: Response,
    items: list[shapes.T],
    limit: int,
    found: LogPage[R],
    filtered: bool,
) -> shapes.Page[shapes.T]:
    first = None if filtered or not found.entries else min(found.entries)
    total = None if filtered else found.length - found.start
    return paged(request, response, items, limit, offset=first, total=total, next=found.older)
