"""Sessions below sessions. A session names its parent; children are found by the index.

Rule 1. Nothing here recurses, and nothing is visited twice: a circle that was planted in the data ends a walk.
Rule 2. A tree is of one owner.
Rule 3. Walking costs the subtree: a listing for each session in it, and one more for every 1,000 children.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

from .. import ids, layout, records
from ..errors import HasChildrenError, IllegalMoveError, SessionNotFoundError
from ..stores.base import Counters, Order, Query, Row
from . import cursors
from .access import told
from .branching import Branching
from .shapes import MAX_PAGE, Node, Receipt

Children: TypeAlias = Literal["refuse", "cascade", "detach"]


class Tree(Branching):
    """Parents and children."""

    def move(self, session_id: str, parent_id: str | None, user_id: str | None = None) -> records.Session:
        """Hang a session below another one of its owner; None: below none. Costs a read for each ancestor.

        Raises:
            IllegalMoveError: The parent is not there, is the session itself, or hangs below it.
        """
        found = self._session(session_id, user_id)
        found.look()
        if parent_id is not None:
            at = self._parent(ids.check("parent_id", parent_id), user_id)
            above = [at.session_id, *(one.session_id for one in self._above(at))]
            if session_id in above:
                raise IllegalMoveError(f"session {session_id!r} is {parent_id!r}, or above it; give another parent")
        return found.alter(lambda record, look: (record.model_copy(update={"parent_id": parent_id}), []))

    def ancestors(self, session_id: str, user_id: str | None = None) -> tuple[records.Session, ...]:
        """Those above it, closest first. Ends at one that is gone; a read for each."""
        found = self._session(session_id, user_id)
        return tuple(self._above(found.record(found.look())))

    def children(self, session_id: str, user_id: str | None = None) -> tuple[Node, ...]:
        """Those directly below it, oldest first."""
        found = self._session(session_id, user_id)
        found.look()
        return tuple(Node(*told, depth=1) for told in self._below(session_id, user_id))

    def descendants(self, session_id: str, user_id: str | None = None) -> tuple[Node, ...]:
        """All below it: parents before children, siblings oldest first."""
        return self.tree(session_id, user_id)[1:]

    def tree(self, session_id: str, user_id: str | None = None) -> tuple[Node, ...]:
        """It and all below it, as they are drawn: each followed by what hangs below it, with its depth."""
        found = self._session(session_id, user_id)
        counters = Counters(layout.COUNTERS)
        look = found.look(counters)
        out: list[Node] = []
        seen = {session_id}
        todo = [Node(found.record(look), dict(look.counters), 0)]
        while todo:
            node = todo.pop()
            out.append(node)
            below = [
                Node(record, counts, node.depth + 1)
                for record, counts in self._below(node.session.session_id, user_id)
                if record.session_id not in seen
            ]
            seen.update(child.session.session_id for child in below)
            todo += reversed(below)
        return tuple(out)

    def delete(self, session_id: str, user_id: str | None = None, *, children: Children = "refuse") -> Receipt:
        """Erase a session, whole.

        Args:
            session_id: Which. Of one that is not there the receipt says so: deleting twice is no error.
            user_id: Its owner.
            children: What happens when others hang below it (forks, segments, sub-agents among them): "refuse" to
                delete it, "cascade": erase them too, the lowest first, so that what was interrupted can be repeated;
                "detach": they stay, below none.

        Raises:
            HasChildrenError: There are some, and ``children`` is "refuse". Nothing was erased.
        """
        if children not in ("refuse", "cascade", "detach"):
            raise ValueError(f'children must be "refuse", "cascade" or "detach", got {children!r}')
        own = self._session(session_id, user_id)
        receipt = Receipt()
        if children == "refuse":
            if (first := next(self._below(session_id, user_id), None)) is not None:
                raise HasChildrenError(
                    f"session {session_id!r} has others below it ({first[0].session_id!r}, ...); nothing was erased. "
                    'Delete it with children="cascade" or "detach"'
                )
        elif children == "detach":
            for child, _ in list(self._below(session_id, user_id)):
                self.move(child.session_id, None, user_id)
        else:
            for below in reversed(self._all_below(session_id, user_id)):
                space = layout.session_space(below, user_id)
                receipt = receipt.plus(self.store.drop(space), below)
        dropped = self.store.drop(own.space)
        return receipt.plus(dropped, session_id)

    # ------------------------------------------------------------------------------------------------------- private

    def _above(self, session: records.Session) -> Iterator[records.Session]:
        seen = {session.session_id}
        while (above := session.parent_id) is not None and above not in seen:
            seen.add(above)
            found = self._session(above, session.user_id)
            try:
                session = found.record(found.look())
            except SessionNotFoundError:
                return
            yield session

    def _below(self, session_id: str, user_id: str | None) -> Iterator[tuple[records.Session, dict[str, int]]]:
        for row in self._rows_below(session_id, user_id):
            if (record := told(self.store, records.Session, row)) is not None:
                yield record, dict(row.counters)

    def _all_below(self, session_id: str, user_id: str | None) -> list[str]:
        """Ids of all below it, parents first, also where the session itself is gone."""
        found: dict[str, None] = {}
        todo = [session_id]
        while todo:
            for row in self._rows_below(todo.pop(), user_id):
                if row.space.id not in found and row.space.id != session_id:
                    found[row.space.id] = None
                    todo.append(row.space.id)
        return list(found)

    def _rows_below(self, session_id: str, user_id: str | None) -> Iterator[Row]:
        query = Query(
            "session",
            user_id,
            parent=session_id,
            order=Order.CREATED,
            descending=False,
            limit=MAX_PAGE,
            counters=layout.COUNTERS,
        )
        return cursors.every(self.store, query)
