"""A process is killed while a segment ends, at each of its commits: there is one chain, and the next one goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest

from strands_session_store import open_store
from strands_session_store.segments import SegmentAfter
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Query

from .children import Parent
from .unending import agent_of, ended, frozen, prompts, said

EACH_TURN = SegmentAfter(max_tokens=None, max_turns=2, summarize="extractive")
WHOLE, PIECES = 4, 7
"""Commits of an end: mark, copy (in one piece, or several), decision, finish."""


def _moments() -> list[object]:
    out: list[object] = []
    for engine in ("sqlite", "redis", "directory"):
        for pieces in (False, True):
            for nth in range(1, (PIECES if pieces else WHOLE) + 1):
                for when in ("before", "after"):
                    # what follows a commit at once is before the next; only engines differ in what a kill leaves
                    few = engine == "sqlite" if pieces else engine == "redis" or nth == 3
                    few &= when == "after" or nth == 1
                    marks = [] if few else [pytest.mark.soak]
                    out.append(pytest.param(engine, pieces, nth, when, marks=marks))
    return out


@pytest.mark.parametrize(("engine", "pieces", "nth", "when"), _moments())
def test_killed_at_a_commit_of_an_end(
    processes: Parent,
    url_of: Callable[[str], str],
    engine: str,
    pieces: bool,
    nth: int,
    when: Literal["before", "after"],
) -> None:
    url, session = url_of(engine), f"killed {engine} {pieces} {nth} {when}"
    child = processes.start("end_a_segment_and_hang", url=url, session=session, nth=nth, when=when, pieces=pieces)
    takes = PIECES if pieces else WHOLE
    assert child.hear() == takes
    assert child.hear() == "hangs"
    child.kill()
    decided = nth > takes - 1 or (nth == takes - 1 and when == "after")
    with open_store(url) as store:
        sessions = Sessions(store)
        below = [node.session.session_id for node in sessions.tree(session)[1:]]
        chain = [one.session.session_id for one in sessions.segments.chain(session)]
        assert len(chain) == (4 if decided else 3)
        assert set(below) <= set(chain), "what is half made is no session"
        assert {one.session.session_id for one in sessions.list(parent_id=session).sessions} == set(chain) - {session}
        assert prompts(said(store, session)) == ["turn 1", "turn 2", "turn 3", "turn 4"]
        assert len(said(store, session)) == 8

        agent = agent_of(store, lambda messages: "hi", session, after=EACH_TURN)
        assert len([m for m in agent.messages if "turn" in str(m["content"])]) >= (1 if decided else 2)
        agent("turn 5")
        agent("turn 6")
        assert frozen(agent_of(store, lambda messages: "hi", session)) == frozen(agent)
        assert prompts(said(store, session)) == [f"turn {n}" for n in range(1, 7)]
        assert ended(store, session) == 5
        rows = store.list(Query("session", parent=session)).rows
        assert len(rows) == ended(store, session), "what was left was dropped"
        sessions.delete(session)
        assert not store.list(Query("session", parent=session)).rows
