"""Contents as Google's generateContent takes and gives them (``google.genai.types.Content``).

    to_gemini(agent.messages, system=agent.system_prompt)
    from_gemini([answer.candidates[0].content.model_dump()])

Written as the service's JSON (``inlineData``, bytes as base64), which Google's client takes as well; read in either
spelling (``inline_data``), with bytes as bytes or base64. ``system`` of the result is the ``systemInstruction``.
Said in other words, and no loss: the name of a result's tool is that of its call. A result is ``{"output": [...]}``
of ``{"text": ...}`` and ``{"json": ...}``, as Strands' own formatter has it, or ``{"error": [...]}``; its images and
documents stand in ``parts``, and ``{"$ref": ...}`` in their place. A document's name is its ``displayName``. A
signature on a part that is no thought is a block of reasoning behind it in Strands, as when Strands hears it itself.
A call without an id is given one, by its number: convert such conversations as a whole; a result without one belongs
to the oldest call of its name that lacks one. An object as a result is JSON. What one role says in a row is one
message in Strands.
Kept in another form: guarded content is its text; cache points, that a message is a refusal, that a document may be
cited.
Missing there: metadata, what is cited (the text is said), redacted reasoning, signatures that are no base64, what is in
S3, a document's context.
Missing here: code run by Google and other tools of its own, metadata of parts, files of types that Strands has not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ..errors import FormatError
from ..messages import snapshot
from . import media
from .conversion import Converted, Dialect, Losses, Messages, Restored, System, several
from .fields import Fields, is_json, listed, tool_input
from .gemini_parts import bytes_of, from_blob, read, sign, to_blob
from .inner import NOTHING, Blocks, Joined, kind_of, prompt, spoken, text_of

_ROLES = {
    "user": "user",
    "model": "assistant",
    "tool": "user",
    "function": "user",
}  # as in Google's examples


def to_gemini(messages: Messages, *, system: System = None, strict: bool = True) -> Converted:
    """Strands' messages for Gemini.

    Args:
        messages: One, or a list. Results of tools need their calls among them.
        system: The system prompt: a text, or Strands' content blocks.
        strict: What would be missing is refused; False: it is left out, and listed. A message of which nothing is left
            is left out itself.

    Raises:
        FormatError: Something would be missing; or (always) is no message of Strands.
        ValueError: ``messages`` is neither.
    """
    losses = Losses("Gemini", strict=strict)
    there = _There(losses)
    instruction = there.parts(prompt(system), only=("text", "guardContent", "cachePoint"))
    out: list[Dialect] = []
    for role, said, _ in spoken(messages, losses):
        parts = there.parts(said)
        if parts or not said:
            out.append({"role": "model" if role == "assistant" else "user", "parts": parts})
    return Converted(out, {"parts": instruction} if instruction else None, losses.done())


def from_gemini(messages: Messages, *, system: Any = None, strict: bool = True) -> Restored:
    """Gemini's contents for Strands.

    Args:
        messages: One, or a list.
        system: The ``systemInstruction``: a text, a content, or a list of parts.
        strict: as in `to_gemini`.

    Raises:
        FormatError: Something would be missing; or (always) is no content of Gemini.
        ValueError: ``messages`` is neither.
    """
    losses = Losses("Strands", strict=strict)
    here = _Here(losses)
    prompts = here.system(system)
    joined = Joined(losses)
    for i, message in enumerate(several(messages)):
        with read(message, place := f"messages[{i}]", losses) as fields:
            role = fields.take("role", str, "user")
            if role not in _ROLES:
                raise FormatError(f"{place}.role must be 'user' or 'model', not {role!r}")
            said = fields.items("parts")
            if (content := here.blocks(said)) or not said:
                joined.add(_ROLES[role], content, place)
    return Restored(joined.done(), prompts, losses.done())


# ----------------------------------------------------------------------------------------------------- to the dialect


class _There:
    """Makes parts; knows the calls that went before."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._names: dict[str, str] = {}
        """Of the tools, by the ids of their calls."""
        self._to: dict[str, Callable[[Fields], Dialect | None]] = {
            "reasoningContent": self._reasoning,
            "toolUse": self._call,
            "toolResult": self._result,
        }

    def parts(self, blocks: Blocks, only: tuple[str, ...] = ()) -> list[Dialect]:
        out = []
        for place, block in blocks:
            kind = kind_of(block, place, self._losses)
            if kind is None:
                continue
            fields = Fields(block, place, self._losses)
            if only and kind not in only:
                fields.lose(kind, NOTHING)
            elif part := self._part(kind, fields):
                out.append(part)
        return out

    def _part(self, kind: str, block: Fields) -> Dialect | None:
        if kind not in media.TYPES and kind not in self._to:
            if (said := text_of(kind, block.any(kind), f"{block.place}.{kind}", self._losses)) is not None:
                return {"text": said}
            block.lose(kind, NOTHING, kept=kind == "cachePoint")
            return None
        with block.inner(kind) as fields:
            return to_blob(kind, fields) if kind in media.TYPES else self._to[kind](fields)

    def _reasoning(self, fields: Fields) -> Dialect | None:
        if "reasoningText" not in fields:
            return None  # and what is redacted is lost
        with fields.inner("reasoningText") as reasoning:
            part: Dialect = {"text": reasoning.take("text", str, ""), "thought": True}
            sign(part, reasoning, "signature")
            return part

    def _call(self, fields: Fields) -> Dialect:
        input = tool_input(fields.any("input"), f"{fields.place}.input", self._losses)
        id, name = fields.take("toolUseId", str), fields.take("name", str)
        self._names[id] = name
        part: Dialect = {"functionCall": {"id": id, "name": name, "args": snapshot(input)}}
        sign(part, fields, "reasoningSignature")
        return part

    def _result(self, fields: Fields) -> Dialect:
        id, status = fields.take("toolUseId", str), fields.take("status", str, "success")
        if (name := self._names.get(id)) is None:
            fields.lose(
                "toolUseId", "its call is not among these messages; the id stands for the tool's name", kept=True
            )
            name = id
        said: list[Any] = []
        parts: list[Dialect] = []
        for place, block in fields.items("content"):
            kind = kind_of(block, place, self._losses)
            if kind is None:
                continue
            inner = Fields(block, place, self._losses)
            if kind == "text":
                said.append({"text": inner.take("text", str)})
            elif kind == "json" and is_json(value := inner.any("json")):
                said.append({"json": snapshot(value)})
            elif kind in ("image", "document") and (part := self._part(kind, inner)):
                (data,) = part.values()
                data.setdefault("displayName", f"part-{len(parts)}")
                said.append({"$ref": data["displayName"]})
                parts.append(part)
            elif kind not in ("image", "document"):
                inner.lose(kind, "JSON can not say it" if kind == "json" else NOTHING)
        response: Dialect = {"id": id, "name": name, "response": {"error" if status == "error" else "output": said}}
        if parts:
            response["parts"] = parts
        return {"functionResponse": response}


# --------------------------------------------------------------------------------------------------------- to Strands


class _Here:
    """Makes blocks; knows the calls that went before."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._open: dict[str, list[str]] = {}
        """By name: the ids that were given to calls without one, and have no result yet."""
        self._given = 0

    def system(self, system: Any) -> list[dict[str, Any]]:
        if system is None or isinstance(system, str):
            return [{"text": system}] if system else []
        if not isinstance(system, Mapping):
            parts = [(place, {"text": p} if isinstance(p, str) else p) for place, p in listed(system, "system")]
            return self.blocks(parts, system=True)
        with Fields(system, "system", self._losses) as fields:
            fields.ignore("role")
            return self.blocks(fields.items("parts"), system=True)

    def blocks(self, parts: Blocks, *, system: bool = False) -> list[dict[str, Any]]:
        out = []
        for place, part in parts:
            with read(part, place, self._losses) as fields:
                thought, signature = fields.take("thought", bool, False), bytes_of(fields, "thoughtSignature")
                made = self._block(fields, thought, media.to_base64(signature) if signature else None)
                texts = [block for block in made if "text" in block]
                if system and len(texts) < len(made):
                    self._losses.add(place, "a system prompt is text")
                out += texts if system else made
        return out

    def _block(self, fields: Fields, thought: bool, signature: str | None) -> list[dict[str, Any]]:
        place = fields.place
        if "functionCall" in fields:
            with read(fields.any("functionCall"), f"{place}.functionCall", self._losses) as inner:
                return [{"toolUse": self._call(inner) | ({"reasoningSignature": signature} if signature else {})}]
        signed = {"signature": signature} if signature else {}
        text = fields.take("text", str, None)
        if thought:
            return [{"reasoningContent": {"reasoningText": {"text": text or "", **signed}}}]
        out: list[dict[str, Any]] = []
        if text or (text is not None and not signature):  # an empty one is there to carry a signature
            out.append({"text": text})
        if (blob := from_blob(fields)) is not None:
            out.append(blob[1])
        if "functionResponse" in fields:
            with read(fields.any("functionResponse"), f"{place}.functionResponse", self._losses) as inner:
                out += self._result(inner)
        if signature:
            out.append({"reasoningContent": {"reasoningText": {"text": "", **signed}}})
        return out

    def _call(self, fields: Fields) -> dict[str, Any]:
        id, name = fields.take("id", str, ""), fields.take("name", str)
        if not id:
            self._given += 1
            id = f"tooluse_{name}_{self._given}"
            self._open.setdefault(name, []).append(id)
        return {"toolUseId": id, "name": name, "input": snapshot(fields.take("args", dict, {}))}

    def _result(self, fields: Fields) -> list[dict[str, Any]]:
        id, name = fields.take("id", str, ""), fields.take("name", str, "")
        if not id and not self._open.get(name):
            self._losses.add(fields.place, f"it has no id, and no call of {name!r} before it lacks a result")
            fields.ignore(*fields)
            return []
        id = id or self._open[name].pop(0)
        response = fields.take("response", dict, {})
        status = "success" if response.get("error") is None else "error"
        content = self._content(response, f"{fields.place}.response", fields.items("parts"))
        return [{"toolResult": {"toolUseId": id, "status": status, "content": content}}]

    def _content(self, response: dict[str, Any], place: str, parts: Blocks) -> list[dict[str, Any]]:
        """What a tool gave; each part where it is referred to, or behind the rest."""
        if not is_json(response):
            self._losses.add(place, "JSON can not say it")
            response = {}
        value = next(iter(response.values())) if set(response) in ({"output"}, {"error"}) else response
        said = value if isinstance(value, list) and all(_is_item(item) for item in value) else []
        refs = [item["$ref"] for item in said if "$ref" in item]
        blobs = []
        for at, part in parts:
            with read(part, at, self._losses) as fields:
                blobs += self._given_back(fields, refs)
        names = [name for name, _ in blobs]
        if value != said or any(refs.count(ref) > names.count(ref) for ref in refs):
            said = [{"text": value} if isinstance(value, str) else {"json": value}] if response else []
        out: list[dict[str, Any]] = []
        for i, item in enumerate(said):
            if "$ref" in item:
                out.append(blobs.pop(names.index(item["$ref"]))[1])
                names.remove(item["$ref"])
            elif "text" in item or "json" in item:
                out.append(snapshot(item))
            else:  # as Strands' own formatter has it
                with read(item, f"{place}[{i}]", self._losses) as fields:
                    out += [block for _, block in self._given_back(fields, ())]
        return out + [block for _, block in blobs]

    def _given_back(self, fields: Fields, refs: Collection[str]) -> list[tuple[str | None, dict[str, Any]]]:
        blob = from_blob(fields, refs)
        if blob is None or "image" in blob[1] or "document" in blob[1]:
            return [blob] if blob else []
        self._losses.add(fields.place, "a tool's result has neither audio nor video")
        return []


def _is_item(item: Any) -> bool:
    if not (isinstance(item, dict) and len(item) == 1):
        return False
    [(kind, value)] = item.items()
    if kind in ("inline_data", "inlineData"):
        return isinstance(value, dict) and {"mime_type", "mimeType"} & value.keys() != set()
    return kind == "json" or (kind in ("text", "$ref") and isinstance(value, str))
