"""`show`: a session as whoever is on call wants it, what matters first; and as JSON. Nothing here reads a store."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from rich import box
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from .. import records
from ..sessions import Holder, Stored
from ..usage import Totals
from . import money, spoken
from .listing import as_data as overview_as_data
from .reading import Told, Whole
from .spoken import CUT, jsonable, spelled
from .terminal import ago, console, dim, heading, many, plain, short, size, when

_NODES: Final = {
    "execution_order": "nodes so far",
    "node_history": "nodes so far",
    "failed_nodes": "failed",
    "interrupted_nodes": "interrupted",
    "next_nodes_to_execute": "next",
}
"""What a Graph or Swarm says of its nodes, in its own terms, and in ours."""


def show(whole: Whole, *, everything: bool, layout: bool, full: bool, ids: bool, hint: bool = True) -> None:
    """
    Args:
        whole: What was read.
        everything: Also state, runs, events and what is stored.
        layout: Also what is stored.
        full: Texts as long as they are.
        ids: With the messages' tracking ids.
        hint: Whether to say what else could be shown.
    """
    head(whole)
    cut = None if full or everything else CUT
    runs = list(whole.runs.entries.values())
    for told in whole.told:
        _title(told)
        for turn in told.turns:
            say_turn(turn, told, runs, cut, ids=ids)
    for orchestrator in whole.multi_agents:
        _show_orchestrator(orchestrator, everything)
    if everything:
        _rest(whole)
    if everything or layout:
        heading("what is stored")
        console.print(layout_tree(whole.stored, whole.overview.session.session_id))
    elif hint:
        console.print()
        dim("more: -n 20 (turns), --all (state, runs, tool calls, layout), --ids, --follow")


def say_turn(turn: spoken.Turn, told: Told, runs: Sequence[records.Run], cut: int | None, *, ids: bool = False) -> None:
    """A turn, from its heading to what it took."""
    spoken.begin(turn)
    asked: Mapping[str, Sequence[records.Event]] = {}
    for said in turn.messages:
        if said.entry.message.get("role") == "assistant":
            asked = told.calls.get(said.entry.tracking_id, {})
        spoken.say_placed(said, cut, asked, ids=ids)
    spoken.end(turn, told.runs_of(turn, runs))


def head(whole: Whole) -> None:
    """What the session is, how large, and what is not as it should be."""
    overview = whole.overview
    session, totals = overview.session, Totals.of(overview.counters)
    title = f"  {session.title}" if session.title else ""
    console.print(Text.assemble((plain(f"session {session.session_id}"), "bold"), plain(title)))
    about = [f"user {session.user_id}"] if session.user_id is not None else []
    about += [session.kind] if session.kind != "session" else []
    about += [] if session.active else ["inactive"]
    about += [f"below {session.parent_id}"] if session.parent_id is not None else []
    if session.origin is not None:
        where = "" if session.origin.message_id is None else f" at message {session.origin.message_id}"
        about.append(f"made of {session.origin.session_id}{where}")
    about.append(f"created {when(session.created)}")
    said = (one.entry.at for told in whole.told for turn in told.turns for one in turn.messages)
    if last := max((at for at in said if at is not None), default=0.0):
        about.append(f"last message {when(last)} ({ago(last)})")
    about += [f"expires {when(overview.expires)} ({ago(overview.expires)})"] if overview.expires is not None else []
    console.print(Text(plain(" · ".join(about))))
    # those of segments that have ended are counted in their own sessions
    messages = max(overview.counters["messages"], sum(told.length for told in whole.told if told.stats.segments > 1))
    counts = [many(messages, "message"), many(overview.counters["runs"], "run")]
    if totals.calls:
        counts += [f"{money.tokens(totals)} tokens", _cost(totals)]
    console.print(Text(" · ".join(counts)))
    if whole.below:
        kinds = Counter(one.session.kind for one in whole.below)
        shown = ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items()))
        more = " and more" if whole.more_below else ""
        dim(f"below it: {shown}{more} (see tree)")
    if overview.holder is not None:
        console.print(Text(plain(held(overview.holder, time.time()))))
    for warning in warnings(whole):
        console.print(Text(plain(f"! {warning}"), "bold yellow"))


def warnings(whole: Whole) -> list[str]:
    """What whoever is on call should see."""
    out = []
    for run in whole.open_runs:
        of = run.agent_id or run.multi_agent_id or "-"
        out.append(f"a run of {of} is open since {when(run.started)}: under way, or its process was killed")
    ended = list(whole.runs.entries.values())
    if ended and ended[-1].status in ("failed", "abandoned"):
        why = f": {short(ended[-1].error)}" if ended[-1].error else ""
        out.append(f"the last run {'failed' if ended[-1].status == 'failed' else 'was abandoned'}{why}")
    out += [
        f"agent {told.agent.agent.agent_id} waits for the answer to an interrupt"
        for told in whole.told
        if told.agent.agent.interrupts
    ]
    return out


def held(holder: Holder, now: float) -> str:
    """Who has the lease. Ages are by two clocks, where the holder is on another machine."""
    since, seen = max(0.0, now - holder.since), max(0.0, now - holder.seen)
    out = f"lease  {holder.host} pid {holder.pid}, for {since:.0f} s, last sign of life {seen:.0f} s ago"
    out += f"; {holder.waiting} waiting" if holder.waiting else ""
    if seen > holder.expiry:
        out += f"\n       it seems to be gone: whoever comes next takes the lease, after {holder.expiry:g} s"
    return out


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


def as_data(whole: Whole) -> dict[str, Any]:
    """For ``--json``: what JSON can't say (bytes, tuples ...) as `codec` writes it."""
    overview = whole.overview
    return {
        **overview_as_data(overview),
        "expires": overview.expires,
        "holder": None if overview.holder is None else asdict(overview.holder),
        "warnings": warnings(whole),
        "agents": [
            {
                **record_as_data(told.agent.agent),
                "conversation_manager": jsonable(told.agent.conversation_manager),
                "history_length": told.length,
                "context_length": told.agent.context,
                "segments": told.stats.segments,
                "summary": told.stats.last_summary,
                "messages": {
                    str(said.index): {"session_id": said.session_id, **record_as_data(said.entry)}
                    for turn in told.turns
                    for said in turn.messages
                },
            }
            for told in whole.told
        ],
        "multi_agents": [record_as_data(orchestrator) for orchestrator in whole.multi_agents],
        "runs": [record_as_data(run) for run in [*whole.runs.entries.values(), *whole.open_runs]],
        "events": [record_as_data(event) for event in whole.events.entries.values()],
        "below": [overview_as_data(one) for one in whole.below],
        "layout": [
            {"path": s.path, "kind": s.kind}
            | {k: v for k in ("bytes", "entries", "value") if (v := getattr(s, k)) is not None}
            for s in whole.stored
        ],
    }


def record_as_data(record: records.Record) -> dict[str, Any]:
    values = {name: getattr(record, name) for name in type(record).model_fields}
    return {name: record_as_data(v) if isinstance(v, records.Record) else jsonable(v) for name, v in values.items()}


# ------------------------------------------------------------------------------------------------------------- private


def _title(told: Told) -> None:
    agent = told.agent.agent
    named = f" ({agent.name})" if agent.name else ""
    heading(f"agent {agent.agent_id}{named}: {many(told.length, 'message')} said, {told.agent.context:,} in context")
    if told.stats.last_summary is not None:
        dim(f"in {told.stats.segments:,} segments; of all but the last one there is a summary:")
        spoken.say("summary", short(told.stats.last_summary, 600))
    first = told.turns[0].first if told.turns else 0
    if first > 0:
        dim(f"        ... {many(first, 'earlier message')}")


def _show_orchestrator(orchestrator: records.MultiAgent, everything: bool) -> None:
    """A Graph or Swarm: how far it is."""
    state = orchestrator.state if isinstance(orchestrator.state, dict) else {}
    heading(f"multi-agent {orchestrator.multi_agent_id}: {state.get('status') or 'no status'}")
    for key, words in _NODES.items():
        if nodes := [str(node) for node in state.get(key) or ()]:
            console.print(Text(short(f"{words}: {', '.join(nodes)}")))
    if everything:
        console.print(Text(f"state  {short(spelled(orchestrator.state), 2_000)}"))


def _rest(whole: Whole) -> None:
    for told in whole.told:
        agent = told.agent.agent
        heading(f"state of {agent.agent_id}")
        console.print(Text(f"state                 {short(spelled(agent.state))}"))
        console.print(Text(f"conversation manager  {short(spelled(told.agent.conversation_manager))}"))
        if agent.interrupts:
            console.print(Text(f"interrupts            {short(spelled(agent.interrupts))}"))
    if whole.runs.entries or whole.open_runs:
        heading(f"runs ({many(whole.runs.length, 'run')} ended, {len(whole.open_runs)} open)")
        _show_runs([*whole.runs.entries.values(), *whole.open_runs])
    if whole.events.entries:
        heading(f"events ({whole.events.length:,})")
        _show_events(whole.events.entries.values())


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


def _cost(totals: Totals) -> str:
    found = money.cost(totals)
    return "cost unknown" if found == money.UNKNOWN else found
