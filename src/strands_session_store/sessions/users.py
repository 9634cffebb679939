"""Users: records of those who own sessions. A session may name an owner of whom there is none."""

from __future__ import annotations

from typing import Any

from .. import layout, records
from ..errors import AlreadyExistsError
from ..stores.base import Order, Query, Row
from . import access, checks
from .access import Access, Part, told
from .checks import UNSET, Unset
from .erasing import erase_user
from .indexed import Rows
from .shapes import Receipt, UserPage
from .values import Metadata, write


class Users(Part):
    """The users in a store. Methods that take an id raise UserNotFoundError, but `create`, `list` and `delete`."""

    def create(
        self,
        user_id: str,
        *,
        username: str | None = None,
        email: str | None = None,
        first_name: str | None = None,
        last_name: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> records.User:
        """
        Args:
            user_id: As `user_id` elsewhere; sessions may have been made for it before.
            username: At most 255 characters, like the names; none of them has to be unique. ``email`` at most 320.
            metadata: See `metadata`.

        Raises:
            AlreadyExistsError: There is such a user, active or not.
        """
        fields = {"username": username, "email": email, "first_name": first_name, "last_name": last_name}
        for name, value in fields.items():
            checks.text(name, value)
        found = self._user(user_id)
        record = records.User(user_id=user_id, **fields)
        changes = []
        if metadata is not None:
            checks.mapping("metadata", metadata)
            changes.append(write(layout.METADATA, metadata))
        found.create(record, changes, AlreadyExistsError(f"there is a user {user_id!r} already"))
        return record

    def get(self, user_id: str) -> records.User:
        found = self._user(user_id)
        return found.record(found.look())

    def update(
        self,
        user_id: str,
        *,
        username: str | Unset | None = UNSET,
        email: str | Unset | None = UNSET,
        first_name: str | Unset | None = UNSET,
        last_name: str | Unset | None = UNSET,
        active: bool | Unset = UNSET,
    ) -> records.User:
        """Change what is given; None empties a field."""
        fields = {"username": username, "email": email, "first_name": first_name, "last_name": last_name}
        for name, value in fields.items():
            checks.text(name, value)
        checks.flag("active", active)
        given = {name: value for name, value in {**fields, "active": active}.items() if value is not UNSET}
        return self._user(user_id).alter(lambda record, look: (record.model_copy(update=given), []))

    def deactivate(self, user_id: str) -> records.User:
        """Mark as inactive; nothing else changes. What that means is the application's matter."""
        return self.update(user_id, active=False)

    def activate(self, user_id: str) -> records.User:
        return self.update(user_id, active=True)

    def list(
        self,
        *,
        active: bool | None = None,
        limit: int = 50,
        cursor: str | None = None,
        offset: int | None = None,
    ) -> UserPage:
        """One page, newest first; costs one listing, with ``active`` as many as it takes to fill it.

        Args:
            active: Only those that are, or are not.
            limit: 1 to 1,000. With ``active``, a page can be shorter although there is a next one, where 10,000 users
                were looked at.
            cursor: `UserPage.cursor` of the page before, with the same arguments.
            offset: How many to skip, instead of a cursor; the page then has a total. As of `Sessions.list`.

        Raises:
            InvalidCursorError: The cursor is none.
            ValueError: An argument is out of its range, or offset and cursor are both given.
        """
        checks.limit(limit)
        checks.index("offset", offset)
        if offset is not None and cursor is not None:
            raise ValueError("offset and cursor both say where the page begins; give one of them")

        def shown(row: Row) -> records.User | None:
            record = told(self.store, records.User, row)
            return record if record is not None and active in (None, record.active) else None

        query = Query("user", order=Order.CREATED, limit=limit, cursor=cursor)
        rows = Rows(self.store, query, shown, sifts=active is not None)
        return UserPage(*(rows.page() if offset is None else rows.behind(offset)))

    def delete(self, user_id: str) -> Receipt:
        """Erase the user's record and all sessions; see `Sessions.erase_user`."""
        return erase_user(self.store, user_id)

    def metadata(self, user_id: str) -> Metadata[records.User]:
        """What the application says about the user. No I/O by itself."""
        return Metadata(self._user(user_id), layout.METADATA)

    def _user(self, user_id: str) -> Access[records.User]:
        return access.user(self.store, user_id)
