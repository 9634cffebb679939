"""Images, documents, audio and video: formats and media types, bytes and base64, what a location points at. Pure.

Rule 1. What has an address on the web is at the location ``{"type": "url", "uri": ...}``, in every dialect that has
        addresses. Where only the address says what it is, its ending does; else it is a PNG or a PDF, which is listed.
Rule 2. What is elsewhere (in S3, or under an id at a vendor's) is held by the dialects that say the same, and lost in
        others: nothing is fetched.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from ..errors import FormatError
from ..messages import snapshot
from .conversion import Losses
from .fields import Fields

Location: TypeAlias = dict[str, Any]
"""As in Strands: its type, and more. S3 is ``{"type": "s3", "uri": ..., "bucketOwner": ...}``; what else has an
address on the web is ``{"type": "url", "uri": ...}`` here. Strands' formatters pass over locations they don't know."""

UNNAMED: Final = "document"
"""The name of a document without one: Strands insists on names."""
_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
TYPES: Final[dict[str, dict[str, str]]] = {
    "image": {format: f"image/{format}" for format in ("png", "jpeg", "gif", "webp")},
    "document": {
        "pdf": "application/pdf",
        "csv": "text/csv",
        "doc": "application/msword",
        "docx": f"{_OFFICE}wordprocessingml.document",
        "xls": "application/vnd.ms-excel",
        "xlsx": f"{_OFFICE}spreadsheetml.sheet",
        "html": "text/html",
        "txt": "text/plain",
        "md": "text/markdown",
    },
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
"""Strands' formats of each kind of media, and the media type of each: each its own, so that a way back leads there.
Spelled out, since the table of ``mimetypes`` differs between machines."""

_KINDS = {media: (kind, format) for kind, formats in TYPES.items() for format, media in formats.items()} | {
    "image/jpg": ("image", "jpeg"),
    "audio/x-wav": ("audio", "wav"),
    "audio/x-flac": ("audio", "flac"),
    "video/mov": ("video", "mov"),
    "video/wmv": ("video", "wmv"),
}


_LIKELY: Final = {"image": "png", "document": "pdf"}


def kind_and_format(media_type: str) -> tuple[str, str] | None:
    """``image/png`` -> ``("image", "png")``; None: nothing that Strands has."""
    return _KINDS.get(media_type.partition(";")[0].strip().lower())


def ending_of(name: str, kind: str) -> str | None:
    """The format that a name ends with; None: none that Strands has."""
    ending = name.rpartition(".")[2].lower()
    ending = {"jpg": "jpeg", "3gp": "three_gp", "htm": "html"}.get(ending, ending)
    return ending if ending in TYPES[kind] else None


def _of_address(uri: str, kind: str) -> str | None:
    try:
        return ending_of(urlsplit(uri).path, kind)
    except ValueError:  # a port that is none
        return None


def at(uri: str, kind: str, place: str, losses: Losses) -> dict[str, Any]:
    """Format and source of an image or document at an address, which says what it is (Rule 1)."""
    format = _of_address(uri, kind)
    if format is None:
        format = _LIKELY[kind]
        losses.add(place, f"which format it has; it is taken for {format}", kept=True)
    return {"format": format, "source": {"location": {"type": "url", "uri": uri}}}


def at_address(uri: str, kind: str, format: str, place: str, losses: Losses) -> str:
    """The address, where nothing but it says the format."""
    if format != (told := _of_address(uri, kind) or _LIKELY[kind]):
        losses.add(f"{place}.format", f"it is {format!r}, and by its address it is taken for {told}", kept=True)
    return uri


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


def name_of(document: Fields) -> str | None:
    """The name of a document; None: it has none, and comes back under one that is made up."""
    if (name := document.take("name", str, None)) is None:
        document.lose("name", f"there is none, and it comes back as {UNNAMED!r}", kept=True)
    return name


def not_cited(document: Fields) -> None:
    """That it may be cited is a mark on a document, which few dialects have."""
    if "citations" in document:
        with document.inner("citations") as citations:
            citations.ignore("enabled")
        document.lose("citations", "whether it may be cited", kept=True)


def url(location: Location | None) -> str | None:
    """The address on the web; None: it is none (a data URL has bytes, and would come back as such)."""
    if location and location.get("type") == "url" and set(location) == {"type", "uri"}:
        return uri if isinstance(uri := location["uri"], str) and not is_data_url(uri) else None
    return None


def utf8(data: bytes) -> str | None:
    """The text that these bytes are; None: they are none."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str) -> bytes | None:
    """What base64 says, in either alphabet, and with breaks of lines; None: it is none."""
    try:
        return base64.b64decode(re.sub(r"\s", "", text).replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return None


def data_url(kind: str, format: str, data: bytes) -> str:
    return f"data:{TYPES[kind][format]};base64,{to_base64(data)}"


def is_data_url(url: str) -> bool:
    return url[:5].lower() == "data:"


def from_data_url(url: str) -> tuple[str, bytes] | None:
    """Media type and bytes; None: it is no data URL in base64."""
    head, comma, encoded = url.partition(",")
    if not (is_data_url(head) and comma and head[-7:].lower() == ";base64"):
        return None
    data = from_base64(encoded)
    return None if data is None else (head[5:-7], data)
