"""A conversation without end, for the tests of segments: what is said in it, and what is to be found of it."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from strands import Agent, tool
from strands.agent.conversation_manager import NullConversationManager

from strands_session_store import StoreSessionManager, tokens
from strands_session_store.segments import SegmentAfter
from strands_session_store.sessions import Sessions
from strands_session_store.sessions.shapes import Placed
from strands_session_store.stores.base import Store
from strands_session_store.testing.models import Reply, ScriptedModel, ToolCall

from .children import unpaired

LIMIT = 1_600
PIXEL = bytes(range(48))
EXTRACTIVE = SegmentAfter(LIMIT, summarize="extractive")


@tool
def look(what: str) -> str:
    """Tells whether it is there."""
    return f"{what} is there"


@tool
def fails(what: str) -> str:
    """Never works."""
    raise RuntimeError(f"{what} is out of order")


@tool
def picture(what: str) -> dict[str, Any]:
    """A picture."""
    shown = {"image": {"format": "png", "source": {"bytes": PIXEL + what.encode()}}}
    return {"status": "success", "content": [{"text": what}, shown]}


@tool
def everything(what: str) -> str:
    """Tells a lot: more than half of what a turn may take."""
    return f"{what}: " + "lorem ipsum " * 35


TOOLS = [look, fails, picture, everything]


class Story:
    """What is said: the same for each seed, whatever the model is given."""

    def __init__(self, seed: int, *, alternate: bool = True) -> None:
        """``alternate``: roles do, in what the model is given; not where a prompt's answer was refused."""
        self._chance, self.turn, self._alternate = random.Random(seed), 0, alternate
        self._steps = 0
        self.calls: list[int] = []
        """Tokens of the messages of each call."""

    def prompt(self) -> str:
        """Of the next turn."""
        self.turn, self._steps = self.turn + 1, 0
        return f"question {self.turn} " + "hm " * self._chance.randrange(20)

    def script(self, messages: Sequence[Any]) -> Reply:
        assert unpaired(list(messages)) == [], "uses and results are whole pairs in what the model is given"
        roles = [message["role"] for message in messages]
        assert roles[0] == "user" and (not self._alternate or all(a != b for a, b in pairwise(roles))), roles
        self.calls.append(sum(tokens.count(message, "scripted")[0] for message in messages))
        self._steps += 1
        if self._steps == 1 and self._chance.random() < 0.4:
            names = self._chance.sample([tool.tool_name for tool in TOOLS], self._chance.randrange(1, 4))
            return Reply("Let me see.", tools=[ToolCall(name, {"what": f"thing {self.turn}"}) for name in names])
        return Reply(f"answer {self.turn} " + "well " * self._chance.randrange(30))


def agent_of(store: Store | str, script: Any, session: str = "c", *, after: Any = EXTRACTIVE, **options: Any) -> Agent:
    """A new agent with a new session manager, as of a new process."""
    names = ("agent_id", "conversation_manager", "tools", "model")
    own = {name: options.pop(name) for name in names if name in options}
    manager = StoreSessionManager(session, store, segment_after=after, **options)
    made: dict[str, Any] = {
        "model": script if isinstance(script, ScriptedModel) else ScriptedModel(script),
        "tools": TOOLS,
        "conversation_manager": NullConversationManager(),
        **own,
    }
    return Agent(**made, session_manager=manager, callback_handler=None)


def frozen(agent: Agent) -> tuple[Any, Any]:
    """Messages and state, as they are now."""
    return copy.deepcopy(agent.messages), copy.deepcopy(agent.state.get())


def told(store: Store, session: str = "c", agent_id: str = "default", sizes: Sequence[int] = (1000, 7)) -> list[Placed]:
    """All that was said, read from both ends in pages of several sizes; that each message is there once and in order,
    and where the chain says, was looked at."""
    segments = Sessions(store).segments
    found: list[Placed] | None = None
    for size in sizes:
        up: list[Placed] = []
        page = segments.full_history(session, agent_id=agent_id, start=0, limit=size)
        up += page.messages
        while page.newer is not None:
            page = segments.full_history(session, agent_id=agent_id, limit=size, cursor=page.newer)
            up += page.messages
        page = segments.full_history(session, agent_id=agent_id, limit=size)
        down = [*page.messages]
        while page.older is not None:
            page = segments.full_history(session, agent_id=agent_id, limit=size, cursor=page.older)
            down = [*page.messages, *down]
        assert down == up, f"pages of {size}: back {len(down)}, up {len(up)}"
        assert found is None or found == up
        found = up
    assert found is not None
    ids = [one.entry.message["tracking_id"] for one in found]
    assert len(set(ids)) == len(ids), "a message is there twice"
    chain = segments.chain(session, agent_id=agent_id)
    assert [one.number for one in chain] == list(range(1, len(chain) + 1))
    assert all(a.end == b.start for a, b in pairwise(chain))
    for one in chain:
        here = [m for m in found if one.start <= m.index and (one.end is None or m.index < one.end)]
        assert {m.session_id for m in here} <= {one.session.session_id}
        assert len(here) == one.messages
    return found


def said(store: Store, session: str = "c", agent_id: str = "default", sizes: Sequence[int] = (1000, 7)) -> list[Any]:
    """The messages of `told`."""
    return [one.entry.message for one in told(store, session, agent_id, sizes)]


def prompts(messages: Sequence[Any]) -> list[str]:
    """What the user said."""
    return [m["content"][0]["text"] for m in messages if m["role"] == "user" and "text" in m["content"][0]]


def ended(store: Store, session: str = "c", agent_id: str = "default") -> int:
    """How many segments have ended."""
    return len(Sessions(store).segments.chain(session, agent_id=agent_id)) - 1
