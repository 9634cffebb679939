"""docs/costs.md says what is counted; and it does not matter how many sessions there are."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("redis")

from bench import redis_server, service

DOCUMENT = Path(__file__).parents[2] / "docs" / "costs.md"


def stated() -> dict[str, list[str]]:
    rows = (line.strip().strip("|").split("|") for line in DOCUMENT.read_text().splitlines() if line.startswith("| "))
    return {name.strip(): [cell.strip() for cell in cells] for name, *cells in rows if name.strip() != "call"}


@pytest.mark.skipif(not redis_server.possible(), reason="there is no redis-server in PATH")
def test_costs_are_as_they_are_said_to_be() -> None:
    counted = {str(name): costs for name, *costs in service.service((150, 600))}
    said = stated()
    assert said.keys() == counted.keys()
    wrong = {}
    for name, (redis, redis_more, s3, s3_more) in counted.items():
        for figure, few, many in zip(said[name], (redis, s3), (redis_more, s3_more)):
            # where two figures stand the place of rows in time, or their number, plays a part
            if ";" not in figure and (few, many) != (int(figure), int(figure)):
                wrong[name] = (figure, few, many)
    assert not wrong
