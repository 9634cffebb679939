"""Where turns begin and end, and what was said in turns with whole pairs of tool use and result. Pure.

What is stored, moved and summarized is whole messages (`begins_turn`, `whole_turns`). What a model is to see is parts
of them (`parts`, `turns`), whatever the list looked like:

Rule 1. A turn begins with something a user says, and ends where a user says the next thing. What stands before the
        first is in none.
Rule 2. Results belong to the uses in the assistant's messages right before them; where an id comes more than once (some
        models number their calls anew, or not at all) its first use has its first result. A use without a result, or a
        result without a use, is left out: nothing is made up for the other half.
Rule 3. A user's message with results and more is two: the results end what was asked for, the rest begins a turn.
Rule 4. What says nothing (blank texts; reasoning or cache points alone) is left out. Nothing else is, and no block is
        ever shortened.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from .messages import Message, same, snapshot

Block: TypeAlias = dict[str, Any]

_SILENT: Final = ("cachePoint", "reasoningContent")


def begins_turn(message: Mapping[str, Any]) -> bool:
    """Whether a user says something with it, and no tool."""
    return message.get("role") == "user" and not _has("toolResult", message)


def ends_turn(message: Mapping[str, Any]) -> bool:
    """Whether it is an answer that waits for no tool."""
    return message.get("role") == "assistant" and not _has("toolUse", message)


def whole_turns(messages: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """The turns of a conversation, whole and in order; what stands before the first is one as well."""
    turn: list[Mapping[str, Any]] = []
    for message in messages:
        if turn and begins_turn(message):
            yield turn
            turn = []
        turn.append(message)
    if turn:
        yield turn


@dataclass(frozen=True, slots=True)
class Part:
    """A message, or the part of it that belongs together."""

    message: Message
    """Where it stands."""
    content: list[Block]
    results: tuple[Part, ...] = ()
    """What its tool uses gave, all of it, in the order in which it was said; the messages are users'."""

    @property
    def begins(self) -> bool:
        """Whether a user says something here."""
        return bool(self.message["role"] == "user")


def checked(place: str, message: object) -> Message:
    """A copy of a message, of which nothing but its shape is looked at. A text for content stands for a text block.

    Raises:
        ValueError: It is none; names the place.
    """
    if not isinstance(message, Mapping):
        raise ValueError(f"{place} must be a dict with role and content, not {type(message).__name__}")
    if message.get("role") not in ("user", "assistant"):
        raise ValueError(f"{place}['role'] must be 'user' or 'assistant', got {message.get('role')!r:.80}")
    content = message.get("content")
    if isinstance(content, str):
        content = [{"text": content}]
    if not isinstance(content, list | tuple) or not all(isinstance(block, Mapping) for block in content):
        raise ValueError(f"{place}['content'] must be a list of content blocks, got {content!r:.80}")
    return {**snapshot(dict(message)), "content": [snapshot(dict(block)) for block in content]}


def parts(newest: Iterable[Message]) -> Iterator[Part]:
    """What was said, newest first; of the messages, newest first, no more is read than it takes to tell.

    Results come with the message whose tool uses they answer. Reading goes past a message with results to the end of
    the assistant's messages before it.
    """
    answers: list[tuple[Message, list[Block]]] = []  # newest first, as long as there are results
    results: list[tuple[Message, list[Block]]] = []
    for message in newest:
        if not (content := _content(message)):
            continue
        if message["role"] == "assistant":
            answers.append((message, content))
            if not results:
                yield from _answered(answers, results)
                answers = []
            continue
        if answers:
            yield from _answered(answers, results)
            answers, results = [], []
        said = [block for block in content if "toolResult" not in block]
        if _says(said):
            yield Part(message, said)
            content = [block for block in content if "toolResult" in block]
        results = [(message, group) for group in _groups(content)] + results
    yield from _answered(answers, results)


def turns(newest: Iterable[Message]) -> list[list[Part]]:
    """The turns of the messages, which are newest first; turns and their parts are oldest first. Each turn is something
    a user says, and what an assistant says to that."""
    out: list[list[Part]] = []
    turn: list[Part] = []
    for part in parts(newest):
        turn.append(part)
        if part.begins:
            out.append(turn[::-1])
            turn = []
    return out[::-1]


def spelled(said: Iterable[Part]) -> list[Message]:
    """The messages that parts, oldest first, are of: uses right before their results. Roles need not alternate."""
    return [{**one.message, "content": one.content} for part in said for one in (part, *part.results)]


def joined(messages: Iterable[Message]) -> list[Message]:
    """The messages, with those of one role in succession as one: their contents one after the other, and beside them
    what they agree on. So two messages leave no tracking id, and one that was two parts has its own."""
    out: list[Message] = []
    for message in messages:
        if out and out[-1]["role"] == message["role"]:
            last = out[-1]
            out[-1] = {key: value for key, value in last.items() if key in message and same(value, message[key])}
            out[-1]["content"] = [*last["content"], *message["content"]]
        else:
            out.append(message)
    return out


def without(part: Part, unwanted: Callable[[Mapping[str, Any]], bool]) -> Part | None:
    """The part without the pairs whose ``toolResult`` is unwanted; None: nothing is left that says something."""
    gone: dict[str | None, deque[bool]] = {}
    results = []
    for one in part.results:
        kept = []
        for group in _groups(one.content):
            result = group[0]["toolResult"]
            gone.setdefault(_id(result), deque()).append(unwanted(result))
            kept += [] if unwanted(result) else group
        if kept:
            results.append(Part(one.message, kept))
    content = [block for block in part.content if "toolUse" not in block or not gone[_id(block["toolUse"])].popleft()]
    return Part(part.message, content, tuple(results)) if _says(content) else None


def _content(message: Message) -> list[Block]:
    """What of a message may say something: no blank texts, and of the tools what is its role's."""
    foreign = "toolResult" if message["role"] == "assistant" else "toolUse"
    return [block for block in message["content"] if foreign not in block and not _blank(block)]


def _blank(block: Block) -> bool:
    return not block or (block.keys() == {"text"} and not str(block["text"] or "").strip())


def _says(content: list[Block]) -> bool:
    return any(not any(kind in block for kind in _SILENT) for block in content)


def _groups(content: list[Block]) -> list[list[Block]]:
    """Each result, with the cache points behind it."""
    out: list[list[Block]] = []
    for block in content:
        if "toolResult" in block:
            out.append([block])
        elif out:
            out[-1].append(block)
    return out


def _answered(answers: list[tuple[Message, list[Block]]], results: list[tuple[Message, list[Block]]]) -> Iterator[Part]:
    """Assistant's messages in succession, newest first, with those of the results behind them that are theirs."""
    left: dict[str, deque[int]] = {}
    for at, (_, group) in enumerate(results):
        if (id := _id(group[0]["toolResult"])) is not None:
            left.setdefault(id, deque()).append(at)
    out = []
    for message, content in reversed(answers):
        kept, given = [], []
        for block in content:
            if "toolUse" in block:
                id = _id(block["toolUse"])
                if id is None or not left.get(id):
                    continue
                given.append(left[id].popleft())
            kept.append(block)
        if _says(kept):
            out.append(Part(message, kept, _by_message(results[at] for at in sorted(given))))
    yield from reversed(out)


def _by_message(results: Iterable[tuple[Message, list[Block]]]) -> tuple[Part, ...]:
    out: list[Part] = []
    for message, group in results:
        if out and out[-1].message is message:
            out[-1].content.extend(group)
        else:
            out.append(Part(message, list(group)))
    return tuple(out)


def _id(tool: object) -> str | None:
    id = tool.get("toolUseId") if isinstance(tool, Mapping) else None
    return id if isinstance(id, str) else None


def _has(kind: str, message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    blocks = content if isinstance(content, list | tuple) else ()
    return any(isinstance(block, Mapping) and kind in block for block in blocks)
