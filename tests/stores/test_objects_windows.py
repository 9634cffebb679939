"""Rows from the latest on: none is lost or doubled, however they lie in time; and what that costs, in requests."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from tests.stores.places import Place

from strands_session_store.stores.base import Order, Page, Query, Space, Summary, new_commit_id
from strands_session_store.stores.objects import ObjectStore, names, windows
from strands_session_store.stores.objects.blobs import Listed
from strands_session_store.testing.promises.binding import SetClock

NOW = 1_790_000_000.0
PREFIX = names.rows("session", "ann")
YEAR = 365 * 86_400.0


class Asked(Place):
    """Counts the requests that a bucket would get for its listings: one for each so many keys.

    Attributes:
        batch: Keys of a request.
    """

    batch = windows.BATCH

    def list(self, prefix: str, *, after: str = "", below: bool = False) -> Iterator[Listed]:
        for at, found in enumerate(super().list(prefix, after=after, below=below)):
            if at and at % self.batch == 0:
                self._count("list")
            yield found


# ------------------------------------------------------------------------------------------------------------ the rows

times = st.lists(
    st.one_of(
        st.floats(NOW - YEAR, NOW + 5),
        st.integers(0, 30).map(lambda at: NOW - at * 1e-6),  # a burst
        st.integers(0, 5).map(lambda at: NOW - 3600.0 * at),  # many at one instant
        st.sampled_from([0.0, 1.5]),
    ),
    max_size=60,
)
bounds = st.one_of(st.none(), times.filter(bool).map(lambda some: some[0]), st.sampled_from([-1.0, float("inf")]))


@settings(deadline=None, max_examples=400)
@given(times=times, low=bounds, high=bounds, count=st.integers(1, 8), batch=st.integers(2, 7))
def test_rows_from_the_latest_on_are_all_of_them_in_order(
    times: list[float], low: float | None, high: float | None, count: int, batch: int
) -> None:
    place = Asked(SetClock(NOW))
    place.batch = batch
    expected = []
    for at, time in enumerate(times):
        (key,) = names.rows_of(Space("session", "ann", f"{at}"), "00", time, None)
        place.objects[key] = b"", NOW
        stamped = names.read_row(key)
        assert stamped is not None
        if (low is None or time >= low) and (high is None or time <= max(high, 0)):
            expected.append((stamped.time, f"{at}"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(windows, "BATCH", batch)
        down = [(row.time, row.id) for row in windows.descending(place, PREFIX, low, high, count)]
        up = [(row.time, row.id) for row in windows.ascending(place, PREFIX, low, high)]
    assert sorted(down) == sorted(up) == sorted(expected)
    assert [time for time, _ in down] == sorted((time for time, _ in down), reverse=True)
    assert [time for time, _ in up] == sorted(time for time, _ in up)


# ----------------------------------------------------------------------------------------------------------- the costs


def evenly(count: int) -> list[float]:
    return [NOW - YEAR * at / count for at in range(count)]


def ever_fewer(count: int) -> list[float]:
    return [NOW - YEAR * (1 - 2 ** (-10 * at / count)) for at in range(count)]


def ever_more(count: int) -> list[float]:
    """A thousand times as many an hour today as a year ago."""
    return [NOW - YEAR * 2 ** (-10 * at / count) for at in range(count)]


def at_random(count: int) -> list[float]:
    chance = random.Random(7)
    return [NOW - chance.expovariate(1 / 86_400) ** 1.3 for _ in range(count)]


def an_import_a_month_ago(count: int) -> list[float]:
    return [NOW - 30 * 86_400 - at * 0.01 for at in range(count)]


def an_import_and_a_few_since(count: int) -> list[float]:
    return [*(NOW - 3600.0 * at for at in range(30)), *an_import_a_month_ago(count)]


SHAPES = evenly, ever_more, ever_fewer, at_random, an_import_a_month_ago, an_import_and_a_few_since


@pytest.mark.parametrize("count", [900, 6_000, 100_000])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_first_50_of_very_many_rows_cost_a_few_requests(shape: Callable[[int], list[float]], count: int) -> None:
    place = Asked(SetClock(NOW))
    for at, time in enumerate(shape(count)):
        place.objects[names.rows_of(Space("session", "ann", f"{at:06}"), "00", time, None)[0]] = b"", NOW
    latest = sorted((name for name in place.objects), reverse=True)
    for start in (0, count // 2):
        high = None if start == 0 else names.read_row(latest[start]).time  # type: ignore[union-attr]
        place.calls.clear()
        found = list(itertools.islice(windows.descending(place, PREFIX, None, high, 51), 51))
        assert [row.id for row in found] == [names.read_row(key).id for key in latest[start : start + 51]]  # type: ignore[union-attr]
        # what was made evenly, or at the pace of a life, is guessed well; a gap before a burst is searched by halves
        assert place.calls["list"] <= (1 if count < 1000 else 30 if "import" in shape.__name__ else 15)


@pytest.fixture(scope="module")
def crowded() -> Asked:
    """6,000 sessions of one owner, half of them below one parent; a tenth has expired."""
    clock = SetClock(NOW)
    place = Asked(clock)
    store = ObjectStore(place)
    chance = random.Random(3)
    for at in range(6_000):
        clock.now += chance.expovariate(1 / 60)
        ttl = 1.0 if chance.random() < 0.1 else None
        summary = Summary(b"s", "p" if at % 2 else None)
        store.commit(Space("session", "ann", f"{at}"), commit_id=new_commit_id(), ttl=ttl, summary=summary)
    clock.now += 60
    return place


@pytest.mark.parametrize("parent", [None, "p"])
@pytest.mark.parametrize("descending", [True, False])
def test_a_page_of_50_of_6_000_sessions_costs_a_few_requests(
    crowded: Asked, parent: str | None, descending: bool
) -> None:
    store = ObjectStore(crowded)
    query = Query("session", "ann", parent, order=Order.CREATED, descending=descending)

    def page(query: Query, most: int) -> Page:
        crowded.calls.clear()
        found = store.list(query)
        assert len(found.rows) == 50
        assert crowded.calls["list"] <= most
        assert crowded.calls["get"] <= 2 and crowded.calls["objects"] <= 51 + 64
        return found

    most = 4 if descending else 1
    ids = []
    first = found = page(query, most)
    for _ in range(20):
        ids += [int(row.space.id) for row in found.rows]
        found = page(replace(query, cursor=found.cursor), most)
    assert ids == sorted(set(ids), reverse=descending) and len(ids) == 1000
    middle = found.rows[25].created
    for some in (
        replace(query, since=middle),
        replace(query, until=middle),
        replace(query, since=middle - 50_000, until=middle + 50_000),
    ):
        page(some, most)
    assert store.list(query).rows == first.rows
