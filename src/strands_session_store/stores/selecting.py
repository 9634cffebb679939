"""What a read returns of a space that is held in memory: wants in the order given, until the bound is reached. Pure.

SQLite and Redis select where the data is; see their `reads`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from .base import Counters, Doc, Docs, Document, Incarnation, Log, LogView, Look, Want
from .checks import Extent
from .paging import Bound, spans


class Held(Protocol):
    """One state of a space."""

    @property
    def incarnation(self) -> Incarnation: ...
    @property
    def revision(self) -> int: ...
    @property
    def expires(self) -> float | None: ...
    @property
    def docs(self) -> Collection[str]:
        """Paths of its documents."""
        ...

    @property
    def counters(self) -> Mapping[str, int]: ...
    def log(self, name: str) -> Extent: ...
    def size(self, path: str) -> int:
        """Bytes of a document."""
        ...

    def document(self, path: str) -> Document: ...
    def entry(self, log: str, index: int) -> tuple[bytes, int]:
        """An entry, and for how many bytes it counts."""
        ...


def select(held: Held, wants: Sequence[Want]) -> Look:
    """The look that `Store.read` promises for these wants."""
    bound = Bound()
    docs: dict[str, Document] = {}
    logs: dict[str, LogView] = {}
    counters: dict[str, int] = {}
    more: list[Want] = []
    for want in wants:
        match want:
            case Counters(names):
                counters |= {name: held.counters.get(name, 0) for name in names}
            case Doc(path):
                if path in held.docs and path not in docs:
                    if bound.take(held.size(path)):
                        docs[path] = held.document(path)
                    else:
                        more.append(want)
            case Docs(prefix, after):
                for path in sorted(path for path in held.docs if path.startswith(prefix)):
                    if (after is None or path > after) and path not in docs:
                        if not bound.take(held.size(path)):
                            more.append(Docs(prefix, after))
                            break
                        docs[path] = held.document(path)
                        after = path
            case Log(name):
                log = held.log(name)
                asked = spans(want, log.start, log.length, held.counters.get(want.since or "", 0))
                entries = dict(logs[name].entries) if name in logs else {}
                while asked and not bound.full:
                    low, high = asked.pop()
                    for index in range(high - 1, low - 1, -1):
                        if index not in entries:
                            entry, size = held.entry(name, index)
                            if not bound.take(size):
                                asked.append((low, index + 1))
                                break
                            entries[index] = entry
                if asked:
                    more.append(Log(name, tuple(asked)))
                logs[name] = LogView(log.start, log.length, dict(sorted(entries.items())))
    return Look(held.incarnation, held.revision, docs, logs, counters, tuple(more), held.expires)
