"""`Conversation`, awaitable. What takes a store runs on the store's pool, so no event loop ever waits for an engine; a
summarizer may be awaited, and one that need not be runs in a thread.

Rule. A task that is cancelled while it awaits a call no longer waits; what was begun is done all the same. So the same
call made again is looked for first: it is stored once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, ParamSpec, TypeVar, overload

from . import records, saying
from .conversation import Kept
from .conversing import Conversing
from .formats.conversion import Converted
from .messages import Message
from .prices import Ask, Own, Prices
from .prompts import MAX_TURNS, Name, Strategy
from .saying import Call, Content, Status, Used
from .segments import SegmentAfter
from .sessions import shapes
from .sessions.rollover import Rollover, tell_failed
from .stores.base import Store
from .summaries import Summarize, Summary, extractive, fold, fold_async

__all__ = ["AsyncConversation", "Kept", "Used"]

P = ParamSpec("P")
T = TypeVar("T")
Self = TypeVar("Self", bound="AsyncConversation")


class AsyncConversation:
    """`Conversation`, awaitable; what a method promises is said there."""

    def __init__(
        self,
        session_id: str,
        store: Store | str | None = None,
        *,
        user_id: str | None = None,
        agent_id: str = "default",
        segment_after: SegmentAfter | int | None = SegmentAfter(),  # noqa: B008 (it is frozen)
        prices: Prices | Own | Ask | None = None,
        ttl: float | None = None,
        title: str | None = None,
    ) -> None:
        """As `Conversation`; a summarizer may have to be awaited."""
        after = None if segment_after is None else SegmentAfter.of(segment_after)
        self._summarize = _awaitable(None if after is None else after.summarize)
        self._steps = Conversing(
            session_id,
            store,
            user_id=user_id,
            agent_id=agent_id,
            segment_after=after,
            prices=prices,
            ttl=ttl,
            title=title,
        )
        self.session_id, self.user_id, self.agent_id = session_id, user_id, agent_id
        self.store = self._steps.store

    async def user_says(
        self,
        content: Content | Any,
        *,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        id: str | None = None,
        format: str | None = None,
        strict: bool = True,
    ) -> Kept:
        return await self._user(saying.user_call(content, name, metadata, id, format, strict))

    async def ai_responds(
        self,
        content: Content | Any,
        *,
        model: str | None = None,
        usage: Mapping[str, int] | None = None,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        source: records.Source = "llm",
        id: str | None = None,
        format: str | None = None,
        strict: bool = True,
    ) -> Kept:
        return await self._assistant(saying.ai_call(content, model, usage, name, metadata, source, id, format, strict))

    async def tool_used(
        self,
        name: str,
        input: Mapping[str, Any],
        output: Any,
        *,
        status: Status = "success",
        id: str | None = None,
        text: str | None = None,
        model: str | None = None,
        usage: Mapping[str, int] | None = None,
    ) -> Kept:
        return await self.tools_used([Used(name, input, output, status, id)], text=text, model=model, usage=usage)

    async def tools_used(
        self,
        uses: Sequence[Used],
        *,
        text: str | None = None,
        model: str | None = None,
        usage: Mapping[str, int] | None = None,
    ) -> Kept:
        return await self._assistant(saying.tools_call(uses, text, model, usage))

    async def tools_answered(self, answers: Mapping[str, Any], *, failed: Collection[str] = ()) -> Kept:
        return await self._user(Call(saying.results(answers, failed)))

    @overload
    async def messages(self, format: None = None) -> list[Message]: ...

    @overload
    async def messages(self, format: str, *, system: Any = None, strict: bool = True) -> Converted: ...

    async def messages(
        self, format: str | None = None, *, system: Any = None, strict: bool = True
    ) -> list[Message] | Converted:
        return await self._off(self._steps.shown, format, system, strict)

    async def prompt(
        self,
        strategy: Strategy | Name = "conversation",
        *,
        max_tokens: int | None = None,
        model: str | None = None,
        max_turns: int | None = MAX_TURNS,
    ) -> list[Message]:
        return await self._off(self._steps.prompt, strategy, max_tokens, model, max_turns)

    async def full_history(
        self, *, start: int | None = None, limit: int = 50, cursor: str | None = None
    ) -> shapes.ConversationPage:
        return await self._off(self._steps.full_history, start, limit, cursor)

    async def chain(self) -> tuple[shapes.SegmentOverview, ...]:
        return await self._off(self._steps.chain)

    async def stats(self) -> shapes.ConversationStats:
        return await self._off(self._steps.stats)

    async def end_segment(self) -> records.Session | None:
        rollover = await self._off(self._steps.segment.ends)
        if rollover is None:
            return None
        return await self._off(self._steps.segment.end, rollover, await self._summary(rollover), by_hand=True)

    async def close(self) -> None:
        await self._off(self._steps.close)

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> Literal[False]:
        await self.close()
        return False

    # ---------------------------------------------------------------------------------------------------------- private

    async def _off(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.wrap_future(self.store.offload.submit(call, *args, **kwargs))

    async def _user(self, call: Call) -> Kept:
        with self._steps.told(call):
            ended = await self._rolled(await self._off(self._steps.segment.room_for, call.messages[0]))
            said = await self._off(self._steps.store_call, call)
            await self._off(self._steps.segment.keep)
            return Kept(said, ended, call.said.lost)

    async def _assistant(self, call: Call) -> Kept:
        with self._steps.told(call):
            said = await self._off(self._steps.store_call, call)
            ended = await self._rolled(await self._off(self._steps.segment.due, said[-1].entry.message))
            await self._off(self._steps.segment.keep)
            return Kept(said, ended, call.said.lost)

    async def _rolled(self, rollover: Rollover | None) -> records.Session | None:
        if rollover is None:
            return None
        try:
            made = await self._summary(rollover)
        except Exception:  # a model's, a callable's: whatever it is, what was said is stored
            self._steps.segment.failed(rollover)
            return None
        return await self._off(self._steps.segment.end, rollover, made, by_hand=False)

    async def _summary(self, rollover: Rollover) -> Summary:
        try:
            if self._summarize is None:
                return await asyncio.to_thread(fold, rollover.asked, extractive, rollover.room)
            return await fold_async(rollover.asked, self._summarize, rollover.room)
        except Exception as error:
            await self._off(tell_failed, rollover, error)
            raise


def _awaitable(what: Any) -> Callable[[Summarize], Any] | None:
    """A summarizer that is awaited; None: sentences of the conversation's own."""
    if what is None or what == "extractive":
        return None
    from .summarizers import async_summarizer  # it loads Strands

    return async_summarizer(what)
