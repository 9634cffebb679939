"""OpenAI, Responses: the ``input`` of a request and its ``instructions``, and the ``output`` of a response. Pure.

Rule 1. Items are in the order of Strands' blocks: what the user said, results, reasoning, calls and what the assistant
        said, each an item of its own. Coming back, items of one side in a row are joined into one message.
Rule 2. A system prompt of one text is ``instructions`` (``Converted.system``); of several, a message of role system in
        front. Coming back, system and developer messages in front are system prompts; elsewhere they are missing.
Rule 3. Reasoning is bound to its item's id, and OpenAI refuses it under any other (see `openai_reasoning`). What came
        from elsewhere is missing.
Rule 4. A result is text, images and documents. JSON is kept as text, and without a mark that a tool failed.
Rule 5. A refusal is a text in Strands, and its message has ``metadata.custom["refusal"] = True``. All other of
        ``custom`` is missing.
Rule 6. Citations of the web are held, others are missing. A cache point is the ``prompt_cache_breakpoint`` of the
        user's part before it, without how long it lasts. Of guarded content the text is said.
Rule 7. Images are bytes or at an address, and so are documents; one at an address has no name. Audio, video, what is
        in S3 or in OpenAI's own files, and items of OpenAI's own tools are missing.
Rule 8. Ids but those of calls and reasoning, an item's status and a text's ``logprobs`` say something about an item,
        not in it: they are left out without a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..errors import FormatError
from .conversion import Converted, Dialect, Losses, Messages, Restored, System, several
from .fields import json_as_text, listed, mapping, rest, text
from .inner import Block, Blocks, Joined, blocks, is_mark, spoken, text_of
from .openai_citations import annotated, cited
from .openai_parts import (
    NOT_HELD,
    arguments,
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
from .openai_reasoning import add_reasoning, reasoning_blocks

_DIALECT: Final = "OpenAI's Responses"


def to_openai_responses(messages: Messages, *, system: System = None, strict: bool = True) -> Converted:
    """
    Args:
        messages: Strands' messages, or one.
        system: Strands' system prompt.
        strict: What would be missing is refused. False: it is left out, and listed.

    Returns:
        Items; and ``instructions``, if the system prompt is one text.

    Raises:
        FormatError: Something would be missing, or (always) is no content of Strands.
        ValueError: ``messages`` or ``system`` are none.
    """
    losses = Losses(_DIALECT, strict=strict)
    parts = system_parts(system, "input_text", losses)
    plain = len(parts) == 1 and len(parts[0]) == 2 and parts[0]["text"]
    out: list[Dialect] = [{"role": "system", "content": parts}] if parts and not plain else []
    for i, (role, content, custom) in enumerate(spoken(messages, losses, _holds)):
        made = _of_user(content, losses) if role == "user" else _of_assistant(content, custom, i, losses)
        out += made or [{"role": role, "content": ""}]
    return Converted(out, plain or None, losses.done())


def _holds(role: str, name: str) -> bool:
    return name == "refusal" and role == "assistant"


def _of_user(content: Blocks, losses: Losses) -> list[Dialect]:
    out: list[Dialect] = []
    parts: list[Dialect] = []
    for at, kind, value in blocks(content, losses):
        if kind != "toolResult":
            before = len(parts)
            _add_part(parts, kind, value, at, losses)
            if not before and parts:
                out.append({"role": "user", "content": parts})
            continue
        out.append(_result(value, at, losses))
        parts = []
    return out


def _of_assistant(content: Blocks, custom: dict[str, Any], index: int, losses: Losses) -> list[Dialect]:
    found = list(blocks(content, losses))
    kinds = {kind for _, kind, _ in found}
    refused = custom.get("refusal")
    if refused is not None and (refused is not True or "text" not in kinds or "citationsContent" in kinds):
        why = "a refusal is text, without citations, and says True"
        losses.add(f"messages[{index}].metadata.custom.refusal", why, kept=is_mark("refusal", refused))
        refused = None
    out: list[Dialect] = []
    for at, kind, value in found:
        if kind == "toolUse":
            key, function = call(value, at, losses)
            out.append({"type": "function_call", "call_id": key} | function)
        elif kind == "reasoningContent":
            add_reasoning(out, value, at, losses)
        elif kind == "citationsContent":
            out.append(_output(index, len(out), annotated(value, at, losses)))
        elif kind == "text" and refused:
            out.append(_output(index, len(out), {"type": "refusal", "refusal": text(value, at)}))
        elif kind == "cachePoint":
            losses.add(at, "it marks a part, and of the assistant none can be marked", kept=True)
        elif said := text_of(kind, value, at, losses):
            out.append({"role": "assistant", "content": said})
        elif said is not None:
            out.append(_output(index, len(out), {"type": "output_text", "text": said, "annotations": []}))
        else:
            losses.add(at, NOT_HELD)
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
    if kind == "image":
        if (url := image_url(value, place, losses)) is not None:
            parts.append({"type": "input_image", "detail": "auto", "image_url": url})
    elif kind == "document":
        if (file := file_fields(value, place, losses, urls=True)) is not None:
            parts.append({"type": "input_file"} | file)
    elif kind == "cachePoint":
        set_breakpoint(parts, value, place, losses)
    elif (said := text_of(kind, value, place, losses)) is not None:
        parts.append({"type": "input_text", "text": said})
    else:
        losses.add(place, NOT_HELD)


def _result(value: object, place: str, losses: Losses) -> Dialect:
    key, content = result(value, place, losses)
    parts: list[Dialect] = []
    for at, kind, inner in content:
        if kind != "json":
            _add_part(parts, kind, inner, at, losses)
        elif (said := json_as_text(inner, at, losses)) is not None:
            parts.append({"type": "input_text", "text": said})
    alone = not parts or (len(parts) == 1 and len(parts[0]) == 2 and parts[0].get("text"))
    output = (parts[0]["text"] if parts else "") if alone else parts
    return {"type": "function_call_output", "call_id": key, "output": output}


# ---------------------------------------------------------------------------------------------------------------- back

_ABOUT: Final = ("type", "id", "status")
_KNOWN: Final = {
    "message": (*_ABOUT, "role", "content"),
    # `parsed_arguments` is what the client reads out of arguments; the name of a result's tool is that of its call
    "function_call": (*_ABOUT, "call_id", "name", "arguments", "parsed_arguments"),
    "function_call_output": (*_ABOUT, "call_id", "output", "name"),
    "reasoning": (*_ABOUT, "summary", "content", "encrypted_content"),
}


def from_openai_responses(messages: Messages, *, system: str | None = None, strict: bool = True) -> Restored:
    """
    Args:
        messages: Items of a request or a response, or one; what ``model_dump()`` gives of ``Response.output`` are some.
        system: The ``instructions``.
        strict: What would be missing is refused. False: it is left out, and listed.

    Raises:
        FormatError: Something would be missing, or (always) it is no item of this dialect.
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
                "input": arguments(item.get("arguments"), f"{place}.arguments", losses),
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
    for at, value in listed(content, place):
        part = mapping(value, at)
        kind = text(part.get("type"), f"{at}.type")
        if kind not in kinds:
            losses.add(at, f"a part of type {kind!r}")
            continue
        rest(part, ("type", *_FIELDS[kind], "prompt_cache_breakpoint"), at, losses)
        if kind == "output_text":
            held = cited(text(part.get("text"), f"{at}.text"), part.get("annotations"), at, losses)
        elif kind == "refusal":
            held = [{"text": text(part.get("refusal"), f"{at}.refusal")}]
            if refusals is not None:
                refusals.append(at)
        elif kind == "input_text":
            held = [{"text": text(part.get("text"), f"{at}.text")}]
        else:
            held = (
                image_block(part, "image_url", at, losses)
                if kind == "input_image"
                else document_block(part, at, losses)
            )
        if held:
            out += held
            out += cache_point(part, at, losses, held=points)
    return out
