"""Random conversations, as data: what is said, what happens meanwhile, and what is done between turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from hypothesis import strategies as st

from .payloads import payloads

KINDS = (
    "null",
    "window",
    "window per turn",
    "window pinned",
    "window of none",
    "summary",
    "summary pinned",
    "summary in time",
    "auto",
    "agentic",
    "stateful",
)
"""Conversation managers; and a model that keeps the conversation itself."""

Act = tuple[Any, ...]
"""Name, and what it needs."""


@dataclass(frozen=True)
class Hook:
    """One callback of the application, which acts at its ``nth`` call."""

    event: Literal["before", "added", "after", "model", "model before"]
    order: int
    awaited: bool
    act: Literal["edit", "delete", "append", "raise", "state", "cancel", "resume", "retry", "copy", "continue"]
    nth: int


@dataclass(frozen=True)
class Turn:
    prompt: Act
    lines: tuple[Act, ...]
    """What the model does, call by call; then it says "ok"."""
    way: Act = ("await",)
    """How the agent is called, and how that ends."""
    fault: Act | None = None
    """What the store does meanwhile."""
    structured: bool = False


@dataclass(frozen=True)
class Between:
    """Something done between turns; ``flushed``: and stored before the next."""

    act: Act
    flushed: bool


@dataclass(frozen=True)
class Resume:
    """Another process goes on."""

    kind: str | None = None
    """With another conversation manager; None: with the same."""
    fault: bool = False
    """The store fails at the first attempt to read."""
    ahead: bool = False
    """Loaded by `StoreSessionManager.open`."""


@dataclass(frozen=True)
class Conversation:
    kind: str
    engine: Literal["memory", "sqlite"]
    durability: Literal["message", "background", "turn"]
    hooks: tuple[Hook, ...]
    guides: tuple[tuple[str, int], ...]
    """Interventions: before or after which model call."""
    near: bool
    """Read and keep as little as possible at a time, as with a history that is long."""
    steps: tuple[Turn | Between | Resume, ...]


def _often(*weighted: tuple[int, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    return st.sampled_from([s for weight, s in weighted for _ in range(weight)]).flatmap(lambda s: s)


small = st.integers(0, 7)
said = _often((3, st.sampled_from(["hello", "what is it?", "x" * 30])), (1, st.just("long " * 120)))
acts = st.just


def tool_calls() -> st.SearchStrategy[Act]:
    call = st.one_of(
        st.tuples(st.just("echo"), payloads()),
        st.tuples(st.just("long"), st.just(None)),
        st.tuples(st.just("picture"), st.just(None)),
        st.tuples(st.just("fails"), st.just(None)),
        st.tuples(st.just("note"), payloads()),
        st.tuples(st.just("ask"), st.just(None)),
    )
    return st.tuples(st.just("tools"), st.lists(call, min_size=1, max_size=3).map(tuple))


def lines(kind: str) -> st.SearchStrategy[tuple[Act, ...]]:
    own = {
        "agentic": st.tuples(
            st.just("context tool"),
            st.sampled_from(
                [
                    ("summarize_context", {"keep_recent": 2, "summary_ratio": 0.8}),
                    ("truncate_context", {"keep_recent": 2}),
                    ("pin_context", {"select": 2}),
                    ("pin_context", {"select": "last_turn"}),
                ]
            ),
        ),
    }.get(kind)
    one = _often(
        (4, st.tuples(st.just("text"), said)),
        (5, tool_calls()),
        (2, acts(("overflow",))),
        (1, acts(("error",))),
        (1, acts(("max tokens", True))),
        (1, acts(("max tokens", False))),
        (2, acts(("redact user",))),
        (1, acts(("redact assistant",))),
        *([(5, own)] if own is not None else []),
    )
    large = st.sampled_from(["long", "picture"]).map(lambda name: ("tools", ((name, None),)))
    overflown = st.tuples(large, st.just(("overflow",)))
    return _often((6, st.lists(one, max_size=4).map(tuple)), (1, overflown))


def prompts() -> st.SearchStrategy[Act]:
    return _often(
        (5, st.tuples(st.just("text"), said)),
        (2, st.tuples(st.just("blocks"), payloads())),
        (2, st.tuples(st.just("messages"), payloads(), st.booleans())),
        (3, acts(("reused",))),
        (1, acts(("none",))),
        (1, acts(("empty",))),
    )


def ways() -> st.SearchStrategy[Act]:
    moment = st.tuples(st.sampled_from(["model", "tool", "added", "commit"]), st.integers(1, 3))
    return _often(
        (10, acts(("await",))),
        (1, acts(("call",))),
        (1, st.tuples(st.just("task.cancel"), moment)),
        (1, st.tuples(st.just("anyio"), moment)),
        (1, st.tuples(st.just("agent.cancel"), moment)),
        (1, st.tuples(st.just("closed"), st.integers(0, 40))),
        (1, st.tuples(st.just("dropped"), st.integers(0, 40))),
        (1, st.tuples(st.just("kept"), st.integers(0, 40))),
    )


def faults() -> st.SearchStrategy[Act | None]:
    return _often(
        (6, st.none()),
        (
            2,
            st.tuples(
                st.sampled_from(["unavailable before", "in doubt before", "in doubt after"]),
                st.integers(1, 6),
                st.sampled_from([1, 1, 2, None]),
            ),
        ),
    )


def hooks() -> st.SearchStrategy[Hook]:
    of = {
        "before": ["edit", "delete", "append", "raise", "state", "cancel"],
        "added": ["edit", "edit", "delete", "append", "raise", "state", "copy"],
        "after": ["edit", "delete", "append", "raise", "state", "state", "resume", "resume", "copy", "continue"],
        "model": ["edit", "delete", "append", "raise", "state", "retry"],
        "model before": ["edit", "delete", "append", "raise", "continue", "continue"],
    }
    return st.sampled_from(sorted(of)).flatmap(
        lambda event: st.builds(
            Hook,
            st.just(event),
            st.sampled_from([-100, 0, 100]),
            st.booleans(),
            st.sampled_from(of[event]),
            st.integers(1, 4),
        )
    )


def betweens() -> st.SearchStrategy[Between]:
    act = _often(
        (2, st.tuples(st.just("append"), st.sampled_from(["user", "assistant"]), st.booleans(), payloads())),
        (1, st.tuples(st.just("append again"), small)),
        (1, st.tuples(st.just("insert"), small)),
        (2, st.tuples(st.just("delete"), small)),
        (1, st.tuples(st.just("delete last"), st.integers(1, 3))),
        (1, st.tuples(st.just("delete first"), st.integers(1, 3))),
        (1, acts(("clear",))),
        (2, st.tuples(st.just("edit"), small, payloads())),
        (1, st.tuples(st.just("swap"), small, small)),
        (2, acts(("deepcopy",))),
        (3, st.tuples(st.just("load snapshot"), small, st.sampled_from(["session", "messages"]))),
        (2, st.tuples(st.just("set state"), st.sampled_from(["k", "j"]), payloads())),
        (1, st.tuples(st.just("replace state"), payloads())),
        (2, st.tuples(st.just("direct tool"), st.sampled_from(["echo", "fails", "ask"]))),
        (1, acts(("structured output",))),
    )
    return st.builds(Between, act, st.booleans())


def turns(kind: str) -> st.SearchStrategy[Turn]:
    return st.builds(
        Turn,
        prompts(),
        lines(kind),
        ways(),
        faults(),
        _often((6, st.just(False)), (1, st.just(True))),
    )


def resumes() -> st.SearchStrategy[Resume]:
    return st.builds(
        Resume,
        _often((4, st.none()), (1, st.sampled_from(["null", "window", "summary", "auto"]))),
        _often((5, st.just(False)), (1, st.just(True))),
        _often((4, st.just(False)), (1, st.just(True))),
    )


def conversations(kind: str) -> st.SearchStrategy[Conversation]:
    """With the given conversation manager to begin with."""
    step = _often((5, turns(kind)), (3, betweens()), (2, resumes()))
    return st.builds(
        Conversation,
        st.just(kind),
        _often((5, st.just("memory")), (1, st.just("sqlite"))),
        _often((3, st.just("message")), (1, st.just("background")), (1, st.just("turn"))),
        _often((1, st.just(())), (2, st.lists(hooks(), min_size=1, max_size=4).map(tuple))),
        _often((3, st.just(())), (1, st.tuples(st.tuples(st.sampled_from(["before", "after"]), st.integers(1, 4))))),
        st.booleans(),
        st.lists(step, min_size=3, max_size=12).map(tuple),
    )
