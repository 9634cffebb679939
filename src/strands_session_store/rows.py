"""What an index row tells of a session or user: the record itself, so that a listing opens nothing. Pure.

Rule 1. The row is written by the commit that writes the record, and by no other.
Rule 2. A record that is too large for a row has an empty one; whoever lists then reads the document.
"""

from __future__ import annotations

from typing import TypeVar

from . import codec, records
from .stores.base import MAX_SUMMARY, Row, Summary

R = TypeVar("R", records.Session, records.User)

_PLACE = "the index row of "


def summary(record: records.Session | records.User) -> Summary:
    """The row of a session or user that is as ``record`` says."""
    data = codec.dump_document(record)
    parent = record.parent_id if isinstance(record, records.Session) else None
    return Summary(data if len(data) <= MAX_SUMMARY else b"", parent)


def told(kind: type[R], row: Row) -> R | None:
    """The record in a row; None: it has to be read.

    Raises:
        Corrupt: The row can't be read.
    """
    return codec.load(kind, row.summary, f"{_PLACE}{row.space.kind} {row.space.id!r}") if row.summary else None
