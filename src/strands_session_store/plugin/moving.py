"""Puts a turn that met a conflict behind the other's; what of it, and when, is decided by `rebase`."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Any

from .. import layout, records
from ..errors import ConflictError, StoreError
from ..messages import snapshot
from . import recorder
from .built import set_state
from .queued import named
from .rebase import TRIES, Turn
from .taking import LONGEST_PAUSE

if TYPE_CHECKING:
    from .agent_hooks import AgentHooks

logger = logging.getLogger(__name__)


async def put_behind(
    hooks: AgentHooks, agent: Any, turn: Turn, run: records.Run, ending: dict[str, Any], conflict: ConflictError
) -> None:
    """Store a turn behind what the other has said.

    Args:
        hooks: The agent's.
        agent: An Agent, as it was at the end of the turn; afterwards what is stored.
        turn: What it said and changed.
        run: Its run.
        ending: How that ended: arguments for `recorder.closed`.
        conflict: What it met.

    Raises:
        ConflictError: It can not be put there.
        StoreError: It can not be seen what the other has said.
    """
    try:
        if conflict.path in ("", layout.LEASE):  # the session is another, or another runs it
            raise conflict
        await _put_behind(hooks, agent, turn, run, ending, conflict)
    except ConflictError as final:
        logger.warning(
            "agent_id=<%s>, session_id=<%s>, messages=<%s> | not stored: %s",
            agent.agent_id,
            hooks.session.session_id,
            named(final.unwritten),
            str(final),
        )
        raise
    logger.info(
        "agent_id=<%s>, session_id=<%s> | the turn was stored behind the other's",
        agent.agent_id,
        hooks.session.session_id,
    )


async def _put_behind(
    hooks: AgentHooks, agent: Any, turn: Turn, run: records.Run, ending: dict[str, Any], conflict: ConflictError
) -> None:
    session, after, interrupts = hooks.session, snapshot(agent.state._data), agent._interrupt_state
    for _ in range(TRIES):
        commits = session.commits(layout.writer(agent.agent_id))
        try:
            loaded, lost = await session.ask(hooks.reread, agent)
        except StoreError as error:
            error.unwritten = conflict.unwritten
            raise
        if (why := turn.stays(loaded, commits)) is not None:
            text = f"{conflict} The turn could not be put behind it: {why}."
            stays = ConflictError(conflict.path, conflict.expected, conflict.found, text)
            stays.unwritten = conflict.unwritten
            raise stays from conflict
        tracked = hooks.reloaded(agent, loaded, lost)
        with session.lock:
            agent.messages.extend(turn.messages())
            set_state(agent, turn.state(after, agent.state._data))
            agent._interrupt_state = interrupts
            tracked.run = run.model_copy(update={"first_message": None, "messages": 0})
            job = recorder.happened(tracked.sync(), *turn.events)
            recorder.moved(job, tracked.run, tracked.tally, **ending)
            tracked.run = None
            session.put(job)
        try:
            await session.at_end(tracked.fence, moves=True)
            return
        except ConflictError as again:
            conflict = again
        await asyncio.sleep(random.uniform(0, LONGEST_PAUSE))
    raise conflict
