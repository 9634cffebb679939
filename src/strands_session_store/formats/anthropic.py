"""Messages as Anthropic's Messages API takes and gives them (``anthropic.types.MessageParam``, ``Message``).

    to_anthropic(agent.messages, system=agent.system_prompt)       from_anthropic([answer.model_dump()])

``cachePoint`` is the ``cache_control`` of the block before it. What one role says in several messages there is one
message in Strands. A document without a title is named "document": Strands needs a name.
Kept in another form: JSON of a result and documents of text (of which it has no format) are text; guarded content is
its text; that a message is a refusal, cache points behind nothing that can be cached, and how long other than 5m or 1h.
Missing there: metadata, reasoning without a signature, audio, video, what is in S3, documents that are neither PDF nor
text, citations of the web, ``reasoningSignature``.
Missing here: what Anthropic's own tools do (``server_tool_use`` ...), search results, files by id, system messages
behind others. Of an answer, all around its content is left out, but for a refusal: ``metadata.custom["refusal"]``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import FormatError
from ..messages import snapshot
from . import media
from .anthropic_citations import cited, uncited
from .conversion import Converted, Dialect, Losses, Messages, Restored, System, several
from .fields import Fields, json_as_text, listed, tool_input
from .inner import NOTHING, Blocks, Joined, kind_of, prompt, spoken, text_of

_CACHED = frozenset({"text", "image", "document", "tool_use", "tool_result"})
_TTL = ("5m", "1h")
_TEXTS = frozenset({"txt", "csv", "html", "md"})
_ABOUT = ("id", "type", "model", "stop_reason", "stop_sequence", "stop_details", "usage", "container")


def to_anthropic(messages: Messages, *, system: System = None, strict: bool = True) -> Converted:
    """Strands' messages for Anthropic; ``system`` of the result is a list of text blocks.

    Args:
        messages: One, or a list.
        system: The system prompt: a text, or Strands' content blocks.
        strict: What would be missing is refused; False: it is left out, and listed. A message of which nothing is left
            is left out itself.

    Raises:
        FormatError: Something would be missing; or (always) is no message of Strands.
        ValueError: ``messages`` is neither.
    """
    losses = Losses("Anthropic", strict=strict)
    blocks = _content(prompt(system), losses, only=("text", "guardContent"))
    out: list[Dialect] = []
    for role, said, _ in spoken(messages, losses):
        content = _content(said, losses)
        if content or not said:
            out.append({"role": role, "content": content})
    return Converted(out, blocks or None, losses.done())


def from_anthropic(messages: Messages, *, system: Any = None, strict: bool = True) -> Restored:
    """Anthropic's messages for Strands.

    Args:
        messages: One, or a list: what is sent, or what an answer dumps.
        system: A text, or a list of text blocks.
        strict: as in `to_anthropic`.

    Raises:
        FormatError: Something would be missing; or (always) is no message of Anthropic.
        ValueError: ``messages`` is neither.
    """
    losses = Losses("Strands", strict=strict)
    prompts = _restored(_texts(system or None), "system", losses)
    joined = Joined(losses)
    for i, message in enumerate(several(messages)):
        with Fields(message, place := f"messages[{i}]", losses) as fields:
            role = fields.take("role", str)
            if role not in ("user", "assistant", "system"):
                raise FormatError(f"{place}.role must be 'user', 'assistant' or 'system', not {role!r}")
            refused = fields.any("stop_reason") == "refusal"
            fields.ignore(*_ABOUT)
            said = _texts(fields.any("content"))
            if said is None:
                raise FormatError(f"{place}.content is missing")
            if role == "system" and joined.messages:
                fields.lose("content", "a system message behind others")
                continue
            content = _restored(said, f"{place}.content", losses)
            if role == "system":
                prompts += content
            elif content or not said:
                joined.add(role, content, place, {"refusal": True} if refused else {})
    return Restored(joined.done(), prompts, losses.done())


# ---------------------------------------------------------------------------------------------------- to the dialect


def _content(blocks: Blocks, losses: Losses, only: tuple[str, ...] = ()) -> list[Dialect]:
    out: list[Dialect] = []
    before: Dialect | None = None  # a cache point may stand behind it
    for place, block in blocks:
        kind = kind_of(block, place, losses)
        if kind is None:
            before = None
        elif kind == "cachePoint":
            _cache(before, Fields(block, place, losses).inner(kind))
            before = None
        elif only and kind not in only:
            losses.add(f"{place}.{kind}", NOTHING)
        else:
            made = _block(kind, Fields(block, place, losses))
            out += [made] if made else []
            before = made if made and made["type"] in _CACHED else None
    return out


def _cache(before: Dialect | None, fields: Fields) -> None:
    with fields:
        kind, ttl = fields.take("type", str), fields.take("ttl", str, None)
        if before is None or kind != "default":
            why = "no block stands before it that can be cached" if before is None else f"no cache is of type {kind!r}"
            fields.losses.add(fields.place, why, kept=True)
            return
        control = before["cache_control"] = {"type": "ephemeral"}
        if ttl in _TTL:
            control["ttl"] = ttl
        elif ttl is not None:
            fields.lose("ttl", f"it may be {' or '.join(_TTL)}, not {ttl!r}", kept=True)


def _block(kind: str, block: Fields) -> Dialect | None:
    place, losses = f"{block.place}.{kind}", block.losses
    if kind == "json":
        said = json_as_text(block.any(kind), place, losses)
        return None if said is None else {"type": "text", "text": said}
    if kind in _TO:
        with block.inner(kind) as fields:
            return _TO[kind](fields)
    if (said := text_of(kind, block.any(kind), place, losses)) is None:
        block.lose(kind, NOTHING)
        return None
    return {"type": "text", "text": said}


def _image(fields: Fields) -> Dialect | None:
    format = fields.take("format", str)
    data, location = media.source(fields)
    if (address := media.url(location)) is not None:
        address = media.at_address(address, "image", format, fields.place, fields.losses)
        return {"type": "image", "source": {"type": "url", "url": address}}
    if data is None or format not in media.TYPES["image"]:
        fields.losses.add(
            fields.place, "an image that is not on the web" if data is None else f"an image of format {format!r}"
        )
        return None
    kind = media.TYPES["image"][format]
    return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": media.to_base64(data)}}


def _document(fields: Fields) -> Dialect | None:
    format = fields.take("format", str)
    data, location = media.source(fields)
    made: Dialect = {"type": "document"}
    if (address := media.url(location)) is not None and format == "pdf":
        made["source"] = {"type": "url", "url": address}
    elif data is not None and format == "pdf":
        made["source"] = {"type": "base64", "media_type": "application/pdf", "data": media.to_base64(data)}
    elif data is not None and format in _TEXTS and (text := media.utf8(data)) is not None:
        made["source"] = {"type": "text", "media_type": "text/plain", "data": text}
        if format != "txt":
            fields.lose("format", f"a text has no format there; it was {format!r}", kept=True)
    else:
        what = "that is not on the web" if data is None else "that is no UTF-8" if format in _TEXTS else f"({format})"
        fields.losses.add(fields.place, f"a document {what}")
        fields.ignore(*fields)
        return None
    for theirs, said in (("title", media.name_of(fields)), ("context", fields.take("context", str, None))):
        if said is not None:
            made[theirs] = said
    if "citations" in fields:
        with fields.inner("citations") as citations:
            made["citations"] = {"enabled": citations.take("enabled", bool)}
    return made


def _reasoning(fields: Fields) -> Dialect | None:
    if "reasoningText" not in fields:
        return {"type": "redacted_thinking", "data": media.to_base64(fields.take("redactedContent", bytes))}
    with fields.inner("reasoningText") as reasoning:
        text = reasoning.take("text", str, "")
        if signature := reasoning.take("signature", str, ""):
            return {"type": "thinking", "thinking": text, "signature": signature}
    fields.lose("reasoningText", "reasoning without a signature")
    return None


def _tool_use(fields: Fields) -> Dialect:
    input = tool_input(fields.any("input"), f"{fields.place}.input", fields.losses)
    name, id = fields.take("name", str), fields.take("toolUseId", str)
    return {"type": "tool_use", "id": id, "name": name, "input": snapshot(input)}


def _tool_result(fields: Fields) -> Dialect:
    return {
        "type": "tool_result",
        "tool_use_id": fields.take("toolUseId", str),
        "is_error": fields.take("status", str, "success") == "error",
        "content": _content(fields.items("content"), fields.losses, only=("text", "json", "image", "document")),
    }


_TO: dict[str, Callable[[Fields], Dialect | None]] = {
    "image": _image,
    "document": _document,
    "reasoningContent": _reasoning,
    "toolUse": _tool_use,
    "toolResult": _tool_result,
    "citationsContent": cited,
}

# ------------------------------------------------------------------------------------------------------- to Strands


def _texts(content: Any) -> Any:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _restored(content: Any, place: str, losses: Losses, *, result: bool = False) -> list[dict[str, Any]]:
    """Content in Strands' terms: of a message, or of a tool's result, which has fewer kinds."""
    out: list[dict[str, Any]] = []
    kinds = _FROM_RESULT if result else _FROM
    for at, block in listed(content if content is not None else [], place):
        with Fields(block, at, losses) as fields:
            kind = fields.take("type", str)
            if kind not in kinds:
                losses.add(at, f"there is nothing for a block of type {kind!r}")
                fields.ignore(*fields)
                continue
            control = fields.inner("cache_control") if "cache_control" in fields else None
            made = kinds[kind](fields)
            out += [made] if made else []
            if made and control:
                with control:
                    control.ignore("type")
                    ttl = control.take("ttl", str, None)
                if result:
                    fields.lose("cache_control", "in Strands a result has none", kept=True)
                else:
                    out.append({"cachePoint": {"type": "default"} | ({"ttl": ttl} if ttl else {})})
    return out


def _a_text(fields: Fields) -> dict[str, Any]:
    return uncited(fields) if "citations" in fields else _a_plain_text(fields)


def _a_plain_text(fields: Fields) -> dict[str, Any]:
    return {"text": fields.take("text", str)}


def _an_image(fields: Fields) -> dict[str, Any] | None:
    with fields.inner("source") as source:
        if (kind := source.take("type", str)) == "url":
            return {"image": media.at(source.take("url", str), "image", f"{source.place}.url", source.losses)}
        if kind == "base64":
            found = media.kind_and_format(source.take("media_type", str))
            if found and found[0] == "image":
                return {"image": {"format": found[1], "source": {"bytes": _bytes(source, "data")}}}
        source.ignore(*source)
    fields.lose("source", f"an image (type {kind!r}) that is not of Strands' formats, as bytes or an address")
    return None


def _a_document(fields: Fields) -> dict[str, Any] | None:
    document: dict[str, Any] = {"format": "pdf", "name": fields.take("title", str, media.UNNAMED)}
    with fields.inner("source") as source:
        kind = source.take("type", str)
        if kind == "url":
            document["source"] = {"location": {"type": "url", "uri": source.take("url", str)}}  # it is for PDFs only
        elif kind == "base64":
            source.ignore("media_type")  # there is only one
            document["source"] = {"bytes": _bytes(source, "data")}
        elif kind == "text":
            source.ignore("media_type")
            document |= {"format": "txt", "source": {"bytes": source.take("data", str).encode()}}
        else:
            source.ignore(*source)
            fields.losses.add(fields.place, f"a document (type {kind!r}) that is neither bytes, text nor an address")
            fields.ignore(*fields)
            return None
    if (context := fields.take("context", str, None)) is not None:
        document["context"] = context
    if "citations" in fields:
        with fields.inner("citations") as citations:
            document["citations"] = {"enabled": citations.take("enabled", bool, False)}
    return {"document": document}


def _bytes(fields: Fields, name: str) -> bytes:
    if (data := media.from_base64(fields.take(name, str))) is None:
        raise FormatError(f"{fields.place}.{name} must be base64")
    return data


def _thinking(fields: Fields) -> dict[str, Any]:
    text, signature = fields.take("thinking", str), fields.take("signature", str, "")
    return {"reasoningContent": {"reasoningText": {"text": text} | ({"signature": signature} if signature else {})}}


def _redacted(fields: Fields) -> dict[str, Any] | None:
    text = fields.take("data", str)
    if (data := media.from_base64(text)) is not None and media.to_base64(data) == text:
        return {"reasoningContent": {"redactedContent": data}}
    fields.lose("data", "it is no base64 that bytes give back as it is")  # and Anthropic wants it back as it is
    return None


def _a_call(fields: Fields) -> dict[str, Any]:
    if fields.any("caller") not in (None, {"type": "direct"}):
        fields.lose("caller", "Strands' calls are the model's own")
    id, name = fields.take("id", str), fields.take("name", str)
    return {"toolUse": {"toolUseId": id, "name": name, "input": snapshot(fields.take("input", dict, {}))}}


def _a_result(fields: Fields) -> dict[str, Any]:
    id, failed = fields.take("tool_use_id", str), fields.take("is_error", bool, False)
    content = _restored(_texts(fields.any("content")), f"{fields.place}.content", fields.losses, result=True)
    return {"toolResult": {"toolUseId": id, "status": "error" if failed else "success", "content": content}}


_FROM: dict[str, Callable[[Fields], dict[str, Any] | None]] = {
    "text": _a_text,
    "image": _an_image,
    "document": _a_document,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _a_call,
    "tool_result": _a_result,
}
_FROM_RESULT = {"text": _a_plain_text, "image": _an_image, "document": _a_document}
