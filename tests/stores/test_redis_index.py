"""RedisStore's index beside spaces that went without being dropped: evicted, expired."""

from __future__ import annotations

import contextlib

import pytest

pytest.importorskip("redis")

from tests.stores.servers import Servers

from strands_session_store.stores import open_store
from strands_session_store.stores.base import Query, Space, Summary, new_commit_id

SPACE = Space("session", "ann", "one")


def test_a_space_that_came_back_under_another_parent_is_not_listed_under_the_first(standalone: Servers) -> None:
    url = standalone.url
    with open_store(url) as store, contextlib.closing(standalone.servers[0].client()) as admin:
        store.commit(SPACE, commit_id=new_commit_id(), summary=Summary(b"", "p"))
        assert admin.unlink(f"{url.partition('prefix=')[2]}:{{session:ann:one}}")
        store.commit(SPACE, commit_id=new_commit_id(), summary=Summary(b"", "q"))
        listed = {parent: [row.parent for row in store.list(Query("session", "ann", parent)).rows] for parent in "pq"}
    assert listed == {"p": [], "q": ["q"]}
