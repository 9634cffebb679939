"""The messages of an agent are counted, and erased."""

from __future__ import annotations

from .. import codec, layout, records
from ..stores.base import Add, Append, Change, Counters, Doc, Log, Look, PutDoc, Trim, Want
from .access import Access, load
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
    logs, past = (layout.history(agent_id), layout.variants(agent_id)), layout.trace(agent_id)
    erased = 0

    def decide(look: Look) -> list[Change]:
        nonlocal erased
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
        return [
            *guards(look, access.space.id, agent_id),
            *documents,
            *(Append(log, [], at=look.logs[log].length) for log in logs),
            *(Trim(log, look.logs[log].length) for log in (*logs, past)),
            Add("messages", -erased),
            Add(count, -look.counters[count]),
        ]

    access.change(decide, *wants(agent_id), Doc(own), Doc(path), *extent(agent_id), Log(logs[1]), Log(past))
    return erased
