"""An agent that is changed from outside of a live one: how it is kept from those who run it, and they are told.

Law: who changes an agent's messages or context puts a new writer document in the same commit. A live agent is reloaded
by its next invocation then (`on_stale`), and what it has under way meets a ConflictError: it never writes over that.

Rule 1. While a process that lives has the session's lease, nothing is changed: SessionBusyError, also where it is this
        process. It lives when its last sign, by its own clock, is younger than its expiry by this one's.
Rule 2. A lease that is free, or whose holder seems to be gone, is expected to be as it was seen. Clocks that differ
        can have a holder that lives taken for gone: what it writes then is refused by the law, and nothing is lost.
Rule 3. Without a lease (``exclusive=False``) an invocation that is under way is not waited for: it meets the conflict.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from typing import Final, Literal

from .. import codec, layout, records, trace
from ..errors import SessionBusyError
from ..stores.base import (
    ABSENT,
    Append,
    Change,
    Committed,
    Doc,
    Expect,
    Look,
    Mark,
    PutDoc,
    Replace,
    Version,
    Want,
    new_commit_id,
)
from .access import Access
from .inside import holder

PIECE_CHANGES: Final = 1_000
PIECE_BYTES: Final = 4 * 2**20
"""Entries, and bytes of them, that are replaced by one commit, as far as they are several."""


def wants(*agent_ids: str) -> list[Want]:
    """What `guards` has to see."""
    paths = (layout.LEASE, layout.LEASE_BEAT, layout.LEASE_WANTED, *map(layout.writer, agent_ids))
    return [Doc(path) for path in paths]


def guards(look: Look, session_id: str, *agent_ids: str, own: Change | None = None) -> list[Change]:
    """What a commit that changes these agents from outside has in it, besides the changes.

    Args:
        look: With `wants`.
        session_id: For the error.
        *agent_ids: Whose messages or context the commit changes.
        own: What the commits of who has the lease expect of it, where that is who asks.

    Raises:
        SessionBusyError: Another living process has the lease.
    """
    me = codec.dump_document(records.Writer(writer_id=new_commit_id(), host=socket.gethostname(), pid=os.getpid()))
    writers = [PutDoc(path, me, expect=version(look, path)) for path in map(layout.writer, agent_ids)]
    if own is not None:
        return [own, *writers]
    held = holder(look)
    if held is not None and held.lives:
        raise SessionBusyError(
            f"session {session_id!r} is being run by {held.host} pid {held.pid}, whose last sign of life was "
            f"{held.seen:.3f} (Unix time); nothing was written. Try again when it has ended."
        )
    lease = [layout.LEASE] if held is None else [layout.LEASE, layout.LEASE_BEAT]
    return [*(Expect(path, version(look, path)) for path in lease), *writers]


class Outside:
    """Several commits in a row that change an agent from outside, each of them as `guards` has it."""

    def __init__(self, access: Access[records.Session], look: Look, agent_id: str) -> None:
        """``look``: with `wants`.

        Raises:
            SessionBusyError: A living process has the lease.
        """
        self._access, self._look = access, look
        self._guards = guards(look, access.space.id, agent_id)

    def commit(self, *changes: Change) -> Committed:
        """Make the changes; without any, only keep others from writing the agent.

        Raises:
            ConflictError: The lease was taken, or another has written the agent.
        """
        committed = self._access.commit(self._look, *self._guards, *changes)
        self._guards = [
            PutDoc(change.path, change.data, expect=committed.version) if isinstance(change, PutDoc) else change
            for change in self._guards
        ]
        return committed


def traced(look: Look, agent: records.Agent, context: records.Context, at: float | None) -> Change:
    """The entry of the trace that says what an agent is from now on, for who changes its documents.

    Args:
        look: With the lengths of its history, variants and trace.
        agent: As it will be.
        context: As it will be.
        at: Now; None for a commit that adds messages.
    """
    history, variants, log = (
        look.logs[path(agent.agent_id)].length for path in (layout.history, layout.variants, layout.trace)
    )
    entry = trace.entry(None, trace.moment(agent, context, variants), history, at)
    return Append(layout.trace(agent.agent_id), [codec.dump(entry)], at=log)


def pieces(changes: Sequence[Replace]) -> Iterator[list[Replace]]:
    """The changes in parts that are each one commit."""
    piece: list[Replace] = []
    size = 0
    for change in changes:
        if piece and (size + len(change.data) > PIECE_BYTES or len(piece) >= PIECE_CHANGES):
            yield piece
            piece, size = [], 0
        piece.append(change)
        size += len(change.data)
    if piece:
        yield piece


def version(look: Look, path: str) -> Version | Literal[Mark.ABSENT]:
    """What to expect, so that a document is as it was seen."""
    return look.docs[path].version if path in look.docs else ABSENT
