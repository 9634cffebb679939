"""What a session's counters have to be: a recount of all that is stored in it."""

from __future__ import annotations

from collections import Counter

from strands_session_store import codec, layout, usage
from strands_session_store.records import Message, Run, UsageKey
from strands_session_store.stores.base import Counters, Docs, Log, Store
from strands_session_store.stores.reading import read_whole
from strands_session_store.usage import Totals

KEYS = "usage/"


def totals_of(store: Store, histories: list[str], session: str = "s", user: str | None = None) -> Totals:
    """Of the session; that its counters are what its entries say, each key's too, was looked at."""
    space = layout.session_space(session, user)
    while True:
        keys = read_whole(store, space, Docs(KEYS))
        names = [*layout.COUNTERS, *(name for path in keys.docs for name in layout.usage_counters(path))]
        look = read_whole(store, space, Docs(KEYS), Counters(names), *(Log(log, [(0, None)]) for log in histories))
        if look.docs.keys() == keys.docs.keys():  # else another key came between
            break
    if look.incarnation is None:
        return Totals()
    for path, doc in look.docs.items():
        assert usage.path_of(codec.load(UsageKey, doc.data, path)) == path
    entries = [codec.load(Message, data, log) for log in histories for data in look.logs[log].entries.values()]
    whole, by_key, messages = Totals(), Counter[str](), Counter(entry.message["role"] for entry in entries)
    for entry in entries:
        assert (entry.usage is not None) == (entry.message["role"] == "assistant")
        if (call := usage.whole(entry)) is not None:
            whole += usage.totals_of(call)
            for name, value in zip(layout.USAGE_COUNTERS, usage.totals_of(call)._values()):
                by_key[f"{usage.path_of(usage.key_of(call))}/{name}"] += value
    assert Totals.of(look.counters) == whole
    assert look.counters.get("messages", 0) == sum(messages.values())
    assert whole.calls == messages["assistant"]
    told = {name: value for name, value in look.counters.items() if name.startswith(KEYS) and value}
    assert told == {name: value for name, value in by_key.items() if value}
    return whole


def runs(store: Store, session: str = "s") -> list[Run]:
    """Those that have ended."""
    look = read_whole(store, layout.session_space(session, None), Log(layout.RUNS, [(0, None)]))
    return [codec.load(Run, data, layout.RUNS) for data in look.logs[layout.RUNS].entries.values()] if look.logs else []
