"""What a conflict tells a user: which session, who else wrote it, and how to go on."""

from __future__ import annotations

from .. import codec, layout, records
from ..errors import ConflictError, StoreError
from ..stores.base import Doc, Space, Store
from .taking import lease_of

AGAIN = "Invoke the agent again, or resume anew, to go on from what is stored."


def explained(
    conflict: ConflictError, store: Store, space: Space, fence: str, identity: records.Writer
) -> ConflictError:
    """The conflict that the engine raised, in the user's terms. Blocks: who else wrote the session is read.

    Args:
        conflict: As it was raised.
        store: Whose.
        space: The session's.
        fence: Path of the writer document of the agent whose commit it was.
        identity: Of the writer that made it.
    """
    name, path = f"session {space.id!r}", conflict.path
    if not path:
        what = "deleted or has expired" if conflict.found is None else "deleted and made anew"
        text = f"{name} was {what} since it was loaded"
    else:
        what = "was taken over" if path == layout.LEASE else "was written"
        text = (
            f"{name} {what}{_by(path, store, space, fence, identity)} since it was loaded by {identity}: {path!r} "
            f"expected {conflict.expected}, found {conflict.found}"
        )
    return ConflictError(path, conflict.expected, conflict.found, f"{text}; nothing was written. {AGAIN}")


def _by(path: str, store: Store, space: Space, fence: str, identity: records.Writer) -> str:
    """Who caused it, where that can be told."""
    try:
        docs = store.read(space, Doc(fence), Doc(layout.LEASE)).docs
        lease, found = lease_of(docs.get(layout.LEASE)), docs.get(fence)
        if path != layout.LEASE and found is not None:
            other = codec.load(records.Writer, found.data, fence)
            if other.writer_id != identity.writer_id:
                return f" by {other}"
        # who has it, or had it last
        return f" by {lease}" if lease.host and (path == layout.LEASE or lease.holder is not None) else ""
    except StoreError:  # the conflict matters more than who caused it
        return ""
