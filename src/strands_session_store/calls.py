"""One model call, counted beside its answer: what the model reported, else an estimate; and what it cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from . import tokens, usage
from .prices import Prices
from .records import Counted, Source, Usage

_PROVIDERS = {
    "BedrockModel": "aws",
    "AnthropicModel": "anthropic",
    "GeminiModel": "google",
    "MistralModel": "mistral",
    "LiteLLMModel": "litellm",
    "OllamaModel": "ollama",
    "LlamaCppModel": "llamacpp",
    "SageMakerAIModel": "sagemaker",
}
"""Strands' models -> who runs them, for `Prices.cost`. The others, OpenAI's among them, which many servers imitate, are
told by the id. What runs on one's own machine has no published price, whatever its name."""


def counted(
    answer: Mapping[str, Any],
    heard: Iterable[Mapping[str, Any]],
    model: object,
    *,
    at: float,
    prices: Prices,
    source: Source = "llm",
    provider: str | None = None,
    given: int = 0,
) -> Counted:
    """What a call took. Never fails, and does no I/O but what `tokens` and `prices` load; an estimate takes a while.

    Args:
        answer: The assistant message.
        heard: For an estimate of the input: what was said since the assistant message before it. What the model was
            given beside that, earlier messages, the system prompt and tools, is not in the estimate.
        model: Its id; what is none is `usage.UNKNOWN`.
        at: When, in Unix time.
        prices: Of the models.
        source: On whose behalf.
        provider: As `Prices.cost` has it.
        given: Tokens of what was heard that are known already.

    Returns:
        A whole one (`usage.whole`).
    """
    named = model if isinstance(model, str) else ""
    took = usage.reported(answer)
    if estimated := took is None:
        took = given + sum(tokens.count(message, named)[0] for message in heard), tokens.count(answer, named)[0], 0, 0
    names = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_write_input_tokens")
    cost = prices.cost(named, Usage(**dict(zip(names, took))), at=at, provider=provider)
    return Counted(
        model=usage.model_id(model), cost=cost, tokens=took, estimated=estimated, source=source, day=usage.day_of(at)
    )


def named(model: Any) -> tuple[object, str | None]:
    """A model's id, and who runs it."""
    try:
        config = model.get_config()
        found = config.get("model_id") if isinstance(config, Mapping) else getattr(config, "model_id", None)
    except Exception:  # somebody else's model: what it is called is no reason to lose what it said
        found = None
    kinds = (_PROVIDERS.get(kind.__name__) for kind in type(model).__mro__)
    return found, next((provider for provider in kinds if provider), None)
