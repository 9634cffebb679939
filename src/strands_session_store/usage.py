"""What model calls took, added up exactly: tokens by kind, calls, cost. Pure.

Rule 1. Numbers are whole: tokens, and pico-dollars. So sums don't depend on their order, and counters hold them.
Rule 2. What a provider reports comes first. ``inputTokens`` are without the cache's for some (Anthropic, Bedrock), with
        them for others (OpenAI, Gemini, LiteLLM); ``totalTokens`` tells which, for every model of Strands. Here input
        tokens are always all that the model was given, and tokens in all are input and output.
Rule 3. A cost is None where one call's is unknown; ``known_cost`` is of the others.
Rule 4. A call counts for the UTC day of its answer, its model, and on whose behalf it was made: a `records.UsageKey`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

from . import codec, ids, layout, records
from .errors import InvalidIdError
from .records import Counted, UsageKey
from .stores.base import Add, Change, PutDoc

UNKNOWN: Final = "unknown"
"""Stands for a model that has no id."""
MOST_TOKENS: Final = 10**12
"""Of one message and kind: more is taken for nonsense, so that no counter ever comes near int64."""
_REPORTED: Final = ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheWriteInputTokens")
_CUT: Final = ids.MAX_ESCAPED - 24
"""Bytes of an escaped model id that are kept where it is too long for a path; the mark takes the rest."""


@dataclass(frozen=True, slots=True)
class Totals:
    """A sum over model calls."""

    input_tokens: int = 0
    """All that the models were given, with what came from a cache or went into one."""
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    """Of the input tokens, those that were read from a cache."""
    cache_write_input_tokens: int = 0
    """Of the input tokens, those that were written to a cache."""
    calls: int = 0
    estimated: int = 0
    """Calls whose tokens were estimated here, as the model had reported none."""
    unpriced: int = 0
    """Calls whose price is unknown."""
    known_cost: int = 0
    """Pico-dollars of the other calls."""

    @property
    def tokens(self) -> int:
        """Input and output."""
        return self.input_tokens + self.output_tokens

    @property
    def cost(self) -> int | None:
        """Pico-dollars; None when the price of a call is unknown."""
        return None if self.unpriced else self.known_cost

    @property
    def dollars(self) -> Decimal | None:
        """The cost; None as there."""
        return None if self.cost is None else to_dollars(self.cost)

    @property
    def known_dollars(self) -> Decimal:
        """The cost of the calls whose price is known."""
        return to_dollars(self.known_cost)

    def __add__(self, other: Totals) -> Totals:
        return Totals(*(mine + its for mine, its in zip(self._values(), other._values())))

    def __sub__(self, other: Totals) -> Totals:
        return Totals(*(mine - its for mine, its in zip(self._values(), other._values())))

    def _values(self) -> tuple[int, ...]:
        return tuple(getattr(self, field.name) for field in fields(self))

    @classmethod
    def of(cls, counters: Mapping[str, int], path: str = "") -> Totals:
        """From counters as `Look.counters` has them: the session's, or with a path (`layout.usage`) those of a day,
        model and source. An absent one counts 0."""
        return cls(*(counters.get(name, 0) for name in layout.usage_counters(path)))

    def adds(self, path: str = "") -> list[Change]:
        """What a commit adds to counters: those of `of`."""
        return [Add(name, value) for name, value in zip(layout.usage_counters(path), self._values()) if value]

    def usage(self) -> records.Usage:
        """As a run keeps it: None for what no call has said."""
        if not self.calls:
            return records.Usage()
        return records.Usage(
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cache_read_input_tokens=self.cache_read_input_tokens or None,
            cache_write_input_tokens=self.cache_write_input_tokens or None,
            calls=self.calls,
            estimated=self.estimated,
            unpriced=self.unpriced,
            cost=self.known_cost if self.calls > self.unpriced else None,
        )


def to_dollars(pico: int) -> Decimal:
    """Pico-dollars as dollars, exactly."""
    return Decimal(f"{pico}e-12")  # whatever the context rounds to


# ---------------------------------------------------------------------------------------------------------------- keys


def day_of(at: float | None) -> str:
    """The UTC day of a Unix time; that of 1970 where there is none."""
    return datetime.fromtimestamp(at or 0.0, timezone.utc).strftime("%Y-%m-%d")


def model_id(found: object) -> str:
    """The id of a model as it may stand in a path: cut and marked where it is too long, `UNKNOWN` where it is none."""
    if not isinstance(found, str) or not found:
        return UNKNOWN
    try:
        return ids.check("model", found)
    except InvalidIdError:
        plain = "".join(c for c in found if c.isprintable())
        kept = plain.encode("utf-8", "ignore").decode()[:_CUT]
        while len(ids.escape(kept)) > _CUT:
            kept = kept[:-1]
        return f"{kept}~{sha256(found.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def path_of(key: UsageKey) -> str:
    """Where a key's document is, and its counters below it."""
    return layout.usage(key.day, key.model, key.source)


def known(key: UsageKey) -> Change:
    """The document that tells of a key's counters."""
    return PutDoc(path_of(key), codec.dump_document(key))


# ------------------------------------------------------------------------------------------------- what an entry counts


def reported(message: Mapping[str, Any]) -> tuple[int, int, int, int] | None:
    """The tokens that a model has reported in ``metadata.usage``, as in `Counted.tokens`; None where it has not.

    Metadata is anybody's: what is no number of tokens is left out, and is no reason to refuse a message. All zero is
    what Strands puts there for a model that reports nothing.
    """
    metadata = message.get("metadata")
    usage = metadata.get("usage") if isinstance(metadata, Mapping) else None
    if not isinstance(usage, Mapping):
        return None
    given, said, read, write = (_number(usage.get(name)) for name in _REPORTED)
    if given + said + read + write == 0:
        return None
    total = _number(usage.get("totalTokens"))
    if (total and total != given + said) or read + write > given:
        given += read + write
    return given, said, read, write


def _number(found: Any) -> int:
    if isinstance(found, bool) or not isinstance(found, int | float):
        return 0
    return int(found) if 0 <= found <= MOST_TOKENS else 0


def kept(counted: Counted, message: Mapping[str, Any], at: float | None) -> Counted:
    """What is to be stored of it, beside this message: not what that says itself."""
    says = not counted.estimated and reported(message) == counted.tokens
    return counted.model_copy(
        update={
            "tokens": None if says else counted.tokens,
            "day": None if counted.day == day_of(at) else counted.day,
        }
    )


def whole(entry: records.Message) -> Counted | None:
    """What was counted with an entry, with nothing left out: the reverse of `kept`. None: nothing was."""
    found = entry.usage
    if found is None:
        return None
    tokens = found.tokens if found.tokens is not None else reported(entry.message) or (0, 0, 0, 0)
    return found.model_copy(update={"tokens": tokens, "day": found.day or day_of(entry.at)})


def key_of(counted: Counted) -> UsageKey:
    """Of a `whole` one."""
    return UsageKey(day=counted.day or day_of(None), model=counted.model, source=counted.source)


def totals_of(counted: Counted) -> Totals:
    """What one call adds; of a `whole` one. Over all entries of a session's histories these sum to its counters."""
    unpriced = counted.cost is None
    return Totals(
        *(counted.tokens or (0, 0, 0, 0)),
        calls=1,
        estimated=int(counted.estimated),
        unpriced=int(unpriced),
        known_cost=0 if counted.cost is None else counted.cost,
    )
