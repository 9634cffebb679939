"""A conversation for callers without Strands: what was said is stored, and what a model is to be given is read.

    with Conversation("chat-1", "sqlite:///chats.db") as chat:
        chat.user_says("How tall is the Eiffel Tower?")
        reply = client.chat.completions.create(model="gpt-4o", messages=chat.messages("openai_chat").messages)
        chat.ai_responds(reply, format="openai_chat")

It is the conversation of an agent in a session: a Strands agent that is built on the session goes on with it, and it
goes on with what a Strands agent has said.

Rule 1. Each call returns when it is stored. Nothing has to be flushed, and whoever names the session goes on.
Rule 2. A call that failed can be made again as it was: it is stored once (`conversing`, rule 1).
Rule 3. Several may say something at once, in as many processes: all of it is kept, in the order in which it was stored.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, overload

from . import records, saying
from .conversing import Conversing
from .formats.conversion import Converted, Loss
from .messages import Message
from .prices import Ask, Own, Prices
from .prompts import MAX_TURNS, Name, Strategy
from .saying import Call, Content, Status, Used
from .segments import SegmentAfter
from .sessions import shapes
from .sessions.rollover import Rollover, summarized, summarizer_of
from .stores.base import Store

__all__ = ["Conversation", "Kept", "Used"]

Self = TypeVar("Self", bound="Conversation")


@dataclass(frozen=True, slots=True)
class Kept:
    """What a call has stored."""

    said: tuple[shapes.Said, ...]
    """Its messages, each with its index in the whole conversation."""
    ended: records.Session | None = None
    """The session that has the messages of the segment that ended with it; None: the segment goes on."""
    lost: tuple[Loss, ...] = ()
    """What of a vendor's message could not be held as it was; unless ``strict=False``, nothing of it is missing."""

    @property
    def uses(self) -> tuple[dict[str, Any], ...]:
        """The tools that the assistant asks for, each with ``toolUseId``, ``name`` and ``input``."""
        blocks = (block for one in self.said for block in one.entry.message["content"])
        return tuple(block["toolUse"] for block in blocks if "toolUse" in block)


class Conversation:
    """What a user and a model say to each other. May be used by several threads."""

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
        """Name a conversation. No I/O: its session is made by the first message, unless it is there.

        Args:
            session_id: Which. The same id goes on with the same conversation.
            store: A Store (shared, left open by `close`), a URL for `open_store`, or None: the environment's
                STRANDS_SESSION_STORE, else SQLite in ./strands-sessions.db.
            user_id: The owner; ids are unique per owner.
            agent_id: Whose conversation; "default" is what Strands calls an agent.
            segment_after: When it goes on with a summary of what was said, which itself moves to a session below: after
                an answer with which it takes so many tokens, or as `SegmentAfter` says. None: never.
            prices: What models cost, as for a session manager.
            ttl: Seconds after the last commit when all of it expires; None: as it is (a new one: never).
            title: At most 255 characters, where its session is made here.

        Raises:
            InvalidIdError: An id is none.
            ValueError: An argument is out of its range, or a summarizer has to be awaited (`AsyncConversation`).
            StoreError: The URL names no known engine.
        """
        after = None if segment_after is None else SegmentAfter.of(segment_after)
        self._summarize = summarizer_of(None if after is None else after.summarize)
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

    # ----------------------------------------------------------------------------------------------------- what is said

    def user_says(
        self,
        content: Content | Any,
        *,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        id: str | None = None,
        format: str | None = None,
        strict: bool = True,
    ) -> Kept:
        """Store what a user says; one commit.

        Args:
            content: A text, or content blocks in Strands' terms. With ``format``: a message in a dialect, or several
                that are one of a user's there, as those with the results of tools.
            name: Who says it, where there are several; kept in ``metadata["custom"]["name"]``.
            metadata: What is yours; kept in ``metadata["custom"]``.
            id: The message's own, where the call may be made twice by different processes (a queue that delivers
                again): the second one returns what the first has stored. It is looked for among the last 100 messages.
            format: The dialect of the content (`formats.FORMATS`).
            strict: What of it would be missing is refused. False: it is left out, and listed.

        Raises:
            ValueError: It is no message of a user.
            FormatError: It is none of the dialect, or can not be held.
            AlreadyExistsError: Another message has the id.
            IllegalTransitionError: The session is itself a segment of a conversation, which has ended.
            InterruptPendingError: A Strands agent waits here for the answer to an interrupt.
            SessionBusyError: A process runs the session with a lease.
            StoreError: As the engine says. It can be repeated; after InDoubt, as it was.
        """
        return self._user(saying.user_call(content, name, metadata, id, format, strict))

    def ai_responds(
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
        """Store what a model answers, counted as a model call; one commit. Then, where the segment is due, it ends
        (`Kept.ended`), which takes a summary and five commits.

        Args:
            content: As for `user_says`. With ``format``: the answer as the vendor's client gives it, an object or a
                dict; its model and usage are taken from it.
            model: The model's id.
            usage: What it took, in Strands' terms: inputTokens, outputTokens, and if they are known totalTokens,
                cacheReadInputTokens, cacheWriteInputTokens. None: as the answer says, else it is estimated.
            name: As for `user_says`, like metadata, id, format and strict.
            source: On whose behalf the model was called: "user", "llm" (its own accord), or "system".

        Raises:
            As `user_says`. A segment that can not end is no error: it goes on, and the next answer tries again.
        """
        return self._assistant(saying.ai_call(content, model, usage, name, metadata, source, id, format, strict))

    def tool_used(
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
        """Store that a tool was used, and what it gave: two messages, of the assistant and the user, in one commit.

        Args:
            name: The tool's.
            input: What it was given.
            output: A text, content blocks of Strands' for a tool's result, or any other JSON value.
            status: "success" or "error".
            id: The model's for this use; None: one is drawn.
            text: What the model said with it.
            model: As for `ai_responds`, like usage: the use was asked for by a model call.

        Raises:
            As `user_says`.
        """
        return self.tools_used([Used(name, input, output, status, id)], text=text, model=model, usage=usage)

    def tools_used(
        self,
        uses: Sequence[Used],
        *,
        text: str | None = None,
        model: str | None = None,
        usage: Mapping[str, int] | None = None,
    ) -> Kept:
        """As `tool_used`, for several that a model has asked for at once: still two messages and one commit."""
        return self._assistant(saying.tools_call(uses, text, model, usage))

    def tools_answered(self, answers: Mapping[str, Any], *, failed: Collection[str] = ()) -> Kept:
        """Store what the tools gave that the last answer asks for (`Kept.uses`); one message, one commit.

        Args:
            answers: Id of the use -> output, as for `tool_used`. All that were asked for: of a use without a result
                `messages` shows nothing.
            failed: The ids of those that failed.

        Raises:
            As `user_says`.
        """
        return self._user(Call(saying.results(answers, failed)))

    # ----------------------------------------------------------------------------------------------------- what is read

    @overload
    def messages(self, format: None = None) -> list[Message]: ...

    @overload
    def messages(self, format: str, *, system: Any = None, strict: bool = True) -> Converted: ...

    def messages(
        self, format: str | None = None, *, system: Any = None, strict: bool = True
    ) -> list[Message] | Converted:
        """What a model is to be given now: the summary of what came before, and what was said since; one read or two.

        Roles alternate, a user's message is the first, and tools' uses and results are in pairs, whoever has said what
        meanwhile: what one role has said in succession is one message, and a use without its result is left out.

        Args:
            format: A dialect (`formats.FORMATS`); None: Strands' own terms.
            system: The system prompt, a text or Strands' content blocks; for a dialect.
            strict: What would be missing in the dialect is refused. False: it is left out, and listed.

        Returns:
            Copies; with a format, `Converted`. Empty before anything was said.

        Raises:
            ValueError: There is no such format.
            FormatError: The dialect can not hold something.
        """
        return self._steps.shown(format, system, strict)

    def prompt(
        self,
        strategy: Strategy | Name = "conversation",
        *,
        max_tokens: int | None = None,
        model: str | None = None,
        max_turns: int | None = MAX_TURNS,
    ) -> list[Message]:
        """A part of all that was said, whatever segment it is in, as `Sessions.prompt` picks it: that costs what the
        strategy reads. Empty before anything was said.

        Raises:
            PromptError: What the user said last alone takes more than ``max_tokens``.
        """
        return self._steps.prompt(strategy, max_tokens, model, max_turns)

    def full_history(
        self, *, start: int | None = None, limit: int = 50, cursor: str | None = None
    ) -> shapes.ConversationPage:
        """A part of all that was said, whatever segment it is in; see `Segments.full_history`. Empty before anything
        was said."""
        return self._steps.full_history(start, limit, cursor)

    def chain(self) -> tuple[shapes.SegmentOverview, ...]:
        """The segments, oldest first; the last is the one that goes on. Empty before anything was said."""
        return self._steps.chain()

    def stats(self) -> shapes.ConversationStats:
        """Segments, messages, tokens and cost, and the last summary; one read."""
        return self._steps.stats()

    # --------------------------------------------------------------------------------------------------------- its life

    def end_segment(self) -> records.Session | None:
        """End the segment now, whatever its size.

        Returns:
            The session that has its messages; None: nothing was said in it, or its last turn is not over.

        Raises:
            ConflictError: Something was said meanwhile. It goes on.
            SummaryError, Exception: No summary could be made. It goes on, and an event says so.
        """
        rollover = self._steps.segment.ends()
        if rollover is None:
            return None
        return self._steps.segment.end(rollover, summarized(rollover, self._summarize), by_hand=True)

    def close(self) -> None:
        """Close the store, if it was opened here. Repeatable."""
        self._steps.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *exc: object) -> Literal[False]:
        self.close()
        return False

    # ---------------------------------------------------------------------------------------------------------- private

    def _user(self, call: Call) -> Kept:
        with self._steps.told(call):
            ended = self._rolled(self._steps.segment.room_for(call.messages[0]))
            said = self._steps.store_call(call)
            self._steps.segment.keep()
            return Kept(said, ended, call.said.lost)

    def _assistant(self, call: Call) -> Kept:
        with self._steps.told(call):
            said = self._steps.store_call(call)
            ended = self._rolled(self._steps.segment.due(said[-1].entry.message))
            self._steps.segment.keep()
            return Kept(said, ended, call.said.lost)

    def _rolled(self, rollover: Rollover | None) -> records.Session | None:
        if rollover is None:
            return None
        try:
            made = summarized(rollover, self._summarize)
        except Exception:  # a model's, a callable's: whatever it is, what was said is stored
            self._steps.segment.failed(rollover)
            return None
        return self._steps.segment.end(rollover, made, by_hand=False)
