"""A session on a server that loses what it had acknowledged, and what has to be true of it in the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from strands import Agent
from tests.stores import servers

from strands_session_store import open_store
from strands_session_store.layout import session_space
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Committed, Store
from strands_session_store.testing.faults import FaultyStore

from .children import build, unpaired

SPACE = session_space("s", None)
KEY = b"strands:{session:-:s}"
AGAIN = "it was written again"


def fine(messages: Any) -> str:
    return "fine"


def texts(messages: Any) -> list[str]:
    return [message["content"][0].get("text", "") for message in messages]


def is_whole(store: Store, *agents: Agent, failed: int = 0) -> None:
    """The session is what its live agents have, each message once and in order; runs (but ``failed``) ended well, and
    counters agree."""
    service = Sessions(store)
    for agent in agents:
        found = service.messages.page("s", agent_id=agent.agent_id, limit=1000)
        assert list(found.entries) == list(range(found.length))
        assert [entry.message for entry in found.entries.values()] == agent.messages
        resumed, _ = build(store, "s", fine, agent_id=agent.agent_id)
        assert resumed.messages == agent.messages and resumed.state.get() == agent.state.get()
        assert unpaired(agent.messages) == []
    counters = service.get("s").counters
    runs = list(service.runs.list("s", limit=1000).entries.values())
    assert counters["messages"] == sum(len(agent.messages) for agent in agents)
    assert counters["runs"] == len(runs) == len({run.run_id for run in runs})
    assert sum(run.status != "completed" for run in runs) == failed and service.runs.active("s") == ()
    assert sum(run.messages for run in runs) == counters["messages"]


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged about commits that were written again."""
    return [record.getMessage() for record in caplog.records if AGAIN in record.getMessage()]


class Forgetful(FaultyStore):
    """A store on a server of its own, which can forget the last commits of the session, as a failover does."""

    def __init__(self, folder: Path) -> None:
        self.server = servers.Server(folder).start()
        super().__init__(open_store(self.server.url))
        self._admin = self.server.client()
        self._states: list[bytes] = []

    def commit(self, *args: Any, **kwargs: Any) -> Committed:
        made = super().commit(*args, **kwargs)
        self.keep()
        return made

    def keep(self) -> None:
        """Others have committed too: `forget` does not go behind that."""
        self._states.append(self._admin.dump(KEY))

    def forget(self, commits: int) -> None:
        del self._states[-commits:]
        self._admin.restore(KEY, 0, self._states[-1], replace=True)

    def close(self) -> None:
        super().close()
        self._admin.close()
        self.server.stop()
