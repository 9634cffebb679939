"""Where things are: the only place that spells keys. Pure.

    <kind>s/<owner or ->/<id>.json                                   the head of a space
    <kind>s/<owner or ->/<id>.d/<life>/                              what it has sealed; <life> is its incarnation
        agents/default/messages/<from>-<to>.<unique>.jsonl               a page of a log, an entry a line
        agents/default/agent.<unique>.json                               a document too large for the head
        commits/<from>-<to>.<unique>.json                                ids of recent commits, after a burst of them
    index/<kind>s/<owner or ->/created/<time>~<id>~<life>            a row of the index: an empty object
    index/<kind>s/<owner or ->/below/<parent>/<time>~<id>~<life>     the same, of spaces with a parent
    index/<kind>s/<owner or ->/below/<parent>/<time>~<id>~<life>~<n> and of those that were moved there, by revision n

Heads end in ``.json``, folders in ``.d``, so no id makes one from the other. Names of sealed objects are unique: none
is ever written twice. The head holds the true names of logs and documents; in keys they only have to be readable.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final, NamedTuple

from ... import ids
from ..base import Space

HEAD: Final = ".json"
FOLDER: Final = ".d"
PAGE: Final = ".jsonl"
_PART: Final = 60
"""Bytes of a part of a sealed object's name; with four of them the longest key has about 720."""


def heads(kind: str, owner: str) -> str:
    """Prefix of the heads and folders of an owner, as it stands in a key."""
    return f"{kind}s/{owner}/"


def head(space: Space) -> str:
    kind, owner, id = space.key
    return f"{heads(kind, owner)}{id}{HEAD}"


def folder(space: Space, life: str = "") -> str:
    """Prefix of all that a space has sealed, in this life or in any."""
    kind, owner, id = space.key
    return f"{heads(kind, owner)}{id}{FOLDER}/{life}{'/' if life else ''}"


def space(kind: str, owner: str, id: str) -> Space:
    """The space whose key has these parts."""
    return Space(kind, None if owner == ids.NO_OWNER else ids.unescape(owner), ids.unescape(id))


def unique() -> str:
    return secrets.token_hex(6)


def page(folder: str, start: int, end: int, unique: str) -> str:
    """Of a page with the entries [start, end) in the folder of its log. Part of the format: heads do not repeat it."""
    return f"{folder}/{start}-{end - 1}.{unique}{PAGE}"


def document(path: str, is_json: bool) -> str:
    return f"{spell(path)}.{unique()}.{'json' if is_json else 'bin'}"


def commits(first: int, last: int) -> str:
    return f"commits/{first}-{last}.{unique()}.json"


def rows(kind: str, owner: str, parent: str | None = None) -> str:
    """Prefix of the index rows of an owner, or of those below a parent."""
    return f"index/{kind}s/{owner}/{'created' if parent is None else 'below/' + _parent(parent)}/"


def rows_of(space: Space, life: str, created: float, parent: str | None, moved: int = 0) -> list[str]:
    """The rows of a space: of one life of it, and of one stay below its parent, so that to delete them touches no later
    one.

    Args:
        moved: The revision that put it below its parent; 0: it was made there.
    """
    kind, owner, id = space.key
    name = f"{stamp(created)}~{id}~{life}"
    found = [rows(kind, owner) + name]
    return found if parent is None else [*found, rows(kind, owner, parent) + name + (f"~{moved}" if moved else "")]


class Row(NamedTuple):
    """What the key of a row tells."""

    time: float
    id: str
    """Escaped."""
    life: str
    moved: int = 0
    """As in `rows_of`."""


def read_row(key: str) -> Row | None:
    """None if the key is no row's."""
    found = re.fullmatch(r"(?:.*/)?([0-9]+\.[0-9]+)~([^~/]+)~([^~/]+)(?:~([0-9]+))?", key)
    return Row(float(found[1]), found[2], found[3], int(found[4] or 0)) if found else None


def stamp(time: float) -> str:
    """A time so that text sorts as time does; for times since 2004 it says exactly which float it was."""
    return f"{max(time, 0.0):019.7f}"


def spell(path: str) -> str:
    """The path of a log or document, to be read by people: bounded, and not unique."""
    parts = path.split("/")
    if len(parts) > 4:
        parts = [*parts[:3], parts[-1]]
    # escape() knows no lone surrogates
    return "/".join(ids.escape(part.encode(errors="replace").decode())[:_PART] or "!" for part in parts)


def _parent(parent: str) -> str:
    name = ids.escape(parent.encode(errors="backslashreplace").decode())
    if 0 < len(name) <= ids.MAX_ESCAPED:
        return name
    return f"{name[:100]}!{hashlib.sha256(name.encode()).hexdigest()[:32]}"
