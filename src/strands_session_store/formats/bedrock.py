"""Messages as Amazon Bedrock's Converse takes and gives them. Strands' own form was made after it.

    to_bedrock(agent.messages, system=agent.system_prompt)      from_bedrock([response["output"]["message"]])

Kept in another form: a mark that the service does not have (that a message is a refusal, another ``ttl``, ``status`` or
``qualifier``). Missing there is what Strands adds: metadata, ``reasoningSignature``, locations other than S3. Missing
here is what the
service has beyond Strands: search results, tools added or removed, its own tools' calls, documents in chunks, images
to be guarded, system messages behind others. A document given as text is bytes in Strands. What one role says in
several messages is one in Strands. The tables below say what the service's model has; what else it asks for (of
patterns, lengths, numbers of blocks, what one of its models takes) is left to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from ..errors import FormatError
from ..messages import snapshot
from . import media
from .conversion import Converted, Dialect, Losses, Messages, Restored, System, several
from .fields import Fields, is_json, listed, typed
from .inner import NOTHING, Joined, kind_of, prompt, spoken

# ------------------------------------------------------------------------------------------------------------ shapes


@dataclass(frozen=True, slots=True)
class _Dict:
    """A dict of these fields; without one that it needs it can not be held."""

    fields: Mapping[str, _Shape]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _OneOf:
    """A dict of one of these fields."""

    fields: Mapping[str, _Shape]


@dataclass(frozen=True, slots=True)
class _List:
    of: _Shape


@dataclass(frozen=True, slots=True)
class _Leaf:
    kind: type
    most: tuple[str, ...] = ()
    """What it may be; empty: anything."""
    filled: bool = False
    """Whether it may not be empty."""


class _Json:
    """Anything that JSON can say."""


class _Input(_Json):
    """The same for a call, which stays where it can not be said, with an empty object: its result needs it."""


class _Source:
    """The ``source`` of media, written in two ways."""


_Shape: TypeAlias = "_Dict | _OneOf | _List | _Leaf | type[_Json | _Source]"

_TEXT, _NAME, _NUMBER, _FLAG = _Leaf(str), _Leaf(str, filled=True), _Leaf(int), _Leaf(bool)
_TEXTS = _List(_OneOf({"text": _TEXT}))


def _media(kind: str) -> _Dict:
    return _Dict({"format": _Leaf(str, tuple(media.TYPES[kind])), "source": _Source}, ("format", "source"))


def _span(index: str) -> _Dict:
    return _Dict({index: _NUMBER, "start": _NUMBER, "end": _NUMBER})


_DOCUMENT = _Dict(
    {
        "format": _Leaf(str, tuple(media.TYPES["document"])),
        "name": _NAME,
        "source": _Source,
        "context": _TEXT,
        "citations": _Dict({"enabled": _FLAG}, ("enabled",)),
    },
    ("name", "source"),
)
_LOCATION = _OneOf(
    {
        "web": _Dict({"url": _TEXT, "domain": _TEXT}),
        "documentChar": _span("documentIndex"),
        "documentPage": _span("documentIndex"),
        "documentChunk": _span("documentIndex"),
        "searchResultLocation": _span("searchResultIndex"),
    }
)
_CITATION = _Dict({"title": _TEXT, "source": _TEXT, "sourceContent": _TEXTS, "location": _LOCATION})
_IN_RESULT = _OneOf(
    {"text": _TEXT, "json": _Json, "image": _media("image"), "document": _DOCUMENT, "video": _media("video")}
)
_GUARDED = _Dict(
    {"text": _TEXT, "qualifiers": _List(_Leaf(str, ("grounding_source", "query", "guard_content")))}, ("text",)
)
_CACHE = _Dict({"type": _Leaf(str, ("default",)), "ttl": _Leaf(str, ("5m", "1h"))}, ("type",))
_REASON = _Dict({"text": _TEXT, "signature": _TEXT}, ("text",))
_SYSTEM: Final = _OneOf({"text": _NAME, "cachePoint": _CACHE, "guardContent": _OneOf({"text": _GUARDED})})
_BLOCK: Final = _OneOf(
    {
        "text": _TEXT,
        "image": _media("image"),
        "document": _DOCUMENT,
        "video": _media("video"),
        "audio": _media("audio"),
        "toolUse": _Dict({"toolUseId": _NAME, "name": _NAME, "input": _Input}, ("toolUseId", "name", "input")),
        "toolResult": _Dict(
            {"toolUseId": _NAME, "status": _Leaf(str, ("success", "error")), "content": _List(_IN_RESULT)},
            ("toolUseId", "content"),
        ),
        "guardContent": _OneOf({"text": _GUARDED}),
        "cachePoint": _CACHE,
        "reasoningContent": _OneOf({"reasoningText": _REASON, "redactedContent": _Leaf(bytes)}),
        "citationsContent": _Dict({"content": _TEXTS, "citations": _List(_CITATION)}),
    }
)

# --------------------------------------------------------------------------------------------------------- conversion


def to_bedrock(messages: Messages, *, system: System = None, strict: bool = True) -> Converted:
    """Strands' messages for Converse; ``system`` of the result is a list of its system blocks.

    Args:
        messages: One, or a list.
        system: The system prompt: a text, or Strands' content blocks.
        strict: What would be missing is refused; False: it is left out, and listed. A message of which nothing is left
            is left out itself.

    Raises:
        FormatError: Something would be missing; or (always) is no message of Strands.
        ValueError: ``messages`` is neither.
    """
    losses = Losses("Bedrock", strict=strict)
    kept = _Kept(losses, to_strands=False)
    blocks = kept.all(_SYSTEM, prompt(system))
    out: list[Dialect] = []
    for role, said, _ in spoken(messages, losses):
        content = kept.all(_BLOCK, said)
        if content or not said:
            out.append({"role": role, "content": content})
    return Converted(out, blocks or None, losses.done())


def from_bedrock(messages: Messages, *, system: Any = None, strict: bool = True) -> Restored:
    """Converse's messages for Strands.

    Args:
        messages: One, or a list.
        system: A list of its system blocks.
        strict: as in `to_bedrock`.

    Raises:
        FormatError: Something would be missing; or (always) is no message of Converse.
        ValueError: ``messages`` is neither.
    """
    losses = Losses("Strands", strict=strict)
    kept = _Kept(losses, to_strands=True)
    prompts = kept.all(_SYSTEM, prompt(system))
    joined = Joined(losses)
    for i, message in enumerate(several(messages)):
        with Fields(message, place := f"messages[{i}]", losses) as fields:
            role = fields.take("role", str)
            if role not in ("user", "assistant", "system"):
                raise FormatError(f"{place}.role must be 'user', 'assistant' or 'system', not {role!r}")
            said = fields.items("content")
            if role == "system" and joined.messages:
                fields.lose("content", "a system message behind others")
            elif role == "system":
                prompts += kept.all(_SYSTEM, said)
            elif (content := kept.all(_BLOCK, said)) or not said:
                joined.add(role, content, place)
    return Restored(joined.done(), prompts, losses.done())


_GONE: Final = object()


class _Kept:
    """What of a value a shape has; the rest is lost."""

    def __init__(self, losses: Losses, *, to_strands: bool) -> None:
        self._losses, self._to_strands = losses, to_strands

    def all(self, shape: _Shape, items: list[tuple[str, Any]]) -> list[Any]:
        return [kept for place, item in items if (kept := self.of(shape, item, place)) is not _GONE]

    def of(self, shape: _Shape, value: Any, place: str) -> Any:
        if shape is _Json or shape is _Input:
            if is_json(value):
                return snapshot(value)
            self._losses.add(place, "JSON can not say it")
            return {} if shape is _Input else _GONE
        if shape is _Source:
            return self._source(Fields(value, place, self._losses))
        if isinstance(shape, _List):
            return self.all(shape.of, listed(value, place))
        if isinstance(shape, _Leaf):
            return self._leaf(shape, value, place)
        if isinstance(shape, _OneOf):
            kind = kind_of(value, place, self._losses)
            if kind is None:
                return _GONE
            if kind not in shape.fields:
                return self._lost(f"{place}.{kind}", NOTHING)
            said = value[kind]
            theirs = kind in ("toolUse", "toolResult") and isinstance(said, Mapping) and said.get("type") is not None
            if self._to_strands and theirs:
                return self._lost(f"{place}.{kind}", "a tool that the service runs")
            kept = self.of(shape.fields[kind], said, f"{place}.{kind}")
            return _GONE if kept is _GONE else {kind: kept}
        assert isinstance(shape, _Dict)
        return self._dict(shape, value, place)

    def _dict(self, shape: _Dict, value: Any, place: str) -> Any:
        out = {}
        with Fields(value, place, self._losses) as fields:
            for name, inner in shape.fields.items():
                said = name in fields or (inner in (_Json, _Input) and name in value)  # where null is a value
                if said and (kept := self.of(inner, fields.any(name), f"{place}.{name}")) is not _GONE:
                    out[name] = kept
        if self._to_strands and "source" in out and shape is _DOCUMENT and "text" in value["source"]:
            out.setdefault("format", "txt")
        missing = [name for name in shape.needs if name not in out]
        why = f"it has no {' and no '.join(missing)} there"
        return self._lost(place, why, kept=shape is _CACHE) if missing else out

    def _leaf(self, shape: _Leaf, value: Any, place: str) -> Any:
        typed(value, shape.kind, place)
        if shape.most and value not in shape.most:  # a mark; media whose format it is can not do without
            return self._lost(place, f"it may be {', '.join(shape.most)}, not {value!r}", kept=True)
        if (shape.kind is int and value < 0) or (shape.filled and not value):
            return self._lost(place, f"it may not be {value!r}", kept=value == "")
        return value

    def _source(self, fields: Fields) -> Any:
        with fields:
            if "bytes" in fields:
                return {"bytes": data} if (data := fields.take("bytes", bytes)) else self._lost(fields.place, "empty")
            if self._to_strands and "text" in fields:
                return {"bytes": fields.take("text", str).encode()}
            if self._to_strands and "s3Location" in fields:
                with fields.inner("s3Location") as location:
                    return {"location": {"type": "s3"} | self._s3(location)}
            if not self._to_strands and "location" in fields:
                with fields.inner("location") as location:
                    if (kind := location.take("type", str)) == "s3":
                        return {"s3Location": self._s3(location)}
                    location.ignore(*location)
                    return self._lost(fields.place, f"a location of type {kind!r}")
            if not any(fields):
                raise FormatError(f"{fields.place} is empty")
            fields.ignore(*fields)
            return self._lost(fields.place, "neither bytes nor in S3")

    def _s3(self, location: Fields) -> dict[str, Any]:
        owner = location.take("bucketOwner", str, None)
        return {"uri": location.take("uri", str)} | ({"bucketOwner": owner} if owner is not None else {})

    def _lost(self, place: str, why: str, *, kept: bool = False) -> Any:
        self._losses.add(place, why, kept=kept)
        return _GONE
