"""What is sent. It is taken as it is typed: "1" is no number, and a field that is not known is an error."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ...sessions.checks import MAX_TITLE
from .common import ID_NOTE, MAX_ID, AnyJson, Description, Id, Instructions, Json, Kind, Name, Role


class Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NewSession(Sent):
    session_id: Id | None = Field(None, description=f"Unique for its user; null: one is drawn. {ID_NOTE}")
    session_name: Name | None = None
    description: Description | None = None
    agent_name: Name | None = None
    agent_instructions: Instructions | None = None
    kind: Kind = "session"
    parent_id: Id | None = Field(None, description="The session of the same user to hang it below.")
    metadata: Json | None = None
    expires_in: Annotated[float, Field(ge=1, lt=10**10)] | None = Field(
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


class Fork(Sent):
    at: Id | None = Field(None, description="Id of the last message that the fork has; null: all that there is.")
    session_id: Id | None = Field(None, description="Of the fork; null: one is drawn.")
    session_name: Name | None = Field(None, description="Of the fork; not given: that of the session.")

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [{"session_id": "trip-2"}]})


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
        json_schema_extra={
            "examples": [{"role": "user", "content": "Where is the tram?", "extra_data": {"stars": 5}}],
            "if": {"properties": {"role": {"const": "tool"}}},
            "then": {"required": ["tool_call_id"], "properties": {"tool_call_id": {"type": "string"}}},
            "else": {"properties": {"tool_call_id": {"type": "null"}, "tool_name": {"type": "null"}}},
        },
    )


class MessageChange(Sent):
    content: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="Takes the place of what was said, wherever it stands; what was there is erased."
    )
    extra_data: Json | None = Field(None, description="Keys that are set; others stay.")

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"extra_data": {"stars": 4}}]}
    )


class InterruptAnswer(Sent):
    interrupt_id: Annotated[str, Field(min_length=1, max_length=MAX_ID)]
    response: AnyJson


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
            ],
            "oneOf": [
                {
                    "required": ["messages"],
                    "properties": {"messages": {"minItems": 1}, "interrupt_responses": {"maxItems": 0}},
                },
                {
                    "required": ["interrupt_responses"],
                    "properties": {"messages": {"maxItems": 0}, "interrupt_responses": {"minItems": 1}},
                },
            ],
        },
    )


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
