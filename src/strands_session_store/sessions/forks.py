"""A fork: a new session that goes on from a message of another, or from its end.

Law: its agents are what a process would have restored that died right after that message was stored. The source is
read, in one state, and never changed; the fork is there whole or not at all.

Rule 1. The message's agent has the history up to and with it, other agents theirs up to its time; runs and events too.
        What was replaced since (a redaction, a merge) is as it is now, and counts as said when it was replaced.
Rule 2. State, interrupts, model state and context are rebuilt from the trace. What the session keeps as a whole is as
        it is now. Graphs and Swarms are in a fork of the whole session only: what they were before is not kept.
Rule 3. Indices stay, so traces, variants and runs are copied as they are; what was erased stays so.
        Of an agent's segments it has the one that goes on; those that have ended stay where they are.
Rule 4. The fork has spent nothing: of the counters it has those that tell what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import takewhile
from typing import Final

from .. import codec, layout, records, rows, trace
from ..errors import AlreadyExistsError, ConflictError, Unavailable
from ..stores.base import Counters, Docs, Log, LogView, Look, Space, Store
from ..stores.reading import read_whole
from . import points
from .building import Building, Content, make_way
from .inside import counters_of, logs_of
from .points import NO_LOG

TRIES: Final = 5


def fork(
    store: Store,
    source: Space,
    target: Space,
    at: str | None = None,
    agent_id: str | None = None,
    *,
    named: Callable[[records.Session], records.Session],
    ttl: float | None = None,
) -> records.Session:
    """Make a new session of another one.

    Takes one commit for up to 4 MiB, and holds in memory what it copies. Interrupted, it can be repeated.

    Args:
        store: Of both.
        source: Space of the session that is forked.
        target: Space of the fork, of the same or another owner.
        at: Tracking id of the last message that the fork has; None: all that there is.
        agent_id: Whose message that is; None: of the one agent that has it.
        named: Given the source's record, returns the fork's, but for ids and origin.
        ttl: Seconds after which the fork expires; None: never.

    Returns:
        The fork's session record, with its origin.

    Raises:
        SessionNotFoundError: There is no source.
        MessageNotFoundError: It has no such message.
        NotTracedError: It is not known what was there right after that message.
        AlreadyExistsError: The target is there already.
        ValueError: Several agents have the message, or ``agent_id`` was given without ``at``.
        Unavailable: The source was being changed the whole time.
        StoreError: As the engine says. InDoubt: the fork may be there.
    """
    if agent_id is not None and at is None:
        raise ValueError(f"agent_id={agent_id!r} says whose message at= is, but at= is not given; give both or neither")
    make_way(store, target)
    if at is None:
        look = _read(store, source, {})
        content, origin = _whole(look), records.Origin(session_id=source.id)
    else:
        id, index = points.find(store, source, agent_id, at)
        look = _read(store, source, {layout.history(id): index + 2})
        content = _up_to(source, look, id, index)
        origin = records.Origin(session_id=source.id, message_id=at, agent_id=id, index=index)
    session = codec.load(records.Session, look.docs[layout.SESSION].data, layout.SESSION)
    own: dict[str, object] = {"session_id": target.id, "user_id": target.owner, "origin": origin, "segment": None}
    own |= {} if session.segment is None else {"active": True}  # a segment is not gone on with, its fork is
    made = named(session).model_copy(update={**own, "created": records.now(), "updated": None})
    _write(store, target, content, made, ttl)
    return made


# ------------------------------------------------------------------------------------------------------------- reading


def _copy(content: Content, name: str, view: LogView, end: int | None = None) -> None:
    """Have the content hold of a log of the source what stands before ``end``."""
    length = view.length if end is None else min(end, view.length)
    if length:
        start = min(view.start, length)
        entries = [view.entries[index] for index in range(start, length)]
        if layout.is_history(name):
            entries = [_unpaid(data, f"{name}[{start + at}]") for at, data in enumerate(entries)]
        content.logs[name] = start, entries


def _unpaid(data: bytes, path: str) -> bytes:
    """An entry of a history without what was counted with it (rule 4)."""
    entry = codec.load(records.Message, data, path)
    return data if entry.usage is None else codec.dump(entry.model_copy(update={"usage": None}))


def _read(store: Store, source: Space, ends: Mapping[str, int]) -> Look:
    """All of the source, in one state; of some logs only what stands before an index."""
    for _ in range(TRIES):
        first = read_whole(store, source, Docs(""))
        names = logs_of(points.present(source, first))
        logs = (Log(name, spans=[(0, ends.get(name))]) for name in names)
        look = read_whole(store, source, Docs(""), Counters(counters_of(first)), *logs)
        if look.incarnation == first.incarnation and set(logs_of(look)) == set(names):
            return look
    raise Unavailable(f"session {source.id!r} changed during each of {TRIES} attempts to read it; try again")


def _common(look: Look) -> Iterator[tuple[str, bytes]]:
    """What the session keeps as a whole, whatever is said in it."""
    for path, doc in look.docs.items():
        inside = path.startswith((layout.AGENTS, layout.MULTI_AGENTS, layout.OPEN_RUNS, layout.USAGE))
        if not inside and not layout.is_presence(path) and path not in (layout.SESSION, layout.MAKING):
            yield path, doc.data


# ------------------------------------------------------------------------------------------------------------- content


def _whole(look: Look) -> Content:
    inside = (layout.AGENTS, layout.MULTI_AGENTS, layout.OPEN_RUNS)
    docs = {p: doc.data for p, doc in look.docs.items() if p.startswith(inside) and not layout.is_presence(p)}
    content = Content({**dict(_common(look)), **docs})
    for id in points.agents_of(look):
        _add_opening(content, look, id)
    for name, view in look.logs.items():
        _copy(content, name, view)
    spent = {*layout.COUNTERS} - {"messages", "runs"}
    kept = (name for name in look.counters if name not in spent and not name.startswith(layout.USAGE))
    content.counters = {name: look.counters[name] for name in kept}
    return content


def _up_to(source: Space, look: Look, agent_id: str, index: int) -> Content:
    content = Content(dict(_common(look)))
    time = _said_at(look, agent_id, index)
    lengths = {id: index + 1 if id == agent_id else _length_at(look, id, time) for id in points.agents_of(look)}
    lengths = {id: length for id, length in lengths.items() if length}
    for id, length in lengths.items():
        _add_agent(content, source, look, id, length, None if id == agent_id else time)
    runs = list(_runs(look, lengths, time))
    ended = [codec.dump(run) for run in runs if run.ended is not None]
    content.docs |= {layout.open_run(run.run_id): codec.dump_document(run) for run in runs if run.ended is None}
    view = look.logs.get(layout.EVENTS, NO_LOG)
    events = ((data, codec.load(records.Event, data, f"{layout.EVENTS}[{i}]")) for i, data in view.entries.items())
    happened = [data for data, event in events if event.at <= time and event.agent_id in (None, *lengths)]
    content.logs |= {name: (0, log) for name, log in ((layout.RUNS, ended), (layout.EVENTS, happened)) if log}
    content.counters |= {layout.removed(id): _removed(look, id, length) for id, length in lengths.items()}
    there = (length - look.logs[layout.history(id)].start for id, length in lengths.items())
    gone = sum(content.counters[layout.removed(id)] for id in lengths)
    content.counters |= {"messages": sum(there) - gone, "runs": len(runs)}
    return content


def _add_agent(content: Content, source: Space, look: Look, id: str, length: int, until: float | None) -> None:
    log = layout.trace(id)
    view = look.logs.get(log, NO_LOG)
    entries = [codec.load(records.Trace, data, f"{log}[{i}]") for i, data in sorted(view.entries.items())]
    agent = codec.load(records.Agent, look.docs[layout.agent(id)].data, layout.agent(id))
    point = points.rebuilt(source, agent, entries, look, length, until=until)
    content.docs[layout.agent(id)] = codec.dump_document(point.agent)
    content.docs[layout.context(id)] = codec.dump_document(point.context)
    _add_opening(content, look, id)
    _copy(content, layout.history(id), look.logs[layout.history(id)], length)
    _copy(content, layout.variants(id), look.logs.get(layout.variants(id), NO_LOG), point.moment.variants)
    kept = sum(1 for _ in takewhile(lambda one: trace.is_before(one, length, until), entries))
    _copy(content, log, view, view.start + kept)
    tails = dict(zip(("messages", "variants"), point.slots.tails()))
    content.counters |= {layout.tail(id, name): reach for name, reach in tails.items()}  # type: ignore[arg-type]


def _add_opening(content: Content, look: Look, id: str) -> None:
    """What its segment began with; the segments before it are the source's."""
    path = layout.segments(id)
    content.docs.pop(layout.summary(id), None)
    if path in look.docs:
        known = codec.load(records.Segments, look.docs[path].data, path)
        content.docs[path] = codec.dump_document(known.model_copy(update={"ended": 0, "making": 0}))


def _removed(look: Look, agent_id: str, length: int) -> int:
    """How many of the messages before ``length`` were removed."""
    log = layout.history(agent_id)
    entries = ((i, data) for i, data in look.logs[log].entries.items() if i < length)
    return sum(codec.load_message(data, f"{log}[{i}]")[0] is None for i, data in entries)


def _said_at(look: Look, agent_id: str, index: int) -> float:
    """When the message was said, at the latest: one that was replaced has the time of that, the next one may not."""
    log = layout.history(agent_id)
    entries = look.logs[log].entries
    said = (codec.load(records.Message, entries[i], f"{log}[{i}]").at for i in (index, index + 1) if i in entries)
    return min((at for at in said if at is not None), default=float("inf"))


def _length_at(look: Look, agent_id: str, time: float) -> int:
    """Of an agent's history, then."""
    log = layout.history(agent_id)
    entries = look.logs.get(log, NO_LOG).entries
    for index in sorted(entries, reverse=True):
        at = codec.load(records.Message, entries[index], f"{log}[{index}]").at
        if at is None or at <= time:
            return index + 1
    return 0


def _runs(look: Look, lengths: Mapping[str, int], time: float) -> Iterator[records.Run]:
    """The runs that had begun, each as it was known then: one that had not ended is open."""
    view = look.logs.get(layout.RUNS, NO_LOG)
    runs = [codec.load(records.Run, data, f"{layout.RUNS}[{i}]") for i, data in sorted(view.entries.items())]
    paths = (path for path in look.docs if path.startswith(layout.OPEN_RUNS))
    runs += [codec.load(records.Run, look.docs[path].data, path) for path in paths]
    for run in runs:
        if run.started > time or run.multi_agent_id is not None:
            continue
        first, length, own = run.first_message, lengths.get(run.agent_id or "", 0), run.recorded_by == "application"
        if run.agent_id is not None and not (length or own):
            continue
        if not own and first is not None and first >= length:
            continue
        behind = first is not None and first + run.messages > length
        if run.ended is not None and run.ended <= time and not behind:
            yield run
        else:
            told = {"run_id": run.run_id, "recorded_by": run.recorded_by, "agent_id": run.agent_id}
            begun = {"first_message": first, "metadata": run.metadata} if own else {}
            yield records.Run(**told, started=run.started, **begun)


# ------------------------------------------------------------------------------------------------------------- writing


def _write(store: Store, target: Space, content: Content, session: records.Session, ttl: float | None) -> None:
    building = Building(store, target, session.parent_id)
    try:
        building.fill(content)
        building.finish(codec.dump_document(session), rows.summary(session), ttl)
    except ConflictError as conflict:
        raise AlreadyExistsError(
            f"session {target.id!r} is being made by somebody else; nothing of it was changed. Choose another id"
        ) from conflict
    except BaseException:
        building.abandon()
        raise
