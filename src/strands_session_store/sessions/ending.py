"""A segment ends: its messages move to a session of their own, and the conversation goes on with a summary of them.

Law: every message is in one place at any moment, and one commit of the conversation's session decides. Before it, what
was copied is no session for anybody; after it, it is, or is made one by whoever looks next.

Rule 1. First the session says which number it makes (`Segments.making`). Who comes later says it again, so that what
        the first one still had to decide is a conflict; then what is half made is dropped, by who said it last.
Rule 2. The copy is complete, and will not vanish, before the commit that erases its messages here.
Rule 3. That commit expects the agent as it was read: history, context, writer. A turn that came in between is a
        conflict, and the segment goes on.
Rule 4. What was copied has the indices from 0 on, so logs, spans and traces are moved by as many: an agent can be
        restored and forked there, at each of its messages.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from .. import codec, layout, records, rows, trace, usage
from ..errors import AlreadyExistsError, ConflictError, StoreError
from ..messages import Message, ensure_id
from ..stores.base import (
    KEEP,
    Add,
    Append,
    Change,
    Doc,
    Expect,
    Mark,
    PutDoc,
    Space,
    Trim,
    Ttl,
    Version,
)
from ..usage import Totals
from .access import load
from .building import Building, Content, make_way
from .ended import complete
from .live_segment import LiveSegment
from .writing import guards, version

HERE: Final = ("messages", "variants")
OUTLIVES: Final = 1.25
"""Times the ttl of a conversation that a segment of it is given; see `expiring`."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a segment ends."""

    cut: int
    """Index of the first message that is not in it any more."""
    summary: str
    """Of it, and of all before it."""
    opening: Sequence[Message]
    """What the next one begins with."""
    event: records.Event
    """That tells of it."""
    spent: tuple[records.UsageKey, Totals] | None = None
    """What the summary took; None: it is not known, or nothing."""
    own: Change | None = None
    """See `guards`."""
    ttl: Ttl = KEEP


def end(live: LiveSegment, ending: Ending) -> records.Session:
    """End the segment; five commits, and one more for each 4 MiB of it.

    Returns:
        The session that has its messages.

    Raises:
        ConflictError: The agent has changed since it was read, or another ends the segment. Nothing was moved.
        SessionBusyError: A living process has the lease; the same.
        StoreError: As the engine says. InDoubt: it may have ended. All of it can be done again, from reading on.
    """
    access, known = live.access, live.known
    store, conversation = access.store, access.space
    guards(live.look, conversation.id, live.agent_id, own=ending.own)  # refused before anything is written
    if known.ended:
        complete(store, space_of(live, known.ended))
    number = known.ended + 1
    target = space_of(live, number)
    path = layout.segments(live.agent_id)
    making = known.model_copy(update={"making": number})
    marked = access.commit(
        live.look, PutDoc(path, codec.dump_document(making), expect=version(live.look, path)), ttl=ending.ttl
    )
    _make_way(live, target, path, marked.version)
    made = _session(live, number, ending.cut)
    lives = _seconds(live, ending.ttl)
    building = Building(store, target, conversation.id, lives=lives, mark=codec.dump_document(made))
    try:
        building.fill(_content(live, ending))
        building.flush()
        guarding = guards(live.look, conversation.id, live.agent_id, own=ending.own)
        ended = PutDoc(path, codec.dump_document(_known(live, number, ending)), expect=marked.version)
        access.commit(live.look, *guarding, ended, *_changes(live, ending), ttl=ending.ttl)
    except ConflictError:  # what is in doubt may be decided
        building.abandon()
        raise
    # it is decided: what fails now is done by whoever looks next, and may have been done by one who does already
    with contextlib.suppress(StoreError):
        building.finish(codec.dump_document(made), rows.summary(made), lives)
    return made


def space_of(live: LiveSegment, number: int) -> Space:
    return layout.segment_space(live.access.space, live.session.created, live.agent_id, number)


# ------------------------------------------------------------------------------------------------------ where it goes


def _make_way(live: LiveSegment, target: Space, path: str, marked: Version) -> None:
    """Have nothing there. What the conversation does not name was half made; or it came out of an archive that was
    written while the segment ended: then all its messages are in the conversation as well.

    ``marked``: the version of the document in which this one has said what it makes.

    Raises:
        ConflictError: There is a session with others, as where the conversation was put back to an earlier state. Or
            another has said since that it makes this segment: then what is there may be its own, and decided.
    """
    store = live.access.store

    def sure() -> None:
        # behind the read of what is there: so whoever made that has said it earlier, and can decide no more
        now = version(store.read(live.access.space, Doc(path)), path)
        if now != marked:
            raise ConflictError(path, marked, now)

    try:
        make_way(store, target, sure)
    except AlreadyExistsError as error:
        look = store.read(target, Doc(layout.SESSION))
        there = load(look, layout.SESSION, records.Session).segment if layout.SESSION in look.docs else None
        if there is None or there.start < live.start or there.end > live.length:
            raise ConflictError(layout.SESSION, "no session", f"session {target.id!r}", str(error)) from error
        sure()
        store.drop(target, on=look.incarnation)  # type: ignore[arg-type]


def _session(live: LiveSegment, number: int, cut: int) -> records.Session:
    return records.Session(
        session_id=space_of(live, number).id,
        user_id=live.session.user_id,
        parent_id=live.session.session_id,
        kind="segment",
        active=False,
        title=live.session.title,
        agent_name=live.session.agent_name,
        segment=records.Segment(agent_id=live.agent_id, number=number, start=live.start, end=cut),
    )


def _seconds(live: LiveSegment, ttl: Ttl) -> float | None:
    """Until it expires: with the conversation."""
    if not isinstance(ttl, Mark):
        return None if ttl is None else ttl * OUTLIVES
    return None if live.look.expires is None else max(live.look.expires - records.now(), 1.0)


def _content(live: LiveSegment, ending: Ending) -> Content:
    id, by, cut = live.agent_id, live.start, ending.cut
    history, variants = (live.look.logs[path(id)] for path in (layout.history, layout.variants))
    shown = [_moved(live.variants[i], by, cut) for i in range(variants.start, variants.length)]
    traces = [trace.shifted(one, by, variants.start) for one in _traced(live) if one.history < cut]
    context = live.context.model_copy(update={"spans": _spans(live.context.spans or [], by, cut, variants.start)})
    summary = records.Summary(text=ending.summary, at=ending.event.at)
    content = Content(
        {
            layout.agent(id): codec.dump_document(live.agent),
            layout.context(id): codec.dump_document(context),
            layout.summary(id): codec.dump_document(summary),
        },
        {
            layout.history(id): (0, [history.entries[i] for i in range(by, cut)]),
            layout.variants(id): (0, [codec.dump(one) for one in shown]),
            layout.trace(id): (0, [codec.dump(one) for one in trace.numbered(traces, 0)]),
        },
        {"messages": len(live.said(cut)), layout.removed(id): _removed(live, cut)},
    )
    if live.known.ended:
        before = live.known.model_copy(update={"ended": 0, "making": 0})
        content.docs[layout.segments(id)] = codec.dump_document(before)
    content.logs = {log: one for log, one in content.logs.items() if one[1]}
    return content


def _moved(variant: records.Variant, by: int, cut: int) -> records.Variant:
    if variant.of is None:
        return variant
    of = variant.of - by
    return variant.model_copy(update={"of": of}) if 0 <= of < cut - by else records.Variant()


def _spans(spans: Sequence[dict[str, list[int | None]]], by: int, cut: int, variants: int) -> list[object]:
    out: list[object] = []
    for span in spans:
        (name, (start, end)), *_ = span.items()
        if name == "variants":
            out.append({name: [max((start or 0) - variants, 0), max((end or 0) - variants, 0)]})
            continue
        first, behind = max(start or 0, by), cut if end is None else min(end, cut)
        if first < behind:
            out.append({name: [first - by, behind - by]})
    # what is said next would be in it
    last = out[-1] if out else None
    if isinstance(last, dict) and last.get("history", (0, 0))[1] == cut - by:
        last["history"][1] = None
    else:
        out.append({"history": [cut - by, None]})
    return out


def _traced(live: LiveSegment) -> Iterator[records.Trace]:
    log = layout.trace(live.agent_id)
    for i, data in sorted(live.look.logs[log].entries.items()):
        yield codec.load(records.Trace, data, f"{log}[{i}]")


def _removed(live: LiveSegment, before: int) -> int:
    return sum(1 for i, entry in live.entries.items() if i < before and entry.removed is not None)


# ------------------------------------------------------------------------------------------------------ what goes on


def _known(live: LiveSegment, number: int, ending: Ending) -> records.Segments:
    return records.Segments(
        ended=number,
        making=number,
        at=ending.event.at,
        summary=ending.summary,
        opening=[ensure_id(message) for message in ending.opening],
        until=_until(live, ending),
    )


def _until(live: LiveSegment, ending: Ending) -> float | None:
    """See `records.Segments`. One that is ended by who has no ttl may have less than those before."""
    lives = _seconds(live, ending.ttl)
    until = None if lives is None else ending.event.at + lives
    if not live.known.ended:
        return until
    before = live.known.until
    return before if before is None or until is None else min(before, until)


def _changes(live: LiveSegment, ending: Ending) -> Iterator[Change]:
    """Of the conversation's session: history, variants and trace without what has moved; the context from now on."""
    id, cut, length = live.agent_id, ending.cut, live.length
    own, context, history, shown, past = (
        path(id) for path in (layout.agent, layout.context, layout.history, layout.variants, layout.trace)
    )
    variants = live.look.logs[shown].length
    again = {v.of: v for _, v in sorted(live.variants.items()) if v.of is not None and v.of >= cut}
    kept = [v for v in again.values() if v.message is not None]
    opening = [records.Variant(message=message) for message in ending.opening]
    spans = [{"variants": [variants, variants + len(opening)]}, {"history": [cut, None]}]
    after = records.Context(spans=[span for span in spans if span != {"variants": [variants, variants]}])
    yield Expect(own, version(live.look, own))
    yield PutDoc(context, codec.dump_document(after), expect=version(live.look, context))
    yield Append(history, [], at=length)
    yield Append(shown, [codec.dump(one) for one in (*opening, *kept)], at=variants)
    traces = _goes_on(live, after, cut, variants + len(opening) + len(kept), ending.event.at)
    yield Append(past, traces, at=live.look.logs[past].length)
    for log, before in ((history, cut), (shown, variants), (past, live.look.logs[past].length)):
        yield Trim(log, before)
    yield Append(layout.EVENTS, [codec.dump(ending.event)])
    yield Add("messages", -len(live.said(cut)))
    yield Add(layout.removed(id), -_removed(live, cut))
    for name, reach in zip(HERE, (cut, variants)):
        tail = layout.tail(id, name)  # type: ignore[arg-type]
        yield Add(tail, reach - live.look.counters.get(tail, 0))
    yield from spending(ending)


def spending(ending: Ending) -> Iterator[Change]:
    """What the summary took, in the conversation's counters."""
    if ending.spent is not None:
        key, totals = ending.spent
        yield usage.known(key)
        yield from totals.adds()
        yield from totals.adds(usage.path_of(key))


def _goes_on(live: LiveSegment, after: records.Context, cut: int, variants: int, at: float | None) -> list[bytes]:
    """The trace from now on: of the messages that are kept, and of what there is."""

    def told(*entries: records.Trace) -> list[bytes]:
        return [codec.dump(one) for one in trace.numbered(entries, live.look.logs[layout.trace(live.agent_id)].length)]

    now = trace.entry(None, trace.moment(live.agent, after, variants), live.length, at)
    kept = trace.onwards(_traced(live), cut, after.spans or [], variants) if cut < live.length else ()
    # one that is too large is left out: then what is kept can't be forked at, and that is all
    for entries in (told(*kept, now), told(now), told(now.model_copy(update={"whole": False, "lost": True}))):
        if sum(map(len, entries)) <= trace.MAX_BYTES:
            break
    return entries
