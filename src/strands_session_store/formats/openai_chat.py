"""OpenAI, Chat Completions: the ``messages`` of a request, and the message of a choice. Pure.

Rule 1. A system prompt is messages of role system in front, one for each text. Coming back, those of role developer are
        system prompts too; behind the first other message they are missing.
Rule 2. The results of one Strands message are messages of role tool, in front of what else the user said, and calls are
        behind what else the assistant said: of text before a result or behind a call only the place is another.
        Coming back, messages of tools and users in a row are joined, and those of the assistant.
Rule 3. A result is text. JSON is kept as text, and without a mark that a tool failed; its images and documents are
        missing.
Rule 4. A refusal is a text in Strands, and its message has ``metadata.custom["refusal"] = True``; of the rest of
        ``custom`` there is ``custom["name"]``, the name of a user or assistant, and all other is missing.
Rule 5. A cache point is the ``prompt_cache_breakpoint`` of the part before it, without how long it lasts.
Rule 6. Images are bytes or at an address; documents and audio are bytes. Of guarded content and citations the text is
        said. What is cited is missing, though citations of the web come back from answers; so are reasoning, video,
        and what is in S3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..errors import FormatError
from .conversion import Converted, Dialect, Losses, Messages, Restored, System, several
from .fields import json_as_text, listed, mapping, rest, text
from .inner import Block, Blocks, Joined, blocks, is_mark, spoken, text_of
from .openai_citations import cited
from .openai_parts import (
    NOT_HELD,
    arguments,
    audio_block,
    audio_fields,
    cache_point,
    call,
    document_block,
    file_fields,
    image_block,
    image_url,
    result,
    set_breakpoint,
    system_parts,
)

_DIALECT: Final = "OpenAI's Chat Completions"


def to_openai_chat(messages: Messages, *, system: System = None, strict: bool = True) -> Converted:
    """
    Args:
        messages: Strands' messages, or one.
        system: Strands' system prompt; it becomes messages.
        strict: What would be missing is refused. False: it is left out, and listed.

    Raises:
        FormatError: Something would be missing, or (always) is no content of Strands.
        ValueError: ``messages`` or ``system`` are none.
    """
    losses = Losses(_DIALECT, strict=strict)
    parts = system_parts(system, "text", losses)
    out: list[Dialect] = [{"role": "system", "content": _content([part])} for part in parts]
    for i, (role, content, custom) in enumerate(spoken(messages, losses, _holds)):
        out += (_of_user if role == "user" else _of_assistant)(content, custom, f"messages[{i}]", losses)
    return Converted(out, lost=losses.done())


def _holds(role: str, name: str) -> bool:
    return name == "name" or (name == "refusal" and role == "assistant")


def _of_user(content: Blocks, custom: dict[str, Any], place: str, losses: Losses) -> list[Dialect]:
    found = list(blocks(content, losses))
    last = max((i for i, (_, kind, _) in enumerate(found) if kind == "toolResult"), default=-1)
    results: list[Dialect] = []
    parts: list[Dialect] = []
    for i, (at, kind, value) in enumerate(found):
        if kind == "toolResult":
            results.append(_result(value, at, losses))
            continue
        before = len(parts)
        _add_part(parts, kind, value, at, losses)
        if i < last and len(parts) > before:
            losses.add(at, "its place: results of tools come first", kept=True)
    if parts or not results:
        return [*results, {"role": "user", "content": _content(parts)} | _name(custom, place)]
    if custom:
        losses.add(f"{place}.metadata.custom.name", "a tool's result has no name")
    return results


def _of_assistant(content: Blocks, custom: dict[str, Any], place: str, losses: Losses) -> list[Dialect]:
    parts: list[Dialect] = []
    calls: list[Dialect] = []
    for at, kind, value in blocks(content, losses):
        if kind == "toolUse":
            key, function = call(value, at, losses)
            calls.append({"id": key, "type": "function", "function": function})
            continue
        before = len(parts)
        if kind == "cachePoint" and calls:
            losses.add(at, "it marks a call, and none can be marked", kept=True)
        elif kind in _MEDIA:
            losses.add(at, NOT_HELD)
        else:
            _add_part(parts, kind, value, at, losses)
        if calls and len(parts) > before:
            losses.add(at, "its place: calls of tools come last", kept=True)
    refused = custom.get("refusal")
    if refused is True and len(parts) == 1 and len(parts[0]) == 2:
        parts = [{"type": "refusal", "refusal": parts[0]["text"]}]
    elif refused is not None:
        why = "a refusal is one text, and no more, and says True"
        losses.add(f"{place}.metadata.custom.refusal", why, kept=is_mark("refusal", refused))
    said = {} if calls and not parts else {"content": _content(parts)}
    return [{"role": "assistant"} | said | ({"tool_calls": calls} if calls else {}) | _name(custom, place)]


def _content(parts: list[Dialect]) -> str | list[Dialect]:
    """Parts, or the text of the only one; an empty text is none."""
    if not parts:
        return ""
    first = parts[0]
    if len(parts) == 1 and first["type"] == "text" and first["text"] and len(first) == 2:
        return str(first["text"])
    return parts


def _name(said: Mapping[str, Any], place: str) -> Dialect:
    return {"name": text(said["name"], f"{place}.metadata.custom.name")} if "name" in said else {}


_MEDIA: Final = ("image", "document", "audio")
"""What only a user says."""


def _add_part(parts: list[Dialect], kind: str, value: object, place: str, losses: Losses) -> None:
    if kind == "cachePoint":
        set_breakpoint(parts, value, place, losses)
    elif kind == "image":
        if (url := image_url(value, place, losses)) is not None:
            parts.append({"type": "image_url", "image_url": {"url": url}})
    elif kind == "document":
        if (file := file_fields(value, place, losses)) is not None:
            parts.append({"type": "file", "file": file})
    elif kind == "audio":
        if (audio := audio_fields(value, place, losses)) is not None:
            parts.append({"type": "input_audio", "input_audio": audio})
    elif (said := text_of(kind, value, place, losses)) is not None:
        parts.append({"type": "text", "text": said})
    else:
        losses.add(place, NOT_HELD)


def _result(value: object, place: str, losses: Losses) -> Dialect:
    key, content = result(value, place, losses)
    parts: list[Dialect] = []
    for at, kind, inner in content:
        said = json_as_text(inner, at, losses) if kind == "json" else text_of(kind, inner, at, losses)
        if said is not None:
            parts.append({"type": "text", "text": said})
        elif kind != "json":
            losses.add(at, "a result is text")
    return {"role": "tool", "tool_call_id": key, "content": _content(parts)}


# ---------------------------------------------------------------------------------------------------------------- back

_KNOWN: Final = {
    "system": ("role", "content"),
    "developer": ("role", "content"),
    "user": ("role", "content", "name"),
    "tool": ("role", "content", "tool_call_id"),
    # `parsed` is what the client reads out of content
    "assistant": ("role", "content", "name", "refusal", "tool_calls", "annotations", "parsed"),
}


def from_openai_chat(messages: Messages, *, system: str | None = None, strict: bool = True) -> Restored:
    """
    Args:
        messages: Messages of a request, or one; what ``ChatCompletionMessage.model_dump()`` gives is one.
        system: A system prompt before those among them.
        strict: What would be missing is refused. False: it is left out, and listed.

    Raises:
        FormatError: Something would be missing, or (always) it is no message of this dialect.
        ValueError: ``messages`` are none.
    """
    losses = Losses("Strands", strict=strict)
    prompts: list[dict[str, Any]] = [{"text": text(system, "system")}] if system else []
    joined = Joined(losses)
    gone: set[str] = set()
    """Ids of calls that are lost: their results are, too."""
    for i, message in enumerate(several(messages)):
        place = f"messages[{i}]"
        role = text(message.get("role"), f"{place}.role")
        if role == "function":
            losses.add(place, "the result of a function_call, which has no id")
            continue
        if role not in _KNOWN:
            raise FormatError(f"{place}.role must be one of {', '.join(map(repr, _KNOWN))}, not {role!r}")
        if role in ("system", "developer") and joined.messages:
            losses.add(place, "a system prompt stands before all messages")
            continue
        rest(message, _KNOWN[role], place, losses)
        if role in ("system", "developer"):
            prompts += _parts(message.get("content"), place, losses, ("text",))
        elif role == "user":
            content = _parts(message.get("content"), place, losses, ("text", "image_url", "file", "input_audio"))
            joined.add("user", content, place, _named(message, place))
        elif role == "tool":
            call = text(message.get("tool_call_id"), f"{place}.tool_call_id")
            if call in gone:
                losses.add(place, f"the call that it answers ({call!r}) is lost")
                continue
            # the published type has text only; others' servers take images and files here, and Strands holds them
            content = _parts(message.get("content"), place, losses, ("text", "image_url", "file"), points=False)
            result = {"toolUseId": call, "status": "success", "content": content}
            joined.add("user", [{"toolResult": result}], place, silent=True)
        else:
            _assistant(message, place, joined, gone, losses)
    return Restored(joined.done(), prompts, losses.done())


def _assistant(message: Mapping[str, Any], place: str, joined: Joined, gone: set[str], losses: Losses) -> None:
    said = message.get("content")
    content: list[Block] = []
    refusals: list[str] = []
    if isinstance(said, str) and message.get("annotations"):
        content = cited(said, message["annotations"], place, losses)
    elif said is not None:
        if message.get("annotations"):
            losses.add(f"{place}.annotations", "they are about parts of a text, and content is none")
        content = _parts(said, place, losses, ("text", "refusal"), refusals)
    if message.get("refusal") is not None:
        content.append({"text": text(message["refusal"], f"{place}.refusal")})
        refusals.append(f"{place}.refusal")
    calls = message.get("tool_calls")
    for at, value in listed([] if calls is None else calls, f"{place}.tool_calls"):
        made = mapping(value, at)
        key = text(made.get("id"), f"{at}.id")
        if made.get("type") != "function":
            losses.add(at, f"a call of type {made.get('type')!r}: Strands' tools take a JSON object")
            gone.add(key)
            continue
        rest(made, ("id", "type", "function"), at, losses)
        function = mapping(made.get("function"), f"{at}.function")
        rest(function, ("name", "arguments", "parsed_arguments"), f"{at}.function", losses)
        name = text(function.get("name"), f"{at}.function.name")
        input = arguments(function.get("arguments"), f"{at}.function.arguments", losses)
        content.append({"toolUse": {"toolUseId": key, "name": name, "input": input}})
    joined.add("assistant", content, place, _named(message, place), refusals=refusals)


def _named(message: Mapping[str, Any], place: str) -> dict[str, Any]:
    return {} if message.get("name") is None else {"name": text(message["name"], f"{place}.name")}


def _parts(
    content: object,
    place: str,
    losses: Losses,
    kinds: tuple[str, ...],
    refusals: list[str] | None = None,
    *,
    points: bool = True,
) -> list[Block]:
    """Strands' blocks of a text or parts; those of other kinds than these are lost, and so are cache points if they are
    not to be."""
    place = f"{place}.content"
    if isinstance(content, str):
        return [{"text": content}] if content else []
    out: list[Block] = []
    for at, value in listed(content, place):
        part = mapping(value, at)
        kind = text(part.get("type"), f"{at}.type")
        if kind not in kinds:
            losses.add(at, f"a part of type {kind!r}")
            continue
        rest(part, ("type", kind, "prompt_cache_breakpoint"), at, losses)
        if kind == "text":
            out.append({"text": text(part.get("text"), f"{at}.text")})
        elif kind == "refusal":
            out.append({"text": text(part.get("refusal"), f"{at}.refusal")})
            if refusals is not None:
                refusals.append(at)
        else:
            held = _media(kind, mapping(part.get(kind), f"{at}.{kind}"), f"{at}.{kind}", losses)
            if not held:
                continue
            out += held
        out += cache_point(part, at, losses, held=points)
    return out


def _media(kind: str, fields: Mapping[str, Any], place: str, losses: Losses) -> list[Block]:
    if kind == "image_url":
        rest(fields, ("url", "detail", "format"), place, losses)  # Strands' own formatter writes format
        return image_block(fields, "url", place, losses)
    if kind == "file":
        rest(fields, ("file_data", "filename", "file_id"), place, losses)
        return document_block(fields, place, losses)
    return audio_block(fields, place, losses)
