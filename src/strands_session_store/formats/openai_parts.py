"""What OpenAI's two dialects spell alike: images, files, audio, JSON as text, cache breakpoints, arguments. Pure.

A file is named with its format's extension, which OpenAI insists on: ``report`` in Strands is ``report.pdf``. One
without a name is called ``document``, since Strands insists on names.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from .blocks import (
    DOCUMENTS,
    IMAGES,
    Block,
    data_url,
    from_base64,
    from_data_url,
    json_object,
    json_text,
    mapping,
    rest,
    source_bytes,
    text,
)
from .conversion import Dialect, Losses

_AUDIO: Final = ("mp3", "wav")
_UNNAMED: Final = "document"
ELSEWHERE: Final = "Strands keeps the bytes, and it is elsewhere"


def image_url(image: object, place: str, losses: Losses) -> str | None:
    """The data URL of an image of Strands'; None: it is lost."""
    image = mapping(image, place)
    rest(image, ("format", "source"), place, losses)
    if (data := source_bytes(image, place, losses)) is None:
        return None
    format = text(image.get("format"), f"{place}.format")
    if (media_type := IMAGES.get(format)) is None:
        losses.add(place, f"its format {format!r} is none of {', '.join(IMAGES)}")
        return None
    return data_url(media_type, data)


def image_block(fields: Mapping[str, Any], key: str, place: str, losses: Losses) -> list[Block]:
    """The image at a URL, as Strands keeps it, and without ``detail``; none: it is lost."""
    if (detail := fields.get("detail")) not in (None, "auto"):
        losses.add(f"{place}.detail", f"{detail!r}, of what Strands says nothing")
    place = f"{place}.{key}"
    url = text(fields.get(key), place)
    if url[:5].lower() != "data:":
        losses.add(place, ELSEWHERE)
        return []
    try:
        media_type, data = from_data_url(url)
    except ValueError as error:
        losses.add(place, str(error))
        return []
    media_type = "image/jpeg" if media_type == "image/jpg" else media_type
    found = [format for format, known in IMAGES.items() if known == media_type]
    if not found:
        losses.add(place, f"its media type {media_type!r} is none of {', '.join(IMAGES.values())}")
        return []
    return [{"image": {"format": found[0], "source": {"bytes": data}}}]


def file_fields(document: object, place: str, losses: Losses) -> dict[str, str] | None:
    """``file_data`` and ``filename`` of a document of Strands'; None: it is lost."""
    document = mapping(document, place)
    if (data := source_bytes(document, place, losses)) is None:
        return None
    format = text(document.get("format"), f"{place}.format")
    if (media_type := DOCUMENTS.get(format)) is None:
        losses.add(place, f"its format {format!r} is none of {', '.join(DOCUMENTS)}")
        return None
    rest(document, ("format", "name", "source"), place, losses)
    if (name := document.get("name")) is None:
        losses.add(f"{place}.name", f"there is none, and {_UNNAMED!r} is put in its place")
        name = _UNNAMED
    return {"filename": f"{text(name, f'{place}.name')}.{format}", "file_data": data_url(media_type, data)}


def document_block(file: Mapping[str, Any], place: str, losses: Losses) -> list[Block]:
    """The document in ``file_data`` and ``filename``, as Strands keeps it; none: it is lost."""
    if file.get("file_data") is None:
        losses.add(place, ELSEWHERE)
        return []
    encoded = text(file["file_data"], f"{place}.file_data")
    name = text(file.get("filename") or _UNNAMED, f"{place}.filename")
    extension = name.rpartition(".")[2].lower()
    try:
        media_type, data = from_data_url(encoded) if encoded[:5].lower() == "data:" else ("", from_base64(encoded))
    except ValueError as error:
        losses.add(place, str(error))
        return []
    found = [format for format, known in DOCUMENTS.items() if known == media_type]
    format = found[0] if found else extension  # some say application/octet-stream
    if format not in DOCUMENTS:
        losses.add(place, f"neither its media type {media_type!r} nor its name says a format that Strands has")
        return []
    name = name[: -len(format) - 1] if extension == format and "." in name else name
    return [{"document": {"format": format, "name": name, "source": {"bytes": data}}}]


def audio_fields(audio: object, place: str, losses: Losses) -> dict[str, str] | None:
    """``data`` and ``format`` of audio of Strands'; None: it is lost."""
    audio = mapping(audio, place)
    rest(audio, ("format", "source"), place, losses)
    if (data := source_bytes(audio, place, losses)) is None:
        return None
    format = text(audio.get("format"), f"{place}.format")
    if format not in _AUDIO:
        losses.add(place, f"its format {format!r} is none of {', '.join(_AUDIO)}")
        return None
    return {"data": base64.b64encode(data).decode(), "format": format}


def audio_block(fields: Mapping[str, Any], place: str, losses: Losses) -> list[Block]:
    """The audio in ``data`` and ``format``, as Strands keeps it; none: it is lost."""
    rest(fields, ("data", "format"), place, losses)
    format = text(fields.get("format"), f"{place}.format")
    encoded = text(fields.get("data"), f"{place}.data")
    if format not in _AUDIO:
        losses.add(place, f"its format {format!r} is none of {', '.join(_AUDIO)}")
        return []
    try:
        return [{"audio": {"format": format, "source": {"bytes": from_base64(encoded)}}}]
    except ValueError as error:
        losses.add(place, str(error))
        return []


def set_breakpoint(parts: list[Dialect], point: object, place: str, losses: Losses) -> None:
    """A cache point of Strands' is said by the part before it."""
    point = mapping(point, place)
    if not parts or "prompt_cache_breakpoint" in parts[-1] or parts[-1]["type"] in ("refusal", "output_text"):
        losses.add(place, "it marks a part, and there is none before it that can be marked")
    elif point.get("type") != "default":
        losses.add(place, f"its type is {point.get('type')!r}, not 'default'")
    else:
        rest(point, ("type",), place, losses)
        parts[-1]["prompt_cache_breakpoint"] = {"mode": "explicit"}


def cache_point(part: Mapping[str, Any], place: str, losses: Losses) -> list[Block]:
    """The cache point that a part says to be behind it."""
    if part.get("prompt_cache_breakpoint") is None:
        return []
    place = f"{place}.prompt_cache_breakpoint"
    said = mapping(part["prompt_cache_breakpoint"], place)
    rest(said, ("mode",), place, losses)
    if said.get("mode") != "explicit":
        losses.add(f"{place}.mode", f"{said.get('mode')!r} is not 'explicit'")
        return []
    return [{"cachePoint": {"type": "default"}}]


def json_as_text(value: object, place: str, losses: Losses) -> list[str]:
    """JSON of a result, as the text of one: that it is JSON is lost. None: all of it is."""
    try:
        kept = [json_text(value)]
    except ValueError as error:
        losses.add(place, str(error))
        return []
    losses.add(place, "its kind; JSON is kept as text")
    return kept


def arguments(value: object, place: str, losses: Losses) -> str:
    """The input of a call, as text. What is no JSON object is lost; the call stays, since its result does."""
    try:
        if not isinstance(value, Mapping):
            raise ValueError(f"it is no JSON object ({type(value).__name__})")
        return json_text(value)
    except ValueError as error:
        losses.add(place, str(error))
        return "{}"


def tool_input(value: object, place: str, losses: Losses) -> dict[str, Any]:
    """The arguments of a call. What is no JSON object is lost; the call stays, since its result does."""
    try:
        return json_object(text(value, place))
    except ValueError as error:
        losses.add(place, str(error))
        return {}
