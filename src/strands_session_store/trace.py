"""What an agent's state and context were at each of its messages: entries of the trace, and back. Pure.

Law: `rebuild(entries, n)` is what a process would have restored that died right after the commit that stored message
``n - 1``; of what that commit stored behind it, nothing.

Rule 1. A job of a session manager that changes the agent, its context or the variants adds one entry: what is another
        now, and how long the history was before it. A job that changes none of them adds none.
Rule 2. The first entry is whole, and so is every `WHOLE`th: a rebuild takes the entries from the last whole one on.
Rule 3. A trace holds no messages. The context is spans into the logs; of a conversation manager's summary, and of the
        message in an interrupt, it has the id: `summary_in` and `asked_in` tell whose content is to be put there again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any, Final

from . import records
from .context import Spans
from .messages import same

WHOLE: Final = 128
"""Entries from one whole one to the next. Each then carries a 128th of a whole state and context, and a rebuild needs
so many at most, which any engine reads at once."""
MAX_BYTES: Final = 4 * 2**20
"""Of one entry. A larger one would no longer fit into a commit beside the largest documents; in its place it is kept
that there was one, and what stands behind it can't be rebuilt until the next whole one."""


class Untraced(Exception):
    """The trace does not reach back so far, or has a gap. Never leaves the package."""


@dataclass(frozen=True, slots=True)
class Moment:
    """An agent beside its messages, at one moment."""

    state: Mapping[str, Any] = field(default_factory=dict)
    interrupts: Any = None
    model_state: Any = None
    spans: Spans = field(default_factory=list)
    conversation_manager: Any = None
    variants: int = 0
    """Length of the variants log."""


def moment(agent: records.Agent | None, context: records.Context, variants: int, summary: int | None = None) -> Moment:
    """By what is stored of it; without messages (rule 3). ``summary``: which variant is the conversation manager's."""
    agent = agent or records.Agent(agent_id="")

    def name(message: Any) -> Any:
        return _id(message) if summary is None else {**_id(message), _PLACE: summary}

    return Moment(
        agent.state or {},
        _with(agent.interrupts, _ASKED, _id),
        agent.model_state,
        context.spans or [],
        _with(context.conversation_manager, _SUMMARY, name),
        variants,
    )


def entry(before: Moment | None, now: Moment, history: int, at: float | None = None) -> records.Trace:
    """What one job changed.

    Args:
        before: None: the entry is to be whole.
        now: After it.
        history: Length of the history before it.
        at: When; None for a job that adds messages, whose times are theirs.
    """
    old = before or Moment()
    state, gone = _changed(old.state, now.state)
    parts: dict[str, Any] = {}
    if before is None or not same(old.interrupts, now.interrupts):
        parts["i"] = now.interrupts
    if before is None or not same(old.model_state, now.model_state):
        parts["m"] = now.model_state
    if before is None or old.spans != now.spans:
        parts["c"] = [[*ends] if name == "history" else [*ends, 1] for span in now.spans for name, ends in span.items()]
    if before is None or not same(old.conversation_manager, now.conversation_manager):
        was, manager = old.conversation_manager, now.conversation_manager
        if isinstance(was, dict) and isinstance(manager, dict) and was.keys() <= manager.keys():
            parts["d"] = {key: value for key, value in manager.items() if key not in was or not same(was[key], value)}
        else:
            parts["k"] = manager
    if before is None:
        parts = {name: value for name, value in parts.items() if value is not None}
    return records.Trace(
        history=history,
        at=at,
        variants=now.variants if now.variants != old.variants else None,
        whole=before is None,
        state=state or None,
        gone=gone or None,
        parts=parts or None,
    )


def rebuild(entries: Iterable[records.Trace], length: int, until: float | None = None) -> Moment:
    """An agent as it was right after its ``length``th message was stored.

    Args:
        entries: In order; from a whole one on that is not behind that message.
        length: Of the history, with that message.
        until: And what was changed up to then (Unix time) before anything else was said.

    Raises:
        Untraced: There is no such whole one, or an entry is missing.
    """
    found: Moment | None = None
    for one in takewhile(lambda one: is_before(one, length, until), entries):
        found = _next(found, one)
    if found is None:
        raise Untraced
    return replace(found, spans=_cut(found.spans, length))


def is_before(one: records.Trace, length: int, until: float | None = None) -> bool:
    """Whether the entry belongs to what was by then; see `rebuild`. Those that do are the first ones of a trace."""
    if one.history != length or until is None:
        return one.history < length
    return one.at is not None and one.at <= until


def shifted(one: records.Trace, history: int, variants: int) -> records.Trace:
    """The entry beside logs that lack so many of the first entries."""
    parts = dict(one.parts or {})
    if "c" in parts:
        starts = ((variants if len(ends) > 2 else history, ends) for ends in parts["c"])
        parts["c"] = [[*(end and max(end - by, 0) for end in ends[:2]), *ends[2:]] for by, ends in starts]

    def place(summary: Any) -> Any:
        known = isinstance(summary, dict) and _PLACE in summary
        return {**summary, _PLACE: max(summary[_PLACE] - variants, 0)} if known else summary

    for name in ("k", "d"):
        if name in parts:
            parts[name] = _with(parts[name], _SUMMARY, place)
    return one.model_copy(
        update={
            "history": max(one.history - history, 0),
            "variants": None if one.variants is None else max(one.variants - variants, 0),
            "parts": parts or None,
        }
    )


def onwards(entries: Iterable[records.Trace], history: int, spans: Spans, variants: int) -> Iterator[records.Trace]:
    """The trace from a message on, beside a context that is another from there on; none where it is not known what
    there was then.

    Args:
        entries: In order; from a whole one on that is not behind that message.
        history: Index of the message.
        spans: Of the context, open-ended.
        variants: Length of the variants log.
    """
    found: Moment | None = None
    begun = False
    for one in entries:
        if found is not None and not begun and one.history > history:
            begun = True
            yield entry(None, _beside(found, spans, variants), history)
        before, found = found, _next(found, one)
        if one.history > history and found is None:
            yield records.Trace(history=one.history, at=one.at, lost=True)
        elif one.history > history and found is not None:
            was = None if before is None else _beside(before, spans, variants)
            yield entry(was, _beside(found, spans, variants), one.history, one.at)
    if found is not None and not begun:
        yield entry(None, _beside(found, spans, variants), history)


def numbered(entries: Iterable[records.Trace], first: int) -> Iterator[records.Trace]:
    """The entries of a trace, the first of them whole, as they are where that has the index ``first``: whole ones stand
    where they are looked for."""
    before: Moment | None = None
    for index, one in enumerate(entries, first):
        found = _next(before, one)
        if found is None:
            yield one.model_copy(update={"lost": True, "state": None, "gone": None, "parts": None})
        else:
            base = None if index % WHOLE == 0 else before
            yield entry(base, found, one.history, one.at)
        before = found


def summary_of(manager: Any) -> str | None:
    """Tracking id of the summary that a conversation manager has, which may be in no context any more."""
    return _named(manager, _SUMMARY)


def summary_in(found: Moment) -> int | None:
    """Which variant the conversation manager's summary is; None when it has none, or when that is not known."""
    manager = found.conversation_manager
    summary = manager.get(_SUMMARY[0]) if isinstance(manager, dict) else None
    return summary.get(_PLACE) if isinstance(summary, dict) else None


def with_summary(found: Moment, summary: Any) -> Moment:
    """The moment with the conversation manager's summary as a message."""
    return replace(found, conversation_manager=_with(found.conversation_manager, _SUMMARY, lambda _: summary))


def asked_in(found: Moment) -> str | None:
    """Tracking id of the message whose tool calls an interrupt has stopped."""
    return _named(found.interrupts, _ASKED)


def with_asked(found: Moment, message: Any) -> Moment:
    """The moment with that message in the interrupt."""
    return replace(found, interrupts=_with(found.interrupts, _ASKED, lambda _: message))


# ------------------------------------------------------------------------------------------------------------- private

_SUMMARY: Final = ("summary_message",)
_ASKED: Final = ("pending_tool_execution", "assistant_message")
"""Where conversation managers and interrupts keep messages."""
_PLACE: Final = "variant"


def _beside(found: Moment, spans: Spans, variants: int) -> Moment:
    return replace(found, spans=spans, conversation_manager=None, variants=variants)


def _next(before: Moment | None, one: records.Trace) -> Moment | None:
    """What there was after an entry; None: it is not known."""
    if one.whole:
        return _after(Moment(), one)
    return None if before is None or one.lost else _after(before, one)


def _after(before: Moment, one: records.Trace) -> Moment:
    state = {key: value for key, value in before.state.items() if key not in (one.gone or ())}
    parts = one.parts or {}
    manager = parts.get("k", before.conversation_manager)
    if "d" in parts:
        manager = {**manager, **parts["d"]}
    return Moment(
        {**state, **(one.state or {})},
        parts.get("i", before.interrupts),
        parts.get("m", before.model_state),
        _spans(parts["c"]) if "c" in parts else before.spans,
        manager,
        before.variants if one.variants is None else one.variants,
    )


def _spans(ends: Iterable[Sequence[int | None]]) -> Spans:
    return [{"variants" if len(one) > 2 else "history": [*one[:2]]} for one in ends]


def _cut(spans: Spans, length: int) -> Spans:
    """Without what stands behind the history's ``length``th entry."""
    out: Spans = []
    for span in spans:
        start, end = span.get("history", (0, 0))
        if "history" not in span:
            out.append(span)
        elif (start or 0) < length:
            out.append({"history": [start, end if end is None else min(end, length)]})
    return out


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The keys to be set, and those to be taken out first; the keys are then in the same order, too."""
    gone = [key for key in before if key not in now]
    changed = {key: value for key, value in now.items() if key not in before or not same(before[key], value)}
    if [*(key for key in before if key in now), *(key for key in now if key not in before)] == list(now):
        return changed, gone
    return dict(now), list(before)


def _with(value: Any, path: Sequence[str], change: Any) -> Any:
    """The value with another at the path; itself where there is none that is a dict."""
    if not isinstance(value, dict):
        return value
    if not path:
        return change(value)
    return {**value, path[0]: _with(value[path[0]], path[1:], change)} if path[0] in value else value


def _id(message: Any) -> Any:
    return {"tracking_id": message.get("tracking_id")}


def _named(value: Any, path: Sequence[str]) -> str | None:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value.get("tracking_id") if isinstance(value, dict) else None
