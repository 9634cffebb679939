"""A job becomes changes: its records are scrubbed by the application, then encoded. Runs on the draining thread.

Rule 1. What has no encoding is kept as a placeholder; each kind of it is logged once.
Rule 2. What is past the limit of an entry keeps its place: a text stands for its content, and a TooLarge goes with it.
Rule 3. When `before_store` raises, or returns no message, so does this, and nothing of the job is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from .. import codec, records, trace
from ..errors import StoreError, TooLarge
from ..messages import snapshot
from ..stores.base import MAX_ENTRY, Add, Append, Change, DropDoc, PutDoc, Replace
from .jobs import Job

logger = logging.getLogger(__name__)

BeforeStore = Callable[[Any], Any]
"""Given a copy of a message, returns what is to be kept of it."""


class Encoder:
    """Of one session."""

    def __init__(self, session_id: str, before_store: BeforeStore | None) -> None:
        self._session_id, self._before_store = session_id, before_store
        self._reported: set[str] = set()

    def changes(self, job: Job) -> tuple[list[Change], StoreError | None]:
        """The job as changes, and what is to be told to whoever waits for it although it will be stored.

        Raises:
            Exception: What ``before_store`` raised; TypeError when it returned no message.
        """
        problem: StoreError | None = None

        def encode(record: records.Record, path: str) -> bytes:
            nonlocal problem
            scrub = self._before_store
            if scrub and isinstance(record, records.Message | records.Variant) and record.message is not None:
                kept = scrub(snapshot(record.message))
                if not isinstance(kept, dict) or not isinstance(kept.get("content"), list) or "role" not in kept:
                    # stored, it could never be read again
                    raise TypeError(
                        f"before_store returned a {type(kept).__name__}, not a message with role and content"
                    )
                # its id is what redaction and a resume know it by
                record = record.model_copy(update={"message": {**kept, "tracking_id": record.message["tracking_id"]}})
            data = codec.dump(record, lost=lambda place, kind: self._report(path, place, kind))
            if isinstance(record, records.Trace) and len(data) > trace.MAX_BYTES:
                # no error: nothing is missing of the session, and a fork says what can't be had
                logger.warning(
                    "session_id=<%s>, bytes=<%d> | not traced: no fork at this message", self._session_id, len(data)
                )
                return codec.dump(records.Trace(history=record.history, at=record.at, lost=True))
            if len(data) <= MAX_ENTRY:
                return data
            text = f"<not stored: {len(data):,} bytes, the limit is {MAX_ENTRY:,}>"
            ids = problem.unwritten if problem is not None else ()
            problem = TooLarge(
                f"an entry of {path!r} has {len(data):,} bytes, the limit is {MAX_ENTRY:,}; kept is {text!r}"
            )
            if isinstance(record, records.Message | records.Variant):
                ids = *ids, record.message["tracking_id"]
            problem.unwritten = ids
            return codec.dump(without_content(record, text))

        changes: list[Change] = []
        for log, (at, entries) in job.appends.items():
            changes.append(Append(log, [encode(record, log) for record in entries], at))
        changes += [Replace(log, index, encode(record, log)) for (log, index), record in job.replaces.items()]
        changes += [DropDoc(path) if data is None else PutDoc(path, data) for path, data in job.docs.items()]
        changes += [Add(counter, delta) for counter, delta in job.adds.items()]
        return changes, problem

    def _report(self, path: str, place: str, kind: str) -> None:
        if kind not in self._reported:
            self._reported.add(kind)
            logger.warning(
                "session_id=<%s> | a %s can not be stored; a placeholder is kept of it (first seen in %s at %s)",
                self._session_id,
                kind,
                path,
                place,
            )


def without_content(record: records.Record, text: str) -> records.Record:
    """The record with a text in the place of what was too large; a message keeps its role and id."""
    if isinstance(record, records.Message | records.Variant):
        kept = {k: record.message[k] for k in ("role", "tracking_id") if k in record.message}
        return record.model_copy(update={"message": {**kept, "content": [{"text": text}]}})
    if isinstance(record, records.Event):
        return record.model_copy(update={"data": None, "error": text})
    return record.model_copy(update={"error": text})
