"""The messages of an agent are counted, and erased."""

from __future__ import annotations

from .. import codec, layout, records
from ..stores.base import Add, Append, Change, Counters, Doc, DropDoc, Log, Look, PutDoc, Trim, Want
from .access import Access, load
from .ended import segments_in
from .writing import guards, traced, version, wants


def extent(agent_id: str) -> tuple[Want, ...]:
    """What `existing` has to see."""
    return Log(layout.history(agent_id)), Counters([layout.removed(agent_id)])


def existing(look: Look, agent_id: str) -> int:
    """How many messages there are, without those removed or erased."""
    view = look.logs[layout.history(agent_id)]
    return view.length - view.start - look.counters[layout.removed(agent_id)]


def clear(access: Access[records.Session], agent_id: str) -> int:
    """See `Messages.clear`; of one agent."""
    own, path, count = layout.agent(agent_id), layout.context(agent_id), layout.removed(agent_id)
    segments, moved = layout.segments(agent_id), 0
    logs, past = (layout.history(agent_id), layout.variants(agent_id)), layout.trace(agent_id)
    erased = 0

    def decide(look: Look) -> list[Change]:
        nonlocal erased, moved
        guarding = guards(look, access.space.id, agent_id)
        erased = existing(look, agent_id)
        length = look.logs[logs[0]].length
        documents: list[Change] = []
        if own in look.docs:
            agent = load(look, own, records.Agent).model_copy(update={"interrupts": None, "model_state": None})
            context = records.Context(spans=[{"history": [length, None]}])
            documents = [
                PutDoc(own, codec.dump_document(agent), expect=version(look, own)),
                PutDoc(path, codec.dump_document(context), expect=version(look, path)),
                traced(look, agent, context, records.now()),
            ]
        elif not length:
            return []
        if segments in look.docs:  # before they are named no more; what is interrupted is repeated
            moved += _erase_segments(access, look, agent_id)
            documents.append(DropDoc(segments, expect=version(look, segments)))
        return [
            *guarding,
            *documents,
            *(Append(log, [], at=look.logs[log].length) for log in logs),
            *(Trim(log, look.logs[log].length) for log in (*logs, past)),
            Add("messages", -erased),
            Add(count, -look.counters[count]),
        ]

    documents = map(Doc, (own, path, segments))
    access.change(decide, *wants(agent_id), *documents, *extent(agent_id), Log(logs[1]), Log(past))
    return erased + moved


def _erase_segments(access: Access[records.Session], look: Look, agent_id: str) -> int:
    """The segments that have ended; how many messages there were in them."""
    moved = 0
    for space in segments_in(access.space, access.record(look), look, agent_id):
        moved += access.store.read(space, Counters(["messages"])).counters["messages"]
        access.store.drop(space)
    return moved
