"""Looking for what was planted in a conversation in what was made of it."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any


def texts(value: Any) -> Counter[str | bytes]:
    """Each text and bytes in a value, how often: as it is, in JSON, in a data URL or in base64."""
    out: Counter[str | bytes] = Counter()
    if isinstance(value, dict):
        for inner in value.values():
            out += texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            out += texts(inner)
    elif isinstance(value, bytes):
        out[value] += 1
    elif isinstance(value, str) and value:
        out[value] += 1
        with suppress(ValueError):
            out[base64.b64decode(value.rpartition(";base64,")[2], validate=True)] += 1
        with suppress(ValueError):
            out += texts(json.loads(value) if value[0] in '{["' else None)
    return out


def anywhere(value: Any) -> Callable[[str | bytes], bool]:
    """Tells whether a text or bytes is in a value, if only as a part (a name, in that of a file)."""
    found = texts(value)
    return lambda sought: any(type(sought) is type(text) and sought in text for text in found)  # type: ignore[operator]


def containers(value: Any) -> set[int]:
    """What in a value could be edited in place, by identity."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set().union(*map(containers, inner), {id(value)} if isinstance(value, dict | list) else ())
