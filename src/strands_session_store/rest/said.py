"""Whether a prompt was said before, and what came of it, as the store tells.

Rule 1. A prompt is looked for by its id among the latest messages: `LOOKED_AT`, and however many more the latest
        `PROMPTS` prompts took. What is told before it, where that has ids, is looked for in all that was said.
Rule 2. Its answer is what the run with it or behind it ended with. Where no run tells, it is the next message that ends
        a turn: a prompt that had no answer before the next one was answered with that.
Rule 3. What was redacted, or is scrubbed before it is stored, is another text than was sent, and is not compared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .. import records
from ..async_sessions import AsyncSessions
from ..sessions.shapes import Placed
from ..turns import begins_turn, ends_turn
from . import shapes, views
from .problems import Problem

LOOKED_AT: Final = 100
PROMPTS: Final = 4
_PAGE: Final = 1000
_RUNS: Final = 100
"""Runs that ended last, among which that of an answer is looked for."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What an agent has answered."""

    message: Mapping[str, Any]
    stop_reason: str | None
    """None: not known."""
    response: str
    interrupts: tuple[shapes.InterruptTold, ...] = ()


@dataclass(frozen=True, slots=True)
class Before:
    """What was said before of what is sent."""

    known: frozenset[str]
    """Ids of messages that were."""
    prompt: bool
    """Whether the prompt was."""
    answer: Answered | None
    """To the prompt; None: it has none."""


NOTHING: Final = Before(frozenset(), False, None)


async def look(
    sessions: AsyncSessions,
    session_id: str,
    owner: str | None,
    *,
    agent_id: str,
    prompt_id: str,
    sent: Mapping[str, Any],
    compare: bool,
) -> Before:
    """
    Args:
        sessions: The service.
        session_id: The conversation's.
        owner: Its.
        agent_id: Whose history.
        prompt_id: Of the prompt.
        sent: Ids of messages, the prompt's perhaps among them, and what each says; None: not to be compared.
        compare: Whether what is stored is what was sent.

    Raises:
        Problem: Another message has one of the ids.
        StoreError: As the service says.
    """
    messages = await _latest(sessions, session_id, owner, agent_id, prompt_id, sent.keys())
    found: dict[str, Placed] = {}
    for one in messages:
        if (name := one.entry.tracking_id) is not None and name in sent:
            found[name] = one
    for name, one in found.items():
        if compare and one.entry.redacted is None and sent[name] is not None:
            check_same(name, one.entry.message["content"] == sent[name])
    if (prompt := found.get(prompt_id)) is None:
        return Before(frozenset(found), False, None)
    after = [one for one in messages if one.index > prompt.index]
    runs = await sessions.runs.list(session_id, owner, agent_id=agent_id, limit=_RUNS) if after else None
    ended = [] if runs is None else [run for _, run in sorted(runs.entries.items())]
    return Before(frozenset(found), True, answer(after, ended))


def check_same(id: str, same: bool) -> None:
    """
    Raises:
        Problem: It is another message.
    """
    if not same:
        raise Problem(409, f"another message has the message_id {id!r}; give each its own")


async def _latest(
    sessions: AsyncSessions, session_id: str, owner: str | None, agent_id: str, prompt_id: str, ids: Any
) -> list[Placed]:
    """The latest messages, as many as it takes to tell (rule 1)."""
    history = sessions.segments.full_history
    page = await history(session_id, owner, agent_id=agent_id, limit=LOOKED_AT)
    messages = list(page.messages)
    while page.older is not None:
        missing = ids - {one.entry.tracking_id for one in messages}
        if not missing:
            break
        if missing == {prompt_id} and sum(begins_turn(one.entry.message) for one in messages) >= PROMPTS:
            break
        page = await history(session_id, owner, agent_id=agent_id, cursor=page.older, limit=_PAGE)
        messages[:0] = page.messages
    return messages


def answer(after: Sequence[Placed], runs: Sequence[records.Run]) -> Answered | None:
    """What a prompt was answered, by what was said after it, and by runs in the order in which they ended (rule 2)."""
    ending = next((one for one in after if ends_turn(one.entry.message)), None)
    for run in runs:
        if run.first_message is None:
            continue
        if ending is not None and ending.index < run.first_message:
            break
        own = [one.entry.message for one in after if 0 <= one.index - run.first_message < run.messages]
        last = next((one for one in reversed(own) if one["role"] == "assistant"), None)
        if last is not None and ends_turn(last):
            cut = (run.error or "").startswith("MaxTokensReached")
            return Answered(last, "max_tokens" if cut else run.stop_reason, views.text(last))
        if last is not None and run.status == "completed":  # its answer was the use of a tool
            structured = _structured(last, own[-1])
            return Answered(last, run.stop_reason, views.text(last) if structured is None else structured)
    if ending is None:
        return None
    return Answered(ending.entry.message, None, views.text(ending.entry.message))


def _structured(message: Mapping[str, Any], result: Mapping[str, Any]) -> str | None:
    """The structured output that a turn has ended with; None: it has not."""
    for block in message["content"]:
        use = block.get("toolUse")
        if use is not None and views.text(result) == f"Successfully validated {use['name']} structured output":
            return json.dumps(views.plain(use["input"]), ensure_ascii=False, separators=(",", ":"))
    return None
