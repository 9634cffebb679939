"""Conversations in the terms of others, and back. Strands' messages are the inner form. Pure; loads nobody's package.

    openai_chat        OpenAI, Chat Completions       bedrock   Amazon Bedrock, Converse
    openai_responses   OpenAI, Responses              gemini    Google, generateContent
    anthropic          Anthropic, Messages            zep       Zep, threads

What is promised is said in `conversion`, and of each dialect in its own module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

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
    "Format",
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


class Format(NamedTuple):
    """A dialect: both take messages, ``system=`` and ``strict=``."""

    to: Callable[..., Converted]
    restore: Callable[..., Restored]


FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {
        "openai_chat": Format(to_openai_chat, from_openai_chat),
        "openai_responses": Format(to_openai_responses, from_openai_responses),
        "anthropic": Format(to_anthropic, from_anthropic),
        "bedrock": Format(to_bedrock, from_bedrock),
        "gemini": Format(to_gemini, from_gemini),
        "zep": Format(to_zep, from_zep),
    }
)
