"""The port: what an engine promises. `testing/contract.py` asserts every sentence of this file.

An engine holds *spaces*; a space holds *documents* (bytes under a path), *logs* (append-only lists of bytes) and
*counters* (int64). Five verbs, all blocking, all callable from any thread:

    read    some of one space, one consistent state, bounded
    commit  an atomic set of changes to one space, under expectations
    list    the index of spaces, by page
    drop    a space, whole
    close   what the store itself opened

1. A commit is all or nothing, also under ``kill -9``, and visible whole.
2. A failed expectation raises ConflictError and changes nothing, no index row either.
3. A commit repeated with its commit_id applies once and returns the first result. Ids are kept for at least 2 minutes
   and at least 64 commits of the space, and are looked at before the expectations.
4. Log indices are dense, start at 0 and never move. What is absent reads as empty, never as an error.
5. ``on=<incarnation>`` never recreates what was dropped or has expired; an expired space is absent to every verb.
6. Nothing done to one space is visible in another, whatever their ids look like.
7. A ttl holds for the space as a whole; nothing expires piecemeal.
8. ``list`` is ordered, never loses or doubles a space that did not change, and costs O(page).
9. Errors are StoreErrors: Unavailable, InDoubt, Corrupt, Regressed, TooLarge, ConflictError.
"""

from __future__ import annotations

import enum
import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, NamedTuple, TypeAlias

from .. import ids
from .offload import Offload

MAX_ENTRY: Final = 16 * 2**20
"""Bytes of one document or log entry."""
MAX_COMMIT: Final = 32 * 2**20
"""Bytes of one commit, entries and documents together."""
MAX_CHANGES: Final = 5_000
"""Changes of one commit; each appended entry counts as one."""
READ_ENTRIES: Final = 1_100
"""Entries and documents one read returns at most, so that a context of 1,000 messages comes with its documents in one;
`Look.more` asks for the rest."""
READ_BYTES: Final = 8 * 2**20
"""Bytes one read returns at most (but always at least one entry)."""
INT64_MAX: Final = 2**63 - 1
MAX_TTL: Final = 10**10
"""Seconds; 317 years."""
MAX_SUMMARY: Final = 4096
"""Bytes of what an index row tells."""
REPEAT_SECONDS: Final = 120.0
"""How long, at the least, an engine knows a commit_id again."""
REPEAT_COMMITS: Final = 64
"""For how many later commits of the space, at the least, an engine knows a commit_id again."""


class Mark(enum.Enum):
    """The words of the port that are no values."""

    ANY = "any"
    """No expectation."""
    ABSENT = "absent"
    """Expect that there is nothing yet."""
    KEEP = "keep"
    """Leave the time to live as it is (none for a new space)."""


ANY: Final = Mark.ANY
ABSENT: Final = Mark.ABSENT
KEEP: Final = Mark.KEEP

Version: TypeAlias = str
"""Of a document: ``<incarnation>.<revision>``, opaque. Never comes back, also not after drop and recreation."""
Incarnation: TypeAlias = str
"""Of a space: drawn at random when it is created."""
Expected: TypeAlias = Literal[Mark.ANY, Mark.ABSENT] | str
Ttl: TypeAlias = float | Literal[Mark.KEEP] | None


class Space(NamedTuple):
    """Whose data: every key of every engine is made of all three, escaped (see `ids`)."""

    kind: str
    """``session`` or ``user``; a lowercase word."""
    owner: str | None
    id: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Kind, owner and id as they may stand in a key; no other space has the same three."""
        return self.kind, ids.NO_OWNER if self.owner is None else ids.escape(self.owner), ids.escape(self.id)


# --------------------------------------------------------------- changes: a commit is a *set* of them, order is nothing


@dataclass(frozen=True, slots=True)
class PutDoc:
    """Store ``data`` at ``path``, if the document there is as expected."""

    path: str
    data: bytes
    expect: Expected = ANY


@dataclass(frozen=True, slots=True)
class DropDoc:
    """Remove the document at ``path`` (nothing happens when there is none), if it is as expected."""

    path: str
    expect: Expected = ANY


@dataclass(frozen=True, slots=True)
class Append:
    """Add ``entries`` at the end of ``log``. With ``at``, a ConflictError unless that is its length."""

    log: str
    entries: Sequence[bytes]
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Replace:
    """Put other bytes in the place of an entry that exists before this commit; else ConflictError (expected: the
    index, found: None)."""

    log: str
    index: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Trim:
    """Erase the entries below index ``before``, as counted before this commit (at most all). No index moves."""

    log: str
    before: int


@dataclass(frozen=True, slots=True)
class Add:
    """Add ``delta`` to ``counter`` (0 when absent). Past int64, TooLarge."""

    counter: str
    delta: int


@dataclass(frozen=True, slots=True)
class Expect:
    """No change, only a precondition: the document at ``path`` has this version, or is ABSENT."""

    path: str
    version: str | Literal[Mark.ABSENT]


Change: TypeAlias = PutDoc | DropDoc | Append | Replace | Trim | Add | Expect


@dataclass(frozen=True, slots=True)
class Summary:
    """What the index row of a space tells without opening it. Each replaces the one before it, data and parent; a
    commit without one leaves both as they are."""

    data: bytes
    """For the listing face; opaque to the engine, at most MAX_SUMMARY bytes."""
    parent: str | None = None
    """Id of the space this one is under; None: under none. Whether there is such a space is not looked at."""


@dataclass(frozen=True, slots=True)
class Committed:
    """The result of a commit; the same again when it is repeated."""

    incarnation: Incarnation
    revision: int
    """Counts the commits of this incarnation, from 1."""
    indices: Mapping[str, int] = field(default_factory=dict)
    """Log -> index of the first entry this commit appended; without the logs it appended nothing to."""
    counters: Mapping[str, int] = field(default_factory=dict)
    """Counter -> its value after this commit, for each one it added to."""
    repeated: bool = False
    """True when an earlier commit with this commit_id had done the work."""

    @property
    def version(self) -> Version:
        """The version of every document this commit put."""
        return f"{self.incarnation}.{self.revision}"


# ------------------------------------------------------------------------------------------------------------- reading


@dataclass(frozen=True, slots=True)
class Doc:
    """One document."""

    path: str


@dataclass(frozen=True, slots=True)
class Docs:
    """All documents whose path begins with ``prefix``, in order of path (code points), from behind ``after`` on."""

    prefix: str
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Log:
    """Entries of a log: of the ``spans`` ``[from, to)`` (``to=None``: its end), the ``last`` n of it, and those from
    the index on that the counter named ``since`` holds. With none of the three: only its start and length."""

    log: str
    spans: Sequence[tuple[int, int | None]] = ()
    last: int = 0
    since: str | None = None


@dataclass(frozen=True, slots=True)
class Counters:
    """Counters by name."""

    names: Sequence[str]


Want: TypeAlias = Doc | Docs | Log | Counters


@dataclass(frozen=True, slots=True)
class Document:
    data: bytes
    version: Version


@dataclass(frozen=True, slots=True)
class LogView:
    """What was asked for of a log. An absent log is one of length 0."""

    start: int
    """Lowest index that was not erased by Trim."""
    length: int
    """The index that the next entry will get."""
    entries: Mapping[int, bytes]
    """Ascending by index; of what was asked for, that which exists."""


@dataclass(frozen=True, slots=True)
class Look:
    """One consistent state of one space, as far as it was asked for."""

    incarnation: Incarnation | None
    """None when there is no such space; then all the rest is empty."""
    revision: int = 0
    docs: Mapping[str, Document] = field(default_factory=dict)
    """Path -> document; absent ones are left out."""
    logs: Mapping[str, LogView] = field(default_factory=dict)
    """One for every log asked for, also an absent one (of a space that is there)."""
    counters: Mapping[str, int] = field(default_factory=dict)
    """Name -> value; 0 for an absent one."""
    more: tuple[Want, ...] = ()
    """What the bound (READ_ENTRIES, READ_BYTES) left out, to be asked for in another read: of logs the oldest entries
    (as spans), of `Docs` the last paths, a `Doc` as it was. Wants are served in the order given, so what was asked for
    last is left out first. Empty when this is all."""
    expires: float | None = None
    """When the space ends: Unix time in seconds, of the engine's clock; None: never."""


# ------------------------------------------------------------------------------------------------------------- listing


class Order(str, enum.Enum):
    """What a listing is sorted by."""

    CREATED = "created"
    """Exact."""
    UPDATED = "updated"
    """To within a minute: a commit moves the row only when a minute passed or its summary changed."""


@dataclass(frozen=True, slots=True)
class Query:
    """A listing of spaces of one kind: of one owner (None: of those without one), or below one parent."""

    kind: str
    owner: str | None = None
    parent: str | None = None
    """With it: only the spaces under this parent, of this owner."""
    everyone: bool = False
    """With it: of all owners (``owner`` must be None); for operators, never for a user's listing."""
    order: Order = Order.UPDATED
    descending: bool = True
    since: float | None = None
    """Only rows whose time (of ``order``) is >= this; seconds of Unix time, as in `Row`."""
    until: float | None = None
    """Only rows whose time is < this."""
    limit: int = 50
    """1 to 1,000 rows a page."""
    cursor: str | None = None
    """`Page.cursor` of the page before; opaque."""
    prune: bool = True
    """False: rows of spaces that are gone stay where they are: the listing changes nothing. For who may not write."""
    counters: Sequence[str] = ()
    """Names of counters that `Row.counters` is to tell. They cost no further round trip."""


@dataclass(frozen=True, slots=True)
class Row:
    space: Space
    created: float
    """Unix time in seconds, of the engine's clock."""
    updated: float
    """The same; of the last commit, to within a minute."""
    parent: str | None
    summary: bytes | None
    counters: Mapping[str, int] = field(default_factory=dict)
    """The value of each of `Query.counters`, of the same state as the summary; 0 for an absent one."""


@dataclass(frozen=True, slots=True)
class Page:
    rows: Sequence[Row]
    cursor: str | None
    """Asks for the next page; None when there is none."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """The receipt of a drop: what was erased. All zero when there was nothing."""

    existed: bool = False
    documents: int = 0
    entries: int = 0
    bytes: int = 0
    """Of documents and log entries."""


class Capability(enum.Enum):
    """What an engine can do beyond the port; the contract suite asks for it."""

    PERSISTENT = "persistent"
    """What was committed is there when the store is opened again by another process."""
    SHARED = "shared"
    """Several processes may use it at the same time."""


class Store(ABC):
    """An engine. Safe for use by many threads."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    workers: ClassVar[int] = 8
    """Threads a face uses at most to keep this engine's blocking calls off an event loop."""

    @abstractmethod
    def read(self, space: Space, *wants: Want) -> Look:
        """Some of a space. All of it from one consistent state; bounded, see `Look.more`.

        Raises:
            Unavailable, Corrupt, Regressed
        """

    @abstractmethod
    def commit(
        self,
        space: Space,
        *changes: Change,
        commit_id: str,
        on: Expected = ANY,
        ttl: Ttl = KEEP,
        summary: Summary | None = None,
    ) -> Committed:
        """Apply all changes, or none. A space that is absent is created, unless ``on`` is an incarnation.

        A document path is put or dropped at most once, a log appended to and trimmed at most once, an entry replaced
        at most once, a counter added to at most once (`checks.check_commit`). Expectations look at the state before.

        Args:
            space: Where.
            *changes: What. None at all is legal: it creates the space, or moves its ttl.
            commit_id: Unique to this set of changes; `new_commit_id()` makes one. Repeating a commit under its id
                does nothing and returns the first result. Ids go with the space: a dropped or expired one has none.
            on: ABSENT: only if there is no such space. An incarnation: only if it is still that one.
            ttl: Seconds from now until the whole space expires; None: never; KEEP: as it was.
            summary: For the index row; None: as it was.

        Raises:
            ConflictError: An expectation did not hold. Nothing was written.
            TooLarge: A limit was passed. Nothing was written.
            Unavailable: Not applied. InDoubt: unknown; repeat it.
            ValueError: The changes are no legal set, or an argument is out of its range.
        """

    @abstractmethod
    def list(self, query: Query) -> Page:
        """One page of the index. Rows with the same time are ordered by owner and id, as these stand in a key
        (`Space.key`); a descending listing is an ascending one read backwards.

        Raises:
            ValueError: A query that contradicts itself, or a cursor that is none.
        """

    @abstractmethod
    def drop(self, space: Space, *, on: Expected = ANY) -> Dropped:
        """Erase a space and its index row. Repeatable: what is not there is no error.

        Args:
            space: Which.
            on: An incarnation: only if it is still that one, else ConflictError. ABSENT: ConflictError if it is there.
                An absent space is never a conflict: a drop may be repeated.
        """

    @abstractmethod
    def close(self) -> None:
        """Release what the store opened itself, and its pool. Repeatable; any other verb then raises StoreError.

        An engine ends its own by calling this one.
        """
        made = self.__dict__.get("_offload")
        if made is not None:
            made.close()

    @property
    def offload(self) -> Offload:
        """The bounded pool on which faces run this store's blocking calls. Made on first use."""
        made = self.__dict__.get("_offload")
        if made is None:
            # setdefault is atomic: of two threads that come first at once, both get the same pool
            made = self.__dict__.setdefault("_offload", Offload(self.workers))
        assert isinstance(made, Offload)
        return made

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


# ------------------------------------------------------------------------------------------------------------- drawing


def new_commit_id() -> str:
    """96 random bits: no two commits of a space share one."""
    return secrets.token_urlsafe(12)


def new_incarnation() -> Incarnation:
    """72 random bits."""
    return secrets.token_urlsafe(9)
