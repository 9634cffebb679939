"""The look at published types that other tests rely on sees what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.chat import ChatCompletionMessageParam
from openai.types.responses import ResponseInputItemParam
from tests.formats.published import problems

CALL = {"id": "c", "type": "function", "function": {"name": "n", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("value", "kind", "wrong"),
    [
        ({"role": "user", "content": "x"}, ChatCompletionMessageParam, False),
        ({"role": "user", "content": "x", "extra": 1}, ChatCompletionMessageParam, True),
        ({"role": "user"}, ChatCompletionMessageParam, True),
        ({"role": "robot", "content": "x"}, ChatCompletionMessageParam, True),
        ({"role": "user", "content": [{"type": "text", "text": 5}]}, ChatCompletionMessageParam, True),
        ({"role": "user", "content": [{"type": "text", "text": "x", "extra": 1}]}, ChatCompletionMessageParam, True),
        ({"role": "assistant", "content": None, "tool_calls": [CALL]}, ChatCompletionMessageParam, False),
        ({"role": "assistant", "tool_calls": [CALL | {"extra": 1}]}, ChatCompletionMessageParam, True),
        ({"role": "assistant", "content": "x"}, ResponseInputItemParam, False),
        ({"type": "reasoning", "summary": []}, ResponseInputItemParam, True),
        ({"type": "reasoning", "id": "rs_1", "summary": [{"type": "x", "text": "y"}]}, ResponseInputItemParam, True),
        ({"type": "reasoning", "id": "rs_1", "summary": []}, ResponseInputItemParam, False),
    ],
)
def test_what_is_wrong_is_seen(value: Any, kind: Any, wrong: bool) -> None:
    assert bool(problems(value, kind)) == wrong
