"""A conversation with a vendor's client: its answers as it gives them, its messages as it takes them."""

from __future__ import annotations

from typing import Any

import pytest

from strands_session_store import Conversation
from strands_session_store.errors import FormatError
from strands_session_store.formats import FORMATS
from strands_session_store.stores.memory import MemoryStore


def _openai_chat() -> list[Any]:
    chat = pytest.importorskip("openai").types.chat.ChatCompletion
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 4,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 2},
    }
    about = {"id": "x", "created": 1, "model": "gpt-x", "object": "chat.completion", "usage": usage}
    call = {"id": "t1", "type": "function", "function": {"name": "look", "arguments": '{"at": "map"}'}}

    def answer(message: dict[str, Any], reason: str) -> Any:
        choice = {"index": 0, "finish_reason": reason, "logprobs": None, "message": {"role": "assistant", **message}}
        return chat.model_validate({**about, "choices": [choice]})

    return [answer({"content": None, "tool_calls": [call]}, "tool_calls"), answer({"content": "It is far."}, "stop")]


def _openai_responses() -> list[Any]:
    response = pytest.importorskip("openai").types.responses.Response
    details = {
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    usage: dict[str, Any] = {"input_tokens": 10, "output_tokens": 4, "total_tokens": 14, **details}
    about = {"id": "x", "created_at": 1, "model": "gpt-x", "object": "response", "usage": usage, "tools": []}
    about |= {"parallel_tool_calls": True, "tool_choice": "auto"}
    call = {"type": "function_call", "call_id": "t1", "name": "look", "arguments": '{"at": "map"}'}
    text = {"type": "output_text", "text": "It is far.", "annotations": []}
    said = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [text]}
    return [response.model_validate({**about, "output": [output]}) for output in (call, said)]


def _anthropic() -> list[Any]:
    message = pytest.importorskip("anthropic").types.Message
    usage = {"input_tokens": 8, "output_tokens": 4, "cache_read_input_tokens": 2}
    about = {"id": "x", "model": "gpt-x", "role": "assistant", "type": "message", "usage": usage, "stop_sequence": None}
    call = {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "map"}}
    said = {"type": "text", "text": "It is far."}
    given = ((call, "tool_use"), (said, "end_turn"))
    return [message.model_validate({**about, "content": [one], "stop_reason": why}) for one, why in given]


def _gemini() -> list[Any]:
    response = pytest.importorskip("google.genai").types.GenerateContentResponse
    usage: dict[str, Any] = {"prompt_token_count": 10, "candidates_token_count": 4, "cached_content_token_count": 2}
    call = {"function_call": {"id": "t1", "name": "look", "args": {"at": "map"}}}
    return [
        response.model_validate(
            {
                "candidates": [{"content": {"role": "model", "parts": [part]}}],
                "usage_metadata": usage,
                "model_version": "gpt-x",
            }
        )
        for part in (call, {"text": "It is far."})
    ]


def _bedrock() -> list[Any]:
    usage = {"inputTokens": 8, "outputTokens": 4, "totalTokens": 14, "cacheReadInputTokens": 2}
    call = {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"at": "map"}}}
    return [
        {"output": {"message": {"role": "assistant", "content": [block]}}, "usage": usage, "stopReason": "end_turn"}
        for block in (call, {"text": "It is far."})
    ]


VENDORS = {
    "openai_chat": _openai_chat,
    "openai_responses": _openai_responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "bedrock": _bedrock,
}


@pytest.mark.parametrize("format", VENDORS)
def test_the_loop_of_an_application(format: str) -> None:
    to, restore = FORMATS[format]
    chat = Conversation("c", MemoryStore())
    chat.user_says("How far is it?")
    for answer in VENDORS[format]():
        shown = chat.messages(format)
        assert shown.lost == () and shown.messages == to(chat.messages()).messages
        kept = chat.ai_responds(answer, format=format, model="m" if format == "bedrock" else None)
        if kept.uses:
            assert kept.uses == ({"toolUseId": "t1", "name": "look", "input": {"at": "map"}},)
            chat.tools_answered({use["toolUseId"]: "400 km" for use in kept.uses})
    said = [{"role": one["role"], "content": one["content"]} for one in chat.messages()]
    assert said == [
        {"role": "user", "content": [{"text": "How far is it?"}]},
        {"role": "assistant", "content": [{"toolUse": kept_use()}]},
        {"role": "user", "content": [{"toolResult": given("400 km")}]},
        {"role": "assistant", "content": [{"text": "It is far."}]},
    ]
    again = restore(chat.messages(format).messages)
    assert [one["role"] for one in again.messages] == [one["role"] for one in said]
    usage = chat.stats().usage
    assert (usage.calls, usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens) == (2, 20, 8, 4)
    assert usage.estimated == 0
    models = {one.entry.usage.model for one in chat.full_history().messages if one.entry.usage is not None}
    assert models == {"m" if format == "bedrock" else "gpt-x"}


def kept_use() -> dict[str, Any]:
    return {"toolUseId": "t1", "name": "look", "input": {"at": "map"}}


def given(text: str) -> dict[str, Any]:
    return {"toolUseId": "t1", "status": "success", "content": [{"text": text}]}


def test_what_a_user_says_in_a_dialect() -> None:
    chat = Conversation("c", MemoryStore())
    url = "data:image/png;base64,iVBORw=="
    parts = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": url}}]
    chat.user_says({"role": "user", "content": parts}, format="openai_chat", name="ada")
    call = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    chat.ai_responds(
        {"role": "assistant", "content": None, "tool_calls": [{"id": id, **call} for id in "ab"]}, format="openai_chat"
    )
    answers = [{"role": "tool", "tool_call_id": id, "content": f"gave {id}"} for id in "ab"]
    chat.user_says(answers, format="openai_chat")
    shown = chat.messages("openai_chat", system="Be brief.", strict=False).messages
    assert [message["role"] for message in shown] == ["system", "user", "assistant", "tool", "tool"]
    assert shown[1]["name"] == "ada" and shown[1]["content"] == parts
    assert shown[3:] == answers


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"role": "system", "content": "x"}, ValueError, "system prompt"),
        ({"role": "user", "content": "x"}, ValueError, "one message of role 'assistant'.*user"),
        ([{"role": "assistant", "content": "x"}, {"role": "user", "content": "x"}], ValueError, "assistant.*user"),
        ({"choices": []}, ValueError, "0 choices"),
        ({"choices": [{"message": {"role": "assistant", "content": "x"}}] * 2}, ValueError, "2 choices"),
        ("x", ValueError, "str"),
        ({"role": "assistant", "audio": {"id": "a"}}, FormatError, "audio"),
    ],
)
def test_what_is_no_answer_is_refused(given: Any, error: type[Exception], says: str) -> None:
    chat = Conversation("c", MemoryStore())
    with pytest.raises(error, match=says):
        chat.ai_responds(given, format="openai_chat")
    assert chat.messages() == []


def test_what_can_not_be_held_is_listed_if_it_is_asked_for() -> None:
    chat = Conversation("c", MemoryStore())
    chat.user_says("q")
    answer = {"role": "assistant", "content": "a", "audio": {"id": "a"}}
    kept = chat.ai_responds(answer, format="openai_chat", strict=False)
    assert [loss.place for loss in kept.lost] == ["messages[0].audio"]
    assert chat.messages()[-1]["content"] == [{"text": "a"}]
