"""`ls` and `tree`: many sessions, a line each. Nothing here reads a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Final

from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from .. import layout, records
from ..sessions import Node, Overview, SessionPage
from ..usage import Totals
from . import money
from .terminal import console, dim, many, plain, short, when

_ID: Final = 20
"""Columns that an id has at least, if it is so long."""
_TITLE: Final = 40


def show_page(page: SessionPage, *, everyone: bool, order: str) -> None:
    """A page of a listing; columns that would say nothing are left out."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    shown = [one.session for one in page.sessions]
    titles = any(session.title for session in shown)
    kinds = any(_kind(session) for session in shown)
    longest = max((len(plain(session.session_id)) for session in shown), default=0)
    # where it is narrow, titles are cut first, then ids are folded; what is counted and timed stays whole
    table.add_column("session", overflow="fold", min_width=min(longest, _ID))
    if everyone:
        table.add_column("user", overflow="fold", min_width=8)
    if titles:
        table.add_column("title", max_width=_TITLE)
    if kinds:
        table.add_column("kind", overflow="fold", min_width=8)
    for name in ("messages", "runs", "tokens", "cost"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("created" if order == "created" else "last used", no_wrap=True, min_width=len(when(0.0)))
    for found in page.sessions:
        session, totals = found.session, Totals.of(found.counters)
        cells = [Text(plain(session.session_id))]
        cells += [Text(plain(session.user_id or "-"))] * everyone
        cells += [Text(short(session.title or "", 10**6), no_wrap=True, overflow="ellipsis")] * titles
        cells += [Text(plain(_kind(session)))] * kinds
        cells += [Text(f"{found.counters[name]:,}") for name in ("messages", "runs")]
        cells += [Text(money.tokens(totals)), Text(money.cost(totals))]
        table.add_row(*cells, when(session.created if order == "created" else found.updated))
    console.print(table)
    for note in money.notes(sum((Totals.of(one.counters) for one in page.sessions), Totals())):
        dim(note)
    if page.cursor is not None:
        console.print(Text(f"more: --cursor {page.cursor}", "dim"), soft_wrap=True)


def page_as_data(page: SessionPage) -> dict[str, Any]:
    return {"sessions": [as_data(found) for found in page.sessions], "cursor": page.cursor}


def as_data(found: Overview) -> dict[str, Any]:
    """A session without its content."""
    times = {"created": found.session.created, "updated": found.updated}
    iso = {k: datetime.fromtimestamp(at, timezone.utc).isoformat() for k, at in times.items()}
    return {**_session_as_data(found.session, found.counters), **iso}


def show_tree(nodes: Sequence[Node]) -> None:
    """A session and what hangs below it."""
    branches: list[Tree] = []
    for node in nodes:
        label = _label(node)
        if node.depth == 0:
            branches = [Tree(label)]
        else:
            # those above it are the last of each depth
            branches[node.depth :] = [branches[node.depth - 1].add(label)]
    console.print(branches[0])
    if len(nodes) > 1:
        whole = sum((Totals.of(node.counters) for node in nodes), Totals())
        messages = sum(node.counters["messages"] for node in nodes)
        dim(f"{many(len(nodes), 'session')}, {many(messages, 'message')}, {_spent(whole)}")
    for note in money.notes(sum((Totals.of(node.counters) for node in nodes), Totals())):
        dim(note)


def tree_as_data(nodes: Sequence[Node]) -> dict[str, Any]:
    """As a list, parents before children: whatever the depth, it can be read."""
    return {"sessions": [{"depth": node.depth, **_session_as_data(node.session, node.counters)} for node in nodes]}


# ------------------------------------------------------------------------------------------------------------- private


def _label(node: Node) -> Text:
    session, totals = node.session, Totals.of(node.counters)
    kind = _kind(session)
    told = f"{many(node.counters['messages'], 'message')}" + (f", {_spent(totals)}" if totals.calls else "")
    title = f"  {short(session.title, 60)}" if session.title else ""
    return Text.assemble(
        (plain(session.session_id), "bold"), (f"  {plain(kind)}" if kind else "", "cyan"), title, (f"  {told}", "dim")
    )


def _spent(totals: Totals) -> str:
    found = money.cost(totals)
    if not totals.calls:
        return "no model called"
    return f"{money.tokens(totals)} tokens, {'cost unknown' if found == money.UNKNOWN else found}"


def _kind(session: records.Session) -> str:
    words = [session.kind] if session.kind != "session" else []
    return " ".join([*words, *([] if session.active else ["inactive"])])


def _session_as_data(session: records.Session, counters: Mapping[str, int]) -> dict[str, Any]:
    return {
        "session_id": session.session_id,
        "user_id": session.user_id,
        "parent_id": session.parent_id,
        "kind": session.kind,
        "title": session.title,
        "active": session.active,
        "created": datetime.fromtimestamp(session.created, timezone.utc).isoformat(),
        "counters": {name: counters.get(name, 0) for name in layout.COUNTERS},
        "usage": money.as_data(Totals.of(counters)),
    }
