"""Reasoning, as Responses has it: items that OpenAI takes back under the id it gave them, and no other. Pure.

The signature in Strands is ``<id>:<encrypted content>``; of several texts of an item the first has the encrypted
content. Redacted content is the same in bytes, of an item without texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .conversion import Dialect, Losses
from .fields import listed, mapping, rest, text, typed
from .inner import Block

_IDS: Final = "rs_"


def add_reasoning(out: list[Dialect], value: object, place: str, losses: Losses) -> None:
    """Adds the item of Strands' reasoningContent; further texts of one item go to it."""
    reasoning = mapping(value, place)
    summary: list[Dialect] = []
    if (redacted := reasoning.get("redactedContent")) is not None:
        rest(reasoning, ("redactedContent",), place, losses)
        redacted = typed(redacted, bytes, f"{place}.redactedContent")
        signature = redacted.decode(errors="replace")
        known = signature.encode() == redacted
    else:
        rest(reasoning, ("reasoningText",), place, losses)
        place = f"{place}.reasoningText"
        inner = mapping(reasoning.get("reasoningText"), place)
        rest(inner, ("text", "signature"), place, losses)
        summary = [{"type": "summary_text", "text": text(inner.get("text"), f"{place}.text")}]
        signature = text(inner.get("signature") or "", f"{place}.signature")
        known = True
    id, colon, encrypted = signature.partition(":")
    if not (known and colon and id.startswith(_IDS)):
        losses.add(place, "it came from elsewhere, and OpenAI takes back its own reasoning only, under its id")
        return
    last = out[-1] if out else {}
    if last.get("type") == "reasoning" and last["id"] == id and last["summary"] and summary and not encrypted:
        last["summary"] += summary
        return
    out.append({"type": "reasoning", "id": id, "summary": summary})
    if encrypted:
        out[-1]["encrypted_content"] = encrypted


def reasoning_blocks(item: Mapping[str, Any], place: str, losses: Losses) -> list[Block]:
    """An item, as Strands keeps it. A text of its content comes back as one of its summary."""
    texts: list[str] = []
    for key in ("summary", "content"):
        for at, value in listed(item.get(key) or [], f"{place}.{key}"):
            rest(mapping(value, at), ("type", "text"), at, losses)
            texts.append(text(value.get("text"), f"{at}.text"))
    id = text(item.get("id"), f"{place}.id")
    encrypted = text(item.get("encrypted_content") or "", f"{place}.encrypted_content")
    if not id.startswith(_IDS) or ":" in id:
        losses.add(f"{place}.id", f"{id!r} is none of OpenAI's, so it could not be taken back")
        if encrypted:
            losses.add(f"{place}.encrypted_content", "it is bound to the id")
        return [{"reasoningContent": {"reasoningText": {"text": said}}} for said in texts]
    if not texts:
        redacted = f"{id}:{encrypted}".encode(errors="surrogatepass")
        return [{"reasoningContent": {"redactedContent": redacted}}]
    signatures = [f"{id}:{encrypted}", *[f"{id}:"] * (len(texts) - 1)]
    return [
        {"reasoningContent": {"reasoningText": {"text": said, "signature": signature}}}
        for said, signature in zip(texts, signatures)
    ]
