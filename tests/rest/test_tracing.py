"""Where OpenTelemetry is configured, every request is a span; it says nothing of what was said."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .traced import ALL, PARENT, SECRET

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def spans() -> list[dict[str, Any]]:
    """Of a process of its own: what is configured is so for good."""
    command = [sys.executable, "-W", "error", "-m", "tests.rest.traced"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_every_request_is_a_span_with_its_route(spans: list[dict[str, Any]]) -> None:
    ours = [one for one in spans if one["scope"] == "strands_session_store.rest"]
    assert {one["kind"] for one in ours} == {"SERVER"}
    found = [(one["name"], one["attributes"]["http.response.status_code"], one["status"]) for one in ours]
    session = f"{ALL}/{{session_id}}"
    assert found == [
        (f"POST {ALL}", 201, "UNSET"),
        (f"GET {session}/messages", 200, "UNSET"),
        (f"GET {session}", 404, "UNSET"),
        ("GET", 404, "UNSET"),
        (f"POST {ALL}", 422, "UNSET"),
        (f"POST {ALL}/conversation", 201, "UNSET"),
        (f"GET {session}", 503, "ERROR"),
        (f"GET {session}", 500, "ERROR"),
    ]
    assert ours[1]["attributes"] == {
        "http.request.method": "GET",
        "url.path": f"{ALL}/a%2Fb/messages",
        "http.route": f"{session}/messages",
        "http.response.status_code": 200,
    }
    assert "http.route" not in ours[3]["attributes"]


def test_a_span_goes_on_in_the_trace_of_the_caller(spans: list[dict[str, Any]]) -> None:
    _, trace, parent, _ = PARENT.split("-")
    ours = [one for one in spans if one["scope"] == "strands_session_store.rest"]
    for n, span in enumerate(ours):
        assert ((span["trace"], span["parent"]) == (trace, parent)) == (n in (1, 5))
        assert n in (1, 5) or span["parent"] is None
    # what the agent does belongs to the request
    by_id = {one["id"]: one for one in spans}
    agents = [one for one in spans if one["scope"].startswith("strands") and one not in ours]
    assert agents
    for span in agents:
        while span["parent"] in by_id:
            span = by_id[span["parent"]]
        assert span["id"] == ours[5]["id"]


def test_spans_hold_nothing_that_was_said(spans: list[dict[str, Any]]) -> None:
    ours = [one for one in spans if one["scope"] == "strands_session_store.rest"]
    assert SECRET not in json.dumps(ours)
    assert not [one for one in ours if one["events"]]
