"""What was said, as people read it: a line a speaker, tool calls with their results, turns with their time and cost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table
from rich.text import Text

from .. import codec, records
from ..sessions import Placed
from ..turns import begins_turn, ends_turn
from ..usage import Totals, totals_of, whole
from . import money
from .terminal import console, many, plain, short, took, when

SPEAKERS = {"user": ("user", "bold cyan"), "assistant": ("agent", "bold green"), "tool": ("tool", "yellow")}
CUT = 2_000
"""Characters of a text that are shown, unless all is asked for."""


def say(speaker: str, text: str, note: str = "") -> None:
    """A line of a conversation."""
    name, style = SPEAKERS.get(speaker, (speaker, "bold"))
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=7, justify="right")
    grid.add_column()
    said = Text(plain(text.strip()) or "(nothing)")
    if note:
        said.append(f"  {plain(note)}", "dim")
    grid.add_row(Text(plain(name), style), said)
    console.print(grid)


def say_message(
    message: Mapping[str, Any],
    *,
    prompts: bool = True,
    cut: int | None = None,
    calls: Mapping[str, Sequence[records.Event]] | None = None,
    note: str = "",
) -> None:
    """A Strands message, block by block: texts, tool calls and results.

    Args:
        message: Which.
        prompts: Whether what a user says is shown.
        cut: Characters of a text that are shown; None: all.
        calls: Tool use id -> what is known of the call.
        note: Behind the first line.
    """
    for block in message.get("content", ()):
        for speaker, text, more in _lines(message, block, calls or {}):
            if prompts or speaker != "user":
                say(speaker, text if cut is None or speaker == "tool" else _cut(text, cut), more or note)
                note = ""


@dataclass(slots=True)
class Turn:
    """What a user says, and what is said to that."""

    number: int | None
    """From 1 on; None where it is not known how many came before."""
    messages: list[Placed] = field(default_factory=list)

    @property
    def first(self) -> int:
        return self.messages[0].index

    @property
    def last(self) -> int:
        return self.messages[-1].index

    @property
    def over(self) -> bool:
        return bool(self.messages) and ends_turn(self.messages[-1].entry.message)

    @property
    def totals(self) -> Totals:
        """What its model calls took."""
        counted = (whole(said.entry) for said in self.messages)
        return sum((totals_of(one) for one in counted if one is not None), Totals())

    @property
    def models(self) -> list[str]:
        return list(dict.fromkeys(said.entry.usage.model for said in self.messages if said.entry.usage is not None))

    @property
    def seconds(self) -> float | None:
        """From its first message to its last, where their times are known."""
        first, last = (self.messages[at].entry.at for at in (0, -1))
        return None if first is None or last is None or len(self.messages) < 2 else last - first


def turns_of(messages: Iterable[Placed], first: int | None) -> list[Turn]:
    """Their turns, in order; what stands before the first thing a user says is one as well. ``first``: the number of
    the first one; None: not known."""
    out: list[Turn] = []
    for said in messages:
        if not out or begins_turn(said.entry.message):
            out.append(Turn(None if first is None else first + len(out)))
        out[-1].messages.append(said)
    return out


def begin(turn: Turn) -> None:
    """The line above a turn."""
    name = f"turn {turn.number:,}" if turn.number is not None else f"from message {turn.first:,}"
    at = turn.messages[0].entry.at
    console.print()
    console.print(Text.assemble((name, "bold"), (f"  {when(at, seconds=True)}" if at is not None else "", "dim")))


def say_placed(said: Placed, cut: int | None, calls: Mapping[str, Sequence[records.Event]], *, ids: bool) -> None:
    """One message of a history."""
    notes = [said.entry.tracking_id or ""] if ids else []
    if said.entry.redacted is not None:
        notes.append("(redacted)")
    say_message(said.entry.message, cut=cut, calls=calls, note=" ".join(filter(None, notes)))


def end(turn: Turn, runs: Sequence[records.Run] = ()) -> None:
    """The line below a turn: what it took. ``runs``: those that are known to be its own, oldest first."""
    totals, seconds = turn.totals, turn.seconds
    parts = []
    if totals.calls:
        about = "~" if totals.estimated else ""
        parts.append(f"{about}{totals.input_tokens:,} in, {about}{totals.output_tokens:,} out")
        parts.append("cost unknown" if money.cost(totals) == money.UNKNOWN else money.cost(totals))
    if durations := [run.duration for run in runs if run.duration is not None]:
        seconds = sum(durations)
    if seconds is not None:
        parts.append(took(seconds))
    parts += [short(model, 60) for model in turn.models]
    if parts:
        console.print(Text(f"        {' · '.join(parts)}", "dim"))
    if runs and runs[-1].status not in ("completed", "open"):
        why = f": {short(runs[-1].error)}" if runs[-1].error else ""
        console.print(Text(f"        {runs[-1].status}{why}", "bold red"))


def calls_of(events: Iterable[records.Event]) -> dict[str | None, dict[str, list[records.Event]]]:
    """Tool calls by the message that asked for them, and by their tool use id: models may give an id twice."""
    out: dict[str | None, dict[str, list[records.Event]]] = {}
    for event in events:
        if event.type == "tool_call" and event.tool_use_id is not None:
            out.setdefault(event.parent, {}).setdefault(event.tool_use_id, []).append(event)
    return out


def jsonable(value: Any) -> Any:
    """A value as JSON has it; what JSON can't say as `codec` writes it."""
    return json.loads(codec.encode(value))


def spelled(value: Any) -> str:
    """The same, as a text for people."""
    return json.dumps(jsonable(value), ensure_ascii=False)


# ------------------------------------------------------------------------------------------------------------- private


def _lines(
    message: Mapping[str, Any], block: Mapping[str, Any], calls: Mapping[str, Sequence[records.Event]]
) -> Iterator[tuple[str, str, str]]:
    """(speaker, text, note) of what is to be read of a block."""
    role = str(message.get("role"))
    if "text" in block:
        yield role, str(block["text"]), ""
    elif "toolUse" in block:
        use = block["toolUse"]
        given = use.get("input")
        shown = ", ".join(f"{k}={v!r}" for k, v in given.items()) if isinstance(given, Mapping) else repr(given or "")
        yield "tool", short(f"{use.get('name')}({shown})"), ""
    elif "toolResult" in block:
        result = block["toolResult"]
        failed = "error: " if result.get("status") == "error" else ""
        yield (
            "tool",
            f"→ {failed}{short(' '.join(_result_texts(result)))}",
            _call(calls.get(result.get("toolUseId"), ())),
        )
    elif "citationsContent" in block:
        texts = (part.get("text", "") for part in block["citationsContent"].get("content", ()))
        yield role, "".join(map(str, texts)), ""
    elif "cachePoint" not in block:
        yield role, f"({', '.join(block)})", ""


def _call(events: Sequence[records.Event]) -> str:
    """How long the last attempt took, and whether it was one of several."""
    if not events:
        return ""
    last = events[-1]
    parts = [took(last.milliseconds / 1000)] if last.milliseconds is not None else []
    if len(events) > 1 or (last.attempt or 1) > 1:
        parts.append(many(max(last.attempt or 1, len(events)), "attempt"))
    if last.error:
        parts.append(last.error)
    return ", ".join(parts)


def _result_texts(result: Mapping[str, Any]) -> Iterator[str]:
    for part in result.get("content", ()):
        yield str(part["text"]) if "text" in part else spelled(part)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text):,} characters; --full shows them)"
