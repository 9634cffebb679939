"""JSON objects that the application keeps in a session or with a user: metadata, namespaces of it, state.

Rule 1. A change is one commit, atomic, and moves `updated`; of two at once both hold, unless they set the same key.
Rule 2. What can not be stored is refused, by its key, before anything is written.
Rule 3. What is absent reads as empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from .. import codec, ids, layout, records
from ..stores.base import Change, Doc, DropDoc, Look, PutDoc
from . import checks
from .access import Access

R = TypeVar("R", records.Session, records.User)


class Values(Generic[R]):
    """One such object. Holds no copy: each call reads or writes the store.

    All methods raise NotFoundError when there is no such session or user.
    """

    def __init__(self, access: Access[R], path: str) -> None:
        self._access: Access[R] = access
        self._path = path

    def all(self) -> dict[str, Any]:
        """A copy of the whole object."""
        return self._read(self._access.look(Doc(self._path)))

    def get(self, key: str, default: Any = None) -> Any:
        return self.all().get(key, default)

    def has(self, key: str) -> bool:
        return key in self.all()

    def set(self, key: str, value: Any) -> None:
        """
        Raises:
            Unserializable: Not a JSON value, bytes, tuple, set, date, Decimal or UUID, nor made of these.
        """
        self.merge({key: value})

    def merge(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Set each of the keys; others stay, and no value is merged with what it replaces.

        Returns:
            The whole object as it is now.
        """
        checks.mapping("values", values)
        return self._alter(lambda now: {**now, **values})

    def remove(self, *keys: str) -> None:
        """Without keys that are not there: those are no error."""
        self._alter(lambda now: {key: value for key, value in now.items() if key not in keys})

    def clear(self) -> None:
        self._alter(lambda now: {})

    def _alter(self, decide: Any) -> dict[str, Any]:
        after: dict[str, Any] = {}

        def changes(record: R, look: Look) -> tuple[R, list[Change]]:
            nonlocal after
            after = decide(self._read(look))
            return record, [write(self._path, after)]

        self._access.alter(changes, Doc(self._path))
        return after

    def _read(self, look: Look) -> dict[str, Any]:
        document = look.docs.get(self._path)
        return {} if document is None else dict(codec.load(records.Values, document.data, self._path).values)


class Metadata(Values[R]):
    """What the application says about a session or user, and the same apart in namespaces, one for each part of it."""

    def managed(self, namespace: str) -> Values[R]:
        """The object of a namespace."""
        return Values(self._access, layout.managed(namespace_of(namespace)))

    def get_managed(self, namespace: str, key: str, default: Any = None) -> Any:
        return self.managed(namespace).get(key, default)

    def set_managed(self, namespace: str, key: str, value: Any) -> None:
        self.managed(namespace).set(key, value)

    def remove_managed(self, namespace: str, *keys: str) -> None:
        self.managed(namespace).remove(*keys)


def write(path: str, values: Mapping[str, Any]) -> Change:
    """The change that keeps the object; an empty one is no document."""
    if not values:
        return DropDoc(path)
    return PutDoc(path, codec.dump_document(records.Values(values=dict(values)), lost=checks.refuse))


def namespace_of(namespace: str) -> str:
    return ids.check("namespace", namespace)
