"""What is in a session: its agents, orchestrators, lease, and everything by its path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .. import codec, layout, records
from ..stores.base import Counters, Docs, Log, Look
from .access import Part, load
from .shapes import AgentOverview, Holder, Stored


class Inside(Part):
    """The contents of one session, but for its messages, runs and events."""

    def agents(self, session_id: str, user_id: str | None = None) -> tuple[AgentOverview, ...]:
        """Its agents, in order of their ids."""
        found = self._session(session_id, user_id)
        look = found.look(Docs(layout.AGENTS))
        ids = [id for id in ids_of(look, layout.AGENTS) if layout.agent(id) in look.docs]
        logs = found.look(*(Log(layout.history(id)) for id in ids)).logs
        out = []
        for id in ids:
            length = logs[layout.history(id)].length
            context = records.Context()
            if layout.context(id) in look.docs:
                context = load(look, layout.context(id), records.Context)
            agent = load(look, layout.agent(id), records.Agent)
            out.append(AgentOverview(agent, context.conversation_manager, length, _in_context(context, length)))
        return tuple(out)

    def multi_agents(self, session_id: str, user_id: str | None = None) -> tuple[records.MultiAgent, ...]:
        """Its Graphs and Swarms, in order of their ids; without those that are nodes of another."""
        look = self._session(session_id, user_id).look(Docs(layout.MULTI_AGENTS))
        paths = (layout.multi_agent(id) for id in ids_of(look, layout.MULTI_AGENTS))
        return tuple(load(look, path, records.MultiAgent) for path in paths if path in look.docs)

    def layout_tree(self, session_id: str, user_id: str | None = None) -> tuple[Stored, ...]:
        """Everything that is kept of a session, in order of path: documents with their bytes, logs with their number of
        entries, counters with their values. Empty logs and counters that are 0 are left out."""
        found = self._session(session_id, user_id)
        look = found.look(Docs(""))
        rest = found.look(Counters(counters_of(look)), *map(Log, logs_of(look)))
        out = [Stored(path, "document", bytes=len(doc.data)) for path, doc in look.docs.items()]
        out += [
            Stored(name, "log", entries=view.length - view.start)
            for name, view in rest.logs.items()
            if view.length > view.start
        ]
        out += [Stored(name, "counter", value=value) for name, value in rest.counters.items() if value]
        return tuple(sorted(out, key=lambda stored: stored.path))


def counters_of(look: Look) -> list[str]:
    """The counters a session can have, told by its documents: the port lists none."""
    agents = ids_of(look, layout.AGENTS)
    tails = (layout.tail(id, log) for id in agents for log in ("messages", "variants"))
    kept = (name for path in look.docs if path.startswith(layout.USAGE) for name in layout.usage_counters(path))
    return [*layout.COUNTERS, *tails, *map(layout.removed, agents), *kept]


def logs_of(look: Look) -> tuple[str, ...]:
    """The logs a session can have, told by its documents: the port lists none."""
    return tuple(_logs_of(look))


def holder(look: Look) -> Holder | None:
    """Who has the lease, by what was read of its three documents."""
    if layout.LEASE not in look.docs:
        return None
    lease = load(look, layout.LEASE, records.Lease)
    if lease.holder is None:
        return None
    seen, waiting = lease.at, 0
    if layout.LEASE_BEAT in look.docs:  # it may be the one before's
        seen = max(seen, load(look, layout.LEASE_BEAT, records.LeaseBeat).at)
    if layout.LEASE_WANTED in look.docs:
        waiting = len(load(look, layout.LEASE_WANTED, records.LeaseWanted).by)
    return Holder(lease.host, lease.pid, lease.at, seen, lease.expiry, waiting)


def ids_of(look: Look, prefix: str) -> list[str]:
    """Ids of the agents or multi-agents of whom documents were read."""
    return sorted({layout.id_in(path) for path in look.docs if path.startswith(prefix)})


def _in_context(context: records.Context, history: int) -> int:
    ranges = [span for named in context.spans or () for span in named.values()]
    return sum((history if end is None else end) - start for start, end in ranges)


def _logs_of(look: Look) -> Iterator[str]:
    yield from (layout.RUNS, layout.EVENTS)
    for id in ids_of(look, layout.AGENTS):
        yield from (layout.history(id), layout.variants(id), layout.trace(id))
    for id in ids_of(look, layout.MULTI_AGENTS):
        for path in look.docs:
            if layout.is_state_of(id, path):
                outer = layout.nodes_in(path)
                state = codec.load(records.MultiAgent, look.docs[path].data, path).state
                yield from (layout.node_history(id, (*outer, node)) for node in _nodes_of(state))


def _nodes_of(state: object) -> Iterable[str]:
    """Nodes that had a turn, in what a Graph or Swarm says of itself."""
    if not isinstance(state, dict):
        return ()
    named = ("completed_nodes", "failed_nodes", "interrupted_nodes", "node_results", "node_history", "execution_order")
    return sorted({node for key in named for node in state.get(key) or () if isinstance(node, str)})
