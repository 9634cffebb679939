"""A process that is killed at any moment loses nothing that it was told is stored."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from strands_session_store import open_store
from strands_session_store.sessions import Sessions

from .children import Parent, unpaired

TURNS = 10
MESSAGES = 4 * TURNS
"""Prompt, tool uses, tool results, answer."""


def _killed(processes: Parent, directory: Path, moment: int) -> None:
    chance = random.Random(f"moment {moment}")
    url, session = f"sqlite:///{directory}/{moment}.db", "killed"
    child = processes.start("converse", url=url, session=session, turns=TURNS)
    # a random message, and up to the length of some commits behind it: in the midst of a model call, tool or write
    acknowledged = [child.hear() for _ in range(chance.randrange(MESSAGES - 1))]
    time.sleep(chance.random() * 0.01)
    child.kill()
    acknowledged += child.hear_all()

    done = len(acknowledged) // 4
    following = processes.start("go_on", url=url, session=session, turns=TURNS - done)
    restored = following.hear()
    assert restored[: len(acknowledged)] == acknowledged, "acknowledged, and not there once and in order"
    assert len(restored) <= len(acknowledged) + 2, "at most the messages whose acknowledgement was on its way"
    after_one, at_end = following.hear(), following.hear()
    assert following.ended() == 0
    assert unpaired(after_one) == [] and after_one[-1]["content"][0]["text"] == "That is done."
    assert unpaired(at_end) == [] and at_end[: len(after_one)] == after_one
    with open_store(url) as store:
        sessions = Sessions(store)
        history = [e.message for e in sessions.messages.page(session, limit=1000).entries.values()]
        assert len({m["tracking_id"] for m in history}) == len(history)
        assert [m["tracking_id"] for m in history][: len(acknowledged)] == acknowledged
        assert sessions.get(session).open_runs == 0
        statuses = [run.status for run in sessions.runs.list(session, limit=1000).entries.values()]
        assert statuses.count("abandoned") <= 1 and set(statuses) <= {"completed", "abandoned"}


@pytest.mark.parametrize("moment", range(8))
def test_killed_at_some_moments(processes: Parent, tmp_path: Path, moment: int) -> None:
    _killed(processes, tmp_path, moment)


@pytest.mark.soak
@pytest.mark.parametrize("moment", range(100, 150))
def test_killed_at_fifty_moments(processes: Parent, tmp_path: Path, moment: int) -> None:
    _killed(processes, tmp_path, moment)
