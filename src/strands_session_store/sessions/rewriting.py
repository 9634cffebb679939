"""A message that was stored is changed: in the history, and wherever the context shows it otherwise.

Rule 1. First the message is looked for; then, by a commit of its own, those who run the agent are kept from writing
        it; then what is to be changed is read once more and written. So nothing is lost that they wrote meanwhile.
Rule 2. Of a message that stands several times, in the history or in variants, every entry is changed.
Rule 3. Interrupted, it can be repeated. What was changed stays so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from .. import codec, layout, records
from ..errors import InterruptPendingError
from ..messages import Message
from ..stores.base import Add, Doc, Expect, Log, LogView, Replace
from .access import Access, load
from .entries import entry, pages
from .finding import find, is_of, missing
from .shapes import MAX_PAGE
from .writing import Outside, pieces, version, wants

R = TypeVar("R", records.Message, records.Variant)


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a message."""

    entry: Callable[[records.Message], records.Message]
    """In the history."""
    variant: Callable[[records.Variant], records.Variant]
    """Where the context shows it otherwise."""
    whole: bool = True
    """Whether all of both logs is looked through: it is about what must not be there any more. Else the last one in the
    history is meant, and what the context shows now."""


def rewrite(access: Access[records.Session], agent_id: str, message_id: str, change: Change) -> list[records.Message]:
    """Change a message.

    Returns:
        The entries of the history as they are now, oldest first.

    Raises:
        MessageNotFoundError: There is none, or it was removed.
        InterruptPendingError: It is part of an interrupt that waits for its answer.
        SessionBusyError: A living process has the lease.
        ConflictError: Others came first each time.
    """
    return access.insist(lambda: _attempt(access, agent_id, message_id, change))


def redacted(text: str) -> Change:
    """The content is a text. Tool uses and results stay pairs: a use has no input any more, a result has the text."""

    def content(message: Message) -> Message:
        blocks: list[Any] = []
        for block in map(_paired, message["content"]):
            if block is not None:
                blocks.append(block)
            elif {"text": text} not in blocks:
                blocks.append({"text": text})
        return {**message, "content": blocks or [{"text": text}]}

    def _paired(block: dict[str, Any]) -> dict[str, Any] | None:
        if "toolUse" in block:
            use = block["toolUse"]
            return {"toolUse": {"toolUseId": use["toolUseId"], "name": use["name"], "input": {}}}
        if "toolResult" in block:
            result = {key: value for key, value in block["toolResult"].items() if key in ("toolUseId", "status")}
            return {"toolResult": {**result, "content": [{"text": text}]}}
        return None

    now = records.now()
    return Change(
        lambda said: said.model_copy(update={"message": content(said.message), "redacted": now}),
        lambda shown: shown.model_copy(update={"message": content(shown.message)}),
    )


def removed() -> Change:
    """Role, id and usage stay, as tokens were spent; of a variant nothing."""

    def rest(message: Message) -> Message:
        usage = _dict(message.get("metadata")).get("usage")
        told = {} if usage is None else {"metadata": {"usage": usage}}
        return {"role": message["role"], "content": [], **told, "tracking_id": message["tracking_id"]}

    now = records.now()
    return Change(
        lambda said: said.model_copy(update={"message": rest(said.message), "removed": now}),
        lambda shown: shown.model_copy(update={"message": None}),
    )


def edited(custom: dict[str, Any]) -> Change:
    """The keys are set in ``metadata.custom``."""

    def merged(message: Message) -> Message:
        # in the order in which Strands makes one: a history keeps it small then
        id = message["tracking_id"]
        rest = {key: value for key, value in message.items() if key != "tracking_id"}
        metadata = _dict(message.get("metadata"))
        return {
            **rest,
            "metadata": {**metadata, "custom": {**_dict(metadata.get("custom")), **custom}},
            "tracking_id": id,
        }

    return Change(
        lambda said: said.model_copy(update={"message": merged(said.message)}),
        lambda shown: shown.model_copy(update={"message": merged(shown.message)}),
        whole=False,
    )


# ------------------------------------------------------------------------------------------------------------- private


def _attempt(access: Access[records.Session], agent_id: str, message_id: str, change: Change) -> list[records.Message]:
    history, variants, agent = layout.history(agent_id), layout.variants(agent_id), layout.agent(agent_id)
    if change.whole:
        said, said_to = _mentions(access, records.Message, history, message_id)
        shown, shown_to = _mentions(access, records.Variant, variants, message_id)
    else:
        last = find(access, agent_id, message_id)
        said, said_to = [] if last.entry.removed else [last.index], None
        view = access.look(Log(variants, since=layout.tail(agent_id, "variants"))).logs[variants]
        shown, shown_to = _named(records.Variant, variants, view, message_id), view.length
    if not said and not shown:
        raise missing(agent_id, message_id)
    look = access.look(*wants(agent_id), Doc(agent))
    outside = Outside(access, look, agent_id)
    if change.whole and agent in look.docs:
        _check_interrupts(load(look, agent, records.Agent), message_id)
    outside.commit(Expect(agent, version(look, agent)))
    look = access.look(Log(history, spans=_spans(said, said_to)), Log(variants, spans=_spans(shown, shown_to)))
    after = {
        index: change.entry(entry(records.Message, history, index, look.logs[history].entries[index]))
        for index in _named(records.Message, history, look.logs[history], message_id)
    }
    others = {
        index: change.variant(entry(records.Variant, variants, index, look.logs[variants].entries[index]))
        for index in _named(records.Variant, variants, look.logs[variants], message_id)
    }
    replaces = [Replace(history, index, codec.dump(found)) for index, found in after.items()]
    replaces += [Replace(variants, index, codec.dump(found)) for index, found in others.items()]
    for piece in pieces(replaces):
        gone = sum(r.log == history and after[r.index].removed is not None for r in piece)
        adds = [Add("messages", -gone), Add(layout.removed(agent_id), gone)] if gone else []
        outside.commit(*piece, *adds)
    return list(after.values())


def _mentions(access: Access[records.Session], kind: type[R], log: str, message_id: str) -> tuple[list[int], int]:
    """The entries of a log that have this id, oldest first, and its length."""
    found: list[int] = []
    length: int | None = None
    for view in pages(access, log, first=MAX_PAGE):
        found += _named(kind, log, view, message_id)
        length = view.length if length is None else length
    assert length is not None
    return sorted(found), length


def _named(kind: type[R], log: str, view: LogView, message_id: str) -> list[int]:
    named = codec.encode(message_id)
    return [
        index
        for index, data in sorted(view.entries.items())
        if named in data and _has(entry(kind, log, index, data), message_id)
    ]


def _has(found: records.Record, message_id: str) -> bool:
    if isinstance(found, records.Message) and found.removed is not None:
        return False
    return isinstance(found, records.Message | records.Variant) and is_of(found, message_id)


def _spans(indices: list[int], behind: int | None) -> list[tuple[int, int | None]]:
    """The entries, and those from ``behind`` on, that came meanwhile."""
    spans: list[tuple[int, int | None]] = [(index, index + 1) for index in indices]
    return spans if behind is None else [*spans, (behind, None)]


def _check_interrupts(agent: records.Agent, message_id: str) -> None:
    if agent.interrupts is not None and codec.encode(message_id) in codec.encode(agent.interrupts):
        raise InterruptPendingError(
            f"agent {agent.agent_id!r} waits for the answer to an interrupt, which needs message {message_id!r}; "
            "nothing was written. Answer it first, or clear the agent's messages"
        )


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
