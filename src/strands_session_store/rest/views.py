"""Records as they are answered, and messages as they were sent as Strands has them. Pure.

Rule 1. A message of Strands has two roles. A tool's result is one of the user's there, and of role tool here; a system
        message is kept as one of the user's, and marked.
Rule 2. What is kept of this API's own stands in ``metadata["custom"]`` under one key, and is no part of ``extra_data``.
"""

from __future__ import annotations

import base64
import json
import math
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final

from .. import ids, records
from ..sessions.shapes import Node, Overview
from ..usage import Totals, to_dollars
from . import shapes

OWN: Final = "rest_api"
_NAMESPACE: Final = uuid.UUID("6f1c1c0e-6ad2-5d0f-9a3c-0a7f3c9c2f11")


def moment(at: float) -> datetime:
    """Never later than it was, so that a list from this time on has what was told to be of it."""
    told = datetime.fromtimestamp(at, timezone.utc)
    return told if told.timestamp() <= at else told - timedelta(microseconds=1)


def uuid_of(session: records.Session) -> str:
    """A UUID that belongs to this life of this session."""
    named = json.dumps([session.user_id, session.session_id, session.created])
    return str(uuid.uuid5(_NAMESPACE, named))


def dollars(amount: Decimal | None) -> str | None:
    """As a text without an exponent."""
    return None if amount is None else f"{amount.normalize():f}"


def usage(totals: Totals) -> shapes.UsageTold:
    return shapes.UsageTold(
        input_tokens=totals.input_tokens,
        output_tokens=totals.output_tokens,
        cache_read_input_tokens=totals.cache_read_input_tokens,
        cache_write_input_tokens=totals.cache_write_input_tokens,
        calls=totals.calls,
        estimated_calls=totals.estimated,
        unpriced_calls=totals.unpriced,
        cost=dollars(totals.dollars),
        known_cost=f"{totals.known_dollars.normalize():f}",
    )


def _session(session: records.Session, counters: Mapping[str, int], updated: float) -> dict[str, Any]:
    return {
        "session_id": session.session_id,
        "session_uuid": uuid_of(session),
        "user_id": session.user_id,
        "session_name": session.title,
        "description": session.description,
        "agent_name": session.agent_name,
        "agent_instructions": None,
        "is_active": session.active,
        "kind": session.kind,
        "parent_id": session.parent_id,
        "created_at": moment(session.created),
        "updated_at": moment(updated),
        "expires_at": None,
        "messages_count": counters.get("messages", 0),
        "runs_count": counters.get("runs", 0),
        "usage": usage(Totals.of(counters)),
        "is_busy": None,
    }


def listed(found: Overview) -> shapes.SessionTold:
    """A session of a list."""
    return shapes.SessionTold(**_session(found.session, found.counters, found.updated))


def session(found: Overview) -> shapes.SessionTold:
    """A session that was asked for."""
    told = _session(found.session, found.counters, found.updated) | {
        "agent_instructions": found.instructions,
        "expires_at": None if found.expires is None else moment(found.expires),
        "is_busy": found.holder is not None and found.holder.lives,
    }
    return shapes.SessionTold(**told)


def node(found: Node) -> shapes.NodeTold:
    one = found.session
    return shapes.NodeTold(**_session(one, found.counters, one.updated or one.created), depth=found.depth)


# ------------------------------------------------------------------------------------------------------------ messages


def sent(message: shapes.Message) -> dict[str, Any]:
    """What was sent, as Strands has it.

    Raises:
        ValueError: A tool's result that names no call, or what only such a one has.
    """
    own: dict[str, Any] = {}
    if message.role == "tool":
        if message.tool_call_id is None:
            raise ValueError("a message of role 'tool' needs the tool_call_id of the call that it is the result of")
        result = {"toolUseId": message.tool_call_id, "status": "success", "content": [{"text": message.content}]}
        content: dict[str, Any] = {"toolResult": result}
        own |= {} if message.tool_name is None else {"tool_name": message.tool_name}
    else:
        if message.tool_call_id is not None or message.tool_name is not None:
            raise ValueError(f"tool_call_id and tool_name are of messages of role 'tool', not {message.role!r}")
        content = {"text": message.content}
        own |= {"role": "system"} if message.role == "system" else {}
    custom = extra_sent(message.extra_data or {}) | ({OWN: own} if own else {})
    out: dict[str, Any] = {"role": "assistant" if message.role == "assistant" else "user", "content": [content]}
    out |= {"metadata": {"custom": custom}} if custom else {}
    return out | ({} if message.message_id is None else {"tracking_id": ids.check("message_id", message.message_id)})


def extra_sent(given: dict[str, Any]) -> dict[str, Any]:
    """What is to be kept of an ``extra_data``.

    Raises:
        ValueError: It has the key that is this API's.
    """
    if OWN in given:
        raise ValueError(f"extra_data has the key {OWN!r}, which is this API's; give yours another name")
    return dict(given)


def role(message: Mapping[str, Any]) -> str:
    """Of a message as it is stored."""
    if message["role"] == "assistant":
        return "assistant"
    if any("toolResult" in block for block in message["content"]):
        return "tool"
    return "system" if _own(message).get("role") == "system" else "user"


def text(message: Mapping[str, Any]) -> str:
    """Its texts; of a tool's result what it gave."""
    found: list[str] = []
    for block in message["content"]:
        if "text" in block:
            found.append(block["text"])
        elif "toolResult" in block:
            parts = block["toolResult"].get("content", ())
            found += [part["text"] if "text" in part else _json(part.get("json", part)) for part in parts]
    return legible("\n".join(found))


def message(index: int, entry: records.Message, session_id: str, *, blocks: bool) -> shapes.MessageTold:
    said = plain(entry.message)
    results = [block["toolResult"] for block in said["content"] if "toolResult" in block]
    uses = [block["toolUse"] for block in said["content"] if "toolUse" in block]
    at = None if entry.at is None else moment(entry.at)
    return shapes.MessageTold(
        message_id=entry.tracking_id or f"@{index}",
        session_id=session_id,
        index=index,
        role=role(said),
        content=text(said),
        tool_calls=[shapes.ToolCallTold(id=use["toolUseId"], name=use["name"], input=use.get("input")) for use in uses],
        tool_call_id=results[0]["toolUseId"] if results else None,
        tool_name=_own(said).get("tool_name"),
        tool_status=("error" if results[0].get("status") == "error" else "success") if results else None,
        extra_data=extra(said),
        is_redacted=entry.redacted is not None,
        created_at=at,
        updated_at=at if entry.redacted is None else moment(entry.redacted),
        blocks=said["content"] if blocks else None,
    )


def extra(message: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is the application's of a message."""
    return {key: value for key, value in _custom(message).items() if key != OWN} or None


def _custom(message: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = message.get("metadata")
    custom = metadata.get("custom") if isinstance(metadata, Mapping) else None
    return custom if isinstance(custom, Mapping) else {}


def _own(message: Mapping[str, Any]) -> Mapping[str, Any]:
    own = _custom(message).get(OWN)
    return own if isinstance(own, Mapping) else {}


def plain(value: Any) -> Any:
    """As JSON can say it: bytes in Base64, what has no name of its own there by its text."""
    if isinstance(value, Mapping):
        return {legible(str(key)): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float) else legible(str(value))


def legible(text: str) -> str:
    """With a mark for what is no character (a lone surrogate): UTF-8 can't say it, though a model may."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _json(value: Any) -> str:
    return json.dumps(plain(value), ensure_ascii=False)


# ----------------------------------------------------------------------------------------------- runs, events and users


def run(found: records.Run) -> shapes.RunTold:
    cost = found.usage.cost
    return shapes.RunTold(
        run_id=found.run_id,
        agent_id=found.agent_id,
        multi_agent_id=found.multi_agent_id,
        status=found.status,
        stop_reason=found.stop_reason,
        started_at=moment(found.started),
        ended_at=None if found.ended is None else moment(found.ended),
        messages_count=found.messages,
        model=plain(found.model),
        input_tokens=found.usage.input_tokens,
        output_tokens=found.usage.output_tokens,
        cost=None if cost is None else dollars(to_dollars(cost)),
        error=plain(found.error),
        metadata=plain(found.metadata),
    )


def event(found: records.Event) -> shapes.EventTold:
    told = {name: plain(getattr(found, name)) for name in shapes.EventTold.model_fields}
    return shapes.EventTold(**told | {"at": moment(found.at)})


def user(found: records.User) -> shapes.UserTold:
    return shapes.UserTold(
        user_id=found.user_id,
        username=found.username,
        email=found.email,
        first_name=found.first_name,
        last_name=found.last_name,
        is_active=found.active,
        created_at=moment(found.created),
        updated_at=moment(found.updated or found.created),
    )
