"""Conversations in the terms of others, and back. Strands' messages are the inner form. Pure; loads nobody's package.

openai_chat        OpenAI, Chat Completions       bedrock   Amazon Bedrock, Converse
openai_responses   OpenAI, Responses              gemini    Google, generateContent
anthropic          Anthropic, Messages            zep       Zep, threads
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from .anthropic import from_anthropic, to_anthropic
from .bedrock import from_bedrock, to_bedrock
from .conversion import Converted, Loss, Restored
from .gemini import from_gemini, to_gemini
from .openai_chat import from_openai_chat, to_openai_chat
from .openai_responses import from_openai_responses, to_openai_responses
from .zep import from_zep, to_zep

__all__ = [
    "FORMATS",
    "Converted",
    "Loss",
    "Restored",
    "from_anthropic",
    "from_bedrock",
    "from_gemini",
    "from_openai_chat",
    "from_openai_responses",
    "from_zep",
    "to_anthropic",
    "to_bedrock",
    "to_gemini",
    "to_openai_chat",
    "to_openai_responses",
    "to_zep",
]

FORMATS: Final[Mapping[str, tuple[Callable[..., Converted], Callable[..., Restored]]]] = {
    "openai_chat": (to_openai_chat, from_openai_chat),
    "openai_responses": (to_openai_responses, from_openai_responses),
    "anthropic": (to_anthropic, from_anthropic),
    "bedrock": (to_bedrock, from_bedrock),
    "gemini": (to_gemini, from_gemini),
    "zep": (to_zep, from_zep),
}
"""Name of a dialect -> to it, and from it."""
