"""What conversions share: looking into what may be malformed, media types, data URLs, JSON as text, joining. Pure.

Rule 1. What has the wrong shape (a content that is no list, a text that is a number) is a FormatError with its place,
        also where losses are only listed.
Rule 2. Roles alternate in Strands: messages of one role in a row are joined into one.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from ..errors import FormatError
from ..messages import Message
from .conversion import Losses

Block = dict[str, Any]

IMAGES: Final = {format: f"image/{format}" for format in ("png", "jpeg", "gif", "webp")}
_OFFICE = "application/vnd.openxmlformats-officedocument."
DOCUMENTS: Final = {
    "pdf": "application/pdf",
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": f"{_OFFICE}wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": f"{_OFFICE}spreadsheetml.sheet",
    "html": "text/html",
    "txt": "text/plain",
    "md": "text/markdown",
}
"""Media types of Strands' formats; spelled out, since the table of ``mimetypes`` differs between machines."""


# ---------------------------------------------------------------------------------------------------------- looking in


def mapping(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise FormatError(f"{place} must be a dict, not {type(value).__name__}")
    return value


def items(value: object, place: str) -> Sequence[Any]:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise FormatError(f"{place} must be a list, not {type(value).__name__}")
    return value


def text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise FormatError(f"{place} must be a text, not {type(value).__name__}")
    return value


def rest(value: Mapping[str, Any], known: Collection[str], place: str, losses: Losses, why: str = "unknown") -> None:
    """What is not known of a dict is lost, where it says anything."""
    for key in value:
        if key not in known and value[key] is not None:
            losses.add(f"{place}.{key}", why)


def blocks(content: object, place: str, losses: Losses) -> Iterator[tuple[str, str, Any]]:
    """Place, kind and value of each of Strands' content blocks."""
    for i, block in enumerate(items(content, place)):
        kinds = list(mapping(block, at := f"{place}[{i}]"))
        if len(kinds) == 1:
            yield f"{at}.{kinds[0]}", kinds[0], block[kinds[0]]
        else:
            losses.add(at, f"a content block is of one kind, not {len(kinds)} ({', '.join(map(str, kinds))})")


def custom(message: Mapping[str, Any], place: str, losses: Losses, held: Collection[str]) -> dict[str, Any]:
    """What of ``metadata.custom`` a dialect can hold; the rest of a message but role and content is lost."""
    rest(message, ("role", "content", "tracking_id", "metadata"), place, losses)
    place = f"{place}.metadata"
    metadata = mapping(message.get("metadata") or {}, place)
    rest(metadata, ("usage", "metrics", "custom"), place, losses)
    said = mapping(metadata.get("custom") or {}, f"{place}.custom")
    for key in said:
        if key not in held:
            losses.add(f"{place}.custom.{key}", "metadata")
    return {key: said[key] for key in held if key in said}


def system_blocks(system: object) -> list[Mapping[str, Any]]:
    """A system prompt as Strands takes it: a text, or content blocks.

    Raises:
        ValueError: It is neither.
    """
    if system is None or isinstance(system, str):
        return [{"text": system}] if system else []
    if isinstance(system, bytes) or not isinstance(system, Sequence):
        raise ValueError(f"system must be a text or a list of content blocks, not {type(system).__name__}")
    return [mapping(block, f"system[{i}]") for i, block in enumerate(system)]


# --------------------------------------------------------------------------------------------------------------- media


def source_bytes(media: Mapping[str, Any], place: str, losses: Losses) -> bytes | None:
    """The bytes of an image, document, audio or video; None: they are elsewhere, and so lost."""
    source = mapping(media.get("source"), f"{place}.source")
    data = source.get("bytes")
    if isinstance(data, bytes | bytearray):
        rest(source, ("bytes",), f"{place}.source", losses)
        return bytes(data)
    if data is None and source.get("location") is not None:
        losses.add(place, "it is elsewhere (source.location), not given as bytes")
        return None
    raise FormatError(f"{place}.source must have bytes or a location")


def data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def from_data_url(url: str) -> tuple[str, bytes]:
    """Media type and bytes.

    Raises:
        ValueError: It is no data URL, or its data is no base64.
    """
    head, comma, data = url.partition(",")
    if not (head[:5].lower() == "data:" and comma and head[-7:].lower() == ";base64"):
        raise ValueError("it is no data URL in base64")
    return head[5:-7].partition(";")[0].strip().lower(), from_base64(data)


def from_base64(data: str) -> bytes:
    """
    Raises:
        ValueError: It is none.
    """
    try:
        return base64.b64decode(re.sub(r"\s", "", data), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"it is no base64 ({error})") from None


# ---------------------------------------------------------------------------------------------------------------- JSON


def json_text(value: Any) -> str:
    """JSON that reads back as ``value``.

    Raises:
        ValueError: JSON can not say it (bytes, a tuple, a key that is no text, NaN).
    """
    try:
        out = json.dumps(value, ensure_ascii=False, allow_nan=False)
        if json.loads(out) == value:
            return out
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"JSON can not say it ({error})") from None
    raise ValueError("JSON can not say it as it is")


def json_object(out: str) -> dict[str, Any]:
    """The object in a JSON text; a text that is blank has none, and is an empty one.

    Raises:
        ValueError: It is no JSON, no object, or says a name twice.
    """
    if not out.strip():
        return {}
    try:
        value = json.loads(out, object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON ({error})") from None
    if not isinstance(value, dict):
        raise ValueError(f"it is no JSON object ({type(value).__name__})")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(out := dict(pairs)) < len(pairs):
        raise ValueError("a name is there twice")
    return out


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


# ------------------------------------------------------------------------------------------------------------- joining


_TEXTS: Final = {"text", "citationsContent"}


class Joined:
    """Puts the messages of a dialect together as Strands' messages.

    Strands has no refusals: one is a text, and ``metadata.custom["refusal"]`` of its message is True. A message whose
    texts are not all refusals can not say which are.
    """

    def __init__(self, losses: Losses) -> None:
        self.messages: list[Message] = []
        self._losses = losses
        self._named = False
        """Whether the last message has a part that could have had a name."""
        self._plain = False
        """Whether it has a text that is no refusal."""
        self._refusals: list[str] = []
        """Places of the texts that are one."""

    def add(
        self,
        role: str,
        content: list[Block],
        place: str,
        *,
        name: str | None = None,
        unnamed: bool = False,
        refusals: Collection[str] = (),
    ) -> None:
        """
        Args:
            role: user or assistant.
            content: Strands' content blocks.
            place: Of the message.
            name: Of who says it.
            unnamed: It can have no name (a tool's result), and leaves that of the joined message to others.
            refusals: Places of those texts of it that are refusals.
        """
        last = self.messages[-1] if self.messages else None
        if last is None or last["role"] != role:
            self.done()
            last = {"role": role, "content": []}
            self.messages.append(last)
            self._named = False
        last["content"] += content
        self._plain = self._plain or sum(len(block.keys() & _TEXTS) for block in content) > len(refusals)
        self._refusals += refusals
        if unnamed:
            return
        known = last.get("metadata", {}).get("custom", {}).get("name")
        if name is not None and not self._named:
            last["metadata"] = {"custom": {"name": name}}
        elif name is not None and name != known:
            self._losses.add(f"{place}.name", f"joined with the message before it, which has {known or 'no name'!r}")
        self._named = True

    def done(self) -> list[Message]:
        """The messages; the last one is whole."""
        if self._refusals and self._plain:
            for place in self._refusals:
                self._losses.add(place, "that it is a refusal: its message has other text as well")
        elif self._refusals:
            self.messages[-1].setdefault("metadata", {}).setdefault("custom", {})["refusal"] = True
        self._refusals, self._plain = [], False
        return self.messages
