"""A store around another one: all its verbs go one way, which is all that a kind of it has to say."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

from ..stores.base import (
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

T = TypeVar("T")
Verb: TypeAlias = Literal["read", "commit", "list", "drop"]


@dataclass(frozen=True)
class Call:
    """What was asked, whether or not it reached the engine."""

    verb: Verb
    space: Space | None
    """None for a list."""
    args: tuple[Change, ...] | tuple[Want, ...] | tuple[Query]
    """The changes of a commit, the wants of a read, the query of a list."""
    commit_id: str | None = None


class Wrapped(Store):
    """``store``, each of whose calls goes through `_ask`. It has the verbs of the port; what an engine can do beyond
    them (`Counting`, `Collecting`) is asked of the engine inside.

    Attributes:
        store: The engine inside.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        # an engine says these of its class; here they are those of the engine inside
        vars(self).update(capabilities=store.capabilities, workers=store.workers)

    @abstractmethod
    def _ask(self, call: Call, engine: Callable[[], T]) -> T:
        """Answer a call; ``engine()`` has the engine inside do it."""

    def read(self, space: Space, *wants: Want) -> Look:
        return self._ask(Call("read", space, wants), lambda: self.store.read(space, *wants))

    def commit(
        self,
        space: Space,
        *changes: Change,
        commit_id: str,
        on: Expected = ANY,
        ttl: Ttl = KEEP,
        summary: Summary | None = None,
    ) -> Committed:
        call = Call("commit", space, changes, commit_id)
        return self._ask(
            call, lambda: self.store.commit(space, *changes, commit_id=commit_id, on=on, ttl=ttl, summary=summary)
        )

    def list(self, query: Query) -> Page:
        return self._ask(Call("list", None, (query,)), lambda: self.store.list(query))

    def drop(self, space: Space, *, on: Expected = ANY) -> Dropped:
        return self._ask(Call("drop", space, ()), lambda: self.store.drop(space, on=on))

    def close(self) -> None:
        """Close the engine inside."""
        self.store.close()
        super().close()
