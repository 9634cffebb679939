"""A turn of a real Strands agent in a session: found or made, had by one at a time, answered, stored.

Rule 1. A prompt is known by the id of its last message. Sent again it is not said again: it joins the turn that is
        under way, gets the answer that is stored, or is answered where it has none.
Rule 2. A turn holds the session's lease, so of several at once, in whatever processes, one is at work.
Rule 3. What is answered is stored: a result is told when all of the turn is.
Rule 4. A turn goes on when its client is gone.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ..async_sessions import AsyncSessions
from ..errors import AlreadyExistsError, SessionNotFoundError, StoreError, Unavailable
from ..plugin import StoreSessionManager
from ..sessions.shapes import Overview
from ..turns import ends_turn
from . import problems, shapes, views
from .callers import Caller
from .limits import Limits
from .live import KEPT, Turn
from .problems import Problem

if TYPE_CHECKING:
    from strands import Agent

logger = logging.getLogger(__name__)

LOOKED_AT: Final = 100
"""Messages at the end of a conversation among which a prompt that is sent again is looked for."""
EXPIRY: Final = 5.0
"""Seconds after which a server that was killed is succeeded: who sends its prompt again waits for that."""
PAUSES: Final = (0.1, 0.2, 0.5, 1.0, 2.0, *[5.0] * 11)
"""Seconds between tries to store what could not be stored, a minute in all. Then the session is let go of."""
SHOWN: Final = 10_000
"""Characters of a tool's result that an event tells."""


@dataclass(frozen=True, slots=True)
class AgentRequest:
    """What an agent is asked of an ``agent_factory``."""

    session_manager: StoreSessionManager
    """For the agent: with it, it is restored and stored."""
    session: Overview
    """With the session's name, agent_name and instructions."""
    caller: Caller


AgentFactory: TypeAlias = "Callable[[AgentRequest], Agent | Awaitable[Agent]]"


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
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Of a session that is made."""

    @property
    def said(self) -> Any:
        """What the prompt says; None: it answers interrupts."""
        return self.messages[-1]["content"] if self.messages else None


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
        self._turns: dict[tuple[str | None, str, str], Turn] = {}
        self._at_work: Counter[str | None] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    async def turn(self, caller: Caller, owner: str | None, asked: Asked, wait: float) -> Turn:
        """The turn of a prompt: the one that is under way here, or a new one, which has begun.

        Args:
            caller: Who asks.
            owner: Of the session.
            asked: What.
            wait: Seconds to wait for a session that is busy.

        Raises:
            Problem: Too much is under way; the session is not active.
            StoreError: It is busy; or as the store says.
        """
        if asked.session_id is not None:
            known = self._turns.get((owner, asked.session_id, asked.prompt_id))
            if known is not None and not (known.answer.done() and known.answer.exception() is not None):
                return await _joined(known, asked)
        self._admit(owner)
        try:
            # whether one that was named is there shows when it is opened
            session_id = await self._made(None, owner, asked) if asked.session_id is None else asked.session_id
            key = owner, session_id, asked.prompt_id
            # two that were sent at once meet here
            if (known := self._turns.get(key)) is None or known.answer.done():
                turn = self._turns[key] = Turn(session_id, asked.prompt_id, asked.said)
                self._at_work[owner] += 1
                self._work(self._run(turn, key, caller, owner, asked, wait))
                known = turn
        finally:
            self._at_work[owner] -= 1
        return await _joined(known, asked)

    async def close(self, grace: float) -> None:
        """Let turns end, and after ``grace`` seconds end them."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        for task in [*self._tasks]:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # ------------------------------------------------------------------------------------------------------- private

    def _admit(self, owner: str | None) -> None:
        """Take a place; it is given back by who took it.

        Raises:
            Problem: There is none: 429.
        """
        if self._at_work.total() >= self._limits.conversations:
            raise Problem(429, "too many conversations are under way; try again later", problems.LATER)
        if self._at_work[owner] >= self._limits.conversations_per_user:
            raise Problem(429, "too many of your conversations are under way; try again later", problems.LATER)
        self._at_work[owner] += 1

    async def _made(self, session_id: str | None, owner: str | None, asked: Asked) -> str:
        """The id of the session, which was made, or is there by now."""
        with problems.arguments():
            try:
                return (await self._sessions.create(session_id, owner, **asked.fields)).session_id
            except AlreadyExistsError:
                assert session_id is not None
                return session_id

    async def _run(
        self, turn: Turn, key: tuple[str | None, str, str], caller: Caller, owner: str | None, asked: Asked, wait: float
    ) -> None:
        try:
            turn.end(await self._answered(turn, caller, owner, asked, wait))
        except BaseException as error:
            known = problems.problem_of(_cause(error))
            # with no traceback, which would keep the session manager, and with it the session's lease
            problem = Problem(known.status, known.detail, known.headers, **known.more)
            if problem.status >= 500 and not isinstance(error, asyncio.CancelledError):
                logger.error("session_id=<%s> | a conversation failed", turn.session_id, exc_info=error)
            turn.fail(problem, problems.body(problem, f"/api/agent-sessions/{turn.session_id}", None))
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            self._at_work[owner] -= 1
            self._at_work += Counter()  # without those that have none
            asyncio.get_running_loop().call_later(KEPT, self._forget, key, turn)

    def _forget(self, key: tuple[str | None, str, str], turn: Turn) -> None:
        if self._turns.get(key) is turn:
            del self._turns[key]

    async def _answered(
        self, turn: Turn, caller: Caller, owner: str | None, asked: Asked, wait: float
    ) -> shapes.Answer:
        try:
            manager = await self._opened(turn.session_id, owner, wait)
        except SessionNotFoundError:
            await self._made(turn.session_id, owner, asked)
            manager = await self._opened(turn.session_id, owner, wait)
        async with self._closing(manager), manager.lease():
            found = await self._sessions.get(turn.session_id, owner)
            if not found.session.active:
                raise Problem(409, f"session {turn.session_id!r} is not active; activate it first")
            said = await self._said(owner, turn, asked) if asked.repeats else None
            turn.start(_start(turn, found))
            if said is not None and said.answer is not None:
                told: dict[str, Any] = {"stop_reason": None, "message": said.answer, "interrupts": []}
                told["response"] = views.text(said.answer)
            else:
                manager.expect(turn.prompt_id)  # it was drawn here, or is not among those that count as said
                request = AgentRequest(manager, found, caller)
                told = await self._invoked(turn, request, None if said is not None else asked)
        parts = await self._sessions.segments.chain(turn.session_id, owner, agent_id=self._agent_id)
        return shapes.Answer(
            session_id=turn.session_id,
            session_uuid=views.uuid_of(found.session),
            response=told["response"],
            messages_count=sum(one.messages for one in parts),
            session_active=found.session.active,
            prompt_id=turn.prompt_id,
            message_id=told["message"].get("tracking_id"),
            stop_reason=told["stop_reason"],
            interrupts=told["interrupts"],
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
    async def _closing(self, manager: StoreSessionManager) -> AsyncIterator[None]:
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
        for pause in PAUSES:
            await asyncio.sleep(pause)
            try:
                return await manager.aclose()
            except Unavailable:
                continue
            except StoreError as error:  # it says what is lost
                return logger.error("session_id=<%s> | %s", manager.session_id, error)

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _said(self, owner: str | None, turn: Turn, asked: Asked) -> _Said | None:
        """The prompt where it is stored, with the answer if it has one; None: it is not among the last messages.

        Raises:
            Problem: Another prompt has this id.
        """
        page = await self._sessions.segments.full_history(
            turn.session_id, owner, agent_id=self._agent_id, limit=LOOKED_AT
        )
        messages = [placed.entry.message for placed in page.messages]
        at = next((i for i, one in enumerate(messages) if one.get("tracking_id") == turn.prompt_id), None)
        if at is None:
            return None
        _check_same(messages[at]["content"], asked)
        # one that had no answer before the next prompt was answered with that
        return _Said(next((one for one in messages[at + 1 :] if ends_turn(one)), None))

    async def _invoked(self, turn: Turn, request: AgentRequest, asked: Asked | None) -> dict[str, Any]:
        """What the agent answers; ``asked``: None where the prompt is stored already.

        Raises:
            Problem: It failed.
            StoreError: The store did.
        """
        made = self._factory(request)
        agent = await made if inspect.isawaitable(made) else made
        # with an empty list it goes on from what is stored, and first gives a tool call its result that has none
        prompt: list[Any] = [] if asked is None else asked.interrupts or [dict(one) for one in asked.messages]
        result: Any = None
        try:
            async for event in agent.stream_async(prompt):
                if "result" in event:
                    result = event["result"]
                else:
                    _tell(turn, event)
        except Exception as error:
            if isinstance(_cause(error), StoreError):
                raise
            if isinstance(error, TypeError | ValueError):
                await self._refuse_interrupted(request, bool(asked and asked.interrupts))
            raise Problem(502, "the agent failed; what was said is kept, and can be sent again") from error
        structured = getattr(result, "structured_output", None)
        return {
            "stop_reason": result.stop_reason,
            "message": result.message,
            "response": views.text(result.message) if structured is None else structured.model_dump_json(),
            "interrupts": [
                shapes.InterruptTold(id=one.id, name=one.name, reason=views.plain(one.reason))
                for one in result.interrupts or ()
            ],
        }

    async def _refuse_interrupted(self, request: AgentRequest, answers: bool) -> None:
        """
        Raises:
            Problem: The agent waits for an interrupt's answer and was given none, or the other way round.
        """
        session = request.session.session
        agents = await self._sessions.agents(session.session_id, session.user_id)
        waits = any(one.agent.agent_id == self._agent_id and one.agent.interrupts for one in agents)
        if waits and not answers:
            raise Problem(409, "the agent waits for the answer to an interrupt; send it as interrupt_responses")
        if answers and not waits:
            raise Problem(409, "the agent waits for no answer to an interrupt; send messages")


@dataclass(frozen=True, slots=True)
class _Said:
    """A prompt that is stored."""

    answer: Mapping[str, Any] | None


async def _joined(turn: Turn, asked: Asked) -> Turn:
    """The turn, when it has begun."""
    _check_same(turn.said, asked)
    await asyncio.shield(turn.begun)
    return turn


def _check_same(said: Any, asked: Asked) -> None:
    """
    Raises:
        Problem: It is another prompt.
    """
    if said != asked.said:
        raise Problem(409, f"another message has the message_id {asked.prompt_id!r}; give each its own")


def new_id() -> str:
    return secrets.token_hex(8)


def _start(turn: Turn, found: Overview) -> dict[str, Any]:
    return {
        "session_id": turn.session_id,
        "session_uuid": views.uuid_of(found.session),
        "prompt_id": turn.prompt_id,
    }


def _tell(turn: Turn, event: Mapping[str, Any]) -> None:
    """What those who follow are told of an event of the agent."""
    if isinstance(text := event.get("data"), str):
        turn.tell("delta", {"text": text})
    elif isinstance(text := event.get("reasoningText"), str):
        turn.tell("reasoning", {"text": text})
    elif "message" in event:
        for block in event["message"]["content"]:
            if "toolUse" in block:
                use = block["toolUse"]
                turn.tell(
                    "tool_call", {"id": use["toolUseId"], "name": use["name"], "input": views.plain(use["input"])}
                )
            elif "toolResult" in block:
                result = block["toolResult"]
                text = views.text({"content": [block]})
                told = {"id": result["toolUseId"], "status": result.get("status", "success"), "content": text[:SHOWN]}
                turn.tell("tool_result", told)


def _cause(error: BaseException) -> BaseException:
    """The store's error that caused another (Strands wraps them); else the error itself."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, StoreError | Problem):
            return seen
        seen = seen.__cause__
    return error
