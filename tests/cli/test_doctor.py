"""``doctor``: what it says of real engines, what it ends with, and what it never says."""

from __future__ import annotations

import importlib.util
import json
import platform
from importlib import metadata
from pathlib import Path

import pytest
from tests.cli.conftest import DEFAULT, Cli
from tests.cli.programs import program

from strands_session_store.cli import doctor
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Query

# pytest finds fixtures by name; servers are those of the engines' tests
from ..stores.conftest import *  # noqa: F403


def levels(cli: Cli, url: str, *args: str, status: int = 0) -> dict[str, str]:
    told = json.loads(cli("doctor", "--json", "--store", url, *args, status=status).out)
    assert told["problems"] == sum(one["level"] == "problem" for one in told["findings"])
    return {one["name"]: one["level"] for one in told["findings"]}


def test_a_file_that_is_well(cli: Cli, here: Path, sessions: Sessions) -> None:
    sessions.create("c")
    (here / "strands-sessions.db").chmod(0o600)
    done = program("doctor")
    for text in (
        f"Python {platform.python_version()}",
        f"strands-agents {metadata.version('strands-agents')}",
        f"strands-session-store {metadata.version('strands-session-store')}",
        "it answers; a read takes",
        "synchronous=FULL",
        "quick_check finds nothing wrong",
        "no problems, no notes",
    ):
        assert text in done.stdout
    assert set(levels(cli, DEFAULT).values()) == {"ok"}
    assert "it takes commits" in cli("doctor", "--write").out
    rows = sessions.store.list(Query("session", everyone=True)).rows
    assert [row.space.id for row in rows] == ["c"]  # and erases its own


def test_a_file_that_is_none_is_a_problem_with_what_to_do(cli: Cli, here: Path) -> None:
    (here / "x.db").write_text("this is no database, but it is long enough to look like one")
    done = cli("doctor", "--store", "sqlite:///x.db", status=1)
    assert "problem  reachable" in done.out and "put a backup in its place" in done.out and done.err == ""
    assert levels(cli, "sqlite:///x.db", status=1)["reachable"] == "problem"


def test_a_directory(cli: Cli, here: Path) -> None:
    with Sessions(f"file://{here}/x") as sessions:
        sessions.create("c")
    assert levels(cli, f"file://{here}/x")["sync"] in ("ok", "note")


def test_memory_ends_with_its_process(cli: Cli) -> None:
    told = levels(cli, "memory://", "--write")
    assert told["persistence"] == "note" and told["commit"] == "ok"


@pytest.mark.skipif(not importlib.util.find_spec("redis"), reason="needs redis")
def test_a_server_that_evicts_and_keeps_nothing(cli: Cli, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue("alone")("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru")
    done = cli("doctor", "--store", server.url, status=1)
    assert "problem  eviction" in done.out and "→ CONFIG SET maxmemory-policy noeviction" in done.out
    assert "problem  persistence" in done.out and "2 problems" in done.out
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "few", "on", ">hunter2", "~*", "+@read", "+@connection", "+info")
    url = server.url.replace("//", "//few:hunter2@")
    done = cli("doctor", "--store", url, status=1)  # no right to the scripts
    assert "problem  reachable" in done.out and "+evalsha" in done.out and "problem  eviction" in done.out
    assert "hunter2" not in done.out + done.err and "redis://***@127.0.0.1" in done.out


@pytest.mark.skipif(not all(map(importlib.util.find_spec, ("boto3", "moto"))), reason="needs boto3 and moto")
def test_a_bucket(cli: Cli, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("aws")
    url = request.getfixturevalue("s3").place()
    told = levels(cli, url)
    assert [told[name] for name in ("reachable", "listing", "conditional writes", "versioning", "clock")] == ["ok"] * 5
    nowhere = levels(cli, url.replace("s3://", "s3://no-such-"), status=1)
    assert nowhere["reachable"] == "problem"


def test_a_store_far_away_is_a_note(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SLOW", 0.0)
    assert levels(cli, "memory://")["reachable"] == "note"
