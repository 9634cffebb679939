"""What a part of Gemini's contents has: data inline or in a file, a signature, fields in either spelling. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from ..errors import FormatError
from . import media
from .conversion import Dialect, Losses
from .fields import Fields, typed


def read(value: object, place: str, losses: Losses) -> Fields:
    """Read in either spelling."""
    if isinstance(value, Mapping):
        camel = {re.sub("_([a-z])", lambda found: found[1].upper(), str(key)): value[key] for key in value}
        if len(camel) < len(value):
            raise FormatError(f"{place} says a field in both spellings: {', '.join(map(str, value))}")
        value = camel
    return Fields(value, place, losses)


def to_blob(kind: str, fields: Fields) -> Dialect | None:
    format = fields.take("format", str)
    data, location = media.source(fields)
    address = media.url(location)
    if format not in media.TYPES[kind] or (data is None and address is None):
        why = f"the format {format!r}" if format not in media.TYPES[kind] else "it is neither bytes nor on the web"
        fields.losses.add(fields.place, why)
        fields.ignore(*fields)
        return None
    name = media.name_of(fields) if kind == "document" else None
    media.not_cited(fields)
    said: Dialect = {"mimeType": media.TYPES[kind][format]} | ({"displayName": name} if name is not None else {})
    if data is None:
        return {"fileData": {"fileUri": address} | said}
    return {"inlineData": {"data": media.to_base64(data)} | said}


def from_blob(fields: Fields, refs: Collection[str] = ()) -> tuple[str | None, dict[str, Any]] | None:
    """The name and the block of what is inline or in a file; a name that is there to be referred to says nothing."""
    where = next((where for where in ("inlineData", "fileData") if where in fields), None)
    if where is None:
        return None
    with read(fields.any(where), f"{fields.place}.{where}", fields.losses) as blob:
        found = media.kind_and_format(type := blob.take("mimeType", str, ""))
        if found is None:
            blob.losses.add(blob.place, f"a file of type {type!r}")
            blob.ignore(*blob)
            return None
        (kind, format), name = found, blob.take("displayName", str, None)
        made: dict[str, Any] = {"format": format}
        if kind == "document":
            made["name"] = media.UNNAMED if name is None else name  # Strands needs one
        elif name is not None and name not in refs:
            blob.lose("displayName", f"{kind} has no name", kept=True)
        if where == "fileData":
            made["source"] = {"location": {"type": "url", "uri": blob.take("fileUri", str)}}
        else:
            made["source"] = {"bytes": bytes_of(blob, "data") or b""}
        return name, {kind: made}


def sign(part: Dialect, fields: Fields, name: str) -> None:
    if signature := fields.take(name, str, ""):
        data = media.from_base64(signature)
        if data is None or media.to_base64(data) != signature:
            fields.lose(name, "a signature there is bytes, and this is no base64 of some")
        else:
            part["thoughtSignature"] = signature


def bytes_of(fields: Fields, name: str) -> bytes | None:
    """Bytes, or base64 of them; None: there are none."""
    value = fields.any(name)
    data = media.from_base64(value) if isinstance(value, str) else value
    if data is not None or value is None:
        return typed(data, bytes, f"{fields.place}.{name}") if data is not None else None
    raise FormatError(f"{fields.place}.{name} must be bytes or base64")
