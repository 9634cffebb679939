"""docs/costs.md says what a request costs the store; and it does not matter how much was said in a session."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("redis")

from bench import rest_counts
from tests.stated import stated


def test_requests_cost_what_they_are_said_to() -> None:
    counted = {str(name): costs for name, *costs in rest_counts.counts(((40, 20), (1_100, 300)))}
    said = {
        name: [[int(one) for one in cell.split(";")] for cell in cells] for name, cells in stated("request").items()
    }
    assert said.keys() == counted.keys()
    wrong = {}
    for name, (sqlite, sqlite_more, *redis) in counted.items():
        # with few and with many sessions and messages; one figure where it is the same
        calls, trips = ([*cell, cell[0]][:2] for cell in said[name])
        # where there is no redis-server in PATH, there is no figure of it
        if calls != [sqlite, sqlite_more] or redis not in (trips, [None, None]):
            wrong[name] = (calls, trips), counted[name]
    assert not wrong
