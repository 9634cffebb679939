"""Our retries: bounded by one deadline, with jitter; a commit that may have been applied is never called unapplied."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any, Final

from redis import exceptions

from .links import Link
from .scripts import Ask
from .translate import Cut, distrusted, passing, translate

_FIRST: Final = 0.01
_LONGEST: Final = 0.5


def ask(link: Link, asks: Sequence[Ask], timeout: float, *, repeatable: bool) -> list[Any]:
    """The answers to what is asked together; all of it is asked again while the server can not be reached.

    Args:
        link: To whom.
        asks: What; every one may be done twice.
        timeout: Seconds for all attempts together.
        repeatable: False: what may have been done but was not answered ends as InDoubt; True: it changes nothing.

    Raises:
        Unavailable, InDoubt, StoreError, Corrupt
    """
    until = time.monotonic() + timeout
    doubt = False
    pause = _FIRST
    while True:
        try:
            answers = link.ask(asks, until)
        except Cut as cut:
            doubt = doubt or (cut.sent and not repeatable)
            error, key = cut.cause, asks[0].keys[0]
            again = _passes(cut.cause)
        else:
            refused = next((at for at, answer in enumerate(answers) if isinstance(answer, Exception)), None)
            if refused is None:
                return answers
            error = answers[refused]
            key = (asks[refused].keys or asks[0].keys)[0]
            again = passing(error)
        # full jitter: many who were cut off at once do not come back at once
        wait = random.uniform(0, pause)
        if not again or time.monotonic() + wait >= until:
            raise translate(error, key, doubt=doubt) from error
        time.sleep(wait)
        pause = min(2 * pause, _LONGEST)


def _passes(error: Exception) -> bool:
    """Whether what kept us from connecting may end by itself. Most refusals do not, nor does a wrong certificate."""
    if isinstance(error, exceptions.ResponseError):
        return passing(error)
    return not isinstance(error, exceptions.AuthenticationError) and not distrusted(error)
