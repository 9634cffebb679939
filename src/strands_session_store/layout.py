"""The only place where the path of a document, log or counter is spelled.

    session                                    document   what the session is; without it there is none for a face
    instructions                               document   what the application tells the agent, as one text
    state                                      document   what the application keeps in the session, apart from agents
    metadata                                   document   what the application says about it
    managed/<namespace>                        document   the same, kept apart for each part of the application
    making                                     document   that the rest is on its way; gone when the space is whole
    agents/<agent>/agent                       document   state, interrupts, model state
    agents/<agent>/context                     document   conversation manager, and where the context's messages are
    agents/<agent>/segments                    document   how many segments have ended, and their summary
    agents/<agent>/summary                     document   in the session of a segment: the summary up to its end
    agents/<agent>/writer                      document   who wrote last; every commit expects it (fencing)
    agents/<agent>/messages                    log        the history
    agents/<agent>/variants                    log        messages of the context that differ from the history
    agents/<agent>/trace                       log        what changed of state and context, message by message
    multi_agents/<id>/state                    document   progress of a Graph or Swarm
    multi_agents/<id>/writer                   document   as above
    multi_agents/<id>/nodes/<node>/messages    log        what the agent of a node said
    multi_agents/<id>/nodes/<node>/state       document   progress of an orchestrator that is a node (its own nodes
                                                          follow below it: nodes/<node>/<inner node>/...)
    lease                                      document   who may run the session; changes when it is taken or released
    lease-beat                                 document   a sign of life of the one that has it
    lease-wanted                               document   who waits for it, in order
    runs/open/<run>                            document   a run that has begun
    runs                                       log        runs that ended
    events                                     log        tool calls and the like
    usage/<day>/<model>/<source>               document   that there are counters below it
    counters: messages runs input_tokens ... (`COUNTERS`), agents/<agent>/tail/<log>, agents/<agent>/removed,
              usage/<day>/<model>/<source>/calls ... (`USAGE_COUNTERS`)

A user's space has the documents user, metadata and managed/<namespace>. Ids are escaped here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from .ids import below, escape, unescape
from .stores.base import Space

SESSION: Final = "session"
USER: Final = "user"
INSTRUCTIONS: Final = "instructions"
STATE: Final = "state"
METADATA: Final = "metadata"
MAKING: Final = "making"
LEASE: Final = "lease"
LEASE_BEAT: Final = "lease-beat"
LEASE_WANTED: Final = "lease-wanted"
AGENTS: Final = "agents/"
MULTI_AGENTS: Final = "multi_agents/"
RUNS: Final = "runs"
OPEN_RUNS: Final = "runs/open/"
EVENTS: Final = "events"
USAGE: Final = "usage/"

LEASES: Final = (LEASE, LEASE_BEAT, LEASE_WANTED)
"""What tells who runs the session, not what is in it."""

USAGE_COUNTERS: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "calls",
    "estimated",
    "unpriced",
    "cost",
)
"""What model calls took, see `usage.Totals`: of the session, and below ``usage/`` of each day, model and source."""
COUNTERS: Final = ("messages", "runs", *USAGE_COUNTERS)
"""Of the session as a whole."""

_TRACE: Final = "trace"

ContextLog: TypeAlias = Literal["messages", "variants"]


def session_space(session_id: str, user_id: str | None) -> Space:
    return Space("session", user_id, session_id)


def segment_space(conversation: Space, created: float, agent_id: str, number: int) -> Space:
    """Of a segment that has ended. ``created``: when the conversation's session was made, so that what is left of an
    earlier one of that id is none of it."""
    return session_space(below(conversation.id, repr(created), agent_id, str(number)), conversation.owner)


def user_space(user_id: str) -> Space:
    return Space("user", None, user_id)


def own(space: Space) -> str:
    """The document without which the space is none for a face."""
    return USER if space.kind == "user" else SESSION


def managed(namespace: str) -> str:
    return f"managed/{escape(namespace)}"


def agent(agent_id: str) -> str:
    return f"{AGENTS}{escape(agent_id)}/agent"


def context(agent_id: str) -> str:
    return f"{AGENTS}{escape(agent_id)}/context"


def writer(agent_id: str) -> str:
    return f"{AGENTS}{escape(agent_id)}/writer"


def segments(agent_id: str) -> str:
    return f"{AGENTS}{escape(agent_id)}/segments"


def summary(agent_id: str) -> str:
    return f"{AGENTS}{escape(agent_id)}/summary"


def history(agent_id: str) -> str:
    return f"{AGENTS}{escape(agent_id)}/messages"


def variants(agent_id: str) -> str:
    return f"{AGENTS}{escape(agent_id)}/variants"


def trace(agent_id: str) -> str:
    return f"{AGENTS}{escape(agent_id)}/{_TRACE}"


def is_trace(log: str) -> bool:
    """Whether this is a log that `trace` spelled."""
    return log.startswith(AGENTS) and log.endswith(f"/{_TRACE}")


def is_history(log: str) -> bool:
    """Whether this is a log of messages: `history` spelled it, or `node_history`."""
    return log.startswith((AGENTS, MULTI_AGENTS)) and log.endswith("/messages")


def tail(agent_id: str, log: ContextLog) -> str:
    """Counter: the index in ``log`` that the agent's context reaches back to, so that one read finds it whole."""
    return f"{AGENTS}{escape(agent_id)}/tail/{log}"


def removed(agent_id: str) -> str:
    """Counter: how many entries of the history were removed and not erased since. `messages` is without them."""
    return f"{AGENTS}{escape(agent_id)}/removed"


def is_presence(path: str) -> bool:
    """Whether this document says who writes or runs the session now, and nothing of what is in it."""
    return path in (LEASE, LEASE_BEAT, LEASE_WANTED) or (
        path.startswith((AGENTS, MULTI_AGENTS)) and path.count("/") == 2 and path.endswith("/writer")
    )


def multi_agent(multi_agent_id: str) -> str:
    return f"{MULTI_AGENTS}{escape(multi_agent_id)}/state"


def multi_agent_writer(multi_agent_id: str) -> str:
    return f"{MULTI_AGENTS}{escape(multi_agent_id)}/writer"


def nodes(multi_agent_id: str) -> str:
    """Prefix of all that is kept of an orchestrator's nodes."""
    return f"{MULTI_AGENTS}{escape(multi_agent_id)}/nodes/"


def node_history(multi_agent_id: str, path: Sequence[str]) -> str:
    """Log of a node's messages; ``path`` leads from the outermost orchestrator's node to the innermost's."""
    return f"{nodes(multi_agent_id)}{'/'.join(map(escape, path))}/messages"


def node_state(multi_agent_id: str, path: Sequence[str]) -> str:
    """Document of an orchestrator at a node of another; the outermost's own for an empty path."""
    if not path:
        return multi_agent(multi_agent_id)
    return f"{nodes(multi_agent_id)}{'/'.join(map(escape, path))}/state"


def is_state_of(multi_agent_id: str, path: str) -> bool:
    """Whether this is a document that `node_state` spells for this orchestrator."""
    return path == multi_agent(multi_agent_id) or (path.startswith(nodes(multi_agent_id)) and path.endswith("/state"))


def nodes_in(path: str) -> tuple[str, ...]:
    """The nodes in a path that `node_state` or `node_history` spelled."""
    return tuple(unescape(name) for name in path.split("/")[3:-1])


def open_run(run_id: str) -> str:
    return f"{OPEN_RUNS}{escape(run_id)}"


def usage(day: str, model: str, source: str) -> str:
    """Document, and with a slash and a name of `USAGE_COUNTERS` behind it, counter."""
    return f"{USAGE}{day}/{escape(model)}/{source}"


def usage_counters(path: str = "") -> list[str]:
    """`USAGE_COUNTERS`: the session's, or with a path that `usage` spelled those of a day, model and source."""
    return [f"{path}/{name}" if path else name for name in USAGE_COUNTERS]


def id_in(path: str) -> str:
    """The agent or multi-agent id in a path that begins with ``agents/`` or ``multi_agents/``."""
    return unescape(path.split("/")[1])


_KNOWN: Final = re.compile(
    "|".join(
        (
            *map(re.escape, (SESSION, USER, INSTRUCTIONS, STATE, METADATA, MAKING, *LEASES)),
            "managed/[^/]+",
            f"{AGENTS}[^/]+/(agent|context|segments|summary|writer)",
            f"{MULTI_AGENTS}[^/]+/(state|writer|nodes/.+/state)",
            f"{OPEN_RUNS}[^/]+",
            f"{USAGE}[^/]+/[^/]+/[^/]+",
        )
    )
)


def is_known(path: str) -> bool:
    """Whether this is a document that is spelled here. Beside any other there may be logs and counters that nobody here
    can name."""
    return _KNOWN.fullmatch(path) is not None
