"""What callers of a conversation say, as messages of Strands. Pure.

Rule 1. What is said at once is one message: of the user, or of the assistant; a tool's use and its result are two.
Rule 2. In a dialect it is taken as it comes, and what Strands can not hold of it is refused or listed (`formats`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

from . import ids, records
from .formats import FORMATS, Converted, Loss, Restored
from .formats.answers import answer_in
from .messages import Message, snapshot
from .sessions import checks, submitted
from .usage import MOST_TOKENS

Status: TypeAlias = Literal["success", "error"]
Content: TypeAlias = "str | Sequence[Mapping[str, Any]]"

_MEDIA: Final = ("image", "document", "video")
_USAGE: Final = ("inputTokens", "outputTokens", "totalTokens", "cacheReadInputTokens", "cacheWriteInputTokens")


@dataclass(frozen=True, slots=True)
class Used:
    """A tool that was used, and what it gave."""

    name: str
    input: Any
    """What it was given: an object, as the model wrote it."""
    output: Any
    """What it gave: a text, content blocks of Strands' for a tool's result, or any other JSON value."""
    status: Status = "success"
    id: str | None = None
    """The model's, for this use; None: one is drawn."""


@dataclass(frozen=True, slots=True)
class Saying:
    """What is to be stored of a call."""

    messages: list[Message]
    model: str | None = None
    """Id of the model that answered, as far as the answer says."""
    lost: tuple[Loss, ...] = ()
    key: Any = None
    """The messages again, but for ids that were drawn: what is said again has the same."""


@dataclass(frozen=True, slots=True)
class Extras:
    """What is said about a message, beside its content."""

    name: Any = None
    metadata: Any = None
    usage: Any = None


class Call:
    """What one call is to store; checked.

    Attributes:
        messages: With tracking ids.
        heard: False: who made it does not wait for its end any more.
    """

    def __init__(
        self, said: Saying, id: str | None = None, model: str | None = None, source: records.Source = "llm"
    ) -> None:
        """``id``: tracking id of its first message, where the caller gives one.

        Raises:
            ValueError: What is no message; names its place.
        """
        checks.one_of("source", source, get_args(records.Source))
        if model is not None:
            checks.words("model", model)
        self.said, self.id, self.source, self.heard = said, id, source, True
        self.model = model or said.model
        self.messages, _ = submitted.checked(said.messages)
        if id is not None:
            self.messages[0]["tracking_id"] = ids.check("id", id)


def user_call(
    content: Any, name: str | None, metadata: Mapping[str, Any] | None, id: str | None, format: str | None, strict: bool
) -> Call:
    """What `user_says` is to store."""
    return Call(message("user", content, Extras(name, metadata), format, strict=strict), id)


def ai_call(
    content: Any,
    model: str | None,
    usage: Mapping[str, int] | None,
    name: str | None,
    metadata: Mapping[str, Any] | None,
    source: records.Source,
    id: str | None,
    format: str | None,
    strict: bool,
) -> Call:
    """What `ai_responds` is to store."""
    extras = Extras(name, metadata, usage)
    return Call(message("assistant", content, extras, format, strict=strict), id, model, source)


def tools_call(uses: Any, text: str | None, model: str | None, usage: Mapping[str, int] | None) -> Call:
    """What `tools_used` is to store."""
    return Call(used(uses, text, Extras(usage=usage)), model=model)


def message(role: str, given: Any, extras: Extras, format: str | None, *, strict: bool) -> Saying:
    """A message of the user or the assistant.

    Raises:
        ValueError: It is none.
        FormatError: Strands can not hold all of it.
    """
    model, usage, lost = None, extras.usage, tuple[Loss, ...]()
    checks.flag("strict", strict)
    if format is None:
        if not isinstance(given, str) and (isinstance(given, Mapping) or not isinstance(given, Sequence)):
            raise ValueError(
                f"what is said must be a text or a list of content blocks, got {given!r:.80}; for what a vendor's "
                "client gives or takes, name its format"
            )
        if role == "user" and isinstance(given, str) and not given.strip():
            raise ValueError(f"what a user says must not be empty, got {given!r:.80}")
        if not isinstance(given, str):
            _check_blocks(role, given)
        said: Message = {"role": role, "content": given}
    else:
        _, restore = dialect(format)
        if isinstance(given, str):
            raise ValueError(
                f"a text has no format, got {given!r:.80}; leave format={format!r} out, or give all the client gave"
            )
        answer = answer_in(given, format)
        found = restore(answer.messages, strict=strict)
        model, usage, lost = answer.model, usage or answer.usage, found.lost
        said = _only(role, found, format)
    if metadata := _metadata(said.get("metadata"), extras, usage):
        said["metadata"] = metadata
    return Saying([said], model, lost, [snapshot(said)])


def _check_blocks(role: str, given: Sequence[Any]) -> None:
    """What `submitted` does not look at, as whose message it is makes no difference there."""
    foreign = "toolUse" if role == "user" else "toolResult"
    if any(isinstance(block, Mapping) and foreign in block for block in given):
        raise ValueError(f"a message of the {role} has no {foreign}; see tools_used and tools_answered")
    blank = (
        isinstance(block, Mapping) and block.keys() == {"text"} and not str(block["text"]).strip() for block in given
    )
    if role == "user" and given and all(blank):
        raise ValueError(f"what a user says must not be empty, got {given!r:.80}")


def used(uses: Any, text: Any, extras: Extras) -> Saying:
    """The assistant's message that uses tools, and the user's with what they gave.

    Raises:
        ValueError: It is none.
    """
    given: list[Any] = list(uses) if isinstance(uses, list | tuple) else []
    if not given or not all(isinstance(use, Used) for use in given):
        raise ValueError(f"uses must be a list of Used(...) that is not empty, got {uses!r:.80}")
    for use in given:
        if not isinstance(use.name, str) or not use.name:
            raise ValueError(f"name must be that of a tool, got {use.name!r:.80}")
        if not isinstance(use.input, Mapping):
            raise ValueError(f"input of tool {use.name!r} must be a dict, as a model writes it, got {use.input!r:.80}")
        if use.id is not None:
            ids.check("id", use.id)
    named = [use.id for use in given if use.id is not None]
    if len(set(named)) < len(named):
        raise ValueError(f"two of the tools that were used have the same id: {named}")
    if text is not None and (not isinstance(text, str) or not text):
        raise ValueError(f"text must be a text that is not empty, or None, got {text!r:.80}")
    metadata = _metadata(None, extras, extras.usage)
    drawn = _used(given, [use.id or f"tooluse_{secrets.token_hex(11)}" for use in given], text, metadata)
    key = _used(given, [use.id or str(n) for n, use in enumerate(given)], text, metadata)
    return Saying(drawn, key=snapshot(key))


def _used(uses: Sequence[Used], named: Sequence[str], text: str | None, metadata: dict[str, Any]) -> list[Message]:
    asked: list[dict[str, Any]] = [] if text is None else [{"text": text}]
    asked += ({"toolUse": {"toolUseId": id, "name": use.name, "input": use.input}} for id, use in zip(named, uses))
    answer: Message = {"role": "assistant", "content": asked} | ({"metadata": metadata} if metadata else {})
    results = [result(id, use.output, use.status) for id, use in zip(named, uses)]
    return [answer, {"role": "user", "content": results}]


def result(id: str, output: Any, status: Status) -> dict[str, Any]:
    """The block with what a tool gave."""
    if status not in get_args(Status):
        raise ValueError(f"status must be one of {', '.join(get_args(Status))}; got {status!r}")
    return {"toolResult": {"toolUseId": id, "status": status, "content": _output(output)}}


def results(answers: Any, failed: Any) -> Saying:
    """The user's message with what tools gave, by the id of their use.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(answers, Mapping) or not answers:
        raise ValueError(
            f"answers must be a dict of what tools gave by id of their use, not empty; got {answers!r:.80}"
        )
    if isinstance(failed, str) or not isinstance(failed, Collection) or any(id not in [*answers] for id in failed):
        raise ValueError(f"failed must be a list of ids of the answers, got {failed!r:.80}")
    content = [result(ids.check("id", id), out, "error" if id in failed else "success") for id, out in answers.items()]
    said = [{"role": "user", "content": content}]
    return Saying(said, key=snapshot(said))


def dialect(format: Any) -> tuple[Callable[..., Converted], Callable[..., Restored]]:
    """To a dialect, and from it.

    Raises:
        ValueError: There is none of this name.
    """
    if not isinstance(format, str) or format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}; got {format!r:.80}")
    return FORMATS[format]


def shown(messages: list[Message], format: str, system: Any, *, strict: bool) -> Converted:
    """Messages in a dialect. What the application has noted on them is not for a model: it is no reason to refuse, and
    listed where the dialect has no place for it."""
    to, _ = dialect(format)
    if strict and (bare := [_without_notes(message) for message in messages]) != messages:
        to(bare, system=system, strict=True)  # refuses what else is missing
        strict = False
    return to(messages, system=system, strict=strict)


def _without_notes(message: Message) -> Message:
    metadata = message.get("metadata") or {}
    said = {key: value for key, value in metadata.get("custom", {}).items() if key in ("name", "refusal")}
    return message if said == metadata.get("custom", {}) else message | {"metadata": metadata | {"custom": said}}


def _only(role: str, found: Restored, format: str) -> Message:
    if found.system:
        raise ValueError(
            f"a system prompt ({format}) is no part of a conversation; give it with `messages(system=...)`"
        )
    if len(found.messages) != 1 or found.messages[0]["role"] != role:
        roles = [one["role"] for one in found.messages]
        raise ValueError(
            f"what is said must be one message of role {role!r}; in terms of Strands these are {roles}. What a user "
            "says or a tool gave is for `user_says`, a model's answer for `ai_responds`"
        )
    return found.messages[0]


def _metadata(there: Any, extras: Extras, usage: Any) -> dict[str, Any]:
    if extras.metadata is not None:
        checks.mapping("metadata", extras.metadata)
    metadata: dict[str, Any] = dict(there or {})
    custom = {**metadata.get("custom", {}), **(extras.metadata or {})}
    if extras.name is not None:
        if not isinstance(extras.name, str) or not extras.name:
            raise ValueError(f"name must be a text that is not empty, or None, got {extras.name!r:.80}")
        custom["name"] = extras.name
    if custom:
        metadata["custom"] = custom
    if usage is not None:
        metadata["usage"] = _checked(usage)
    return metadata


def _checked(usage: Any) -> dict[str, int]:
    wrong = not isinstance(usage, Mapping) or not {"inputTokens", "outputTokens"} <= set(usage) <= set(_USAGE)
    if wrong or not all(type(n) is int and 0 <= n <= MOST_TOKENS for n in usage.values()):
        raise ValueError(
            f"usage must have inputTokens and outputTokens, and may have {', '.join(_USAGE[2:])}; whole numbers from 0 "
            f"to {MOST_TOKENS:,}, got {usage!r:.80}"
        )
    return {"totalTokens": usage["inputTokens"] + usage["outputTokens"], **usage}


def _output(given: Any) -> list[Any]:
    if isinstance(given, str):
        return [{"text": given}]
    if isinstance(given, list) and given and all(_is_part(block) for block in given):
        return list(given)
    return [{"json": given}]


def _is_part(block: object) -> bool:
    """Whether it is a block, and no object of the tool's that looks like one."""
    if not isinstance(block, Mapping) or len(block) != 1:
        return False
    ((kind, value),) = block.items()
    if kind == "text":
        return isinstance(value, str)
    return kind == "json" or (kind in _MEDIA and isinstance(value, Mapping))
