"""Tool uses and results come in pairs."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from strands_session_store.messages import Message
from strands_session_store.plugin.repair import LOST, repaired


def text(said: str = "hi") -> dict[str, Any]:
    return {"text": said}


def use(id: str) -> dict[str, Any]:
    return {"toolUse": {"toolUseId": id, "name": "t", "input": {}}}


def result(id: str) -> dict[str, Any]:
    return {"toolResult": {"toolUseId": id, "status": "success", "content": [{"text": "done"}]}}


def lost(id: str) -> dict[str, Any]:
    return {"toolResult": {"toolUseId": id, "status": "error", "content": [{"text": LOST}]}}


def user(*content: dict[str, Any]) -> Message:
    return {"role": "user", "content": list(content)}


def assistant(*content: dict[str, Any]) -> Message:
    return {"role": "assistant", "content": list(content)}


def test_a_sound_list_is_returned_itself() -> None:
    messages = [user(text()), assistant(use("a"), use("b")), user(result("b"), result("a")), assistant(text())]
    assert repaired(messages) is messages
    assert repaired(empty := []) is empty


def test_the_uses_and_answers_of_the_last_message_are_never_touched() -> None:
    messages = [user(text()), assistant(use("a"))]
    assert repaired(messages) is messages
    # an interrupted turn that was half answered
    messages = [user(text()), assistant(use("a"), use("b")), user(result("a"))]
    assert repaired(messages) is messages


def test_a_result_without_its_use_is_taken_out() -> None:
    assert repaired([user(result("a"), text()), assistant(text())]) == [user(text()), assistant(text())]
    # also of the last message: Agent would send it to the model, which refuses it
    assert repaired([user(text()), user(result("a"), text("more"))]) == [user(text()), user(text("more"))]


def test_a_message_left_empty_by_that_goes() -> None:
    assert repaired([user(result("a")), assistant(text())]) == [assistant(text())]
    assert repaired([user(text()), user(result("a"))]) == [user(text())]


def test_a_use_without_results_gets_a_message_that_says_so() -> None:
    assert repaired([assistant(use("a"), use("b")), user(text())]) == [
        assistant(use("a"), use("b")),
        user(lost("a"), lost("b")),
        user(text()),
    ]


def test_what_is_missing_of_several_results_is_filled_in_the_order_of_the_uses() -> None:
    messages = [assistant(use("a"), use("b"), use("c")), user(result("c"), result("a"), text()), assistant(text())]
    assert repaired(messages)[1] == user(result("a"), lost("b"), result("c"), text())


def test_results_that_came_too_late_do_not_count() -> None:
    messages = [assistant(use("a")), user(text()), user(result("a")), assistant(text())]
    assert repaired(messages) == [assistant(use("a")), user(lost("a")), user(text()), assistant(text())]


blocks = st.sampled_from([text(), use("a"), use("b"), result("a"), result("b"), result("c")])
lists = st.lists(
    st.builds(
        lambda role, content: {"role": role, "content": content},
        st.sampled_from(["user", "assistant"]),
        st.lists(blocks, min_size=1, max_size=4, unique_by=repr),
    ),
    max_size=8,
)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(lists)
def test_all_pairs_are_whole_and_nothing_else_is_changed(messages: list[Message]) -> None:
    before = copy.deepcopy(messages)
    mended = repaired(messages)
    assert messages == before
    assert repaired(mended) == mended
    orphans = {b["toolResult"]["toolUseId"] for m in messages[-1:] for b in m["content"] if "toolResult" in b} - {
        b["toolUse"]["toolUseId"] for m in messages[-2:-1] for b in m["content"] if "toolUse" in b
    }
    if messages and not orphans:
        assert mended[-1] is messages[-1]
    for asking, answering in pairwise(mended[:-1]):
        asked = [b["toolUse"]["toolUseId"] for b in asking["content"] if "toolUse" in b]
        given = [b["toolResult"]["toolUseId"] for b in answering["content"] if "toolResult" in b]
        assert sorted(asked) == sorted(given)
    kept = [block for message in mended for block in message["content"] if "toolResult" not in block]
    assert kept == [block for message in messages for block in message["content"] if "toolResult" not in block]
