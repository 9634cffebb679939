"""A store that only reads: what it is handed to can not write, whatever it tries."""

from __future__ import annotations

from dataclasses import replace

from ..errors import StoreError
from .base import (
    ANY,
    KEEP,
    Change,
    Committed,
    Dropped,
    Expected,
    Look,
    Page,
    Query,
    Space,
    Store,
    Summary,
    Ttl,
    Want,
)
from .counting import Counting
from .offload import Offload


class ReadOnlyStore(Store):
    """``engine``, without the verbs that write: these raise StoreError, and nothing reaches the engine. Reads leave
    everything as it is; so a user of the engine who has no right to write will do.

    Attributes:
        engine: What is read from. Others may write to it meanwhile. `close` closes it.

    One that can count (`Counting`) still can.
    """

    def __new__(cls, engine: Store) -> ReadOnlyStore:
        return super().__new__(_ReadOnlyCounting if isinstance(engine, Counting) else cls)

    def __init__(self, engine: Store) -> None:
        self.engine = engine
        # an engine says these of its class; here they are those of the engine inside
        vars(self).update(capabilities=engine.capabilities, workers=engine.workers)

    def __repr__(self) -> str:
        return f"ReadOnlyStore({self.engine!r})"

    def read(self, space: Space, *wants: Want) -> Look:
        return self.engine.read(space, *wants)

    def commit(
        self,
        space: Space,
        *changes: Change,
        commit_id: str,
        on: Expected = ANY,
        ttl: Ttl = KEEP,
        summary: Summary | None = None,
    ) -> Committed:
        raise _refused("commit to", space)

    def list(self, query: Query) -> Page:
        return self.engine.list(replace(query, prune=False))

    def drop(self, space: Space, *, on: Expected = ANY) -> Dropped:
        raise _refused("drop", space)

    def close(self) -> None:
        self.engine.close()

    @property
    def offload(self) -> Offload:
        return self.engine.offload


class _ReadOnlyCounting(ReadOnlyStore, Counting):
    def count(self, query: Query, *, most: int | None = None) -> tuple[int, bool]:
        assert isinstance(self.engine, Counting)
        return self.engine.count(query, most=most)


def _refused(act: str, space: Space) -> StoreError:
    return StoreError(
        f"can not {act} {space.kind} {space.id!r}: with read_only=True nothing is written; use a session manager (or "
        "store) without it"
    )
