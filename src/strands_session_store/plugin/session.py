"""A session in this process: its writers, and who waits how long for them. Hooks enqueue under `lock`, then wait."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, Literal, TypeVar

from .. import codec, layout, records
from ..errors import ConflictError, Regressed, SessionNotFoundError, StoreError, Unavailable
from ..stores.base import Space, Store
from .commits import Presence
from .encoding import BeforeStore
from .jobs import Job
from .loading import Base, Loaded, LoadedAgent, LoadedMultiAgent, ids_in, load
from .tracked import TrackedAgent
from .waiting import settle
from .writer import Writer

logger = logging.getLogger(__name__)

Durability = Literal["message", "background", "turn"]
"""``message``: a hook returns when its message is stored. ``background``: stored at once, waited for at the end of the
invocation. ``turn``: one commit at the end of the invocation.

The last two keep what could not be stored and try it again, and no hook raises, until 1,000 writes (some 150 turns) or
16 MiB are pending of an agent. From there on a hook waits until they are stored, and raises if that fails; the first of
an invocation before that adds anything. So the commit of a larger ``turn`` begins before its end."""

FINAL: Final = (ConflictError, Regressed)
"""Errors that will not pass by themselves: what is pending can never be stored."""

T = TypeVar("T")

_live: weakref.WeakSet[LiveSession] = weakref.WeakSet()
_left: deque[Writer] = deque()
"""Of session managers that were dropped. A finalizer runs in the midst of anything, also where a lock is held that it
would need: so it only appends here. Whoever stores next in this process tries them once, and its end once more."""
_tried: list[Writer] = []
LEFT = 1_000
"""So many writers may be left by dropped session managers: a server has one a request. From there on what fails is
raised in every mode, at the end of the invocation."""


def _dropped(writer: Writer) -> None:
    if not writer.over:
        _left.append(writer)


def _store_what_is_left() -> None:
    if _left:
        _tried[:] = [writer for writer in _tried if not writer.over]
    while _left:
        with contextlib.suppress(IndexError):  # another thread was faster
            writer = _left.popleft()
            _tried.append(writer)
            writer.start()


def _store_what_is_left_of(space: Space, timeout: float) -> None:
    """Before a session is read: what a dropped session manager of it left has to be in it, or it would be written
    behind the reader's back, and one of the two would be refused."""
    _store_what_is_left()  # all of them are in `_tried` then, which no finalizer touches
    for writer in list(_tried):
        if writer.space == space and not writer.over:
            with contextlib.suppress(StoreError):  # it is logged; the reader's own read tells of a store that is down
                writer.drain_here(timeout)


def _alive(store: Store, space: Space) -> list[LiveSession]:
    while True:
        with contextlib.suppress(RuntimeError):  # another thread made a session while we looked
            return [session for session in list(_live) if session.store is store and session.space == space]


def _raise_first(failed: list[tuple[StoreError, tuple[str, ...]]]) -> None:
    """Raise the first error, if there is one, with the messages of all; several writers may have met the same one."""
    if failed:
        error = failed[0][0]
        error.unwritten = tuple(name for _, unwritten in failed for name in unwritten)
        raise error


def _spread(store: Store, space: Space, loss: object) -> None:
    """The engine has lost something of a space: whoever writes to it here looks what it was of his."""
    for session in _alive(store, space):
        session.note(loss)
        for writer in session.writers:
            if writer.idle:  # the others look before their next commit
                writer.start()


def _put_back(store: Store, space: Space, timeout: float) -> bool:
    """Have written again what the engine has lost of a space. Blocks. Whether this process had it, all of it."""
    sessions, loss = _alive(store, space), object()
    for session in sessions:
        session.note(loss)
    behind = [writer for session in sessions for writer in session.writers if writer.behind]
    try:
        for writer in behind:
            writer.drain_here(timeout)
    except StoreError:  # it is logged
        return False
    return bool(behind)


def _at_exit() -> None:
    for writer in [*(writer for session in list(_live) for writer in session.writers), *_left, *_tried]:
        writer.leave()


def _forked() -> None:
    _left.clear()
    _tried.clear()
    for session in list(_live):
        session.forked()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forked)

CANCELLED_SECONDS = 1.0
"""How long a cancelled invocation still waits for its last write: a healthy store needs far less, and one that hangs is
not to hold up a cancellation."""


class LiveSession:
    """One session of one session manager."""

    def __init__(
        self,
        store: Store,
        session_id: str,
        user_id: str | None,
        *,
        auto_create: bool,
        durability: Durability,
        ttl: float | None,
        timeout: float,
        before_store: BeforeStore | None,
    ) -> None:
        self.store, self.session_id, self.user_id = store, session_id, user_id
        self.space = layout.session_space(session_id, user_id)
        self.timeout = timeout
        session = codec.dump_document(records.Session(session_id=session_id, user_id=user_id))
        self._presence = Presence(session, tell=partial(_spread, store, self.space))
        self._make_writer = partial(Writer, store, self.space, self._presence, ttl=ttl, before_store=before_store)
        # one for each agent and orchestrator: when one of them is refused, the others go on
        self._writers: dict[str, Writer] = {}
        # one lock for all of a session: looking and enqueueing are one step, or two hooks could swap places
        self.lock = threading.RLock()
        self.durability = durability
        self.whole_turns = False
        """Whether nothing of a turn may be stored before its end, however large it is."""
        self._auto_create = auto_create
        self._ahead: Loaded | None = None
        _live.add(self)

    def forked(self) -> None:
        """In a forked child: another thread may have held the lock."""
        self.lock = threading.RLock()
        for writer in self.writers:
            writer.forked()

    @property
    def writers(self) -> list[Writer]:
        return list(self._writers.values())

    @property
    def pending(self) -> int:
        """Jobs not yet acknowledged."""
        return sum(writer.pending for writer in self.writers)

    def adopt(self, base: Base) -> None:
        """Have a writer for an agent or orchestrator, from what was found of it; the caller holds the lock."""
        writer = self._writers[base.fence] = self._make_writer(base)
        weakref.finalize(self, _dropped, writer).atexit = False

    def note(self, loss: object) -> None:
        """The engine has lost something of the session; see `Presence.loss`."""
        self._presence.loss = loss

    # ------------------------------------------------------------------------------------------------------- reading

    def read(self, agent_ids: Iterable[str] = (), multi_agent_ids: Iterable[str] = ()) -> Loaded:
        """Read what these agents and orchestrators need. Blocks.

        Raises:
            SessionNotFoundError: No such session, and it is not to be created.
            Regressed: The engine has lost what it had acknowledged, and nobody in this process can write it again.
        """
        _store_what_is_left_of(self.space, self.timeout)
        loaded = self._look(partial(load, self.store, self.space, agent_ids, multi_agent_ids))
        if loaded.session is None and not self._auto_create:
            owner = f" of user {self.user_id!r}" if self.user_id is not None else ""
            raise SessionNotFoundError(
                f"there is no session {self.session_id!r}{owner}; auto_create=True (the default) makes a new one"
            )
        if loaded.incarnation is not None:
            self._presence.incarnation = loaded.incarnation
            if loaded.session is not None:
                self._presence.session = None
        return loaded

    def _look(self, look: Callable[[], T]) -> T:
        try:
            return look()
        except Regressed:  # it is raised once: the next look is answered
            if not _put_back(self.store, self.space, self.timeout):
                raise
        return look()

    async def read_ahead(self, agent_ids: Iterable[str], multi_agent_ids: Iterable[str]) -> None:
        """Read off the event loop what `take_agent` and `take_multi_agent` will be asked for."""
        reading = self.store.offload.submit(self.read, agent_ids, multi_agent_ids)
        text = f"session {self.session_id!r}: the store has not answered within {self.timeout:g} s"
        self._ahead = await settle(reading, self.timeout, lambda: Unavailable(text))

    def take_agent(self, agent_id: str) -> LoadedAgent:
        """What is stored of the agent, read ahead or now."""
        found = self._ahead.agents.pop(agent_id, None) if self._ahead is not None else None
        loaded = self._ahead
        if found is None or loaded is None:
            loaded = self.read([agent_id])
            found = loaded.agents[agent_id]
        if found.agent is None and loaded.others:
            logger.warning(
                "agent_id=<%s>, session_id=<%s>, agents=<%s> | the session has no such agent: it starts with an empty "
                "history",
                agent_id,
                self.session_id,
                ", ".join(loaded.others),
            )
        return found

    def take_multi_agent(self, multi_agent_id: str) -> LoadedMultiAgent:
        """What is stored of the Graph or Swarm, read ahead or now."""
        found = self._ahead.multi_agents.pop(multi_agent_id, None) if self._ahead is not None else None
        return found or self.read((), [multi_agent_id]).multi_agents[multi_agent_id]

    async def recall(self, tracked: TrackedAgent) -> None:
        """Have an agent know all that was ever stored of it, off the event loop. Costs what the history costs, once in
        a process; see `Context.unsure` for when it takes that."""
        spans = tracked.context.unread()
        look = partial(ids_in, self.store, self.space, tracked.agent_id, *spans)
        reading = self.store.offload.submit(self._look, look)
        text = f"session {self.session_id!r}: the store has not answered within {self.timeout:g} s"
        found = await settle(reading, self.timeout, lambda: Unavailable(text))
        with self.lock:
            self.put(tracked.remember(*found))

    def recall_here(self, tracked: TrackedAgent) -> None:
        """As `recall`, blocking."""
        with self.lock:
            spans = tracked.context.unread()
            look = partial(ids_in, self.store, self.space, tracked.agent_id, *spans)
            self.put(tracked.remember(*self._look(look)))

    # ------------------------------------------------------------------------------------------------------- storing

    def put(self, job: Job) -> None:
        """Enqueue a job, if there is anything in it; the caller holds the lock. It travels with what starts next."""
        if job:
            self._writers[job.fence].put(job)

    def waits(self, fence: str) -> bool:
        """Whether anything of this agent or orchestrator is queued."""
        return not self._writers[fence].idle

    def start(self, fence: str) -> None:
        """Have a queue written, unless it is to wait for the end of the invocation."""
        _store_what_is_left()
        writer = self._writers[fence]
        if self.durability != "turn" or self._presses(writer):
            writer.start()

    async def room(self, fence: str) -> None:
        """The beginning of the first hook of an invocation: none begins as long as too much is pending.

        Raises:
            StoreError: It could not be stored. The invocation has added nothing to it.
        """
        if self._writers[fence].full:
            await self._settled(self._writers[fence], self.timeout)

    async def during(self, fence: str, *, outside: bool = False) -> None:
        """The end of a hook in mid-invocation: wait if the durability asks for it, or too much is pending.

        Args:
            fence: Whose hook.
            outside: There is no invocation whose end could be waited for.
        """
        writer = self._writers[fence]
        if self.durability == "message" or outside or self._presses(writer):
            await self._settled(writer, self.timeout)
        else:
            self.start(fence)
            await asyncio.sleep(0)  # when many agents were answered at once, the loop looks after others in between

    async def at_end(self, fence: str, *, cancelled: bool = False) -> None:
        """The end of the last hook of an invocation: all is stored, or it raises if the durability asks for that.

        In the modes that do not wait, the application asked not to depend on the store: what is pending is kept, the
        log says so, flush and close will raise. But what will not pass by itself (`FINAL`) is raised, and so is any
        error when too much is pending, of this agent or of dropped managers.

        Args:
            fence: Whose hook.
            cancelled: The task is being cancelled. That comes first: no error of a store takes its place.
        """
        writer = self._writers[fence]
        try:
            seconds = min(self.timeout, CANCELLED_SECONDS) if cancelled else self.timeout
            await self._settled(writer, seconds)
        except StoreError as error:
            too_much = writer.full or sum(not left.over for left in _tried) >= LEFT
            if not cancelled and (self.durability == "message" or isinstance(error, FINAL) or too_much):
                raise

    async def settled(self) -> None:
        """Wait until all that is queued now is stored.

        Raises:
            StoreError: Some of it could not be, though all of it was tried. It stays queued.
        """
        failed = []
        for writer in self.writers:
            try:
                await self._settled(writer, self.timeout)
            except StoreError as error:
                failed.append((error, error.unwritten))
        _raise_first(failed)

    def drain(self) -> None:
        """As `settled`, blocking, on the calling thread."""
        _store_what_is_left()
        failed = []
        for writer in self.writers:
            try:
                writer.drain_here(self.timeout)
            except StoreError as error:
                failed.append((error, error.unwritten))
        _raise_first(failed)

    def _presses(self, writer: Writer) -> bool:
        """Whether so much is pending in mid-turn that it has to be stored now."""
        return writer.full and not self.whole_turns

    async def _settled(self, writer: Writer, seconds: float) -> None:
        _store_what_is_left()
        settled = writer.settled()
        if settled is not None:
            writer.start()
            await settle(settled, seconds, lambda: writer.overdue(seconds))
