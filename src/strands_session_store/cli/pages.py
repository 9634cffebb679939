"""What is shown, and how: tables, trees and texts of sessions. Pure but for printing; nothing here opens a store.

Rule: stored text is data. It is shown without interpreting markup, and control characters are made visible, so that no
message can take over a terminal.
"""

from __future__ import annotations

import json
import sys
import time
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from .. import codec, layout, records
from ..sessions import (
    AgentOverview,
    ConversationPage,
    ConversationStats,
    Holder,
    LogPage,
    Overview,
    SessionPage,
    Sessions,
    Stored,
)
from ..stores.collecting import Collected

console = Console(highlight=False)

SPEAKERS = {"user": ("you", "bold cyan"), "assistant": ("agent", "bold green"), "tool": ("tool", "yellow")}


def complain(text: str) -> None:
    """One line on stderr."""
    print(f"strands-session: {plain(text).replace(chr(10), ' ')}", file=sys.stderr)


# ---------------------------------------------------------------------------------------------------------- small parts


def plain(text: str) -> str:
    """``text`` with control characters made visible, newlines and tabs excepted."""
    return "".join(
        c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs") else f"\\u{ord(c):04x}" for c in text
    )


def many(count: int, one: str, more: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def size(count: int) -> str:
    return f"{count:,} B" if count < 10_000 else f"{count / 1000:,.0f} kB"


def when(at: float | None) -> str:
    """Local time; ``?`` when unknown."""
    return "?" if at is None else datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M")


def say(speaker: str, text: str) -> None:
    """A line of a conversation."""
    name, style = SPEAKERS.get(speaker, (speaker, "bold"))
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=7, justify="right")
    grid.add_column()
    grid.add_row(Text(name, style), Text(plain(text.strip()) or "(nothing)"))
    console.print(grid)


def say_message(message: Mapping[str, Any], *, prompts: bool = True, texts: bool = True) -> None:
    """A Strands message, block by block: texts, tool calls and results."""
    for block in message.get("content", ()):
        if "text" in block:
            if texts and (prompts or message["role"] != "user"):
                say(message["role"], block["text"])
        elif "toolUse" in block:
            use = block["toolUse"]
            say("tool", f"{use['name']}({', '.join(f'{k}={v!r}' for k, v in dict(use['input'] or {}).items())})")
        elif "toolResult" in block:
            say("tool", f"→ {_short(' '.join(_result_texts(block['toolResult'])))}")
        else:
            say(message["role"], f"({', '.join(block)})")


def layout_tree(stored: Iterable[Stored], title: str) -> Tree:
    """Paths as a nested tree, with sizes and counts; counters below a branch of their own."""
    tree = Tree(Text(plain(title), "bold"))
    branches: dict[tuple[str, ...], Tree] = {(): tree}

    def branch(names: tuple[str, ...]) -> Tree:
        if names not in branches:
            branches[names] = branch(names[:-1]).add(Text(names[-1]))
        return branches[names]

    for item in sorted(stored, key=lambda item: (item.kind == "counter", item.path)):
        names = tuple(item.path.split("/"))
        if item.kind == "counter":
            branch(("counters",)).add(Text.assemble(f"{item.path}  ", (f"{item.value:,}", "dim")))
        elif item.kind == "document":
            branch(names[:-1]).add(Text.assemble(f"{names[-1]}  ", (f"document, {size(item.bytes or 0)}", "dim")))
        else:
            count = many(item.entries or 0, "entry", "entries")
            branch(names[:-1]).add(Text.assemble(f"{names[-1]}  ", (f"log, {count}", "dim")))
    return tree


# ------------------------------------------------------------------------------------------------------------ sessions


def show_page(page: SessionPage) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("session", "user", "kind", "messages", "runs", "created", "last used"):
        table.add_column(name, justify="right" if name in ("messages", "runs") else "left", overflow="fold")
    for found in page.sessions:
        s = found.session
        counts = (f"{found.counters[name]:,}" for name in ("messages", "runs"))
        names = (Text(plain(s.session_id)), Text(plain(s.user_id or "-")), Text(plain(s.kind)))
        table.add_row(*names, *counts, when(s.created), when(found.updated))
    console.print(table)
    if page.cursor is not None:
        console.print(Text(f"more: --cursor {page.cursor}", "dim"))


def show_collected(done: Collected, dry_run: bool) -> None:
    """What a collection deleted, or would have."""
    parts = [
        many(done.expired, "expired session"),
        f"{many(done.objects, 'unnamed object')} ({size(done.bytes)})",
        many(done.tombstones, "tombstone"),
        many(done.rows, "index row"),
    ]
    console.print(f"{'Would delete' if dry_run else 'Deleted'} {', '.join(parts)}.")
    if done.restored:
        console.print(f"{'Would put' if dry_run else 'Put'} back {many(done.restored, 'index row')} that was missing.")


def page_as_data(page: SessionPage) -> dict[str, Any]:
    return {"sessions": [_overview_as_data(found) for found in page.sessions], "cursor": page.cursor}


@dataclass(frozen=True, slots=True)
class Whole:
    """All that is shown of one session."""

    overview: Overview
    stored: tuple[Stored, ...]
    agents: tuple[AgentOverview, ...]
    multi_agents: tuple[records.MultiAgent, ...]
    histories: Mapping[str, ConversationPage]
    stats: Mapping[str, ConversationStats]
    runs: LogPage[records.Run]
    open_runs: tuple[records.Run, ...]
    events: LogPage[records.Event]


def gather(sessions: Sessions, session_id: str, user_id: str | None, last: int) -> Whole:
    """Read what `show_session` shows.

    Raises:
        SessionNotFoundError: There is no such session.
    """
    agents = sessions.agents(session_id, user_id)
    ids = [agent.agent.agent_id for agent in agents]
    return Whole(
        sessions.get(session_id, user_id),
        sessions.layout_tree(session_id, user_id),
        agents,
        sessions.multi_agents(session_id, user_id),
        {id: sessions.segments.full_history(session_id, user_id, agent_id=id, limit=last) for id in ids},
        {id: sessions.segments.stats(session_id, user_id, agent_id=id) for id in ids},
        sessions.runs.list(session_id, user_id, limit=last),
        sessions.runs.active(session_id, user_id),
        sessions.events.list(session_id, user_id, limit=last),
    )


def show_session(whole: Whole) -> None:
    session = whole.overview.session
    owner = f", user {session.user_id}" if session.user_id is not None else ""
    console.print(Text(plain(f"session {session.session_id}{owner}, created {when(session.created)}"), "bold"))
    if (holder := whole.overview.holder) is not None:
        console.print(Text(plain(_held(holder, time.time()))))
    for agent in whole.agents:
        _show_agent(agent, whole.histories[agent.agent.agent_id], whole.stats[agent.agent.agent_id])
    for orchestrator in whole.multi_agents:
        status = orchestrator.state.get("status") if isinstance(orchestrator.state, dict) else None
        _heading(f"multi-agent {orchestrator.multi_agent_id}: {status or 'no status'}")
    if whole.runs.entries or whole.open_runs:
        _heading(f"runs ({many(whole.runs.length, 'run')} ended, {len(whole.open_runs)} open)")
        _show_runs([*whole.runs.entries.values(), *whole.open_runs])
    if whole.events.entries:
        _heading(f"events ({whole.events.length:,})")
        _show_events(whole.events.entries.values())
    _heading("what is stored")
    console.print(layout_tree(whole.stored, session.session_id))


def session_as_data(whole: Whole) -> dict[str, Any]:
    """For ``--json``: what JSON can't say (bytes, tuples ...) as `codec` writes it."""
    return {
        **_overview_as_data(whole.overview),
        "holder": None if whole.overview.holder is None else asdict(whole.overview.holder),
        "agents": [
            {
                **_as_data(agent.agent),
                "conversation_manager": _jsonable(agent.conversation_manager),
                "history_length": agent.history,
                "context_length": agent.context,
                "segments": whole.stats[agent.agent.agent_id].segments,
                "summary": whole.stats[agent.agent.agent_id].last_summary,
                "messages": {
                    str(said.index): _as_data(said.entry) for said in whole.histories[agent.agent.agent_id].messages
                },
            }
            for agent in whole.agents
        ],
        "multi_agents": [_as_data(orchestrator) for orchestrator in whole.multi_agents],
        "runs": [_as_data(run) for run in [*whole.runs.entries.values(), *whole.open_runs]],
        "events": [_as_data(event) for event in whole.events.entries.values()],
        "layout": [
            {"path": s.path, "kind": s.kind}
            | {k: v for k in ("bytes", "entries", "value") if (v := getattr(s, k)) is not None}
            for s in whole.stored
        ],
    }


def _show_agent(agent: AgentOverview, history: ConversationPage, stats: ConversationStats) -> None:
    named = f" ({agent.agent.name})" if agent.agent.name else ""
    _heading(
        f"agent {agent.agent.agent_id}{named}: {many(agent.history, 'message')} said, {agent.context:,} in context"
    )
    if stats.last_summary is not None:
        console.print(Text(f"segments              {stats.segments:,}; of all but the last one there is a summary:"))
        say("summary", stats.last_summary)
    first = history.messages[0].index if history.messages else 0
    if first > 0:
        console.print(Text(f"        ... {many(first, 'earlier message')}", "dim"))
    for said in history.messages:
        say_message(said.entry.message)
    console.print(Text(f"state                 {_short(_spelled(agent.agent.state))}"))
    console.print(Text(f"conversation manager  {_short(_spelled(agent.conversation_manager))}"))
    if agent.agent.interrupts:
        console.print(Text(f"interrupts            {_short(_spelled(agent.agent.interrupts))}"))


def _show_runs(runs: Iterable[records.Run]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("started", "of", "status", "seconds", "messages", "tokens in", "out", "error"):
        right = name in ("seconds", "messages", "tokens in", "out")
        table.add_column(name, justify="right" if right else "left", no_wrap=name != "error")
    for run in runs:
        seconds = "" if run.ended is None else f"{run.ended - run.started:.2f}"
        tokens = ("?" if n is None else f"{n:,}" for n in (run.usage.input_tokens, run.usage.output_tokens))
        of, error = (Text(plain(text or "")) for text in (run.agent_id or run.multi_agent_id, run.error))
        table.add_row(when(run.started), of, run.status, seconds, f"{run.messages:,}", *tokens, error)
    console.print(table)


def _show_events(events: Iterable[records.Event]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("ended", "agent", "what", "name", "status", "ms", "attempt"):
        table.add_column(name, justify="right" if name in ("ms", "attempt") else "left", no_wrap=name != "name")
    for event in events:
        ms, attempt = "" if event.milliseconds is None else f"{event.milliseconds:.1f}", str(event.attempt or "")
        texts = (Text(plain(text or "")) for text in (event.agent_id, event.type, event.name, event.status))
        table.add_row(when(event.at), *texts, ms, attempt)
    console.print(table)


def _held(holder: Holder, now: float) -> str:
    """Who has the lease. Ages are by two clocks, where the holder is on another machine."""
    since, seen = max(0.0, now - holder.since), max(0.0, now - holder.seen)
    out = f"lease  {holder.host} pid {holder.pid}, for {since:.0f} s, last sign of life {seen:.0f} s ago"
    out += f"; {holder.waiting} waiting" if holder.waiting else ""
    if seen > holder.expiry:
        out += f"\n       it seems to be gone: whoever comes next takes the lease, after {holder.expiry:g} s"
    return out


def _heading(text: str) -> None:
    console.print()
    console.print(Text(plain(text), "bold"))


def _overview_as_data(found: Overview) -> dict[str, Any]:
    times = {"created": found.session.created, "updated": found.updated}
    iso = {k: datetime.fromtimestamp(at, timezone.utc).isoformat() for k, at in times.items()}
    session = found.session
    return {
        "session_id": session.session_id,
        "user_id": session.user_id,
        "parent_id": session.parent_id,
        "kind": session.kind,
        "title": session.title,
        **iso,
        "counters": {name: found.counters.get(name, 0) for name in layout.COUNTERS},
    }


def _as_data(record: records.Record) -> dict[str, Any]:
    values = {name: getattr(record, name) for name in type(record).model_fields}
    return {name: _as_data(v) if isinstance(v, records.Record) else _jsonable(v) for name, v in values.items()}


def _jsonable(value: Any) -> Any:
    return json.loads(codec.encode(value))


def _spelled(value: Any) -> str:
    return json.dumps(_jsonable(value), ensure_ascii=False)


def _short(text: str, limit: int = 400) -> str:
    text = plain(text).replace("\n", " ")
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text):,} characters)"


def _result_texts(result: Mapping[str, Any]) -> Iterable[str]:
    for part in result.get("content", ()):
        yield part["text"] if "text" in part else _spelled(part)
