"""Every error is a problem (RFC 9457), whoever made it; of the server's inside it says nothing."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.stores import servers

from strands_session_store import errors, open_store
from strands_session_store.rest import Limits
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.testing.faults import FaultyStore

from .conftest import by_name
from .serving import client, served
from .talking import talking
from .test_endpoints_sessions import ALL, make, problem

SECRET = "postgres://admin:hunter2@10.0.0.1/secret"
"""As the text of an error may have it."""


@pytest.fixture(scope="module")
def faulty() -> FaultyStore:
    return FaultyStore(MemoryStore())


@pytest.fixture(scope="module")
def url(faulty: FaultyStore) -> Iterator[str]:
    with served(talking(faulty, auth=by_name, limits=Limits(rate=None, body=10_000))) as served_at:
        yield served_at


@pytest.fixture(autouse=True)
def healed(faulty: FaultyStore) -> Iterator[None]:
    yield
    faulty.heal()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "//",
        "/nothing",
        "/api",
        "/api/",
        "/api/sessions",
        "/api/users/a/b",
        "/redoc",
        "/%2e%2e/etc",
        f"{ALL}/",
        f"{ALL}/s/",
        f"{ALL}/a%2Fb/",
        f"{ALL}//messages",
        f"{ALL}/s/none",
        f"{ALL}/s/messages/",
        f"{ALL}/s/messages/m/x",
    ],
)
def test_there_is_nothing_at_a_path_that_is_none(ada: httpx.Client, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        problem(ada.request(method, path), 404, "there is no such path here")


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        (ALL, "GET, HEAD, POST"),
        (f"{ALL}/s", "DELETE, GET, HEAD, PATCH"),
        (f"{ALL}/a%2Fb", "DELETE, GET, HEAD, PATCH"),
        (f"{ALL}/s/activate", "PUT"),
        (f"{ALL}/s/clear-messages", "DELETE"),
        (f"{ALL}/s/messages/m", "DELETE, GET, HEAD, PATCH"),
        (f"{ALL}/conversation", "POST"),
        ("/api/users", "GET, HEAD, POST"),
        ("/api/usage", "GET, HEAD"),
        ("/healthz", "GET, HEAD"),
    ],
)
def test_a_method_that_a_path_has_not_is_told_those_that_it_has(ada: httpx.Client, path: str, methods: str) -> None:
    for method in ("PROPFIND", "TRACE", "OPTIONS", "PUT" if "PUT" not in methods else "GET"):
        answer = ada.request(method, path)
        problem(answer, 405, f"this path has no {method}; it has {methods}")
        assert answer.headers["allow"] == methods


def test_head_is_get_without_a_body(ada: httpx.Client) -> None:
    make(ada)
    for path in (ALL, f"{ALL}/s", f"{ALL}/s/messages", f"{ALL}/s/export", "/openapi.json", f"{ALL}/none"):
        got, head = ada.get(path), ada.head(path)
        assert (head.status_code, head.content) == (got.status_code, b"")
        unlike = {"date", "x-request-id", "content-length", "last-modified", "etag"}
        assert {name: head.headers[name] for name in head.headers if name not in unlike} == {
            name: got.headers[name] for name in got.headers if name not in unlike
        }
        assert "export" in path or "none" in path or head.headers["content-length"] == got.headers["content-length"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "Expecting property name"),
        (b"[1", "Expecting ',' delimiter"),
        (b"nope", "Expecting value"),
        (b"{} {}", "Extra data"),
        (b'{"session_id": "a"', "delimiter"),
        (b"\xff\xfe{}", ""),
        (b'{"session_id": "\xff"}', "parsing the body"),
        (b"[" * 5000, "parsing the body"),
        (b'{"metadata": {"a": ' + b"9" * 5000 + b"}}", "parsing the body"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_no_json_is_a_400_that_says_where(ada: httpx.Client, body: bytes, words: str) -> None:
    problem(ada.post(ALL, content=body, headers={"Content-Type": "application/json"}), 400, words)
    assert ada.get(ALL).json()["total"] == 0


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_json_has_to_be_called_so(ada: httpx.Client, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    problem(ada.post(ALL, content=b"{}", headers=headers), 422, "Content-Type: application/json")
    for kind in ("application/json; charset=utf-8", "APPLICATION/JSON", "application/merge-patch+json"):
        assert ada.post(ALL, content=b"{}", headers={"Content-Type": kind}).status_code == 201


def test_what_is_wrong_is_told_place_by_place(ada: httpx.Client) -> None:
    told = problem(ada.post(ALL, json={"session_id": "", "kind": 5, "x": SECRET}), 422, "body.session_id: ")
    assert told["detail"].endswith("(and 2 more)")
    assert [one["loc"] for one in told["errors"]] == [["body", "session_id"], ["body", "kind"], ["body", "x"]]
    assert all(set(one) == {"loc", "msg", "type"} for one in told["errors"])
    assert SECRET not in json.dumps(told)
    problem(ada.post(ALL), 422, "body: Field required")


def test_what_is_too_large_is_refused_before_it_is_read(ada: httpx.Client) -> None:
    body = json.dumps({"description": "x" * 9_900}).encode()
    assert len(body) < 10_000
    headers = {"Content-Type": "application/json"}
    problem(ada.post(ALL, content=body, headers=headers), 422, "description")
    problem(ada.post(ALL, content=body + b" " * 200, headers=headers), 413, "larger than 10,000 bytes")
    problem(ada.post("/nothing", content=b"x" * 10_001), 413)

    def chunks() -> Iterator[bytes]:
        yield b'{"description": "'
        for _ in range(20):
            yield b"x" * 1000

    problem(ada.post(ALL, content=chunks(), headers=headers), 413, "larger than 10,000 bytes")
    small: Iterator[bytes] = iter([b'{"session_id"', b": ", b'"chunked"}'])
    assert ada.post(ALL, content=small, headers=headers).json()["session_id"] == "chunked"
    with socket.create_connection((ada.base_url.host, ada.base_url.port or 0), timeout=10) as raw:
        raw.sendall(b"POST /api/agent-sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 413 ")


def test_what_the_store_takes_no_more_of_is_a_413(ada: httpx.Client, faulty: FaultyStore) -> None:
    faulty.plan("commit", before=errors.TooLarge("the entry has 17,000,000 bytes; the limit is 16,777,216"))
    problem(ada.post(ALL, json={}), 413, "the limit is 16,777,216")


CALLS: dict[str, Callable[[httpx.Client], httpx.Response]] = {
    "list": lambda http: http.get(ALL),
    "get": lambda http: http.get(f"{ALL}/s"),
    "make": lambda http: http.post(ALL, json={}),
    "change": lambda http: http.patch(f"{ALL}/s", json={"session_name": "x"}),
    "delete": lambda http: http.delete(f"{ALL}/s"),
    "messages": lambda http: http.get(f"{ALL}/s/messages"),
    "say": lambda http: http.post(f"{ALL}/s/messages", json={"role": "user", "content": "x"}),
    "export": lambda http: http.get(f"{ALL}/s/export"),
    "usage": lambda http: http.get("/api/usage"),
    "ready": lambda http: http.get("/readyz"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_store_that_is_away_is_a_503_that_says_when_to_come_again(
    ada: httpx.Client, faulty: FaultyStore, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    make(ada)
    faulty.plan("any", before=errors.Unavailable(f"could not reach {SECRET}"), times=None)
    with caplog.at_level(logging.WARNING, logger="strands_session_store.rest"):
        answer = CALLS[name](ada)
    told = problem(answer, 503, "the store does not answer; try again later")
    assert answer.headers["retry-after"] == "5" and SECRET not in answer.text
    (line,) = [one.getMessage() for one in caplog.records if one.name == "strands_session_store.rest.problems"]
    assert told["request_id"] in line and SECRET in line
    assert ada.get("/healthz").status_code == 200  # the server lives
    faulty.heal()
    assert CALLS[name](ada).status_code < 300


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(SECRET),
        KeyError(SECRET),
        ValueError(SECRET),
        errors.Corrupt("agents/x", SECRET),
        errors.Regressed(SECRET),
        OSError(5, SECRET),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_bug_is_a_500_that_says_nothing_but_where_the_log_has_it(
    ada: httpx.Client, faulty: FaultyStore, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    make(ada)
    faulty.plan("read", before=error, times=None)
    with caplog.at_level(logging.WARNING, logger="strands_session_store.rest"):
        answer = ada.get(f"{ALL}/s")
    told = problem(answer, 500, "the server could not answer; its log has the request by its id")
    assert set(told) == {"type", "title", "status", "detail", "instance", "request_id"}
    assert "hunter2" not in answer.text and "Traceback" not in answer.text
    lines = [one for one in caplog.records if told["request_id"] in one.getMessage() and one.levelno == logging.ERROR]
    assert len(lines) == 1 and SECRET in f"{lines[0].getMessage()} {lines[0].exc_info}"


@pytest.mark.parametrize(
    ("error", "words", "after"),
    [
        (errors.SessionBusyError("host 10.0.0.1 has it"), "the session is busy", "5"),
        (errors.ConflictError("agents/x", "1", "2"), "changed by somebody else", "1"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_who_comes_in_between_is_not_told_of(
    ada: httpx.Client, faulty: FaultyStore, error: Exception, words: str, after: str
) -> None:
    make(ada)
    faulty.plan("any", before=error, times=None)
    answer = ada.patch(f"{ALL}/s", json={"session_name": "x"})
    problem(answer, 409, words)
    assert answer.headers["retry-after"] == after and "10.0.0.1" not in answer.text and "agents/x" not in answer.text


def test_a_store_that_hangs_is_not_ready(ada: httpx.Client, faulty: FaultyStore) -> None:
    held = faulty.plan("any", hang="before")
    begun = time.monotonic()
    answer = ada.get("/readyz")
    problem(answer, 503, "the store has not answered within 2 seconds")
    assert answer.headers["retry-after"] and time.monotonic() - begun < 10
    held.release()
    assert ada.get("/readyz").status_code == 200


def test_a_server_of_redis_that_is_gone_and_comes_back(tmp_path: Path) -> None:
    pytest.importorskip("redis")
    options = ("--appendonly", "yes", "--appendfsync", "always")
    with (
        servers.ended(servers.standalone(tmp_path / "redis", *options)) as redis,
        open_store(redis.url, timeout=0.2) as store,
        served(talking(store, auth=by_name)) as url,
        client(url, **{"X-User": "ada"}) as http,
    ):
        made = make(http)
        redis.stop()
        for call in CALLS.values():
            answer = call(http)
            problem(answer, 503, "the store does not answer")
            assert "127.0.0.1" not in answer.text and answer.headers["retry-after"]
        redis.start()
        servers.until(lambda: http.get("/readyz").status_code == 200)
        assert http.get(f"{ALL}/s").json() == made
