"""Citations of the web, as OpenAI's two dialects have them: annotations, which say what part of a text they are about.

In Strands what is cited is a block of its own, so a text comes apart where citations begin and end, and no place in it
is lost. Pure.
"""

from __future__ import annotations

from typing import Any

from .blocks import Block, blocks, items, mapping, rest, text
from .conversion import Dialect, Losses


def cited_texts(value: object, place: str, losses: Losses) -> list[str]:
    """The texts of Strands' citationsContent."""
    content = mapping(value, place).get("content")
    found = list(blocks([] if content is None else content, f"{place}.content", losses))
    for at, kind, _ in found:
        if kind != "text":
            losses.add(at, "what cites is text")
    return [text(said, at) for at, kind, said in found if kind == "text"]


def annotated(value: object, place: str, losses: Losses) -> Dialect:
    """The text of citationsContent, with those of its citations that are of the web, about all of it."""
    block = mapping(value, place)
    rest(block, ("content", "citations"), place, losses)
    texts = cited_texts(block, place, losses)
    said = "".join(texts)
    if len(texts) != 1:
        losses.add(f"{place}.content", "that it is of several texts; they are kept as one")
    annotations: list[Dialect] = []
    citations = items(block.get("citations") or [], f"{place}.citations")
    for i, citation in enumerate(citations):
        at = f"{place}.citations[{i}]"
        citation = mapping(citation, at)
        location = mapping(citation.get("location") or {}, f"{at}.location")
        web = mapping(location.get("web") or {}, f"{at}.location.web")
        if web.get("url") is None or not said:
            losses.add(at, "a citation is of the web, and of a text")
            continue
        rest(citation, ("location", "title"), at, losses)
        rest(location, ("web",), f"{at}.location", losses)
        rest(web, ("url",), f"{at}.location.web", losses)
        if citation.get("title") == "":
            losses.add(f"{at}.title", "an empty one is none")
        annotations.append(
            {
                "type": "url_citation",
                "start_index": 0,
                "end_index": len(said),
                "title": text(citation.get("title") or "", f"{at}.title"),
                "url": text(web["url"], f"{at}.location.web.url"),
            }
        )
    if not citations:
        losses.add(f"{place}.citations", "there are none, so it is a text")
    return {"type": "output_text", "text": said, "annotations": annotations}


def cited(said: str, annotations: object, place: str, losses: Losses) -> list[Block]:
    """A text with citations of the web: what they are about becomes blocks of its own, so no place in it is lost."""
    place = f"{place}.annotations"
    spans: dict[tuple[int, int], list[tuple[str, dict[str, Any]]]] = {}
    for i, annotation in enumerate(items([] if annotations is None else annotations, place)):
        at = f"{place}[{i}]"
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
    if not spans:
        return [{"text": said}]
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
    return content + ([{"text": said[done:]}] if done < len(said) else [])
