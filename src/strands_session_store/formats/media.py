"""Images, documents, audio and video: formats and media types, bytes and base64, what a location points at."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from ..errors import FormatError
from ..messages import snapshot
from .blocks import DOCUMENTS, IMAGES
from .fields import Fields

Location: TypeAlias = dict[str, Any]
"""As in Strands: its type, and more. S3 is ``{"type": "s3", "uri": ..., "bucketOwner": ...}``; what else has an
address on the web is ``{"type": "url", "uri": ...}`` here. Strands' formatters pass over locations they don't know."""

TYPES: Final[dict[str, dict[str, str]]] = {
    "image": IMAGES,
    "document": DOCUMENTS,
    "video": {
        "flv": "video/x-flv",
        "mkv": "video/x-matroska",
        "mov": "video/quicktime",
        "mpeg": "video/mpeg",
        "mpg": "video/mpg",
        "mp4": "video/mp4",
        "three_gp": "video/3gpp",
        "webm": "video/webm",
        "wmv": "video/x-ms-wmv",
    },
    "audio": {
        **{format: f"audio/{format}" for format in ("mp3", "opus", "wav", "aac", "x-aac", "flac", "mp4", "m4a", "ogg")},
        **{format: f"audio/{format}" for format in ("mkv", "mka", "mpeg", "mpga", "pcm", "webm")},
    },
}
"""Strands' formats of each kind of media, and the media type of each: each its own, so that a way back leads there."""

_KINDS = {media: (kind, format) for kind, formats in TYPES.items() for format, media in formats.items()} | {
    "image/jpg": ("image", "jpeg"),
    "audio/x-wav": ("audio", "wav"),
    "audio/x-flac": ("audio", "flac"),
    "video/mov": ("video", "mov"),
    "video/wmv": ("video", "wmv"),
}


def kind_and_format(media_type: str) -> tuple[str, str] | None:
    """``image/png`` -> ``("image", "png")``; None: nothing that Strands has."""
    return _KINDS.get(media_type.partition(";")[0].strip().lower())


def format_of(uri: str, kind: str) -> str | None:
    """What the ending of an address says; None: nothing that Strands has."""
    ending = urlsplit(uri).path.rpartition(".")[2].lower()
    ending = {"jpg": "jpeg", "3gp": "three_gp", "htm": "html"}.get(ending, ending)
    return ending if ending in TYPES[kind] else None


def source(media: Fields) -> tuple[bytes | None, Location | None]:
    """The bytes of a Strands image (document, ...), or where it is.

    Raises:
        FormatError: It has neither.
    """
    with media.inner("source") as fields:
        data = fields.take("bytes", bytes, None)
        location = fields.take("location", dict, None) if data is None else None
        if data is None and location is None:
            raise FormatError(f"{fields.place} must have bytes or a location")
        return data, snapshot(location)


def url(location: Location | None) -> str | None:
    """The address on the web; None: it is none."""
    if location and location.get("type") == "url" and set(location) == {"type", "uri"}:
        return uri if isinstance(uri := location["uri"], str) else None
    return None


def to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str) -> bytes | None:
    """What base64 says, in either alphabet; None: it is none."""
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return None
