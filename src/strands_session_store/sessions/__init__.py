"""The service every face calls: what an application needs around its agents, whatever the engine.

Rule 1. Owners are checked here: a session is found by its id *and* its user, so another user's is not there.
Rule 2. Without a `session` document there is no session, whatever else a space holds: SessionNotFoundError.
Rule 3. What is absent inside a session (an agent, a log) reads as empty.
Rule 4. Everything blocks; `async_sessions` is the same, awaitable.

    access.py     one space: read, changed under expectation     values.py    metadata, namespaces, state
    details.py    a session: made, read, changed, ended          listing.py   many of them, by the page
    tree.py       parents and children; deleting                 inside.py    agents, orchestrators, all by path
    users.py      users                                          erasing.py   all of a user's
    runs.py       runs                                           events.py    events
    entries.py    a log by the page                              finding.py   where a message or a run's stand
    messages.py   what was said                                  building.py  a space made in pieces, whole or not
    submitted.py, appending.py  messages of others               rewriting.py, clearing.py   what was stored, changed
    writing.py    how live agents are kept out, and told         usages.py    tokens and money, sums
    branching.py, points.py   from an earlier message on         forks.py, rewinding.py   elsewhere, or here
    archive.py    export, import, copy                           archive_format.py   the lines of the file
    outgoing.py   a space read in pieces                         incoming.py  the same, written and read back
    pieces.py     what these are, and their digest               selection.py  which sessions are meant
    segments.py   conversations in segments, as one              across.py     all of one, read in pieces
    live_segment.py, segmenting.py, ending.py   how one ends     rollover.py   and where there is no live agent
    ended.py      those that have ended                          expiring.py   ... and expire with their conversation
    contexts.py   what a model would be given now                prompting.py  what it is to see of a history
    searching.py  what texts have in them                        conversation_listing.py   all of one, as a list
    chain.py      which segments a conversation has              indexed.py    rows of the index by the page
"""

from __future__ import annotations

from ..prices import Ask, Own, Prices
from ..stores.base import Store
from .archive import Archive
from .checks import UNSET, Unset
from .erasing import Progress, erase_user
from .events import Events
from .inside import Inside
from .listing import Listing
from .messages import Messages
from .prompting import Prompting
from .runs import Running, Runs
from .segments import Segments
from .shapes import (
    MAX_PAGE,
    AgentOverview,
    ConversationPage,
    ConversationStats,
    Exported,
    Holder,
    Imported,
    LogPage,
    MessagePage,
    Node,
    Overview,
    Placed,
    Receipt,
    Said,
    SearchPage,
    SegmentOverview,
    SessionPage,
    Step,
    Stored,
    UsageReport,
    UserPage,
)
from .tree import Tree
from .usages import Usages
from .users import Users
from .values import Metadata, Values

__all__ = [
    "MAX_PAGE",
    "UNSET",
    "AgentOverview",
    "Archive",
    "ConversationPage",
    "ConversationStats",
    "Events",
    "Exported",
    "Holder",
    "Imported",
    "LogPage",
    "MessagePage",
    "Messages",
    "Metadata",
    "Node",
    "Overview",
    "Placed",
    "Receipt",
    "Runs",
    "Said",
    "SearchPage",
    "SegmentOverview",
    "Segments",
    "SessionPage",
    "Sessions",
    "Step",
    "Stored",
    "Unset",
    "UsageReport",
    "Usages",
    "UserPage",
    "Users",
    "Values",
]


class Sessions(Tree, Listing, Inside, Prompting, Running):
    """The sessions and users in a store. Holds nothing itself: make one wherever it is needed.

    All methods raise StoreError as the engine does, InvalidIdError for an id that is none, ValueError for an argument
    out of its range, Corrupt for what can not be read, and, where they take a session id, SessionNotFoundError.
    """

    def __init__(self, store: Store | str, *, prices: Prices | Own | Ask | None = None) -> None:
        """
        Args:
            store: A Store (shared, left open), or a URL for `open_store`: then `close` closes it.
            prices: What model calls cost that are added by `Messages.append`, as for a session manager.
        """
        self._opened = isinstance(store, str)
        if isinstance(store, str):
            from ..stores import open_store

            store = open_store(store)
        super().__init__(store)
        self.users = Users(store)
        self.runs = Runs(store)
        self.events = Events(store)
        self.messages = Messages(store, prices)
        self.segments = Segments(store, prices)
        self.usage = Usages(store)
        self.archive = Archive(store)

    def erase_user(self, user_id: str, progress: Progress | None = None) -> Receipt:
        """Erase all that a user owns: every session with all that is in it and below it, and the user's record.

        Args:
            user_id: Whose. Of one that owns nothing the receipt says so.
            progress: Called with what was erased so far, after each session.

        Returns:
            What was erased. Interrupted, it can be called again: the second receipt tells the rest.
        """
        return erase_user(self.store, user_id, progress)

    def close(self) -> None:
        """Close the store, if it was opened here. Repeatable."""
        if self._opened:
            self.store.close()

    def __enter__(self) -> Sessions:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
