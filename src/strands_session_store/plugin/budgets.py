"""What may be spent, looked at before an invocation; one that has begun is not stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..errors import BudgetExceededError, SessionNotFoundError
from ..sessions.usages import Usages
from ..stores.base import Store
from ..usage import Totals, to_dollars

Scope: TypeAlias = Literal["session", "subtree", "user"]
"""Whose spending a budget limits. ``session``: the session's; one read. ``subtree``: with all below it; a listing for
each session there. ``user``: of all sessions of the owner; a listing for each 1,000."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit to what is stored as spent."""

    scope: str
    """Of what, for the error: ``session 's'``."""
    spent: Callable[[], Totals]
    """Asked before each invocation, off the event loop."""
    max_tokens: int | None = None
    """Input and output."""
    max_cost: int | None = None
    """Pico-dollars. Calls of unknown price count as nothing: compared is `Totals.known_cost`."""

    @classmethod
    def of(
        cls,
        scope: Scope,
        store: Store,
        session_id: str,
        user_id: str | None,
        max_tokens: int | None,
        max_cost: int | None,
    ) -> Budget:
        usage = Usages(store)
        if scope == "user":
            return cls(f"user {user_id!r}", lambda: usage.user(user_id), max_tokens, max_cost)
        ask, name = (usage.session, "session") if scope == "session" else (usage.subtree, "what hangs below session")

        def spent() -> Totals:
            try:
                return ask(session_id, user_id)
            except SessionNotFoundError:  # it begins with its first message
                return Totals()

        return cls(f"{name} {session_id!r}", spent, max_tokens, max_cost)

    def check(self) -> None:
        """Blocks.

        Raises:
            BudgetExceededError: As much as a limit, or more, was spent.
            StoreError: As the engine says.
        """
        spent = self.spent()
        if self.max_tokens is not None and spent.tokens >= self.max_tokens:
            text = f"{spent.tokens:,} tokens, max_tokens is {self.max_tokens:,}"
            raise BudgetExceededError(self.scope, "max_tokens", self.max_tokens, spent.tokens, text)
        if self.max_cost is not None and spent.known_cost >= self.max_cost:
            limit, cost = to_dollars(self.max_cost), to_dollars(spent.known_cost)
            text = f"{cost.normalize():f} dollars, max_cost is {limit.normalize():f}"
            raise BudgetExceededError(self.scope, "max_cost", limit, cost, text)
