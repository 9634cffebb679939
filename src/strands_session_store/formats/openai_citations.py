"""Citations of the web, as OpenAI's two dialects have them: annotations, which say what part of a text they are about.

In Strands what is cited is a block of its own, so a text comes apart where citations begin and end, and no place in it
is lost. Pure.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from .conversion import Dialect, Losses
from .fields import Fields, listed, mapping, rest, text
from .inner import Block, generated


def annotated(value: object, place: str, losses: Losses) -> Dialect:
    """The text of citationsContent, with those of its citations that are of the web, about all of it."""
    with Fields(value, place, losses) as fields:
        said = generated(fields)
        citations = fields.items("citations")
        if not citations:
            fields.lose("citations", "there are none, so it is a text", kept=True)
    found = (_annotation(one, at, said, losses) for at, one in citations)
    return {"type": "output_text", "text": said, "annotations": [one for one in found if one]}


def _annotation(value: object, place: str, said: str, losses: Losses) -> Dialect | None:
    citation = mapping(value, place)
    location = mapping(citation.get("location") or {}, f"{place}.location")
    web = mapping(location.get("web") or {}, f"{place}.location.web")
    if web.get("url") is None or not said:
        losses.add(place, "a citation is of the web, and of a text")
        return None
    url = text(web["url"], f"{place}.location.web.url")
    rest(citation, ("location", "title"), place, losses)
    rest(location, ("web",), f"{place}.location", losses)
    rest(web, ("url", "domain"), f"{place}.location.web", losses)
    if (domain := web.get("domain")) is not None:
        losses.add(f"{place}.location.web.domain", "its address says it", kept=domain == urlsplit(url).netloc)
    if citation.get("title") == "":
        losses.add(f"{place}.title", "an empty one is none", kept=True)
    title = text(citation.get("title") or "", f"{place}.title")
    return {"type": "url_citation", "start_index": 0, "end_index": len(said), "title": title, "url": url}


def cited(said: str, annotations: object, place: str, losses: Losses) -> list[Block]:
    """A text with citations of the web: what they are about becomes blocks of its own, so no place in it is lost."""
    place = f"{place}.annotations"
    spans: dict[tuple[int, int], list[tuple[str, dict[str, Any]]]] = {}
    for at, annotation in listed([] if annotations is None else annotations, place):
        annotation = mapping(annotation, at)
        if annotation.get("type") != "url_citation":
            losses.add(at, f"a {annotation.get('type')}")
            continue
        fields = mapping(annotation.get("url_citation", annotation), at)  # nested in Chat Completions
        start, end = fields.get("start_index"), fields.get("end_index")
        if not (isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(said)):
            losses.add(at, f"{start} to {end} is no part of the text")
            continue
        rest(fields, ("type", "url", "title", "start_index", "end_index"), at, losses)
        title = text(fields.get("title") or "", f"{at}.title")
        citation = {"location": {"web": {"url": text(fields.get("url"), f"{at}.url")}}} | (
            {"title": title} if title else {}
        )
        spans.setdefault((start, end), []).append((at, citation))
    content: list[Block] = []
    done = 0
    for (start, end), found in sorted(spans.items(), key=lambda span: span[0]):
        if start < done:
            for at, _ in found:
                losses.add(at, "what it is about overlaps with that of another")
            continue
        if start > done:
            content.append({"text": said[done:start]})
        citations = [citation for _, citation in found]
        content.append({"citationsContent": {"content": [{"text": said[start:end]}], "citations": citations}})
        done = end
    return content + ([{"text": said[done:]}] if done < len(said) or not content else [])
