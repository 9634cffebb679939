"""A turn of a real Strands agent in a session: found or made, had by one at a time, answered, stored.

Rule 1. A prompt is known by the id of its last message. Sent again it is not said again: it joins the turn that is
        under way, gets the answer that is stored, or is answered where it has none (`said`).
Rule 2. A turn holds the session's lease, so of several at once, in whatever processes, one is at work.
Rule 3. What is answered is stored: a result is told when all of the turn is. One that is kept here is told as long as
        it is stored: what was cleared, redacted or deleted since is not.
Rule 4. A turn goes on when its client is gone.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from ..async_sessions import AsyncSessions
from ..errors import AlreadyExistsError, NotFoundError, SessionNotFoundError, StoreError, Unavailable
from ..plugin import StoreSessionManager
from ..sessions.shapes import Overview
from . import invoking, problems, said, shapes, views
from .callers import Caller
from .invoking import AgentFactory, AgentRequest
from .limits import Limits
from .live import Kept, Key, Turn
from .paths import segment
from .problems import Problem
from .said import Answered

logger = logging.getLogger(__name__)

EXPIRY: Final = 5.0
"""Seconds after which a server that was killed is succeeded: who sends its prompt again waits for that."""
PAUSES: Final = (0.1, 0.2, 0.5, 1.0, 2.0, *[5.0] * 11)
"""Seconds between tries to store what could not be stored, a minute in all. Then the session is let go of."""
ENDING: Final = 10.0
"""Seconds that a turn which is ended has for its end. One that takes longer is left behind."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of an agent."""

    messages: list[dict[str, Any]]
    """As Strands has them, the last with the prompt's id."""
    interrupts: list[dict[str, Any]]
    """Instead of messages, answers to interrupts."""
    prompt_id: str
    repeats: bool
    """Whether it may have been sent before: its id is the client's."""
    session_id: str | None
    resumes: bool = False
    """Whether a stream of it was there: its session is not made again."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Of a session that is made."""

    @property
    def digest(self) -> bytes:
        """Of what the prompt says."""
        content = self.messages[-1]["content"] if self.messages else self.interrupts
        return hashlib.sha256(json.dumps(content).encode()).digest()

    @property
    def known(self) -> dict[str, Any]:
        """Ids of what may have been said before, and what it says; None: the result of a tool, whatever that was."""
        named = {one["tracking_id"]: one["content"] for one in self.messages if "tracking_id" in one}
        if not self.repeats:
            named.pop(self.prompt_id, None)
        return named or ({self.prompt_id: None} if self.repeats else {})


class Conversations:
    """The turns of one app."""

    def __init__(
        self,
        sessions: AsyncSessions,
        factory: AgentFactory,
        limits: Limits,
        *,
        agent_id: str,
        options: Mapping[str, Any],
    ) -> None:
        self._sessions, self._factory, self._limits = sessions, factory, limits
        self._agent_id, self._options = agent_id, dict(options)
        self._turns = Kept()
        self._at_work: Counter[str | None] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    async def turn(self, caller: Caller, owner: str | None, asked: Asked, wait: float) -> Turn:
        """The turn of a prompt: the one that is under way here, or a new one, which has begun.

        Args:
            caller: Who asks.
            owner: Of the session.
            asked: What.
            wait: Seconds to wait for a session that is busy.

        Raises:
            Problem: Too much is under way; the session is not active; the server ends.
            StoreError: It is busy; or as the store says.
        """
        while True:
            turn, new = await self._entered(caller, owner, asked, wait)
            said.check_same(asked.prompt_id, turn.said == asked.digest)
            try:
                await asyncio.shield(turn.begun)
                return turn
            except Exception:
                if new:
                    raise  # else it was another's, who may have waited less for the session

    async def close(self, grace: float) -> None:
        """Begin no turn any more, let those under way end, and after ``grace`` seconds end them. Repeatable."""
        self._closing = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        for task in [*self._tasks]:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=ENDING)
        if self._tasks:
            logger.error("turns=<%d> | they do not end, and are left behind", len(self._tasks))

    # ------------------------------------------------------------------------------------------------------- private

    async def _entered(self, caller: Caller, owner: str | None, asked: Asked, wait: float) -> tuple[Turn, bool]:
        """The turn of a prompt, and whether it is a new one; it may not have begun yet."""
        if asked.session_id is not None:
            key = owner, asked.session_id, asked.prompt_id
            known = self._turns.get(key)
            if known is not None and await self._stands(key, known):
                return known, False
        self._admit(owner)
        try:
            # whether one that was named is there shows when it is opened
            session_id = await self._made(None, owner, asked) if asked.session_id is None else asked.session_id
            key = owner, session_id, asked.prompt_id
            known = self._turns.get(key)
            if known is not None and not known.answer.done():  # two that were sent at once meet here
                return known, False
            return self._begin(key, caller, asked, wait), True
        finally:
            self._leave(owner)

    def _begin(self, key: Key, caller: Caller, asked: Asked, wait: float) -> Turn:
        """
        Raises:
            Problem: The server ends.
        """
        if self._closing:
            raise _ending()
        owner, session_id, prompt_id = key
        turn = Turn(session_id, prompt_id, asked.digest)
        self._turns.add(key, turn)
        self._at_work[owner] += 1
        self._work(self._run(turn, key, caller, asked, wait))
        return turn

    async def _stands(self, key: Key, turn: Turn) -> bool:
        """Whether a turn that is kept is still what is stored. One that is not is kept no longer."""
        if not turn.answer.done():
            return True
        owner, session_id, _ = key
        try:
            if await self._stored(session_id, owner, turn.answer.result()):
                return True
        except NotFoundError:
            pass
        self._turns.forget(key, turn)
        return False

    async def _stored(self, session_id: str, owner: str | None, answer: shapes.Answer) -> bool:
        """Whether an answer is stored as it was given. It may not be: its message was not found."""
        if answer.message_id is None:
            return False
        found = await self._sessions.messages.get(session_id, answer.message_id, owner, agent_id=self._agent_id)
        if not answer.interrupts or found.entry.redacted is not None:
            return found.entry.redacted is None
        agents = {one.agent.agent_id: one.agent for one in await self._sessions.agents(session_id, owner)}
        state = agents[self._agent_id].interrupts or {"interrupts": {}}
        waits = {id for id, one in state["interrupts"].items() if one["response"] is None}
        return waits == {one.id for one in answer.interrupts}

    def _admit(self, owner: str | None) -> None:
        """Take a place; it is given back by `_leave`.

        Raises:
            Problem: There is none: 429.
        """
        if self._at_work.total() >= self._limits.conversations:
            raise Problem(429, "too many conversations are under way; try again later", problems.LATER)
        if self._at_work[owner] >= self._limits.conversations_per_user:
            raise Problem(429, "too many of your conversations are under way; try again later", problems.LATER)
        self._at_work[owner] += 1

    def _leave(self, owner: str | None) -> None:
        self._at_work[owner] -= 1
        if not self._at_work[owner]:
            del self._at_work[owner]

    async def _made(self, session_id: str | None, owner: str | None, asked: Asked) -> str:
        """The id of the session, which was made, or is there by now."""
        with problems.arguments():
            try:
                return (await self._sessions.create(session_id, owner, **asked.fields)).session_id
            except AlreadyExistsError:
                assert session_id is not None
                return session_id

    async def _run(self, turn: Turn, key: Key, caller: Caller, asked: Asked, wait: float) -> None:
        owner = key[0]
        try:
            turn.end(await self._answered(turn, caller, owner, asked, wait))
        except BaseException as error:
            if ended := self._closing and isinstance(error, asyncio.CancelledError):
                problem = _ending()
            else:
                known = problems.problem_of(invoking.cause(error))
                # with no traceback, which would keep the session manager, and with it the session's lease
                problem = Problem(known.status, known.detail, known.headers, **known.more)
            if problem.status >= 500 and not ended:
                logger.error("session_id=<%s> | a conversation failed", turn.session_id, exc_info=error)
            turn.fail(problem, problems.body(problem, f"/api/agent-sessions/{segment(turn.session_id)}", None))
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            self._leave(owner)
            self._turns.ended(key, turn)

    async def _answered(
        self, turn: Turn, caller: Caller, owner: str | None, asked: Asked, wait: float
    ) -> shapes.Answer:
        try:
            manager = await self._opened(turn.session_id, owner, wait)
        except SessionNotFoundError:
            if asked.resumes:
                await self._sessions.get(turn.session_id, owner)  # says it better
            await self._made(turn.session_id, owner, asked)
            manager = await self._opened(turn.session_id, owner, wait)
        async with self._closing_of(manager), manager.lease():
            found = await self._sessions.get(turn.session_id, owner)
            if not found.session.active:
                raise Problem(409, f"session {turn.session_id!r} is not active; activate it first")
            answered = await self._again_or_now(turn, AgentRequest(manager, found, caller), owner, asked)
        parts = await self._sessions.segments.chain(turn.session_id, owner, agent_id=self._agent_id)
        return shapes.Answer(
            session_id=turn.session_id,
            session_uuid=views.uuid_of(found.session),
            response=answered.response,
            messages_count=sum(one.messages for one in parts),
            session_active=found.session.active,
            prompt_id=turn.prompt_id,
            message_id=answered.message.get("tracking_id"),
            stop_reason=answered.stop_reason,
            interrupts=list(answered.interrupts),
        )

    async def _again_or_now(self, turn: Turn, request: AgentRequest, owner: str | None, asked: Asked) -> Answered:
        """The answer to a prompt: the one that is stored, or the one that an agent has now."""
        before = await self._before(turn, owner, asked)
        if before.answer is not None:
            turn.start(_start(turn, request.session))
            return before.answer
        messages, answers = asked.messages, asked.interrupts
        messages = [one for one in messages if one.get("tracking_id") not in before.known]
        if before.prompt:
            messages, answers = [], []
        agent = await invoking.made(self._factory, request, self._agent_id)
        waits = invoking.waiting(agent, answers, again=before.prompt)
        turn.start(_start(turn, request.session))
        if waits is not None:
            return waits
        # they were drawn here, or looked for
        request.session_manager.expect(*(one["tracking_id"] for one in messages if "tracking_id" in one))
        return await invoking.answer(turn, agent, messages, answers)

    async def _before(self, turn: Turn, owner: str | None, asked: Asked) -> said.Before:
        if not (known := asked.known):
            return said.NOTHING
        return await said.look(
            self._sessions,
            turn.session_id,
            owner,
            agent_id=self._agent_id,
            prompt_id=asked.prompt_id,
            sent=known,
            compare=self._options.get("before_store") is None,
        )

    async def _opened(self, session_id: str, owner: str | None, wait: float) -> StoreSessionManager:
        """
        Raises:
            SessionNotFoundError: It is not there.
        """
        busy: dict[str, Any] = {"lease_timeout": wait} if wait > 0 else {"on_busy": "raise"}
        options = {"durability": "turn", "lease_expiry": EXPIRY, **self._options, **busy}
        return await StoreSessionManager.open(
            session_id,
            self._sessions.store,
            user_id=owner,
            auto_create=False,
            exclusive=True,
            agent_ids=[self._agent_id],
            **options,
        )

    @asynccontextmanager
    async def _closing_of(self, manager: StoreSessionManager) -> AsyncIterator[None]:
        """Closes a session manager. What it can't store now is stored later, while it holds the session: who sends the
        prompt again waits for that, and finds it answered."""
        try:
            yield
        finally:
            try:
                await manager.aclose()
            except Unavailable:
                self._work(self._closed_later(manager))
                raise

    async def _closed_later(self, manager: StoreSessionManager) -> None:
        lost: StoreError | None = None
        for pause in PAUSES:
            await asyncio.sleep(pause)
            try:
                return await manager.aclose()
            except Unavailable as error:
                lost = error
            except StoreError as error:  # it says what is lost
                lost = error
                break
        logger.error("session_id=<%s> | a turn could not be stored: %s", manager.session_id, lost)

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _ending() -> Problem:
    return Problem(503, "the server ends; send it again later", problems.LATER)


def new_id() -> str:
    return secrets.token_hex(8)


def _start(turn: Turn, found: Overview) -> dict[str, Any]:
    return {
        "session_id": turn.session_id,
        "session_uuid": views.uuid_of(found.session),
        "prompt_id": turn.prompt_id,
    }
