"""Everything this package raises on purpose.

    strands.types.exceptions.SessionException
    └── StoreError                  anything below; catch this one
        ├── InvalidIdError          an id that is empty, too long or holds control characters (also a ValueError)
        ├── InvalidUrlError         a URL that no store can be opened by (also a ValueError)
        ├── NotFoundError           asked for what is not there, or is another user's (also a LookupError)
        │   ├── SessionNotFoundError
        │   ├── UserNotFoundError
        │   ├── MessageNotFoundError
        │   ├── RunNotFoundError
        │   └── NotTracedError      what an agent's state was at a message
        ├── AlreadyExistsError      a session, user, run or message of that id is there already; nothing was written
        ├── IllegalMoveError        a parent that is not there, or would make a circle (a ValueError)
        ├── HasChildrenError        a session with others below it was not to be deleted; nothing was
        ├── IllegalTransitionError  a run that has ended can not end again; nothing was written (a ValueError)
        ├── InvalidCursorError      a cursor that does not belong to this listing (a ValueError)
        ├── ToolEventsError         tools were run, and what they did could not be recorded; has their answers
        ├── InterruptPendingError   the agent waits for an interrupt's answer; nothing was written
        ├── ArchiveError            a file that is no archive, or not as it was written; names the line (a ValueError)
        ├── FormatError             a message that a dialect can not hold, or that is none of it (a ValueError)
        ├── PromptError             a prompt that does not fit into so many tokens (a ValueError)
        ├── SummaryError            a summarizer gave no summary; nothing was written
        ├── SessionBusyError        another process runs the session (exclusive=True); nothing was written
        ├── BudgetExceededError     as much was spent as may be; nothing was written
        ├── ConflictError           an expectation of a commit did not hold; nothing was written
        ├── TooLarge                an entry, a commit or a counter past its limit; nothing was written (a ValueError)
        ├── Unserializable          a value that can not be kept; nothing was written (also a TypeError)
        ├── Unavailable             the engine can not be reached or refuses for now; a retry may help
        │   └── InDoubt             ... and it is unknown whether the commit took place
        ├── Corrupt                 stored bytes that can not be read; names the path, nothing is overwritten
        └── Regressed               the engine lost what it had acknowledged (a failover)

An engine translates its driver's errors into these at one point, ``from`` the original.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from strands.types.exceptions import SessionException


class StoreError(SessionException):
    """Base of all errors of this package.

    Attributes:
        unwritten: Where a session manager could not store something: tracking ids of its messages that were not
            acknowledged when this was raised, oldest first, each once, however many. They stay pending; those named by
            a ConflictError or Regressed will never be stored. Where an answer is missing (InDoubt) the first may be
            stored. A TooLarge names the messages in whose place something else was stored. Empty for other errors.
    """

    unwritten: tuple[str, ...] = ()


class InvalidIdError(StoreError, ValueError):
    """An id was refused before anything was read or written. The message names the argument and the limit."""


class InvalidUrlError(StoreError, ValueError):
    """A URL that no store can be opened by. The message shows it redacted and says what would do."""


class NotFoundError(StoreError, LookupError):
    """What was asked for is not there. What is another user's is not there either."""


class SessionNotFoundError(NotFoundError):
    """The session does not exist (or has expired, or was dropped), or is another user's."""


class UserNotFoundError(NotFoundError):
    """There is no record of the user."""


class MessageNotFoundError(NotFoundError):
    """The session has no such message (any more)."""


class RunNotFoundError(NotFoundError):
    """The session has no such run."""


class NotTracedError(NotFoundError):
    """It was not kept what an agent's state and context were at a message. Nothing was written."""


class AlreadyExistsError(StoreError):
    """A session, user, run or message of that id is there already. Nothing was written."""


class IllegalMoveError(StoreError, ValueError):
    """The parent is not there, or is the session itself or below it. Nothing was written."""


class HasChildrenError(StoreError):
    """The session was to be deleted only if there are none below it. Nothing was erased."""


class IllegalTransitionError(StoreError, ValueError):
    """The run is not in a state that this may follow, or the segment has ended. Nothing was written."""


class InvalidCursorError(StoreError, ValueError):
    """The cursor is none that a listing with these arguments gave."""


class ToolEventsError(StoreError):
    """The tools of a message were run, and the events that say so could not be stored; the cause says why.

    Attributes:
        answers: The messages that answer it. To run it again would call the tools twice.
    """

    def __init__(self, answers: list[dict[str, Any]], problem: StoreError) -> None:
        self.answers = answers
        super().__init__(f"the tools were run, but their events not stored: {problem}; the answers are in .answers")


class FormatError(StoreError, ValueError):
    """What a dialect can not hold, or what is no message of it. Nothing was written.

    Attributes:
        lost: `formats.Loss` for each place of it, in order; empty where the input is none of the dialect.
    """

    def __init__(self, message: str, lost: Sequence[Any] = ()) -> None:
        self.lost = tuple(lost)
        super().__init__(message)


class PromptError(StoreError, ValueError):
    """What a prompt has to have does not fit into so many tokens."""


class SummaryError(StoreError):
    """A summarizer gave no summary: no text, an empty one, or what a guardrail says in its place. Nothing was written.

    What a model or a callable raises itself is not one: it arrives as it was raised.
    """


class InterruptPendingError(StoreError):
    """The agent waits for the answer to an interrupt, and needs its messages as they are. Nothing was written."""


class ArchiveError(StoreError, ValueError):
    """A file that is no archive, ends too early, or is not as it was written.

    Attributes:
        line: Of the file, from 1; the first at which that shows.
    """

    def __init__(self, line: int, why: str) -> None:
        self.line = line
        super().__init__(f"line {line:,} of the archive {why}")


class SessionBusyError(StoreError):
    """Another process has the session's lease, and had it for as long as was waited. Nothing was written."""


class BudgetExceededError(StoreError):
    """An invocation was refused before it began, as what it belongs to has spent its budget. Nothing was written.

    Attributes:
        scope: What has spent it: ``session 's'``.
        option: The limit that was met: ``max_tokens`` or ``max_cost``.
        limit: That limit: tokens, or dollars (a Decimal).
        spent: What was spent, of the same kind; dollars are those of the calls whose price is known.
    """

    def __init__(self, scope: str, option: str, limit: int | Decimal, spent: int | Decimal, text: str) -> None:
        self.scope, self.option, self.limit, self.spent = scope, option, limit, spent
        super().__init__(f"{scope} has spent {text}; nothing was written. Raise the limit to go on.")


class ConflictError(StoreError):
    """An expectation of a commit did not hold. Nothing was written.

    Attributes:
        path: The document or log whose expectation failed; ``""`` for the space itself (``on=``).
        expected: What the writer believed in: a version, an incarnation, a log length, or ``"absent"``.
        found: What the engine holds, of the same kind; ``None`` when it holds nothing.
    """

    def __init__(self, path: str, expected: object, found: object, message: str | None = None) -> None:
        self.path, self.expected, self.found = path, expected, found
        what = repr(path) if path else "the space"
        super().__init__(message or f"conflict on {what}: expected {expected}, found {found}; nothing was written")


class TooLarge(StoreError, ValueError):
    """A limit of the port was passed (16 MiB an entry, 32 MiB and 5,000 changes a commit, int64 a counter).

    The message names the path, the size and the limit. Nothing was written by the store; a session manager goes on with
    a placeholder in the place of a message that was too large.
    """


class Unserializable(StoreError, TypeError):
    """A value that no encoding exists for, at the key that the message names. Nothing was written."""


class Unavailable(StoreError):
    """The engine did not take the request; nothing was written. Repeating it may help."""


class InDoubt(Unavailable):
    """No answer came, so the commit may or may not have taken place.

    Repeat it with the same ``commit_id``: it is applied once.
    """


class Corrupt(StoreError):
    """Stored bytes can not be read. Names the path; nothing is overwritten.

    Attributes:
        path: Where the bytes are kept.
    """

    def __init__(self, path: str, why: str) -> None:
        self.path = path
        super().__init__(f"what is stored at {path!r} can not be read: {why}; nothing was overwritten")


class Regressed(StoreError):
    """The engine answers with a state older than one it had acknowledged, e.g. after a failover. Nothing was written.

    An engine raises it once a space. A session manager writes again what it still has of what was lost, and raises it
    only where that does not suffice; building manager and agent anew goes on from what is there.
    """
