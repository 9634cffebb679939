"""`rm` and `erase-user`: what they take, what they ask, and what they say.

Rule 1. Everything is looked at before it is asked, and asked before anything is erased.
Rule 2. What was interrupted is repeated by the same command: those below go before those above.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import HasChildrenError, SessionNotFoundError, StoreError
from .options import Children, JsonOption, StoreOption, UserOption, YesOption, opened
from .terminal import Tell, agreed, ask, complain, console, many, print_json, progress, repeatable, size

if TYPE_CHECKING:
    from ..sessions import Receipt, Sessions

commands = typer.Typer()
PANEL = "Change"
AGAIN = "what is erased is gone; the same command erases the rest"

SessionsArgument = Annotated[list[str], typer.Argument(metavar="SESSION_ID...", show_default=False)]
ChildrenOption = Annotated[
    Children, typer.Option("--children", help="When others hang below: refuse, erase them too (cascade), or keep them.")
]


@commands.command(rich_help_panel=PANEL)
def rm(
    session_ids: SessionsArgument,
    store: StoreOption = None,
    user: UserOption = None,
    children: ChildrenOption = Children.REFUSE,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Erase sessions, whole: each with its segments."""
    with opened(store) as sessions:
        plan = _plan(sessions, session_ids, user, children)
        with repeatable("nothing was erased"):
            if not yes and not agreed(plan.question()):
                complain("nothing was erased")
                raise typer.Exit(1)
        with repeatable(AGAIN), progress("Erasing") as tell:
            gone = [_erase(sessions, id, user, children, plan, tell) for id in plan.ids]
    erased = [id for receipt in gone for id in receipt.sessions]
    documents, entries, total = (sum(getattr(one, name) for one in gone) for name in ("documents", "entries", "bytes"))
    if as_json:
        print_json({"sessions": erased, "documents": documents, "entries": entries, "bytes": total})
    else:
        told = f"{many(documents, 'document')} and {many(entries, 'log entry', 'log entries')}, {size(total)}"
        console.print(f"Erased {many(len(erased), 'session')}: {told}.")
    for id, receipt in zip(plan.ids, gone):
        if not receipt.existed:
            raise SessionNotFoundError(f"session {id!r} was gone already")


commands.command(name="delete", hidden=True)(rm)


@commands.command(name="erase-user", rich_help_panel=PANEL)
def erase_user(
    user_id: Annotated[str, typer.Argument(metavar="USER_ID", show_default=False)],
    store: StoreOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Erase all that a user owns: every session, whole, and the user's record. Asks for the user's id."""
    with opened(store) as sessions:
        found = sessions.list(user_id, limit=1, offset=0)
        of = found.total if found.exact else None
        if not yes:
            about = many(of, "session") if of is not None else f"more than {found.total:,} sessions"
            with repeatable("nothing was erased"):
                typed = ask(f"All of user {user_id!r} is to be erased: {about}. Type the user's id to go on:")
            if typed != user_id:
                complain("that is not the user's id; nothing was erased")
                raise typer.Exit(1)
        with repeatable(AGAIN), progress("Erasing") as tell:
            gone = sessions.erase_user(
                user_id, progress=lambda so_far: tell(len(so_far.sessions), of, size(so_far.bytes))
            )
    if not gone.existed:
        raise StoreError(f"there was nothing of user {user_id!r}")
    if as_json:
        print_json(asdict(gone))
    else:
        told = f"{many(gone.documents, 'document')} and {many(gone.entries, 'log entry', 'log entries')}"
        line = f"Erased user {user_id!r}: {many(len(gone.sessions), 'session')}, {told}, {size(gone.bytes)}."
        console.print(line, markup=False, soft_wrap=True)


# ------------------------------------------------------------------------------------------------------------- private


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be erased."""

    ids: Sequence[str]
    """Those that were named; what hangs below another one before it."""
    sessions: int
    """With what goes with them."""
    messages: int

    def question(self) -> str:
        names = [repr(id) for id in self.ids[:5]] + (["..."] if len(self.ids) > 5 else [])
        what = f"{'session' if len(self.ids) == 1 else many(len(self.ids), 'session')} {', '.join(names)}"
        more = self.sessions - len(self.ids)
        return f"Erase {what}{f' and {more:,} that go with it' if more else ''}, with {many(self.messages, 'message')}?"


def _plan(sessions: Sessions, named: Sequence[str], user: str | None, children: Children) -> _Plan:
    """
    Raises:
        SessionNotFoundError: One of them is not there.
        StoreError: Others hang below one, and that is to be refused.
    """
    ids = list(dict.fromkeys(named))
    trees = {id: sessions.tree(id, user) for id in ids}
    going = {}
    for id, nodes in trees.items():
        for node in nodes:
            mine = node.depth == 0 or node.session.segment is not None
            if not mine and children is Children.REFUSE and node.session.session_id not in ids:
                raise _refused(id, node.session.session_id)
            if mine or children is Children.CASCADE:
                going[node.session.session_id] = node.counters["messages"]
    # a tree is larger than any that is a part of it
    return _Plan(sorted(ids, key=lambda id: len(trees[id])), len(going), sum(going.values()))


def _erase(sessions: Sessions, id: str, user: str | None, children: Children, plan: _Plan, tell: Tell) -> Receipt:
    def moved(so_far: Receipt) -> None:
        tell(len(so_far.sessions), plan.sessions if len(plan.ids) == 1 else None, size(so_far.bytes))

    try:
        return sessions.delete(id, user, children=children.value, progress=moved)
    except HasChildrenError as error:  # that came meanwhile
        raise _refused(id) from error


def _refused(id: str, below: str | None = None) -> StoreError:
    which = f" ({below!r}, ...)" if below is not None else ""
    return StoreError(
        f"session {id!r} has others below it{which}; it was not erased. Give --children cascade to erase them too, or "
        "--children detach to keep them"
    )
