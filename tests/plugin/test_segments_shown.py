"""Five hundred turns through segments: nothing is lost, doubled or moved about, and no call passes the limit."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from strands_session_store import open_store
from strands_session_store.sessions import Sessions

from .unending import LIMIT, Story, agent_of, frozen, prompts, told


@pytest.mark.parametrize(
    ("engine", "turns"),
    [
        ("sqlite", 500),
        ("redis", 500),
        ("s3", 60),
        pytest.param("s3", 500, marks=pytest.mark.soak),
        pytest.param("directory", 500, marks=pytest.mark.soak),
    ],
)
def test_many_turns_each_by_a_new_process(url_of: Callable[[str], str], engine: str, turns: int) -> None:
    story, live = Story(seed=turns), ([], {})
    log: dict[str, object] = {}
    with open_store(url_of(engine)) as store:
        session = f"long {random.randrange(10**9)}"
        for turn in range(turns):
            agent = agent_of(store, story.script, session)
            assert frozen(agent) == live, f"turn {turn}"
            agent.state.set("turn", turn)
            agent(story.prompt())
            live = frozen(agent)
            log |= {m["tracking_id"]: m for m in live[0]}
        found = told(store, session, sizes=(1000, 97, 13))
        messages = [one.entry.message for one in found]
        assert [one.index for one in found] == list(range(len(found)))
        assert [int(text.split()[1]) for text in prompts(messages)] == list(range(1, turns + 1))
        there = {m["tracking_id"] for m in messages}
        assert [m for id, m in log.items() if id in there] == messages, "as they were live, in order"
        sessions = Sessions(store)
        chain = sessions.segments.chain(session)
        assert len(chain) > turns / 40
        assert len(log) - len(messages) == 2 * (len(chain) - 1), "what else was shown are the openings"
        assert LIMIT / 2 < max(story.calls) <= LIMIT
        stats = sessions.segments.stats(session)
        assert (stats.segments, stats.messages) == (len(chain), len(messages))
        assert stats.usage.calls == len(story.calls) == sum(m["role"] == "assistant" for m in messages)
        assert sessions.usage.subtree(session) == stats.usage
