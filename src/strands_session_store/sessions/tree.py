"""Sessions below sessions. A session names its parent; children are found by the index.

Rule 1. Nothing here recurses, and nothing is visited twice: a circle that was planted in the data ends a walk.
Rule 2. A tree is of one owner.
Rule 3. Walking costs the subtree: a listing for each session in it, and one more for every 1,000 children.
Rule 4. Segments belong to their conversation: they are deleted with it, and stay below it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

from .. import ids, layout, records
from ..errors import HasChildrenError, IllegalMoveError, SessionNotFoundError
from ..stores.base import Counters, Order, Query, Row, Space
from . import cursors
from .access import told
from .branching import Branching
from .ended import segments_of
from .erasing import Progress, erase_session
from .shapes import MAX_PAGE, Node, Receipt

Children: TypeAlias = Literal["refuse", "cascade", "detach"]


class Tree(Branching):
    """Parents and children."""

    def move(self, session_id: str, parent_id: str | None, user_id: str | None = None) -> records.Session:
        """Hang a session below another one of its owner; None: below none. Costs a read for each ancestor.

        Raises:
            IllegalMoveError: The parent is not there, is the session itself, or hangs below it; or the session is a
                segment, which belongs to its conversation.
        """
        found = self._session(session_id, user_id)
        if found.record(found.look()).segment is not None:
            raise IllegalMoveError(
                f"session {session_id!r} is a segment of a conversation; move the conversation, or fork it"
            )
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

    def delete(
        self,
        session_id: str,
        user_id: str | None = None,
        *,
        children: Children = "refuse",
        progress: Progress | None = None,
    ) -> Receipt:
        """Erase a session, whole; a conversation with its segments.

        Args:
            session_id: Which. Of one that is not there the receipt says so: deleting twice is no error.
            user_id: Its owner.
            children: What happens when others hang below it (forks, sub-agents; segments are a part of it, what hangs
                below them does not): "refuse" to delete it, "cascade": erase them too, the lowest first, so that what
                was interrupted can be repeated; "detach": they stay, below none.
            progress: Called with what was erased so far, after each session.

        Raises:
            HasChildrenError: There are some, and ``children`` is "refuse". Nothing was erased.
        """
        if children not in ("refuse", "cascade", "detach"):
            raise ValueError(f'children must be "refuse", "cascade" or "detach", got {children!r}')
        own = self._session(session_id, user_id)
        parts, below = segments_of(self.store, own.space), list[Space]()
        if children == "cascade":
            inside = {session_id, *(space.id for space in parts)}
            found = [id for id in reversed(self._all_below(session_id, user_id)) if id not in inside]
            below = [layout.session_space(id, user_id) for id in found]
        else:
            others = (one for id in (session_id, *(space.id for space in parts)) for one in self._others(id, user_id))
            if children == "detach":
                for other in list(others):
                    self.move(other, None, user_id)
            elif (first := next(others, None)) is not None:
                raise HasChildrenError(
                    f"session {session_id!r} has others below it ({first!r}, ...); nothing was erased. "
                    'Delete it with children="cascade" or "detach"'
                )
        receipt = Receipt()
        for space in below:
            receipt = receipt.plus(self.store.drop(space), space.id)
            if progress is not None:
                progress(receipt)
        return erase_session(self.store, own.space, parts, receipt, progress)

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

    def _others(self, session_id: str, user_id: str | None) -> Iterator[str]:
        """Ids of those directly below it that are none of its segments."""
        return (one.session_id for one, _ in self._below(session_id, user_id) if one.segment is None)

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
