"""What was said in a session: read by the page, added by others than Strands, edited, redacted, removed, erased.

Rule 1. An index never moves. A message that was removed leaves a tombstone, which nothing here shows.
Rule 2. What changes messages is refused while a process runs the session with a lease, and told to live agents
        (`writing`).
Rule 3. The history is changed by what is named so alone. What an agent's context makes of it is the matter of its
        conversation manager.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal, TypeAlias, get_args

from .. import codec, ids, layout, records
from ..calls import counted
from ..errors import InvalidCursorError
from ..messages import Message, snapshot
from ..prices import Ask, Own, Prices
from ..stores.base import Counters, Docs, Store
from . import checks
from .access import Access, Part
from .appending import append
from .clearing import clear, existing, extent
from .contexts import read_context
from .conversation_listing import History
from .ended import wherever
from .entries import Place, page, place
from .finding import find, missing, span
from .inside import ids_of
from .rewriting import Change as Rewriting
from .rewriting import edited, redacted, removed, rewrite
from .searching import sought, texts
from .shapes import MAX_PAGE, LogPage, MessagePage, Said, SearchPage
from .submitted import checked

Role: TypeAlias = Literal["user", "assistant"]

DEFAULT: Final = "default"
"""The agent id that Strands gives."""


class Messages(Part):
    """The histories of a session's agents. What the agents of a Graph or Swarm said is not among them."""

    def __init__(self, store: Store, prices: Prices | Own | Ask | None = None) -> None:
        super().__init__(store)
        self._prices = prices if isinstance(prices, Prices) else Prices(prices)

    def page(
        self,
        session_id: str,
        user_id: str | None = None,
        *,
        agent_id: str = DEFAULT,
        run_id: str | None = None,
        role: Role | None = None,
        start: int | None = None,
        before: str | None = None,
        after: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> LogPage[records.Message]:
        """A part of what was said by an agent and to it, whatever its context is by now. One read, as long as nothing
        was removed or is filtered.

        Args:
            session_id: Which session.
            user_id: Its owner.
            agent_id: One that is not in the session has an empty history.
            start: From this index on; 0: from the oldest. Without it and the next three: the newest.
            before: The newest before the message with this id. It is looked for from the end, a hundred entries by the
                first read and up to a thousand by each other: what is far takes many.
            after: The oldest behind it.
            cursor: `LogPage.older` or `LogPage.newer` of another page of this history.
            limit: 1 to 1,000. Fewer are returned where 10,000 entries were looked at; the cursors go on.
            run_id: Only messages of this run. It is looked for like a message. Of one that is open these are the
                messages stored since it began, by the clock of its process.
            role: Only messages of this role.

        Raises:
            MessageNotFoundError: There is no message ``before`` or ``after`` which to look.
            RunNotFoundError: There is no such run, or it is another agent's.
            InvalidCursorError: The cursor is none of this history.
        """
        log = layout.history(ids.check("agent_id", agent_id))
        checks.limit(limit)
        if sum(given is not None for given in (start, before, after, cursor)) > 1:
            raise ValueError("start, before, after and cursor each say where a page is; give one of them")
        if role not in (None, "user", "assistant"):
            raise ValueError(f'role must be "user", "assistant" or None, got {role!r}')
        where = place(log, start, cursor)
        access = self._session(session_id, user_id)
        if before is not None:
            where = Place(find(access, agent_id, ids.check("before", before)).index, back=True)
        elif after is not None:
            where = Place(find(access, agent_id, ids.check("after", after)).index + 1, back=False)
        floor, ceiling = (0, None) if run_id is None else span(access, agent_id, ids.check("run_id", run_id))

        def admits(said: records.Message) -> bool:
            return said.removed is None and role in (None, said.message.get("role"))

        return page(access, log, records.Message, where, admits, limit=limit, first=limit, floor=floor, ceiling=ceiling)

    def list(
        self,
        session_id: str,
        user_id: str | None = None,
        *,
        agent_id: str = DEFAULT,
        matching: Callable[[records.Message], bool] | None = None,
        descending: bool = False,
        limit: int = 50,
        offset: int | None = None,
        cursor: str | None = None,
    ) -> MessagePage:
        """All that was said in a conversation, whichever segment it is in, as a list: oldest first unless it is told
        otherwise. What was removed or erased is not in it. Costs a read for each segment that is shown, and one more.

        Args:
            session_id: Which session.
            user_id: Its owner.
            agent_id: Whose history.
            matching: Only messages of which this is true. One call looks at 10,000 at most, up to 1,000 by a read.
            descending: Newest first.
            limit: 1 to 1,000. Where 10,000 were looked at, a page can be shorter although there is a next one.
            offset: How many to skip, instead of a cursor. The page then has a total. Without ``matching`` that costs
                two reads whatever the offset, and where segments have ended as `Segments.chain`; where messages were
                removed, the segment in question is read from its nearer end. With it, it costs what there is to look
                at; `MessagePage.exact` says whether that was all.
            cursor: `MessagePage.cursor` of the page before, with the same arguments.

        Raises:
            InvalidCursorError: The cursor is none of such a list.
            ValueError: An argument is out of its range; with ``matching``, an offset behind what a call looks at.
        """
        checks.flag("descending", descending)
        history = History(self._session(session_id, user_id), ids.check("agent_id", agent_id), descending)
        return history.listed(matching, limit, offset, cursor)

    def get(self, session_id: str, message_id: str, user_id: str | None = None, *, agent_id: str = DEFAULT) -> Said:
        """The last message with this tracking id, looked for from the end as in `page`, then in segments that have
        ended, as by the methods that change one. Its index is that of the whole conversation.

        Raises:
            MessageNotFoundError: There is none, or it was removed.
        """
        ids.check("agent_id", agent_id)
        ids.check("message_id", message_id)

        def look(access: Access[records.Session], first: int) -> Said:
            found = find(access, agent_id, message_id)
            if found.entry.removed is not None:
                raise missing(agent_id, message_id)
            return Said(first + found.index, found.entry)

        return wherever(self._session(session_id, user_id), agent_id, look)

    def count(self, session_id: str, user_id: str | None = None, *, agent_id: str | None = None) -> int:
        """How many messages there are, without those removed or erased; one read, of counters alone.

        Args:
            session_id: Which session.
            user_id: Its owner.
            agent_id: Only this agent's. None: all of the session's, with those of the nodes of a Graph or Swarm.
        """
        access = self._session(session_id, user_id)
        if agent_id is None:
            return access.look(Counters(["messages"])).counters["messages"]
        return existing(access.look(*extent(ids.check("agent_id", agent_id))), agent_id)

    def search(
        self,
        session_id: str,
        text: str,
        user_id: str | None = None,
        *,
        agent_id: str = DEFAULT,
        ignore_case: bool = True,
        limit: int = 50,
        cursor: str | None = None,
    ) -> SearchPage:
        """Messages with a text in them, newest first: in text blocks, and in what tools were given and have answered.
        Looks at 10,000 messages at most, a thousand by a read.

        Args:
            session_id: Which session.
            text: What to look for; it stands within one text, key or value.
            user_id: Its owner.
            agent_id: Whose history.
            ignore_case: False: only as it is written.
            limit: 1 to 1,000.
            cursor: `SearchPage.cursor`, for the same text: goes on where that ended.

        Raises:
            InvalidCursorError: The cursor is none of a search in this history.
        """
        log = layout.history(ids.check("agent_id", agent_id))
        checks.limit(limit)
        where = place(log, cursor=cursor)
        if not where.back:
            raise InvalidCursorError(f"cursor {cursor!r} is none of a search; hand on what a search gave")
        checks.flag("ignore_case", ignore_case)
        has = sought(checks.words("text", text), ignore_case)

        def admits(said: records.Message) -> bool:
            return said.removed is None and any(map(has, texts(said.message)))

        access = self._session(session_id, user_id)
        found = page(access, log, records.Message, where, admits, limit=limit, first=MAX_PAGE)
        return SearchPage(tuple(Said(*one) for one in sorted(found.entries.items(), reverse=True)), found.older)

    def append(
        self,
        session_id: str,
        messages: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        user_id: str | None = None,
        *,
        agent_id: str = DEFAULT,
        model: str | None = None,
        source: records.Source = "llm",
    ) -> tuple[Said, ...]:
        """Add messages at the end of an agent's history and of its context; one read and one commit.

        An agent that is built on the session has them, also where the session had none of this id: such a one has no
        state yet but that of its code. With tracking ids of your own it can be repeated, after a lost answer (InDoubt)
        or when a queue delivers twice: ids among the last 100 of the history are refused. Without, a repetition adds
        the messages again.

        Args:
            session_id: Which session; `Sessions.create` makes one.
            messages: One or several, as Strands has them: ``{"role": "user", "content": [{"text": "hi"}]}``, or with a
                text for content. ``metadata["custom"]`` is for what is yours. At most 16 MiB each, 32 MiB and about
                5,000 in all.
            user_id: Its owner.
            agent_id: Whose history. An agent that is new is made.
            model: Id of the model whose answers the assistant messages among them are. Each is counted as a model call:
                as its ``metadata.usage`` says, else by an estimate of itself and of what was said since the answer
                before it, as far as that is among them or the last 10 of the history.
            source: On whose behalf that call was made: "user", "llm" (an agent), or "system".

        Returns:
            The messages as they were stored, with their tracking ids.

        Raises:
            ValueError: What is no message; names its place.
            AlreadyExistsError: A tracking id is among the last 100 already. Nothing was written.
            IllegalTransitionError: The session is a segment of a conversation, which has ended.
            InterruptPendingError: The agent waits for the answer to an interrupt.
            SessionBusyError: A process runs the session with a lease.
        """
        added, given = checked(messages)
        if source not in get_args(records.Source):
            raise ValueError(f'source must be "user", "llm" or "system", got {source!r}')
        called = partial(counted, model=model, source=source, prices=self._prices)
        return append(self._session(session_id, user_id), ids.check("agent_id", agent_id), added, given, called)

    def context(
        self, session_id: str, user_id: str | None = None, *, agent_id: str = DEFAULT
    ) -> builtins.list[Message]:
        """What an agent's model would be given now, as it is stored: of a conversation in segments the summary and what
        was said since, of one with a conversation manager what that has left. One read, or two. Roles need not
        alternate where several have written it, and a tool's use may wait for its result.

        Returns:
            Copies, in Strands' terms, with their tracking ids. Empty for an agent that is not in the session.
        """
        return read_context(self._session(session_id, user_id), ids.check("agent_id", agent_id))

    # ------------------------------------------------------------------------------------------------- what was stored

    def edit_metadata(
        self,
        session_id: str,
        message_id: str,
        values: Mapping[str, Any],
        user_id: str | None = None,
        *,
        agent_id: str = DEFAULT,
    ) -> dict[str, Any]:
        """Set keys in ``metadata["custom"]`` of the last message with this tracking id, in the history and in the
        context; other keys stay. It is looked for as in `page`; then three reads and two commits.

        Returns:
            All that is custom of it now.

        Raises:
            MessageNotFoundError: There is none, or it was removed.
            Unserializable: Not a JSON value, bytes, tuple, set, date, Decimal or UUID, nor made of these.
            SessionBusyError: A process runs the session with a lease.
        """
        checks.mapping("values", values)
        codec.encode(dict(values), lost=checks.refuse, place="values")
        after = self._rewrite(session_id, message_id, user_id, agent_id, edited(snapshot(dict(values))))
        return dict(after[-1].message["metadata"]["custom"])

    def redact(
        self,
        session_id: str,
        message_id: str,
        user_id: str | None = None,
        *,
        text: str = "[redacted]",
        agent_id: str = DEFAULT,
    ) -> None:
        """Put a text in the place of what a message said, wherever it stands: in the history, and where the context
        shows it otherwise. Tool uses keep their id and name, and no input; results their id, with the text. Metadata
        stays. What others have made of it (a summary, an agent's state) is not looked at.

        Reads the agent's whole history and variants, a thousand entries by a read, since a message may stand several
        times; then two reads and two commits.

        Raises:
            MessageNotFoundError: There is none, or it was removed.
            InterruptPendingError: It is part of an interrupt that waits for its answer.
            SessionBusyError: A process runs the session with a lease.
        """
        change = redacted(checks.words("text", text, empty=True))
        self._rewrite(session_id, message_id, user_id, agent_id, change)

    def remove(self, session_id: str, message_id: str, user_id: str | None = None, *, agent_id: str = DEFAULT) -> None:
        """Take a message out of the history and the context. Its content is erased; a tombstone keeps its index, and
        its token usage, which was paid for. Of a tool's use and its result the other is mended by a resume.

        Costs and errors as `redact`.
        """
        self._rewrite(session_id, message_id, user_id, agent_id, removed())

    def clear(self, session_id: str, user_id: str | None = None, *, agent_id: str | None = None) -> int:
        """Erase all messages, also those of segments that have ended, and have contexts be empty. State stays; an
        interrupt that waits for its answer goes, and what a model keeps elsewhere is let go of. Indices go on where
        they were. One read and one commit an agent; of all, one read more; for each segment two calls of the store.

        Args:
            session_id: Which session.
            user_id: Its owner.
            agent_id: Whose; None: those of all agents. Interrupted then, it can be repeated.

        Returns:
            How many messages were erased, without those removed before.

        Raises:
            SessionBusyError: A process runs the session with a lease.
        """
        access = self._session(session_id, user_id)
        if agent_id is not None:
            return clear(access, ids.check("agent_id", agent_id))
        return sum(clear(access, id) for id in ids_of(access.look(Docs(layout.AGENTS)), layout.AGENTS))

    def _rewrite(
        self, session_id: str, message_id: str, user_id: str | None, agent_id: str, change: Rewriting
    ) -> builtins.list[records.Message]:
        ids.check("agent_id", agent_id)
        ids.check("message_id", message_id)
        found = self._session(session_id, user_id)
        return wherever(found, agent_id, lambda access, _: rewrite(access, agent_id, message_id, change))
