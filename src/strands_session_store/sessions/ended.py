"""The segments of conversations that have ended: where they are, and what is done in whichever has a message.

Law: a segment that was decided is a session for whoever looks here, also where its process died before it was one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TypeVar

from .. import codec, layout, records, rows
from ..errors import ConflictError, MessageNotFoundError, SessionNotFoundError
from ..stores.base import ABSENT, Doc, Docs, DropDoc, Look, PutDoc, Space, Store
from .access import Access, load, send, session
from .building import MARK
from .inside import ids_of

T = TypeVar("T")


def segments_of(store: Store, conversation: Space) -> list[Space]:
    """Where segments of the conversation are, or were: all agents', also what is half made. One read."""
    look = store.read(conversation, Doc(layout.SESSION), Docs(layout.AGENTS))
    if layout.SESSION not in look.docs:
        return []
    own = load(look, layout.SESSION, records.Session)
    return [one for id in ids_of(look, layout.AGENTS) for one in segments_in(conversation, own, look, id)]


def segments_in(
    conversation: Space, own: records.Session, look: Look, agent_id: str, *, decided: bool = False
) -> list[Space]:
    """The same, of one agent, by its document. ``decided``: without what is half made."""
    if (path := layout.segments(agent_id)) not in look.docs:
        return []
    known = load(look, path, records.Segments)
    numbers = range(1, (known.ended if decided else max(known.ended, known.making)) + 1)
    return [layout.segment_space(conversation, own.created, agent_id, number) for number in numbers]


def complete(store: Store, space: Space) -> None:
    """Have a segment that was decided be a session, where its process was killed before. One read, if it is one."""
    look = store.read(space, Doc(layout.SESSION), Doc(layout.MAKING))
    if layout.SESSION in look.docs or layout.MAKING not in look.docs:
        return
    assert look.incarnation is not None
    made = load(look, layout.MAKING, records.Session)
    own = PutDoc(layout.SESSION, codec.dump_document(made), expect=ABSENT)
    drop = DropDoc(layout.MAKING, expect=look.docs[layout.MAKING].version)
    try:
        send(store, space, own, drop, on=look.incarnation, summary=rows.summary(made))
    except ConflictError:  # another has done it
        return


def complete_decided(store: Store, space: Space, look: Look) -> bool:
    """As `complete`, for what may be half made, by what marks it (`layout.MAKING`): if its conversation says it ended.
    Whether it has; one read."""
    mark = look.docs[layout.MAKING].data
    if space.kind != "session" or mark == MARK:
        return False
    made = load(look, layout.MAKING, records.Session)
    assert made.segment is not None and made.parent_id is not None
    path = layout.segments(made.segment.agent_id)
    above = store.read(layout.session_space(made.parent_id, space.owner), Doc(path))
    if path not in above.docs or load(above, path, records.Segments).ended < made.segment.number:
        return False
    complete(store, space)
    return True


def wherever(
    access: Access[records.Session], agent_id: str | None, act: Callable[[Access[records.Session], int], T]
) -> T:
    """Do what is about a message of a conversation where that message is: in what goes on, else in the latest segment
    that has it. Where it is not in the first, one read more, and for each segment two and what it takes to look.

    Args:
        access: Of the conversation's session.
        agent_id: Whose message; None: of any agent.
        act: Given the session, and which index in the conversation its first message has.

    Raises:
        MessageNotFoundError: It is nowhere.
    """
    try:
        return act(access, 0)
    except MessageNotFoundError as missing:
        look = access.look(Docs(layout.AGENTS))
        agents = ids_of(look, layout.AGENTS) if agent_id is None else [agent_id]
        for id in agents:
            for space in reversed(segments_in(access.space, access.record(look), look, id, decided=True)):
                complete(access.store, space)
                with contextlib.suppress(MessageNotFoundError, SessionNotFoundError):
                    part = session(access.store, space.id, space.owner)
                    held = part.record(part.look()).segment
                    return act(part, 0 if held is None else held.start)
        raise missing from None
