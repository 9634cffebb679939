"""``show --follow``: what is said shows as it comes, also while a segment ends, and Ctrl-C ends it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import DEFAULT
from tests.cli.programs import terminal

from strands_session_store import Conversation, SessionNotFoundError
from strands_session_store.cli.following import Follower, Heard, follow
from strands_session_store.errors import Unavailable
from strands_session_store.sessions import Sessions
from strands_session_store.testing.faults import FaultyStore

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")


def test_what_is_said_shows_as_it_comes_through_a_rollover(here: Path) -> None:
    with Conversation("c", DEFAULT) as talk:
        talk.user_says("question 0")
        talk.ai_responds("answer 0")
        with terminal("show", "c", "--follow", "--every", "0.05") as seen:
            seen.wait_for("answer 0")
            talk.user_says("question 1")
            seen.wait_for("turn 2")
            seen.wait_for("question 1")
            talk.ai_responds("answer 1")
            seen.wait_for("answer 1")
            assert talk.end_segment() is not None
            talk.user_says("question 2")
            talk.ai_responds("answer 2")
            seen.wait_for("answer 2")
            seen.interrupt()
            assert seen.ended() == 130
            assert "turn 3" in seen.text and "Traceback" not in seen.text and "more:" not in seen.text
            for number in range(3):
                assert seen.text.count(f"question {number}") == seen.text.count(f"answer {number}") == 1


def test_as_json_it_is_a_line_a_message(here: Path) -> None:
    with Conversation("c", DEFAULT) as talk:
        talk.user_says("before")
        with terminal("show", "c", "-f", "--every", "0.05", "--json", stdout=subprocess.PIPE) as seen:
            assert seen.process.stdout is not None
            lines = [json.loads(seen.process.stdout.readline())]
            talk.ai_responds("meanwhile")
            lines.append(json.loads(seen.process.stdout.readline()))
            seen.interrupt()
            assert seen.ended() == 130
            seen.process.stdout.close()
    assert [(one["index"], one["agent_id"], one["message"]["content"][0]["text"]) for one in lines] == [
        (0, "default", "before"),
        (1, "default", "meanwhile"),
    ]


def test_each_look_has_what_is_new(sessions: Sessions) -> None:
    sessions.create("c")
    follower = Follower(sessions, "c", None, None, {})
    assert list(follower.look()) == []
    sessions.messages.append("c", [{"role": "user", "content": f"{n}"} for n in range(250)])
    assert [heard.said.index for heard in follower.look()] == list(range(250))
    sessions.messages.append("c", {"role": "user", "content": "other"}, agent_id="other")
    assert [(heard.agent_id, heard.said.index) for heard in follower.look()] == [("other", 0)]
    sessions.messages.clear("c")
    sessions.messages.append("c", {"role": "user", "content": "250"})
    assert [heard.said.index for heard in follower.look()] == [250]
    assert list(follower.look()) == []


def test_a_look_that_is_cut_off_is_gone_on_with(sessions: Sessions) -> None:
    sessions.create("c")
    sessions.messages.append("c", [{"role": "user", "content": f"{n}"} for n in range(250)])
    faulty = FaultyStore(sessions.store)
    follower = Follower(Sessions(faulty), "c", None, None, {})
    faulty.plan("read", before=Unavailable("away"), at=3)  # of the session, of a page, of the next one
    heard: list[int] = []
    with pytest.raises(Unavailable):
        heard.extend(one.said.index for one in follower.look())
    assert 0 < len(heard) < 250
    assert heard + [one.said.index for one in follower.look()] == list(range(250))


def test_what_was_made_anew_is_followed_from_its_beginning_and_what_is_gone_is_an_error(sessions: Sessions) -> None:
    sessions.create("c")
    sessions.messages.append("c", {"role": "user", "content": "old"})
    follower = Follower(sessions, "c", None, None, {})
    assert len(list(follower.look())) == 1
    sessions.delete("c")
    with pytest.raises(SessionNotFoundError):
        list(follower.look())
    sessions.create("c")
    sessions.messages.append("c", {"role": "user", "content": "new"})
    (heard,) = follower.look()
    assert heard.said.entry.message["content"] == [{"text": "new"}]


def test_a_store_that_does_not_answer_is_waited_for_and_loses_nothing(
    sessions: Sessions, capsys: pytest.CaptureFixture[str]
) -> None:
    sessions.create("c")
    sessions.messages.append("c", [{"role": "user", "content": f"{n}"} for n in range(5)])
    faulty = FaultyStore(sessions.store)
    faulty.plan("read", before=Unavailable("away"), times=3)
    told = []

    def tell(heard: Heard) -> None:
        told.append(heard.said.index)
        if len(told) == 3:
            faulty.plan("read", before=Unavailable("away again"))
        if len(told) == 5:
            sessions.messages.append("c", {"role": "user", "content": "last"})
        if len(told) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow(Follower(Sessions(faulty), "c", None, None, {}), tell, 0.001)
    assert told == list(range(6))
    assert capsys.readouterr().err.splitlines() == [
        "strands-session: away; trying on",
        "strands-session: the store answers again",
        "strands-session: away again; trying on",
    ]
