"""Random calls of the service and turns of agents, on a few sessions of two owners, over a store that fails now and
then, beside a simple model: what was said is there once and in order, counters are a recount, nobody has what is
others'.
"""

from __future__ import annotations

import contextlib
import copy
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from strands import Agent
from strands.agent.conversation_manager import NullConversationManager
from strands.types.exceptions import EventLoopException

from strands_session_store import StoreSessionManager, codec, layout, records, usage
from strands_session_store.errors import (
    AlreadyExistsError,
    HasChildrenError,
    IllegalMoveError,
    InDoubt,
    MessageNotFoundError,
    SessionNotFoundError,
    StoreError,
    Unavailable,
)
from strands_session_store.prices import Prices
from strands_session_store.sessions import Sessions
from strands_session_store.stores import open_store
from strands_session_store.stores.base import Counters, Log
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.stores.reading import read_whole
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import Reply, ScriptedModel
from strands_session_store.usage import Totals

PRICES = Prices({"m": {"input": "0.0375", "output": "0.15"}, "n": {"input": "3", "output": "15"}}, published=False)
USES: tuple[dict[str, int], ...] = (
    {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0},
    {"inputTokens": 10, "outputTokens": 3, "totalTokens": 40, "cacheReadInputTokens": 20, "cacheWriteInputTokens": 7},
)
MODES: tuple[dict[str, Any], ...] = (
    {},
    {"durability": "background"},
    {"durability": "turn"},
    {"durability": "turn", "on_conflict": "rebase"},
    {"exclusive": True, "lease_expiry": 0.5},
)
FAULTS: tuple[dict[str, Exception], ...] = (
    {"before": Unavailable("down")},
    {"after": InDoubt("no answer")},
    {"before": InDoubt("nothing came")},
)
Key = tuple[str, str]
KEYS = st.tuples(st.sampled_from(["ann", "bob"]), st.sampled_from(["a", "b", "c"]))
FAULT = st.none() | st.tuples(
    st.sampled_from(FAULTS), st.sampled_from(["commit", "any"]), st.integers(1, 3), st.integers(1, 4)
)
WHICH = st.integers(0, 9)
AT = st.integers(0, 50)


@dataclass
class Agents:
    """What the model knows of one agent of a session."""

    history: list[str] = field(default_factory=list)
    """Texts by their tracking ids are in `Session.texts`."""
    length: int = 0
    """Of the history, with what was erased."""
    gone: set[str] = field(default_factory=set)
    context: list[str] = field(default_factory=list)
    state: dict[str, int] = field(default_factory=dict)
    moments: dict[str, tuple[list[str], dict[str, int]]] = field(default_factory=dict)
    """Context and state right after a message."""

    def say(self, id: str) -> None:
        self.length += 1
        self.history.append(id)
        self.context = [*self.context, id]
        self.moments[id] = self.context, dict(self.state)

    @property
    def there(self) -> list[str]:
        return [id for id in self.history if id not in self.gone]

    @property
    def shown(self) -> list[str]:
        return [id for id in self.context if id not in self.gone]


@dataclass
class Session:
    parent: str | None = None
    texts: dict[str, str] = field(default_factory=dict)
    custom: dict[str, int] = field(default_factory=dict)
    said: Agents = field(default_factory=Agents)
    erased: Totals = field(default_factory=Totals)
    """What was counted with messages that were cleared; counters keep it."""
    rewinds: int = 0
    runs: int = 0


Model = dict[Key, Session]


class Service(RuleBasedStateMachine):
    engine = "memory"

    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        url = "memory://" if self.engine == "memory" else f"sqlite:///{self.directory.name}/s.db"
        self.faulty = FaultyStore(open_store(url))
        self.sessions, self.truth = Sessions(self.faulty, prices=PRICES), Sessions(self.faulty.store)
        self.model: Model = {}
        self.agents: dict[Key, Agent] = {}
        self.count = 0
        for key in ("ann", "a"), ("bob", "a"):
            self.sessions.create(key[1], key[0])
            self.model[key] = Session()
        for which in (0, 1, 0):
            self.appended(self.named(which), ["user", "assistant"], USES[which], None)

    def teardown(self) -> None:
        if hasattr(self, "agents"):
            self.faulty.heal()
            for agent in self.agents.values():
                with contextlib.suppress(StoreError):
                    agent._session_manager.close()  # type: ignore[union-attr]
            self.faulty.close()
            self.directory.cleanup()

    # ---------------------------------------------------------------------------------------------------- one by one

    @rule(key=KEYS, parent=st.none() | st.sampled_from(["a", "b", "c"]), fault=FAULT)
    def create(self, key: Key, parent: str | None, fault: Any) -> None:
        if parent == key[1]:
            parent = None
        after = copy.deepcopy(self.model)
        after[key] = Session(parent)
        refused: tuple[type[Exception], ...] = ()
        if parent is not None and (key[0], parent) not in self.model:
            refused = (IllegalMoveError,)
        if key in self.model:
            refused += (AlreadyExistsError,)
        self.do(key, lambda s: s.create(key[1], key[0], parent_id=parent), after, fault, refused)

    @rule(
        which=WHICH,
        roles=st.lists(st.sampled_from(["user", "assistant"]), min_size=1, max_size=3),
        use=st.sampled_from(USES),
        fault=FAULT,
    )
    def append(self, which: int, roles: list[str], use: dict[str, int], fault: Any) -> None:
        self.appended(self.named(which), roles, use, fault)

    def appended(self, key: Key, roles: list[str], use: dict[str, int], fault: Any) -> None:
        messages: list[dict[str, Any]] = []
        after = copy.deepcopy(self.model)
        for role in roles:
            id = f"m{self.next()}"
            messages.append({"role": role, "content": f"text of {id}", "tracking_id": id})
            if role == "assistant":
                messages[-1]["metadata"] = {"usage": use}
            if key in after:
                after[key].texts[id] = f"text of {id}"
                after[key].said.say(id)
        self.do(key, lambda s: s.messages.append(key[1], messages, key[0], model="n"), after, fault, self.absent(key))

    @rule(which=WHICH, at=AT, how=st.sampled_from(["redact", "remove", "edit"]), fault=FAULT)
    def rewrite(self, which: int, at: int, how: str, fault: Any) -> None:
        key = self.named(which)
        after = copy.deepcopy(self.model)
        id, refused = self.pick(key, at)
        value = self.next()
        if not refused:
            now = after[key]
            if how == "redact":
                now.texts[id] = "[redacted]"
            elif how == "remove":
                now.said.gone.add(id)
            else:
                now.custom[id] = value

        def call(s: Sessions) -> Any:
            if how == "edit":
                return s.messages.edit_metadata(key[1], id, {"n": value}, key[0])
            return getattr(s.messages, how)(key[1], id, key[0])

        self.do(key, call, after, fault, refused)

    @rule(which=WHICH, fault=FAULT, really=st.sampled_from([False, False, False, True]))
    def clear(self, which: int, fault: Any, really: bool) -> None:
        key = self.named(which)
        if not really:
            return
        after = copy.deepcopy(self.model)
        if key in after:
            now = after[key]
            now.erased += self.recounted(key)[0]
            now.said = Agents(length=now.said.length, state=now.said.state)
            now.texts, now.custom = {}, {}
        known = len(self.model[key].said.there) if key in self.model else 0
        told = self.do(key, lambda s: s.messages.clear(key[1], key[0]), after, fault, self.absent(key))
        assert told in (None, known)

    @rule(which=WHICH, at=AT, fault=FAULT)
    def rewind(self, which: int, at: int, fault: Any) -> None:
        key = self.named(which)
        after = copy.deepcopy(self.model)
        id, refused = self.pick(key, at)
        if not refused:
            said = after[key].said
            context, state = said.moments[id]
            said.context, said.state = list(context), dict(state)
            after[key].rewinds += 1
        self.do(key, lambda s: s.rewind(key[1], id, key[0]), after, fault, refused)

    @rule(which=WHICH, new=st.sampled_from(["a", "d", "e", "f", "g", "h"]), at=st.none() | AT, fault=FAULT)
    def fork(self, which: int, new: str, at: int | None, fault: Any) -> None:
        key = self.named(which)
        target = key[0], new
        id, refused = (None, self.absent(key)) if at is None else self.pick(key, at)
        if target in self.model:
            refused += (AlreadyExistsError,)
        after = copy.deepcopy(self.model)
        if not refused:
            made = after[target] = copy.deepcopy(self.model[key])
            made.parent, made.erased = key[1], Totals()
            if id is not None:
                said = made.said
                context, state = said.moments[id]
                behind = len(said.history) - said.history.index(id) - 1
                said.history, said.length = said.history[: len(said.history) - behind], said.length - behind
                said.context, said.state = list(context), dict(state)
                said.moments = {one: said.moments[one] for one in said.history}
                said.gone &= set(said.history)
        if new == key[1]:
            return
        self.do(target, lambda s: s.fork(key[1], key[0], at=id, new_id=new), after, fault, refused, again=True, to=True)

    @rule(which=WHICH, parent=st.none() | st.sampled_from(["a", "b", "c"]), fault=FAULT)
    def move(self, which: int, parent: str | None, fault: Any) -> None:
        key = self.named(which)
        after = copy.deepcopy(self.model)
        refused = self.absent(key)
        if not refused and parent is not None:
            seen, up = [], parent
            while up is not None and (key[0], up) in self.model and up not in seen:
                seen.append(up)
                up = self.model[key[0], up].parent  # type: ignore[assignment]
            if key[1] in seen or (key[0], parent) not in self.model:
                refused = (IllegalMoveError,)
        if not refused:
            after[key].parent = parent
        self.do(key, lambda s: s.move(key[1], parent, key[0]), after, fault, refused)

    @rule(which=WHICH, children=st.sampled_from([None, None, None, "refuse", "cascade", "detach"]), fault=FAULT)
    def delete(self, which: int, children: Any, fault: Any) -> None:
        key = self.named(which)
        if children is None:
            return
        below = [id for (owner, id), one in self.model.items() if owner == key[0] and one.parent == key[1] != id]
        refused: tuple[type[Exception], ...] = ()
        after = copy.deepcopy(self.model)
        doomed = {key}
        if children == "refuse" and below:
            refused = (HasChildrenError,)
        elif children == "detach":
            for id in below:
                after[key[0], id].parent = None
        elif children == "cascade":
            todo = [key[1]]
            while todo:
                up = todo.pop()
                more = [k for k, one in self.model.items() if k[0] == key[0] and one.parent == up and k not in doomed]
                doomed.update(more)
                todo += [id for _, id in more]
        if not refused:
            for one in doomed:
                after.pop(one, None)
                self.let_go(one)
        self.do(key, lambda s: s.delete(key[1], key[0], children=children), after, fault, refused, again=True)

    # --------------------------------------------------------------------------------------------------------- agents

    @precondition(lambda self: self.model)
    @rule(
        which=WHICH,
        mode=st.sampled_from(MODES),
        use=st.sampled_from(USES),
        state=st.none() | st.integers(0, 3),
        fault=FAULT,
        fresh=st.sampled_from([False, False, True]),
    )
    def turn(
        self, which: int, mode: dict[str, Any], use: dict[str, int], state: int | None, fault: Any, fresh: bool
    ) -> None:
        """An agent is asked something, and what could not be stored is stored when the store is back."""
        key = self.named(which)
        if key not in self.model:
            return
        if fresh:
            self.let_go(key)
        if key not in self.agents:
            self.agents[key] = self.built(key, **mode)
        agent, now = self.agents[key], self.model[key]
        asked, answer = f"prompt {self.next()}", f"answer {self.next()}"

        def reply(messages: Any) -> Reply:
            if state is not None:
                agent.state.set("n", state)
            return Reply(answer, usage=use)

        agent.model = ScriptedModel(reply, model_id="m")
        self.fail(fault)
        with contextlib.suppress(StoreError, EventLoopException):
            agent(asked)
        self.faulty.heal()
        lost = False
        try:
            agent._session_manager.flush()  # type: ignore[union-attr]
        except StoreError:
            lost = True
        self.wait_for_the_lease(key)
        added = self.entries(key)
        added = added[len(added) - (self.length(key) - now.said.length) :] if self.length(key) > now.said.length else []
        texts = [entry.message["content"][0]["text"] for entry in added]
        assert texts == [asked, answer][: len(texts)], (texts, asked, answer)
        assert lost or fault or len(texts) == 2
        for entry, text in zip(added, texts):
            if text == answer and state is not None:
                now.said.state = {"n": state}
            now.texts[entry.message["tracking_id"]] = text
            now.said.say(entry.message["tracking_id"])
        if lost:
            self.let_go(key)
        elif texts:
            assert [m["tracking_id"] for m in agent.messages] == now.said.shown
        self.check(key)

    @rule()
    def goes_elsewhere(self) -> None:
        """All of it is copied to another store, where it is the same."""
        target = Sessions(MemoryStore())
        for owner in {owner for owner, _ in self.model}:
            self.truth.archive.copy(target, owner)
        for owner, id in self.model:
            assert target.layout_tree(id, owner) == tuple(
                one for one in self.truth.layout_tree(id, owner) if not one.path.startswith("lease")
            )

    # -------------------------------------------------------------------------------------------------------- private

    def next(self) -> int:
        self.count += 1
        return self.count

    def named(self, which: int) -> Key:
        """Mostly a session that is there; now and then another owner's, by its id."""
        there = sorted(self.model)
        if not there or which == 9:
            return "eve", there[0][1] if there else "a"
        return there[which % len(there)]

    def absent(self, key: Key) -> tuple[type[Exception], ...]:
        return () if key in self.model else (SessionNotFoundError,)

    def pick(self, key: Key, at: int) -> tuple[str, tuple[type[Exception], ...]]:
        """A message of the session, and what is raised when there is none."""
        if key not in self.model:
            return "none", (SessionNotFoundError,)
        there = self.model[key].said.there
        if not there:
            return "none", (MessageNotFoundError,)
        return there[at % len(there)], ()

    def fail(self, fault: Any) -> None:
        if fault is not None:
            how, verb, at, times = fault
            self.faulty.plan(verb, at=at, times=times, **how)

    def do(
        self,
        key: Key,
        call: Callable[[Sessions], Any],
        after: Model,
        fault: Any,
        refused: tuple[type[Exception], ...],
        *,
        again: bool = False,
        to: bool = False,
    ) -> Any:
        """Make a call; it does all, or nothing. ``again``: where it failed it may be half done, and is repeated.
        ``to``: it makes the session, with events up to a time."""
        self.fail(fault)
        answer: Any = None
        try:
            answer = call(self.sessions)
        except refused:
            pass
        except (Unavailable, InDoubt):
            assert fault is not None
            self.faulty.heal()
            if again:
                try:
                    call(self.sessions)
                except (AlreadyExistsError, *refused):
                    pass
                if not refused:
                    self.model = after
            elif not refused and self.is_so(after, key):
                self.model = after
        else:
            assert not refused, f"not refused: {refused}"
            self.model = after
        self.faulty.heal()
        if to and not refused:
            assert self.rewound(key) <= self.model[key].rewinds
            self.model[key].rewinds = self.rewound(key)
        self.check(key)
        return answer

    def wait_for_the_lease(self, key: Key) -> None:
        """Where letting go of it failed, that is tried again with the next sign of life. One whose taking was in doubt
        is nobody's, but for others to take."""
        until = time.monotonic() + 10
        while (held := self.truth.get(key[1], key[0]).holder) is not None and held.lives:
            assert time.monotonic() < until, "the lease is never let go of"
            time.sleep(0.01)

    def rewound(self, key: Key) -> int:
        return len(self.truth.events.list(key[1], key[0], type="rewind", limit=1000).entries)

    def built(self, key: Key, **options: Any) -> Agent:
        owner, id = key
        manager = StoreSessionManager(id, self.faulty, user_id=owner, prices=PRICES, timeout=5, **options)
        return Agent(
            model=ScriptedModel(lambda messages: "?"),
            conversation_manager=NullConversationManager(),
            session_manager=manager,
            callback_handler=None,
            retry_strategy=None,
        )

    def let_go(self, key: Key) -> None:
        if (agent := self.agents.pop(key, None)) is not None:
            with contextlib.suppress(StoreError):
                agent._session_manager.close()  # type: ignore[union-attr]

    def length(self, key: Key) -> int:
        log = layout.history("default")
        return self.faulty.store.read(layout.session_space(key[1], key[0]), Log(log)).logs[log].length

    def entries(self, key: Key) -> list[records.Message]:
        log = layout.history("default")
        look = read_whole(self.faulty.store, layout.session_space(key[1], key[0]), Log(log, [(0, None)]))
        return [codec.load(records.Message, data, log) for _, data in sorted(look.logs[log].entries.items())]

    def recounted(self, key: Key) -> tuple[Totals, Counter[str]]:
        whole, apart = Totals(), Counter[str]()
        for entry in self.entries(key):
            if (call := usage.whole(entry)) is not None:
                whole += usage.totals_of(call)
                apart.update(
                    dict(zip(layout.usage_counters(usage.path_of(usage.key_of(call))), usage.totals_of(call)._values()))
                )
        return whole, apart

    # ------------------------------------------------------------------------------------------------------- checking

    def is_so(self, model: Model, key: Key) -> bool:
        try:
            self.compare(model, key)
        except AssertionError:
            return False
        return True

    def check(self, key: Key) -> None:
        self.compare(self.model, key)
        for owner in ("ann", "bob"):
            self.listed(owner)

    def listed(self, owner: str) -> None:
        mine = {id: one for (whose, id), one in self.model.items() if whose == owner}
        page = self.truth.list(owner, limit=1000)
        assert sorted(one.session.session_id for one in page.sessions) == sorted(mine)
        assert {one.session.user_id for one in page.sessions} <= {owner}
        for id, one in mine.items():
            assert self.truth.get(id, owner).session.parent_id == one.parent
            below = {node.session.session_id for node in self.truth.children(id, owner)}
            assert below == {child for child, other in mine.items() if other.parent == id}
        spent = [self.truth.usage.session(id, owner) for id in mine]
        assert self.truth.usage.user(owner) == sum(spent, Totals())

    def compare(self, model: Model, key: Key) -> None:
        owner, id = key
        if key not in model:
            with pytest.raises(SessionNotFoundError):
                self.truth.get(id, owner)
            return
        try:
            self.truth.get(id, owner)
        except SessionNotFoundError:
            raise AssertionError(f"{key} is not there") from None
        one = model[key]
        assert self.truth.get(id, owner).session.parent_id == one.parent
        found = self.truth.messages.page(id, owner, start=0, limit=1000).entries
        assert [entry.message["tracking_id"] for entry in found.values()] == one.said.there
        for entry in found.values():
            name = entry.message["tracking_id"]
            assert entry.message["content"] == [{"text": one.texts[name]}]
            custom = (entry.message.get("metadata") or {}).get("custom") or {}
            assert custom.get("n") == one.custom.get(name)
        assert self.truth.messages.count(id, owner) == self.truth.messages.count(id, owner, agent_id="default")
        assert self.truth.messages.count(id, owner) == len(one.said.there)
        assert self.rewound(key) == one.rewinds
        self.counted(key, one)
        with contextlib.closing(StoreSessionManager(id, self.faulty.store, user_id=owner, read_only=True)) as manager:
            agent = Agent(
                model=ScriptedModel([]),
                conversation_manager=NullConversationManager(),
                session_manager=manager,
                callback_handler=None,
            )
            assert [m["tracking_id"] for m in agent.messages] == one.said.shown
            assert [m["content"][0]["text"] for m in agent.messages] == [one.texts[i] for i in one.said.shown]
            assert agent.state.get() == one.said.state

    def counted(self, key: Key, one: Session) -> None:
        owner, id = key
        whole, apart = self.recounted(key)
        assert self.truth.usage.session(id, owner) == whole + one.erased
        by = self.truth.usage.session_by(id, "model", owner)
        assert sum(by.values(), Totals()) == whole + one.erased
        if one.erased == Totals():
            names = list(apart)
            look = self.faulty.store.read(layout.session_space(id, owner), Counters(names))
            assert {name: value for name, value in look.counters.items() if value} == {
                name: value for name, value in apart.items() if value
            }


def play(engine: str, examples: int, steps: int = 25, *, shrinks: bool = True) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        type("Service", (Service,), {"engine": engine}),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
            database=None,
            phases=[Phase.generate, Phase.shrink] if shrinks else [Phase.generate],
        ),
    )


@pytest.mark.parametrize(("engine", "examples"), [("memory", 80), ("sqlite", 20)])
def test_the_service_does_what_it_says(engine: str, examples: int) -> None:
    play(engine, examples)


@pytest.mark.soak
@pytest.mark.parametrize("engine", ["memory", "sqlite"])
def test_the_service_does_what_it_says_for_long(engine: str) -> None:
    play(engine, 1_500, steps=50)
