"""The service every face calls: sessions in terms of records, whatever the engine.

Rule 1. Owners are checked here: a session is found by its id *and* its user, so another user's is not there.
Rule 2. Without a `session` document there is no session, whatever else a space holds: SessionNotFoundError.
Rule 3. What is absent inside a session (an agent, a log) reads as empty.
Rule 4. Everything blocks; `async_sessions` is the same, awaitable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from . import codec, ids, layout, records
from .errors import SessionNotFoundError
from .stores.base import Counters, Doc, Docs, Dropped, Log, Look, Query, Space, Store, Want
from .stores.reading import read_whole

R = TypeVar("R", bound=records.Record)

MAX_PAGE = 1000
"""Entries or sessions one call returns at most, as in the port."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that has a session's lease (``exclusive=True``). Times are Unix times by its own clock."""

    host: str
    pid: int
    since: float
    seen: float
    """Its last sign of life, at most a third of ``expiry`` ago while it lives."""
    expiry: float
    """Seconds without one after which another that waits may take the lease."""
    waiting: int
    """How many wait for it. One that was killed while it waited may be counted."""


@dataclass(frozen=True, slots=True)
class Overview:
    """One session, without its content."""

    session: records.Session
    updated: float | None
    """Unix time of its last commit, to within a minute; None where it was not asked of the index."""
    counters: Mapping[str, int]
    """`layout.COUNTERS` -> value."""
    agents: tuple[str, ...] = ()
    multi_agents: tuple[str, ...] = ()
    open_runs: int = 0
    """Invocations that have begun and not ended: under way, or their process was killed."""
    holder: Holder | None = None
    """Who has the lease; None: nobody. A process that was killed has it until another one comes."""


@dataclass(frozen=True, slots=True)
class SessionPage:
    sessions: tuple[Overview, ...]
    """Without agents, multi_agents, open_runs and holder."""
    cursor: str | None
    """Asks for the next page; None when there is none."""


@dataclass(frozen=True, slots=True)
class AgentOverview:
    agent: records.Agent
    conversation_manager: Any
    """`get_state()` of the conversation manager; None for an agent without one."""
    history: int
    """Messages ever said (those erased by a trim included)."""
    context: int
    """Messages that the model sees: `len(agent.messages)` after a resume, before repairs."""


@dataclass(frozen=True, slots=True)
class Slice(Generic[R]):
    """A part of a log."""

    entries: Mapping[int, R]
    """Index -> entry, ascending."""
    start: int
    """The lowest index that was not erased."""
    length: int
    """The index the next entry will get."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One thing in a session's layout."""

    path: str
    kind: Literal["document", "log", "counter"]
    bytes: int | None = None
    """Of a document."""
    entries: int | None = None
    """Of a log."""
    value: int | None = None
    """Of a counter."""


class Sessions:
    """The sessions in a store. Holds nothing itself: make one wherever it is needed.

    All methods raise StoreError as the engine does, InvalidIdError for an id that is none, Corrupt for what can not be
    read, and, where they take a session id, SessionNotFoundError.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def list(
        self, user_id: str | None = None, *, limit: int = 50, cursor: str | None = None, everyone: bool = False
    ) -> SessionPage:
        """One page of a user's sessions, last used first; costs one read a session beside the index.

        Args:
            user_id: None: the sessions that have no owner.
            limit: 1 to 1,000. A page can be shorter although there is a next one.
            cursor: `SessionPage.cursor` of the page before.
            everyone: The sessions of all users; for operators. ``user_id`` must be None with it.

        Raises:
            ValueError: A limit out of its range, a cursor that is none, or ``everyone`` with a user.
        """
        owner = None if user_id is None else ids.check("user_id", user_id)
        page = self.store.list(Query("session", owner, everyone=everyone, limit=limit, cursor=cursor))
        found = []
        for row in page.rows:
            look = self.store.read(row.space, Doc(layout.SESSION), Counters(layout.COUNTERS))
            if layout.SESSION in look.docs:
                found.append(Overview(_load(look, layout.SESSION, records.Session), row.updated, dict(look.counters)))
        return SessionPage(tuple(found), page.cursor)

    def get(self, session_id: str, user_id: str | None = None) -> Overview:
        """What there is in a session, and who has its lease."""
        lease = (Doc(path) for path in (layout.LEASE, layout.LEASE_BEAT, layout.LEASE_WANTED))
        wants = (Counters(layout.COUNTERS), Docs(layout.AGENTS), Docs(layout.MULTI_AGENTS), Docs(layout.OPEN_RUNS))
        look = self._read(session_id, user_id, *wants, *lease)
        return Overview(
            _load(look, layout.SESSION, records.Session),
            None,
            dict(look.counters),
            tuple(ids_of(look, layout.AGENTS)),
            tuple(ids_of(look, layout.MULTI_AGENTS)),
            sum(path.startswith(layout.OPEN_RUNS) for path in look.docs),
            _holder(look),
        )

    def agents(self, session_id: str, user_id: str | None = None) -> tuple[AgentOverview, ...]:
        """Its agents, in order of their ids."""
        look = self._read(session_id, user_id, Docs(layout.AGENTS))
        found = [id for id in ids_of(look, layout.AGENTS) if layout.agent(id) in look.docs]
        logs = self._read(session_id, user_id, *(Log(layout.history(id)) for id in found)).logs
        out = []
        for id in found:
            length = logs[layout.history(id)].length
            context = records.Context()
            if layout.context(id) in look.docs:
                context = _load(look, layout.context(id), records.Context)
            agent = _load(look, layout.agent(id), records.Agent)
            out.append(AgentOverview(agent, context.conversation_manager, length, _in_context(context, length)))
        return tuple(out)

    def multi_agents(self, session_id: str, user_id: str | None = None) -> tuple[records.MultiAgent, ...]:
        """Its Graphs and Swarms, in order of their ids; without those that are nodes of another."""
        look = self._read(session_id, user_id, Docs(layout.MULTI_AGENTS))
        paths = (layout.multi_agent(id) for id in ids_of(look, layout.MULTI_AGENTS))
        return tuple(_load(look, path, records.MultiAgent) for path in paths if path in look.docs)

    def history(
        self, session_id: str, agent_id: str, user_id: str | None = None, *, start: int | None = None, limit: int = 50
    ) -> Slice[records.Message]:
        """What was said by an agent and to it, whatever its context is by now.

        Args:
            session_id: Which session.
            agent_id: One that is not in the session has an empty history.
            user_id: Its owner.
            start: The first index; None: the last ``limit`` entries.
            limit: 1 to 1,000.
        """
        log = layout.history(ids.check("agent_id", agent_id))
        return self._slice(session_id, user_id, log, records.Message, start, limit)

    def runs(
        self, session_id: str, user_id: str | None = None, *, start: int | None = None, limit: int = 50
    ) -> Slice[records.Run]:
        """Invocations that have ended, oldest first. Arguments as in `history`."""
        return self._slice(session_id, user_id, layout.RUNS, records.Run, start, limit)

    def open_runs(self, session_id: str, user_id: str | None = None) -> tuple[records.Run, ...]:
        """Invocations that have begun and not ended: under way, or their process was killed. Oldest first."""
        look = self._read(session_id, user_id, Docs(layout.OPEN_RUNS))
        runs = [_load(look, path, records.Run) for path in look.docs if path.startswith(layout.OPEN_RUNS)]
        return tuple(sorted(runs, key=lambda run: run.started))

    def events(
        self, session_id: str, user_id: str | None = None, *, start: int | None = None, limit: int = 50
    ) -> Slice[records.Event]:
        """Tool calls and the like, oldest first. Arguments as in `history`."""
        return self._slice(session_id, user_id, layout.EVENTS, records.Event, start, limit)

    def layout_tree(self, session_id: str, user_id: str | None = None) -> tuple[Stored, ...]:
        """Everything that is kept of a session, in order of path: documents with their bytes, logs with their number of
        entries, counters with their values. Empty logs and counters that are 0 are left out."""
        look = self._read(session_id, user_id, Docs(""))
        rest = self._read(session_id, user_id, Counters(counters_of(look)), *map(Log, logs_of(look)))
        out = [Stored(path, "document", bytes=len(doc.data)) for path, doc in look.docs.items()]
        out += [
            Stored(name, "log", entries=view.length - view.start)
            for name, view in rest.logs.items()
            if view.length > view.start
        ]
        out += [Stored(name, "counter", value=value) for name, value in rest.counters.items() if value]
        return tuple(sorted(out, key=lambda stored: stored.path))

    def delete(self, session_id: str, user_id: str | None = None) -> Dropped:
        """Erase a session, whole.

        Returns:
            The receipt. Of a session that is not there it says ``existed=False``: deleting twice is no error.
        """
        return self.store.drop(_space(session_id, user_id))

    # ------------------------------------------------------------------------------------------------------- private

    def _read(self, session_id: str, user_id: str | None, *wants: Want) -> Look:
        look = read_whole(self.store, _space(session_id, user_id), Doc(layout.SESSION), *wants)
        if layout.SESSION not in look.docs:
            whose = f" of user {user_id!r}" if user_id is not None else ""
            raise SessionNotFoundError(f"there is no session {session_id!r}{whose}")
        return look

    def _slice(
        self, session_id: str, user_id: str | None, log: str, kind: type[R], start: int | None, limit: int
    ) -> Slice[R]:
        if not 1 <= limit <= MAX_PAGE:
            raise ValueError(f"limit must be 1 to {MAX_PAGE:,}, got {limit}")
        if start is not None and start < 0:
            raise ValueError(f"start must not be negative, got {start}")
        want = Log(log, last=limit) if start is None else Log(log, spans=[(start, start + limit)])
        view = self._read(session_id, user_id, want).logs[log]
        entries = {index: codec.load(kind, data, f"{log}[{index}]") for index, data in sorted(view.entries.items())}
        return Slice(entries, view.start, view.length)


def _space(session_id: str, user_id: str | None) -> Space:
    owner = None if user_id is None else ids.check("user_id", user_id)
    return layout.session_space(ids.check("session_id", session_id), owner)


def _load(look: Look, path: str, kind: type[R]) -> R:
    return codec.load(kind, look.docs[path].data, path)


def _holder(look: Look) -> Holder | None:
    if layout.LEASE not in look.docs:
        return None
    lease = _load(look, layout.LEASE, records.Lease)
    if lease.holder is None:
        return None
    seen, waiting = lease.at, 0
    if layout.LEASE_BEAT in look.docs:  # it may be the one before's
        seen = max(seen, _load(look, layout.LEASE_BEAT, records.LeaseBeat).at)
    if layout.LEASE_WANTED in look.docs:
        waiting = len(_load(look, layout.LEASE_WANTED, records.LeaseWanted).by)
    return Holder(lease.host, lease.pid, lease.at, seen, lease.expiry, waiting)


def counters_of(look: Look) -> list[str]:
    """The counters a session can have, told by its documents: the port lists none."""
    agents = ids_of(look, layout.AGENTS)
    return [*layout.COUNTERS, *(layout.tail(id, log) for id in agents for log in ("messages", "variants"))]


def logs_of(look: Look) -> tuple[str, ...]:
    """The logs a session can have, told by its documents: the port lists none."""
    return tuple(_logs_of(look))


def ids_of(look: Look, prefix: str) -> list[str]:
    return sorted({layout.id_in(path) for path in look.docs if path.startswith(prefix)})


def _in_context(context: records.Context, history: int) -> int:
    ranges = [span for named in context.spans or () for span in named.values()]
    return sum((history if end is None else end) - start for start, end in ranges)


def _logs_of(look: Look) -> Iterator[str]:
    """The logs a session can have, told by its documents: the port lists no logs."""
    yield from (layout.RUNS, layout.EVENTS)
    for id in ids_of(look, layout.AGENTS):
        yield from (layout.history(id), layout.variants(id), layout.trace(id))
    for id in ids_of(look, layout.MULTI_AGENTS):
        for path in look.docs:
            if layout.is_state_of(id, path):
                outer = layout.nodes_in(path)
                state = _load(look, path, records.MultiAgent).state
                yield from (layout.node_history(id, (*outer, node)) for node in _nodes_of(state))


def _nodes_of(state: object) -> Iterable[str]:
    """Nodes that had a turn, in what a Graph or Swarm says of itself."""
    if not isinstance(state, dict):
        return ()
    named = ("completed_nodes", "failed_nodes", "interrupted_nodes", "node_results", "node_history", "execution_order")
    return sorted({node for key in named for node in state.get(key) or () if isinstance(node, str)})
