"""Tool uses and results come in pairs: a stored list in which they do not is mended before a model sees it. Pure.

Rule 1. The uses of the last message, and which of those before it are answered there, are never touched: an interrupt
        needs it as it is, and Agent itself mends it when it goes on.
Rule 2. A result whose use is not in the message right before it is taken out; a message left empty by that goes.
Rule 3. A use without its result gets one that says so, in the order of the uses.
"""

from __future__ import annotations

from typing import Any

from ..messages import Message

LOST = "The result of this tool call was lost: the process ended before it was stored."


def repaired(messages: list[Message]) -> list[Message]:
    """The messages with whole pairs; the very same list when nothing is to be mended. None of the given is changed."""
    out: list[Message] = []
    for i, message in enumerate(messages):
        asked = _uses(out[-1]) if out else []
        last = i == len(messages) - 1
        content = [b for b in message["content"] if "toolResult" not in b or b["toolResult"]["toolUseId"] in asked]
        if len(content) < len(message["content"]):
            if not content:
                continue
            message = {**message, "content": content}
        given = {b["toolResult"]["toolUseId"]: b for b in message["content"] if "toolResult" in b}
        if asked and not given:
            out.append({"role": "user", "content": [_lost(use) for use in asked]})
        elif not last and set(given) < set(asked):
            rest = [block for block in message["content"] if "toolResult" not in block]
            message = {**message, "content": [*(given.get(use) or _lost(use) for use in asked), *rest]}
        out.append(message)
    same = len(out) == len(messages) and all(a is b for a, b in zip(out, messages))
    return messages if same else out


def answered(messages: list[Message]) -> Message | None:
    """What has to follow the messages before anything is said: results for the tool uses of the last one. None when it
    has none. For a list that goes on at once: Agent would do the same, but has looked before it was restored."""
    uses = _uses(messages[-1]) if messages else []
    return {"role": "user", "content": [_lost(use) for use in uses]} if uses else None


def _uses(message: Message) -> list[str]:
    return [block["toolUse"]["toolUseId"] for block in message["content"] if "toolUse" in block]


def _lost(use: str) -> dict[str, Any]:
    return {"toolResult": {"toolUseId": use, "status": "error", "content": [{"text": LOST}]}}
