"""Citations: Strands' ``citationsContent``, and Anthropic's text with citations."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from .conversion import Dialect
from .fields import Fields
from .inner import generated

_LOCATIONS: Final = {
    "documentChar": ("char_location", "document_index", "start_char_index", "end_char_index"),
    "documentPage": ("page_location", "document_index", "start_page_number", "end_page_number"),
    "documentChunk": ("content_block_location", "document_index", "start_block_index", "end_block_index"),
    "searchResultLocation": (
        "search_result_location",
        "search_result_index",
        "start_block_index",
        "end_block_index",
    ),
}
"""Strands' kind of a location: Anthropic's type, and its names of index, start and end."""
_STRANDS: Final = {theirs[0]: (kind, *theirs[1:]) for kind, theirs in _LOCATIONS.items()}


def _index(kind: str) -> str:
    return "searchResultIndex" if kind == "searchResultLocation" else "documentIndex"


def cited(fields: Fields) -> Dialect:
    """Anthropic's text for a ``citationsContent``."""
    text = generated(fields)
    made = [_there(Fields(one, place, fields.losses)) for place, one in fields.items("citations")]
    return {"type": "text", "text": text, "citations": [one for one in made if one]}


def _there(citation: Fields) -> Dialect | None:
    with citation:
        location = citation.inner("location") if "location" in citation else None
        kind = next(iter(location), "") if location else ""
        parts = citation.items("sourceContent")
        if location is None or kind not in _LOCATIONS or len(parts) != 1:
            why = "a citation there has one text that is cited, and its place in a document or a search result"
            citation.losses.add(citation.place, why)
            citation.ignore(*citation)
            return None
        type, *names = _LOCATIONS[kind]
        with Fields(parts[0][1], parts[0][0], citation.losses) as part:
            made: Dialect = {"type": type, "cited_text": part.take("text", str)}
        with location, location.inner(kind) as numbers:
            for theirs, ours in zip(names, (_index(kind), "start", "end")):
                made[theirs] = numbers.take(ours, int)
        if kind == "searchResultLocation":
            made |= {"source": citation.take("source", str, ""), "title": citation.take("title", str, None)}
        else:
            made["document_title"] = citation.take("title", str, None)
        return made


def uncited(fields: Fields) -> dict[str, Any]:
    """A ``citationsContent`` for Anthropic's text with citations."""
    content = [{"text": fields.take("text", str)}]
    made = [_here(Fields(one, place, fields.losses)) for place, one in fields.items("citations")]
    return {"citationsContent": {"content": content, "citations": [one for one in made if one]}}


def _here(citation: Fields) -> dict[str, Any] | None:
    with citation:
        type = citation.take("type", str)
        if type == "web_search_result_location":
            uri = citation.take("url", str)
            location: dict[str, Any] = {"web": {"url": uri, "domain": urlsplit(uri).netloc}}
        elif type in _STRANDS:
            kind, *names = _STRANDS[type]
            numbers = (citation.take(name, int) for name in names)
            location = {kind: dict(zip((_index(kind), "start", "end"), numbers))}
        else:
            citation.losses.add(citation.place, f"there is nothing for a citation of type {type!r}")
            citation.ignore(*citation)
            return None
        made: dict[str, Any] = {
            "location": location,
            "sourceContent": [{"text": citation.take("cited_text", str, "")}],
        }
        title = citation.take("title", str, None) or citation.take("document_title", str, None)
        if title is not None:
            made["title"] = title
        if type == "search_result_location" and (source := citation.take("source", str, "")):
            made["source"] = source
        return made
