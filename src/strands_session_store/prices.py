"""What a model call costs: a whole number of pico-dollars, or None where that is not known.

Rule 1. The application's own prices come first, then those that genai-prices was published with. Nothing is fetched; an
        application that has genai-prices update itself gets what that found.
Rule 2. Unknown is None, never 0: a model nobody knows, figures that contradict each other, a price that can't be meant.
Rule 3. Pico-dollars, since prices are dollars a million tokens with up to six decimals (0.0375, 0.006875). So the price
        of a token is a whole number, and sums are exact in any order. What is finer (0.08333333333333334: 1/12, out of
        floating point) is rounded to the nearest pico-dollar, once a call.
Rule 4. ``input_tokens`` are all that the model was given, those read from a cache or written to one among them, as
        genai-prices has it. Where there is no price for these, they cost what others do.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation, localcontext
from typing import Any, Final, TypeAlias

from .records import PICO, Usage

logger = logging.getLogger(__name__)

Dollars: TypeAlias = Decimal | str | int
"""No float: 0.1 is none of its values."""
Own: TypeAlias = Mapping[str, Mapping[str, Dollars]]
"""Model id -> dollars a million tokens: `KINDS`."""
Ask: TypeAlias = Callable[[str, Usage], Dollars | None]
"""Given a model id and what a call took, the dollars it cost; None: unknown."""

KINDS: Final = ("input", "output", "cache_read", "cache_write")
"""The first two are needed; the other two are the first one's where they are left out."""
MOST: Final = 1_000 * PICO
"""Of one call: more is taken for nonsense, so that no counter ever comes near int64, which is 9.2 million dollars."""
MILLION: Final = 10**6
KNOWN: Final = 1_000
"""Models whose place in genai-prices is kept."""
_BEDROCK, _LITELLM = "aws", "litellm"


class Prices:
    """Prices of model calls. Safe for use by many threads."""

    def __init__(self, own: Own | Ask | None = None, *, published: bool = True) -> None:
        """No I/O.

        Args:
            own: A mapping that comes before the published prices, for the models in it; or what is asked instead of
                them.
            published: False: without genai-prices, also where it is installed.

        Raises:
            ValueError: A price that can't be meant; names the model and the kind.
        """
        self._ask: Ask | None = own if callable(own) else None
        self._own = {} if own is None or callable(own) else _checked(own)
        self._published = published and self._ask is None
        self._places: dict[tuple[str, str | None], tuple[str | None, ...]] = {}
        self._told: set[str] = set()

    def cost(self, model: str, usage: Usage, *, at: float | None = None, provider: str | None = None) -> int | None:
        """What one call cost. Never raises.

        Args:
            model: Its id, as the provider spells it.
            usage: What it took; what is None counts as 0.
            at: When, in Unix time: prices change. None: now.
            provider: As genai-prices names it (``aws``, ``anthropic``, ``google`` ...); None: told by the model's id.

        Returns:
            Pico-dollars; None where it is not known, and when it is past `MOST`.
        """
        try:
            if self._ask is not None:
                found = self._ask(model, usage)
                cost = None if found is None else _pico(Decimal(found))
            elif (rates := self._own.get(model)) is not None:
                cost = sum(map(int.__mul__, rates, _kinds(usage)))
            else:
                cost = self._look_up(model, usage, at, provider) if self._published else None
        except Exception as error:  # a callable's, or figures that contradict each other: no message is refused for it
            if model not in self._told and len(self._told) < KNOWN:
                self._told.add(model)
                text = "the price of a call is unknown (said once a model): %s: %s"
                logger.warning("model=<%s> | " + text, model, type(error).__name__, error)
            return None
        return cost if cost is not None and 0 <= cost <= MOST else None

    def _look_up(self, model: str, usage: Usage, at: float | None, provider: str | None) -> int | None:
        if (package := _package()) is None:
            return None
        when = None if at is None else datetime.fromtimestamp(at, timezone.utc)
        took = package.Usage(
            input_tokens=usage.input_tokens or 0,
            output_tokens=usage.output_tokens or 0,
            cache_read_tokens=usage.cache_read_input_tokens or 0,
            cache_write_tokens=usage.cache_write_input_tokens or 0,
        )
        known = self._places.get((model, provider))
        for place in _places(model, provider) if known is None else known:
            try:
                found = package.calc_price(took, model, provider_id=place, genai_request_timestamp=when)
            except LookupError:
                continue
            self._keep(model, provider, (place,))
            return _pico(found.total_price)
        self._keep(model, provider, ())
        return None

    def _keep(self, model: str, provider: str | None, places: tuple[str | None, ...]) -> None:
        if len(self._places) < KNOWN:
            self._places[model, provider] = places


def to_pico(argument: str, value: object) -> int:
    """Dollars as whole pico-dollars, for the argument of that name.

    Raises:
        ValueError: No number of dollars, below 0, or of more than 12 decimals.
    """
    return _whole(argument, value, PICO, "dollars")


def _places(model: str, provider: str | None) -> Iterator[str | None]:
    """Where to look for a model: None lets its id tell."""
    if provider is not None:
        yield provider
        return
    yield None
    yield _BEDROCK  # whose ids begin with a region or a vendor: us.anthropic.claude-...
    if "/" in model:
        yield _LITELLM  # provider/model


def _kinds(usage: Usage) -> tuple[int, int, int, int]:
    """Tokens of `KINDS`, without overlap."""
    read, write = usage.cache_read_input_tokens or 0, usage.cache_write_input_tokens or 0
    plain = (usage.input_tokens or 0) - read - write
    if plain < 0:
        raise ValueError(f"{read + write} tokens of the cache are more than all {usage.input_tokens} of the input")
    return plain, usage.output_tokens or 0, read, write


def _pico(dollars: Decimal) -> int:
    with localcontext() as context:
        context.prec = 60
        return int((dollars * PICO).to_integral_value(ROUND_HALF_EVEN))


def _checked(own: Any) -> dict[str, tuple[int, int, int, int]]:
    """Pico-dollars a token, for each model and kind."""
    if not isinstance(own, Mapping):
        raise ValueError(
            f"prices must be a mapping of model ids, a callable or Prices; got a {type(own).__name__}: "
            "{'my-model': {'input': '3', 'output': '15'}} is dollars a million tokens"
        )
    out = {}
    for model, prices in own.items():
        if not isinstance(model, str) or not model:
            raise ValueError(f"prices has {model!r} where a model id is meant; give it as a text")
        if not isinstance(prices, Mapping) or not {"input", "output"} <= prices.keys() <= set(KINDS):
            raise ValueError(
                f"prices[{model!r}] must have input and output, and may have cache_read and cache_write, each in "
                f"dollars a million tokens; got {prices!r}"
            )
        by_kind = {kind: _rate(f"prices[{model!r}][{kind!r}]", price) for kind, price in prices.items()}
        rates = {"cache_read": by_kind["input"], "cache_write": by_kind["input"]} | by_kind
        out[model] = (rates["input"], rates["output"], rates["cache_read"], rates["cache_write"])
    return out


def _rate(argument: str, value: object) -> int:
    return _whole(argument, value, PICO // MILLION, "dollars a million tokens")


def _whole(argument: str, value: object, unit: int, what: str) -> int:
    try:
        if isinstance(value, bool) or not isinstance(value, Decimal | str | int):
            raise ValueError
        amount = Decimal(value) * unit
        if not 0 <= amount <= MILLION * PICO or amount != int(amount):
            raise ValueError
    except (ValueError, InvalidOperation, ArithmeticError):
        raise ValueError(
            f"{argument} must be a number of {what}, 0 to {MILLION:,} with at most {len(str(unit)) - 1} decimals, as a "
            f"text, a Decimal or an int; got {value!r}"
        ) from None
    return int(amount)


@functools.cache
def _package() -> Any:
    """genai-prices, loaded on first use, which takes 0.2 s; None where it is not installed, which is said once."""
    try:
        import genai_prices
    except ImportError:
        logger.info(
            "what models cost is unknown, but for prices= given to the session manager: genai-prices is not installed; "
            "pip install 'strands-session-store[prices]'"
        )
        return None
    return genai_prices
