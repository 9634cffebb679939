"""The work that is measured: real agents with a scripted model, whose answers have a given size and differ."""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import AsyncIterator
from typing import Any

from strands import Agent, tool
from strands.models.model import Model
from strands.types.content import Message


@functools.cache
def text(size: int, seed: object) -> str:
    """``size`` characters of made-up words, the same for the same seed."""
    rng = random.Random(f"{size}/{seed}")
    words: list[str] = []
    length = 0
    while length < size:
        words.append("".join(rng.choice("aeioudlmnrst") for _ in range(rng.randint(2, 9))))
        length += len(words[-1]) + 1
    return " ".join(words)[:size]


def conversation(count: int, size: int) -> list[Message]:
    """Messages of a user and an assistant in turn."""
    roles = ("user", "assistant")
    return [{"role": roles[i % 2], "content": [{"text": text(size, i % 500)}]} for i in range(count)]


class Scripted(Model):
    """Answers with text; calls the tool first when the prompt begins with "look up"."""

    def __init__(self, size: int, think_ms: float) -> None:
        self._size, self._think, self._answers = size, think_ms / 1000, 0

    def update_config(self, **config: Any) -> None:
        pass

    def get_config(self) -> dict[str, Any]:
        return {"model_id": "scripted", "context_window_limit": 200_000}

    def structured_output(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("the benchmark asks for text only")

    async def stream(self, messages: Any, tool_specs: Any = None, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        await asyncio.sleep(self._think)
        self._answers += 1
        wanted = any(block.get("text", "").startswith("look up") for block in messages[-1]["content"])
        yield {"messageStart": {"role": "assistant"}}
        if wanted:
            use = {"name": "lookup", "toolUseId": f"use-{self._answers}-{len(messages)}"}
            yield {"contentBlockStart": {"start": {"toolUse": use}}}
            yield {"contentBlockDelta": {"delta": {"toolUse": {"input": f'{{"word": "w{self._answers}"}}'}}}}
        else:
            yield {"contentBlockStart": {"start": {}}}
            yield {"contentBlockDelta": {"delta": {"text": text(self._size, self._answers % 500)}}}
        yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "tool_use" if wanted else "end_turn"}}
        yield {
            "metadata": {"usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}, "metrics": {"latencyMs": 0}}
        }


def agent(size: int, *, think_ms: float = 0.0, tool_size: int | None = None, **options: Any) -> Agent:
    """An agent with the scripted model and one tool."""

    @tool
    def lookup(word: str) -> str:
        """Look a word up.

        Args:
            word: Which.
        """
        return text(tool_size or size, word)

    return Agent(model=Scripted(size, think_ms), tools=[lookup], callback_handler=None, **options)
