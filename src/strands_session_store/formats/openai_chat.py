"""OpenAI, Chat Completions: the ``messages`` of a request, and the message of a choice. Pure.

Rule 1. A system prompt is messages of role system in front, one for each text. Coming back, those of role developer are
        system prompts too; behind the first other message they are lost.
Rule 2. The results of one Strands message are messages of role tool, in front of what else the user said: text before
        a result loses its place, and so does text behind a call of the assistant. Coming back, messages of tools and
        users in a row are joined into one of the user, and those of the assistant into one of it.
Rule 3. A result is text: JSON is kept as text, whose kind is lost; the status error, images and documents are lost.
Rule 4. A refusal is a text in Strands, and its message has ``metadata.custom["refusal"] = True``; the only other of
        ``custom`` that is held is ``custom["name"]``, the name of a user or assistant.
Rule 5. A cache point is the ``prompt_cache_breakpoint`` of the part before it. Reasoning, guarded content, video, and
        media that is not given as bytes are lost. Citations are lost; those of the web come back from answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..errors import FormatError
from .blocks import (
    Block,
    Joined,
    blocks,
    custom,
    items,
    mapping,
    rest,
    system_blocks,
    text,
)
from .conversion import Converted, Dialect, Losses, Restored, several
from .openai_citations import cited, cited_texts
from .openai_parts import (
    ELSEWHERE,
    arguments,
    audio_block,
    audio_fields,
    cache_point,
    document_block,
    file_fields,
    image_block,
    image_url,
    json_as_text,
    set_breakpoint,
    tool_input,
)

_DIALECT: Final = "OpenAI's Chat Completions"
_NOT_HELD: Final = "there is none in this dialect"


def to_openai_chat(
    messages: Sequence[Mapping[str, Any]] | Mapping[str, Any], *, system: Any = None, strict: bool = True
) -> Converted:
    """
    Args:
        messages: Strands' messages, or one.
        system: Strands' system prompt, a text or content blocks; it becomes messages.
        strict: False: what can not be held is left out, and listed.

    Raises:
        FormatError: Something can not be held, or (always) is no content of Strands.
        ValueError: ``messages`` or ``system`` are none.
    """
    losses = Losses(_DIALECT, strict=strict)
    out: list[Dialect] = []
    for place, kind, value in blocks(system_blocks(system), "system", losses):
        if kind == "text":
            out.append({"role": "system", "content": [_text_part(value, place)]})
        elif kind == "cachePoint":
            set_breakpoint(out[-1]["content"] if out else [], value, place, losses)
        else:
            losses.add(place, _NOT_HELD)
    out = [message | {"content": _content(message["content"])} for message in out]
    for i, message in enumerate(several(messages)):
        place = f"messages[{i}]"
        role = message.get("role")
        if role not in ("user", "assistant"):
            raise FormatError(f"{place}.role must be 'user' or 'assistant', not {role!r}")
        out += (_of_user if role == "user" else _of_assistant)(message, place, losses)
    return Converted(out, lost=losses.done())


def _of_user(message: Mapping[str, Any], place: str, losses: Losses) -> list[Dialect]:
    said = custom(message, place, losses, ("name",))
    found = list(blocks(message.get("content"), f"{place}.content", losses))
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
            losses.add(at, "its place: results of tools come first")
    if parts or not results:
        return [*results, {"role": "user", "content": _content(parts)} | _name(said, place)]
    if said:
        losses.add(f"{place}.metadata.custom.name", "a tool's result has no name")
    return results


def _of_assistant(message: Mapping[str, Any], place: str, losses: Losses) -> list[Dialect]:
    said = custom(message, place, losses, ("name", "refusal"))
    parts: list[Dialect] = []
    calls: list[Dialect] = []
    for at, kind, value in blocks(message.get("content"), f"{place}.content", losses):
        if kind == "toolUse":
            calls.append(_call(value, at, losses))
            continue
        before = len(parts)
        if kind == "citationsContent":
            losses.add(at, "citations; their text is kept")
            parts += [{"type": "text", "text": cites} for cites in cited_texts(value, at, losses)]
        elif kind == "text" or (kind == "cachePoint" and not calls):
            _add_part(parts, kind, value, at, losses)
        else:
            losses.add(at, _NOT_HELD)
        if calls and len(parts) > before:
            losses.add(at, "its place: calls of tools come last")
    if "refusal" in said and (said["refusal"] is not True or len(parts) != 1 or len(parts[0]) > 2):
        losses.add(f"{place}.metadata.custom.refusal", "a refusal is one text, and no more, and says True")
    elif "refusal" in said:
        parts = [{"type": "refusal", "refusal": parts[0]["text"]}]
    content = {} if calls and not parts else {"content": _content(parts)}
    return [{"role": "assistant"} | content | ({"tool_calls": calls} if calls else {}) | _name(said, place)]


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


def _text_part(value: object, place: str) -> Dialect:
    return {"type": "text", "text": text(value, place)}


def _add_part(parts: list[Dialect], kind: str, value: object, place: str, losses: Losses) -> None:
    if kind == "text":
        parts.append(_text_part(value, place))
    elif kind == "image":
        if (url := image_url(value, place, losses)) is not None:
            parts.append({"type": "image_url", "image_url": {"url": url}})
    elif kind == "document":
        if (file := file_fields(value, place, losses)) is not None:
            parts.append({"type": "file", "file": file})
    elif kind == "audio":
        if (audio := audio_fields(value, place, losses)) is not None:
            parts.append({"type": "input_audio", "input_audio": audio})
    elif kind == "cachePoint":
        set_breakpoint(parts, value, place, losses)
    else:
        losses.add(place, _NOT_HELD)


def _call(value: object, place: str, losses: Losses) -> Dialect:
    use = mapping(value, place)
    rest(use, ("toolUseId", "name", "input"), place, losses)
    return {
        "id": text(use.get("toolUseId"), f"{place}.toolUseId"),
        "type": "function",
        "function": {
            "name": text(use.get("name"), f"{place}.name"),
            "arguments": arguments(use.get("input"), f"{place}.input", losses),
        },
    }


def _result(value: object, place: str, losses: Losses) -> Dialect:
    result = mapping(value, place)
    rest(result, ("toolUseId", "status", "content"), place, losses)
    if result.get("status") not in (None, "success"):
        losses.add(f"{place}.status", f"{result['status']!r}: a result has no status")
    parts: list[Dialect] = []
    for at, kind, inner in blocks(result.get("content"), f"{place}.content", losses):
        if kind == "text":
            parts.append(_text_part(inner, at))
        elif kind == "json":
            parts += [{"type": "text", "text": kept} for kept in json_as_text(inner, at, losses)]
        else:
            losses.add(at, "a result is text")
    return {
        "role": "tool",
        "tool_call_id": text(result.get("toolUseId"), f"{place}.toolUseId"),
        "content": _content(parts),
    }


# ---------------------------------------------------------------------------------------------------------------- back

_KNOWN: Final = {
    "system": ("role", "content"),
    "developer": ("role", "content"),
    "user": ("role", "content", "name"),
    "tool": ("role", "content", "tool_call_id"),
    # `parsed` is what the client reads out of content
    "assistant": ("role", "content", "name", "refusal", "tool_calls", "annotations", "parsed"),
}


def from_openai_chat(
    messages: Sequence[Mapping[str, Any]] | Mapping[str, Any], *, system: str | None = None, strict: bool = True
) -> Restored:
    """
    Args:
        messages: Messages of a request, or one; what ``ChatCompletionMessage.model_dump()`` gives is one.
        system: A system prompt before those among them.
        strict: False: what Strands can not hold is left out, and listed.

    Raises:
        FormatError: Strands can not hold something, or (always) it is no message of this dialect.
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
            joined.add("user", content, place, name=_named(message, place))
        elif role == "tool":
            call = text(message.get("tool_call_id"), f"{place}.tool_call_id")
            if call in gone:
                losses.add(place, f"the call that it answers ({call!r}) is lost")
                continue
            # the published type has text only; others' servers take images and files here, and Strands holds them
            content = _parts(message.get("content"), place, losses, ("text", "image_url", "file"), points=False)
            result = {"toolUseId": call, "status": "success", "content": content}
            joined.add("user", [{"toolResult": result}], place, unnamed=True)
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
    for i, value in enumerate(items([] if calls is None else calls, f"{place}.tool_calls")):
        at = f"{place}.tool_calls[{i}]"
        call = mapping(value, at)
        key = text(call.get("id"), f"{at}.id")
        if call.get("type") != "function":
            losses.add(at, f"a call of type {call.get('type')!r}: Strands' tools take a JSON object")
            gone.add(key)
            continue
        rest(call, ("id", "type", "function"), at, losses)
        function = mapping(call.get("function"), f"{at}.function")
        rest(function, ("name", "arguments", "parsed_arguments"), f"{at}.function", losses)
        name = text(function.get("name"), f"{at}.function.name")
        input = tool_input(function.get("arguments"), f"{at}.function.arguments", losses)
        content.append({"toolUse": {"toolUseId": key, "name": name, "input": input}})
    joined.add("assistant", content, place, name=_named(message, place), refusals=refusals)


def _named(message: Mapping[str, Any], place: str) -> str | None:
    return None if message.get("name") is None else text(message["name"], f"{place}.name")


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
    for i, value in enumerate(items(content, place)):
        at = f"{place}[{i}]"
        part = mapping(value, at)
        kind = text(part.get("type"), f"{at}.type")
        if kind not in kinds:
            losses.add(at, f"a part of type {kind!r}")
            continue
        rest(part, ("type", kind, *(("prompt_cache_breakpoint",) * points)), at, losses)
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
        out += cache_point(part, at, losses) if points else []
    return out


def _media(kind: str, fields: Mapping[str, Any], place: str, losses: Losses) -> list[Block]:
    if kind == "image_url":
        rest(fields, ("url", "detail", "format"), place, losses)  # Strands' own formatter writes format
        return image_block(fields, "url", place, losses)
    if kind == "file":
        rest(fields, ("file_data", "filename", "file_id"), place, losses)
        if fields.get("file_data") is not None and fields.get("file_id") is not None:
            losses.add(f"{place}.file_id", ELSEWHERE)
        return document_block(fields, place, losses)
    return audio_block(fields, place, losses)
