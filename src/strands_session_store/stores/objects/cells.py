"""Bytes as they stand in JSON, and back, exactly. Pure.

A *cell* is one line of JSON text. Bytes that are JSON as this package writes it stand for themselves, so that what is
stored can be read with cat and jq; other text is a string under ``$text``, and what is no text is under ``$base64``.
"""

from __future__ import annotations

import base64
import json
from typing import Any, Final

_TEXT: Final = b'{"$text":'
_BASE64: Final = b'{"$base64":"'


def encode(data: bytes) -> bytes:
    """The cell of these bytes."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return _base64(data)
    try:
        # a value that would be written in any other way, or be taken for a mark, does not stand for itself
        if dump(json.loads(text)) == data and not data.startswith((_TEXT, _BASE64)):
            return data
    except (ValueError, RecursionError):
        pass
    cell = dump({"$text": text})
    # a control character takes six bytes
    return cell if len(cell) < 2 * len(data) + 64 else _base64(data)


def _base64(data: bytes) -> bytes:
    return _BASE64 + base64.b64encode(data) + b'"}'


def decode(cell: bytes) -> bytes:
    """The bytes of this cell.

    Raises:
        ValueError: It is none.
    """
    if cell.startswith(_TEXT):
        return str(json.loads(cell)["$text"]).encode()
    if cell.startswith(_BASE64):
        return base64.b64decode(cell[len(_BASE64) : -2], validate=True)
    return cell


def size(cell: bytes) -> int:
    """Of the bytes of this cell."""
    return len(decode(cell)) if cell.startswith(b'{"$') else len(cell)


def dump(value: Any) -> bytes:
    """JSON on one line.

    Raises:
        ValueError: NaN, infinity or a lone surrogate is in it.
    """
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False).encode()


def dump_name(name: str) -> bytes:
    """A name that may hold anything, lone surrogates too."""
    try:
        return dump(name)
    except UnicodeEncodeError:
        return json.dumps(name).encode()
