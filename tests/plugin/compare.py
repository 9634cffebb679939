"""What is stored, beside what is live."""

from __future__ import annotations

from collections import Counter
from typing import Any

from strands_session_store import StoreSessionManager, codec, layout, records
from strands_session_store.plugin.repair import repaired
from strands_session_store.stores.base import Log, Store
from strands_session_store.stores.reading import read_whole
from strands_session_store.testing.models import ScriptedModel

from .agents import build, texts
from .oracle import Oracle
from .payloads import alike, kept
from .recount import totals_of

SESSION = "s"
AGENT = "default"


def check_history(store: Store, oracle: Oracle) -> None:
    """All that was said is there, in order, once, and as it was said; counters are what a recount of it gives."""
    stored = read_whole(store, layout.session_space(SESSION, None), Log(layout.history(AGENT), spans=[(0, None)]))
    log = stored.logs.get(layout.history(AGENT))
    entries = log.entries if log is not None else {}
    history = [codec.load(records.Message, data, "history").message for _, data in sorted(entries.items())]
    expected = [kept(m) for m in oracle.said]
    assert sorted(entries) == list(range(len(entries)))
    assert [m["tracking_id"] for m in history] == [m["tracking_id"] for m in expected]
    for found, wanted in zip(history, expected):
        assert alike(found, wanted), f"{found} != {wanted}"
    totals_of(store, [layout.history(AGENT)], SESSION)


def check_restored(store: Store, kind: str, live: Any) -> None:
    """Another process gets the very same agent."""
    restored = build(
        kind,
        ScriptedModel([], stateful=kind == "stateful", context_window_limit=400),
        StoreSessionManager(SESSION, store),
        [],
    )
    if kind == "stateful":
        assert restored.messages == []
    else:
        wanted = repaired(kept(live.messages))
        assert alike(restored.messages, wanted), f"{restored.messages}\n!=\n{wanted}"
    assert alike(restored.state._data, kept(live.state._data))
    assert alike(restored._interrupt_state.to_dict(), kept(live._interrupt_state.to_dict()))
    assert alike(restored.conversation_manager.get_state(), kept(live.conversation_manager.get_state()))
    assert alike(restored._model_state, kept(live._model_state))


def note(fired: Counter[str], live: Any) -> None:
    """What context management has done by now."""
    state = live.conversation_manager.get_state()
    said = " ".join(texts(live.messages))
    for what, happened in {
        "checked": True,
        "conversation manager: removed": state.get("removed_message_count"),
        "conversation manager: summarized": state.get("summary_message"),
        "conversation manager: truncated": "... [truncated: " in said or "[image: " in said,
        "context manager: offloaded": "[ref: " in said or "[refs: " in said,
        "pinned": any(m.get("metadata", {}).get("custom", {}).get("pinned") for m in live.messages),
        "model state": live._model_state,
        "repaired": repaired(live.messages) is not live.messages,
    }.items():
        fired[what] += bool(happened)
