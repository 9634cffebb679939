"""Random commits, reads, drops and listings, each compared with a model of the contract that shares no code with it.

    class MyMachine(StoreMachine):
        def open(self, clock):
            return MyStore(self.directory)

    TestMyMachine = MyMachine.TestCase

The spaces are siblings whose ids an engine may confuse, the names of what is in them few, so that changes meet.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import hypothesis.strategies as st
from hypothesis import note
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from ..errors import ConflictError, TooLarge
from ..stores.base import (
    ABSENT,
    ANY,
    KEEP,
    Add,
    Append,
    Capability,
    Change,
    Committed,
    Counters,
    Docs,
    Document,
    DropDoc,
    Dropped,
    Expect,
    Expected,
    Log,
    Look,
    Order,
    PutDoc,
    Query,
    Replace,
    Row,
    Space,
    Store,
    Summary,
    Trim,
    Ttl,
    Want,
)
from ..stores.counting import Counting
from .model import COUNTERS, NAMES, PATHS, SPACES, Life, blobs, deltas, hows, indices, spaces, summaries, ttls, wants
from .promises.binding import SetClock, eventually


class StoreMachine(RuleBasedStateMachine):
    """Bind it by `open`; set ``timed`` if the engine takes the clock. ``StoreMachine.TestCase`` is what pytest runs."""

    timed: ClassVar[bool] = False

    def open(self, clock: Callable[[], float]) -> Store:
        """A new store on data that is this machine's alone: empty at the first call, then what was committed."""
        raise NotImplementedError(f"{type(self).__name__} must open a store")

    @initialize(chosen=st.lists(st.sampled_from(SPACES), min_size=3, max_size=3, unique=True))
    def begin(self, chosen: list[Space]) -> None:
        self.spaces = chosen
        self.clock = SetClock()
        self.store = self.open(self.clock)
        self.lives: dict[Space, Life] = {}
        self.past: list[str] = ["other"]
        """Incarnations that are no more."""
        self.stale: list[str] = ["other.1"]
        """Versions that are no more, or of other documents."""
        self.numbers = itertools.count()

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.all_spaces_are_as_they_should_be()
            self.store.close()

    # --------------------------------------------------------------------------------------------------------- rules

    @rule(which=spaces, data=st.data(), on=hows, ttl=ttls, summary=summaries)
    def commit(self, which: int, data: st.DataObject, on: str, ttl: Ttl, summary: Summary | None) -> None:
        space = self.spaces[which]
        life = self.lives.get(space)
        changes = self._draw_changes(data, life)
        expected = self._expected(on, life.incarnation if life else None, self.past)
        note(f"{space} {changes} on={expected}")
        conflicts = self._conflicts(life, changes, expected)
        values = {
            change.counter: (life.counters.get(change.counter, 0) if life else 0) + change.delta
            for change in changes
            if isinstance(change, Add)
        }
        too_large = any(not -(2**63) <= value < 2**63 for value in values.values())
        commit_id = f"{next(self.numbers)}"
        try:
            made = self.store.commit(space, *changes, commit_id=commit_id, on=expected, ttl=ttl, summary=summary)
        except ConflictError as conflict:
            assert (conflict.path, conflict.expected, conflict.found) in conflicts  # noqa: PT017 - one of three ends
        except TooLarge:
            assert too_large
        else:
            assert not conflicts and not too_large
            self._apply(space, changes, made, values, commit_id, ttl, summary)

    @rule(which=spaces, count=st.sampled_from([3, 30, 70]))
    def commit_often(self, which: int, count: int) -> None:
        space = self.spaces[which]
        for _ in range(count):
            commit_id = f"{next(self.numbers)}"
            made = self.store.commit(space, Add("n", 0), commit_id=commit_id)
            life = self.lives.get(space)
            value = life.counters.get("n", 0) if life else 0
            self._apply(space, [Add("n", 0)], made, {"n": value}, commit_id, KEEP, None)

    @precondition(lambda self: self.lives)
    @rule(data=st.data(), on=hows)
    def repeat_a_commit(self, data: st.DataObject, on: str) -> None:
        space = data.draw(st.sampled_from(sorted(self.lives, key=repr)))
        life = self.lives[space]
        commit_id, made = data.draw(st.sampled_from(life.known(self.clock.now)))
        changes = self._draw_changes(data, life)
        expected = self._expected(on, life.incarnation, self.past)
        again = self.store.commit(space, *changes, commit_id=commit_id, on=expected, ttl=1.0, summary=Summary(b"again"))
        assert again == replace(made, repeated=True)

    @rule(which=spaces, asked=wants)
    def read(self, which: int, asked: list[Want]) -> None:
        space = self.spaces[which]
        life = self.lives.get(space)
        look, expected = self.store.read(space, *asked), life.look(asked) if life else Look(None)
        assert (look.expires is None) == (expected.expires is None)
        if self.timed and look.expires is not None and expected.expires is not None:
            assert abs(look.expires - expected.expires) < 0.002
        assert replace(look, expires=None) == replace(expected, expires=None)
        for view in look.logs.values():
            assert list(view.entries) == sorted(view.entries)

    @rule(which=spaces, on=hows)
    def drop(self, which: int, on: str) -> None:
        space = self.spaces[which]
        life = self.lives.get(space)
        expected = self._expected(on, life.incarnation if life else None, self.past)
        try:
            receipt = self.store.drop(space, on=expected)
        except ConflictError:
            assert life is not None and expected not in (ANY, life.incarnation)
            return
        if life is None:
            assert receipt == Dropped()
        else:
            assert expected in (ANY, life.incarnation)
            entries = [data for log in life.logs.values() for data in log if data is not None]
            size = sum(map(len, entries)) + sum(len(doc.data) for doc in life.docs.values())
            assert receipt == Dropped(True, len(life.docs), len(entries), size)
            self._end(space)

    @rule(which=spaces)
    def expire(self, which: int) -> None:
        space = self.spaces[which]
        commit_id = f"{next(self.numbers)}"
        made = self.store.commit(space, commit_id=commit_id, ttl=0.05)
        self._apply(space, [], made, {}, commit_id, 0.05, None)
        if self.timed:
            self.wait(1.0)
        else:
            eventually(lambda: self.store.read(space).incarnation is None)
            self._end(space)

    @precondition(lambda self: self.timed)
    @rule(seconds=st.sampled_from([0.001, 1.0, 50.0, 119.0, 121.0, 1000.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds
        for space, life in tuple(self.lives.items()):
            if life.expires is not None and life.expires <= self.clock.now:
                self._end(space)

    @rule(
        kind=st.sampled_from(("session", "session", "user")),
        scope=st.sampled_from((None, "a", "-", "a:b", "everyone")),
        parent=st.sampled_from((None, None, "a", "A")),
        order=st.sampled_from(Order),
        descending=st.booleans(),
        limit=st.integers(1, 5),
        counters=st.lists(st.sampled_from(COUNTERS), max_size=3),
    )
    def list_by_page(
        self,
        kind: str,
        scope: str | None,
        parent: str | None,
        order: Order,
        descending: bool,
        limit: int,
        counters: list[str],
    ) -> None:
        everyone = scope == "everyone"
        query = Query(
            kind,
            None if everyone else scope,
            None if everyone else parent,
            everyone,
            order=order,
            descending=descending,
            limit=limit,
            counters=counters,
        )
        found: list[Row] = []
        page = self.store.list(query)
        found += page.rows
        while page.cursor is not None:
            assert len(page.rows) == limit
            before, page = page.cursor, self.store.list(replace(query, cursor=page.cursor))
            assert page.cursor != before
            found += page.rows
        expected = {
            space: (life.parent, life.summary, {name: life.counters.get(name, 0) for name in counters})
            for space, life in self.lives.items()
            if space.kind == kind
            and (everyone or space.owner == scope)
            and (everyone or parent is None or life.parent == parent)
        }
        assert {row.space: (row.parent, row.summary, row.counters) for row in found} == expected
        assert len(found) == len(expected)
        assert not isinstance(self.store, Counting) or self.store.count(query) == (len(expected), True)

        def key(row: Row) -> tuple[float, str, str]:
            return row.created if order is Order.CREATED else row.updated, *row.space.key[1:]

        assert found == sorted(found, key=key, reverse=descending)
        if self.timed:
            for row in found:
                life = self.lives[row.space]
                assert row.created == life.created and life.touched - 60 <= row.updated <= life.touched

    @precondition(lambda self: Capability.PERSISTENT in self.store.capabilities)
    @rule()
    def open_again(self) -> None:
        self.store.close()
        self.store = self.open(self.clock)

    @rule()
    def all_spaces_are_as_they_should_be(self) -> None:
        asked: list[Want] = [Docs(""), *(Log(log, [(0, None)]) for log in NAMES), Counters(COUNTERS)]
        for which in range(len(self.spaces)):
            self.read(which, asked)

    # --------------------------------------------------------------------------------------------------------- model

    def _draw_changes(self, data: st.DataObject, life: Life | None) -> list[Change]:
        changes: list[Change] = []
        for path in data.draw(st.sets(st.sampled_from(PATHS), max_size=3)):
            doc = life.docs.get(path) if life else None
            expect = self._expected(data.draw(hows), doc.version if doc else None, self.stale)
            match data.draw(st.sampled_from(("put", "put", "drop", "expect"))):
                case "put":
                    changes.append(PutDoc(path, data.draw(blobs), expect))
                case "drop":
                    changes.append(DropDoc(path, expect))
                case _ if expect is not ANY:
                    changes.append(Expect(path, expect))
        for log in data.draw(st.sets(st.sampled_from(NAMES), max_size=2)):
            held = (life.logs.get(log) if life else None) or []
            if data.draw(st.booleans()):
                at = data.draw(st.sampled_from((None, len(held), len(held), len(held) + 1)))
                changes.append(Append(log, data.draw(st.lists(blobs, max_size=3)), at))
            if data.draw(st.booleans()) and held:
                index = data.draw(st.integers(0, len(held)))
                changes.append(Replace(log, index, data.draw(blobs)))
            if data.draw(st.integers(0, 3)) == 3:
                changes.append(Trim(log, data.draw(indices)))
        for counter in data.draw(st.sets(st.sampled_from(COUNTERS), max_size=2)):
            changes.append(Add(counter, data.draw(deltas)))
        return data.draw(st.permutations(changes))

    @staticmethod
    def _expected(how: str, found: str | None, others: list[str]) -> Expected:
        match how:
            case "right":
                return ABSENT if found is None else found
            case "absent":
                return ABSENT
            case "stale":
                return others[-1]
            case "foreign":
                return others[0]
        return ANY

    @staticmethod
    def _conflicts(life: Life | None, changes: list[Change], on: Expected) -> set[tuple[str, object, object]]:
        """Every expectation that does not hold; an engine reports one of them."""
        found: set[tuple[str, object, object]] = set()

        def compare(path: str, expected: Expected, held: str | None) -> None:
            if expected is ABSENT and held is not None:
                found.add((path, "absent", held))
            if isinstance(expected, str) and expected != held:
                found.add((path, expected, held))

        compare("", on, life.incarnation if life else None)
        for change in changes:
            match change:
                case PutDoc(path, _, expected) | DropDoc(path, expected) | Expect(path, expected):
                    doc = life.docs.get(path) if life else None
                    compare(path, expected, doc.version if doc else None)
                case Append(log, _, at):
                    length = len(life.logs.get(log, [])) if life else 0
                    if at is not None and at != length:
                        found.add((log, at, length))
                case Replace(log, index):
                    entries = life.logs.get(log, []) if life else []
                    if index >= len(entries) or entries[index] is None:
                        found.add((log, index, None))
        return found

    def _apply(
        self,
        space: Space,
        changes: list[Change],
        made: Committed,
        values: dict[str, int],
        commit_id: str,
        ttl: Ttl,
        summary: Summary | None,
    ) -> None:
        now = self.clock.now
        life = self.lives.get(space)
        if life is None:
            assert made.incarnation not in self.past
            life = Life(made.incarnation, summary.parent if summary else None, now, now)
            self.lives[space] = life
        self.stale += [doc.version for doc in life.docs.values()]
        firsts = {}
        lengths = {log: len(entries) for log, entries in life.logs.items()}
        for change in changes:
            match change:
                case PutDoc(path, data):
                    life.docs[path] = Document(data, made.version)
                case DropDoc(path):
                    life.docs.pop(path, None)
                case Append(log, entries) if entries:
                    firsts[log] = lengths.get(log, 0)
                    life.logs.setdefault(log, []).extend(entries)
                case Replace(log, index, data):
                    life.logs[log][index] = data
        for change in changes:
            if isinstance(change, Trim):
                for index in range(min(change.before, lengths.get(change.log, 0))):
                    life.logs[change.log][index] = None
        life.counters |= values
        if ttl is not KEEP:
            life.expires = None if ttl is None else now + ttl
        if summary is not None:
            life.summary, life.parent = summary.data, summary.parent
        life.touched = now
        life.commits.append((commit_id, now, made))
        assert made == Committed(life.incarnation, len(life.commits), firsts, values)

    def _end(self, space: Space) -> None:
        life = self.lives.pop(space)
        self.past.append(life.incarnation)
        self.stale += [doc.version for doc in life.docs.values()]
