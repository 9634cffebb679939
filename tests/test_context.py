"""The laws of `context`, with plain values: a log is a list here."""

from __future__ import annotations

import copy
import random
from collections import OrderedDict
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strands_session_store import context as module
from strands_session_store.context import Context, Delta, ids, variant_ids
from strands_session_store.messages import Message, same, snapshot


class Kept:
    """What is stored of one agent, and the process that does it."""

    def __init__(self) -> None:
        self.history: list[Message] = []
        self.variants: list[tuple[int | None, Message | None]] = []
        self.context = Context()
        self.live: list[Message] = []
        self.spans: Any = self.context.spans()

    def sync(self, announced: Message | None = None, summaries: tuple[str, ...] = ()) -> Delta:
        return self.store(self.context.sync(self.live, announced, summaries))

    def say(self, text: str, **more: Any) -> Message:
        message = {"role": "user", "content": [{"text": text}], **more}
        self.live.append(message)
        self.sync(message)
        return message

    def redact(self, message: Message, text: str = "[REDACTED]") -> Delta:
        message["content"] = [{"text": text}]
        return self.store(self.context.redact(message))

    def store(self, delta: Delta) -> Delta:
        for index, message in delta.appended:
            assert index == len(self.history)
            self.history.append(snapshot(message))
        for index, message in delta.replaced.items():
            self.history[index] = snapshot(message)
        for index, of, shown in delta.variants:
            assert index == len(self.variants)
            self.variants.append((of, snapshot(shown)))
        for index, (of, shown) in delta.replaced_variants.items():
            self.variants[index] = of, snapshot(shown)
        self.spans = copy.deepcopy(self.context.spans())
        return delta

    def resume(self, *, recall: bool = False) -> None:
        """Another process, which reads no more than it has to."""
        reach, variants = self.context.tails()
        context = Context(len(self.history), len(self.variants))
        history = {i: snapshot(m) for i, m in enumerate(self.history) if i >= reach}
        for start, end in context.missing(self.spans, history):
            history |= {i: snapshot(self.history[i]) for i in range(start, end or 0)}
        shown = {i: snapshot(v) for i, v in enumerate(self.variants) if i >= variants}
        self.live = context.restore(self.spans, history, shown)
        self.context = context
        if recall:
            self.recall()

    def recall(self) -> None:
        history, variants = self.context.unread()
        said = {i: self.history[i] for start, end in history for i in range(start, end or 0)}
        shown = {i: self.variants[i] for start, end in variants for i in range(start, end or 0)}
        self.context.remember(ids(said), variant_ids(shown))

    def texts(self) -> list[str]:
        return [message["content"][0]["text"] for message in self.history]


def filled(count: int = 4) -> Kept:
    kept = Kept()
    for i in range(count):
        kept.say(f"m{i}")
    return kept


# ------------------------------------------------------------------------------------------------------------ the law


@pytest.fixture
def nearby(monkeypatch: pytest.MonkeyPatch) -> None:
    """As little is read and kept at once as if all were long."""
    monkeypatch.setattr(module, "REACH", -3)
    monkeypatch.setattr(module, "STALE", 2)


EDITS = ("say", "say", "say", "say again", "append", "insert", "delete", "trim", "edit", "swap", "copy", "save", "load")
EDITS += ("merge", "summarize", "redact", "clear", "sync", "resume", "resume")


@pytest.mark.usefixtures("nearby")
@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from(EDITS), st.integers(0, 10**6)), max_size=40))
def test_any_edit_restores_to_the_live_list_and_the_history_holds_what_was_said(edits: list[tuple[str, int]]) -> None:
    kept, said = Kept(), list[str]()
    saved: list[list[Message]] = [[]]
    for count, (what, number) in enumerate(edits):
        if what in ("delete", "trim", "clear", "load", "insert", "swap"):
            kept.sync()  # or what was appended just now might never be seen
        choose = random.Random(number)
        live = kept.live
        i = choose.randrange(len(live)) if live else 0
        match what:
            case "say":
                kept.say(f"said {count}")
                said.append(f"said {count}")
            case "append":
                live.append({"role": "user", "content": [{"text": f"appended {count}"}]})
                said.append(f"appended {count}")
            case "say again" if live:
                # a dict of the list once more, at its end, announced
                kept.sync()
                if kept.context.unsure([*live, live[i]]):
                    kept.recall()
                live.append(live[i])
                kept.sync(live[i])
                said.append(live[i]["content"][0]["text"])
            case "insert" if live:
                live.insert(0, {"role": "user", "content": [{"text": "inserted"}]})
            case "delete" if live:
                del live[i]
            case "trim":
                del live[:i]
            case "edit" if live:
                live[i] = {**live[i], "content": [{"text": live[i]["content"][0]["text"] + "*"}]}
            case "swap" if live:
                live[0], live[i] = live[i], live[0]
            case "copy":
                kept.live = copy.deepcopy(live)
            case "save":
                kept.sync()
                saved.append(copy.deepcopy(live))
            case "load":
                kept.live = copy.deepcopy(saved[number % len(saved)])
                if kept.context.unsure(kept.live):
                    kept.recall()
            case "merge" if live:
                kept.sync()
                live[-1] = {**live[-1], "content": [{"text": f"merged {count}"}]}
                kept.sync(live[-1])
            case "summarize":
                kept.sync()
                summary = {"role": "user", "content": [{"text": "summary"}], "tracking_id": f"summary {count}"}
                live[:i] = [summary]
                kept.sync(None, (summary["tracking_id"],))
            case "redact" if live:
                kept.sync()
                kept.redact(live[i])
            case "clear":
                live.clear()
            case "resume":
                kept.sync()
                live = copy.deepcopy(kept.live)
                kept.resume()
                assert kept.live == live
        if what != "append":
            kept.sync()
            restored = copy.deepcopy(kept)
            restored.resume()
            assert restored.live == kept.live
    kept.sync()
    if not {"merge", "redact", "summarize"} & {what for what, _ in edits}:
        assert [text.rstrip("*") for text in kept.texts()] == [text.rstrip("*") for text in said]


def test_a_plain_append_changes_no_span() -> None:
    kept = filled()
    before = kept.spans
    kept.say("more")
    assert kept.spans == before == [{"history": [0, None]}]


def test_an_empty_context_takes_in_what_is_said_next() -> None:
    kept = filled()
    kept.live.clear()
    kept.sync()
    assert kept.spans == [{"history": [4, None]}]
    kept.resume()
    assert kept.live == []


def test_a_context_that_ends_early_is_closed() -> None:
    kept = filled()
    del kept.live[-1]
    kept.sync()
    assert kept.spans == [{"history": [0, 3]}]
    kept.resume()
    assert [m["content"][0]["text"] for m in kept.live] == ["m0", "m1", "m2"]


# ------------------------------------------------------------------------------------------------------------- rule 1


def test_a_missing_id_is_assigned_in_place() -> None:
    kept = Kept()
    kept.live = [{"role": "user", "content": []}, {"role": "user", "content": [], "tracking_id": ""}]
    kept.sync()
    first, second = (m["tracking_id"] for m in kept.live)
    assert first and second and first != second
    assert [m["tracking_id"] for m in kept.history] == [first, second]


# ------------------------------------------------------------------------------------------------------------- rule 2


def test_an_announced_message_that_is_known_takes_the_place_of_its_entry() -> None:
    kept = filled()
    kept.live[-1] = {**kept.live[-1], "content": [{"text": "merged"}]}
    delta = kept.sync(kept.live[-1])
    assert not delta.appended and not delta.variants
    assert kept.texts() == ["m0", "m1", "m2", "merged"]


def test_an_announced_message_that_stands_more_often_than_before_was_said_again() -> None:
    kept = filled()
    kept.live.append(kept.live[1])
    kept.sync(kept.live[1])
    assert kept.texts() == ["m0", "m1", "m2", "m3", "m1"]
    kept.resume()
    assert [m["content"][0]["text"] for m in kept.live] == kept.texts()


def test_a_prompt_that_was_trimmed_and_is_said_again_is_a_new_entry() -> None:
    kept = filled()
    prompt = kept.live[0]
    del kept.live[:2]
    kept.sync()
    kept.live.append(prompt)
    kept.sync(prompt)
    assert kept.texts() == ["m0", "m1", "m2", "m3", "m0"]


def test_an_announced_message_that_a_hook_took_out_is_in_the_history_only() -> None:
    kept = filled(2)
    kept.sync({"role": "user", "content": [{"text": "gone"}]})
    assert kept.texts() == ["m0", "m1", "gone"]
    kept.resume()
    assert [m["content"][0]["text"] for m in kept.live] == ["m0", "m1"]


def test_a_merged_message_that_was_shown_otherwise_is_shown_as_the_history_has_it() -> None:
    kept = filled(2)
    kept.live[1]["content"] = [{"text": "short"}]
    kept.sync()
    kept.live[1] = {**kept.live[1], "content": [{"text": "merged"}]}
    kept.sync(kept.live[1])
    assert kept.texts() == ["m0", "merged"]
    assert kept.variants[-1] == (1, None)
    kept.resume()
    assert kept.live[1]["content"] == [{"text": "merged"}]


def test_a_merged_message_of_an_old_snapshot_is_not_shown_as_it_once_was() -> None:
    kept = filled(2)
    saved = copy.deepcopy(kept.live)
    kept.live[1]["content"] = [{"text": "short"}]
    kept.sync()
    kept.live.clear()
    kept.sync()
    kept.live = saved
    kept.sync()
    kept.live[1] = {**kept.live[1], "content": [{"text": "merged"}]}
    kept.sync(kept.live[1])
    live = copy.deepcopy(kept.live)
    kept.resume()
    assert kept.live == live


# ------------------------------------------------------------------------------------------------------------- rule 3


def test_what_was_appended_without_announcement_joins_before_what_is_announced() -> None:
    kept = filled(1)
    kept.live.append({"role": "user", "content": [{"text": "guidance"}]})
    kept.say("answer")
    assert kept.texts() == ["m0", "guidance", "answer"]


def test_a_summary_is_never_said_wherever_it_stands() -> None:
    kept = filled()
    kept.live[:] = [{"role": "user", "content": [{"text": "summary"}], "tracking_id": "s"}]
    kept.sync(None, ("s",))
    assert kept.texts() == ["m0", "m1", "m2", "m3"]
    assert kept.spans == [{"variants": [0, 1]}]


def test_a_former_summary_out_of_a_snapshot_is_not_said_either() -> None:
    kept = filled()
    kept.live[:] = [{"role": "user", "content": [{"text": "summary"}], "tracking_id": "s"}]
    kept.sync(None, ("s",))
    saved = copy.deepcopy(kept.live)
    kept.live.clear()
    kept.sync()
    kept.live = saved
    kept.sync()
    assert kept.texts() == ["m0", "m1", "m2", "m3"]


def test_a_snapshot_brings_back_messages_without_saying_them_again() -> None:
    kept = filled()
    saved = copy.deepcopy(kept.live)
    kept.live.clear()
    kept.say("new")
    kept.live = saved
    kept.sync()
    assert kept.texts() == ["m0", "m1", "m2", "m3", "new"]
    kept.resume()
    assert [m["content"][0]["text"] for m in kept.live] == ["m0", "m1", "m2", "m3"]


@pytest.mark.usefixtures("nearby")
def test_a_resumed_process_knows_when_it_has_to_read_more() -> None:
    kept = filled(9)
    saved = copy.deepcopy(kept.live[:3])
    del kept.live[:7]
    kept.sync()
    kept.resume()
    assert kept.context.unread() == ([(0, 7)], [])
    assert not kept.context.unsure(kept.live)
    assert not kept.context.unsure([{"role": "user", "content": []}])
    kept.live = saved
    assert kept.context.unsure(kept.live)
    kept.recall()
    assert kept.context.unread() == ([], [])
    assert not kept.context.unsure(kept.live)
    kept.sync()
    assert len(kept.history) == 9


@pytest.mark.usefixtures("nearby")
def test_a_resumed_process_does_not_take_one_entry_of_an_id_for_all() -> None:
    kept = filled(3)
    kept.live.append(kept.live[0])
    kept.sync(kept.live[0])
    saved = copy.deepcopy(kept.live)
    del kept.live[:3]
    kept.sync()
    kept.resume()
    assert not kept.context.unsure(kept.live)
    assert kept.context.unsure([saved[0], saved[3]])


# ------------------------------------------------------------------------------------------------------------- rule 4


def test_an_edit_is_the_context_s_and_the_history_keeps_what_was_said() -> None:
    kept = filled()
    kept.live[1]["content"][0]["text"] = "truncated"
    delta = kept.sync()
    assert kept.texts() == ["m0", "m1", "m2", "m3"]
    assert [(of, m["content"][0]["text"]) for _, of, m in delta.variants if m] == [(1, "truncated")]
    assert kept.spans == [{"history": [0, None]}]


def test_of_several_variants_the_last_one_counts() -> None:
    kept = filled()
    for text in ("one", "two", "three"):
        kept.live[1]["content"][0]["text"] = text
        kept.sync()
    assert len(kept.variants) == 3
    kept.resume()
    assert kept.live[1]["content"][0]["text"] == "three"


def test_what_did_not_change_is_not_stored_again() -> None:
    kept = filled()
    kept.live[1]["content"][0]["text"] = "truncated"
    kept.sync()
    kept.live = copy.deepcopy(kept.live)
    assert not kept.sync()


def test_a_copy_that_is_handed_out_or_taken_is_not_shared() -> None:
    kept = filled(1)
    kept.live[0]["content"][0]["text"] = "changed"
    assert kept.sync().variants
    kept.resume()
    kept.live[0]["content"].clear()
    assert kept.sync().variants


# ------------------------------------------------------------------------------------------------------------- rule 5


def test_a_redaction_replaces_every_entry_and_variant_with_the_id() -> None:
    kept = filled(2)
    prompt = kept.live[0]
    kept.live.append(prompt)
    kept.sync(prompt)
    kept.live[0] = {**prompt, "content": [{"text": "secret too"}]}
    kept.sync()
    assert kept.variants
    delta = kept.redact(prompt)
    assert delta.redacted
    assert kept.texts() == ["[REDACTED]", "m1", "[REDACTED]"]
    assert not any("secret" in str(shown) for _, shown in kept.variants)


@pytest.mark.usefixtures("nearby")
def test_a_redaction_after_a_resume_finds_what_was_read_since() -> None:
    kept = filled(3)
    prompt = kept.live[0]
    kept.live[0]["content"][0]["text"] = "m0, longer"
    kept.sync()
    del kept.live[:2]
    kept.sync()
    kept.resume()
    assert kept.context.unsure([prompt])
    kept.recall()
    kept.live.append(prompt)
    kept.sync(prompt)
    kept.redact(prompt)
    assert kept.texts() == ["[REDACTED]", "m1", "m2", "[REDACTED]"]
    assert not any("longer" in str(shown) for _, shown in kept.variants)


def test_a_redaction_of_what_is_not_there_says_so() -> None:
    assert not filled().context.redact({"role": "user", "content": [], "tracking_id": "unknown"})


# ------------------------------------------------------------------------------------------------------- what is read


def test_a_resume_reads_what_the_context_needs_and_a_bounded_rest() -> None:
    kept = filled(200)
    del kept.live[:190]
    kept.sync()
    assert kept.context.tails()[0] == 190
    kept.live.insert(0, {"role": "user", "content": [{"text": "pinned"}]})
    kept.sync()
    reach, variants = kept.context.tails()
    assert reach == 190
    assert variants == 0


def test_a_pinned_first_message_is_a_second_read() -> None:
    kept = filled(200)
    del kept.live[1:190]
    kept.sync()
    assert kept.spans == [{"history": [0, 1]}, {"history": [190, None]}]
    context = Context(200, 0)
    assert context.missing(kept.spans, set(range(kept.context.tails()[0], 200))) == [(0, 1)]


def test_long_lived_variants_do_not_make_a_resume_read_all_that_became_stale() -> None:
    kept = filled(3)
    kept.live[0]["content"][0]["text"] = "edited once"
    kept.sync()
    for i in range(500):
        kept.live[1]["content"][0]["text"] = f"edited {i}"
        kept.sync()
    assert len(kept.variants) - kept.context.tails()[1] <= 2 * 4 + module.STALE
    assert len(kept.variants) < 501 + 2 * 501 / module.STALE + 2
    live = copy.deepcopy(kept.live)
    kept.resume()
    assert kept.live == live


def test_spans_that_name_what_is_not_there_are_an_error() -> None:
    with pytest.raises(KeyError):
        Context(3, 0).restore([{"history": [0, None]}], {0: {"role": "user", "content": []}}, {})
    with pytest.raises(KeyError):
        Context(0, 1).restore([{"variants": [0, 1]}], {}, {0: (7, None)})


# ---------------------------------------------------------------------------------------------------------- the tools


def test_a_snapshot_copies_containers_and_shares_leaves() -> None:
    leaf = object()
    value = {"a": [leaf, (1, [leaf])], "b": bytearray(b"x"), "c": {1}}
    copied = snapshot(value)
    assert copied == {**value, "b": b"x"}
    assert copied["a"] is not value["a"] and copied["a"][0] is leaf
    assert copied["c"] is not value["c"]
    assert copied["a"][1][1] is not value["a"][1][1]  # type: ignore[index]


def test_what_can_not_be_compared_counts_as_changed() -> None:
    class Array:
        def __eq__(self, other: object) -> Any:
            raise ValueError("the truth value of an array is ambiguous")

        __hash__ = None  # type: ignore[assignment]

    array = Array()
    assert same({"a": array}, {"a": array})  # identity first
    assert not same({"a": array}, {"a": Array()})


def test_what_derives_from_a_container_is_seen_when_it_is_edited_in_place() -> None:
    """A tool's input or result may be anything that JSON can say."""

    class Pair(NamedTuple):
        first: list[int]

    class Items(list[int]):
        pass

    ordered, nested, items = OrderedDict(a=1), Pair([1]), Items([1])
    live = [{"role": "user", "content": [{"toolResult": {"json": {"x": ordered, "y": nested, "z": items}}}]}]
    context = Context()
    context.sync(live)
    for edit in (lambda: ordered.update(a=2), lambda: nested.first.append(2), lambda: items.append(2)):
        assert not context.sync(live)
        edit()
        assert [shown for _, _, shown in context.sync(live).variants] == live
