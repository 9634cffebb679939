"""The context of an agent as it is stored: what its model would be given now. Nothing here writes."""

from __future__ import annotations

from .. import codec, layout, records
from ..context import Context
from ..errors import Corrupt, Unavailable
from ..messages import Message
from ..stores.base import Counters, Doc, Log, LogView
from ..stores.reading import TRIES
from .access import Access, load
from .entries import entry


def read_context(access: Access[records.Session], agent_id: str) -> list[Message]:
    """Its messages, as an agent that is built on the session has them, but for tool uses without results: those are
    as they were stored. One read, and another where the context reaches further back than the ends of the logs.

    Raises:
        SessionNotFoundError: There is no such session.
        Unavailable: It was being changed the whole time.
    """
    path, log, shown = layout.context(agent_id), layout.history(agent_id), layout.variants(agent_id)
    tails = [layout.tail(agent_id, "messages"), layout.tail(agent_id, "variants")]
    wants = (Doc(path), Counters(tails), Log(log, since=tails[0]), Log(shown, since=tails[1]))
    for _ in range(TRIES):
        look = access.look(*wants)
        if path not in look.docs:
            return []
        spans = load(look, path, records.Context).spans or []
        said, other = look.logs[log], look.logs[shown]
        context = Context(said.length, other.length, said.start, other.start)
        history = _history(log, said)
        if missing := context.missing(spans, history):
            further = access.look(Log(log, spans=missing))
            if (further.incarnation, further.revision) != (look.incarnation, look.revision):
                continue
            history |= _history(log, further.logs[log])
        found = {i: entry(records.Variant, shown, i, data) for i, data in other.entries.items()}
        variants = {i: (one.of, one.message) for i, one in found.items()}
        try:
            return context.restore(spans, history, variants)
        except (KeyError, TypeError, AssertionError) as error:
            raise Corrupt(path, f"it names entries that are not there ({error})") from error
    raise Unavailable(f"session {access.space.id!r} changed during each of {TRIES} attempts to read it; try again")


def _history(log: str, view: LogView) -> dict[int, Message | None]:
    return {i: codec.load_message(data, f"{log}[{i}]")[0] for i, data in view.entries.items()}
