"""Runs: what began and how it ended. Those of session managers, and those that the application records itself.

Rule 1. A run is open until it ends as completed, interrupted, failed or cancelled; what has ended stays as it is. One
        that goes on after an interrupt is a run of its own, as in session managers.
Rule 2. Beginning and ending are a commit each: document, log and counter change together. The end expects the open
        run's document, so of two that end a run one is refused.
Rule 3. Who began a run ends it. A session manager's (`records.Run.recorded_by`) ends with its invocation, or is closed
        as abandoned at the agent's next one; here it is only read.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, Literal, TypeAlias

from .. import codec, ids, layout, records
from ..errors import AlreadyExistsError, IllegalTransitionError, NotFoundError, StoreError
from ..stores.base import ABSENT, Add, Append, Change, Doc, Docs, DropDoc, Log, Look, PutDoc, Want
from ..usage import Totals, totals_of, whole
from . import checks
from .access import Access, Part, load
from .entries import page, place
from .events import Events
from .finding import find_ended, find_run
from .shapes import MAX_PAGE, LogPage

logger = logging.getLogger(__name__)

Ended: TypeAlias = Literal["completed", "interrupted", "failed", "cancelled", "abandoned"]
ENDED: Final = ("completed", "interrupted", "failed", "cancelled", "abandoned")
RECENT: Final = 100
"""Runs that ended last, among which an id that is given may not be either."""


class Runs(Part):
    """The runs of sessions. Methods that take a run id raise RunNotFoundError, but `start` and `tool_calls`."""

    def start(
        self,
        session_id: str,
        user_id: str | None = None,
        *,
        run_id: str | None = None,
        agent_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> records.Run:
        """Begin a run: a read and a commit. It stays open until it is ended here, also when the process dies.

        Args:
            session_id: Which session.
            user_id: Its owner.
            run_id: Unlike that of any open run and of the 100 that ended last (others are not looked at); None: one is
                drawn.
            agent_id: Whose; it need not be there. What its history grows by until the end are the run's messages.
            metadata: JSON values, and what `Sessions.metadata` takes.

        Raises:
            AlreadyExistsError: There is such a run.
            Unserializable: A value that can not be kept.
        """
        if metadata is not None:
            checks.mapping("metadata", metadata)
        drawn = secrets.token_hex(8) if run_id is None else ids.check("run_id", run_id)
        path = layout.open_run(drawn)
        wants: list[Want] = [Doc(path)]
        if run_id is not None:
            wants.append(Log(layout.RUNS, last=RECENT))
        if agent_id is not None:
            wants.append(Log(layout.history(ids.check("agent_id", agent_id))))
        kept = dict(metadata) if metadata else None
        run = records.Run(run_id=drawn, recorded_by="application", agent_id=agent_id, metadata=kept)

        def decide(look: Look) -> list[Change]:
            nonlocal run
            ended = look.logs[layout.RUNS].entries if run_id is not None else {}
            if path in look.docs or any(
                codec.load(records.Run, data, f"{layout.RUNS}[{index}]").run_id == drawn
                for index, data in ended.items()
            ):
                raise AlreadyExistsError(f"there is a run {drawn!r} already")
            if agent_id is not None:
                run = run.model_copy(update={"first_message": look.logs[layout.history(agent_id)].length})
            return [_put(run, ABSENT), Add("runs", 1)]

        self._session(session_id, user_id).change(decide, *wants)
        return run

    def complete(
        self,
        session_id: str,
        run_id: str,
        user_id: str | None = None,
        *,
        reason: str | None = None,
        usage: records.Usage | None = None,
    ) -> records.Run:
        """End a run, well. Two reads and a commit, and a read more for each further 1,000 messages of the run; without
        an agent one read.

        Args:
            session_id: Which session.
            run_id: An open run.
            user_id: Its owner.
            reason: At most 500 characters, kept as the run's `stop_reason`.
            usage: Tokens, kept with the run; None: what was counted with its messages. The session's counters are of
                its messages: they don't change.

        Returns:
            The run as it is now.

        Raises:
            IllegalTransitionError: It has ended already, or a session manager records it. Nothing was written.
        """
        return self._end(session_id, run_id, user_id, "completed", reason, usage)

    def interrupt(
        self,
        session_id: str,
        run_id: str,
        user_id: str | None = None,
        *,
        reason: str | None = None,
        usage: records.Usage | None = None,
    ) -> records.Run:
        """End a run that waits for something. What comes then is another run. As `complete`."""
        return self._end(session_id, run_id, user_id, "interrupted", reason, usage)

    def cancel(
        self,
        session_id: str,
        run_id: str,
        user_id: str | None = None,
        *,
        reason: str | None = None,
        usage: records.Usage | None = None,
    ) -> records.Run:
        """End a run that is not wanted any more. Nothing is stopped by it. As `complete`."""
        return self._end(session_id, run_id, user_id, "cancelled", reason, usage)

    def fail(
        self,
        session_id: str,
        run_id: str,
        error: BaseException | str,
        user_id: str | None = None,
        *,
        reason: str | None = None,
        usage: records.Usage | None = None,
    ) -> records.Run:
        """End a run by an error: its type and text, or the text that is given, to 500 characters. As `complete`."""
        told = records.described(error) if isinstance(error, BaseException) else str(error)[: records.MAX_ERROR]
        return self._end(session_id, run_id, user_id, "failed", reason, usage, told)

    def edit_metadata(
        self, session_id: str, run_id: str, values: Mapping[str, Any], user_id: str | None = None
    ) -> records.Run:
        """Set each of the keys in the metadata of an open run; a read and a commit.

        Raises:
            IllegalTransitionError: It has ended, or a session manager records it. Nothing was written.
            Unserializable: A value that can not be kept.
        """
        checks.mapping("values", values)
        found, path = self._session(session_id, user_id), layout.open_run(ids.check("run_id", run_id))
        run: records.Run | None = None

        def decide(look: Look) -> list[Change]:
            nonlocal run
            run = self._open(found, look, run_id, "be changed")
            run = run.model_copy(update={"metadata": {**(run.metadata or {}), **values}})
            return [_put(run, look.docs[path].version)]

        found.change(decide, Doc(path))
        assert run is not None
        return run

    def get(self, session_id: str, run_id: str, user_id: str | None = None) -> records.Run:
        """One run. An open one costs a read; one that has ended is looked for from the end of the log: it costs reading
        all that ended later, 100 to 1,000 a read, and one that is not there the whole log."""
        return find_run(self._session(session_id, user_id), ids.check("run_id", run_id))

    def list(
        self,
        session_id: str,
        user_id: str | None = None,
        *,
        status: Ended | None = None,
        agent_id: str | None = None,
        start: int | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> LogPage[records.Run]:
        """Runs that have ended, in the order in which they did; for others see `active`. One read, and with a filter
        what it looks at: at most 10,000 runs, 200 to 1,000 a read.

        Args:
            session_id: Which session.
            user_id: Its owner.
            status: Only those that ended so.
            agent_id: Only those of this agent.
            start: The first index, and on from there; None: the newest page, unless there is a cursor.
            limit: 1 to 1,000. With a filter a page can be shorter, or empty, although it has a cursor that goes on.
            cursor: `LogPage.older` or `LogPage.newer` of another page, with the same filter.

        Raises:
            InvalidCursorError: The cursor is none of this log.
        """
        if status is not None:
            checks.one_of("status", status, ENDED)
        if agent_id is not None:
            ids.check("agent_id", agent_id)
        admits = None
        if status is not None or agent_id is not None:
            admits = lambda run: status in (None, run.status) and agent_id in (None, run.agent_id)  # noqa: E731
        checks.limit(limit)
        where = place(layout.RUNS, start, cursor)
        return page(self._session(session_id, user_id), layout.RUNS, records.Run, where, admits, limit=limit)

    def active(self, session_id: str, user_id: str | None = None) -> tuple[records.Run, ...]:
        """Runs that have begun and not ended: under way, or their process died. Oldest first; one read."""
        look = self._session(session_id, user_id).look(Docs(layout.OPEN_RUNS))
        runs = [load(look, path, records.Run) for path in look.docs if path.startswith(layout.OPEN_RUNS)]
        return tuple(sorted(runs, key=lambda run: run.started))

    def tool_calls(
        self,
        session_id: str,
        run_id: str,
        user_id: str | None = None,
        *,
        limit: int = 50,
        cursor: str | None = None,
    ) -> LogPage[records.Event]:
        """The tool calls of a run; as `Events.list`, which is paged from the newest event of the session on."""
        events = Events(self.store)
        return events.list(session_id, user_id, type="tool_call", run_id=run_id, limit=limit, cursor=cursor)

    def usage(self, session_id: str, run_id: str, user_id: str | None = None) -> records.Usage:
        """The tokens of a run, as far as is known; costs what `get` does."""
        return self.get(session_id, run_id, user_id).usage

    # ------------------------------------------------------------------------------------------------------- private

    def _end(
        self,
        session_id: str,
        run_id: str,
        user_id: str | None,
        status: records.RunStatus,
        reason: str | None,
        usage: records.Usage | None,
        error: str | None = None,
    ) -> records.Run:
        checks.text("reason", reason)
        if usage is not None and not isinstance(usage, records.Usage):
            raise ValueError(f"usage must be a records.Usage or None, not {type(usage).__name__}")
        found, path = self._session(session_id, user_id), layout.open_run(ids.check("run_id", run_id))
        run: records.Run | None = None

        def decide(look: Look) -> list[Change]:
            nonlocal run
            run = self._open(found, look, run_id, f"become {status}")
            told = {"status": status, "stop_reason": reason, "error": error, **_messages(found, run)}
            if usage is not None:
                told["usage"] = usage
            run = run.model_copy(update={**told, "ended": max(records.now(), run.started)})
            return [DropDoc(path, look.docs[path].version), Append(layout.RUNS, [codec.dump(run)])]

        found.change(decide, Doc(path))
        assert run is not None
        return run

    def _open(self, found: Access[records.Session], look: Look, run_id: str, to: str) -> records.Run:
        path = layout.open_run(run_id)
        if path not in look.docs:
            ended = find_ended(found, run_id)
            raise IllegalTransitionError(f"run {run_id!r} is {ended.status}; it can not {to} any more")
        run = load(look, path, records.Run)
        if run.recorded_by == "manager":
            raise IllegalTransitionError(
                f"run {run_id!r} is {run.status} and a session manager's, so it can not {to} from outside; it ends "
                "with its invocation, or is closed as abandoned at the agent's next one"
            )
        return run


class Running(Part):
    """A run around a block."""

    @contextmanager
    def run(
        self,
        session_id: str,
        user_id: str | None = None,
        *,
        run_id: str | None = None,
        agent_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Iterator[records.Run]:
        """A run for as long as the block takes; arguments as in `Runs.start`.

        It is completed; failed, where the block raised, with the error's type and text; cancelled by CancelledError,
        KeyboardInterrupt and GeneratorExit. What was ended in the block, or from elsewhere, stays as it ended. Where
        the block raised and the store does too, that is logged, and the block's error goes on; the run stays open.
        """
        runs = Runs(self.store)
        run = runs.start(session_id, user_id, run_id=run_id, agent_id=agent_id, metadata=metadata)
        try:
            yield run
        except BaseException as error:
            try:
                if isinstance(error, asyncio.CancelledError | KeyboardInterrupt | GeneratorExit):
                    runs.cancel(session_id, run.run_id, user_id)
                else:
                    runs.fail(session_id, run.run_id, error, user_id)
            except (IllegalTransitionError, NotFoundError):
                pass  # it was ended in the block, or is gone with its session
            except StoreError as problem:
                told = "session_id=<%s>, run_id=<%s> | the end of a run could not be stored, it stays open: %s"
                logger.warning(told, session_id, run.run_id, problem)
            raise
        with suppress(IllegalTransitionError):
            runs.complete(session_id, run.run_id, user_id)


def _messages(found: Access[records.Session], run: records.Run) -> dict[str, Any]:
    """What the agent's history has grown by since the run began, and what was counted with that."""
    if run.agent_id is None or run.first_message is None:
        return {}
    log, at = layout.history(run.agent_id), run.first_message
    totals, model = Totals(), run.model
    while True:
        view = found.look(Log(log, spans=[(at, at + MAX_PAGE)])).logs[log]
        for index, data in sorted(view.entries.items()):
            if (counted := whole(codec.load(records.Message, data, f"{log}[{index}]"))) is not None:
                totals, model = totals + totals_of(counted), counted.model
        at = max(at + MAX_PAGE, view.start)
        if at >= view.length:
            break
    added = max(0, view.length - run.first_message)
    first = run.first_message if added else None
    return {"messages": added, "first_message": first, "usage": totals.usage(), "model": model}


def _put(run: records.Run, expect: Any) -> Change:
    return PutDoc(layout.open_run(run.run_id), codec.dump_document(run, lost=checks.refuse), expect=expect)
