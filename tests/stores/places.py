"""A place for objects in memory that does what a test says: stops, loses answers, holds a put, refuses. It is only the
place: what is tested is the engine over it."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from strands_session_store.errors import InDoubt
from strands_session_store.stores.base import Space
from strands_session_store.stores.objects.blobs import Blob, Blobs, Listed, Refused, Sealing, Tag
from strands_session_store.stores.objects.head import Head, parse
from strands_session_store.testing.promises.binding import PATIENCE

SPACE = Space("session", "ann", "one")
HEAD = "sessions/ann/one.json"
TINY = Sealing(tail=24, merge=(2, 3), page=400, document=4, documents=12)
"""So little that the few bytes of a test are sealed, merged and written anew all the time."""
HOUR = 3600.0
DAY = 24 * HOUR


class Stopped(BaseException):
    """The process ends here. No engine catches it."""


@dataclass
class Hold:
    """A call that waits until it is released."""

    reached: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)


class Place(Blobs):
    """Objects in a dict.

    Attributes:
        objects: Key -> bytes and time.
        calls: How often each verb was called; of get, the objects asked for too.
        clock: Seconds of Unix time.
        before: Called with verb and key before each change or look is made; may raise, and then it is not made.
        after: The same, when it has been made.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.objects: dict[str, tuple[bytes, float]] = {}
        self.calls: Counter[str] = Counter()
        self.clock = clock
        self.before: Callable[[str, str], None] = lambda verb, key: None
        self.after: Callable[[str, str], None] = lambda verb, key: None
        self._lock = threading.RLock()

    def get(self, keys: Sequence[str]) -> Mapping[str, Blob]:
        found = {}
        self._count("get")
        for key in keys:
            self._count("objects")
            self.before("get", key)
            with self._lock:
                if key in self.objects:
                    data = self.objects[key][0]
                    found[key] = Blob(data, _tag(data))
            self.after("get", key)
        return found

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_match: Tag | None = None) -> Tag:
        assert len(key.encode()) <= 900 and all(0 < len(part) <= 220 for part in key.split("/"))
        self._count("put")
        self.before("put", key)
        with self._lock:
            there = _tag(self.objects[key][0]) if key in self.objects else None
            if (if_absent and there is not None) or (if_match is not None and if_match != there):
                raise Refused
            self.objects[key] = data, self.clock()
        self.after("put", key)
        return _tag(data)

    def list(self, prefix: str, *, after: str = "", below: bool = False) -> Iterator[Listed]:
        self._count("list")
        self.before("list", prefix)
        with self._lock:
            found = sorted(self.objects.items())
        for key, (data, modified) in found:
            if key.startswith(prefix) and key > after and (below or "/" not in key[len(prefix) :]):
                yield Listed(key, len(data), modified)

    def folders(self, prefix: str) -> Iterator[str]:
        self._count("list")
        with self._lock:
            keys = sorted(self.objects)
        below = (key[len(prefix) :] for key in keys if key.startswith(prefix))
        yield from dict.fromkeys(rest.partition("/")[0] for rest in below if "/" in rest)

    def delete(self, keys: Sequence[str]) -> None:
        self._count("delete")
        for key in keys:
            self.before("delete", key)
            with self._lock:
                self.objects.pop(key, None)
            self.after("delete", key)

    def remove(self, key: str, tag: Tag) -> bool:
        self.before("remove", key)
        with self._lock:
            gone = key not in self.objects or _tag(self.objects[key][0]) == tag
            if gone:
                self.objects.pop(key, None)
        self.after("remove", key)
        return gone

    def now(self) -> float:
        return self.clock()

    def close(self) -> None:
        pass

    def _count(self, verb: str) -> None:
        with self._lock:
            self.calls[verb] += 1

    # ------------------------------------------------------------------------------------------------- what goes wrong

    def stop_at(self, number: int, when: str) -> None:
        """Stop before or after the call of that number, counted from 0; each object of a get or delete is one."""
        left = [number]

        def count(verb: str, key: str) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise Stopped

        setattr(self, when, count)

    def lose(self, share: float, seed: int) -> None:
        """Puts of heads are not answered; half of these are done."""
        chance = random.Random(seed)

        def lost(verb: str, key: str) -> None:
            if verb == "put" and is_head(key) and chance.random() < share / 2:
                raise InDoubt(f"no answer to a put of {key}")

        self.before = self.after = lost

    def fail(self, error: Exception, verb: str, part: str = "", times: int = 10**9, when: str = "before") -> None:
        """The next calls of ``verb`` whose key contains ``part`` raise."""
        left = [times]

        def failing(called: str, key: str) -> None:
            if called == verb and part in key and left[0] > 0:
                left[0] -= 1
                raise error

        setattr(self, when, failing)

    def hold_at(self, number: int) -> Hold:
        """The call of that number waits before it is made; counted as in `stop_at`."""
        hold, left = Hold(), [number]

        def wait(verb: str, key: str) -> None:
            left[0] -= 1
            if left[0] == -1:
                hold.reached.set()
                assert hold.go.wait(PATIENCE)

        self.before = wait
        return hold

    def heal(self) -> None:
        self.before = self.after = lambda verb, key: None

    def again(self) -> Place:
        """The same objects and clock for another process, for which nothing goes wrong."""
        place = Place(self.clock)
        place.objects, place._lock = self.objects, self._lock
        return place

    def copy(self) -> Place:
        """Other objects, as these are now."""
        place = Place(self.clock)
        place.objects = dict(self.objects)
        return place

    def sealed(self) -> set[str]:
        """Keys of sealed objects."""
        return {key for key in self.objects if ".d/" in key}


def is_head(key: str) -> bool:
    return key.endswith(".json") and ".d/" not in key


def named(place: Place) -> set[str]:
    """Keys of all that the heads name."""
    found = set()
    for key, (data, _) in place.objects.items():
        if is_head(key) and isinstance(head := parse(key, data), Head):
            folder = f"{key.removesuffix('.json')}.d/{head.incarnation}/"
            found |= {folder + name for name in head.objects()}
    return found


def _tag(data: bytes) -> Tag:
    # of the bytes alone: whoever writes the same again has the same tag
    return hashlib.sha256(data).hexdigest()
