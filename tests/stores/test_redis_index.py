"""RedisStore's rows beside what has none or no longer: failed creations, spaces that expired or were evicted."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest

pytest.importorskip("redis")

from tests.stores.clock import Clocked
from tests.stores.conversation import SPACE, key_of, prefix_of, say, told
from tests.stores.servers import Servers

from strands_session_store.errors import ConflictError, Unavailable
from strands_session_store.stores import open_store
from strands_session_store.stores.base import ABSENT, Add, Order, Query, Space, Store, Summary, new_commit_id
from strands_session_store.stores.redis import RedisStore, counting
from strands_session_store.stores.redis.index import groups_of
from strands_session_store.stores.redis.scripts import Ask

EVERYWHERE = Query("session", "ann"), Query("session", "ann", "p"), Query("session", everyone=True)


def test_a_row_of_a_creation_that_failed_is_not_listed_and_the_space_can_still_be_made(standalone: Servers) -> None:
    with open_store(standalone.url) as store:
        with pytest.raises(ConflictError):
            say(store, 7)
        assert store.list(Query("session", "ann")).rows == []
        said = say(store, 0, summary=Summary(b"s", "p"))
        for query in EVERYWHERE:
            (row,) = store.list(query).rows
            assert (row.space, row.summary, row.parent) == (SPACE, b"s", "p")
        assert store.drop(SPACE, on=said.incarnation).existed


def test_the_row_of_a_failed_creation_gets_the_time_of_the_one_that_succeeds(standalone: Servers) -> None:
    with open_store(standalone.url) as store, contextlib.closing(standalone.servers[0].client()) as admin:
        with pytest.raises(ConflictError):
            say(store, 7)
        seconds, micros = admin.time()
        say(store, 0)
        (row,) = store.list(Query("session", "ann")).rows
        assert row.created >= seconds + micros / 1e6 and row.updated >= row.created


def rows_left(clocked: Clocked, url: str) -> list[int]:
    """How many there are in the group of the owner, and in that of all."""
    with contextlib.closing(clocked.servers.servers[0].client()) as admin:
        return [admin.zcount(f"{prefix_of(url)}:{{{group}}}:index", 0, 2**33) for group in ("session:ann", "session")]


def test_rows_of_absent_spaces_go_when_they_are_an_hour_old_and_not_before(clocked_standalone: Clocked) -> None:
    with clocked_standalone.stopped() as clock, open_store(url := clock.url) as store:
        began = clock.now

        def rows_at(seconds: int) -> list[int]:
            clock.now = began + seconds
            assert store.list(Query("session", "ann")).rows == store.list(Query("session", everyone=True)).rows == []
            return rows_left(clocked_standalone, url)

        say(store, 0, ttl=10)
        assert rows_at(11) == rows_at(3599) == [1, 1]
        assert rows_at(3600) == [0, 0]


def test_a_row_stays_while_somebody_may_be_making_its_space(clocked_standalone: Clocked) -> None:
    with clocked_standalone.stopped() as clock, open_store(url := clock.url) as store:
        say(store, 0, ttl=10)
        clock.now += 3000
        with pytest.raises(ConflictError):
            say(store, 5)
        clock.now += 3000
        store.list(Query("session", "ann"))
        assert rows_left(clocked_standalone, url)[0] == 1
        clock.now += 600
        store.list(Query("session", "ann"))
        assert rows_left(clocked_standalone, url)[0] == 0


def test_claims_of_an_hour_ago_are_forgotten_and_their_spaces_are_not(clocked_standalone: Clocked) -> None:
    with clocked_standalone.stopped() as clock, open_store(url := clock.url) as store:
        group = f"{prefix_of(url)}:{{session:ann}}:index"
        spaces = [Space("session", "ann", f"{at}") for at in range(40)]
        with contextlib.closing(clocked_standalone.servers.servers[0].client()) as admin:
            for space in spaces[:30]:
                say(store, 0, space)
            clock.now += 3601
            for space in spaces[30:]:
                say(store, 0, space)
            assert admin.zcount(group, "-inf", "(0") == 10
            assert {row.space for row in store.list(Query("session", "ann")).rows} == set(spaces)
            for space in spaces:
                assert store.drop(space).existed
            assert admin.keys(f"{prefix_of(url)}*") == []


@pytest.mark.parametrize("topology", ["standalone", "cluster", "sentinel"])
def test_a_space_made_again_after_it_expired_has_the_times_of_its_new_life(
    topology: str, request: pytest.FixtureRequest
) -> None:
    other = Space("session", "ann", "other")
    clocked: Clocked = request.getfixturevalue(f"clocked_{topology}")
    with clocked.stopped() as clock, open_store(clock.url) as store:
        say(store, 0, ttl=10, summary=Summary(b"", "p"))
        clock.now += 11
        say(store, 0, other, summary=Summary(b"", "p"))
        clock.now += 1
        say(store, 0, summary=Summary(b"", "p"))
        for query in EVERYWHERE:
            for order in Order:
                rows = store.list(replace(query, order=order, descending=False)).rows
                assert [row.space for row in rows] == [other, SPACE]
                assert rows[1].created == clock.now and rows[1].updated - clock.now < 1e-5


@pytest.mark.parametrize("topology", ["standalone", "cluster", "sentinel"])
def test_a_commit_moves_its_row_in_every_group_once_a_minute(topology: str, request: pytest.FixtureRequest) -> None:
    other = Space("session", "ann", "other")
    clocked: Clocked = request.getfixturevalue(f"clocked_{topology}")
    with clocked.stopped() as clock, open_store(clock.url) as store:
        for space in (SPACE, other):
            say(store, 0, space, summary=Summary(b"", "p"))
            clock.now += 1

        def last() -> list[Space]:
            return [store.list(replace(query, order=Order.UPDATED, limit=1)).rows[0].space for query in EVERYWHERE]

        clock.now += 57
        say(store, 1)
        assert last() == [other] * 3
        clock.now += 1
        say(store, 2)
        assert last() == [SPACE] * 3
        clock.now += 59
        say(store, 1, other)
        assert last() == [other] * 3
        told(store, 3)


@pytest.mark.parametrize("topology", ["standalone", "cluster"])
def test_rows_are_counted_by_the_step_and_only_those_of_spaces_that_are_there(
    topology: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "STEP", 3)
    servers: Servers = request.getfixturevalue(topology)
    with open_store(servers.url) as store:
        assert isinstance(store, RedisStore)
        for owner, count in (("ann", 7), ("a:b", 6), (None, 1)):
            for at in range(count):
                say(store, 0, Space("session", owner, f"s:{at}"), summary=Summary(b"", "p"))
        # the newest row is of a space that is not there
        store._ask([group.ask(b"claim") for group in groups_of(store._prefix, SPACE, None)])
        query = Query("session", "ann", order=Order.CREATED)
        assert store.count(query) == store.count(query, most=9) == (7, True)
        assert (store.count(query, most=2), store.count(query, most=3)) == ((2, False), (5, False))
        assert (store.count(Query("session", "a:b")), store.count(Query("session"))) == ((6, True), (1, True))
        assert store.count(Query("session", everyone=True)) == (14, True)
        assert store.count(Query("user", everyone=True)) == (0, True)


def test_an_evicted_group_gets_its_rows_back_with_the_next_commits(clocked_standalone: Clocked) -> None:
    with clocked_standalone.stopped() as clock, open_store(url := clock.url) as store:
        say(store, 0, summary=Summary(b"s", "p"))
        with contextlib.closing(clocked_standalone.servers.servers[0].client()) as admin:
            assert admin.unlink(*admin.keys(f"{prefix_of(url)}*:index")) == 3
        clock.now += 60
        say(store, 1)
        for query in EVERYWHERE:
            for order in Order:
                (row,) = store.list(replace(query, order=order)).rows
                assert (row.space, row.summary, row.created) == (SPACE, b"s", clock.now)


def test_a_drop_leaves_no_key_and_a_claim_that_came_later_keeps_its_row(standalone: Servers) -> None:
    url = standalone.url
    prefix = prefix_of(url)
    with (
        open_store(url) as store,
        open_store(url) as other,
        contextlib.closing(standalone.servers[0].client()) as admin,
    ):
        say(store, 0, summary=Summary(b"", "p"))
        say(other, 1)
        store.drop(SPACE)
        assert admin.keys(f"{prefix}*") == []
        say(store, 0)
        with pytest.raises(ConflictError):  # it claimed the row and made nothing; for all we know it is still at it
            say(other, 5, on=ABSENT)
        store.drop(SPACE)
        assert admin.zcard(f"{prefix}:{{session:ann}}:index") == 3
        assert store.list(Query("session", "ann")).rows == []


def test_a_space_that_came_back_under_another_parent_is_not_listed_under_the_first(standalone: Servers) -> None:
    url = standalone.url
    with open_store(url) as store, contextlib.closing(standalone.servers[0].client()) as admin:
        store.commit(SPACE, commit_id=new_commit_id(), summary=Summary(b"", "p"))
        assert admin.unlink(key_of(url))
        store.commit(SPACE, commit_id=new_commit_id(), summary=Summary(b"", "q"))
        listed = {parent: [row.parent for row in store.list(Query("session", "ann", parent)).rows] for parent in "pq"}
    assert listed == {"p": [], "q": ["q"]}


def test_a_drop_that_comes_late_leaves_the_row_of_the_life_that_began_meanwhile(standalone: Servers) -> None:
    url = standalone.url
    with contextlib.closing(standalone.servers[0].client()) as admin, open_store(url) as store:
        assert isinstance(store, RedisStore)
        (group, *_) = groups_of(prefix_of(url).encode(), SPACE, None)
        store._ask([group.ask(b"claim")])  # one is about to create the space
        store._ask([group.ask(b"claim")])  # another is faster; its life is dropped, but for the row
        seconds, micros = admin.time()
        store._ask([group.ask(b"renew")])  # the first one has created the space
        store._ask([group.ask(b"remove", seconds * 1_000_000 + micros)])
        assert admin.zscore(group.key, b"c" + group.name) is not None


def below(store: Store) -> dict[str, list[Space]]:
    return {parent: [row.space for row in store.list(Query("session", "ann", parent)).rows] for parent in "pq"}


def names_left(clocked: Clocked, url: str, parent: str) -> int:
    with contextlib.closing(clocked.servers.servers[0].client()) as admin:
        return int(admin.zcount(f"{prefix_of(url)}:{{session:ann:{parent}}}:index", 0, 2**33))


@pytest.mark.parametrize("stopped_at", ["claimed", "committed"])
def test_a_move_that_was_stopped_half_way_leaves_a_row_that_is_not_listed_and_goes(
    clocked_standalone: Clocked, monkeypatch: pytest.MonkeyPatch, stopped_at: str
) -> None:
    with clocked_standalone.stopped() as clock, open_store(url := clock.url) as store:
        assert isinstance(store, RedisStore)
        store.commit(SPACE, commit_id=new_commit_id(), summary=Summary(b"", "p"))
        ask, rounds = store._ask, itertools.count()

        def stopping(asks: Sequence[Ask], *, repeatable: bool = True) -> list[object]:
            at = next(rounds)
            if stopped_at == "claimed" and at == 1:
                ask(asks[:-1])  # without the commit
            if at == (1 if stopped_at == "claimed" else 2):
                raise Unavailable("stopped")
            return ask(asks, repeatable=repeatable)

        with monkeypatch.context() as patched:
            patched.setattr(store, "_ask", stopping)
            with pytest.raises(Unavailable, match="stopped"):
                store.commit(SPACE, commit_id=new_commit_id(), summary=Summary(b"", "q"))
        here, there = ("p", "q") if stopped_at == "claimed" else ("q", "p")
        assert below(store) == {here: [SPACE], there: []}
        assert names_left(clocked_standalone, url, there) == 1
        clock.now += 3601
        assert below(store) == {here: [SPACE], there: []}
        assert names_left(clocked_standalone, url, there) == 0
        assert names_left(clocked_standalone, url, here) == 1


def test_who_takes_a_row_away_late_leaves_that_of_a_space_that_was_moved_back(
    clocked_standalone: Clocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    with clocked_standalone.stopped() as clock, open_store(clock.url) as store, open_store(clock.url) as other:
        assert isinstance(store, RedisStore)
        store.commit(SPACE, commit_id=new_commit_id(), summary=Summary(b"", "p"))
        clock.now += 4000
        ask, rounds = store._ask, itertools.count()

        def late(asks: Sequence[Ask], *, repeatable: bool = True) -> list[object]:
            if next(rounds) == 2:
                clock.now += 1
                other.commit(SPACE, commit_id=new_commit_id(), summary=Summary(b"", "p"))
            return ask(asks, repeatable=repeatable)

        monkeypatch.setattr(store, "_ask", late)
        store.commit(SPACE, commit_id=new_commit_id(), summary=Summary(b"", "q"))
        assert below(other) == {"p": [SPACE], "q": []}


def test_a_space_of_before_there_were_moves_can_be_moved_and_dropped(standalone: Servers) -> None:
    url = standalone.url
    shorten = """local head = cmsgpack.unpack(redis.call('HGET', KEYS[1], 'h'))
        local old = {}
        for at = 1, 11 do old[at] = head[at] end
        return redis.call('HSET', KEYS[1], 'h', cmsgpack.pack(old))"""
    with open_store(url) as store, contextlib.closing(standalone.servers[0].client()) as admin:
        store.commit(SPACE, commit_id=new_commit_id(), summary=Summary(b"", "p"), ttl=1000.0)
        (before,) = store.list(Query("session", "ann")).rows
        admin.eval(shorten, 1, key_of(url))
        assert store.read(SPACE).expires is not None and below(store) == {"p": [SPACE], "q": []}
        store.commit(SPACE, Add("n", 1), commit_id=new_commit_id())
        store.commit(SPACE, commit_id=new_commit_id(), summary=Summary(b"", "q"))
        assert below(store) == {"p": [], "q": [SPACE]}
        (row,) = store.list(Query("session", "ann", "q")).rows
        assert 0 <= before.created - row.created < 1
        assert store.drop(SPACE).existed
        assert admin.keys(f"{prefix_of(url)}*") == []
