"""A rewind: an agent goes on from one of its earlier messages, in its own session.

Law: the agent is then what a process would have restored that died right after that message was stored. Nothing is
erased: what was said since stays in the history, behind it comes what is said next, and a later fork or rewind may go
to any of it.

Rule 1. The context ends with the message. Where a later variant of one of its messages would win, the one of then is
        appended anew.
Rule 2. One commit: state, context, an entry of the trace and an event; under the expectation that all of the agent is
        as it was read.
Rule 3. A new writer document is put with it: live agents reload, and what they still had to store is a conflict. Where
        a living process has the session's lease, nothing is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from .. import codec, layout, records, trace
from ..context import Context
from ..stores.base import (
    Add,
    Append,
    Change,
    Counters,
    Doc,
    Log,
    LogView,
    Look,
    PutDoc,
    Space,
    Store,
    Want,
)
from . import points
from .access import Access, load, must_go_on, session
from .points import Point
from .writing import guards, version, wants

ASKED: Final = 50
"""How many messages before it are read for the one that an interrupt waits in, which is the last one of the model."""


def rewind(store: Store, space: Space, at: str, agent_id: str | None = None) -> records.Event:
    """Have an agent go on from one of its messages.

    Costs what the agent's variants and the trace back to the message cost, and one commit. The other agents of the
    session stay as they are.

    Args:
        store: Where.
        space: Of the session.
        at: Tracking id of the message.
        agent_id: Whose it is; None: of the one agent that has it.

    Returns:
        The event that tells of it, as it is stored.

    Raises:
        SessionNotFoundError: There is no such session.
        MessageNotFoundError: It has no such message.
        NotTracedError: It is not known what there was right after that message.
        IllegalTransitionError: The session is a segment that has ended.
        SessionBusyError: A living process has the session's lease.
        ValueError: Several agents have the message.
        ConflictError: The agent was being written the whole time.
        StoreError: As the engine says. InDoubt: it may be done; done again, there is a second event of it.
    """
    found = session(store, space.id, space.owner)
    id, index = points.find(store, space, agent_id, at)

    def attempt() -> records.Event:
        look = found.look(*_wants(id, index))
        must_go_on(found.record(look))
        agent = load(look, layout.agent(id), records.Agent)
        length = look.logs[layout.history(id)].length
        entries = _entries(found, id, look.logs[layout.trace(id)].length, index + 1)
        point = points.rebuilt(space, agent, entries, look, index + 1, onto=length)
        event = records.Event(type="rewind", agent_id=id, parent=at, data={"index": index, "messages": length})
        found.commit(look, *guards(look, space.id, id), *_changes(look, id, point, event))
        return event

    return found.insist(attempt)


def _wants(id: str, index: int) -> list[Want]:
    return [
        *wants(id),
        *map(Doc, (layout.agent(id), layout.context(id))),
        Log(layout.history(id), spans=[(max(0, index - ASKED), index + 1)]),
        Log(layout.variants(id), spans=[(0, None)]),
        Log(layout.trace(id)),
        Counters([layout.tail(id, log) for log in ("messages", "variants")]),
    ]


def _entries(found: Access[records.Session], id: str, traced: int, length: int) -> list[records.Trace]:
    """Of the trace, what it takes to rebuild the agent at this length of its history; from the end."""
    log = layout.trace(id)
    for start in range((traced - 1) // trace.WHOLE * trace.WHOLE, -1, -trace.WHOLE):
        view = found.look(Log(log, spans=[(start, start + trace.WHOLE)])).logs[log]
        entries = [codec.load(records.Trace, data, f"{log}[{i}]") for i, data in sorted(view.entries.items())]
        if entries and trace.is_before(entries[0], length):
            return entries
    return []


def _changes(look: Look, id: str, point: Point, event: records.Event) -> Iterator[Change]:
    agent, context = layout.agent(id), layout.context(id)
    history, variants, log = (look.logs[path(id)] for path in (layout.history, layout.variants, layout.trace))
    restated = list(_restated(point.slots, variants, layout.variants(id)))
    length = point.slots.variants = variants.length + len(restated)
    now = replace(point.moment, spans=point.context.spans, variants=length)
    entry = trace.entry(None, now, history.length, event.at)
    for path, record in ((agent, point.agent), (context, point.context)):
        yield PutDoc(path, codec.dump_document(record), expect=version(look, path))
    yield Append(layout.history(id), [], history.length)
    yield Append(layout.variants(id), restated, variants.length)
    yield Append(layout.trace(id), [codec.dump(entry)], log.length)
    yield Append(layout.EVENTS, [codec.dump(event)])
    for name, reach in zip(("messages", "variants"), point.slots.tails()):
        tail = layout.tail(id, name)  # type: ignore[arg-type]
        if reach != look.counters.get(tail, 0):
            yield Add(tail, reach - look.counters.get(tail, 0))


def _restated(slots: Context, variants: LogView, log: str) -> Iterator[bytes]:
    """Variants to be appended, so that each message of the context is shown as it was; the slots then say so."""
    shows: dict[int, int | None] = {}
    for index, data in sorted(variants.entries.items()):
        variant = codec.load(records.Variant, data, f"{log}[{index}]")
        if variant.of is not None:
            shows[variant.of] = None if variant.message is None else index
    again: dict[int, int] = {}
    for slot in slots.slots:
        entry, shown = slot.history, slot.variant
        if entry is None or shows.get(entry) == shown:
            continue
        if entry not in again:
            again[entry] = variants.length + len(again)
            yield codec.dump(records.Variant(of=entry)) if shown is None else variants.entries[shown]
        slot.variant = None if shown is None else again[entry]
