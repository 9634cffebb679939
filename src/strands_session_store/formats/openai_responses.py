"""OpenAI, Responses: the ``input`` of a request and its ``instructions``, and the ``output`` of a response. Pure.

Rule 1. Items are in the order of Strands' blocks: what the user said, results, reasoning, calls and what the assistant
        said, each an item of its own. Coming back, items of one side in a row are joined into one message.
Rule 2. A system prompt of one text is ``instructions`` (``Converted.system``); of several, a message of role system in
        front. Coming back, system and developer messages in front are system prompts; elsewhere they are lost.
Rule 3. Reasoning is bound to its item's id, and OpenAI refuses it under any other. The signature of reasoning that came
        from there is ``<id>:<encrypted content>``; of several texts the first has the encrypted content. Redacted
        content is the same in bytes, of an item without texts. Any other reasoning is lost.
Rule 4. A result is text, images and documents: JSON is kept as text, whose kind is lost; the status error is lost.
Rule 5. A refusal is a text in Strands, and its message has ``metadata.custom["refusal"] = True``. Nothing else of
        ``custom`` is held.
Rule 6. Citations of the web are kept. A cache point is the ``prompt_cache_breakpoint`` of the user's part before it.
        Guarded content, audio, video, media that is not given as bytes, and items of OpenAI's own tools are lost.
Rule 7. Ids but those of calls and reasoning, an item's status and a text's ``logprobs`` say something about an item,
        not in it: they are left out without a word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..errors import FormatError
from .blocks import Block, Joined, blocks, custom, items, mapping, rest, system_blocks, text
from .conversion import Converted, Dialect, Losses, Restored, several
from .openai_citations import annotated, cited
from .openai_parts import (
    ELSEWHERE,
    arguments,
    cache_point,
    document_block,
    file_fields,
    image_block,
    image_url,
    json_as_text,
    set_breakpoint,
    tool_input,
)
from .openai_reasoning import add_reasoning, reasoning_blocks

_DIALECT: Final = "OpenAI's Responses"
_NOT_HELD: Final = "there is none in this dialect"


def to_openai_responses(
    messages: Sequence[Mapping[str, Any]] | Mapping[str, Any], *, system: Any = None, strict: bool = True
) -> Converted:
    """
    Args:
        messages: Strands' messages, or one.
        system: Strands' system prompt, a text or content blocks.
        strict: False: what can not be held is left out, and listed.

    Returns:
        Items; and ``instructions``, if the system prompt is one text.

    Raises:
        FormatError: Something can not be held, or (always) is no content of Strands.
        ValueError: ``messages`` or ``system`` are none.
    """
    losses = Losses(_DIALECT, strict=strict)
    parts: list[Dialect] = []
    for place, kind, value in blocks(system_blocks(system), "system", losses):
        if kind in ("text", "cachePoint"):
            _add_part(parts, kind, value, place, losses)
        else:
            losses.add(place, _NOT_HELD)
    plain = len(parts) == 1 and len(parts[0]) == 2 and parts[0]["text"]
    out: list[Dialect] = [{"role": "system", "content": parts}] if parts and not plain else []
    for i, message in enumerate(several(messages)):
        place = f"messages[{i}]"
        role = message.get("role")
        if role not in ("user", "assistant"):
            raise FormatError(f"{place}.role must be 'user' or 'assistant', not {role!r}")
        made = (_of_user if role == "user" else _of_assistant)(message, i, losses)
        out += made or [{"role": role, "content": ""}]
    return Converted(out, plain or None, losses.done())


def _of_user(message: Mapping[str, Any], index: int, losses: Losses) -> list[Dialect]:
    place = f"messages[{index}]"
    custom(message, place, losses, ())
    out: list[Dialect] = []
    parts: list[Dialect] = []
    for at, kind, value in blocks(message.get("content"), f"{place}.content", losses):
        if kind != "toolResult":
            before = len(parts)
            _add_part(parts, kind, value, at, losses)
            if not before and parts:
                out.append({"role": "user", "content": parts})
            continue
        out.append(_result(value, at, losses))
        parts = []
    return out


def _of_assistant(message: Mapping[str, Any], index: int, losses: Losses) -> list[Dialect]:
    place = f"messages[{index}]"
    said = custom(message, place, losses, ("refusal",))
    found = list(blocks(message.get("content"), f"{place}.content", losses))
    refused = bool(said)
    kinds = {kind for _, kind, _ in found}
    if refused and (said["refusal"] is not True or "text" not in kinds or "citationsContent" in kinds):
        losses.add(f"{place}.metadata.custom.refusal", "a refusal is text, without citations, and says True")
        refused = False
    out: list[Dialect] = []
    for at, kind, value in found:
        if kind == "toolUse":
            out.append(_call(value, at, losses))
        elif kind == "reasoningContent":
            add_reasoning(out, value, at, losses)
        elif kind == "citationsContent":
            out.append(_output(index, len(out), annotated(value, at, losses)))
        elif kind == "text" and refused:
            out.append(_output(index, len(out), {"type": "refusal", "refusal": text(value, at)}))
        elif kind == "text" and value:
            out.append({"role": "assistant", "content": text(value, at)})
        elif kind == "text":
            empty = {"type": "output_text", "text": text(value, at), "annotations": []}
            out.append(_output(index, len(out), empty))
        else:
            losses.add(at, _NOT_HELD)
    return out


def _output(index: int, item: int, part: Dialect) -> Dialect:
    """An output message, which has to have an id; a plain text needs none."""
    return {
        "type": "message",
        "id": f"msg_{index}_{item}",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }


def _add_part(parts: list[Dialect], kind: str, value: object, place: str, losses: Losses) -> None:
    if kind == "text":
        parts.append({"type": "input_text", "text": text(value, place)})
    elif kind == "image":
        if (url := image_url(value, place, losses)) is not None:
            parts.append({"type": "input_image", "detail": "auto", "image_url": url})
    elif kind == "document":
        if (file := file_fields(value, place, losses)) is not None:
            parts.append({"type": "input_file"} | file)
    elif kind == "cachePoint":
        set_breakpoint(parts, value, place, losses)
    else:
        losses.add(place, _NOT_HELD)


def _result(value: object, place: str, losses: Losses) -> Dialect:
    result = mapping(value, place)
    rest(result, ("toolUseId", "status", "content"), place, losses)
    if result.get("status") not in (None, "success"):
        losses.add(f"{place}.status", f"{result['status']!r}: a result has no status")
    parts: list[Dialect] = []
    for at, kind, inner in blocks(result.get("content"), f"{place}.content", losses):
        if kind == "json":
            parts += [{"type": "input_text", "text": kept} for kept in json_as_text(inner, at, losses)]
        elif kind in ("text", "image", "document"):
            _add_part(parts, kind, inner, at, losses)
        else:
            losses.add(at, _NOT_HELD)
    alone = not parts or (len(parts) == 1 and parts[0].get("text"))
    return {
        "type": "function_call_output",
        "call_id": text(result.get("toolUseId"), f"{place}.toolUseId"),
        "output": (parts[0]["text"] if parts else "") if alone else parts,
    }


def _call(value: object, place: str, losses: Losses) -> Dialect:
    use = mapping(value, place)
    rest(use, ("toolUseId", "name", "input"), place, losses)
    return {
        "type": "function_call",
        "call_id": text(use.get("toolUseId"), f"{place}.toolUseId"),
        "name": text(use.get("name"), f"{place}.name"),
        "arguments": arguments(use.get("input"), f"{place}.input", losses),
    }


# ---------------------------------------------------------------------------------------------------------------- back

_ABOUT: Final = ("type", "id", "status")
_KNOWN: Final = {
    "message": (*_ABOUT, "role", "content"),
    # `parsed_arguments` is what the client reads out of arguments; the name of a result's tool is that of its call
    "function_call": (*_ABOUT, "call_id", "name", "arguments", "parsed_arguments"),
    "function_call_output": (*_ABOUT, "call_id", "output", "name"),
    "reasoning": (*_ABOUT, "summary", "content", "encrypted_content"),
}


def from_openai_responses(
    messages: Sequence[Mapping[str, Any]] | Mapping[str, Any], *, system: str | None = None, strict: bool = True
) -> Restored:
    """
    Args:
        messages: Items of a request or a response, or one; what ``model_dump()`` gives of ``Response.output`` are some.
        system: The ``instructions``.
        strict: False: what Strands can not hold is left out, and listed.

    Raises:
        FormatError: Strands can not hold something, or (always) it is no item of this dialect.
        ValueError: ``messages`` are none.
    """
    losses = Losses("Strands", strict=strict)
    prompts: list[dict[str, Any]] = [{"text": text(system, "system")}] if system else []
    joined = Joined(losses)
    for i, item in enumerate(several(messages)):
        place = f"messages[{i}]"
        kind = "message" if "role" in item and item.get("type") is None else text(item.get("type"), f"{place}.type")
        if kind not in _KNOWN:
            losses.add(place, f"an item of type {kind!r}")
            continue
        rest(item, (*_KNOWN[kind], *_directly(item)), place, losses)
        if kind == "message":
            _message(item, place, joined, prompts, losses)
        elif kind == "function_call":
            use = {
                "toolUseId": text(item.get("call_id"), f"{place}.call_id"),
                "name": text(item.get("name"), f"{place}.name"),
                "input": tool_input(item.get("arguments"), f"{place}.arguments", losses),
            }
            joined.add("assistant", [{"toolUse": use}], place)
        elif kind == "function_call_output":
            result = {
                "toolUseId": text(item.get("call_id"), f"{place}.call_id"),
                "status": "success",
                "content": _parts(item.get("output"), f"{place}.output", losses, _INPUT, points=False),
            }
            joined.add("user", [{"toolResult": result}], place)
        elif reasoning := reasoning_blocks(item, place, losses):
            joined.add("assistant", reasoning, place)
    return Restored(joined.done(), prompts, losses.done())


def _directly(item: Mapping[str, Any]) -> tuple[str, ...]:
    """A call is made directly, if nothing else is said."""
    return ("caller",) if item.get("caller") == {"type": "direct"} else ()


def _message(
    item: Mapping[str, Any], place: str, joined: Joined, prompts: list[dict[str, Any]], losses: Losses
) -> None:
    role = item.get("role")
    content = item.get("content")
    if role in ("system", "developer"):
        if joined.messages:
            losses.add(place, "a system prompt stands before all messages")
        else:
            prompts += _parts(content, f"{place}.content", losses, ("input_text",))
    elif role == "user":
        joined.add("user", _parts(content, f"{place}.content", losses, _INPUT), place)
    elif role == "assistant":
        refusals: list[str] = []
        kinds = ("output_text", "refusal", "input_text")
        joined.add("assistant", _parts(content, f"{place}.content", losses, kinds, refusals), place, refusals=refusals)
    else:
        raise FormatError(f"{place}.role must be 'user', 'assistant', 'system' or 'developer', not {role!r}")


_INPUT: Final = ("input_text", "input_image", "input_file")
_FIELDS: Final = {
    "input_text": ("text",),
    "input_image": ("image_url", "detail", "file_id"),
    "input_file": ("file_data", "filename", "file_id", "file_url", "detail"),
    "output_text": ("text", "annotations", "logprobs", "parsed"),
    "refusal": ("refusal",),
}


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
        rest(part, ("type", *_FIELDS[kind], *(("prompt_cache_breakpoint",) * points)), at, losses)
        if kind == "output_text":
            held = cited(text(part.get("text"), f"{at}.text"), part.get("annotations"), at, losses)
        elif kind == "refusal":
            held = [{"text": text(part.get("refusal"), f"{at}.refusal")}]
            if refusals is not None:
                refusals.append(at)
        elif kind == "input_text":
            held = [{"text": text(part.get("text"), f"{at}.text")}]
        else:
            held = _media(kind, part, at, losses)
        if held:
            out += held
            out += cache_point(part, at, losses) if points else []
    return out


def _media(kind: str, part: Mapping[str, Any], place: str, losses: Losses) -> list[Block]:
    given = "image_url" if kind == "input_image" else "file_data"
    for key in ("file_id", "file_url"):
        if part.get(key) is not None:
            losses.add(f"{place}.{key}", ELSEWHERE)
    if part.get(given) is None:
        return []
    if kind == "input_image":
        return image_block(part, given, place, losses)
    if (detail := part.get("detail")) not in (None, "auto"):
        losses.add(f"{place}.detail", f"{detail!r}, of what Strands says nothing")
    return document_block(part, place, losses)
