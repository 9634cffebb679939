"""A job becomes changes: its records are scrubbed by the application, then encoded. Runs on the draining thread.

Rule 1. What has no encoding is kept as a placeholder; each kind of it is logged once.
Rule 2. What is past the limit of an entry keeps its place: a text stands for its content, and a TooLarge goes with it.
Rule 3. When `before_store` raises, or returns no message, so does this, and nothing of the job is kept.
Rule 4. An answer of a model goes with what its call adds to counters, which is found out here, in the same commit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from .. import codec, records, usage
from ..errors import StoreError, TooLarge
from ..messages import snapshot
from ..prices import Prices
from ..stores.base import MAX_ENTRY, Add, Append, Change, DropDoc, PutDoc, Replace
from .counting import Call, Same, Stored, Tally
from .jobs import Atom, Job

logger = logging.getLogger(__name__)

BeforeStore = Callable[[Any], Any]
"""Given a copy of a message, returns what is to be kept of it."""


class Encoder:
    """Of one session."""

    def __init__(
        self, session_id: str, before_store: BeforeStore | None, prices: Prices, computing: AbstractContextManager[Any]
    ) -> None:
        """``computing``: held by what takes long, as one thread of a store does at a time."""
        self._session_id, self._before_store = session_id, before_store
        self._prices, self._computing = prices, computing
        self._reported: set[str] = set()
        self._keys: set[str] = set()
        """Documents of usage keys that were put."""

    def forked(self) -> None:
        """In a forked child: the commits that put them may be the parent's to make."""
        self._keys = set()

    def atoms(self, job: Job) -> tuple[list[Atom], StoreError | None]:
        """The job's changes, and what is to be told to whoever waits for it although it will be stored.

        Raises:
            Exception: What ``before_store`` raised; TypeError when it returned no message.
        """
        problem: StoreError | None = None
        keys: set[str] = set()

        def encode(record: records.Record, path: str) -> tuple[bytes, list[Change]]:
            nonlocal problem
            counts = job.counts.get(id(record))
            adds: list[Change] = []
            if isinstance(counts, Tally):
                record = record.model_copy(update={"usage": counts.totals.usage(), "model": counts.model})
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
            counted: records.Counted | None = None
            if isinstance(counts, Call):
                counted, totals = counts.count(self._prices, self._computing)
                place = usage.path_of(key := usage.key_of(counted))
                adds = [*totals.adds(), *totals.adds(place)]
                if place not in self._keys | keys:
                    keys.add(place)
                    adds.append(usage.known(key))
            elif isinstance(counts, Same):
                counted, _ = counts.call.count(self._prices, self._computing)
            elif isinstance(counts, Stored):
                counted = counts.counted(path)
            data = codec.dump(_with(counted, record), lost=lambda place, kind: self._report(path, place, kind))
            if len(data) <= MAX_ENTRY:
                return data, adds
            text = f"<not stored: {len(data):,} bytes, the limit is {MAX_ENTRY:,}>"
            ids = problem.unwritten if problem is not None else ()
            problem = TooLarge(
                f"an entry of {path!r} has {len(data):,} bytes, the limit is {MAX_ENTRY:,}; kept is {text!r}"
            )
            if isinstance(record, records.Message | records.Variant):
                ids = *ids, record.message["tracking_id"]
            problem.unwritten = ids
            return codec.dump(_with(counted, without_content(record, text))), adds

        atoms: list[Atom] = []
        for log, (at, entries) in job.appends.items():
            for place, record in enumerate(entries):
                data, adds = encode(record, log)
                if isinstance(record, records.Message):
                    adds.append(Add("messages", 1))
                atoms.append([Append(log, [data], None if at is None else at + place), *adds])
        rest: Atom = []
        for (log, index), record in job.replaces.items():
            data, adds = encode(record, log)
            rest += [Replace(log, index, data), *adds]
        rest += [DropDoc(path) if data is None else PutDoc(path, data) for path, data in job.docs.items()]
        rest += [Add(counter, delta) for counter, delta in job.adds.items()]
        self._keys |= keys  # now that nothing of it can be refused
        return [*atoms, rest] if rest else atoms, problem

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


def _with(counted: records.Counted | None, record: records.Record) -> records.Record:
    """The record with what was counted with it, as far as its message, as it is stored, does not say so itself."""
    if counted is None or not isinstance(record, records.Message):
        return record
    return record.model_copy(update={"usage": usage.kept(counted, record.message, record.at)})


def without_content(record: records.Record, text: str) -> records.Record:
    """The record with a text in the place of what was too large; a message keeps its role and id."""
    if isinstance(record, records.Message | records.Variant):
        kept = {k: record.message[k] for k in ("role", "tracking_id") if k in record.message}
        return record.model_copy(update={"message": {**kept, "content": [{"text": text}]}})
    if isinstance(record, records.Event):
        return record.model_copy(update={"data": None, "error": text})
    return record.model_copy(update={"error": text})
