"""Ids in paths. One may have a slash in it: written ``%2F`` that is a part of its segment, not the end of it."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes

from starlette.convertors import Convertor, register_url_convertor

SLASH: Final = "\udc2f"
"""Stands for a slash inside a segment: no decoded text has it."""
ID: Final = "strands_id"
"""Name of the path convertor; Starlette keeps these by name, for all apps of a process."""


class IdConvertor(Convertor[str]):
    """``{session_id:strands_id}`` in a path: one segment, whatever is in it."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        return value.replace(SLASH, "/")

    def to_string(self, value: str) -> str:
        return value.replace("/", SLASH)


register_url_convertor(ID, IdConvertor())


def segmented(scope: MutableMapping[str, Any]) -> str:
    """The path with `SLASH` for each slash that is a part of a segment."""
    raw = scope.get("raw_path")
    path: str = scope["path"]
    if raw is None or b"%2f" not in raw.lower():
        return path
    segments = (unquote_to_bytes(one).decode("utf-8", "replace") for one in raw.split(b"?")[0].split(b"/"))
    return "/".join(one.replace("/", SLASH) for one in segments)


def segment(id: str) -> str:
    """An id as a segment of a path. Dots alone would go up in the path, so they are escaped as well."""
    return id.replace(".", "%2E") if id in (".", "..") else quote(id, safe="")


def shown(scope: MutableMapping[str, Any]) -> str:
    """The path as it was asked for: ASCII, without the query."""
    raw: bytes | None = scope.get("raw_path")
    return quote(scope["path"], errors="replace") if raw is None else raw.split(b"?")[0].decode("ascii", "replace")
