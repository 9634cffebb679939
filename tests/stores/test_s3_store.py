"""ObjectStore on S3 as a whole: what it asks of the endpoint, and what becomes of commits when answers are lost."""

from __future__ import annotations

import random
import threading
import time
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

pytest.importorskip("boto3")
pytest.importorskip("moto")

from tests.stores.s3_place import Place
from tests.stores.s3_proxy import Exchange, lose, pass_on, refuse

from strands_session_store.errors import InDoubt, StoreError, Unavailable
from strands_session_store.stores.base import (
    ABSENT,
    Add,
    Append,
    Counters,
    Doc,
    Log,
    Order,
    PutDoc,
    Query,
    Space,
    Store,
    new_commit_id,
)
from strands_session_store.stores.objects import ObjectStore
from strands_session_store.testing import StoreMachine

SPACE = Space("session", "ann", "one")


def say(store: Store, at: int, space: Space = SPACE, **options: Any) -> Any:
    """One message of a conversation, which believes that there are ``at`` before it."""
    return store.commit(
        space,
        Append("log", [b"%d" % at], at),
        PutDoc("doc", b"%d" % at),
        Add("n", 1),
        commit_id=new_commit_id(),
        **options,
    )


def told(store: Store, count: int) -> None:
    """The conversation is there whole, once."""
    look = store.read(SPACE, Log("log", [(0, None)]), Doc("doc"), Counters(["n"]))
    assert list(look.logs["log"].entries.values()) == [b"%d" % at for at in range(count)]
    assert look.docs["doc"].data == b"%d" % (count - 1) and look.counters == {"n": count} and look.revision == count


def store_at(place: Place, **options: Any) -> ObjectStore:
    return ObjectStore(place.blobs(**options))


def test_a_commit_is_one_put_and_a_read_one_get(place: Place) -> None:
    with store_at(place) as store:
        say(store, 0)
        created = list(place.proxy.methods)
        assert created.count("GET") == 1 and created.count("PUT") <= 3 and len(created) <= 4
        for at in range(1, 6):
            say(store, at)
        assert place.proxy.methods == [*created, *["PUT"] * 5]
        place.proxy.seen.clear()
        told(store, 6)
        with store_at(place) as other:
            told(other, 6)
        assert place.proxy.methods == ["GET", "GET"]


def test_every_answer_of_a_conversation_is_lost_once_and_nothing_is_doubled(place: Place) -> None:
    lost: set[tuple[str, str, bytes]] = set()

    def once(exchange: Exchange) -> None:
        what = exchange.method, exchange.target, exchange.body
        if exchange.method == "PUT" and what not in lost:
            lost.add(what)
            lose(exchange)
        else:
            pass_on(exchange)

    with store_at(place) as store:
        place.proxy.rule = once
        for at in range(8):
            assert not say(store, at).repeated
        told(store, 8)
    assert len(lost) >= 8


@pytest.mark.parametrize("count", [2, 8])
def test_writers_who_lose_every_tenth_answer_lose_and_double_no_commit(place: Place, count: int) -> None:
    dice, turns = random.Random(count), threading.Lock()

    def now_and_then(exchange: Exchange) -> None:
        with turns:
            lost = exchange.method == "PUT" and dice.random() < 0.1
        (lose if lost else pass_on)(exchange)

    said: list[bytes] = []
    errors: list[Exception] = []
    each = 16 // count

    def write(name: int) -> None:
        with store_at(place) as store:
            for at in range(each):
                entry = b"%d/%d" % (name, at)
                try:
                    store.commit(SPACE, Append("log", [entry]), Add("n", 1), commit_id=entry.decode())
                    said.append(entry)
                except Exception as error:
                    errors.append(error)

    store = store_at(place)
    place.proxy.rule = now_and_then
    threads = [threading.Thread(target=write, args=(name,)) for name in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    place.proxy.rule = pass_on
    assert errors == []
    look = store.read(SPACE, Log("log", [(0, None)]), Counters(["n"]))
    entries = list(look.logs["log"].entries.values())
    assert sorted(entries) == sorted(said) and look.counters == {"n": 16} and look.revision == 16
    for name in range(count):
        assert [entry for entry in entries if entry.startswith(b"%d/" % name)] == [
            b"%d/%d" % (name, at) for at in range(each)
        ]
    store.close()


def test_a_commit_whose_answer_never_comes_is_in_doubt_and_its_repetition_is_known(place: Place) -> None:
    with ObjectStore(place.blobs(timeout=0.3), timeout=0.5) as store:
        say(store, 0)
        place.proxy.rule = lambda exchange: (lose if exchange.method == "PUT" else refuse(503, "SlowDown"))(exchange)
        commit = (SPACE, Append("log", [b"1"], 1), PutDoc("doc", b"1"), Add("n", 1))
        with pytest.raises(InDoubt):
            store.commit(*commit, commit_id="one")
        place.proxy.rule = pass_on
        assert store.commit(*commit, commit_id="one").revision == 2
        told(store, 2)


def test_a_commit_that_was_refused_by_name_has_not_taken_place(place: Place) -> None:
    with store_at(place, timeout=0.3) as store:
        say(store, 0)
        for answer, kind in ((refuse(503, "SlowDown"), Unavailable), (refuse(403, "AccessDenied"), StoreError)):
            place.proxy.rule = lambda exchange, answer=answer: (  # type: ignore[misc]
                answer if exchange.method == "PUT" else pass_on
            )(exchange)
            with pytest.raises(kind) as info:
                say(store, 1)
            assert not isinstance(info.value, InDoubt)
        place.proxy.rule = pass_on
        told(store, 1)


def test_times_are_those_of_the_endpoint(place: Place) -> None:
    """A machine whose clock is an hour slow neither lists wrong times nor keeps what has expired."""

    def ahead(exchange: Exchange) -> None:
        answer = exchange.forward()
        answer.headers["date"] = formatdate(time.time() + 3600, usegmt=True)
        exchange.reply(answer)

    with store_at(place) as store:
        say(store, 0, Space("session", "ann", "gone"), ttl=1800)
        place.proxy.rule = ahead
        say(store, 0)
        (row,) = store.list(Query("session", "ann", order=Order.CREATED)).rows
        assert row.space == SPACE and abs(row.created - (time.time() + 3600)) < 5
        assert store.read(Space("session", "ann", "gone"), Doc("doc")).incarnation is None


def test_an_endpoint_that_ignores_conditions_is_refused_with_the_first_commit(place: Place) -> None:
    def ignorant(exchange: Exchange) -> None:
        exchange.headers = {name: value for name, value in exchange.headers.items() if not name.startswith("if-")}
        pass_on(exchange)

    place.proxy.rule = ignorant
    with ObjectStore(place.blobs(ready=False)) as store:
        assert store.read(SPACE, Doc("doc")).incarnation is None  # reading needs no conditions
        with pytest.raises(StoreError, match="assume-single-writer"):
            say(store, 0, on=ABSENT)
    found = place.server.client.list_objects_v2(Bucket=place.bucket)
    assert "Contents" not in found
    with store_at(place, conditional_writes="assume-single-writer") as store:
        for at in range(5):
            say(store, at)
        told(store, 5)


def test_random_commits_of_a_single_writer_beside_the_model(place: Place) -> None:
    prefixes = iter(range(1000))

    class Machine(StoreMachine):
        def __init__(self) -> None:
            super().__init__()
            self.prefix = f"machine{next(prefixes)}"

        def open(self, clock: Any) -> Store:
            return store_at(place, prefix=self.prefix, conditional_writes="assume-single-writer")

    case = Machine.TestCase
    case.settings = settings(
        deadline=None, max_examples=2, stateful_step_count=20, suppress_health_check=list(HealthCheck)
    )
    case("runTest").runTest()
