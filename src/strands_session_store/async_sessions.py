"""`Sessions`, awaitable. Each call runs on the store's pool, so no event loop ever waits for an engine.

Written by scripts/make_async_sessions.py from the signatures of `Sessions`; what a method promises is said there. A
task that is cancelled while it awaits one no longer waits; what was begun is done all the same.
"""

from __future__ import annotations

import asyncio
import builtins
import os
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any, ParamSpec, TypeVar

from . import records
from .messages import Message
from .prices import Ask, Own, Prices
from .prompts import Name, Strategy
from .segments import SegmentAfter
from .sessions import Sessions
from .sessions.access import Part
from .sessions.archive import Archive, OnExisting, Tell
from .sessions.checks import UNSET, Unset
from .sessions.erasing import Progress
from .sessions.events import Events
from .sessions.listing import OrderBy
from .sessions.messages import Messages, Role
from .sessions.runs import Ended, Runs
from .sessions.segments import Segments
from .sessions.shapes import (
    AgentOverview,
    ConversationPage,
    ConversationStats,
    Exported,
    Imported,
    LogPage,
    MessagePage,
    Node,
    Overview,
    Receipt,
    Said,
    SearchPage,
    SegmentOverview,
    SessionPage,
    Stored,
    UsageReport,
    UserPage,
)
from .sessions.tree import Children
from .sessions.usages import Apart, By, Looked, Usages
from .sessions.users import Users
from .sessions.values import Metadata, Values
from .stores.base import Store
from .usage import Totals

P = ParamSpec("P")
T = TypeVar("T")


class _Offloaded:
    """Calls on the pool of a store."""

    _store: Store

    async def _off(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.wrap_future(self._store.offload.submit(call, *args, **kwargs))

    @asynccontextmanager
    async def _within(self, manager: AbstractContextManager[T]) -> AsyncIterator[T]:
        entered = await self._off(manager.__enter__)
        try:
            yield entered
        except BaseException as error:
            # a cancelled task still waits until its end is stored
            if not await asyncio.shield(self._off(manager.__exit__, type(error), error, error.__traceback__)):
                raise
        else:
            await self._off(manager.__exit__, None, None, None)


class AsyncValues(_Offloaded):
    """`Values`, awaitable."""

    def __init__(self, sync: Values[Any], store: Store) -> None:
        self._sync, self._store = sync, store

    async def all(self) -> dict[str, Any]:
        return await self._off(self._sync.all)

    async def get(self, key: str, default: Any = None) -> Any:
        return await self._off(self._sync.get, key, default)

    async def has(self, key: str) -> bool:
        return await self._off(self._sync.has, key)

    async def set(self, key: str, value: Any) -> None:
        return await self._off(self._sync.set, key, value)

    async def merge(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return await self._off(self._sync.merge, values)

    async def remove(self, *keys: str) -> None:
        return await self._off(self._sync.remove, *keys)

    async def clear(self) -> None:
        return await self._off(self._sync.clear)


class AsyncMetadata(_Offloaded):
    """`Metadata`, awaitable."""

    def __init__(self, sync: Metadata[Any], store: Store) -> None:
        self._sync, self._store = sync, store

    async def all(self) -> dict[str, Any]:
        return await self._off(self._sync.all)

    async def get(self, key: str, default: Any = None) -> Any:
        return await self._off(self._sync.get, key, default)

    async def has(self, key: str) -> bool:
        return await self._off(self._sync.has, key)

    async def set(self, key: str, value: Any) -> None:
        return await self._off(self._sync.set, key, value)

    async def merge(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return await self._off(self._sync.merge, values)

    async def remove(self, *keys: str) -> None:
        return await self._off(self._sync.remove, *keys)

    async def clear(self) -> None:
        return await self._off(self._sync.clear)

    def managed(self, namespace: str) -> AsyncValues:
        return AsyncValues(self._sync.managed(namespace), self._store)

    async def get_managed(self, namespace: str, key: str, default: Any = None) -> Any:
        return await self._off(self._sync.get_managed, namespace, key, default)

    async def set_managed(self, namespace: str, key: str, value: Any) -> None:
        return await self._off(self._sync.set_managed, namespace, key, value)

    async def remove_managed(self, namespace: str, *keys: str) -> None:
        return await self._off(self._sync.remove_managed, namespace, *keys)


class AsyncUsers(_Offloaded):
    """`Users`, awaitable."""

    def __init__(self, sync: Users) -> None:
        self._sync, self._store = sync, sync.store

    async def create(
        self,
        user_id: str,
        *,
        username: str | None = None,
        email: str | None = None,
        first_name: str | None = None,
        last_name: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> records.User:
        return await self._off(
            self._sync.create,
            user_id,
            username=username,
            email=email,
            first_name=first_name,
            last_name=last_name,
            metadata=metadata,
        )

    async def get(self, user_id: str) -> records.User:
        return await self._off(self._sync.get, user_id)

    async def update(
        self,
        user_id: str,
        *,
        username: str | Unset | None = UNSET,
        email: str | Unset | None = UNSET,
        first_name: str | Unset | None = UNSET,
        last_name: str | Unset | None = UNSET,
        active: bool | Unset = UNSET,
    ) -> records.User:
        return await self._off(
            self._sync.update,
            user_id,
            username=username,
            email=email,
            first_name=first_name,
            last_name=last_name,
            active=active,
        )

    async def deactivate(self, user_id: str) -> records.User:
        return await self._off(self._sync.deactivate, user_id)

    async def activate(self, user_id: str) -> records.User:
        return await self._off(self._sync.activate, user_id)

    async def list(
        self, *, active: bool | None = None, limit: int = 50, cursor: str | None = None, offset: int | None = None
    ) -> UserPage:
        return await self._off(self._sync.list, active=active, limit=limit, cursor=cursor, offset=offset)

    async def delete(self, user_id: str) -> Receipt:
        return await self._off(self._sync.delete, user_id)

    def metadata(self, user_id: str) -> AsyncMetadata:
        return AsyncMetadata(self._sync.metadata(user_id), self._store)


class AsyncRuns(_Offloaded):
    """`Runs`, awaitable."""

    def __init__(self, sync: Runs) -> None:
        self._sync, self._store = sync, sync.store

    async def start(
        self,
        session_id: str,
        user_id: str | None = None,
        *,
        run_id: str | None = None,
        agent_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> records.Run:
        return await self._off(
            self._sync.start, session_id, user_id, run_id=run_id, agent_id=agent_id, metadata=metadata
        )

    async def complete(
        self,
        session_id: str,
        run_id: str,
        user_id: str | None = None,
        *,
        reason: str | None = None,
        usage: records.Usage | None = None,
    ) -> records.Run:
        return await self._off(self._sync.complete, session_id, run_id, user_id, reason=reason, usage=usage)

    async def interrupt(
        self,
        session_id: str,
        run_id: str,
        user_id: str | None = None,
        *,
        reason: str | None = None,
        usage: records.Usage | None = None,
    ) -> records.Run:
        return await self._off(self._sync.interrupt, session_id, run_id, user_id, reason=reason, usage=usage)

    async def cancel(
        self,
        session_id: str,
        run_id: str,
        user_id: str | None = None,
        *,
        reason: str | None = None,
        usage: records.Usage | None = None,
    ) -> records.Run:
        return await self._off(self._sync.cancel, session_id, run_id, user_id, reason=reason, usage=usage)

    async def fail(
        self,
        session_id: str,
        run_id: str,
        error: BaseException | str,
        user_id: str | None = None,
        *,
        reason: str | None = None,
        usage: records.Usage | None = None,
    ) -> records.Run:
        return await self._off(self._sync.fail, session_id, run_id, error, user_id, reason=reason, usage=usage)

    async def edit_metadata(
        self, session_id: str, run_id: str, values: Mapping[str, Any], user_id: str | None = None
    ) -> records.Run:
        return await self._off(self._sync.edit_metadata, session_id, run_id, values, user_id)

    async def get(self, session_id: str, run_id: str, user_id: str | None = None) -> records.Run:
        return await self._off(self._sync.get, session_id, run_id, user_id)

    async def list(
        self,
        session_id: str,
        user_id: str | None = None,
        *,
        status: Ended | None = None,
        agent_id: str | None = None,
        start: int | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> LogPage[records.Run]:
        return await self._off(
            self._sync.list,
            session_id,
            user_id,
            status=status,
            agent_id=agent_id,
            start=start,
            limit=limit,
            cursor=cursor,
        )

    async def active(self, session_id: str, user_id: str | None = None) -> tuple[records.Run, ...]:
        return await self._off(self._sync.active, session_id, user_id)

    async def tool_calls(
        self, session_id: str, run_id: str, user_id: str | None = None, *, limit: int = 50, cursor: str | None = None
    ) -> LogPage[records.Event]:
        return await self._off(self._sync.tool_calls, session_id, run_id, user_id, limit=limit, cursor=cursor)

    async def usage(self, session_id: str, run_id: str, user_id: str | None = None) -> records.Usage:
        return await self._off(self._sync.usage, session_id, run_id, user_id)


class AsyncEvents(_Offloaded):
    """`Events`, awaitable."""

    def __init__(self, sync: Events) -> None:
        self._sync, self._store = sync, sync.store

    async def append(
        self, session_id: str, events: records.Event | Iterable[records.Event], user_id: str | None = None
    ) -> tuple[int, ...]:
        return await self._off(self._sync.append, session_id, events, user_id)

    async def list(
        self,
        session_id: str,
        user_id: str | None = None,
        *,
        type: str | None = None,
        source: records.EventSource | None = None,
        run_id: str | None = None,
        parent: str | None = None,
        agent_id: str | None = None,
        start: int | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> LogPage[records.Event]:
        return await self._off(
            self._sync.list,
            session_id,
            user_id,
            type=type,
            source=source,
            run_id=run_id,
            parent=parent,
            agent_id=agent_id,
            start=start,
            limit=limit,
            cursor=cursor,
        )


class AsyncMessages(_Offloaded):
    """`Messages`, awaitable."""

    def __init__(self, sync: Messages) -> None:
        self._sync, self._store = sync, sync.store

    async def page(
        self,
        session_id: str,
        user_id: str | None = None,
        *,
        agent_id: str = "default",
        run_id: str | None = None,
        role: Role | None = None,
        start: int | None = None,
        before: str | None = None,
        after: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> LogPage[records.Message]:
        return await self._off(
            self._sync.page,
            session_id,
            user_id,
            agent_id=agent_id,
            run_id=run_id,
            role=role,
            start=start,
            before=before,
            after=after,
            limit=limit,
            cursor=cursor,
        )

    async def list(
        self,
        session_id: str,
        user_id: str | None = None,
        *,
        agent_id: str = "default",
        matching: Callable[[records.Message], bool] | None = None,
        descending: bool = False,
        limit: int = 50,
        offset: int | None = None,
        cursor: str | None = None,
    ) -> MessagePage:
        return await self._off(
            self._sync.list,
            session_id,
            user_id,
            agent_id=agent_id,
            matching=matching,
            descending=descending,
            limit=limit,
            offset=offset,
            cursor=cursor,
        )

    async def get(
        self, session_id: str, message_id: str, user_id: str | None = None, *, agent_id: str = "default"
    ) -> Said:
        return await self._off(self._sync.get, session_id, message_id, user_id, agent_id=agent_id)

    async def count(self, session_id: str, user_id: str | None = None, *, agent_id: str | None = None) -> int:
        return await self._off(self._sync.count, session_id, user_id, agent_id=agent_id)

    async def search(
        self,
        session_id: str,
        text: str,
        user_id: str | None = None,
        *,
        agent_id: str = "default",
        ignore_case: bool = True,
        limit: int = 50,
        cursor: str | None = None,
    ) -> SearchPage:
        return await self._off(
            self._sync.search,
            session_id,
            text,
            user_id,
            agent_id=agent_id,
            ignore_case=ignore_case,
            limit=limit,
            cursor=cursor,
        )

    async def append(
        self,
        session_id: str,
        messages: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        user_id: str | None = None,
        *,
        agent_id: str = "default",
        model: str | None = None,
        source: records.Source = "llm",
    ) -> tuple[Said, ...]:
        return await self._off(
            self._sync.append, session_id, messages, user_id, agent_id=agent_id, model=model, source=source
        )

    async def context(
        self, session_id: str, user_id: str | None = None, *, agent_id: str = "default"
    ) -> builtins.list[Message]:
        return await self._off(self._sync.context, session_id, user_id, agent_id=agent_id)

    async def edit_metadata(
        self,
        session_id: str,
        message_id: str,
        values: Mapping[str, Any],
        user_id: str | None = None,
        *,
        agent_id: str = "default",
    ) -> dict[str, Any]:
        return await self._off(self._sync.edit_metadata, session_id, message_id, values, user_id, agent_id=agent_id)

    async def redact(
        self,
        session_id: str,
        message_id: str,
        user_id: str | None = None,
        *,
        text: str = "[redacted]",
        agent_id: str = "default",
    ) -> None:
        return await self._off(self._sync.redact, session_id, message_id, user_id, text=text, agent_id=agent_id)

    async def remove(
        self, session_id: str, message_id: str, user_id: str | None = None, *, agent_id: str = "default"
    ) -> None:
        return await self._off(self._sync.remove, session_id, message_id, user_id, agent_id=agent_id)

    async def clear(self, session_id: str, user_id: str | None = None, *, agent_id: str | None = None) -> int:
        return await self._off(self._sync.clear, session_id, user_id, agent_id=agent_id)


class AsyncSegments(_Offloaded):
    """`Segments`, awaitable."""

    def __init__(self, sync: Segments) -> None:
        self._sync, self._store = sync, sync.store

    async def end(
        self,
        session_id: str,
        user_id: str | None = None,
        *,
        agent_id: str = "default",
        after: SegmentAfter | int | None = None,
        if_due: bool = False,
        model: str | None = None,
    ) -> records.Session | None:
        return await self._off(
            self._sync.end, session_id, user_id, agent_id=agent_id, after=after, if_due=if_due, model=model
        )

    async def chain(
        self, session_id: str, user_id: str | None = None, *, agent_id: str = "default"
    ) -> tuple[SegmentOverview, ...]:
        return await self._off(self._sync.chain, session_id, user_id, agent_id=agent_id)

    async def full_history(
        self,
        session_id: str,
        user_id: str | None = None,
        *,
        agent_id: str = "default",
        start: int | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> ConversationPage:
        return await self._off(
            self._sync.full_history, session_id, user_id, agent_id=agent_id, start=start, limit=limit, cursor=cursor
        )

    async def stats(
        self, session_id: str, user_id: str | None = None, *, agent_id: str = "default"
    ) -> ConversationStats:
        return await self._off(self._sync.stats, session_id, user_id, agent_id=agent_id)


class AsyncUsages(_Offloaded):
    """`Usages`, awaitable."""

    def __init__(self, sync: Usages) -> None:
        self._sync, self._store = sync, sync.store

    async def session(self, session_id: str, user_id: str | None = None) -> Totals:
        return await self._off(self._sync.session, session_id, user_id)

    async def subtree(self, session_id: str, user_id: str | None = None) -> Totals:
        return await self._off(self._sync.subtree, session_id, user_id)

    async def user(self, user_id: str | None) -> Totals:
        return await self._off(self._sync.user, user_id)

    async def session_by(self, session_id: str, by: By, user_id: str | None = None) -> dict[str, Totals]:
        return await self._off(self._sync.session_by, session_id, by, user_id)

    async def subtree_by(self, session_id: str, by: By, user_id: str | None = None) -> dict[str, Totals]:
        return await self._off(self._sync.subtree_by, session_id, by, user_id)

    async def user_by(
        self, user_id: str | None, by: By, *, since: str | None = None, until: str | None = None
    ) -> dict[str, Totals]:
        return await self._off(self._sync.user_by, user_id, by, since=since, until=until)

    async def report(
        self,
        user_id: str | None = None,
        *,
        session_id: str | None = None,
        below: bool = False,
        everyone: bool = False,
        by: Collection[Apart] = ("day", "model", "source"),
        since: str | None = None,
        until: str | None = None,
        progress: Looked | None = None,
    ) -> UsageReport:
        return await self._off(
            self._sync.report,
            user_id,
            session_id=session_id,
            below=below,
            everyone=everyone,
            by=by,
            since=since,
            until=until,
            progress=progress,
        )


class AsyncArchive(_Offloaded):
    """`Archive`, awaitable."""

    def __init__(self, sync: Archive) -> None:
        self._sync, self._store = sync, sync.store

    async def export(
        self,
        file: str | os.PathLike[str],
        user_id: str | None = None,
        *,
        everyone: bool = False,
        ids: Collection[str] | None = None,
        progress: Tell | None = None,
    ) -> Exported:
        return await self._off(self._sync.export, file, user_id, everyone=everyone, ids=ids, progress=progress)

    async def import_(
        self,
        file: str | os.PathLike[str],
        *,
        user_id: str | Unset | None = UNSET,
        on_existing: OnExisting = "error",
        progress: Tell | None = None,
    ) -> Imported:
        return await self._off(self._sync.import_, file, user_id=user_id, on_existing=on_existing, progress=progress)

    async def copy(
        self,
        target: Part | Store | str,
        user_id: str | None = None,
        *,
        everyone: bool = False,
        ids: Collection[str] | None = None,
        on_existing: OnExisting = "error",
        progress: Tell | None = None,
    ) -> Imported:
        return await self._off(
            self._sync.copy, target, user_id, everyone=everyone, ids=ids, on_existing=on_existing, progress=progress
        )


class AsyncSessions(_Offloaded):
    """`Sessions`, awaitable."""

    def __init__(self, store: Store | str, *, prices: Prices | Own | Ask | None = None) -> None:
        """As `Sessions`."""
        self._sync = Sessions(store, prices=prices)
        self._store = self.store = self._sync.store
        self.users = AsyncUsers(self._sync.users)
        self.runs = AsyncRuns(self._sync.runs)
        self.events = AsyncEvents(self._sync.events)
        self.messages = AsyncMessages(self._sync.messages)
        self.segments = AsyncSegments(self._sync.segments)
        self.usage = AsyncUsages(self._sync.usage)
        self.archive = AsyncArchive(self._sync.archive)

    async def __aenter__(self) -> AsyncSessions:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    @asynccontextmanager
    async def run(
        self,
        session_id: str,
        user_id: str | None = None,
        *,
        run_id: str | None = None,
        agent_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[records.Run]:
        async with self._within(
            self._sync.run(session_id, user_id, run_id=run_id, agent_id=agent_id, metadata=metadata)
        ) as entered:
            yield entered

    async def prompt(
        self,
        session_id: str,
        user_id: str | None = None,
        *,
        agent_id: str = "default",
        strategy: Strategy | Name = "conversation",
        max_tokens: int | None = None,
        model: str | None = None,
        max_turns: int | None = 10,
    ) -> list[Message]:
        return await self._off(
            self._sync.prompt,
            session_id,
            user_id,
            agent_id=agent_id,
            strategy=strategy,
            max_tokens=max_tokens,
            model=model,
            max_turns=max_turns,
        )

    async def agents(self, session_id: str, user_id: str | None = None) -> tuple[AgentOverview, ...]:
        return await self._off(self._sync.agents, session_id, user_id)

    async def multi_agents(self, session_id: str, user_id: str | None = None) -> tuple[records.MultiAgent, ...]:
        return await self._off(self._sync.multi_agents, session_id, user_id)

    async def layout_tree(self, session_id: str, user_id: str | None = None) -> tuple[Stored, ...]:
        return await self._off(self._sync.layout_tree, session_id, user_id)

    async def list(
        self,
        user_id: str | None = None,
        *,
        everyone: bool = False,
        parent_id: str | None = None,
        active: bool | None = None,
        kind: str | None = None,
        ids: Collection[str] | None = None,
        text: str | None = None,
        ignore_case: bool = True,
        created_after: float | None = None,
        created_before: float | None = None,
        updated_after: float | None = None,
        updated_before: float | None = None,
        order: OrderBy = "created",
        descending: bool = True,
        limit: int = 50,
        cursor: str | None = None,
        offset: int | None = None,
    ) -> SessionPage:
        return await self._off(
            self._sync.list,
            user_id,
            everyone=everyone,
            parent_id=parent_id,
            active=active,
            kind=kind,
            ids=ids,
            text=text,
            ignore_case=ignore_case,
            created_after=created_after,
            created_before=created_before,
            updated_after=updated_after,
            updated_before=updated_before,
            order=order,
            descending=descending,
            limit=limit,
            cursor=cursor,
            offset=offset,
        )

    async def create(
        self,
        session_id: str | None = None,
        user_id: str | None = None,
        *,
        title: str | None = None,
        description: str | None = None,
        agent_name: str | None = None,
        agent_instructions: str | None = None,
        kind: str = "session",
        parent_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        state: Mapping[str, Any] | None = None,
        expires_in: float | None = None,
    ) -> records.Session:
        return await self._off(
            self._sync.create,
            session_id,
            user_id,
            title=title,
            description=description,
            agent_name=agent_name,
            agent_instructions=agent_instructions,
            kind=kind,
            parent_id=parent_id,
            metadata=metadata,
            state=state,
            expires_in=expires_in,
        )

    async def get(self, session_id: str, user_id: str | None = None) -> Overview:
        return await self._off(self._sync.get, session_id, user_id)

    async def update(
        self,
        session_id: str,
        user_id: str | None = None,
        *,
        title: str | Unset | None = UNSET,
        description: str | Unset | None = UNSET,
        agent_name: str | Unset | None = UNSET,
        agent_instructions: str | Unset | None = UNSET,
        kind: str | Unset = UNSET,
        active: bool | Unset = UNSET,
        expected: str | None = None,
    ) -> records.Session:
        return await self._off(
            self._sync.update,
            session_id,
            user_id,
            title=title,
            description=description,
            agent_name=agent_name,
            agent_instructions=agent_instructions,
            kind=kind,
            active=active,
            expected=expected,
        )

    async def activate(
        self, session_id: str, user_id: str | None = None, *, expected: str | None = None
    ) -> records.Session:
        return await self._off(self._sync.activate, session_id, user_id, expected=expected)

    async def deactivate(
        self, session_id: str, user_id: str | None = None, *, expected: str | None = None
    ) -> records.Session:
        return await self._off(self._sync.deactivate, session_id, user_id, expected=expected)

    async def set_expiry(self, session_id: str, seconds: float, user_id: str | None = None) -> None:
        return await self._off(self._sync.set_expiry, session_id, seconds, user_id)

    async def extend_expiry(self, session_id: str, seconds: float, user_id: str | None = None) -> None:
        return await self._off(self._sync.extend_expiry, session_id, seconds, user_id)

    async def clear_expiry(self, session_id: str, user_id: str | None = None) -> None:
        return await self._off(self._sync.clear_expiry, session_id, user_id)

    def metadata(self, session_id: str, user_id: str | None = None) -> AsyncMetadata:
        return AsyncMetadata(self._sync.metadata(session_id, user_id), self._store)

    def state(self, session_id: str, user_id: str | None = None) -> AsyncValues:
        return AsyncValues(self._sync.state(session_id, user_id), self._store)

    async def fork(
        self,
        session_id: str,
        user_id: str | None = None,
        *,
        at: str | None = None,
        agent_id: str | None = None,
        new_id: str | None = None,
        parent_id: str | Unset | None = UNSET,
        title: str | Unset | None = UNSET,
        expires_in: float | None = None,
    ) -> records.Session:
        return await self._off(
            self._sync.fork,
            session_id,
            user_id,
            at=at,
            agent_id=agent_id,
            new_id=new_id,
            parent_id=parent_id,
            title=title,
            expires_in=expires_in,
        )

    async def rewind(
        self, session_id: str, at: str, user_id: str | None = None, *, agent_id: str | None = None
    ) -> records.Event:
        return await self._off(self._sync.rewind, session_id, at, user_id, agent_id=agent_id)

    async def move(self, session_id: str, parent_id: str | None, user_id: str | None = None) -> records.Session:
        return await self._off(self._sync.move, session_id, parent_id, user_id)

    async def ancestors(self, session_id: str, user_id: str | None = None) -> tuple[records.Session, ...]:
        return await self._off(self._sync.ancestors, session_id, user_id)

    async def children(self, session_id: str, user_id: str | None = None) -> tuple[Node, ...]:
        return await self._off(self._sync.children, session_id, user_id)

    async def descendants(self, session_id: str, user_id: str | None = None) -> tuple[Node, ...]:
        return await self._off(self._sync.descendants, session_id, user_id)

    async def tree(self, session_id: str, user_id: str | None = None) -> tuple[Node, ...]:
        return await self._off(self._sync.tree, session_id, user_id)

    async def delete(
        self,
        session_id: str,
        user_id: str | None = None,
        *,
        children: Children = "refuse",
        progress: Progress | None = None,
    ) -> Receipt:
        return await self._off(self._sync.delete, session_id, user_id, children=children, progress=progress)

    async def erase_user(self, user_id: str, progress: Progress | None = None) -> Receipt:
        return await self._off(self._sync.erase_user, user_id, progress)

    async def close(self) -> None:
        return await self._off(self._sync.close)
