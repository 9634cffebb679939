"""What is sent and what is answered, as JSON. Names are those of the fields, times ISO 8601 in UTC.

Rule 1. What is not known is null, never zero. Money is a text, exact to the last digit.
Rule 2. What is sent is taken as it is typed: "1" is no number, and a field that is not known is an error.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Generic, Literal, TypeAlias, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ..sessions.checks import MAX_DESCRIPTION, MAX_INSTRUCTIONS, MAX_TITLE

T = TypeVar("T")

MAX_ID: Final = 255
MAX_DEPTH: Final = 50
"""Of JSON that is an application's."""
MAX_PAGE_SIZE: Final = 1000
MAX_PAGE_NUMBER: Final = 1_000_000

NO_CONTROL: Final = r"^[^\x00-\x1f\x7f-\x9f]+$"
_ID_NOTE: Final = (
    "Any text without control characters. It is kept in up to 180 bytes, of which a lowercase letter, digit, '-' or "
    "'_' takes one and any other byte three."
)
Id: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_ID, pattern=NO_CONTROL, description=_ID_NOTE)]
Name: TypeAlias = Annotated[str, Field(max_length=MAX_TITLE)]
Description: TypeAlias = Annotated[str, Field(max_length=MAX_DESCRIPTION)]
Instructions: TypeAlias = Annotated[str, Field(max_length=MAX_INSTRUCTIONS)]
Kind: TypeAlias = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]
Role: TypeAlias = Literal["user", "assistant", "system", "tool"]


def _shallow(value: dict[str, Any]) -> dict[str, Any]:
    """What walks it later does so by recursion."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        inner = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [one for values in inner for one in values]
        if not level:
            return value
    raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")


Json: TypeAlias = Annotated[
    dict[Annotated[str, Field(min_length=1)], Any],
    AfterValidator(_shallow),
    Field(description=f"Yours: any JSON, nested up to {MAX_DEPTH} levels."),
]


class Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Page(BaseModel, Generic[T]):
    """A part of a list."""

    items: list[T]
    limit: int = Field(description="pageSize: how many there are at most.")
    offset: int | None = Field(description="How many come before; null where it was asked for by a cursor.")
    total: int | None = Field(description="How many there are in all; null where it was not counted.")
    total_is_exact: bool = Field(True, description="False: there are more than `total`; counting stopped there.")
    next: str | None = Field(description="`cursor` of the next page; null: this is the last one.")


# ------------------------------------------------------------------------------------------------------------ sessions


class NewSession(Sent):
    session_id: Id | None = Field(None, description=f"Unique for its user; null: one is drawn. {_ID_NOTE}")
    session_name: Name | None = None
    description: Description | None = None
    agent_name: Name | None = None
    agent_instructions: Instructions | None = None
    kind: Kind = "session"
    parent_id: Id | None = Field(None, description="The session of the same user to hang it below.")
    metadata: Json | None = None
    expires_in: Annotated[float, Field(gt=0, lt=10**10)] | None = Field(
        None, description="Seconds until it is deleted, whole, whatever is said in it; null: never."
    )

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {"session_id": "trip-1", "session_name": "A week in Lisbon", "agent_instructions": "Be brief."},
                {},
            ]
        },
    )


class SessionChange(Sent):
    """What is given is changed; null empties a field."""

    session_name: Name | None = None
    description: Description | None = None
    agent_name: Name | None = None
    agent_instructions: Instructions | None = None
    kind: Kind = "session"
    is_active: bool = True

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"session_name": "Ten days in Lisbon"}]}
    )


class UsageTold(BaseModel):
    """What model calls took."""

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
    depth: int = Field(description="0 for the session that was asked for.")


class TreeTold(BaseModel):
    """A session and all below it, each followed by what hangs below it."""

    items: list[NodeTold]


class Fork(Sent):
    at: Id | None = Field(None, description="Id of the last message that the fork has; null: all that there is.")
    session_id: Id | None = Field(None, description="Of the fork; null: one is drawn.")
    session_name: Name | None = None

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [{"session_id": "trip-2"}]})


# ------------------------------------------------------------------------------------------------------------ messages


class Message(Sent):
    role: Role = Field(
        description="system: kept as what the user's side says; agents have no such role in their midst."
    )
    content: str = Field(min_length=1)
    tool_call_id: Annotated[str, Field(min_length=1, max_length=MAX_ID)] | None = Field(
        None, description="Of role tool, and needed there: the call that this is the result of."
    )
    tool_name: Annotated[str, Field(min_length=1, max_length=MAX_TITLE)] | None = Field(
        None, description="Of role tool."
    )
    extra_data: Json | None = None
    message_id: Id | None = Field(
        None,
        description="Yours, where the same is to be sent again without being said twice; null: one is drawn.",
    )

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"role": "user", "content": "Where is the tram?", "extra_data": {"stars": 5}}]},
    )


class MessageChange(Sent):
    content: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="Takes the place of what was said, wherever it stands; what was there is erased."
    )
    extra_data: Json | None = Field(None, description="Keys that are set; others stay.")

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"extra_data": {"stars": 4}}]}
    )


class ToolCallTold(BaseModel):
    id: str
    name: str
    input: Any


class MessageTold(BaseModel):
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
    deleted_count: int


# ------------------------------------------------------------------------------------------------------- conversations


class InterruptAnswer(Sent):
    interrupt_id: Annotated[str, Field(min_length=1, max_length=MAX_ID)]
    response: Any


class Prompt(Sent):
    messages: list[Message] = Field(
        default_factory=list, max_length=100, description="What is said; the last one is no assistant's."
    )
    interrupt_responses: list[InterruptAnswer] = Field(
        default_factory=list, max_length=100, description="Instead of messages, where the agent was interrupted."
    )
    session_id: Id | None = Field(None, description="Found, or made where it is not there; null: a new one is made.")
    session_name: Name | None = Field(None, description="Of a session that is made here, as the two that follow.")
    agent_name: Name | None = None
    agent_instructions: Instructions | None = None

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "session_id": "trip-1",
                    "session_name": "A week in Lisbon",
                    "messages": [{"role": "user", "content": "Where is the tram?", "message_id": "q-1"}],
                }
            ]
        },
    )


class InterruptTold(BaseModel):
    id: str
    name: str
    reason: Any


class Answer(BaseModel):
    session_id: str
    session_uuid: str
    response: str = Field(description="What the agent answered.")
    messages_count: int = Field(description="In all that was said, now.")
    session_active: bool
    prompt_id: str = Field(description="Id of the message that was answered.")
    message_id: str | None = Field(description="Id of the answer.")
    stop_reason: str | None = Field(
        description="Why the agent stopped: end_turn, max_tokens, interrupt ...; null: it was answered before."
    )
    interrupts: list[InterruptTold] = Field(description="What it waits for, where it was interrupted.")


# ----------------------------------------------------------------------------------------------------- runs and events


class RunTold(BaseModel):
    """An invocation of an agent, Graph or Swarm."""

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
    total: UsageTold
    by: dict[str, UsageTold] | None = Field(description="Apart for each day, model or source; null: not asked for.")


# --------------------------------------------------------------------------------------------------------------- users


class NewUser(Sent):
    user_id: Id
    username: Name | None = None
    email: Annotated[str, Field(max_length=320)] | None = None
    first_name: Name | None = None
    last_name: Name | None = None

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"user_id": "ada", "username": "Ada", "email": "ada@example.com"}]},
    )


class UserChange(Sent):
    """What is given is changed; null empties a field."""

    username: Name | None = None
    email: Annotated[str, Field(max_length=320)] | None = None
    first_name: Name | None = None
    last_name: Name | None = None
    is_active: bool = True

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [{"username": "Countess"}]})


class UserTold(BaseModel):
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

    sessions: list[str]
    documents: int
    entries: int = Field(description="Of logs: messages, runs, events and the like.")
    bytes: int


class Health(BaseModel):
    status: Literal["ok"] = "ok"
