"""What the service answers, beside records. Times are Unix seconds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from .. import records
from ..stores.base import Dropped
from ..usage import Totals

R = TypeVar("R", bound=records.Record)

MAX_PAGE = 1000
"""Entries or sessions one call returns at most, as in the port."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that has a session's lease (``exclusive=True``). Times are Unix times by its own clock."""

    host: str
    pid: int
    since: float
    seen: float
    """Its last sign of life, at most a third of ``expiry`` ago while it lives."""
    expiry: float
    """Seconds without one after which another that waits may take the lease."""
    waiting: int
    """How many wait for it. One that was killed while it waited may be counted."""

    @property
    def lives(self) -> bool:
        """Whether its last sign is younger than its expiry, by the clock of this process."""
        return abs(time.time() - self.seen) < self.expiry


@dataclass(frozen=True, slots=True)
class Overview:
    """One session, without its content."""

    session: records.Session
    counters: Mapping[str, int]
    """`layout.COUNTERS` -> value."""
    updated: float
    """When it was last changed. In a listing: the last commit, to within a minute; else the last change of what
    `Sessions.update` and its like change."""
    expires: float | None = None
    """When it ends; None: never, or not asked (listings)."""
    instructions: str | None = None
    """Of the agent; None: there are none, or not asked (listings)."""
    agents: tuple[str, ...] = ()
    multi_agents: tuple[str, ...] = ()
    open_runs: int = 0
    """Invocations that have begun and not ended: under way, or their process was killed."""
    holder: Holder | None = None
    """Who has the lease; None: nobody. A process that was killed has it until another one comes."""
    revision: str | None = None
    """Which state of the session's own record this is; another one after each change of properties, metadata, state,
    expiry or parent, not after messages. `Sessions.update` can be made to expect it. None: not asked (listings, but
    for those by ids)."""


@dataclass(frozen=True, slots=True)
class SessionPage:
    sessions: tuple[Overview, ...]
    """Without what `Overview` says listings are without."""
    cursor: str | None
    """Asks for the next page; None when there is none."""
    total: int | None = None
    """How many there are in all; only with ``offset``."""
    exact: bool = True
    """False: ``total`` is where counting stopped; there are more."""


@dataclass(frozen=True, slots=True)
class UserPage:
    users: tuple[records.User, ...]
    cursor: str | None
    """Asks for the next page; None when there is none."""
    total: int | None = None
    """How many there are in all; only with ``offset``."""
    exact: bool = True
    """False: ``total`` is where counting stopped; there are more."""


@dataclass(frozen=True, slots=True)
class Node:
    """A session in a tree."""

    session: records.Session
    counters: Mapping[str, int]
    """`layout.COUNTERS` -> value."""
    depth: int
    """0 for the one that was asked for."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was erased. All zero and empty when there was nothing."""

    existed: bool = False
    """Whether what was named was there (a user: its record, or any session)."""
    sessions: tuple[str, ...] = ()
    """Ids of the sessions that were erased, in that order."""
    documents: int = 0
    entries: int = 0
    """Of logs: messages, runs, events and the like."""
    bytes: int = 0
    """Of documents and entries."""

    def plus(self, dropped: Dropped, session_id: str | None = None) -> Receipt:
        """With one more space, a session if it has an id."""
        if not dropped.existed:
            return self
        return Receipt(
            True,
            self.sessions if session_id is None else (*self.sessions, session_id),
            self.documents + dropped.documents,
            self.entries + dropped.entries,
            self.bytes + dropped.bytes,
        )


@dataclass(frozen=True, slots=True)
class AgentOverview:
    agent: records.Agent
    conversation_manager: Any
    """`get_state()` of the conversation manager; None for an agent without one."""
    history: int
    """Messages ever said (those removed or erased included)."""
    context: int
    """Messages that the model sees: `len(agent.messages)` after a resume, before repairs. One that was removed counts
    until the agent's next turn."""


@dataclass(frozen=True, slots=True)
class LogPage(Generic[R]):
    """A page of a log: of messages, runs or events."""

    entries: Mapping[int, R]
    """Index -> entry, ascending, whichever way it is paged; without messages that were removed, and what a filter
    leaves out."""
    start: int
    """The lowest index that was not erased."""
    length: int
    """The index the next entry will get."""
    older: str | None
    """Cursor of the page before this one; None when nothing older is left."""
    newer: str | None
    """Cursor of the page behind it; None when there is nothing newer yet."""


@dataclass(frozen=True, slots=True)
class Said:
    """A message of a history, where it stands."""

    index: int
    entry: records.Message


@dataclass(frozen=True, slots=True)
class SegmentOverview:
    """A segment of a conversation."""

    session: records.Session
    """That has its messages; of the one that goes on the conversation's own."""
    number: int
    """From 1 on."""
    start: int
    """Index of its first message, in the history of the whole conversation."""
    end: int | None
    """Of the message behind its last; None: it goes on."""
    messages: int
    """That are in it, without those removed."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A message of a conversation."""

    index: int
    """In the history of the whole conversation, whatever segment it is in."""
    session_id: str
    """Of the session that has it now: by it, and its tracking id, it is redacted or removed."""
    entry: records.Message


@dataclass(frozen=True, slots=True)
class ConversationPage:
    """A page of all that was said in a conversation."""

    messages: tuple[Placed, ...]
    """Oldest first, whichever way it is paged; without those removed."""
    length: int
    """The index the next message will get."""
    older: str | None
    """Cursor of the page before this one; None when nothing older is left."""
    newer: str | None
    """Cursor of the page behind it; None when there is nothing newer yet."""


@dataclass(frozen=True, slots=True)
class MessagePage:
    """Some of the messages of a conversation, as a list."""

    messages: tuple[Placed, ...]
    """In the order that was asked for; without those removed."""
    cursor: str | None
    """Asks for the next page, the same way on; None when there is none."""
    total: int | None = None
    """How many there are in all; only with ``offset``."""
    exact: bool = True
    """False: ``total`` is where counting stopped; there may be more."""


@dataclass(frozen=True, slots=True)
class ConversationStats:
    """A conversation in figures."""

    segments: int
    """With the one that goes on."""
    messages: int
    """Ever said, those removed or erased among them."""
    usage: Totals
    """What its model calls took, of all agents of its session, and with those that wrote summaries."""
    last_summary: str | None
    """Of all segments that have ended; None: none has."""


@dataclass(frozen=True, slots=True)
class UsageReport:
    """What model calls took."""

    total: Totals
    by: Mapping[str, Mapping[str | None, Totals]]
    """For each thing that was asked to be told apart: its values, in order, and what each took. None: no owner."""
    sessions: int
    """That were looked into."""


@dataclass(frozen=True, slots=True)
class SearchPage:
    found: tuple[Said, ...]
    """Newest first."""
    cursor: str | None
    """Asks for older ones; None when all were looked at. With it, ``found`` may be empty."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One thing in a session's layout."""

    path: str
    kind: Literal["document", "log", "counter"]
    bytes: int | None = None
    """Of a document."""
    entries: int | None = None
    """Of a log."""
    value: int | None = None
    """Of a counter."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What is in an archive."""

    sessions: int = 0
    users: int = 0
    documents: int = 0
    entries: int = 0
    bytes: int = 0
    """Of documents and entries."""
    digest: str = ""
    """SHA-256 of the archive, also in its last line; of the same sessions exported again another one."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What was written to a store, and what was not. Sessions and users count alike in all but the first two."""

    sessions: int = 0
    users: int = 0
    replaced: int = 0
    """Of those, which took the place of others."""
    same: int = 0
    """There already, with the same content."""
    skipped: int = 0
    """There already, with other content (``on_existing="skip"``)."""
    expired: int = 0
    """Their time was over."""
    documents: int = 0
    entries: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """How far an export, import or copy is."""

    done: int
    """Of an import: bytes of the file. Else: sessions and users."""
    of: int | None
    """How many there will be; None: unknown."""
    entries: int
    """Of logs: messages, runs and the like, so far."""
    bytes: int
    """Of documents and entries, so far."""
