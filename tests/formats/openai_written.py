"""Messages and items as OpenAI writes them, and what of Strands they are about."""

from __future__ import annotations

from typing import Any

CALL = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"}


def chat_call(arguments: str, key: str = "c1") -> dict[str, Any]:
    return {"id": key, "type": "function", "function": {"name": "look", "arguments": arguments}}


def message(*content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": list(content)}


def output_text(text: str, *annotations: dict[str, Any]) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": list(annotations)}


def reasoning(text: str, signature: str) -> dict[str, Any]:
    return {"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}}


def cited(text: str, *citations: tuple[str, str]) -> dict[str, Any]:
    found = [{"title": title, "location": {"web": {"url": url}}} for title, url in citations]
    return {"citationsContent": {"content": [{"text": text}], "citations": found}}


def at(uri: str) -> dict[str, Any]:
    return {"location": {"type": "url", "uri": uri}}
