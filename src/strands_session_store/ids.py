"""Ids are data: checked once, escaped in one way, and the escaping can be reversed.

Rule 1. Any Unicode id is legal that is not empty, holds no control character and no lone surrogate, and takes at
        most 180 bytes once escaped. That is 180 lowercase ASCII letters, or 60 bytes of anything else.
Rule 2. ``a-z 0-9 _ . -`` stand for themselves; every other UTF-8 byte is written ``!`` and two lowercase hex digits.
        Capitals are escaped too, so two ids never meet on a file system that folds case.
Rule 3. A leading ``-`` or ``.`` and a trailing ``.`` are escaped: ``..``, hidden files and the lone ``-`` that stands
        for "no owner" can not be spelled by an id.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata

from .errors import InvalidIdError

MAX_ESCAPED = 180
"""Bytes an escaped id may take. File systems allow 255 for a name; engines add an ending or a prefix."""

NO_OWNER = "-"
"""Stands in keys where a space has no owner. No id escapes to it (rule 3)."""

_MARK = 20
"""Hexadecimal digits, 80 bits, that tell apart what was cut off in `below`."""

_OTHER = re.compile(rb"[^a-z0-9_.-]")
_ESCAPE = re.compile(r"!([0-9a-f]{2})")


def escape(text: str) -> str:
    """The id as it is spelled in keys and paths: ASCII, lowercase, at most 180 bytes for a checked id."""
    raw = _OTHER.sub(lambda m: b"!%02x" % m.group()[0], text.encode()).decode("ascii")
    if raw[:1] in ("-", "."):
        raw = f"!{ord(raw[0]):02x}{raw[1:]}"
    if raw[-1:] == ".":
        raw = f"{raw[:-1]}!2e"
    return raw


def unescape(name: str) -> str:
    """The id that ``escape`` turned into ``name``."""
    return _ESCAPE.sub(lambda m: chr(int(m.group(1), 16)), name).encode("latin-1").decode()


def check(argument: str, value: object) -> str:
    """``value`` if it is a legal id, for the argument of that name.

    Raises:
        InvalidIdError: not a string, empty, a control character or lone surrogate in it, or too long.
    """
    if not isinstance(value, str):
        raise InvalidIdError(f"{argument} must be a string, not {type(value).__name__}")
    if not value:
        raise InvalidIdError(f"{argument} is empty; give it at least one character")
    for at, char in enumerate(value):
        if (category := unicodedata.category(char)) in ("Cc", "Cs"):
            what = "control character" if category == "Cc" else "lone surrogate"
            raise InvalidIdError(f"{argument} holds a {what} (U+{ord(char):04X}) at position {at}; remove it")
    if (size := len(escape(value))) > MAX_ESCAPED:
        raise InvalidIdError(
            f"{argument} is too long: {len(value)} characters take {size} bytes once escaped, the limit is "
            f"{MAX_ESCAPED} (a lowercase ASCII letter takes 1, any other byte 3); it begins with {value[:40]!r}"
        )
    return value


def below(parent: str, *names: str) -> str:
    """The id of what hangs below ``parent`` under these names, which are any text: always the same, another one for
    other names, and legal however long they are. Reads ``<parent>.<last name>.<digits>``, cut where that is too long.
    """
    digits = hashlib.sha256(json.dumps([parent, *names]).encode()).hexdigest()[:_MARK]
    room = MAX_ESCAPED - len(f"..{digits}")
    name = _cut(names[-1], room // 2)
    return f"{_cut(parent, room - len(escape(name)))}.{name}.{digits}"


def _cut(text: str, room: int) -> str:
    """As much of a text as is legal in an id, and takes at most ``room`` bytes escaped."""
    kept = ""
    for char in text:
        if unicodedata.category(char) in ("Cc", "Cs"):
            continue
        # by itself a point is escaped: no character takes more than that inside a text
        room -= len(escape(char))
        if room < 0:
            break
        kept += char
    return kept
