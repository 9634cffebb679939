"""ObjectStore where the place fails: what is raised, what is there afterwards, and what is left alone."""

from __future__ import annotations

import json

import pytest
from tests.stores.places import HEAD, SPACE, TINY, Place, named

from strands_session_store.errors import ConflictError, Corrupt, InDoubt, StoreError, Unavailable
from strands_session_store.stores.base import (
    Add,
    Append,
    Counters,
    Doc,
    Log,
    Look,
    Order,
    PutDoc,
    Query,
    Replace,
    Store,
    Trim,
)
from strands_session_store.stores.objects import ObjectStore
from strands_session_store.testing.promises.binding import SetClock


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def place(clock: SetClock) -> Place:
    return Place(clock)


@pytest.fixture
def store(place: Place) -> ObjectStore:
    return ObjectStore(place, sealing=TINY, timeout=0.2)


def put(store: Store, number: int, *changes: object) -> int:
    entry = Append("log", [b"entry %d" % number])
    made = store.commit(SPACE, entry, Add("n", 1), *changes, commit_id=f"number {number}")  # type: ignore[arg-type]
    return made.counters["n"]


def fill(store: Store, count: int) -> None:
    for number in range(count):
        put(store, number)


def log(store: Store) -> list[bytes]:
    look = store.read(SPACE, Log("log", [(0, None)]))
    return list(look.logs["log"].entries.values()) if look.incarnation else []


def again(place: Place) -> ObjectStore:
    """Another process."""
    return ObjectStore(place.again(), sealing=TINY, timeout=0.2)


ENTRIES = [b"entry %d" % number for number in range(100)]


# ------------------------------------------------------------------------------------------------------ no answer, no


def test_a_place_that_refuses_is_unavailable_and_the_same_commit_may_be_tried_again(
    store: ObjectStore, place: Place
) -> None:
    fill(store, 3)
    for part in ("one.json", "one.d/"):
        place.fail(Unavailable("500"), "put", part)
        with pytest.raises(Unavailable) as info:
            put(store, 3, Append("other", [b"x" * 100]))
        assert not isinstance(info.value, InDoubt)
        place.heal()
        assert log(again(place)) == ENTRIES[:3]
    assert put(store, 3) == 4
    assert log(store) == ENTRIES[:4]


@pytest.mark.parametrize("part", ["index/", "one.d/"])
def test_an_unanswered_put_of_what_no_head_names_is_no_doubt(store: ObjectStore, place: Place, part: str) -> None:
    place.fail(InDoubt("no answer"), "put", part, when="after")
    with pytest.raises(Unavailable) as info:
        put(store, 0, Append("other", [b"x" * 100]))
    assert not isinstance(info.value, InDoubt)
    place.heal()
    assert again(place).read(SPACE) == Look(None)
    assert put(store, 0) == 1


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_a_put_that_is_not_answered_is_looked_after(store: ObjectStore, place: Place, done: bool, first: bool) -> None:
    count = 0 if first else 3
    fill(store, count)
    place.fail(InDoubt("no answer"), "put", HEAD, times=1, when="after" if done else "before")
    made = store.commit(SPACE, Append("log", [ENTRIES[count]]), Add("n", 1), commit_id="this")
    assert not made.repeated and made.counters == {"n": count + 1}
    assert log(again(place)) == ENTRIES[: count + 1]


@pytest.mark.parametrize("done", [False, True])
def test_what_can_not_be_looked_after_is_in_doubt_and_repeated_is_done_once(
    store: ObjectStore, place: Place, done: bool
) -> None:
    fill(store, 3)

    def cut(verb: str, key: str) -> None:
        """The connection ends with the put of the head, before or after it is done."""
        if key == HEAD and verb == "put":
            place.before = lambda verb, key: down()
            raise InDoubt("no answer")

    def down() -> None:
        raise Unavailable("down")

    setattr(place, "after" if done else "before", cut)
    with pytest.raises(InDoubt):
        put(store, 3)
    place.heal()
    assert log(again(place)) == ENTRIES[: 4 if done else 3]
    assert put(again(place), 3) == 4
    assert put(store, 3) == 4
    assert log(store) == ENTRIES[:4]


def test_an_unanswered_put_that_may_still_arrive_is_not_called_a_conflict(store: ObjectStore, place: Place) -> None:
    """Its head is still the one it is to replace, so nothing is certain: not even that an expectation fails now."""
    clock = place.clock
    assert isinstance(clock, SetClock)
    store.commit(SPACE, Append("log", [b"x"]), commit_id="0", ttl=10)
    made = store.read(SPACE)

    def late(verb: str, key: str) -> None:
        if verb == "put" and key == HEAD:
            clock.now += 20  # it has expired when the engine looks again
            raise InDoubt("no answer")

    place.before = late
    with pytest.raises(InDoubt):
        store.commit(SPACE, Append("log", [b"y"]), commit_id="1", on=made.incarnation or "")


def test_a_space_that_others_never_leave_alone_is_unavailable(store: ObjectStore, place: Place) -> None:
    fill(store, 1)
    other = again(place)
    numbers = iter(range(10**6))

    def meanwhile(verb: str, key: str) -> None:
        if verb == "put" and key == HEAD:
            other.commit(SPACE, Add("other", 1), commit_id=f"other {next(numbers)}")

    place.before = meanwhile
    with pytest.raises(Unavailable, match="by others the whole time") as info:
        put(store, 1)
    assert not isinstance(info.value, InDoubt)
    place.heal()
    assert log(store) == ENTRIES[:1]
    assert put(store, 1) == 2


def test_a_remembered_head_is_no_ground_for_a_conflict(store: ObjectStore, place: Place) -> None:
    fill(store, 2)
    put(again(place), 2)
    made = store.commit(SPACE, Append("log", [b"x"], 3), commit_id="next")
    assert made.indices == {"log": 3}
    again(place).drop(SPACE)
    with pytest.raises(ConflictError) as info:
        store.commit(SPACE, Append("log", [b"x"], 4), commit_id="last")
    assert info.value.found == 0
    # nor for a repetition: the ids went with the space
    assert not store.commit(SPACE, Add("n", 1), commit_id="next").repeated


@pytest.mark.parametrize("done", [False, True])
def test_an_unanswered_drop_is_looked_after_and_spares_a_later_life(
    store: ObjectStore, place: Place, done: bool
) -> None:
    fill(store, 12)
    other = again(place)

    def meanwhile(verb: str, key: str) -> None:
        if verb == "put" and key == HEAD:
            place.heal()
            if done:
                put(other, 50)
            raise InDoubt("no answer")

    setattr(place, "after" if done else "before", meanwhile)
    receipt = store.drop(SPACE)
    assert (receipt.existed, receipt.entries, receipt.bytes) == (True, 12, len(b"".join(ENTRIES[:12])))
    assert log(again(place)) == ([ENTRIES[50]] if done else [])
    assert place.sealed() == named(place)


def test_what_is_merged_while_it_is_read_is_read_where_it_is_now(store: ObjectStore, place: Place) -> None:
    fill(store, 11)
    reader = again(place)
    seen = reader._blobs
    assert isinstance(seen, Place)

    def meanwhile(verb: str, key: str) -> None:
        if ".d/" in key:
            seen.heal()
            for number in range(11, 40):
                put(store, number)

    seen.before = meanwhile
    found = log(reader)
    assert found == ENTRIES[: len(found)] and len(found) in (11, 40)


# --------------------------------------------------------------------------------------------------- what is damaged


def damaged_heads(whole: bytes) -> dict[str, bytes]:
    head = json.loads(whole)
    first = next(iter(head["logs"]))
    gap = json.loads(whole)
    gap["logs"][first]["pages"] = gap["logs"][first]["pages"][1:]
    return {
        "empty": b"",
        "cut off": whole[: len(whole) // 2],
        "no JSON": b"\xff" * 100,
        "other JSON": b'{"a":1}',
        "a list": b"[]",
        "another format": json.dumps({**head, "format": 99}).encode(),
        "a gap": json.dumps(gap).encode(),
        "no logs": json.dumps({key: value for key, value in head.items() if key != "logs"}).encode(),
        "a wrong mark": whole.replace(b'{"$text":"entry', b'{"$base64":"entry', 1),
    }


@pytest.mark.parametrize("how", damaged_heads(b'{"logs":{"a":{"pages":[]}}}'))
def test_a_damaged_head_is_named_and_left_as_it_is(store: ObjectStore, place: Place, how: str) -> None:
    fill(store, 11)
    assert json.loads(place.objects[HEAD][0])["logs"]["log"]["tail"]
    damaged = damaged_heads(place.objects[HEAD][0])[how]
    before = {**place.objects, HEAD: (damaged, 0.0)}
    place.objects.update(before)
    for act in (
        lambda: again(place).read(SPACE),
        lambda: put(again(place), 12),
        lambda: put(store, 12),
        lambda: again(place).drop(SPACE),
        lambda: again(place).list(Query("session", "ann")),
    ):
        with pytest.raises(Corrupt) as info:
            act()
        assert info.value.path == HEAD
        # a writer that remembers the head has sealed before it sees
        assert before.items() <= place.objects.items()
    assert again(place).gc().corrupt == (HEAD,)
    assert before.items() <= place.objects.items()


def test_a_head_that_was_laid_out_anew_is_read(store: ObjectStore, place: Place) -> None:
    fill(store, 12)
    put(store, 12, PutDoc("doc", b'{"a":[1,2.5,"\xc3\xa9"]}'), Append("other", [b"\xff"]))
    place.objects[HEAD] = json.dumps(json.loads(place.objects[HEAD][0]), indent=2).encode(), 0.0
    assert log(again(place)) == ENTRIES[:13]
    look = again(place).read(SPACE, Doc("doc"), Log("other", last=1))
    assert (look.docs["doc"].data, look.logs["other"].entries) == (b'{"a":[1,2.5,"\xc3\xa9"]}', {0: b"\xff"})


@pytest.mark.parametrize("how", ["gone", "empty", "cut off", "other lines", "one line less"])
def test_a_damaged_page_is_named_and_what_does_not_need_it_goes_on(store: ObjectStore, place: Place, how: str) -> None:
    fill(store, 12)
    page = min(key for key in place.sealed() if "/log/0-" in key)
    data, time = place.objects[page]
    damaged = {
        "empty": b"",
        "cut off": data[:-3],
        "other lines": b"1\n" * data.count(b"\n"),
        "one line less": data[: data.rindex(b"\n", 0, -1) + 1],
    }
    if how == "gone":
        del place.objects[page]
    else:
        place.objects[page] = damaged[how], time
    for act in (
        lambda: log(again(place)),
        lambda: put(again(place), 50, Replace("log", 0, b"x")),
        lambda: put(again(place), 50, Trim("log", 1)),
    ):
        with pytest.raises(Corrupt) as info:
            act()
        assert info.value.path == page
    other = again(place)
    for number in range(12, 40):
        assert put(other, number) == number + 1
    view = other.read(SPACE, Log("log", last=5)).logs["log"]
    assert list(view.entries.values()) == ENTRIES[35:40]
    assert other.gc().corrupt == ()
    with pytest.raises(Corrupt):
        log(other)
    assert other.drop(SPACE).entries == 40


def test_a_damaged_document_is_named(store: ObjectStore, place: Place) -> None:
    put(store, 0, PutDoc("a/b", b"0123456789"))
    (key,) = (key for key in place.sealed() if "/a/b." in key)
    for data in (b"", b"012345678"):
        place.objects[key] = data, 0.0
        with pytest.raises(Corrupt) as info:
            again(place).read(SPACE, Doc("a/b"))
        assert info.value.path == key
    assert again(place).read(SPACE, Counters(["n"])).counters == {"n": 1}


def test_errors_of_the_place_pass_as_they_are(store: ObjectStore, place: Place) -> None:
    fill(store, 1)
    denied = StoreError("access denied: the policy must allow s3:GetObject on bucket/x")
    for verb, act in (
        ("get", lambda: again(place).read(SPACE)),
        ("put", lambda: put(store, 1)),
        ("list", lambda: store.list(Query("session", "ann"))),
    ):
        refusing = again(place)
        if isinstance(refusing._blobs, Place):
            place.fail(denied, verb)
        with pytest.raises(StoreError, match="access denied"):
            act() if verb != "get" else store.read(SPACE)
        place.heal()
    assert log(again(place)) == ENTRIES[:1]


# ---------------------------------------------------------------------------------------------------------- commit ids


def test_a_burst_of_commits_leaves_the_head_small_and_every_id_known(store: ObjectStore, place: Place) -> None:
    ids = [f"{number:016}" for number in range(3000)]
    for commit_id in ids:
        store.commit(SPACE, Add("n", 1), commit_id=commit_id)
    assert len(place.objects[HEAD][0]) < 16_000
    other = again(place)
    for number in (0, 1, 500, 1500, 2998, 2999):
        made = other.commit(SPACE, Add("n", 1), commit_id=ids[number])
        assert made.repeated and made.revision == made.counters["n"] == number + 1
    clock = place.clock
    assert isinstance(clock, SetClock)
    clock.now += 200
    for number in range(70):
        store.commit(SPACE, Add("n", 1), commit_id=f"later {number}")
    assert len(place.objects[HEAD][0]) < 6_000
    assert not [key for key in place.sealed() if "/commits/" in key]


# ------------------------------------------------------------------------------------------------------------ clocks


def test_clocks_that_differ_lose_nothing(place: Place, clock: SetClock) -> None:
    def skewed(seconds: float) -> ObjectStore:
        other = place.again()
        other.now = lambda: clock() + seconds  # type: ignore[method-assign]
        return ObjectStore(other, sealing=TINY)

    stores = [skewed(seconds) for seconds in (0, -1800, 1800)]
    for number in range(90):
        assert put(stores[number % 3], number) == number + 1
        clock.now += 7
    assert log(again(place)) == ENTRIES[:90]
    for store in stores:
        assert store.commit(SPACE, commit_id="number 80").repeated
        for order in Order:
            assert [row.space for row in store.list(Query("session", "ann", order=order)).rows] == [SPACE]
        store.gc()
        assert log(again(place)) == ENTRIES[:90]
