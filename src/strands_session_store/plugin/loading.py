"""What a resume reads: one round trip for documents, counters and the ends of the logs; a second one only where a
context reaches further back (a pinned first message), a third only for originals that a stash lost.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import codec, layout, records
from ..context import Context, Span, Spans, ids, variant_ids
from ..errors import Corrupt
from ..messages import Message
from ..stores.base import Counters, Doc, Docs, Document, Log, LogView, Look, Space, Store, Version, Want
from ..stores.reading import read_whole
from .counting import Stored
from .repair import repaired

STASH_PAGE = 500
STASH_PAGES = 20
"""How far back originals are looked for: 10,000 entries."""
RECALL_PAGE = 1_000
BREATH, PAUSE = 200, 0.00005
"""After so many messages (1 ms) a thread that decodes lets others run, for so many seconds. Else the interpreter has an
event loop wait for it for 5 ms at a time."""
_REFS = re.compile(r"\[refs?: ([^\]]+)\]")
"""How Strands' context manager marks what it moved to its stash."""
_NO_LOG = LogView(0, 0, {})


@dataclass(frozen=True, slots=True)
class Base:
    """What was found of an agent or orchestrator: its writer goes on from there."""

    fence: str
    """Path of its writer document."""
    writer: Document | None = None
    """That document; None when there was none."""
    versions: Mapping[str, Version] = field(default_factory=dict)
    """Of its other documents, as far as there were any."""
    lengths: Mapping[str, int] = field(default_factory=dict)
    """Of its logs, as far as there was something in them."""
    revision: int = 0
    """Of the space."""
    incarnation: str | None = None
    """Of the space; None when there was none."""


@dataclass(slots=True)
class LoadedAgent:
    """One agent as it was stored. ``agent`` is None when there is no such agent in the session."""

    agent_id: str
    agent: records.Agent | None
    conversation_manager: Any
    """State of the conversation manager."""
    base: Base
    context: Context
    history: dict[int, Message | None]
    """None: it was removed."""
    counted: dict[int, Stored]
    """Of the entries of the history that were read."""
    variants: dict[int, tuple[int | None, Message | None]]
    tails: dict[str, int]
    agent_bytes: bytes | None
    context_bytes: bytes | None
    open_runs: list[records.Run]
    """Whose end was never stored: their process was killed."""
    spans: Spans
    traced: int
    """Length of the trace."""
    messages: list[Message] = field(default_factory=list)
    """The live list, restored and repaired; the agent's to keep."""
    segmented: bool = False
    """Whether segments of it may have ended."""
    repaired: bool = False
    """Whether it had tool uses without results, or results without uses."""

    def heard(self) -> Iterator[tuple[int, Message]]:
        """What was said since the last answer, each with its index; as far as it was read."""
        there = {index: message for index, message in self.history.items() if message is not None}
        last = max((index for index, message in there.items() if message["role"] == "assistant"), default=-1)
        return ((index, message) for index, message in sorted(there.items()) if index > last)


@dataclass(slots=True)
class LoadedMultiAgent:
    multi_agent_id: str
    states: dict[tuple[str, ...], records.MultiAgent]
    """Path of nested nodes -> state; ``()`` is the orchestrator itself."""
    base: Base
    open_runs: list[records.Run]


@dataclass(slots=True)
class Loaded:
    """What one session holds of the agents and orchestrators asked for."""

    incarnation: str | None
    session: records.Session | None
    """None: there is no such session."""
    lease: Document | None = None
    agents: dict[str, LoadedAgent] = field(default_factory=dict)
    multi_agents: dict[str, LoadedMultiAgent] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    """Ids of the agents that the session has, when one was asked for that it has not."""


def load(store: Store, space: Space, agent_ids: Iterable[str] = (), multi_agent_ids: Iterable[str] = ()) -> Loaded:
    """Read the session, and all that these agents and orchestrators need to go on.

    Raises:
        Corrupt: Something stored can not be read; names its path.
        StoreError: As the engine says.
    """
    agent_ids, multi_agent_ids = list(agent_ids), list(multi_agent_ids)
    wants: list[Want] = [Doc(layout.SESSION), Doc(layout.LEASE)]
    for id in agent_ids:
        wants += [
            Doc(layout.agent(id)),
            Doc(layout.context(id)),
            Doc(layout.writer(id)),
            Doc(layout.segments(id)),
            Log(layout.history(id), since=layout.tail(id, "messages")),
            Log(layout.variants(id), since=layout.tail(id, "variants")),
            Log(layout.trace(id)),
        ]
    wants.append(Docs(layout.OPEN_RUNS))
    names = [layout.tail(id, log) for id in agent_ids for log in ("messages", "variants")]
    if names:
        wants.append(Counters(names))
    for id in multi_agent_ids:
        wants += [Docs(layout.multi_agent(id)), Doc(layout.multi_agent_writer(id)), Docs(layout.nodes(id))]
    look = read_whole(store, space, *wants)
    session = _record(look, layout.SESSION, records.Session)
    loaded = Loaded(look.incarnation, session, look.docs.get(layout.LEASE))
    runs = [codec.load(records.Run, d.data, path) for path, d in look.docs.items() if path.startswith(layout.OPEN_RUNS)]
    # what the application began it ends itself
    runs = [run for run in runs if run.recorded_by == "manager"]
    with store.offload.computing:
        for id in agent_ids:
            loaded.agents[id] = _agent(look, id, [run for run in runs if run.agent_id == id])
            loaded.agents[id].segmented = layout.segments(id) in look.docs
    if session is not None and any(agent.agent is None for agent in loaded.agents.values()):
        loaded.others = agents_in(store, space)
    _further(store, space, loaded.agents.values())
    with store.offload.computing:
        for agent in loaded.agents.values():
            _restore(agent)  # here and not where the agent is built: `open` and a reload do it off the event loop
    for id in multi_agent_ids:
        states = {
            layout.nodes_in(path): codec.load(records.MultiAgent, doc.data, path)
            for path, doc in look.docs.items()
            if layout.is_state_of(id, path)
        }
        paths = [layout.node_state(id, path) for path in states]
        own = [run for run in runs if run.multi_agent_id == id]
        base = _base(look, layout.multi_agent_writer(id), paths, {}, own)
        loaded.multi_agents[id] = LoadedMultiAgent(id, states, base, own)
    return loaded


def agents_in(store: Store, space: Space) -> list[str]:
    """Ids of the agents that the session has."""
    look = read_whole(store, space, Docs(layout.AGENTS))
    return sorted({layout.id_in(path) for path in look.docs})


def originals(store: Store, space: Space, loaded: LoadedAgent) -> list[Message]:
    """The history's messages that stash references in the restored context point to; read as far back as it takes.

    References are looked for only in what a context manager has rewritten, so no user can make us search for nothing.
    """
    rewritten = [slot.message for slot in loaded.context.slots if slot.variant is not None]
    wanted = {
        ref.strip() for m in rewritten for text in _texts(m) for refs in _REFS.findall(text) for ref in refs.split(",")
    }
    found: list[Message] = []

    def take(messages: Iterable[Message | None]) -> None:
        for message in messages:
            if message is not None and (hit := wanted & _names(message)):
                wanted.difference_update(hit)
                found.append(message)

    take(loaded.history.values())
    pages = (page for span in reversed(loaded.context.unread()[0]) for page in _pages(span, STASH_PAGE))
    for page, _ in zip(pages, range(STASH_PAGES)):
        if not wanted:
            break
        entries = _read_page(store, space, layout.history(loaded.agent_id), page)
        messages = _messages(entries, layout.history(loaded.agent_id), loaded.counted)
        loaded.context.remember(ids(messages), {})
        take(messages.values())
    return found


def ids_in(
    store: Store, space: Space, agent_id: str, history: Iterable[Span], variants: Iterable[Span]
) -> tuple[dict[int, str | None], dict[int, tuple[int | None, str | None]], dict[int, Stored]]:
    """What a resume left out of an agent's logs, for `TrackedAgent.remember`."""
    said: dict[int, str | None] = {}
    counted: dict[int, Stored] = {}
    shown: dict[int, tuple[int | None, str | None]] = {}
    for page in (page for span in history for page in _pages(span, RECALL_PAGE)):
        view = _read_page(store, space, layout.history(agent_id), page)
        said |= ids(_messages(view, layout.history(agent_id), counted))
    for page in (page for span in variants for page in _pages(span, RECALL_PAGE)):
        view = _read_page(store, space, layout.variants(agent_id), page)
        shown |= variant_ids(_variants(view, layout.variants(agent_id)))
    return said, shown, counted


def _pages(span: Span, size: int) -> Iterable[Span]:
    """The span in pieces, the last one first."""
    start, end = span
    for to in range(end or 0, start, -size):
        yield max(start, to - size), to


def _read_page(store: Store, space: Space, log: str, page: Span) -> LogView:
    # a session that was dropped meanwhile reads as empty; the next commit says so
    return read_whole(store, space, Log(log, spans=[page])).logs.get(log, _NO_LOG)


def _agent(look: Look, id: str, open_runs: list[records.Run]) -> LoadedAgent:
    history, variants = (look.logs.get(path, _NO_LOG) for path in (layout.history(id), layout.variants(id)))
    agent, context = look.docs.get(layout.agent(id)), look.docs.get(layout.context(id))
    traced = look.logs.get(layout.trace(id), _NO_LOG)
    logs = {layout.history(id): history, layout.variants(id): variants, layout.trace(id): traced}
    stored = _record(look, layout.context(id), records.Context) or records.Context()
    counted: dict[int, Stored] = {}
    return LoadedAgent(
        id,
        _record(look, layout.agent(id), records.Agent),
        stored.conversation_manager,
        _base(look, layout.writer(id), (layout.agent(id), layout.context(id)), logs, open_runs),
        Context(history.length, variants.length, history.start, variants.start),
        _messages(history, layout.history(id), counted),
        counted,
        _variants(variants, layout.variants(id)),
        {log: look.counters.get(layout.tail(id, log), 0) for log in ("messages", "variants")},
        agent.data if agent is not None else None,
        context.data if context is not None else None,
        open_runs,
        stored.spans or [],
        traced.length,
    )


def _base(
    look: Look, fence: str, paths: Iterable[str], logs: Mapping[str, LogView], runs: Iterable[records.Run]
) -> Base:
    # runs that are open: whoever takes over ends them, and their own process may have done so meanwhile
    paths = [*paths, *(layout.open_run(run.run_id) for run in runs)]
    versions = {path: look.docs[path].version for path in paths if path in look.docs}
    lengths = {log: view.length for log, view in logs.items() if view.length}
    return Base(fence, look.docs.get(fence), versions, lengths, look.revision, look.incarnation)


def _further(store: Store, space: Space, agents: Iterable[LoadedAgent]) -> None:
    """The second read, for all agents at once, where contexts reach further back than the ends of the logs."""
    wants: list[Want] = []
    of: dict[str, LoadedAgent] = {}
    for loaded in agents:
        if spans := loaded.context.missing(loaded.spans, loaded.history):
            log = layout.history(loaded.agent_id)
            wants.append(Log(log, spans=spans))
            of[log] = loaded
    if wants:
        look = read_whole(store, space, *wants)
        for log, loaded in of.items():
            loaded.history.update(_messages(look.logs.get(log, _NO_LOG), log, loaded.counted))


def _restore(agent: LoadedAgent) -> None:
    try:
        messages = agent.context.restore(agent.spans, agent.history, agent.variants)
    except (KeyError, TypeError, AssertionError) as error:
        path = layout.context(agent.agent_id)
        raise Corrupt(path, f"it names entries that are not there ({error})") from error
    agent.messages = repaired(messages)
    agent.repaired = agent.messages is not messages


def _record(look: Look, path: str, kind: type[codec.R]) -> codec.R | None:
    doc = look.docs.get(path)
    return codec.load(kind, doc.data, path) if doc is not None else None


def _messages(view: LogView, log: str, counted: dict[int, Stored]) -> dict[int, Message | None]:
    """Index -> message; what was counted with them goes to ``counted``."""
    out: dict[int, Message | None] = {}
    for i, data in view.entries.items():
        found, kept = codec.load_message(data, f"{log}[{i}]")
        message = out[i] = None if found is None else _message(found, f"{log}[{i}]")
        if kept is not None and message is not None:
            counted[i] = Stored(*kept, message.get("metadata"))
        if len(out) % BREATH == 0:
            time.sleep(PAUSE)
    return out


def _variants(view: LogView, log: str) -> dict[int, tuple[int | None, Message | None]]:
    out: dict[int, tuple[int | None, Message | None]] = {}
    for i, data in view.entries.items():
        variant = codec.load(records.Variant, data, f"{log}[{i}]")
        out[i] = variant.of, None if variant.message is None else _message(variant.message, f"{log}[{i}]")
    return out


def _message(value: Any, path: str) -> Message:
    if not isinstance(value, dict) or not isinstance(value.get("content"), list) or "role" not in value:
        raise Corrupt(path, "it holds no message with role and content")
    return value


def _texts(message: Message) -> Iterable[str]:
    for block in message["content"]:
        items: Iterable[Mapping[str, Any]] = block["toolResult"]["content"] if "toolResult" in block else (block,)
        yield from (item["text"] for item in items if "text" in item)


def _names(message: Message) -> set[str]:
    """The names a stash gives to the parts of a message."""
    names: set[str] = set()
    for i, block in enumerate(message["content"]):
        if "toolResult" in block:
            result = block["toolResult"]
            names |= {f"{result['toolUseId']}_{n}" for n in range(len(result["content"]))}
        else:
            names.add(f"{message.get('tracking_id')}_{i}")
    return names
