"""RedisStore after a failover that lost commits, when others have made as many since: numbers alone would not tell."""

from __future__ import annotations

import contextlib

import pytest

pytest.importorskip("redis")

from tests.stores.servers import Servers

from strands_session_store.errors import Regressed
from strands_session_store.stores import open_store
from strands_session_store.stores.base import Append, Log, Space, new_commit_id

SPACE = Space("session", "ann", "one")


@pytest.mark.parametrize("others", [1, 2, 126, 127, 300])
def test_a_commit_upon_one_that_was_lost_is_regressed_however_many_others_there_are(
    standalone: Servers, others: int
) -> None:
    url = standalone.url
    key = f"{url.partition('prefix=')[2]}:{{session:ann:one}}"
    with (
        open_store(url) as store,
        open_store(url) as other,
        contextlib.closing(standalone.servers[0].client()) as admin,
    ):
        made = store.commit(SPACE, Append("log", [b"kept"]), commit_id=new_commit_id())
        kept = admin.dump(key)
        store.commit(SPACE, Append("log", [b"lost"], 1), commit_id=new_commit_id(), on=made.incarnation)
        admin.restore(key, 0, kept, replace=True)
        for _ in range(others):
            other.commit(SPACE, Append("log", [b"other"]), commit_id=new_commit_id())
        with pytest.raises(Regressed):
            store.commit(SPACE, Append("log", [b"mixed in"]), commit_id=new_commit_id(), on=made.incarnation)
        # once: from now on what the server has counts
        store.commit(SPACE, Append("log", [b"anew"], others + 1), commit_id=new_commit_id(), on=made.incarnation)
        assert store.read(SPACE, Log("log")).logs["log"].length == others + 2
