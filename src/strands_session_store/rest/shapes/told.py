"""What is answered. What is not known is null, never zero; money is a text, exact to the last digit; times in UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from .common import Role

T = TypeVar("T")


def _like(*examples: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [*examples]})


_AT: Final = "2026-11-01T12:00:00.250000Z"
_LATER: Final = "2026-11-01T12:00:07.500000Z"
_USAGE: Final = {
    "input_tokens": 412,
    "output_tokens": 96,
    "cache_read_input_tokens": 0,
    "cache_write_input_tokens": 0,
    "calls": 2,
    "estimated_calls": 0,
    "unpriced_calls": 0,
    "cost": "0.00125",
    "known_cost": "0.00125",
}
_SESSION: Final[dict[str, Any]] = {
    "session_id": "trip-1",
    "session_uuid": "0d5c8a53-2a55-5d6e-8f3e-6f0f7a1f3c55",
    "user_id": "ada",
    "session_name": "A week in Lisbon",
    "description": None,
    "agent_name": "guide",
    "agent_instructions": "Be brief.",
    "is_active": True,
    "kind": "session",
    "parent_id": None,
    "created_at": _AT,
    "updated_at": _LATER,
    "expires_at": None,
    "messages_count": 2,
    "runs_count": 1,
    "usage": _USAGE,
    "is_busy": False,
}


class Page(BaseModel, Generic[T]):
    """A part of a list."""

    items: list[T]
    limit: int = Field(description="pageSize: how many there are at most.")
    offset: int | None = Field(description="How many come before; null where it was asked for by a cursor.")
    total: int | None = Field(description="How many there are in all; null where it was not counted.")
    total_is_exact: bool = Field(True, description="False: there are more than `total`; counting stopped there.")
    next: str | None = Field(description="`cursor` of the next page; null: this is the last one.")


class UsageTold(BaseModel):
    """What model calls took."""

    model_config = _like(_USAGE)

    input_tokens: int = Field(description="All that models were given, with what came from a cache or went into one.")
    output_tokens: int
    cache_read_input_tokens: int = Field(description="Of the input tokens.")
    cache_write_input_tokens: int = Field(description="Of the input tokens.")
    calls: int
    estimated_calls: int = Field(description="Calls whose tokens were estimated, as the model had reported none.")
    unpriced_calls: int = Field(description="Calls whose price is not known.")
    cost: str | None = Field(description="Dollars; null where the price of a call is not known.", examples=["0.00125"])
    known_cost: str = Field(description="Dollars of the calls whose price is known.", examples=["0.00125"])


class SessionTold(BaseModel):
    model_config = _like(_SESSION)

    session_id: str
    session_uuid: str = Field(description="Another one for each life: a session made again under an id has a new one.")
    user_id: str | None
    session_name: str | None
    description: str | None
    agent_name: str | None
    agent_instructions: str | None = Field(description="Null in lists.")
    is_active: bool
    kind: str
    parent_id: str | None
    created_at: datetime
    updated_at: datetime = Field(description="In lists of the last message or change, to within a minute.")
    expires_at: datetime | None = Field(description="Null: never; and in lists.")
    messages_count: int = Field(description="Of the segment that goes on, where it is a conversation in segments.")
    runs_count: int
    usage: UsageTold
    is_busy: bool | None = Field(description="Whether somebody has it to themselves now; null in lists.")


class NodeTold(SessionTold):
    model_config = _like(_SESSION | {"depth": 0})

    depth: int = Field(description="0 for the session that was asked for.")


class TreeTold(BaseModel):
    """A session and all below it, each followed by what hangs below it."""

    model_config = _like({"items": [_SESSION | {"depth": 0}]})

    items: list[NodeTold]


class ToolCallTold(BaseModel):
    id: str
    name: str
    input: Any


class MessageTold(BaseModel):
    model_config = _like(
        {
            "message_id": "q-1",
            "session_id": "trip-1",
            "index": 0,
            "role": "user",
            "content": "Where is the tram?",
            "tool_calls": [],
            "tool_call_id": None,
            "tool_name": None,
            "tool_status": None,
            "extra_data": {"stars": 5},
            "is_redacted": False,
            "created_at": _AT,
            "updated_at": _AT,
            "blocks": None,
        }
    )

    message_id: str
    session_id: str = Field(description="Of the session that was asked for.")
    index: int = Field(description="In all that was said, those removed counted.")
    role: Role
    content: str = Field(description="Its texts; of a tool's result what it gave. Empty where it has none.")
    tool_calls: list[ToolCallTold]
    tool_call_id: str | None
    tool_name: str | None
    tool_status: Literal["success", "error"] | None
    extra_data: dict[str, Any] | None
    is_redacted: bool
    created_at: datetime | None
    updated_at: datetime | None
    blocks: list[Any] | None = Field(
        description="With withBlocks=true: its content as Strands has it, bytes in Base64."
    )


class Deleted(BaseModel):
    model_config = _like({"deleted_count": 2})

    deleted_count: int


class InterruptTold(BaseModel):
    id: str
    name: str
    reason: Any


class Answer(BaseModel):
    model_config = _like(
        {
            "session_id": "trip-1",
            "session_uuid": _SESSION["session_uuid"],
            "response": "By the river.",
            "messages_count": 2,
            "session_active": True,
            "prompt_id": "q-1",
            "message_id": "8f14e45f-ceea-467f-9a1c-4a1b1d2e3c4d",
            "stop_reason": "end_turn",
            "interrupts": [],
        }
    )

    session_id: str
    session_uuid: str
    response: str = Field(description="What the agent answered.")
    messages_count: int = Field(description="In all that was said, now.")
    session_active: bool
    prompt_id: str = Field(description="Id of the message that was answered.")
    message_id: str | None = Field(description="Id of the answer.")
    stop_reason: str | None = Field(
        description="Why the agent stopped: end_turn, max_tokens, interrupt ...; null: not known any more."
    )
    interrupts: list[InterruptTold] = Field(description="What it waits for, where it was interrupted.")


class RunTold(BaseModel):
    """An invocation of an agent, Graph or Swarm."""

    model_config = _like(
        {
            "run_id": "5b1f6e0a9c3d4f27",
            "agent_id": "default",
            "multi_agent_id": None,
            "status": "completed",
            "stop_reason": "end_turn",
            "started_at": _AT,
            "ended_at": _LATER,
            "messages_count": 2,
            "model": "claude-sonnet-4-5",
            "input_tokens": 412,
            "output_tokens": 96,
            "cost": "0.00125",
            "error": None,
            "metadata": None,
        }
    )

    run_id: str
    agent_id: str | None
    multi_agent_id: str | None
    status: str
    stop_reason: str | None
    started_at: datetime
    ended_at: datetime | None
    messages_count: int
    model: str | None
    input_tokens: int | None
    output_tokens: int | None
    cost: str | None = Field(description="Dollars of the calls whose price is known; null: there were none.")
    error: str | None
    metadata: Any


class EventTold(BaseModel):
    """A fact about a session that is no message: the try of a tool, a summary, and the like."""

    model_config = _like(
        {
            "type": "tool_call",
            "source": "llm",
            "at": _AT,
            "run_id": "5b1f6e0a9c3d4f27",
            "agent_id": "default",
            "parent": None,
            "name": "timetable",
            "tool_use_id": "tool-1",
            "status": "success",
            "error": None,
            "milliseconds": 12.5,
            "attempt": 1,
            "data": None,
        }
    )

    type: str
    source: str
    at: datetime
    run_id: str | None
    agent_id: str | None
    parent: str | None = Field(description="Id of the message that it belongs to.")
    name: str | None
    tool_use_id: str | None
    status: str | None
    error: str | None
    milliseconds: float | None
    attempt: int | None
    data: Any


class UsageBy(BaseModel):
    model_config = _like({"total": _USAGE, "by": {"2026-11-01": _USAGE}})

    total: UsageTold
    by: dict[str, UsageTold] | None = Field(description="Apart for each day, model or source; null: not asked for.")


class UserTold(BaseModel):
    model_config = _like(
        {
            "user_id": "ada",
            "username": "Ada",
            "email": "ada@example.com",
            "first_name": None,
            "last_name": None,
            "is_active": True,
            "created_at": _AT,
            "updated_at": _AT,
        }
    )

    user_id: str
    username: str | None
    email: str | None
    first_name: str | None
    last_name: str | None
    is_active: bool
    created_at: datetime
    updated_at: datetime


class Erased(BaseModel):
    """What was erased."""

    model_config = _like({"sessions": ["trip-1"], "documents": 9, "entries": 14, "bytes": 5120})

    sessions: list[str]
    documents: int
    entries: int = Field(description="Of logs: messages, runs, events and the like.")
    bytes: int


class Health(BaseModel):
    model_config = _like({"status": "ok"})

    status: Literal["ok"] = "ok"
