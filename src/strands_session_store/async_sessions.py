"""`Sessions`, awaitable. Mechanical: each call runs on the store's pool, so no event loop ever waits for an engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from . import records
from .sessions import AgentOverview, Overview, Receipt, SessionPage, Sessions, Slice, Stored
from .stores.base import Store

P = ParamSpec("P")
T = TypeVar("T")


class AsyncSessions:
    """The methods of `Sessions`, with its contracts."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._sessions = Sessions(store)

    async def list(
        self, user_id: str | None = None, *, limit: int = 50, cursor: str | None = None, everyone: bool = False
    ) -> SessionPage:
        return await self._off(self._sessions.list, user_id, limit=limit, cursor=cursor, everyone=everyone)

    async def get(self, session_id: str, user_id: str | None = None) -> Overview:
        return await self._off(self._sessions.get, session_id, user_id)

    async def agents(self, session_id: str, user_id: str | None = None) -> tuple[AgentOverview, ...]:
        return await self._off(self._sessions.agents, session_id, user_id)

    async def multi_agents(self, session_id: str, user_id: str | None = None) -> tuple[records.MultiAgent, ...]:
        return await self._off(self._sessions.multi_agents, session_id, user_id)

    async def history(
        self, session_id: str, agent_id: str, user_id: str | None = None, *, start: int | None = None, limit: int = 50
    ) -> Slice[records.Message]:
        return await self._off(self._sessions.history, session_id, agent_id, user_id, start=start, limit=limit)

    async def layout_tree(self, session_id: str, user_id: str | None = None) -> tuple[Stored, ...]:
        return await self._off(self._sessions.layout_tree, session_id, user_id)

    async def delete(self, session_id: str, user_id: str | None = None) -> Receipt:
        return await self._off(self._sessions.delete, session_id, user_id)

    async def _off(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.wrap_future(self.store.offload.submit(call, *args, **kwargs))
