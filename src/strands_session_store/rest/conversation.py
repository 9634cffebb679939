"""An agent is spoken to: its answer at once, or as a stream of events."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Header, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from . import shapes, views
from .asked import SESSIONS, Calling, Owner, face_of
from .conversing import Asked, new_id
from .live import EventId, Turn
from .problems import Problem, arguments, documented

router: Final = APIRouter(prefix=SESSIONS, tags=["conversation"])

STREAM: Final = "text/event-stream"
PING: Final = 15.0
"""Seconds of silence after which a comment is sent, so that nobody between takes the connection for dead."""
WAIT: Final = 30.0
"""Seconds that a busy session is waited for, unless the request prefers another time."""
MAX_WAIT: Final = 300.0
_WAITS: Final = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})\"?", re.ASCII)

_EXAMPLE: Final = """id: trip-1/q-1/5e1f09aa/0
event: start
data: {"session_id":"trip-1","session_uuid":"...","prompt_id":"q-1"}

id: trip-1/q-1/5e1f09aa/1
event: delta
data: {"text":"By the "}

id: trip-1/q-1/5e1f09aa/2
event: result
data: {"response":"By the river."}

"""


@router.post(
    "/conversation",
    status_code=201,
    summary="Speak to an agent",
    response_model=shapes.Answer,
    responses={
        200: {
            "description": "With `Accept: text/event-stream`: the turn as it goes on.",
            "content": {STREAM: {"schema": {"type": "string"}, "example": _EXAMPLE}},
        },
        **documented(404, 409, 413, 502),
    },
)
async def converse(
    sent: shapes.Prompt,
    request: Request,
    caller: Calling,
    owner: Owner,
    accept: Annotated[str | None, Header(description="text/event-stream for a stream.")] = None,
    prefer: Annotated[
        str | None,
        Header(description="`wait=10`: for so many seconds where the session is busy (RFC 7240); 0: not at all."),
    ] = None,
    last_event_id: Annotated[
        str | None,
        Header(alias="Last-Event-ID", description="Of a stream that was cut: goes on behind this event."),
    ] = None,
) -> Response:
    """Finds the session, or makes it, and has an agent answer in it, one prompt after the other.

    The same prompt sent again, by its `message_id`, is said once: it gets the answer that it had, or that is under way.
    So it is with what is told before it, where that has ids: what was said already is left out.
    A stream has the events `start` (also where a turn begins anew: what came before is to be forgotten), `delta`,
    `reasoning`, `tool_call`, `tool_result`, and at its end `result`, as the answer without a stream is, or `problem`.
    The turn goes on when the connection is cut. Sent again with `Last-Event-ID`, the stream goes on behind that event;
    at another server it has `start` and what comes then, or the result.
    """
    conversations = face_of(request).conversations
    assert conversations is not None, "an app without an agent has no such route"
    seen = None if last_event_id is None else EventId.read(last_event_id)
    asked = _asked(sent, seen)
    turn = await conversations.turn(caller, owner, asked, _wait(prefer))
    if STREAM not in (accept or ""):
        answer = await asyncio.shield(turn.answer)  # a client that goes away does not end it
        return JSONResponse(answer.model_dump(mode="json"), 201)
    return StreamingResponse(
        _frames(turn, seen), 200, {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}, media_type=STREAM
    )


def _asked(sent: shapes.Prompt, seen: EventId | None) -> Asked:
    """
    Raises:
        Problem: It can't be meant.
    """
    if bool(sent.messages) == bool(sent.interrupt_responses):
        raise Problem(422, "give messages or interrupt_responses, one of them")
    if sent.messages and sent.messages[-1].role == "assistant":
        raise Problem(422, "the last of messages is an assistant's; an agent answers a user, or a tool's result")
    given = sent.messages[-1].message_id if sent.messages else None
    if seen is not None and given not in (None, seen.prompt_id):
        raise Problem(422, f"Last-Event-ID is of the prompt {seen.prompt_id!r}, and this one is {given!r}")
    if seen is not None and sent.session_id not in (None, seen.session_id):
        raise Problem(422, f"Last-Event-ID is of the session {seen.session_id!r}, and this is {sent.session_id!r}")
    prompt_id = seen.prompt_id if seen is not None else given or new_id()
    given_ids = [one.message_id for one in sent.messages[:-1] if one.message_id is not None]
    if len({*given_ids, prompt_id}) <= len(given_ids):
        raise Problem(422, "several of messages have the same message_id; give each its own")
    with arguments():
        messages = [views.sent(one) for one in sent.messages]
    if messages:
        messages[-1]["tracking_id"] = prompt_id
    fields = {
        "title": sent.session_name,
        "agent_name": sent.agent_name,
        "agent_instructions": sent.agent_instructions,
    }
    answers = [
        {"interruptResponse": {"interruptId": one.interrupt_id, "response": one.response}}
        for one in sent.interrupt_responses
    ]
    return Asked(
        messages,
        answers,
        prompt_id,
        repeats=given is not None or seen is not None,
        session_id=seen.session_id if seen is not None else sent.session_id,
        resumes=seen is not None,
        fields=fields,
    )


def _wait(prefer: str | None) -> float:
    found = _WAITS.search(prefer or "")
    return WAIT if found is None else min(float(found[1]), MAX_WAIT)


async def _frames(turn: Turn, after: EventId | None) -> AsyncIterator[bytes]:
    async for event in turn.follow(after, PING):
        if event is None:
            yield b": still at work\n\n"
        else:
            yield frame(*event)


def frame(id: EventId, type: str, data: bytes) -> bytes:
    """An event as it is sent."""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (str(id).encode(), type.encode(), data)
