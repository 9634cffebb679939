"""A space as the contract has it, in plain lists, and what a random test may do to one. No engine's code is in it."""

from __future__ import annotations

from dataclasses import dataclass, field

import hypothesis.strategies as st

from ..stores.base import (
    KEEP,
    Committed,
    Counters,
    Doc,
    Docs,
    Document,
    Log,
    LogView,
    Look,
    Space,
    Summary,
    Ttl,
    Want,
)

SPACES = (
    *(Space("session", "a", id) for id in ("a", "ab", "a:b", "a/b", "A", "%61")),
    *(Space("session", None, id) for id in ("a", "-", "\u00e9")),
    *(Space("session", owner, "a") for owner in ("-", "a:b", "a/a", "ab")),
    Space("user", "a", "a"),
)
PATHS = ("a", "a/", "a/b", "ab", "A", "n")
NAMES = ("a", "a/b", "n")
COUNTERS = ("a", "n", "ab")

spaces = st.integers(0, 2)
"""Which of the few spaces a run is about."""
blobs = st.binary(max_size=6)
hows = st.sampled_from(["any", "any", "right", "right", "absent", "stale", "foreign"])
"""What a commit expects, before it is known what is right."""
deltas = st.one_of(st.integers(-5, 5), st.sampled_from([2**62, -(2**62), 2**63 - 1, -(2**63)]))
ttls: st.SearchStrategy[Ttl] = st.sampled_from([KEEP, KEEP, KEEP, None, 90.0, 1000.0, 10.0**6])
summaries = st.one_of(st.none(), st.builds(Summary, blobs, st.sampled_from([None, "a", "ab", "A"])))
indices = st.integers(0, 8)
wants: st.SearchStrategy[list[Want]] = st.lists(
    st.one_of(
        st.builds(Doc, st.sampled_from(PATHS)),
        st.builds(Docs, st.sampled_from(("", "a", "a/", "z")), st.sampled_from((None, "", "a", "a/b"))),
        st.builds(
            Log,
            st.sampled_from(NAMES),
            st.lists(st.tuples(indices, st.one_of(st.none(), indices)), max_size=3),
            st.integers(0, 5),
            st.sampled_from((None, *COUNTERS)),
        ),
        st.builds(Counters, st.lists(st.sampled_from(COUNTERS), max_size=3)),
    ),
    max_size=5,
)


@dataclass
class Life:
    """A space of the model."""

    incarnation: str
    parent: str | None
    created: float
    touched: float
    expires: float | None = None
    summary: bytes | None = None
    docs: dict[str, Document] = field(default_factory=dict)
    logs: dict[str, list[bytes | None]] = field(default_factory=dict)
    """Every entry there ever was; None for the erased."""
    counters: dict[str, int] = field(default_factory=dict)
    commits: list[tuple[str, float, Committed]] = field(default_factory=list)

    def known(self, now: float) -> list[tuple[str, Committed]]:
        """The commit ids that an engine must know."""
        return [(id, made) for id, at, made in self.commits if now - at < 120] + [
            (id, made) for id, _, made in self.commits[-65:]
        ]

    def start(self, log: str) -> int:
        entries = self.logs.get(log, [])
        return next((index for index, data in enumerate(entries) if data is not None), len(entries))

    def look(self, asked: list[Want]) -> Look:
        docs: dict[str, Document] = {}
        logs: dict[str, LogView] = {}
        counters: dict[str, int] = {}
        for want in asked:
            match want:
                case Doc(path):
                    docs |= {path: self.docs[path]} if path in self.docs else {}
                case Docs(prefix, after):
                    docs |= {
                        path: self.docs[path]
                        for path in sorted(self.docs)
                        if path.startswith(prefix) and (after is None or path > after)
                    }
                case Log(log, spans, last, since):
                    entries = self.logs.get(log, [])
                    chosen = [range(low, len(entries) if high is None else high) for low, high in spans]
                    chosen.append(range(len(entries) - last, len(entries)))
                    if since is not None:
                        chosen.append(range(self.counters.get(since, 0), len(entries)))
                    seen = logs[log].entries if log in logs else {}
                    logs[log] = LogView(
                        self.start(log),
                        len(entries),
                        {
                            index: data
                            for index, data in enumerate(entries)
                            if data is not None and (index in seen or any(index in part for part in chosen))
                        },
                    )
                case Counters(names):
                    counters |= {name: self.counters.get(name, 0) for name in names}
        return Look(self.incarnation, len(self.commits), docs, logs, counters, expires=self.expires)
