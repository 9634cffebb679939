"""What OpenAI's two dialects spell alike: images, files, audio, cache breakpoints, calls and results. Pure.

A file is named with its format's extension, which OpenAI insists on: ``report`` in Strands is ``report.pdf``. One
without a name is called ``document``, since Strands insists on names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from . import media
from .conversion import Dialect, Losses, System
from .fields import Fields, json_object, listed, mapping, rest, text, tool_input
from .inner import Block, blocks, prompt, text_of

_AUDIO: Final = ("mp3", "wav")
NOT_HELD: Final = "there is none in this dialect"
_ELSEWHERE: Final = "Strands keeps the bytes, or an address, and it is at OpenAI's"


# ----------------------------------------------------------------------------------------------------- to the dialect


def system_parts(system: System, kind: str, losses: Losses) -> list[Dialect]:
    """The parts of a system prompt, which is texts of that kind."""
    parts: list[Dialect] = []
    for place, block, value in blocks(prompt(system), losses):
        if block == "cachePoint":
            set_breakpoint(parts, value, place, losses)
        elif (said := text_of(block, value, place, losses)) is not None:
            parts.append({"type": kind, "text": said})
        else:
            losses.add(place, NOT_HELD)
    return parts


def image_url(value: object, place: str, losses: Losses) -> str | None:
    """The address of an image of Strands', or a data URL; None: it is lost."""
    with Fields(value, place, losses) as image:
        data, location = media.source(image)
        format = image.take("format", str)
        if (address := media.url(location)) is not None:
            return media.at_address(address, "image", format, place, losses)
        if _lost(data, format, media.TYPES["image"], image):
            return None
        return media.data_url("image", format, data or b"")


def file_fields(value: object, place: str, losses: Losses, *, urls: bool = False) -> dict[str, str] | None:
    """``file_data`` and ``filename`` of a document of Strands', or ``file_url``; None: it is lost."""
    with Fields(value, place, losses) as document:
        data, location = media.source(document)
        format = document.take("format", str)
        address = media.url(location) if urls else None
        if address is None and _lost(data, format, media.TYPES["document"], document):
            return None
        name = media.name_of(document)
        media.not_cited(document)
        if address is not None:  # with a name beside it OpenAI refuses it
            if name not in (None, media.UNNAMED):
                document.lose("name", "a file at an address has none", kept=True)
            return {"file_url": media.at_address(address, "document", format, place, losses)}
        named = f"{media.UNNAMED if name is None else name}.{format}"
        return {"filename": named, "file_data": media.data_url("document", format, data or b"")}


def audio_fields(value: object, place: str, losses: Losses) -> dict[str, str] | None:
    """``data`` and ``format`` of audio of Strands'; None: it is lost."""
    with Fields(value, place, losses) as audio:
        data, _ = media.source(audio)
        format = audio.take("format", str)
        if _lost(data, format, _AUDIO, audio):
            return None
        return {"data": media.to_base64(data or b""), "format": format}


def _lost(data: bytes | None, format: str, known: Any, fields: Fields) -> bool:
    if data is not None and format in known:
        return False
    why = f"its format {format!r} is none of {', '.join(known)}" if data is not None else "it is not given as bytes"
    fields.losses.add(fields.place, why)
    fields.ignore(*fields)
    return True


def set_breakpoint(parts: list[Dialect], value: object, place: str, losses: Losses) -> None:
    """A cache point of Strands' is said by the part before it."""
    with Fields(value, place, losses) as point:
        if (ttl := point.take("ttl", str, None)) is not None:
            point.lose("ttl", f"for how long ({ttl}) is said of the request", kept=True)
        kind = point.any("type")
        if not parts or "prompt_cache_breakpoint" in parts[-1] or parts[-1]["type"] in ("refusal", "output_text"):
            losses.add(place, "it marks a part, and there is none before it that can be marked", kept=True)
        elif kind != "default":
            losses.add(place, f"its type is {kind!r}, not 'default'", kept=True)
        else:
            parts[-1]["prompt_cache_breakpoint"] = {"mode": "explicit"}


def call(value: object, place: str, losses: Losses) -> tuple[str, dict[str, str]]:
    """The id of a call, and its function."""
    with Fields(value, place, losses) as use:
        input = tool_input(use.any("input"), f"{place}.input", losses)
        name = use.take("name", str)
        return use.take("toolUseId", str), {"name": name, "arguments": json.dumps(input, ensure_ascii=False)}


def result(value: object, place: str, losses: Losses) -> tuple[str, list[tuple[str, str, Any]]]:
    """The id of the call that a result answers, and its blocks; that the call failed is a mark."""
    with Fields(value, place, losses) as fields:
        if (status := fields.any("status")) not in (None, "success"):
            fields.lose("status", f"{status!r}: a result has no status", kept=True)
        content = listed(fields.any("content"), f"{place}.content")
        return fields.take("toolUseId", str), list(blocks(content, losses))


# ---------------------------------------------------------------------------------------------------------- to Strands


def _detail(fields: Mapping[str, Any], place: str, losses: Losses) -> None:
    if (detail := fields.get("detail")) not in (None, "auto"):
        losses.add(f"{place}.detail", f"{detail!r}, of what Strands says nothing", kept=True)


def _not_elsewhere(fields: Mapping[str, Any], place: str, losses: Losses) -> None:
    if fields.get("file_id") is not None:
        losses.add(f"{place}.file_id", _ELSEWHERE)


def image_block(fields: Mapping[str, Any], key: str, place: str, losses: Losses) -> list[Block]:
    """The image at a URL, as Strands keeps it, and without ``detail``; none: it is lost."""
    _not_elsewhere(fields, place, losses)
    if fields.get("file_id") is not None and fields.get(key) is None:
        return []
    _detail(fields, place, losses)
    url = text(fields.get(key), place := f"{place}.{key}")
    if not media.is_data_url(url):
        return [{"image": media.at(url, "image", place, losses)}]
    if (found := media.from_data_url(url)) is None:
        losses.add(place, "it is no data URL in base64")
        return []
    known = media.kind_and_format(found[0])
    if known is None or known[0] != "image":
        losses.add(place, f"its media type {found[0]!r} is none of {', '.join(media.TYPES['image'].values())}")
        return []
    return [{"image": {"format": known[1], "source": {"bytes": found[1]}}}]


def document_block(fields: Mapping[str, Any], place: str, losses: Losses) -> list[Block]:
    """The document in ``file_data`` and ``filename``, or at ``file_url``, as Strands keeps it; none: it is lost."""
    _not_elsewhere(fields, place, losses)
    _detail(fields, place, losses)
    name = text(fields.get("filename") or media.UNNAMED, f"{place}.filename")
    ending = media.ending_of(name, "document") if "." in name else None
    if fields.get("file_url") is not None and fields.get("file_data") is None:
        address = text(fields["file_url"], f"{place}.file_url")
        held = media.at(address, "document", f"{place}.file_url", losses)
        return [{"document": {"name": _without(name, held["format"])} | held}]
    if fields.get("file_data") is None:
        if fields.get("file_id") is None:
            losses.add(place, "it has neither data nor an address")
        return []
    if fields.get("file_url") is not None:
        losses.add(f"{place}.file_url", "its data is there as well, and Strands has one of them")
    encoded = text(fields["file_data"], f"{place}.file_data")
    found = media.from_data_url(encoded) if media.is_data_url(encoded) else ("", media.from_base64(encoded))
    if found is None or found[1] is None:
        losses.add(place, "its data is no base64")
        return []
    known = media.kind_and_format(found[0])
    format = known[1] if known and known[0] == "document" else ending  # some say application/octet-stream
    if format is None:
        losses.add(place, f"neither its media type {found[0]!r} nor its name says a format that Strands has")
        return []
    return [{"document": {"format": format, "name": _without(name, format), "source": {"bytes": found[1]}}}]


def _without(name: str, format: str) -> str:
    return name[: -len(format) - 1] if name.lower().endswith(f".{format}") else name


def audio_block(fields: Mapping[str, Any], place: str, losses: Losses) -> list[Block]:
    """The audio in ``data`` and ``format``, as Strands keeps it; none: it is lost."""
    rest(fields, ("data", "format"), place, losses)
    format = text(fields.get("format"), f"{place}.format")
    data = media.from_base64(text(fields.get("data"), f"{place}.data"))
    if format not in _AUDIO or data is None:
        why = "its data is no base64" if data is None else f"its format {format!r} is none of {', '.join(_AUDIO)}"
        losses.add(place, why)
        return []
    return [{"audio": {"format": format, "source": {"bytes": data}}}]


def cache_point(part: Mapping[str, Any], place: str, losses: Losses, *, held: bool) -> list[Block]:
    """The cache point that a part says to be behind it; it is lost, where there can be none."""
    if part.get("prompt_cache_breakpoint") is None:
        return []
    place = f"{place}.prompt_cache_breakpoint"
    said = mapping(part["prompt_cache_breakpoint"], place)
    rest(said, ("mode",), place, losses)
    if not held or said.get("mode") != "explicit":
        why = f"its mode is {said.get('mode')!r}, not 'explicit'" if held else "in Strands a result has none"
        losses.add(place, why, kept=True)
        return []
    return [{"cachePoint": {"type": "default"}}]


def arguments(value: object, place: str, losses: Losses) -> dict[str, Any]:
    """The input of a call. What is no JSON object is lost; the call stays, since its result does."""
    said = text(value, place)
    try:
        return json_object(said)
    except ValueError as error:
        losses.add(place, str(error))
        return {}
