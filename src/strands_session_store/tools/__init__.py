"""The tool calls of an assistant message, run with the application's own functions, and recorded as events.

Rule 1. Whatever a function does, each call gets an answer; what raised is answered as an error (``on_error="raise"``:
        raised).
Rule 2. Each try is an event of type ``tool_call`` whose parent is the message: attempt, milliseconds, status, the type
        of the error. What was said is in the answer, and nowhere else.
Rule 3. The events of a message are one commit, behind its last call, also where something raised or was cancelled. One
        a try would cost each call a round trip, and a process that is killed in the midst has lost the answers too.
Rule 4. Nothing is run before message, arguments and session were found good: a read.
Rule 5. Nothing is tried again, and no result is used again, unless that was asked for: functions have effects.

    calls.py     calls and answers in the shapes of models        driving.py   what is decided here is done
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from .. import records
from ..errors import StoreError, ToolEventsError
from ..messages import snapshot
from ..sessions import MAX_PAGE, Sessions, access
from ..sessions.access import Access
from ..sessions.events import appending
from ..stores.base import Look
from .calls import Call, Result, Shape, answered, asked, canonical, id_of, plain
from .driving import Pause, Steps, Try, done, drive, drive_async

if TYPE_CHECKING:
    from ..async_sessions import AsyncSessions

__all__ = ["Tools"]

logger = logging.getLogger(__name__)

KEPT: Final = 1024
"""Results that are kept to be used again; the ones used longest ago go first."""
MAX_ATTEMPTS: Final = 10
MAX_PAUSE: Final = 60
"""Seconds."""


@dataclass(slots=True)
class _Batch:
    """The calls of one message, and what became of them."""

    shape: Shape
    calls: list[Call]
    common: records.Event
    """What its events have in common."""
    found: Access[records.Session]
    look: Look | None = None
    results: list[tuple[Call, Result]] = field(default_factory=list)
    events: list[records.Event] = field(default_factory=list)

    def note(self, call: Call, status: str, error: BaseException | None = None, **more: Any) -> None:
        told = {
            "name": _bounded(call.name),
            "tool_use_id": _bounded(call.id),
            "status": status,
            "error": type(error).__name__ if error is not None else None,
            "at": records.now(),
        }
        self.events.append(self.common.model_copy(update={**told, **more}))

    def begin(self) -> None:
        self.look = self.found.look()

    def answers(self) -> list[dict[str, Any]]:
        return answered(self.shape, self.results)

    def store(self) -> list[dict[str, Any]]:
        assert self.look is not None
        try:
            self.found.commit(self.look, *appending(self.events))
        except StoreError as error:
            raise ToolEventsError(self.answers(), error) from error
        return self.answers()

    def store_as_it_ends(self) -> None:
        """Where something else is being raised, which goes on."""
        if self.events:
            try:
                self.store()
            except StoreError as problem:
                logger.warning("session_id=<%s> | %s", self.found.space.id, problem)


class Tools:
    """Functions that a model may call. May be used by many threads, and for many sessions."""

    def __init__(
        self,
        sessions: Sessions | AsyncSessions,
        functions: Mapping[str, Callable[..., Any]],
        *,
        attempts: int = 1,
        retry_on: type[Exception] | tuple[type[Exception], ...] = Exception,
        pause: float = 0.2,
        cached: Collection[str] = (),
        on_error: Literal["answer", "raise"] = "answer",
    ) -> None:
        """
        Args:
            sessions: Where events are recorded; of either kind, both methods work.
            functions: By the name that the model knows; called with the call's arguments by name. May be async.
            attempts: How often a function that raises is tried, 1 to 10.
            retry_on: Which errors are worth another try. A call that does not fit the function's signature never is.
            pause: Seconds before the second try; doubled for each one behind it, and drawn from half of it to all.
            cached: Names of functions whose results may be used again for the same arguments (1,024 are kept, as
                long as this object). What failed is not kept.
            on_error: What becomes of a call that fails in the end: "answer" tells the model; "raise" raises the error,
                and runs no further call of the message.

        Raises:
            ValueError: An argument is out of its range; names it.
        """
        for name, function in functions.items():
            if not callable(function):
                raise ValueError(f"functions[{name!r}] must be callable, got {type(function).__name__}")
        if attempts not in range(1, MAX_ATTEMPTS + 1):
            raise ValueError(f"attempts must be 1 to {MAX_ATTEMPTS}, got {attempts!r}")
        if not 0 <= pause <= MAX_PAUSE:
            raise ValueError(f"pause must be 0 to {MAX_PAUSE} seconds, got {pause!r}")
        if isinstance(cached, str) or (unknown := set(cached) - set(functions)):
            what = repr(cached) if isinstance(cached, str) else ", ".join(sorted(unknown))
            raise ValueError(f"cached must be names of functions that are given; got {what}")
        if on_error not in ("answer", "raise"):
            raise ValueError(f'on_error must be "answer" or "raise", got {on_error!r}')
        self._store = sessions.store
        self._functions, self._attempts, self._retry_on, self._pause = dict(functions), attempts, retry_on, pause
        self._cached, self._raises = frozenset(cached), on_error == "raise"
        self._results: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._lock = threading.Lock()

    def run(
        self,
        session_id: str,
        message: Any,
        user_id: str | None = None,
        *,
        run_id: str | None = None,
        agent_id: str | None = None,
        parent: str | None = None,
    ) -> list[dict[str, Any]]:
        """Run the tool calls of a message, one after the other; a read before the first and a commit behind the last.

        Args:
            session_id: Where the events go.
            message: Of the assistant, as OpenAI, Anthropic or Strands have it (see `calls`). It is not changed.
            user_id: The session's owner.
            run_id: The run that the calls belong to.
            agent_id: The agent.
            parent: Id of the message; None: its ``tracking_id``, or else its ``id``.

        Returns:
            The messages to put behind it, in its shape; none if it has no calls (then nothing is read or written).

        Raises:
            SessionNotFoundError: There is no such session. Nothing was run.
            ValueError: It is no message with tool calls, or an argument is out of its range. Nothing was run.
            RuntimeError: An async function is called for in a thread whose event loop runs; use `run_async`. As above.
            ToolEventsError: The events could not be stored. It has the answers: don't run the message again.
        """
        batch = self._batch(session_id, message, user_id, run_id, agent_id, parent)
        if not batch.calls:
            return []
        self._refuse_async_in_a_loop(batch)
        batch.begin()
        try:
            for call in batch.calls:
                batch.results.append((call, drive(self._steps(batch, call))))
        except BaseException:
            batch.store_as_it_ends()
            raise
        return batch.store()

    async def run_async(
        self,
        session_id: str,
        message: Any,
        user_id: str | None = None,
        *,
        run_id: str | None = None,
        agent_id: str | None = None,
        parent: str | None = None,
    ) -> list[dict[str, Any]]:
        """As `run`, awaitable. What is not async runs in a thread; cancelled, it is not waited for."""
        batch = self._batch(session_id, message, user_id, run_id, agent_id, parent)
        if not batch.calls:
            return []
        submit = self._store.offload.submit
        await done(submit(batch.begin))
        try:
            for call in batch.calls:
                batch.results.append((call, await drive_async(self._steps(batch, call))))
        except BaseException:
            await done(submit(batch.store_as_it_ends))
            raise
        return await done(submit(batch.store))

    # ------------------------------------------------------------------------------------------------------- private

    def _batch(
        self,
        session_id: str,
        message: Any,
        user_id: str | None,
        run_id: str | None,
        agent_id: str | None,
        parent: str | None,
    ) -> _Batch:
        shape, calls = asked(message)
        if len(calls) * self._attempts > MAX_PAGE:
            raise ValueError(f"the message has {len(calls):,} tool calls; {MAX_PAGE // self._attempts:,} are the limit")
        parent = id_of(message) if parent is None else parent
        common = records.Event(type="tool_call", source="llm", run_id=run_id, agent_id=agent_id, parent=parent)
        appending([common])
        return _Batch(shape, calls, common, access.session(self._store, session_id, user_id))

    def _steps(self, batch: _Batch, call: Call) -> Steps:
        """What is to be done for a call, and in the end its result."""
        key = self._key(call)
        if key is not None and (kept := self._recall(key)) is not None:
            batch.note(call, "success", data={"cached": True})
            return Result(True, json.loads(kept))
        try:
            function, arguments = self._fitting(call)
        except (LookupError, TypeError) as error:
            batch.note(call, "error", error)
            return self._failed(error)
        for attempt in range(1, self._attempts + 1):
            began = time.perf_counter()
            problem: BaseException | None = None
            status, again = "success", False
            try:
                # a copy: a function may change what it was given, and the message is not to
                value = yield Try(function, snapshot(arguments))
            except Exception as error:
                problem, status, again = error, "error", attempt < self._attempts and isinstance(error, self._retry_on)
            except BaseException as error:
                problem, status = error, "cancelled"
            milliseconds = round((time.perf_counter() - began) * 1000, 3)
            if problem is None:
                try:
                    value = plain(value)
                except Exception as error:  # its str() may raise anything; the function has run, so once is enough
                    problem, status = error, "error"
            batch.note(call, status, problem, attempt=attempt, milliseconds=milliseconds)
            if problem is None:
                if key is not None:
                    self._keep(key, json.dumps(value))
                return Result(True, value)
            if status == "cancelled":
                raise problem
            if not again:
                break
            yield Pause(self._pause * 2 ** (attempt - 1) * random.uniform(0.5, 1))
        assert isinstance(problem, Exception)
        return self._failed(problem)

    def _fitting(self, call: Call) -> tuple[Callable[..., Any], dict[str, Any]]:
        """The function and its arguments.

        Raises:
            LookupError: There is none of that name.
            TypeError: They don't fit.
        """
        function = self._functions.get(call.name)
        if function is None:
            there = ", ".join(sorted(self._functions)) or "none"
            raise LookupError(f"there is no tool {_bounded(call.name)!r}; there are: {there}")
        if call.arguments is None:
            raise TypeError(f"the arguments of {call.name!r} must be a JSON object")
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):  # some built-in functions have none
            return function, call.arguments
        signature.bind(**call.arguments)
        return function, call.arguments

    def _failed(self, error: Exception) -> Result:
        if self._raises:
            raise error
        return Result(False, records.described(error))

    def _key(self, call: Call) -> tuple[str, str] | None:
        if call.name not in self._cached or call.arguments is None:
            return None
        arguments = canonical(call.arguments)
        return None if arguments is None else (call.name, arguments)

    def _recall(self, key: tuple[str, str]) -> str | None:
        with self._lock:
            if key in self._results:
                self._results.move_to_end(key)
            return self._results.get(key)

    def _keep(self, key: tuple[str, str], result: str) -> None:
        with self._lock:
            self._results[key] = result
            while len(self._results) > KEPT:
                self._results.popitem(last=False)

    def _refuse_async_in_a_loop(self, batch: _Batch) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        for call in batch.calls:
            function = self._functions.get(call.name)
            if any(map(inspect.iscoroutinefunction, (function, getattr(function, "__call__", None)))):  # noqa: B004
                raise RuntimeError(f"{call.name!r} is async and the event loop of this thread runs; await run_async")


def _bounded(text: str) -> str:
    """A model's own word, as it may stand in an event."""
    return text[:255].encode(errors="replace").decode()
