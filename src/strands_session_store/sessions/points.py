"""An agent at one of its messages: which message that is, and what was stored of the agent right after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .. import codec, layout, records, trace
from ..context import Context
from ..errors import MessageNotFoundError, NotTracedError, SessionNotFoundError
from ..messages import Message
from ..stores.base import Doc, Docs, Log, LogView, Look, Space, Store
from ..stores.reading import read_whole
from .inside import ids_of

PAGE: Final = 500
"""Messages that are read at once where one is looked for; from the end, since what is forked or taken back is late."""
NO_LOG: Final = LogView(0, 0, {})


@dataclass(frozen=True, slots=True)
class Point:
    """What was stored of an agent, as records."""

    agent: records.Agent
    context: records.Context
    slots: Context
    """That context beside its logs; its messages have nothing but their ids."""
    moment: trace.Moment
    """The same, as the trace has it."""


def present(space: Space, look: Look) -> Look:
    """What was read of a session, if there is one.

    Raises:
        SessionNotFoundError: Else.
    """
    if layout.SESSION not in look.docs:
        whose = f" of user {space.owner!r}" if space.owner is not None else ""
        raise SessionNotFoundError(f"there is no session {space.id!r}{whose}")
    return look


def agents_of(look: Look) -> list[str]:
    """Its agents, by its documents."""
    return [id for id in ids_of(look, layout.AGENTS) if layout.agent(id) in look.docs]


def find(store: Store, space: Space, agent_id: str | None, message_id: str) -> tuple[str, int]:
    """The agent that has the message, and the message's index; of several entries with its id the last.

    Args:
        store: Where.
        space: Of the session.
        agent_id: The agent; None: whichever has it.
        message_id: Tracking id.

    Raises:
        SessionNotFoundError: There is no such session.
        MessageNotFoundError: It has no such message.
        ValueError: Several of its agents have it.
    """
    agents = agents_of(present(space, read_whole(store, space, Doc(layout.SESSION), Docs(layout.AGENTS))))
    if agent_id is not None:
        agents = [id for id in agents if id == agent_id]
    found = [(id, index) for id in agents if (index := _index(store, space, id, message_id)) is not None]
    if not found:
        of = f"agent {agent_id!r} of " if agent_id is not None else ""
        raise MessageNotFoundError(f"{of}session {space.id!r} has no message with tracking id {message_id!r}")
    if len(found) > 1:
        names = ", ".join(repr(id) for id, _ in found)
        raise ValueError(f"at={message_id!r} is a message of several agents of session {space.id!r}: {names}; name one")
    return found[0]


def _index(store: Store, space: Space, agent_id: str, message_id: str) -> int | None:
    log = layout.history(agent_id)
    view = present(space, store.read(space, Doc(layout.SESSION), Log(log))).logs[log]
    for end in range(view.length, view.start, -PAGE):
        page = (max(view.start, end - PAGE), end)
        entries = present(space, read_whole(store, space, Doc(layout.SESSION), Log(log, [page]))).logs[log].entries
        for index in sorted(entries, reverse=True):
            message, _ = codec.load_message(entries[index], f"{log}[{index}]")
            if message is not None and message.get("tracking_id") == message_id:
                return index
    return None


def rebuilt(
    space: Space,
    agent: records.Agent,
    entries: Iterable[records.Trace],
    logs: Look,
    length: int,
    *,
    until: float | None = None,
    onto: int | None = None,
) -> Point:
    """What was stored of an agent right after a message.

    Args:
        space: For errors.
        agent: As it is stored now.
        entries: Of its trace, from a whole one before the message on.
        logs: Its variants, whole, and its history: of that, at least the message that an interrupt names.
        length: Of the history, with the message.
        until: As in `trace.rebuild`.
        onto: The length of the history that the context then stands beside; None: the same.

    Raises:
        NotTracedError: It is not known what was there then.
    """
    id = agent.agent_id
    said, shown = (logs.logs.get(path, NO_LOG) for path in (layout.history(id), layout.variants(id)))
    try:
        found = trace.rebuild(entries, length, until)
    except trace.Untraced:
        raise NotTracedError(
            f"session {space.id!r}: it is not known what the state and context of agent {id!r} were at its message "
            f"{length - 1} (stored by an earlier version, or too large to be kept); choose a later message, or fork "
            "without at= to have all that is there now"
        ) from None
    traced = found
    variants = {
        index: codec.load(records.Variant, data, f"{layout.variants(id)}[{index}]")
        for index, data in shown.entries.items()
        if index < found.variants
    }
    slots = _placed(found, variants, length if onto is None else onto, length, said.start)
    if (asked := trace.asked_in(found)) is not None:
        message = _last(said.entries, layout.history(id), asked, length)
        if message is None:
            raise NotTracedError(
                f"session {space.id!r}: the message that an interrupt of agent {id!r} waited in is erased; choose a "
                "message before or after it"
            )
        found = trace.with_asked(found, message)
    summary = trace.summary_in(found)
    if summary is None and (name := trace.summary_of(found.conversation_manager)) is not None:
        places = [i for i, v in variants.items() if v.message is not None and v.message.get("tracking_id") == name]
        summary = max(places) if places else None
    if summary is not None:
        message = variants[summary].message
        # what the context shows is kept there, and only named here
        shows = any(slot.variant == summary for slot in slots.slots)
        found = trace.with_summary(found, _name(message) if shows else message)
    parts = {"state": found.state, "interrupts": found.interrupts, "model_state": found.model_state}
    context = records.Context(spans=slots.spans(), conversation_manager=found.conversation_manager)
    return Point(agent.model_copy(update=parts), context, slots, traced)


def _placed(found: trace.Moment, variants: Mapping[int, records.Variant], length: int, end: int, start: int) -> Context:
    """The moment's context, beside a history of this length; before, it was one up to ``end``."""
    context = Context(length, found.variants, start)
    names = {index: (v.of, None if v.message is None else {**_name(v.message)}) for index, v in variants.items()}
    spans = [
        {name: [a, end if b is None and name == "history" else b]}
        for span in found.spans
        for name, (a, b) in span.items()
    ]
    context.restore(spans, _Named(), names)
    return context


class _Named(dict[int, Message]):
    """A history of which only the places matter."""

    def __missing__(self, index: int) -> Message:
        return {"tracking_id": f"entry {index}"}


def _name(message: Message) -> Message:
    return {"tracking_id": message.get("tracking_id")}


def _last(entries: Mapping[int, bytes], log: str, message_id: str, length: int) -> Any:
    for index in sorted((index for index in entries if index < length), reverse=True):
        message, _ = codec.load_message(entries[index], f"{log}[{index}]")
        if message is not None and message.get("tracking_id") == message_id:
            return message
    return None
