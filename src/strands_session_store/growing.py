"""The segment of a conversation that goes on: how large it is by now, and how it ends, for callers without Strands.

Rule 1. How large it is, is known as far as it was said here, and measured anew where another has said something.
        Whether it ends is decided by what is stored.
Rule 2. Whatever fails of its end, a summary or the store, costs nothing but the attempt: the log says so, a summary's
        failure is an event, and the next answer tries again.
Rule 3. With a ttl, segments that have ended are kept as long as the conversation.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence

from . import records
from .errors import SessionNotFoundError, StoreError
from .messages import Message
from .prices import Prices
from .segments import ROOM, SegmentAfter
from .sessions import shapes
from .sessions.access import Access
from .sessions.expiring import keep
from .sessions.rollover import Grown, Rollover, counting, finished, measured
from .stores.base import Ttl
from .summaries import Summary
from .turns import begins_turn, ends_turn

logger = logging.getLogger(__name__)


class Growing:
    """The live segment of one agent's conversation. Its methods block, each step is whole."""

    def __init__(
        self,
        access: Access[records.Session],
        agent_id: str,
        after: SegmentAfter | None,
        prices: Prices,
        ttl: Ttl,
    ) -> None:
        """``after``: None: it ends by hand only."""
        self._access, self._agent_id, self._after = access, agent_id, after
        self._prices, self._ttl = prices, ttl
        self._model: str | None = None
        self._grown: Grown | None = None
        self._failed = -1
        """The length of a history that no summary could be made of."""
        self._kept = -math.inf
        """When what has ended was seen to be kept, by the monotonic clock."""

    def grow(self, stored: Sequence[shapes.Said], model: str | None) -> None:
        """These were stored. ``model``: whose tokens are counted from now on; None: as before."""
        self._model = model or self._model
        grown, count = self._grown, counting(self._model)
        if grown is None or grown.upto != stored[0].index:
            self._grown = None
            return
        said = [one.entry.message for one in stored]
        size = grown.size.with_turns((message, count(message)) for message in said)
        self._grown = Grown(size, stored[-1].index + 1)

    def due(self, said: Message) -> Rollover | None:
        """What is to be summarized, where the segment ends after this message; a read of all of it, where it is not
        known how large it is."""
        if self._after is None or not ends_turn(said):
            return None
        grown = self._grown
        if grown is not None and not self._after.due(grown.size):
            return None
        return self._looked(self._after)

    def room_for(self, said: Message) -> Rollover | None:
        """What is to be summarized, where the segment ends before what a user is about to say. Where it is not known
        how large it is, it is looked at only for what takes more than was allowed for after the last answer."""
        if self._after is None or not begins_turn(said):
            return None
        coming = counting(self._model)(said)
        grown = self._grown
        if grown is None and coming <= (self._after.max_tokens or math.inf) * ROOM:
            return None
        if grown is not None and not self._after.due(grown.size, coming):
            return None
        return self._looked(self._after, coming)

    def ends(self) -> Rollover | None:
        """As `due`, for one that ends by hand.

        Raises:
            StoreError: As the engine says.
        """
        try:
            return self._measured(self._after or SegmentAfter(), if_due=False)
        except SessionNotFoundError:
            return None

    def end(self, rollover: Rollover, made: Summary, *, by_hand: bool) -> records.Session | None:
        """End it; None: not now, as another has said something or the store does not take it.

        Raises:
            StoreError: By hand, in place of None.
        """
        try:
            self._grown = None
            return finished(rollover, made, self._prices, ttl=self._ttl)
        except StoreError as error:
            if by_hand:
                raise
            self._not_now(error)
            return None

    def failed(self, rollover: Rollover) -> None:
        """No summary could be made: it is not tried again before more is answered."""
        self._failed = rollover.live.length

    def keep(self) -> None:
        """Have segments that ended live as long as the conversation."""
        if not isinstance(self._ttl, float) or time.monotonic() < self._kept:
            return
        try:
            self._kept = time.monotonic() + keep(self._access, self._ttl)
        except StoreError as error:
            self._not_now(error)

    def _looked(self, after: SegmentAfter, coming: int | None = None) -> Rollover | None:
        try:
            return self._measured(after, if_due=True, coming=coming)
        except SessionNotFoundError:
            return None
        except StoreError as error:
            self._not_now(error)
            return None

    def _measured(self, after: SegmentAfter, *, if_due: bool, coming: int | None = None) -> Rollover | None:
        count = counting(self._model)
        look = measured(self._access, self._agent_id, after, count, if_due=if_due, coming=coming)
        if look is None:
            return None
        self._grown = look.grown
        return None if if_due and look.grown.upto == self._failed else look.rollover

    def _not_now(self, error: StoreError) -> None:
        logger.warning(
            "agent_id=<%s>, session_id=<%s> | a segment could not be ended or kept, the next answer tries again: %s",
            *(self._agent_id, self._access.space.id, error),
        )
