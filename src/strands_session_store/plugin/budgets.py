"""What may be spent, looked at before an invocation. One read each; an invocation that has begun is not stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import BudgetExceededError
from ..usage import Totals, to_dollars


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
