"""A context manager's stash that lived in memory is filled again from the history's originals.

Strands' `context_manager=` moves large content to a stash and leaves a reference in the message. Kept in memory (the
default) the stash dies with its process, and the model's retrieval tool finds nothing behind the references it sees.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

from ..messages import Message


def lost_stash(agent: Any) -> Any | None:
    """The agent's stash if it does not survive its process; None for a durable one, or for none."""
    manager: Any = getattr(agent, "context_manager", None)
    return None if manager is None or manager.stash_is_durable else manager.stash


def refill(stash: Any, messages: Sequence[Message]) -> None:
    """Put the messages' parts back under the names they had."""

    async def fill() -> None:
        for message in messages:
            await stash.store_message(message)

    # The stash is asynchronous and this is not, with or without a loop running on this thread. In-memory: no I/O.
    thread = threading.Thread(target=lambda: asyncio.run(fill()), name="session-store-stash")
    thread.start()
    thread.join()
